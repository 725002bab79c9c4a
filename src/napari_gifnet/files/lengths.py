"""Sizes of pixels: a number and a unit, as the formats spell them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

__all__ = ["OME_NAMES", "Length", "as_number", "convert", "find_unit", "is_size", "make_length"]


class Length(NamedTuple):
    """A length or a duration with its unit, as "0.5 µm"."""

    value: float
    unit: str


_METRES = {
    "pm": 1e-12,
    "Å": 1e-10,
    "nm": 1e-9,
    "µm": 1e-6,
    "mm": 1e-3,
    "cm": 1e-2,
    "dm": 1e-1,
    "m": 1.0,
    "km": 1e3,
    "inch": 0.0254,
    "ft": 0.3048,
}
_SECONDS = {"ns": 1e-9, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}

_OTHER_NAMES = {
    "um": "µm",
    "micron": "µm",
    "microns": "µm",
    "in": "inch",
    "inches": "inch",
    "angstrom": "Å",
    "angstroms": "Å",
    "us": "µs",
    "sec": "s",
    "secs": "s",
    "second": "s",
    "seconds": "s",
    "msec": "ms",
    "usec": "µs",
    "minute": "min",
    "minutes": "min",
    "hour": "h",
    "hours": "h",
    "day": "d",
    "days": "d",
    "foot": "ft",
    "feet": "ft",
}
_PREFIXES = {
    "": "",
    "pico": "p",
    "nano": "n",
    "micro": "µ",
    "milli": "m",
    "centi": "c",
    "kilo": "k",
}
_OTHER_NAMES |= {
    f"{long}{name}": f"{short}m"
    for long, short in _PREFIXES.items()
    for name in ("meter", "meters", "metre", "metres")
}
_OTHER_NAMES |= {f"{long}second": f"{short}s" for long, short in _PREFIXES.items() if long}
_OTHER_NAMES |= {f"{long}seconds": f"{short}s" for long, short in _PREFIXES.items() if long}
_NO_UNITS = {"", "pixel", "pixels", "px", "none", "null", "reference frame", "dimensionless"}

OME_NAMES = {unit: unit for unit in [*_METRES, *_SECONDS]} | {"inch": "in"}
"""The names that OME has for our units; it has no others."""


def find_unit(text: Any) -> str:
    r"""Return a unit as we spell it, "" for none; what is unknown stays as it is.

    Examples
    --------
    >>> find_unit("\\u00b5m"), find_unit("microns"), find_unit("pixel"), find_unit("furlong")
    ('µm', 'µm', '', 'furlong')
    """
    text = re.sub(r"\\u([0-9a-fA-F]{4})", lambda found: chr(int(found[1], 16)), str(text)).strip()
    text = text.replace("\u03bc", "µ").replace("\u212b", "Å")
    if text in _METRES or text in _SECONDS:
        return text
    plain = text.lower()
    return "" if plain in _NO_UNITS else _OTHER_NAMES.get(plain, text)


def as_number(value: Any) -> float:
    """Return a number found in metadata, NaN where it is none."""
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan


def is_size(value: float) -> bool:
    """Whether a pixel can be of that size."""
    return math.isfinite(value) and value > 0


def make_length(value: Any, unit: Any) -> Length | None:
    """Return a length found in metadata, None if it is none."""
    length = Length(as_number(value), find_unit(unit))
    return length if is_size(length.value) and length.unit else None


def convert(length: Length, unit: str) -> float | None:
    """Return the value of a length in another unit; None where one is not made of the other.

    Examples
    --------
    >>> convert(Length(250, "ms"), "s"), convert(Length(1, "mm"), "s")
    (0.25, None)
    """
    old, new = find_unit(length.unit), find_unit(unit)
    if old == new:
        return length.value
    scales: Mapping[str, float]
    for scales in (_METRES, _SECONDS):
        if old in scales and new in scales:
            ratio = scales[old] / scales[new]  # of powers of ten, which division rounds
            nearest = 10.0 ** round(math.log10(ratio))
            return length.value * (nearest if math.isclose(ratio, nearest) else ratio)
    return None
