"""Interpolation between the voxels of two grids.

Where the target is coarser, the data are first smoothed by a Gaussian that matches the voxels'
point spread functions, σ² = (f² − 1) / (8 ln 2) for voxels f times as long [1]_. A source axis and
a target axis that have to do with each other only (scaled and shifted, perhaps exchanged or
flipped) are joined by a sparse matrix, which holds smoothing, prefilter and interpolation at once;
axes that are turned or sheared against each other are interpolated together::

    target index ──matrix, offset──> source index
        z  ── alone ──> z          a sparse matrix (target z, source z)
        y ┐             ┌ y
        x ┘─ together ──└ x        smoothed, prefiltered, then read at (y, x) for each (y, x)

All of that is decided once, for the whole of two grids, so that a plane of the result is a plane
of the whole.

.. [1] Cardoso et al., "Scale factor point spread function matching: beyond aliasing in image
   resampling", MICCAI 2015.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage, sparse

from napari_gifnet.errors import ImageError, OptionError

from .pairs import TOLERANCE, index_map, within
from .world_grid import WorldGrid

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.floating]

Box = tuple[slice, ...]

_SPLINE_REACH = 12
"""Voxels after which the infinite response of a cubic spline has fallen below 1e-6."""

_NO_WEIGHT = 1e-7
"""Weights below it are left out."""

_SMALLEST_TILE = 32
"""Voxels along an axis that are not cut any further, since each part needs the same margins."""

_STRIP = 2**20
"""Voxels whose coordinates are held at once, where axes are interpolated together."""


@dataclass(eq=False)
class _Alone:
    """A source axis that follows one target axis, which no other source axis does."""

    row: int
    col: int
    first: int
    """The first index along the target axis that lies on a voxel of the source."""
    weights: sparse.csr_array
    """(indices from `first` on that do, voxels of the source)"""
    _last: tuple[tuple[range, int, int], sparse.csr_array] | None = None

    def __post_init__(self) -> None:
        index, pointer = self.weights.indices, self.weights.indptr
        self._ends = index[pointer[:-1]], index[pointer[1:] - 1]  # each row's first and last voxel

    def covered(self, ranges: Sequence[range]) -> range:
        """Return those of the target's indices that lie on a voxel of the source."""
        asked = ranges[self.col]
        stop = self.first + self.weights.shape[0]
        return range(max(asked.start, self.first), min(asked.stop, stop))

    def reach(self, indices: range) -> tuple[int, int]:
        """Return the first voxel of the source that some indices need, and the one behind."""
        some = slice(indices.start - self.first, indices.stop - self.first)
        return int(self._ends[0][some].min()), int(self._ends[1][some].max()) + 1

    def apply(self, values: Floats, indices: range, start: int) -> Floats:
        """Interpolate values, which begin at voxel `start`, along the axis."""
        lines = np.moveaxis(values, self.row, 0)
        result = self._part(indices, start, len(lines)) @ lines.reshape(len(lines), -1)
        return np.moveaxis(result.reshape(len(indices), *lines.shape[1:]), 0, self.row)

    def _part(self, indices: range, start: int, length: int) -> sparse.csr_array:
        """Return the weights of some indices and voxels; planes of one stack ask for the same."""
        asked = indices, start, length
        if (last := self._last) is None or last[0] != asked:
            low, high = indices.start - self.first, indices.stop - self.first
            pointer = self.weights.indptr[low : high + 1]
            here = slice(pointer[0], pointer[-1])
            part = sparse.csr_array(
                (self.weights.data[here], self.weights.indices[here] - start, pointer - pointer[0]),
                shape=(len(indices), length),
            )
            self._last = last = asked, part
        return last[1]


