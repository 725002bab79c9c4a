"""An input image, checked and seen as a stack of planes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from napari_gifnet.errors import ImageError, OptionError

from .color import chroma, luma
from .ranges import (
    Intensity,
    Range,
    combine,
    fill_invalid,
    measure_range,
    range_without_looking,
    sample_step,
    summarise,
    to_unit,
)

SMALLEST_SIDE = 5
"""The network pads by reflection, which needs more pixels than it adds."""


class Plane(NamedTuple):
    """A plane ready for the network, and what is put back behind it."""

    luma: np.ndarray  # (Y, X), float32 in [0, 1], finite
    chroma: np.ndarray | None  # (Y, X, 2)
    invalid: np.ndarray | None  # (Y, X), bool: where the input was not finite


@dataclass(frozen=True, eq=False)
class Picture:
    """An image that can be fused.

    Attributes
    ----------
    image : array (..., Y, X) or, in colour, (..., Y, X, 3)
        A numpy or a dask array of booleans, integers or floats.
    in_color : bool
    """

    image: Any
    in_color: bool

    @property
    def lazy(self) -> bool:
        """Whether the image is a dask array."""
        return is_dask(self.image)

    @property
    def leading(self) -> tuple[int, ...]:
        """The shape of the stack; () for a single plane."""
        return self.image.shape[: -3 if self.in_color else -2]

    @property
    def sides(self) -> tuple[int, int]:
        """Height and width of the planes, in pixels."""
        return self.image.shape[len(self.leading) :][:2]

    def broadcast(self, leading: tuple[int, ...]) -> Picture:
        """Return the picture as a stack of that shape, without copying."""
        shape = leading + self.image.shape[len(self.leading) :]
        if self.lazy:
            import dask.array as da

            return replace(self, image=da.broadcast_to(self.image, shape))
        return replace(self, image=np.broadcast_to(self.image, shape))

    def measure_range(self, intensity: Intensity, name: str) -> Range:
        """Return the (low, high) that become 0 and 1, as `intensity.measure_range` does.

        For a dask array it is a promise of them where they depend on the values.
        """
        if not self.lazy:
            return measure_range(self.image, intensity, name)
        known = range_without_looking(self.image.dtype, intensity)
        if known is not None:
            return known
        from dask import delayed

        step = sample_step(self.image.size)
        blocks = self.image.to_delayed().ravel()
        parts = [delayed(summarise)(block, intensity, step) for block in blocks]
        return delayed(combine)(parts, self.image.dtype, intensity, name)

    def plane(self, index: tuple[int, ...], value_range: Range, with_chroma: bool) -> Plane:
        """Return one plane of the stack, `value_range` mapped to [0, 1]."""
        unit = to_unit(self.image[index], value_range)
        filled, invalid = fill_invalid(luma(unit) if self.in_color else unit)
        return Plane(filled, chroma(unit) if with_chroma else None, invalid)


def is_dask(image: Any) -> bool:
    """Whether `image` is a dask array; dask is not imported for it."""
    return type(image).__module__.startswith("dask.array")


def open_picture(image: Any, rgb: bool | None, name: str) -> Picture:
    """Check an image and find out whether it is in colour.

    Parameters
    ----------
    image : array-like
        Anything numpy makes an array of; a dask array stays one.
    rgb : bool or None
        Whether the last axis is colour. None: it is if it has length 3 or 4 and at least two axes
        stand before it. That is no guess, since a plane 3 or 4 pixels wide cannot be fused.
    name : str
        What an error calls the image.

    Raises
    ------
    ImageError
        It is no image of numbers, or its planes are too small.
    OptionError
        `rgb` is not a bool, or the last axis cannot be colour.
    """
    if not is_dask(image):
        try:
            image = np.asarray(image)
        except (ValueError, TypeError, RuntimeError) as error:
            raise ImageError(f"{name} cannot be made an array: {error}.") from error
    if image.dtype.kind not in "biuf":
        raise ImageError(
            f"{name} has dtype {image.dtype}: expected booleans, integers or floats; convert it, "
            "for instance to the magnitude of complex values."
        )
    if rgb not in (None, True, False):
        raise OptionError(f"rgb={rgb!r} is not understood: expected True, False or None.")
    could_be_color = image.ndim >= 3 and image.shape[-1] in (3, 4)
    if rgb and not could_be_color:
        raise OptionError(
            f"rgb=True asks for colour, but {name} has shape {image.shape}: "
            "expected (..., Y, X, 3 or 4)."
        )
    in_color = could_be_color if rgb is None else bool(rgb)
    if image.ndim < 2:
        raise ImageError(
            f"{name} has shape {image.shape}: expected at least two axes, (..., Y, X) or, in "
            "colour, (..., Y, X, 3 or 4)."
        )
    if 0 in image.shape:
        raise ImageError(f"{name} of shape {image.shape} is empty: expected at least one plane.")
    picture = Picture(image[..., :3] if in_color else image, in_color)
    if not min(picture.sides) >= SMALLEST_SIDE:
        raise ImageError(
            f"{name} of shape {image.shape} has planes of {format_sides(picture.sides)}: expected "
            f"at least {SMALLEST_SIDE}×{SMALLEST_SIDE}; axes that are not Y and X go in front."
        )
    return picture


def common_leading(a: Picture, b: Picture) -> tuple[int, ...]:
    """Return the shape of the stack that both broadcast to; raise ImageError if there is none."""
    if a.sides != b.sides:
        raise ImageError(
            f"a has planes of {format_sides(a.sides)} and b of {format_sides(b.sides)}: expected "
            "two images on the same grid; resample one of them onto the other's first."
        )
    try:
        return np.broadcast_shapes(a.leading, b.leading)
    except ValueError:
        raise ImageError(
            f"a is a stack of {a.leading} planes and b of {b.leading}: expected stacks of the "
            "same shape, or one plane for a whole stack."
        ) from None


def format_sides(sides: tuple[int, int]) -> str:
    """Return a size for people, height first.

    Examples
    --------
    >>> format_sides((480, 640))
    '480×640 pixels'
    """
    return "{}×{} pixels".format(*sides)
