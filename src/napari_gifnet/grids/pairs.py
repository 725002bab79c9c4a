"""Two grids: where the voxels of one lie in the other, and on which of them both are fused."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product
from typing import TYPE_CHECKING, Literal

import numpy as np

from napari_gifnet.errors import ImageError, OptionError

from .units import short_name, unit_factor, unit_factors
from .world_grid import WorldGrid

if TYPE_CHECKING:
    from numpy.typing import NDArray

TOLERANCE = 0.01
"""Displacements below this fraction of a voxel count as none: file headers round their numbers."""


def index_map(
    target: WorldGrid, source: WorldGrid
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (M, o) so that the voxel of `source` at a voxel i of `target` is M · i + o.

    M has shape (n_source, n_target), with n_target ≥ n_source; leading world axes that only the
    target has do not matter. Entries that move nothing by `TOLERANCE` of a voxel are exactly 0.
    """
    n = source.ndim
    factors = unit_factors(target.units, source.units)[-n:, None]
    to_world = np.eye(n + 1, target.ndim + 1)
    to_world[:-1] = factors * target.matrix[-1 - n : -1]
    to_world[-1] = np.eye(target.ndim + 1)[-1]
    matrix, offset = np.split((source.inverse @ to_world)[:-1], [target.ndim], axis=1)
    moves = np.abs(matrix) * target.shape
    matrix[(moves < TOLERANCE) & (moves < moves.max(axis=1, keepdims=True))] = 0
    return matrix, offset[:, 0]


def same_grid(a: WorldGrid, b: WorldGrid) -> bool:
    """Return whether no voxel of one is more than `TOLERANCE` of a voxel from the other's.

    Parameters
    ----------
    a, b : WorldGrid
        Shapes must agree on the shared (trailing) axes; leading axes that only one has do not
        matter.

    Returns
    -------
    bool
        Whether they are one grid.

    Examples
    --------
    >>> same_grid(WorldGrid((5, 6), units="mm"), WorldGrid((5, 6), scale=1000, units="um"))
    True
    """
    if a.ndim < b.ndim:
        a, b = b, a
    if a.shape[-b.ndim :] != b.shape:
        return False
    matrix, offset = index_map(a, b)
    off = np.abs(matrix - np.eye(b.ndim, a.ndim, a.ndim - b.ndim))
    return bool((off @ (np.array(a.shape) - 1) + np.abs(offset)).max() <= TOLERANCE)


def overlap(a: WorldGrid, b: WorldGrid) -> float:
    """Return the share of the voxels of one grid that lie in another.

    Parameters
    ----------
    a : WorldGrid
        Whose voxels are counted.
    b : WorldGrid
        Where they lie or not.

    Returns
    -------
    float
        0 to 1; of grids that are turned against each other an estimate, from samples.

    Examples
    --------
    >>> overlap(WorldGrid((10, 10)), WorldGrid((10, 10), translate=(0, 5)))
    0.5
    """
    a = a.with_leading_axes_of(b)
    matrix, offset = index_map(a, b)
    extra = a.ndim - b.ndim
    low, high = np.zeros(a.ndim), np.array(a.shape) - 1.0
    if not matrix[:, :extra].any():
        edges = np.array(list(product(*((-0.5, n - 0.5) for n in b.shape))))
        corners = np.linalg.solve(matrix[:, extra:], (edges - offset).T).T
        low[extra:] = np.maximum(low[extra:], np.ceil(corners.min(axis=0) - TOLERANCE))
        high[extra:] = np.minimum(high[extra:], np.floor(corners.max(axis=0) + TOLERANCE))
    if (low > high).any():
        return 0.0
    most = math.ceil(30_000 ** (1 / a.ndim))
    samples = []
    for first, count in zip(low, high - low + 1, strict=True):
        n = int(min(count, most))
        samples.append(first - 0.5 + (np.arange(n) + 0.5) * count / n)
    at = np.stack(np.meshgrid(*samples), axis=-1) @ matrix.T + offset
    inside = within(at, b.shape).all(axis=-1)
    return float(inside.mean() * np.prod((high - low + 1) / a.shape))


