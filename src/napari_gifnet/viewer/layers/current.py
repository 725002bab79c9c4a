"""What a viewer shows now: its point, its axes, its view. Asked in one place, without Qt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_gifnet.errors import OptionError
from napari_gifnet.grids.regions import ordered_axes
from napari_gifnet.grids.units import unit_factors
from napari_gifnet.grids.world_grid import WorldGrid

from .source import check_layer

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Image

Box = tuple[tuple[float, ...], tuple[float, ...]]


@dataclass(frozen=True)
class Current:
    """What a viewer showed when it was asked.

    Attributes
    ----------
    point : tuple of float
        Where the sliders are, in world coordinates.
    units : tuple of unit, or None
        Of the world's axes; None where napari (before 0.9) does not tell.
    order : tuple of int
        The axes of the world, the displayed ones last.
    view : ((low, …), (high, …)), or None
        The box of the world that is visible; None where nobody asked for it.
    thickness : tuple of float
        Of the slices that are shown, along each axis.
    """

    point: tuple[float, ...]
    units: tuple[Any, ...] | None
    order: tuple[int, ...]
    view: Box | None = None
    thickness: tuple[float, ...] = ()

    @classmethod
    def of(cls, viewer: Viewer, *layers: Image, with_view: bool = False) -> Current:
        """Ask a viewer.

        Parameters
        ----------
        viewer : napari.Viewer
        *layers : napari.layers.Image
            Which the view is of, if it is wanted.
        with_view : bool
            Whether to find out the view.

        Raises
        ------
        OptionError
            The view is not known, see `visible_box`.
        """
        dims = viewer.dims
        units = getattr(dims, "units", None)  # new in napari 0.9
        units = None if units is None else tuple(units)
        view = None
        if with_view and dims.ndisplay == 2 and any(layer.multiscale for layer in layers):
            view = camera_box(viewer)
        elif with_view:
            view = visible_box(units, *layers)
        return cls(tuple(dims.point), units, tuple(dims.order), view, tuple(dims.thickness))

    def note_on_thick_slices(
        self, layers: Sequence[Image], axes: tuple[int, int], ndim: int
    ) -> str | None:
        """Return a sentence if a layer is shown as the mean, say, of several planes; else None.

        Parameters
        ----------
        layers : sequence of napari.layers.Image
        axes : (rows, columns)
            Of the planes, of `ndim` axes.
        ndim : int
        """
        shown = [axis - ndim + len(self.thickness) for axis in axes]
        if not any(thick > 0 for axis, thick in enumerate(self.thickness) if axis not in shown):
            return None
        for layer in layers:
            mode = str(layer.projection_mode)
            if mode != "none" and layer.ndim > 2:
                return f"{layer.name} is shown as the {mode} over thick slices, and fused plane by plane"
        return None

    def axes_of(self, grid: WorldGrid) -> tuple[int, int]:
        """Return the axes of a grid that are displayed as rows and columns."""
        rows, columns = self.order_of(grid)[-2:]
        return rows, columns

    def order_of(self, grid: WorldGrid) -> tuple[int, ...]:
        """Return the axes of a grid, the displayed ones last."""
        missing = max(grid.ndim - len(self.order), 0)
        order = (*range(missing), *(axis + missing for axis in self.order))
        return ordered_axes(order, grid.ndim)

    def within(self, grid: WorldGrid, axis: int) -> Current:
        """Return the same with the slider of an axis in the middle of a grid, wherever it is."""
        place = axis - grid.ndim + len(self.point)
        if place < 0:
            return self
        middle = grid.to_world((np.array(grid.shape) - 1) / 2)[axis]
        if self.units is not None:
            middle *= unit_factors(grid.units[axis : axis + 1], self.units[place : place + 1])[0]
        return replace(self, point=(*self.point[:place], float(middle), *self.point[place + 1 :]))


def camera_box(viewer: Viewer) -> Box:
    """Return the box of the world that the canvas of a viewer shows, in the viewer's units.

    Of a multiscale layer napari knows the tile that was loaded, which may be much larger. Only the
    coordinates along the displayed axes mean anything.
    """
    camera = getattr(viewer, "scene", viewer).camera  # viewer.camera before napari 0.9
    sides = np.array(viewer.canvas.size, float)
    if viewer.canvas.grid.enabled:
        sides /= viewer.canvas.grid.actual_shape(viewer.layers)
    low = np.array(viewer.dims.point, float)
    high = low.copy()
    shown = list(viewer.dims.displayed)
    low[shown] = camera.center[-2:] - sides / 2 / camera.zoom
    high[shown] = camera.center[-2:] + sides / 2 / camera.zoom
    return tuple(low.tolist()), tuple(high.tolist())


def visible_box(units: Any, *layers: Image) -> Box:
    """Return the box of the world that a viewer shows: its lowest and highest corner.

    It ends where the layer ends. Only the coordinates along the displayed axes mean anything.

    Parameters
    ----------
    units : sequence of unit, or None
        Of the viewer; the box is in them.
    *layers : napari.layers.Image
        Drawn by the viewer. Several will do as well, where napari (0.9.2) does not know what is
        visible of one: it forgets to convert units if those of the viewer are others; for
        multiscale ones see `camera_box`.

    Raises
    ------
    OptionError
        No layer is in the units of the viewer.
    """
    for layer in layers:
        check_layer(layer)
    for layer in sorted(layers, key=lambda image: image.multiscale):
        shown = WorldGrid.from_layer(layer, layer.data_level)
        if units is None or (unit_factors(shown.units, units) == 1).all():
            low, high = np.array(layer.corner_pixels, float)
            corners = shown.to_world(list(product(*zip(low - 0.5, high + 0.5, strict=True))))
            return tuple(corners.min(axis=0).tolist()), tuple(corners.max(axis=0).tolist())
    raise OptionError(
        f"What is visible of {layers[0].name!r}, in {layers[0].units[-1]:~}, is not known in a "
        f"viewer that shows {units[-1]:~}: set its units, or choose the region with a Shapes layer."
    )
