"""How a volume is stored, and the canonical orientation that it is read in.

Volumes of patients come as axial planes, (Z, Y, X): Z towards the head's top, Y towards the back, X
towards the left, the axes of DICOM ("LPS"), so that a plane is seen as in a viewer of hospitals. Of
an oblique volume each axis is the one that comes closest. Nothing is interpolated: axes are
exchanged and flipped, which `Orientation` remembers, to be undone when a result is written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import permutations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .image_file import FileError, ImageFile
from .lengths import Length, convert, find_unit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_gifnet.grids.world_grid import WorldGrid

__all__ = [
    "SPATIAL",
    "Orientation",
    "find_orientation",
    "grid_of_spacing",
    "grid_of_volume",
    "matrix_of_grid",
    "stored_like",
    "volume_first",
]

SPATIAL = "ZYX"
"""The letters of the axes of a volume, in the order of an array."""

_ORTHOGONAL = 1e-5
"""Directions whose products are smaller are at right angles: headers hold seven digits."""


@dataclass(frozen=True, eq=False)
class Orientation:
    """How a file stores a volume.

    Attributes
    ----------
    order : (z, y, x)
        Which of the file's indices (i, j, k) becomes which axis.
    flipped : (z, y, x)
        Which of the axes are counted from the other end.
    matrix : array (4, 4)
        From the file's indices (i, j, k) to the world (left, back, top), homogeneous.
    unit : str
        Of the world: "mm", "µm" …
    header : object, optional
        What else the file says, for a result in the same format.
    """

    order: tuple[int, int, int]
    flipped: tuple[bool, bool, bool]
    matrix: NDArray[np.float64]
    unit: str = "mm"
    header: Any = field(default=None, repr=False)

    def canonical(self, data: Any) -> Any:
        """Return a view (Z, Y, X, …) of an array (i, j, k, …)."""
        data = data.transpose(*self.order, *range(3, data.ndim))
        return data[self._turns]

    def stored(self, data: Any) -> Any:
        """Return a view (i, j, k, …) of an array (Z, Y, X, …): what `canonical` did, undone."""
        data = data[self._turns]
        back = np.argsort(self.order).tolist()
        return data.transpose(*back, *range(3, data.ndim))

    def in_unit(self, unit: str) -> Orientation:
        """Return the same with lengths in another unit; unknown ones are taken for it."""
        factor = convert(Length(1.0, self.unit), unit)
        matrix = self.matrix.copy()
        matrix[:3] *= 1.0 if factor is None else factor
        return replace(self, matrix=matrix, unit=unit)

    @property
    def _turns(self) -> tuple[slice, ...]:
        return tuple(slice(None, None, -1) if flip else slice(None) for flip in self.flipped)


def find_orientation(
    path: Path, matrix: NDArray[np.float64], unit: str = "mm", header: Any = None
) -> Orientation:
    """Find the canonical orientation that comes closest to a volume's.

    Parameters
    ----------
    path : Path
        For errors.
    matrix : array (4, 4)
        From the file's indices (i, j, k) to the world (left, back, top).
    unit, header
        As in `Orientation`.

    Raises
    ------
    FileError
        The matrix gives the voxels no extent.

    Examples
    --------
    >>> coronal = np.array([[0, -2.0, 0, 9], [0, 0, 3, 0], [1, 0, 0, 0], [0, 0, 0, 1]])
    >>> found = find_orientation(Path("scan.nii"), coronal)
    >>> found.order, found.flipped
    ((0, 2, 1), (False, False, True))
    """
    linear = matrix[:3, :3]
    if not np.isfinite(matrix).all() or not _has_extent(linear):
        raise FileError(
            f"{path} has voxels without extent: expected an affine that can be undone; its header "
            "is damaged, write it anew with the program that made it."
        )
    left, _, right = np.linalg.svd(linear / np.linalg.norm(linear, axis=0))
    turn = (left @ right)[::-1]  # rows: top, back, left
    order = max(permutations(range(3)), key=lambda it: sum(abs(turn[z, it[z]]) for z in range(3)))
    flipped = tuple(bool(turn[axis, order[axis]] < 0) for axis in range(3))
    return Orientation(order, flipped, matrix, unit, header)  # type: ignore[arg-type]


def _has_extent(linear: NDArray[np.float64]) -> bool:
    steps = np.linalg.norm(linear, axis=0)
    return bool(steps.all() and abs(np.linalg.det(linear / steps)) > 1e-6)


def grid_of_volume(
    orientation: Orientation, shape: Sequence[int], axes: str, name: str
) -> tuple[WorldGrid, dict[str, Length]]:
    """Return where the voxels of a volume lie that was read in its canonical orientation.

    Parameters
    ----------
    orientation : Orientation
    shape : sequence of int
        Of the data, without colour.
    axes : str
        Their letters, which end in "ZYX".
    name : str
        Of the image.

    Returns
    -------
    grid : WorldGrid
    spacing : dict
        As in `ImageFile`.
    """
    linear, origin = orientation.matrix[:3, :3], orientation.matrix[:3, 3].copy()
    columns = []
    for place, source in enumerate(orientation.order):
        step = linear[:, source]
        if orientation.flipped[place]:
            origin += step * (shape[len(shape) - 3 + place] - 1)
            step = -step
        columns.append(step[::-1])
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = np.stack(columns, axis=1), origin[::-1]
    steps = np.linalg.norm(matrix[:3, :3], axis=0)
    spacing = {
        axis: Length(float(step), orientation.unit)
        for axis, step in zip(SPATIAL, steps, strict=True)
    }
    return _place(matrix, shape, axes, orientation.unit, name), spacing


def grid_of_spacing(
    shape: Sequence[int],
    axes: str,
    spacing: Mapping[str, Length],
    name: str,
    origin: Mapping[str, float] | None = None,
) -> WorldGrid | None:
    """Return the grid of an image of which no more is known than how far its pixels lie apart.

    Parameters
    ----------
    shape : sequence of int
        Of the data, without colour.
    axes : str
        Their letters.
    spacing : mapping
        As in `ImageFile`. Inches are the resolution of a print, which says nothing about the scene.
    name : str
        Of the image.
    origin : mapping, optional
        Where the first pixel lies along an axis, in the unit of X; at 0, by default.

    Returns
    -------
    WorldGrid or None
        None, unless the spacing of all spatial axes is known.
    """
    letters = [axis for axis in SPATIAL if axis in axes]
    unit = spacing["X"].unit if "X" in spacing else ""
    steps = [convert(spacing[axis], unit) if axis in spacing else None for axis in letters]
    if not unit or "inch" in (find_unit(spacing[a].unit) for a in letters if a in spacing):
        return None
    known = [step for step in steps if step]
    if len(known) < len(letters) or axes[-len(letters) :] != "".join(letters):
        return None
    matrix = np.diag([*known, 1.0])
    matrix[:-1, -1] = [(origin or {}).get(axis, 0.0) for axis in letters]
    return _place(matrix, shape, axes, unit, name)


def _place(
    matrix: NDArray[np.float64], shape: Sequence[int], axes: str, unit: str, name: str
) -> WorldGrid:
    """Return the grid of a matrix of the spatial axes, which are the last ones."""
    from napari_gifnet.grids.world_grid import WorldGrid

    count = len(matrix) - 1
    front = len(shape) - count
    linear, origin = matrix[:-1, :-1], matrix[:-1, -1]
    steps = np.linalg.norm(linear, axis=0)
    turn = linear / steps
    right = bool(np.abs(turn.T @ turn - np.eye(count)).max() < _ORTHOGONAL)
    placed: dict[str, Any] = {}
    if right and not np.array_equal(turn, np.eye(count)):
        full = np.eye(len(shape))
        full[front:, front:] = turn
        placed["rotate"] = full
    elif not right:  # sheared, as by the tilt of a gantry
        affine = np.eye(len(shape) + 1)
        affine[front:-1, front:-1] = turn
        placed["affine"] = affine
        origin = np.linalg.solve(turn, origin)
    return WorldGrid(
        shape,
        scale=[*(1.0,) * front, *steps],
        translate=[*(0.0,) * front, *origin],
        units=[*("pixel",) * front, *(unit,) * count],
        axis_labels=list(axes.lower()),
        name=name,
        **placed,
    )


def matrix_of_grid(grid: WorldGrid, axes: str, unit: str = "mm") -> NDArray[np.float64]:
    """Return the matrix (4, 4) from indices (x, y, z) to the world (left, back, top) in a unit.

    Parameters
    ----------
    grid : WorldGrid
        Of an image with or without an axis Z.
    axes : str
        The letters of its axes, which end in "ZYX" or "YX".
    unit : str
        Numbers in units that have nothing in common with it (pixels) are taken for it.
    """
    from napari_gifnet.grids.units import unit_factors

    count = sum(axis in axes for axis in SPATIAL)
    factors = unit_factors(grid.units[-count:], (unit,) * count)[:, None]
    matrix = np.eye(4)
    part = grid.matrix[-1 - count : -1]
    matrix[:count, :count] = (factors * part[:, -1 - count : -1])[::-1, ::-1]
    matrix[:count, 3] = (factors[:, 0] * part[:, -1])[::-1]
    if count == 2:  # one plane, as thick as its pixels are long
        matrix[2, 2] = np.linalg.norm(matrix[:2, 0])
    return matrix


def stored_like(
    like: ImageFile, shape: Sequence[int], axes: str, spacing: Mapping[str, Length]
) -> Orientation:
    """Return how a volume is to be stored: as an image on whose grid it lies, else as it is.

    Parameters
    ----------
    like : ImageFile
    shape : sequence of int
        Of the data.
    axes : str
        Their letters.
    spacing : mapping
        As in `ImageFile`, where `like` has no grid, or one of another shape.
    """
    letters = axes.removesuffix("S")
    shape = tuple(shape[: len(letters)])
    count = sum(axis in letters for axis in SPATIAL)
    grid = like.grid
    if grid is None or grid.shape[-count:] != shape[-count:]:
        grid = grid_of_spacing(shape, letters, spacing, "image")
    elif like.orientation is not None and count == 3:
        return like.orientation
    if grid is None:
        return Orientation((2, 1, 0), (False,) * 3, np.eye(4))
    unit = grid.units[-1] if find_unit(grid.units[-1]) in ("mm", "µm", "m") else "mm"
    return Orientation((2, 1, 0), (False,) * 3, matrix_of_grid(grid, letters, unit), unit)


def volume_first(data: np.ndarray, letters: str) -> np.ndarray:
    """Return an array (Z, Y, X, T, C, …) of one whose axes have these letters, and maybe colour."""
    order = [letters.index(axis) for axis in "ZYXTC" if axis in letters]
    data = data.transpose(*order, *range(len(letters), data.ndim))
    for place, axis in enumerate("ZYXTC"):
        if axis not in letters:
            data = np.expand_dims(data, place)
    return data
