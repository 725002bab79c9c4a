"""Links of a page to files outside docs/: to the page that shows the file, else to the repository."""

import re
from pathlib import Path

from sphinx.util import logging

LINK = re.compile(r"(\[[^\]]*\])\((?!https?:|#|/|mailto:)([^)\s#]+)(#[^)\s]*)?\)")
SHOWN = {
    "CHANGELOG.md": "/changelog.md",
    "CONTRIBUTING.md": "/developers.md",
    "README.md": "/index.md",
    "src/napari_gifnet/sample_data/README.md": "/samples.md",
    "src/napari_gifnet/weights/README.md": "/models.md",
}
logger = logging.getLogger(__name__)


def rewrite(app, text: str, file: Path) -> str:
    """The text of a file of the repository, with the links that lead out of docs/ or into it."""
    root = Path(app.srcdir).parent.resolve()

    def link(match: re.Match) -> str:
        words, target, anchor = match[1], match[2], match[3] or ""
        path = (file.parent / target).resolve()
        if not path.exists() or not path.is_relative_to(root):
            logger.warning("%s: the link to %s leads nowhere", file, target)
            return match[0]
        inside = path.relative_to(root).as_posix()
        if inside.startswith("docs/"):
            return f"{words}(/{inside.removeprefix('docs/')}{anchor})"
        shown = SHOWN.get(inside)
        return f"{words}({shown or f'{app.config.repository_url}/blob/main/{inside}'})"

    return LINK.sub(link, text)


def read_page(app, name: str, content: list[str]) -> None:
    """Rewrite a page."""
    file = Path(app.env.doc2path(name))
    if file.suffix == ".md":
        content[0] = rewrite(app, content[0], file)


def read_included(app, path: Path, _parent: str, content: list[str]) -> None:
    """Rewrite a file that a page includes."""
    content[0] = rewrite(app, content[0], (Path(app.srcdir) / path).resolve())


def other_pages(app, name: str, content: list[str]) -> None:
    """Put the pages that no list names under "More", so that every page is on the site."""
    if name != "index":
        return
    pages = {page for page in app.env.found_docs if page != "index"}
    lists = (path.read_text(encoding="utf-8") for path in Path(app.srcdir).rglob("*index.md"))
    named = set(re.findall(r"[\w/-]+", "\n".join(lists)))
    howto = {page for page in pages if page.startswith("howto/")}
    content[0] = content[0].replace("OTHER_PAGES", "\n".join(sorted(pages - named - howto)))


def setup(app):
    """Register with Sphinx."""
    app.add_config_value("repository_url", "", "env")
    app.connect("source-read", other_pages)
    app.connect("source-read", read_page)
    app.connect("include-read", read_included)
    return {"parallel_read_safe": True}
