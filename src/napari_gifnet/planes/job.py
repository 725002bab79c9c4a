"""What a fusion will do, found out before anything heavy runs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from napari_gifnet.errors import ImageError

from .color import ChromaRule, ColorPolicy, choose_chroma
from .image import Picture, common_leading, format_sides, open_picture
from .ranges import (
    Intensity,
    Range,
    is_intensity_pair,
    join_ranges,
    result_dtype,
    split_intensity,
)
from .tasks import PANSHARPENING, Task, find_task


@dataclass(frozen=True, eq=False)
class Plan:
    """What a fusion will do: every option resolved, nothing computed but the ranges.

    Attributes
    ----------
    a, b : Picture
        The inputs, broadcast against each other; one and the same for an enhancement.
    range_a, range_b : (low, high)
        The values that become 0 and 1; for dask arrays a promise of them, unless they are known.
    task : Task or None
        The preset.
    chroma : {"a", "b", "both", "none"}
        Whose chroma the result gets.
    dtype : numpy.dtype
        Of the result.
    """

    a: Picture
    b: Picture
    range_a: Range
    range_b: Range
    task: Task | None
    chroma: ChromaRule
    dtype: np.dtype

    @property
    def count(self) -> int:
        """The number of planes to be fused."""
        return int(np.prod(self.a.leading, dtype=int))

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the result."""
        return self.a.leading + self.a.sides + (() if self.chroma == "none" else (3,))

    def describe(self) -> str:
        """Return one line for people: sizes, ranges and the colour rule."""
        ranges = {"a": self.range_a, "b": self.range_b}
        if self.a is self.b:
            ranges = {"values": self.range_a}
        values = [
            "{} {:g} to {:g}".format(name, *limits)
            if isinstance(limits, tuple)
            else f"{name} over its range"
            for name, limits in ranges.items()
        ]
        color = {
            "a": "colour of a",
            "b": "colour of b",
            "both": "colours of a and b by their strength",
            "none": "gray",
        }
        planes = f"{self.count} plane{'s' * (self.count != 1)} of {format_sides(self.a.sides)}"
        return "; ".join([planes, *values, color[self.chroma]])


def plan_fusion(
    a: Any,
    b: Any,
    *,
    task: str | None = None,
    intensity: Intensity | tuple[Intensity, Intensity] = "auto",
    color: ColorPolicy = "auto",
    rgb: bool | tuple[bool | None, bool | None] | None = None,
    dtype: DTypeLike | None = None,
) -> Plan:
    """Check the images of `fuse` and resolve its options, which are described there.

    Raises
    ------
    ImageError, OptionError
        As `fuse` does.
    """
    preset = find_task(task)
    dtype = result_dtype(dtype)
    policy_a, policy_b = split_intensity(intensity)
    rgb_a, rgb_b = rgb if isinstance(rgb, (tuple, list)) and len(rgb) == 2 else (rgb, rgb)

    same = b is a and policy_a == policy_b and rgb_a == rgb_b
    picture_a = open_picture(a, rgb_a, "a")
    picture_b = picture_a if same else open_picture(b, rgb_b, "b")
    leading = common_leading(picture_a, picture_b)
    if preset == PANSHARPENING:
        _check_bands(picture_a, picture_b)
    preferred = preset.color if preset else "auto"
    chroma = choose_chroma(color, picture_a.in_color, picture_b.in_color, preferred)
    if same and chroma == "both":
        chroma = "a"

    range_a = picture_a.measure_range(policy_a, "a")
    range_b = range_a if same else picture_b.measure_range(policy_b, "b")
    one_dtype = picture_a.image.dtype == picture_b.image.dtype
    if preset and preset.one_range and one_dtype and not is_intensity_pair(intensity):
        range_a = range_b = _join(range_a, range_b)

    picture_a, picture_b = _match_kinds(picture_a, picture_b)
    picture_a = picture_a.broadcast(leading)
    picture_b = picture_a if same else picture_b.broadcast(leading)
    return Plan(picture_a, picture_b, range_a, range_b, preset, chroma, dtype)


def _check_bands(a: Picture, b: Picture) -> None:
    for name, picture in (("a", a), ("b", b)):
        if picture.in_color:
            raise ImageError(
                f"{name} of shape {picture.image.shape} is in colour: pansharpening expects bands "
                "in front, (..., bands, Y, X), and a gray panchromatic plane; "
                f"np.moveaxis({name}, -1, 0) moves them."
            )


def _join(range_a: Range, range_b: Range) -> Range:
    if isinstance(range_a, tuple) and isinstance(range_b, tuple):
        return join_ranges(range_a, range_b)
    from dask import delayed

    return delayed(join_ranges)(range_a, range_b)


def _match_kinds(a: Picture, b: Picture) -> tuple[Picture, Picture]:
    """Make both pictures dask arrays if one is."""
    if a.lazy == b.lazy:
        return a, b
    import dask.array as da

    return replace(a, image=da.asarray(a.image)), replace(b, image=da.asarray(b.image))
