"""Images with a place in the world: the grid on which they are fused, and their planes on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from napari_gifnet.errors import OptionError
from napari_gifnet.grids.pairs import common_grid, finest_grid, same_grid, unit_note
from napari_gifnet.grids.resample import Resampled
from napari_gifnet.grids.world_grid import WorldGrid
from napari_gifnet.planes.color import Appearance
from napari_gifnet.planes.image import ImagePlanes
from napari_gifnet.planes.ranges import Range
from napari_gifnet.planes.tasks import PANSHARPENING

__all__ = ["PlacedImage", "choose_grid", "describe_grids", "grid_choice", "interpolation_order"]

_ORDERS: dict[str, Literal[1, 3]] = {"linear": 1, "cubic": 3}


@dataclass(frozen=True, eq=False)
class PlacedImage:
    """An image and where its pixels lie.

    Attributes
    ----------
    name : str
    data : array (..., Y, X) or (..., Y, X, 3 | 4)
        A dask array, or anything else that slices, where the values are not in memory.
    grid : WorldGrid
        Of `data`.
    rgb : bool
        The last axis of `data` is colour.
    shown : (low, high), optional
        The values that a viewer shows black and white.
    appearance : Appearance or None
        What is applied of a layer's gamma and colormap.
    """

    name: str
    data: Any
    grid: WorldGrid
    rgb: bool
    shown: Range | None
    appearance: Appearance | None

    def lies_on(self, grid: WorldGrid) -> bool:
        """Whether no resampling is needed."""
        return same_grid(grid, self.grid)

    def planes_on(
        self,
        grid: WorldGrid,
        region: tuple[slice, ...],
        axes: tuple[int, int],
        order: Literal[1, 3],
    ) -> ImagePlanes:
        """Return the image as planes of a region of a grid, each resampled when it is asked for.

        Parameters
        ----------
        grid : WorldGrid
        region : tuple of slice
            In voxels of `grid`.
        axes : (rows, columns)
            The axes of the planes.
        order : 1 or 3
            Of the interpolation.
        """
        shape = tuple(part.stop - part.start for part in region)
        if self.lies_on(grid):
            values = _oriented(self._cropped(grid, region), shape, axes)
        else:
            values = Resampled(self.data, self.grid, grid, region, axes, order)
        return ImagePlanes(
            values=values,
            name=self.name,
            rgb=self.rgb,
            leading=tuple(n for axis, n in enumerate(shape) if axis not in axes),
            measured=self.data[..., :3] if self.rgb else self.data,
            shown=self.shown,
            appearance=self.appearance,
        )

    def _cropped(self, grid: WorldGrid, region: tuple[slice, ...]) -> Any:
        """Return the values of a region of a grid that the image lies on, axes it lacks of length 1."""
        values = self.data[tuple(region[-self.grid.ndim :])]
        return values[(None,) * (grid.ndim - self.grid.ndim)]


def _oriented(values: Any, shape: tuple[int, ...], axes: tuple[int, int]) -> Any:
    """Return values on a grid of `shape` with rows and columns behind the other axes."""
    ndim = len(shape)
    leading = [axis for axis in range(ndim) if axis not in axes]
    for axis in axes:  # a plane that lies across an axis which the image lacks
        if values.shape[axis] != shape[axis]:
            values = values.repeat(shape[axis], axis)
    return values.transpose(*leading, *axes, *range(ndim, values.ndim))


def interpolation_order(name: str) -> Literal[1, 3]:
    """Return the order of an interpolation; raise OptionError if there is none of that name."""
    if name not in _ORDERS:
        raise OptionError(f"interpolation={name!r} is unknown: expected 'linear' or 'cubic'.")
    return _ORDERS[name]


def grid_choice(choice: Any, task: str | None) -> Any:
    """Return whose grid a result is on, "auto" resolved for a task.

    It is that of the panchromatic image for pansharpening, else the finer one.
    """
    if choice != "auto":
        return choice
    return "b" if task == PANSHARPENING.name else "finer"


def choose_grid(
    a: WorldGrid, b: WorldGrid, choice: str, task: str | None
) -> tuple[WorldGrid, bool, str | None]:
    """Return the grid on which two images are fused, in planes of the last two axes.

    Parameters
    ----------
    a, b : WorldGrid
    choice : {"auto", "a", "b", "finer"}
        "auto" as `grid_choice` has it.
    task : str or None
        The preset.

    Returns
    -------
    grid : WorldGrid
        That of one of them, whole.
    is_first : bool
        Whether it is a's.
    note : str or None
        A sentence on units that have nothing in common.
    """
    choice = grid_choice(choice, task)
    if choice == "finer":
        choice = "b" if finest_grid([a, b]) else "a"
    return common_grid(a, b, choice), choice == "a", unit_note(a, b)  # type: ignore[arg-type]


def describe_grids(images: Sequence[PlacedImage], grid: WorldGrid, interpolation: str) -> str:
    """Return in words which of several images are resampled, and how."""
    moved = [image for image in images if not image.lies_on(grid)]
    if not moved:
        return "same grid"
    kept = next(image for image in images if image not in moved)
    which = moved[0].name if len(moved) == 1 else f"{len(moved)} layers"
    return f"{which} resampled onto the grid of {kept.name}, {interpolation}"
