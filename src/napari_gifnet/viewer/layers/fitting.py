"""Layers without a scale: told by what they cover, and fitted onto the extent of another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_gifnet.grids.pairs import overlap
from napari_gifnet.grids.units import UNITLESS
from napari_gifnet.grids.world_grid import WorldGrid

from .source import check_layer

if TYPE_CHECKING:
    from napari.layers import Image

MOST_COVERED = 0.95
"""Share of a layer from which on nobody asks whether the other one's scale is missing."""


@dataclass(frozen=True)
class MissingScale:
    """Two layers of which one seems to lack a scale.

    Attributes
    ----------
    layer, onto : int
        Places of the layer that would be fitted, and of the other.
    note : str
        How much of what is covered, as a question.
    """

    layer: int
    onto: int
    note: str


def find_missing_scale(grids: Sequence[WorldGrid], axes: tuple[int, int]) -> MissingScale | None:
    """Return which of several layers seems to lack a scale, None if none does.

    Layers that nobody has placed, in pixels from 0 on, lie over each other in a corner if they have
    unequal numbers of pixels, and beside others anywhere. A layer that was moved is left alone: it
    may be a part of a picture.

    Parameters
    ----------
    grids : sequence of WorldGrid
        Of the layers.
    axes : (rows, columns)
        Of the planes, of the grid with the most axes.
    """
    largest = max(grid.ndim for grid in grids)
    behind = [axis % largest - largest for axis in axes]
    for place, grid in enumerate(grids[1:], 1):
        found = _compare((grids[0], grid), behind)
        if found is not None:
            layer, note = found
            return MissingScale(*((0, place) if layer == 0 else (place, 0)), note)
    return None


def _compare(grids: tuple[WorldGrid, WorldGrid], axes: list[int]) -> tuple[int, str] | None:
    """Return which of two lacks a scale, and the note."""
    unplaced = [_is_unplaced(grid, axes) for grid in grids]
    measured = [any(_unit(grid, axis) not in UNITLESS for axis in axes) for grid in grids]
    if not (all(unplaced) or (unplaced[0] and measured[1]) or (unplaced[1] and measured[0])):
        return None
    a, b = grids
    shares = overlap(b, a), overlap(a, b)  # what a covers of b, and b of a
    covering = int(shares[1] < shares[0])
    if min(shares) >= MOST_COVERED:
        return None
    pixels = [np.prod([_length(grid, axis) for axis in axes]) for grid in grids]
    layer = int(pixels[1] < pixels[0]) if all(unplaced) else unplaced.index(True)
    percent = max(round(100 * min(shares)), 1)
    names = grids[covering].name, grids[1 - covering].name
    return layer, f"{names[0]} covers {percent} % of {names[1]}; is a scale missing?"


def _is_unplaced(grid: WorldGrid, axes: list[int]) -> bool:
    n = grid.ndim
    inside = [axis + n for axis in axes if axis + n >= 0]
    rows = grid.matrix[inside]
    return bool(
        all(grid.units[axis] in UNITLESS for axis in inside)
        and np.allclose(rows, np.eye(n + 1)[inside])
    )


def _unit(grid: WorldGrid, axis: int) -> str:
    return grid.units[axis] if axis + grid.ndim >= 0 else "pixel"


def _length(grid: WorldGrid, axis: int) -> int:
    return grid.shape[axis] if axis + grid.ndim >= 0 else 1


def fit_extent(layer: Image, onto: Image, axes: tuple[int, int] = (-2, -1)) -> dict[str, Any]:
    """Return what is to be set of a layer so that its planes fill the extent of another's.

    Parameters
    ----------
    layer : napari.layers.Image
        Which lacks a scale.
    onto : napari.layers.Image
        Whose place it is to take.
    axes : (rows, columns)
        Of the planes, counted from the last. Along other axes it keeps its own place, unless both
        have as many planes.

    Returns
    -------
    dict
        scale, translate, rotate, shear, affine and units, to be set as attributes.

    Raises
    ------
    ImageError
        One is no image layer, or `onto` is turned out of the axes that both have.

    Examples
    --------
    >>> from napari.layers import Image
    >>> thermal, photo = Image(np.zeros((24, 32))), Image(np.zeros((48, 64)))
    >>> fit_extent(thermal, photo)["scale"].tolist()
    [2.0, 2.0]
    """
    check_layer(layer)
    check_layer(onto)
    own, place = WorldGrid.from_layer(layer), WorldGrid.from_layer(onto)
    while place.ndim > own.ndim:
        place = place.without_leading_axis()
    place = place.with_leading_axes_of(own)
    keeps = [
        axis
        for axis in range(own.ndim)
        if axis - own.ndim not in axes and own.shape[axis] != place.shape[axis]
    ]
    shape, scale, translate, units = (
        list(each) for each in (place.shape, place.scale, place.translate, place.units)
    )
    for axis in keeps:
        shape[axis], scale[axis] = own.shape[axis], own.scale[axis]
        translate[axis], units[axis] = own.translate[axis], own.units[axis]
    filled = replace(
        place,
        shape=tuple(shape),
        scale=np.array(scale),
        translate=np.array(translate),
        units=tuple(units),
    ).with_shape(own.shape)
    return {name: each for name, each in filled.layer_kwargs().items() if name != "axis_labels"}