@dataclass(frozen=True)
class _Together:
    """Source axes and target axes that are turned or sheared against each other."""

    rows: list[int]
    cols: list[int]
    matrix: Floats
    offset: Floats
    lengths: tuple[int, ...]
    sigma: Floats
    order: int

    def reach(self, ranges: Sequence[range]) -> list[tuple[int, int]]:
        """Return, for each of the rows, the first voxel that is needed and the one behind."""
        first = self.matrix * [ranges[col].start for col in self.cols]
        last = self.matrix * [ranges[col].stop - 1 for col in self.cols]
        margin = np.ceil(4 * self.sigma) + (_SPLINE_REACH if self.order == 3 else 0)
        low = np.floor(self.offset + np.minimum(first, last).sum(axis=1)) - margin
        high = np.ceil(self.offset + np.maximum(first, last).sum(axis=1)) + margin + 1
        stop = np.minimum(high, self.lengths).astype(int).tolist()
        return list(zip(np.maximum(low, 0).astype(int).tolist(), stop, strict=True))

    def apply(self, values: Floats, ranges: Sequence[range], start: Sequence[int]) -> Floats:
        """Interpolate values, which begin at voxel `start`; the columns become the last axes."""
        count = len(self.rows)
        values = np.moveaxis(values, self.rows, range(-count, 0))
        for axis, sigma in zip(range(-count, 0), self.sigma, strict=True):
            if sigma > 0:
                values = ndimage.gaussian_filter1d(values, sigma, axis, mode="nearest")
            if self.order == 3:
                values = ndimage.spline_filter1d(values, 3, axis, np.float32, "mirror")
        blocks = values.reshape(-1, *values.shape[-count:])

        wide = [k for k, col in enumerate(self.cols) if len(ranges[col]) > 1]
        shape = [len(ranges[self.cols[k]]) for k in wide]
        matrix = self.matrix[:, wide]
        if missing := max(2 - len(wide), 0):
            shape = [1] * missing + shape
            matrix = np.hstack([np.zeros((count, missing)), matrix])
        offset = self.offset + self.matrix @ [ranges[col].start for col in self.cols]
        begin = np.array([start[row] for row in self.rows])[:, None, None]
        last = np.array(self.lengths)[:, None, None] - 1

        result = np.full((len(blocks), *shape), np.nan, np.float32)
        strip = min(shape[-2], max(_STRIP // shape[-1], 1))
        in_strip = np.tensordot(matrix[:, -2:], np.indices((strip, shape[-1])), axes=1)
        for *plane, row in product(*map(range, shape[:-2]), range(0, shape[-2], strip)):
            base = offset + matrix[:, :-1] @ [*plane, row]
            at = (in_strip + base[:, None, None])[:, : shape[-2] - row]
            outside = ~within(np.moveaxis(at, 0, -1), self.lengths).all(axis=-1)
            if outside.all():
                continue
            at = at.clip(0, last) - begin
            here: tuple[int | slice, ...] = (slice(None), *plane, slice(row, row + strip))
            for block, out in zip(blocks, result[here], strict=True):
                ndimage.map_coordinates(block, at, out, self.order, "mirror", prefilter=False)
                out[outside] = np.nan
        lengths = [len(ranges[col]) for col in self.cols]
        return result.reshape(*values.shape[:-count], *lengths)


@dataclass(frozen=True)
class IndexMap:
    """How the values of one grid are found at the voxels of another.

    `free` says of each axis of the target whether the source does not depend on it.
    """

    lengths: tuple[int, ...]
    channels: tuple[int, ...]
    alone: list[_Alone]
    together: _Together | None
    free: list[bool]

    @classmethod
    def between(cls, data: Any, source: WorldGrid, target: WorldGrid, order: int) -> IndexMap:
        """Find it out, and refuse what does not fit."""
        if order not in (1, 3):
            raise OptionError(
                f"Interpolation order {order!r} is unknown: expected 1 (linear) or 3 (cubic)."
            )
        if data.shape[: source.ndim] != source.shape or data.ndim > source.ndim + 1:
            raise ImageError(
                f"Data of shape {data.shape} do not fit the grid of {source.name!r}, whose shape "
                f"is {source.shape}: take both from one level of the layer."
            )
        matrix, offset = index_map(target, source)
        used = matrix != 0
        alone, rows = [], []
        for row, col in enumerate(used.argmax(axis=1)):
            if used[row].sum() > 1 or used[:, col].sum() > 1:
                rows.append(row)
                continue
            positions = offset[row] + matrix[row, col] * np.arange(target.shape[col])
            inside = np.flatnonzero(within(positions, source.shape[row]))
            first = int(inside[0]) if len(inside) else 0
            step = abs(matrix[row, col])
            weights = _weights(positions[inside], source.shape[row], step, order)
            alone.append(_Alone(row, int(col), first, weights))
        together = None
        if rows:
            cols = np.flatnonzero(used[rows].any(axis=0)).tolist()
            part = matrix[np.ix_(rows, cols)]
            lengths = tuple(source.shape[row] for row in rows)
            sigma = _blur(np.linalg.norm(part, axis=1))
            together = _Together(rows, cols, part, offset[rows], lengths, sigma, order)
        free = (~used.any(axis=0)).tolist()
        return cls(source.shape, tuple(data.shape[source.ndim :]), alone, together, free)

    def box(self, ranges: Sequence[range]) -> Box | None:
        """Return the part of the source that some of the target need, None if there is none."""
        reach = [(0, 0)] * len(self.lengths)
        for each in self.alone:
            if covered := each.covered(ranges):
                reach[each.row] = each.reach(covered)
        if self.together is not None:
            for row, part in zip(self.together.rows, self.together.reach(ranges), strict=True):
                reach[row] = part
        return tuple(slice(*each) for each in reach) if all(a < b for a, b in reach) else None

    def interpolate(self, values: Floats, start: Sequence[int], ranges: Sequence[range]) -> Floats:
        """Return finite values, of a box that begins at `start`, at some voxels of the target."""
        channels = values.shape[len(self.lengths) :]
        result = np.full((*map(len, ranges), *channels), np.nan, np.float32)
        inside = [slice(None)] * len(ranges)
        size = values.shape
        for each in sorted(self.alone, key=lambda it: len(ranges[it.col]) / size[it.row]):
            covered = each.covered(ranges)
            at = covered.start - ranges[each.col].start
            inside[each.col] = slice(at, at + len(covered))
            values = each.apply(values, covered, start[each.row])
        cols: list[int] = []
        if self.together is not None:
            values, cols = self.together.apply(values, ranges, start), self.together.cols

        # The axes of `values` are now: those alone, in the source's order; channels; those together.
        axes = [each.col for each in self.alone] + [len(ranges)] * len(channels) + cols
        axes += (free := [axis for axis, none in enumerate(self.free) if none])
        values = values.reshape(values.shape + (1,) * len(free))
        result[tuple(inside)] = values.transpose(np.argsort(axes))
        return result


def fill(
    out: NDArray[np.float32],
    mapping: IndexMap,
    data: Any,
    start: Sequence[int],
    ranges: Sequence[range],
    axes: Sequence[int],
    most: int,
) -> None:
    """Interpolate data, which begin at voxel `start` of the source, at some voxels of the target.

    What needs more than `most` values is done in two parts, cut along the longest of `axes`.
    """
    box = mapping.box(ranges)
    if box is None:
        out[...] = np.nan
        return
    cut = max(axes, key=lambda axis: len(ranges[axis]))
    length = len(ranges[cut])
    size = max(out.size, volume(box) * math.prod(mapping.channels))
    if size > most and length >= 2 * _SMALLEST_TILE:
        for half in (slice(length // 2), slice(length // 2, None)):
            fewer = [each[half] if axis == cut else each for axis, each in enumerate(ranges)]
            fill(out[(slice(None),) * cut + (half,)], mapping, data, start, fewer, axes, most)
        return
    here = tuple(
        slice(part.start - at, part.stop - at) for part, at in zip(box, start, strict=True)
    )
    values, finite = _as_floats(computed(data[here]), len(box))
    corner = [part.start for part in box]
    out[...] = mapping.interpolate(values, corner, ranges)
    if finite is not None:
        known = mapping.interpolate(finite, corner, ranges)
        known[~(known >= 0.5 - 1e-4)] = np.nan  # half is enough, whatever the order of a sum
        out /= known.reshape(known.shape + (1,) * (out.ndim - known.ndim))


def _as_floats(values: Any, ndim: int) -> tuple[Floats, Floats | None]:
    """Return finite float32 values, and 1 where they were given, 0 elsewhere; None if all were."""
    hidden = np.ma.getmask(values)
    with np.errstate(over="ignore"):
        floats = np.array(np.ma.getdata(values), np.float32)
    if values.dtype.kind in "biu" and hidden is np.ma.nomask:
        return floats, None
    finite = np.isfinite(floats) & ~hidden
    if floats.ndim > ndim:
        finite = finite.all(axis=-1)
    if finite.all():
        return floats, None
    floats[~finite] = 0
    return floats, finite.astype(np.float32)


def computed(values: Any) -> Any:
    """Return a NumPy array of a part, which may be dask's."""
    return values.compute() if hasattr(values, "__dask_graph__") else values


def volume(box: Box) -> int:
    """Return how many voxels a box holds."""
    return math.prod(part.stop - part.start for part in box)


def _blur(steps: Any) -> Any:
    """Return the σ, in source voxels, that keeps steps of so many source voxels from aliasing."""
    return np.sqrt(np.maximum(np.square(steps) - 1, 0) / (8 * math.log(2)))


def _weights(positions: Floats, length: int, step: float, order: int) -> sparse.csr_array:
    """Return the weights of a line of voxels at positions among them, (positions, length).

    Smoothing and prefilter are linear, so that what they do to unit vectors says all about them.
    """
    sigma = float(_blur(step))
    positions = positions.clip(0, length - 1)
    exact = bool((np.abs(positions - np.rint(positions)) <= TOLERANCE).all())
    if exact:
        positions = np.rint(positions)
    margin = math.ceil(4 * sigma) + (0 if exact or order == 1 else _SPLINE_REACH) + 2
    at_once = max(int(128 / step), 1)
    data, columns, counts = [], [], [np.zeros(1, int)]
    for i in range(0, len(positions), at_once):
        some = positions[i : i + at_once]
        low = max(int(some.min()) - margin, 0)
        high = min(int(some.max()) + margin + 1, length)
        lines = np.eye(high - low)
        if sigma > 0:
            lines = ndimage.gaussian_filter1d(lines, sigma, 0, mode="nearest")
        if order == 3 and not exact:
            lines = ndimage.spline_filter1d(lines, 3, 0, mode="mirror")
        weights = _taps(some - low, high - low, 1 if exact else order) @ lines
        weights[np.abs(weights) < _NO_WEIGHT] = 0
        weights /= weights.sum(axis=1, keepdims=True)
        rows, cols = np.nonzero(weights)
        data.append(weights[rows, cols])
        columns.append(cols + low)
        counts.append(np.bincount(rows, minlength=len(some)))
    pointer = np.cumsum(np.concatenate(counts))
    values = np.concatenate(data or [np.zeros(0)]).astype(np.float32)
    index = np.concatenate(columns or [np.zeros(0, int)])
    return sparse.csr_array((values, index, pointer), shape=(len(positions), length))


def _taps(positions: Floats, length: int, order: int) -> sparse.csr_array:
    """Return the B-spline weights of the samples at each position, (positions, length)."""
    base = np.floor(positions)
    t = positions - base
    if order == 1:
        weights = np.stack([1 - t, t], axis=1)
    else:
        weights = np.stack(
            [(1 - t) ** 3, 4 - 6 * t**2 + 3 * t**3, 1 + 3 * (t + t**2 - t**3), t**3], axis=1
        )
        weights /= 6
        base -= 1
    index = base[:, None].astype(int) + np.arange(order + 1)
    period = max(2 * (length - 1), 1)
    index = np.minimum(index % period, -index % period)  # mirrored about the outer samples
    pointer = np.arange(len(positions) + 1) * (order + 1)
    return sparse.csr_array(
        (weights.ravel(), index.ravel(), pointer), shape=(len(positions), length)
    )
