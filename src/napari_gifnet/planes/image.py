"""An input image as a stack of planes in [0, 1], each made when it is asked for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol

import numpy as np

from napari_gifnet.errors import ImageError, OptionError

from .arrays import as_array, is_dask
from .color import Appearance, chroma, luma
from .ranges import Policy, Range, fill_invalid, range_without_looking, to_unit

SMALLEST_SIDE = 5
"""The network pads by reflection, which needs more pixels than it adds."""

Index = tuple[int, ...]
Box = tuple[int | slice, ...]
"""What slices a part out of an array; each slice has a start and a stop."""


class Plane(NamedTuple):
    """A plane ready for a fuser, and what is put back behind it."""

    luma: np.ndarray  # (Y, X), float32 in [0, 1], finite
    chroma: np.ndarray | None  # (Y, X, 2)
    alpha: np.ndarray | None  # (Y, X), in [0, 1]
    invalid: np.ndarray | None  # (Y, X), bool: where the input was not finite
    value: np.ndarray | None = None  # (Y, X), in [0, 1]: what the colours of a colormap stand for


class Planes(Protocol):
    """What every input of a job is: a stack of planes, one made at a time."""

    @property
    def leading(self) -> tuple[int, ...]:
        """The shape of the stack; () for a single plane."""

    @property
    def sides(self) -> tuple[int, int]:
        """Height and width of the planes, in pixels."""

    @property
    def dtype(self) -> np.dtype:
        """Of the values as they were given."""

    def plane(self, index: Index) -> Plane:
        """Return one plane of the stack."""


@dataclass(frozen=True, eq=False)
class ImagePlanes:
    """An image whose values slice by plane: an array, or a view of one on another grid.

    Attributes
    ----------
    values : array (..., Y, X) or, in colour, (..., Y, X, 3 | 4)
        A numpy or a dask array, or a view with the methods ``part(index)``, which gives what a
        plane is made of, and ``plane(index, part)``, which makes it.
    name : str
        What messages call the image.
    rgb : bool
        The last axis of `values` is colour.
    leading : tuple of int
        The shape of the stack that the image is broadcast to.
    measured : array
        What a range that depends on the values is measured of: the whole of the image, whichever
        part of it `values` holds.
    shown : (low, high), optional
        The range that a viewer shows the image in; None if no viewer shows it.
    appearance : Appearance, optional
        How a viewer shows it, where it is to be fused so.
    range : (low, high) or policy
        What becomes 0 and 1; a policy until it is measured.
    with_chroma, with_alpha : bool
        Whether the result needs them.
    """

    values: Any
    name: str
    rgb: bool
    leading: tuple[int, ...]
    measured: Any
    shown: Range | None = None
    appearance: Appearance | None = None
    range: Range | Policy = "auto"
    with_chroma: bool = False
    with_alpha: bool = False

    @property
    def label(self) -> str:
        """What errors call the image: the name, of a layer in quotes."""
        return self.name if self.shown is None else repr(self.name)

    @property
    def lazy(self) -> bool:
        """Whether the values are read when they are computed."""
        return is_dask(self.measured)

    @property
    def own_leading(self) -> tuple[int, ...]:
        """The shape of the stack before it is broadcast."""
        return tuple(self.values.shape[: -3 if self.rgb else -2])

    @property
    def sides(self) -> tuple[int, int]:
        """Height and width of the planes, in pixels."""
        return tuple(self.values.shape[len(self.own_leading) :][:2])

    @property
    def dtype(self) -> np.dtype:
        """Of the values as they were given."""
        return self.measured.dtype

    @property
    def in_color(self) -> bool:
        """Whether what is fused of it has colour."""
        return self.rgb or self.in_color_map

    @property
    def in_color_map(self) -> bool:
        """Whether its colours stand for the values of one channel."""
        return not self.rgb and self.appearance is not None and self.appearance.in_color

    @property
    def has_alpha(self) -> bool:
        """Whether the values are RGBA."""
        return self.rgb and self.values.shape[-1] == 4

    def part(self, index: Index) -> Any:
        """Return the values that a plane is made of: a slice, lazy if they are; None for none."""
        own = self._own(index)
        return self.values.part(own) if hasattr(self.values, "part") else self.values[own]

    @property
    def in_parts(self) -> bool:
        """Whether it is a view that knows what a part of a plane is made of."""
        return hasattr(self.values, "cut")

    def place(self, index: Index, rows: slice, columns: slice) -> tuple[Any, Box] | None:
        """Return the array and the box in it that a cut of a plane is made of; None for none.

        Of a view that is not `in_parts`, those of the plane.

        Parameters
        ----------
        index : tuple of int
            Within `leading`.
        rows, columns : slice
            Of the plane, with start and stop.
        """
        own = self._own(index)
        if hasattr(self.values, "part"):
            view = self.cut(rows, columns).values
            box = view.box(own)
            return None if box is None else (view.data, box)
        channels = (slice(0, self.values.shape[-1]),) * self.rgb
        return self.values, (*own, rows, columns, *channels)

    def cut(self, rows: slice, columns: slice) -> ImagePlanes:
        """Return the image whose `plane` makes cuts of what lies at `place`."""
        if not self.in_parts:
            return self  # it takes what it is given
        return replace(self, values=self.values.cut(rows, columns))

    def plane(self, index: Index, part: Any = None) -> Plane:
        """Return one plane of the stack, its range mapped to [0, 1].

        Parameters
        ----------
        index : tuple of int
            Within `leading`.
        part : array, optional
            What `part(index)` gave, computed; it is read if it is not given.
        """
        own = self._own(index)
        if hasattr(self.values, "part"):
            values = self.values.plane(own, part)
        else:
            values = self.values[own] if part is None else part
            values = values.compute() if is_dask(values) else values
        alpha = None
        if self.has_alpha:
            if self.with_alpha:
                opaque = range_without_looking(self.dtype, "dtype")
                alpha = np.nan_to_num(to_unit(values[..., 3], opaque))  # type: ignore[arg-type]
            values = values[..., :3]
        assert not isinstance(self.range, str), "the range is measured before planes are made"
        unit, value = to_unit(values, self.range), None
        if self.appearance is not None:
            if self.with_chroma and self.in_color_map:
                value = np.nan_to_num(self.appearance.tone(unit))
            unit = self.appearance(unit)
        filled, invalid = fill_invalid(luma(unit) if self.in_color else unit)
        colors = chroma(unit) if self.with_chroma and self.in_color else None
        return Plane(filled, colors, alpha, invalid, value)

    def _own(self, index: Index) -> Index:
        """Return where the plane of the broadcast stack lies in the values."""
        own = self.own_leading
        trailing = index[len(index) - len(own) :]
        return tuple(0 if n == 1 else i for i, n in zip(trailing, own, strict=True))


def open_image(image: Any, rgb: bool | None, name: str) -> ImagePlanes:
    """Check an image and find out whether it is in colour.

    Parameters
    ----------
    image : array-like
        Anything numpy makes an array of; what is lazy stays so.
    rgb : bool or None
        Whether the last axis is colour. None: it is if it has length 3 or 4 and at least two axes
        stand before it. That is no guess, since a plane 3 or 4 pixels wide cannot be fused.
    name : str
        What an error calls the image.

    Returns
    -------
    ImagePlanes
        Without an alpha channel.

    Raises
    ------
    ImageError
        It is no image of numbers, or its planes are too small.
    OptionError
        `rgb` is not a bool, or the last axis cannot be colour.
    """
    image = as_array(image, name)
    if not (rgb is None or isinstance(rgb, (bool, np.bool_))):
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
    values = image[..., :3] if in_color else image
    leading = values.shape[: -3 if in_color else -2]
    return ImagePlanes(values, name, in_color, tuple(leading), values)


def common_leading(inputs: tuple[ImagePlanes, ...]) -> tuple[int, ...]:
    """Return the shape of the stack that all broadcast to; raise ImageError if there is none."""
    first, *others = inputs
    for other in others:
        if other.sides != first.sides:
            raise ImageError(
                f"{first.label} has planes of {format_sides(first.sides)} and {other.label} of "
                f"{format_sides(other.sides)}: expected images on the same grid; resample one "
                "of them onto the other's first."
            )
    try:
        return np.broadcast_shapes(*(image.leading for image in inputs))
    except ValueError:
        stacks = " and ".join(f"{i.label} of {i.leading} planes" for i in inputs)
        raise ImageError(
            f"The stacks do not match, {stacks}: expected stacks of the same shape, or one plane "
            "for a whole stack."
        ) from None


def broadcast(image: ImagePlanes, leading: tuple[int, ...]) -> ImagePlanes:
    """Return the image as a stack of that shape; nothing is copied."""
    return replace(image, leading=leading)


def format_sides(sides: tuple[int, int]) -> str:
    """Return a size for people, height first.

    Examples
    --------
    >>> format_sides((480, 640))
    '480×640 pixels'
    """
    return "{}×{} pixels".format(*sides)