def within(indices: NDArray[np.float64], lengths: int | Sequence[int]) -> NDArray[np.bool_]:
    """Return which fractional indices lie on voxels: from −½ to length − ½, edges included."""
    return (indices > -0.5 - TOLERANCE) & (indices < np.asarray(lengths) - 0.5 + TOLERANCE)


def common_grid(
    a: WorldGrid,
    b: WorldGrid,
    choice: Literal["a", "b", "finer"] = "a",
    axes: tuple[int, int] = (-2, -1),
) -> WorldGrid:
    """Return the grid on which two images are fused.

    Parameters
    ----------
    a, b : WorldGrid
        Leading axes that only one of them has are those of the result, too.
    choice : {"a", "b", "finer"}
        Whose grid it is; "finer" is that whose pixels are smaller in area, a's if they are alike.
    axes : (rows, columns)
        Of the planes whose pixels are compared: axes of the result.

    Returns
    -------
    WorldGrid
        That of a or b, whole.

    Raises
    ------
    ImageError
        They do not overlap, or a plane is to be the grid of a stack that is turned out of it.
    OptionError
        `choice` is none of the three.

    Examples
    --------
    >>> mri = WorldGrid((142, 208, 168), units="mm", name="MRI")
    >>> pet = WorldGrid((61, 88, 74), scale=2500, units="um", name="PET")
    >>> common_grid(pet, mri, "finer").name
    'MRI'
    """
    if choice not in ("a", "b", "finer"):
        raise OptionError(f"grid={choice!r} is unknown: expected 'a', 'b' or 'finer'.")
    if choice == "finer":
        choice = "b" if finest_grid([a, b], axes) else "a"
    target, source = (a, b) if choice == "a" else (b, a)
    target = target.with_leading_axes_of(source)
    check_overlap(target, source, a, b)
    return target


def check_overlap(target: WorldGrid, source: WorldGrid, a: WorldGrid, b: WorldGrid) -> None:
    """Raise ImageError, in the order of `a` and `b`, if no voxel of the target lies in the source."""
    if overlap(target, source) == 0:
        raise ImageError(
            f"The images do not overlap: {a.name!r} spans {a.extent_text}; {b.name!r} spans "
            f"{b.extent_text}; check their scale, translate and units."
        )


def finest_grid(grids: Sequence[WorldGrid], axes: tuple[int, int] = (-2, -1)) -> int:
    """Return the place of the grid whose pixels are the smallest in area, of the first if alike.

    A plane that cannot be the grid of a stack, since the stack is turned out of it, takes no part.

    Parameters
    ----------
    grids : sequence of WorldGrid
    axes : (rows, columns)
        Of the grid with the most axes.

    Examples
    --------
    >>> thick, thin = WorldGrid((9, 9, 9), scale=(5, 1, 1)), WorldGrid((9, 9, 9), scale=(1, 2, 2))
    >>> finest_grid([thick, thin]), finest_grid([thick, thin], (0, 1))
    (0, 1)
    """
    largest = max(grids, key=lambda grid: grid.ndim)
    behind = [axis % largest.ndim - largest.ndim for axis in axes]
    best, smallest = 0, math.inf
    for place, grid in enumerate(grids):
        try:
            full = grid.with_leading_axes_of(largest)
        except ImageError:
            continue
        steps = full.matrix[:-1, :-1] * unit_factors(full.units, largest.units)[:, None]
        plane = steps[:, behind]
        area = math.sqrt(abs(np.linalg.det(plane.T @ plane)))
        if area < smallest * (1 - TOLERANCE):
            best, smallest = place, area
    return best


def unit_note(a: WorldGrid, b: WorldGrid) -> str | None:
    """Return a sentence on axes whose units have nothing in common, None if there are none.

    Numbers in such units (pixel and mm, most often) are taken for each other, as napari draws them.
    """
    for axis, unit_a, unit_b in zip(
        reversed(a.axis_labels), reversed(a.units), reversed(b.units), strict=False
    ):
        if unit_factor(unit_a, unit_b) is None:
            return (
                f"along axis {axis}, {a.name!r} is in {short_name(unit_a)} and {b.name!r} in "
                f"{short_name(unit_b)}; one is taken for the other, as napari does"
            )
    return None
