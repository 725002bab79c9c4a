"""Which part of a grid is to be computed: all, a slice, the view, a box, or a mixture."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_gifnet.errors import ImageError, OptionError
from napari_gifnet.grids.pairs import overlap
from napari_gifnet.grids.regions import box_around, plane_at
from napari_gifnet.grids.world_grid import WorldGrid

from .current import Box, Current
from .source import Source

if TYPE_CHECKING:
    from napari.layers import Shapes
    from numpy.typing import NDArray

Region = tuple[slice, ...]


def needs_view(extent: Any) -> bool:
    """Return whether an extent is, or has a share in, the viewer's view."""
    if isinstance(extent, (tuple, list)):
        return any(needs_view(part) for part in extent)
    return isinstance(extent, str) and extent == "view"


def choose_axes(
    grid: WorldGrid, axes: tuple[int, int] | None, current: Current | None
) -> tuple[int, int]:
    """Return the axes of the planes: those asked for, else those on display, else the last two."""
    if axes is not None:
        inside = [
            int(axis) % grid.ndim
            for axis in axes
            if isinstance(axis, (int, np.integer)) and -grid.ndim <= axis < grid.ndim
        ]
        if len(inside) == len(axes) == 2 and inside[0] != inside[1]:
            return inside[0], inside[1]
        raise OptionError(
            f"axes={axes!r} are not two of the {grid.ndim} axes of {grid.name!r}: expected "
            "(rows, columns), for instance (-2, -1)."
        )
    if current is None:
        return grid.ndim - 2, grid.ndim - 1
    return current.axes_of(grid)


def choose_region(
    grid: WorldGrid, axes: tuple[int, int], extent: Any, current: Current | None
) -> Region:
    """Return the voxels of a grid that are meant.

    Parameters
    ----------
    grid : WorldGrid
    axes : (rows, columns)
        Of the planes.
    extent : {"all", "slice", "view"}, Shapes layer, box or slices, or a tuple of the first four
        As `LayerOptions` describes it.
    current : Current, optional
        What the viewer shows.

    Raises
    ------
    ImageError
        Nothing of the grid is there.
    OptionError
        `extent` is not understood, or asks for a viewer where there is none.
    """
    return _normal(grid, _find(grid, axes, extent, current))


def covered_share(source: Source, grid: WorldGrid, region: Region) -> float:
    """Return how much of a region has values of a layer, 0 excluded."""
    if source.lies_on(grid):
        return 1.0
    share = overlap(grid.crop(region), source.grid)
    if share == 0:
        raise ImageError(
            f"The region lies outside of {source.name!r}, which spans {source.grid.extent_text}: "
            "move it to where the layers overlap."
        )
    return share


def _find(grid: WorldGrid, axes: tuple[int, int], extent: Any, current: Current | None) -> Region:
    from napari.layers import Shapes

    if isinstance(extent, str) and extent == "all":
        return (slice(None),) * grid.ndim
    if isinstance(extent, str) and extent in ("slice", "view"):
        if current is None or (extent == "view" and current.view is None):
            raise OptionError(
                f"extent={extent!r} is that of a viewer, and none is given: add viewer=viewer."
            )
        if extent == "slice":
            return plane_at(grid, current.point, axes, current.units)
        return _around(grid, _corners(current.view), axes, current)
    if isinstance(extent, Shapes):
        vertices, units = _vertices(extent), extent.units
        return box_around(grid, vertices, _shared(grid, axes, vertices), units)
    if isinstance(extent, (tuple, list)) and len(extent) > 0:
        if all(isinstance(part, slice) for part in extent) and len(extent) == grid.ndim:
            return tuple(extent)
        if all(isinstance(part, (str, Shapes)) for part in extent):
            regions = [choose_region(grid, axes, part, current) for part in extent]
            return tuple(
                slice(max(p.start for p in parts), min(p.stop for p in parts))
                for parts in zip(*regions, strict=True)
            )
        box = _as_box(extent)
        if box is not None:
            return _around(grid, _corners(box), tuple(range(grid.ndim)), current)
    raise OptionError(
        f"extent={extent!r} is not understood: expected 'all', 'slice', 'view', a Shapes layer, a "
        f"box ((low, …), (high, …)) of the world, or {grid.ndim} slices."
    )


def _around(
    grid: WorldGrid, corners: Any, axes: tuple[int, ...], current: Current | None
) -> Region:
    units = None if current is None else current.units
    return box_around(grid, corners, _shared(grid, axes, corners), units)


def _shared(grid: WorldGrid, axes: tuple[int, ...], points: NDArray[np.floating]) -> Any:
    """Return those of the axes along which the points have a coordinate."""
    return tuple(axis for axis in axes if axis >= grid.ndim - points.shape[-1])


def _corners(box: Any) -> NDArray[np.floating]:
    return np.array(list(product(*zip(*box, strict=True))), float)


def _vertices(shapes: Shapes) -> NDArray[np.floating]:
    """Return the world coordinates of the selected shapes' vertices, of all if none is selected."""
    chosen = sorted(shapes.selected_data) or range(len(shapes.data))
    if not chosen:
        raise OptionError(f"Shapes layer {shapes.name!r} is empty: draw a shape in it.")
    vertices = np.concatenate([shapes.data[i] for i in chosen])
    return np.array([shapes.data_to_world(vertex) for vertex in vertices])


def _as_box(extent: Any) -> Box | None:
    try:
        box = np.array(extent, float)
    except (TypeError, ValueError):
        return None
    if box.ndim != 2 or len(box) != 2 or not np.isfinite(box).all() or (box[0] > box[1]).any():
        return None
    return tuple(box[0]), tuple(box[1])


def _normal(grid: WorldGrid, slices: Region) -> Region:
    """Return slices with a start and a stop within the grid, and a step of one."""
    ranges = [range(n)[part] for part, n in zip(slices, grid.shape, strict=True)]
    if not all(len(r) and r.step == 1 for r in ranges):
        raise OptionError(
            f"extent={slices!r} is no part of {grid.name!r}, whose shape is {grid.shape}: "
            "expected slices that hold a voxel at least, without steps."
        )
    return tuple(slice(r.start, r.stop) for r in ranges)
