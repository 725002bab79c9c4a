"""Regions of a grid: the plane on display, the view, the box around a shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_gifnet.errors import ImageError

from .pairs import TOLERANCE
from .units import unit_factors
from .world_grid import WorldGrid

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def displayed_axes(order: Sequence[int], ndim: int) -> tuple[int, int]:
    """Return the axes of an n-D layer that a viewer shows as rows and columns.

    `order` is ``viewer.dims.order``; a layer of fewer dimensions takes the last ones, as in napari.
    """
    rows, columns = ordered_axes(order, ndim)[-2:]
    return rows, columns


def ordered_axes(order: Sequence[int], ndim: int) -> tuple[int, ...]:
    """Return the axes of an n-D layer in the order in which a viewer has them, see above."""
    return tuple(np.argsort(np.argsort(order[-ndim:])).tolist())


def plane_at(
    grid: WorldGrid,
    point: ArrayLike,
    axes: tuple[int, int],
    units: Sequence[Any] | None = None,
    within: tuple[slice, ...] | None = None,
) -> tuple[slice, ...]:
    """Return the region of the plane that napari shows at a point of the world.

    Parameters
    ----------
    grid : WorldGrid
        Of the image that is shown.
    point : array-like, shape (m,)
        World coordinates, ``viewer.dims.point``; trailing axes are aligned.
    axes : pair of int
        The axes of the grid that are displayed; the point's coordinates along them do not matter.
    units : sequence of units, optional
        Those of the point, ``viewer.dims.units``, where they are not the grid's.
    within : tuple of slice, optional
        A region of the grid: the plane is cut to it, the nearest one where it has none there.

    Returns
    -------
    tuple of slice
        One for each axis of the grid, of length 1 along those that are not displayed.

    Raises
    ------
    ImageError
        The grid has no plane there, and no region was given.

    Examples
    --------
    >>> pet = WorldGrid((61, 88, 74), scale=2.5, units="mm", name="PET")
    >>> plane_at(pet, (50_000, 0, 0), (1, 2), ("um",) * 3)[0]
    slice(20, 21, None)
    """
    at = grid.to_world((np.array(grid.shape) - 1) / 2)
    given = np.asarray(point, float)[-grid.ndim :]
    factors = 1.0 if units is None else unit_factors(units, grid.units)[-len(given) :]
    at[-len(given) :] = given * factors
    hidden = [axis for axis in range(grid.ndim) if axis not in axes]
    inverse = grid.inverse
    index = np.rint(inverse[np.ix_(hidden, hidden)] @ at[hidden] + inverse[hidden, -1]).astype(int)
    region = [slice(None)] * grid.ndim if within is None else list(within)
    allowed = grid.ranges(region)
    for axis, i in zip(hidden, index.tolist(), strict=True):
        if within is not None:
            i = min(max(i, allowed[axis].start), allowed[axis].stop - 1)
        elif i not in allowed[axis]:
            raise ImageError(
                f"The current slice lies outside of {grid.name!r}, which spans {grid.extent_text}: "
                "move the slider to it, or fuse all slices."
            )
        region[axis] = slice(i, i + 1)
    return tuple(region)


def box_around(
    grid: WorldGrid, points: ArrayLike, axes: tuple[int, int], units: Sequence[Any] | None = None
) -> tuple[slice, ...]:
    """Return the smallest region of voxels that holds all points; whole along all but `axes`.

    Parameters
    ----------
    grid : WorldGrid
        Of the image that the box is cut out of.
    points : array-like, shape (k, m)
        World coordinates: the corners of a view, the vertices of a shape.
    axes : pair of int
        The axes of the grid along which it is cut.
    units : sequence of units, optional
        Those of the points, where they are not the grid's.

    Returns
    -------
    tuple of slice
        One for each axis of the grid.

    Raises
    ------
    ImageError
        The box lies outside of the grid.

    Examples
    --------
    >>> box_around(WorldGrid((40, 50)), [(9.6, 20), (15, 30.4)], (0, 1))
    (slice(10, 16, None), slice(20, 31, None))
    """
    index = grid.to_index(points, units)
    low = np.floor(index.min(axis=0) + 0.5 + TOLERANCE).astype(int)
    high = np.ceil(index.max(axis=0) + 0.5 - TOLERANCE).astype(int)
    region = [slice(None)] * grid.ndim
    for axis in axes:
        start, stop = max(low[axis], 0), min(max(high[axis], low[axis] + 1), grid.shape[axis])
        if start >= stop:
            raise ImageError(
                f"The region lies outside of {grid.name!r}, which spans {grid.extent_text}: "
                "move it onto the image."
            )
        region[axis] = slice(int(start), int(stop))
    return tuple(region)
