"""What a result keeps of its input's header: the colour profile, and where on the ground it lies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

__all__ = ["PROFILE", "differ_on_the_ground", "fitting_profile", "ground_tags", "tags_for_writing"]

PROFILE = 34675
"""The tag of an ICC profile."""

_NODATA = 42113
_PLACE = {33550: "ModelPixelScale", 33922: "ModelTiepoint", 34264: "ModelTransformation"}
_SYSTEM = {34735: "GeoKeyDirectory", 34736: "GeoDoubleParams", 34737: "GeoAsciiParams"}
_GROUND = {*_PLACE, *_SYSTEM, 50844, _NODATA}
"""Those of GeoTIFF, rational coefficients (RPC), and GDAL's mark of missing pixels. Its metadata are
left out: they hold statistics of the input's values."""

_ASCII = 2


def ground_tags(page: Any) -> dict[int, tuple[int, int, Any]]:
    """Return type, count and value of the tags of a page of a TIFF that say where it lies."""
    found = {}
    for code in _GROUND:
        if code in page.tags:
            tag = page.tags[code]
            found[code] = (int(tag.dtype), int(tag.count), tag.value)
    return found


def tags_for_writing(tags: Mapping[Any, Any], dtype: np.dtype) -> list[tuple[Any, ...]]:
    """Return the tags as tifffile writes them.

    Missing pixels of the result are NaN, or 0 in integers, whatever they were in the input.
    """
    written = []
    for code, kept in tags.items():
        if code == _NODATA:
            text = "nan" if dtype.kind == "f" else "0"
            written.append((code, _ASCII, len(text) + 1, text, True))
        elif code in _GROUND:
            written.append((code, *kept, True))
    return written


def differ_on_the_ground(first: Mapping[Any, Any], second: Mapping[Any, Any]) -> bool:
    """Whether two images both say where on the ground they lie, and it is not the same."""

    def places(tags: Mapping[Any, Any]) -> dict[int, Any]:
        return {code: tags[code][2] for code in (*_PLACE, *_SYSTEM) if code in tags}

    ours, theirs = places(first), places(second)
    return bool(ours and theirs) and ours != theirs


def fitting_profile(profile: bytes | None, in_color: bool) -> bytes | None:
    """Return an ICC profile if it is one of RGB, or for a gray image one of gray."""
    space = b"RGB " if in_color else b"GRAY"
    return profile if profile is not None and profile[16:20] == space else None
