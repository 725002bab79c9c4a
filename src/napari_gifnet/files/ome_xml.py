"""Sizes of pixels in OME-XML."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .lengths import OME_NAMES, Length, convert, find_unit, make_length

__all__ = ["ome_sizes", "ome_spacing"]


def ome_spacing(metadata: dict[str, Any]) -> dict[str, Length]:
    """Return the sizes of pixels of the first image.

    Parameters
    ----------
    metadata : dict
        OME-XML, as `tifffile.xml2dict` returns it.
    """
    image = metadata["OME"]["Image"]
    pixels = (image[0] if isinstance(image, list) else image)["Pixels"]
    names = {axis: f"PhysicalSize{axis}" for axis in "ZYX"} | {"T": "TimeIncrement"}
    found = {
        axis: make_length(pixels[name], pixels.get(f"{name}Unit", "s" if axis == "T" else "µm"))
        for axis, name in names.items()
        if name in pixels
    }
    return {axis: length for axis, length in found.items() if length}


def ome_sizes(sizes: Mapping[str, Length]) -> dict[str, Any]:
    """Return sizes as tifffile writes them, under "metadata", and under "axes" those that OME has."""
    metadata: dict[str, Any] = {}
    kept = []
    for axis, length in sizes.items():
        unit = find_unit(length.unit)
        is_time = convert(Length(1, unit), "s") is not None
        if unit not in OME_NAMES or is_time != (axis == "T") or axis not in "TZYX":
            continue
        name = "TimeIncrement" if axis == "T" else f"PhysicalSize{axis}"
        metadata |= {name: length.value, f"{name}Unit": OME_NAMES[unit]}
        kept.append(axis)
    return {"metadata": metadata, "axes": kept}
