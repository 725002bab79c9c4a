"""Units of the world's axes: what turns one into another, and their short names."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

UNITLESS = {"pixel", "pixels", "px", "dimensionless", ""}

_PREFIXES = {
    "": ("", 0),
    "kilo": ("k", 3),
    "centi": ("c", -2),
    "milli": ("m", -3),
    "micro": ("µ", -6),
    "nano": ("n", -9),
    "pico": ("p", -12),
}


def _known_units() -> dict[str, tuple[str, Fraction, str]]:
    """Return quantity, size and short name of common units, by each way of writing them."""
    known = {}
    for prefix, (letter, exponent) in _PREFIXES.items():
        size = Fraction(10) ** exponent
        for quantity, names, symbol in (
            ("length", ("meter", "metre", "meters", "metres"), "m"),
            ("time", ("second", "seconds", "sec"), "s"),
        ):
            unit = quantity, size, letter + symbol
            known.update(dict.fromkeys((prefix + name for name in names), unit))
            for spelled in {"µ": "uµμ"}.get(letter, (letter,)):
                known[spelled + symbol] = unit
    known["micron"] = known["microns"] = known["um"]
    known["inch"] = known["in"] = "length", Fraction(254, 10_000), "in"
    known["angstrom"] = known["Å"] = known["Å"] = "length", Fraction(1, 10**10), "Å"
    known["minute"] = known["min"] = "time", Fraction(60), "min"
    known["hour"] = known["h"] = "time", Fraction(3600), "h"
    return known


_KNOWN = _known_units()


def unit_factors(units: Sequence[Any], into: Sequence[Any]) -> NDArray[np.float64]:
    """Return what numbers in `units` are multiplied by, axis by axis, trailing axes aligned.

    Units that have nothing in common (pixel and mm, most often) are taken for each other, as napari
    draws them.
    """
    shared = min(len(units), len(into))
    factors = [
        unit_factor(str(unit), str(wanted))
        for unit, wanted in zip(units[-shared:], into[-shared:], strict=True)
    ]
    return np.array([1.0 if factor is None else factor for factor in factors])


@lru_cache
def unit_factor(unit: str, into: str) -> float | None:
    """Return what a number in `unit` is multiplied by, None if the two have nothing in common.

    Examples
    --------
    >>> unit_factor("mm", "micrometer")
    1000.0
    >>> unit_factor("mm", "pixel") is None
    True
    """
    if unit == into:
        return 1.0
    if unit in _KNOWN and into in _KNOWN:
        quantity, size, _ = _KNOWN[unit]
        other, wanted, _ = _KNOWN[into]
        return float(size / wanted) if quantity == other else None
    if {unit, into} & UNITLESS:
        return 1.0 if {unit, into} <= UNITLESS else None
    try:
        import pint  # comes with napari
    except ImportError:
        return None
    try:
        return float(pint.get_application_registry().convert(1.0, unit, into))
    except pint.PintError:
        return None


def is_unit(unit: str) -> bool:
    """Return whether anybody knows the unit; without pint, which comes with napari, all pass."""
    if unit in _KNOWN or unit in UNITLESS:
        return True
    try:
        import pint
    except ImportError:
        return True
    try:
        pint.get_application_registry().Unit(unit)
    except (pint.PintError, ValueError, TypeError):
        return False
    return True


def short_name(unit: str) -> str:
    """Return how the unit is written behind a number.

    Examples
    --------
    >>> short_name("millimeter")
    'mm'
    """
    if unit in _KNOWN:
        return _KNOWN[unit][2]
    if unit in UNITLESS:
        return unit or "dimensionless"
    try:
        import pint

        return f"{pint.get_application_registry().Unit(unit):~}"
    except (ImportError, ValueError):
        return unit
