"""Make the README of PyPI and the napari hub: links and pictures with the project's address before them.

The address is Repository of [project.urls] in pyproject.toml. It stands in no other file.
"""

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

LINK = re.compile(r"(!?)(\[[^\]]*\])\((?!https?:|#)([^)\s]+)\)")


def absolute(text: str, repository: str) -> str:
    """Put the repository's address before each relative link and picture of a Markdown text."""

    def link(match: re.Match) -> str:
        picture, words, target = match.groups()
        kind = "raw" if picture else "blob"
        return f"{picture}{words}({repository.rstrip('/')}/{kind}/main/{target})"

    return LINK.sub(link, text)


class Readme(MetadataHookInterface):
    """The dynamic field "readme"."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set the field."""
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        text = absolute(text, metadata["urls"]["Repository"])
        metadata["readme"] = {"content-type": "text/markdown", "text": text}
