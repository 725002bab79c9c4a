"""Two images as a pair of pictures: planes or volumes, at one place of their other axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from napari_gifnet.errors import OptionError
from napari_gifnet.grids.units import unit_factor
from napari_gifnet.grids.world_grid import WorldGrid
from napari_gifnet.planes.arrays import as_array
from napari_gifnet.planes.image import open_image

from .picture import Picture, take

_FEW_PLANES = 12
"""A volume of fewer is a stack of planes."""


class Opened(NamedTuple):
    """An image with its grid."""

    data: Any
    grid: WorldGrid
    rgb: bool
    name: str


def open_pair(
    fixed: Any,
    moving: Any,
    fixed_grid: WorldGrid | None,
    moving_grid: WorldGrid | None,
    rgb: bool | tuple[bool | None, bool | None] | None,
) -> tuple[Opened, Opened]:
    """Return two images with their grids, in pixels where none is given."""
    each_rgb = rgb if isinstance(rgb, (tuple, list)) else (rgb, rgb)
    if len(each_rgb) != 2:
        raise OptionError(f"rgb={rgb!r} is not understood: expected one value, or two.")
    opened = []
    for name, image, grid, in_color in (
        ("fixed", fixed, fixed_grid, each_rgb[0]),
        ("moving", moving, moving_grid, each_rgb[1]),
    ):
        data = as_array(image, name)
        color = open_image(data, in_color, name).rgb
        sides = data.shape[:-1] if color else data.shape
        opened.append(Opened(data, grid or WorldGrid(sides, name=name), color, name))
    return opened[0], opened[1]


def choose_ndim(fixed: WorldGrid, moving: WorldGrid, ndim: int | None) -> int:
    """Return whether planes (2) or volumes (3) are aligned."""
    most = min(fixed.ndim, moving.ndim)
    if ndim is not None:
        if ndim not in (2, 3) or ndim > most:
            raise OptionError(
                f"ndim={ndim!r} does not fit images of {fixed.ndim} and {moving.ndim} axes: expected "
                f"{' or '.join(map(str, range(2, min(most, 3) + 1)))}."
            )
        return ndim
    if most < 3 or min(fixed.shape[-3], moving.shape[-3]) < _FEW_PLANES:
        return 2
    in_time = any(unit_factor(grid.units[-3], "s") is not None for grid in (fixed, moving))
    return 2 if in_time else 3


def take_pair(
    fixed: Opened,
    moving: Opened,
    ndim: int,
    point: Sequence[float] | None = None,
    units: Sequence[Any] | None = None,
) -> tuple[Picture, Picture]:
    """Return two images as pictures of `ndim` axes, cut at one point of the world.

    Parameters
    ----------
    fixed, moving : Opened
    ndim : int
        2 or 3.
    point : sequence of float, optional
        Of the world; the middle of whichever image has more axes than `ndim`, by default.
    units : sequence of units, optional
        Of the point.
    """
    if point is None:
        deeper = fixed if fixed.grid.ndim >= moving.grid.ndim else moving
        middle = (np.array(deeper.grid.shape) - 1) // 2
        point, units = deeper.grid.to_world(middle).tolist(), deeper.grid.units
    pictures = []
    for data, grid, rgb, name in (fixed, moving):
        extra = grid.ndim - ndim
        index = np.rint(grid.to_index(point, units))[:extra].astype(int)
        place = index.clip(0, np.array(grid.shape[:extra], int) - 1).tolist()
        pictures.append(take(data, grid, rgb, ndim, place, name))
    return pictures[0], pictures[1]
