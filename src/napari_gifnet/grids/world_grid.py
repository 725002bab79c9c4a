"""World grids: where the voxels of a layer lie, and how two layers come to lie on one grid.

napari's conventions hold throughout. Index (0, …, 0) is the *centre* of the first voxel, which
reaches from −½ to ½. Index → world is ``affine · (rotate · shear · scale · index + translate)``.
Layers of fewer dimensions align with the trailing axes of the others. RGB channels are no axis of
a grid.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import product
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy.linalg import block_diag

from napari_gifnet.errors import ImageError, OptionError

if TYPE_CHECKING:
    from napari.layers import Image
    from numpy.typing import ArrayLike, NDArray

TOLERANCE = 0.01
"""Displacements below this fraction of a voxel count as none: file headers round their numbers."""

_UNITLESS = {"pixel", "dimensionless"}


@dataclass(frozen=True, eq=False)
class WorldGrid:
    """The grid of n-D voxels that a layer fills, and its place in the world.

    Attributes
    ----------
    name : str
        Name of the layer, for messages.
    shape : tuple of int
        Voxels along each axis, RGB channels left out.
    scale, translate : array, shape (n,)
        As in napari, in `units`.
    rotate, shear : array, shape (n, n)
        As in napari, always as matrices.
    affine : array, shape (n + 1, n + 1)
        napari's extra affine, from physical to world coordinates.
    units : tuple of str
        Unit of each world axis, as pint spells it; "pixel" where the layer has none.
    axis_labels : tuple of str
    """

    name: str
    shape: tuple[int, ...]
    scale: NDArray[np.float64]
    translate: NDArray[np.float64]
    rotate: NDArray[np.float64]
    shear: NDArray[np.float64]
    affine: NDArray[np.float64]
    units: tuple[str, ...]
    axis_labels: tuple[str, ...]

    @classmethod
    def from_layer(cls, layer: Image, level: int = 0) -> WorldGrid:
        """Read the grid of an image layer, or of one level of a multiscale layer (0 is the finest).

        Each level fills the same part of the world, which is also how napari draws it.
        """
        shapes = [tuple(int(n) for n in shape) for shape in layer.level_shapes]
        if not -len(shapes) <= level < len(shapes):
            raise OptionError(
                f"layer {layer.name!r} has no level {level}; choose one of 0 to {len(shapes) - 1}"
            )
        shear = np.asarray(layer.shear, float)
        if shear.ndim == 1:
            upper = np.eye(layer.ndim)
            upper[np.triu_indices(layer.ndim, 1)] = shear
            shear = upper
        finest = cls(
            name=layer.name,
            shape=shapes[0],
            scale=np.array(layer.scale, float),
            translate=np.array(layer.translate, float),
            rotate=np.array(layer.rotate, float),
            shear=shear,
            affine=np.array(layer.affine.affine_matrix, float),
            units=tuple(str(unit) for unit in layer.units),
            axis_labels=tuple(layer.axis_labels),
        )
        step = np.divide(shapes[0], shapes[level])
        return finest._lattice((step - 1) / 2, step, shapes[level])

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @cached_property
    def matrix(self) -> NDArray[np.float64]:
        """Index → world in homogeneous coordinates, shape (n + 1, n + 1)."""
        physical = np.eye(self.ndim + 1)
        physical[:-1, :-1] = self.rotate @ self.shear @ np.diag(self.scale)
        physical[:-1, -1] = self.translate
        return self.affine @ physical

    @cached_property
    def inverse(self) -> NDArray[np.floating]:
        """World → index in homogeneous coordinates, shape (n + 1, n + 1)."""
        return np.linalg.inv(self.matrix)

    @property
    def extent(self) -> NDArray[np.float64]:
        """Lowest and highest world coordinates of the voxels' edges, shape (2, n)."""
        edges = self.to_world(list(product(*((-0.5, n - 0.5) for n in self.shape))))
        return np.stack([edges.min(axis=0), edges.max(axis=0)])

    @property
    def extent_text(self) -> str:
        """The extent in words, as "axis z: 0 to 12 mm, axis y: -3 to 20 mm"."""
        return ", ".join(
            f"axis {axis}: {low:.6g} to {high:.6g} {_short(unit)}"
            for axis, low, high, unit in zip(
                self.axis_labels, *self.extent, self.units, strict=True
            )
        )

    def to_world(self, indices: ArrayLike) -> NDArray[np.float64]:
        """Map indices, shape (..., n), to world coordinates."""
        return np.asarray(indices, float) @ self.matrix[:-1, :-1].T + self.matrix[:-1, -1]

    def to_index(
        self, points: ArrayLike, units: Sequence[Any] | None = None
    ) -> NDArray[np.float64]:
        """Map world coordinates, shape (..., m), to fractional indices, shape (..., n).

        Trailing axes are aligned: surplus leading coordinates are left out, missing ones are those
        of the grid's middle. `units` are the points' own, where they are not the grid's.
        """
        given = np.asarray(points, float)
        shared = min(self.ndim, given.shape[-1])
        world = np.empty((*given.shape[:-1], self.ndim))
        world[...] = self.to_world((np.array(self.shape) - 1) / 2)
        world[..., -shared:] = given[..., -shared:]
        if units is not None:
            world[..., -shared:] *= unit_factors(units, self.units)[-shared:]
        return world @ self.inverse[:-1, :-1].T + self.inverse[:-1, -1]

    def ranges(self, region: Sequence[slice | int]) -> list[range]:
        """Return the indices of a part of the voxels along each axis; raise if there are none."""
        ranges = [
            range(n)[part if isinstance(part, slice) else slice(part, part + 1 or None)]
            for part, n in zip(region, self.shape, strict=True)
        ]
        if not all(ranges):
            raise ImageError(
                f"the region {tuple(region)} holds no voxel of {self.name!r}, whose shape is "
                f"{self.shape}; choose a region within it"
            )
        return ranges

    def crop(self, region: Sequence[slice | int]) -> WorldGrid:
        """Return the grid of a part of the voxels; an integer keeps its axis, with length 1.

        A plane cut out of a stack thus stays a stack of one plane, which napari shows where the
        slider stands at that plane and nowhere else, whichever axes are displayed.
        """
        ranges = self.ranges(region)
        return self._lattice(
            np.array([r.start for r in ranges], float),
            np.array([r.step for r in ranges], float),
            tuple(len(r) for r in ranges),
        )

    def coarser(self, factor: int, axes: Sequence[int]) -> WorldGrid:
        """Return a grid of voxels `factor` times as long along some axes, from the same corner on."""
        step, shape = np.ones(self.ndim), list(self.shape)
        for axis in axes:
            step[axis] = factor
            shape[axis] = max(self.shape[axis] // factor, 1)
        return self._lattice((step - 1) / 2, step, tuple(shape))

    def with_leading_axes_of(self, other: WorldGrid) -> WorldGrid:
        """Return this grid with the leading axes that only `other` has: a plane meets a stack."""
        extra = other.ndim - self.ndim
        if extra <= 0:
            return self
        for part in (other.rotate, other.shear, other.affine[:-1, :-1]):
            if not np.allclose(part, block_diag(part[:extra, :extra], part[extra:, extra:])):
                raise ImageError(
                    f"{other.name!r} ({other.ndim}-D) is turned out of the axes of {self.name!r} "
                    f"({self.ndim}-D); fuse on the grid of {other.name!r} instead"
                )
        affine = np.eye(other.ndim + 1)
        affine[:-1, :-1] = block_diag(other.affine[:extra, :extra], self.affine[:-1, :-1])
        affine[:-1, -1] = np.concatenate([other.affine[:extra, -1], self.affine[:-1, -1]])
        return WorldGrid(
            name=self.name,
            shape=other.shape[:extra] + self.shape,
            scale=np.concatenate([other.scale[:extra], self.scale]),
            translate=np.concatenate([other.translate[:extra], self.translate]),
            rotate=block_diag(other.rotate[:extra, :extra], self.rotate),
            shear=block_diag(other.shear[:extra, :extra], self.shear),
            affine=affine,
            units=other.units[:extra] + self.units,
            axis_labels=other.axis_labels[:extra] + self.axis_labels,
        )

    def layer_kwargs(self) -> dict[str, Any]:
        """Return all that places a napari layer on this grid, as keyword arguments of the layer."""
        return {
            "scale": self.scale.copy(),
            "translate": self.translate.copy(),
            "rotate": self.rotate.copy(),
            "shear": self.shear.copy(),
            "affine": self.affine.copy(),
            "units": self.units,
            "axis_labels": self.axis_labels,
        }

    def _lattice(
        self, start: NDArray[np.float64], step: NDArray[np.float64], shape: tuple[int, ...]
    ) -> WorldGrid:
        """Return the grid whose index i lies at start + step · i of this one."""
        shift = self.rotate @ self.shear @ (self.scale * start)
        return replace(self, shape=shape, scale=self.scale * step, translate=self.translate + shift)


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

    Shapes must agree on the shared (trailing) axes; leading axes that only one has do not matter.
    """
    if a.ndim < b.ndim:
        a, b = b, a
    if a.shape[-b.ndim :] != b.shape:
        return False
    matrix, offset = index_map(a, b)
    off = np.abs(matrix - np.eye(b.ndim, a.ndim, a.ndim - b.ndim))
    return bool((off @ (np.array(a.shape) - 1) + np.abs(offset)).max() <= TOLERANCE)


def overlap(a: WorldGrid, b: WorldGrid) -> float:
    """Return the share of the voxels of `a` that lie in `b`, 0 to 1; sampled if `b` is turned."""
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


def common_grid(a: WorldGrid, b: WorldGrid, choice: Literal["a", "b", "finer"] = "a") -> WorldGrid:
    """Return the grid on which `a` and `b` are fused.

    Parameters
    ----------
    a, b : WorldGrid
        Leading axes that only one of them has are those of the result, too.
    choice : "a", "b" or "finer"
        Whose grid it is; "finer" is that of the smaller voxels, `a`'s if they are alike.

    Raises
    ------
    ImageError
        If they do not overlap, or a plane is to be the grid of a stack that is turned out of it.
    OptionError
        If `choice` is none of the three.
    """
    if choice not in ("a", "b", "finer"):
        raise OptionError(f"grid {choice!r} is unknown; choose 'a', 'b' or 'finer'")
    if choice == "finer":
        large, small = (a, b) if a.ndim >= b.ndim else (b, a)
        matrix, _ = index_map(large, small)
        ratio = abs(np.linalg.det(matrix[:, -small.ndim :]))  # voxels of small in one of large
        finer = small if ratio > 1 + TOLERANCE else large if ratio < 1 - TOLERANCE else a
        choice = "a" if finer is a else "b"
    target, source = (a, b) if choice == "a" else (b, a)
    target = target.with_leading_axes_of(source)
    if overlap(target, source) == 0:
        raise ImageError(
            f"the layers do not overlap: {a.name!r} spans {a.extent_text}; {b.name!r} spans "
            f"{b.extent_text}; check their scale, translate and units"
        )
    return target


def unit_note(a: WorldGrid, b: WorldGrid) -> str | None:
    """Return a sentence on axes whose units have nothing in common, None if there are none.

    Numbers in such units (pixel and mm, most often) are taken as the same, as napari draws them.
    """
    for axis, unit_a, unit_b in zip(
        reversed(a.axis_labels), reversed(a.units), reversed(b.units), strict=False
    ):
        if _unit_factor(unit_a, unit_b) is None and not {unit_a, unit_b} <= _UNITLESS:
            return (
                f"along axis {axis}, {a.name!r} is in {_short(unit_a)} and {b.name!r} in "
                f"{_short(unit_b)}; one is taken for the other, as napari does"
            )
    return None


def unit_factors(units: Sequence[Any], into: Sequence[Any]) -> NDArray[np.float64]:
    """Return what numbers in `units` are multiplied by, axis by axis, trailing axes aligned."""
    shared = min(len(units), len(into))
    factors = [
        _unit_factor(str(unit), str(wanted))
        for unit, wanted in zip(units[-shared:], into[-shared:], strict=True)
    ]
    return np.array([1.0 if factor is None else factor for factor in factors])


@lru_cache
def _unit_factor(unit: str, into: str) -> float | None:
    """Return what a number in `unit` is multiplied by, None if the two have nothing in common."""
    if unit == into:
        return 1.0
    import pint

    try:
        return float(pint.get_application_registry().convert(1.0, unit, into))
    except pint.PintError:
        return None


def _short(unit: str) -> str:
    if unit in _UNITLESS:
        return unit
    import pint

    return f"{pint.get_application_registry().Unit(unit):~}"
