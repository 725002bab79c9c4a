"""Resampling: the values of one layer on the grid of another."""

from __future__ import annotations

import math
from itertools import product
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy import ndimage, sparse

from napari_gifnet.errors import ImageError, OptionError

from .world_grid import TOLERANCE, WorldGrid, index_map, within

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.floating]

_SPLINE_REACH = 12
"""Voxels after which the infinite response of a cubic spline has fallen below 1e-6."""

_SLAB = 2**24
"""Values that are computed at once, which bounds the memory beside the result."""

_STRIP = 2**20
"""Voxels whose coordinates are held at once, where axes are interpolated together."""


def resample(data: Any, source: WorldGrid, target: WorldGrid, *, order: Literal[1, 3] = 1) -> Any:
    """Interpolate the values on one grid at the voxels of another.

    Where the target is coarser, the data are first smoothed by a Gaussian that matches the voxels'
    point spread functions, σ² = (f² − 1) / (8 ln 2) for voxels f times as long [1]_. Axes that are
    scaled and shifted only are interpolated one after the other; those that are turned or sheared
    against each other together, plane by plane.

    Parameters
    ----------
    data : array-like, shape ``source.shape`` or ``source.shape + (channels,)``
        Anything that slices as NumPy arrays do; no more is read than the target needs. With a dask
        array the result is one, too, in chunks of one plane.
    source, target : WorldGrid
        The target may have more leading axes than the source, not fewer.
    order : 1 or 3
        Linear, or cubic spline, which is sharper and may overshoot.

    Returns
    -------
    float32 array, shape ``target.shape`` or ``target.shape + (channels,)``
        In the values of `data`, whatever their dtype. NaN where the source has no voxel, or one
        that is not finite. Leading axes that the source lacks and does not depend on have length 1.

    References
    ----------
    .. [1] Cardoso et al., "Scale factor point spread function matching: beyond aliasing in image
       resampling", MICCAI 2015.
    """
    if order not in (1, 3):
        raise OptionError(
            f"interpolation order {order!r} is unknown; choose 1 (linear) or 3 (cubic)"
        )
    if data.shape[: source.ndim] != source.shape or data.ndim > source.ndim + 1:
        raise ImageError(
            f"data of shape {data.shape} do not fit the grid of {source.name!r}, whose shape is "
            f"{source.shape}; take both from one level of the layer"
        )
    matrix, offset = index_map(target, source)
    lacking = ~matrix.any(axis=0) & (np.arange(target.ndim) < target.ndim - source.ndim)
    target = target.crop([slice(1) if gone else slice(None) for gone in lacking])
    if hasattr(data, "__dask_graph__"):
        return _resample_lazily(data, source, target, order)

    channels = data.shape[source.ndim :]
    if (size := math.prod(target.shape + channels)) > _SLAB:
        return _resample_in_slabs(data, source, target, order, math.ceil(size / _SLAB))
    box = _reach(matrix, offset, source.shape, target.shape, order)
    if box is None:
        return np.full(target.shape + channels, np.nan, np.float32)
    offset = offset - [part.start for part in box]
    values = np.array(data[box], np.float32)
    finite = np.isfinite(values)
    if channels:
        finite = np.logical_and.reduce(finite, axis=-1)
    if finite.all():
        return _interpolate(values, matrix, offset, target.shape, order)
    values[~finite] = 0
    result = _interpolate(values, matrix, offset, target.shape, order)
    known = _interpolate(finite.astype(np.float32), matrix, offset, target.shape, order)
    known[~(known >= 0.5)] = np.nan
    result /= known.reshape(known.shape + (1,) * len(channels))
    return result


def _resample_in_slabs(
    data: Any, source: WorldGrid, target: WorldGrid, order: Literal[1, 3], count: int
) -> Floats:
    result = np.empty(target.shape + data.shape[source.ndim :], np.float32)
    axis = int(np.argmax(np.array(target.shape) > 1))
    thickness = max(target.shape[axis] // count, 1)
    for start in range(0, target.shape[axis], thickness):
        slab = [slice(None)] * target.ndim
        slab[axis] = slice(start, start + thickness)
        result[tuple(slab)] = resample(data, source, target.crop(slab), order=order)
    return result


def _resample_lazily(data: Any, source: WorldGrid, target: WorldGrid, order: Literal[1, 3]) -> Any:
    import dask
    import dask.array as da

    channels = data.shape[source.ndim :]

    def stack(lead: tuple[int, ...]) -> Any:
        axis = len(lead)
        if axis < target.ndim - 2:
            parts = [stack((*lead, i)) for i in range(target.shape[axis])]
            return da.concatenate(parts, axis=axis)
        plane = target.crop((*lead, slice(None), slice(None)))
        shape = plane.shape + channels
        box = _reach(*index_map(plane, source), source.shape, plane.shape, order)
        if box is None:
            return da.full(shape, np.nan, np.float32, chunks=-1)
        values = dask.delayed(resample)(data[box], source.crop(box), plane, order=order)
        return da.from_delayed(values, shape, np.float32)

    return stack(())


def _reach(
    matrix: Floats, offset: Floats, lengths: tuple[int, ...], shape: tuple[int, ...], order: int
) -> tuple[slice, ...] | None:
    """Return the part of the source that has a bearing on the target, None if there is none."""
    off_voxels = np.abs(matrix - np.rint(matrix)) @ shape + np.abs(offset - np.rint(offset))
    exact = (np.count_nonzero(matrix, axis=1) == 1) & (off_voxels <= TOLERANCE)
    slack = np.where(exact, TOLERANCE, 0)
    margin = np.ceil(4 * _blur(np.linalg.norm(matrix, axis=1)))
    if order == 3:
        margin += np.where(exact, 0, _SPLINE_REACH)
    ends = matrix * (np.array(shape) - 1)
    low = np.floor(offset + np.minimum(ends, 0).sum(axis=1) + slack) - margin
    high = np.ceil(offset + np.maximum(ends, 0).sum(axis=1) - slack) + margin + 1
    low, high = np.maximum(low, 0).astype(int), np.minimum(high, lengths).astype(int)
    if (low >= high).any():
        return None
    return tuple(slice(int(start), int(stop)) for start, stop in zip(low, high, strict=True))


def _blur(steps: Floats) -> Floats:
    """Return the σ, in source voxels, that keeps steps of so many source voxels from aliasing."""
    return np.sqrt(np.maximum(np.square(steps) - 1, 0) / (8 * math.log(2)))


def _interpolate(
    values: Floats, matrix: Floats, offset: Floats, shape: tuple[int, ...], order: int
) -> Floats:
    """Return finite values at ``matrix · i + offset`` for all i of `shape`, channels last."""
    used = matrix != 0
    alone = [
        (row, int(np.argmax(used[row])))
        for row in range(len(matrix))
        if used[row].sum() == 1 and used[:, np.argmax(used[row])].sum() == 1
    ]
    rows = sorted(set(range(len(matrix))) - {row for row, _ in alone})
    cols = sorted(set(range(len(shape))) - {col for _, col in alone}) if rows else []
    channels = values.shape[len(matrix) :]
    result = np.full(shape + channels, np.nan, np.float32)

    covered = [slice(None)] * len(shape)
    for row, col in alone:
        positions = offset[row] + matrix[row, col] * np.arange(shape[col])
        inside = np.flatnonzero(within(positions, values.shape[row]))
        if not len(inside):
            return result
        covered[col] = slice(inside[0], inside[-1] + 1)
        values = _along(values, row, positions[covered[col]], abs(matrix[row, col]), order)
    if rows:
        lengths = tuple(shape[col] for col in cols)
        values = _together(values, rows, matrix[np.ix_(rows, cols)], offset[rows], lengths, order)

    # The axes of `values` are now: those alone, in the source's order; channels; those together.
    axes = [col for _, col in alone] + [len(shape)] * len(channels) + cols
    axes += (free := [col for col in range(len(shape)) if col not in axes])
    values = values.reshape(values.shape + (1,) * len(free))
    result[tuple(covered)] = values.transpose(np.argsort(axes))
    return result


def _along(values: Floats, axis: int, positions: Floats, step: float, order: int) -> Floats:
    """Interpolate along one axis, at positions within its voxels."""
    length = values.shape[axis]
    if (sigma := float(_blur(np.array(step)))) > 0:
        values = ndimage.gaussian_filter1d(values, sigma, axis, mode="nearest")
    positions = positions.clip(0, length - 1)
    nearest = np.rint(positions)
    if np.abs(positions - nearest).max() <= TOLERANCE:
        return values.take(nearest.astype(int), axis)
    if order == 3:
        values = ndimage.spline_filter1d(values, 3, axis, np.float32, mode="mirror")
    lines = np.moveaxis(values, axis, 0)
    taps = _taps(positions, length, order) @ lines.reshape(length, -1)
    return np.moveaxis(taps.reshape(len(positions), *lines.shape[1:]), 0, axis)


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
        (weights.astype(np.float32).ravel(), index.ravel(), pointer), (len(positions), length)
    )


def _together(
    values: Floats,
    rows: list[int],
    matrix: Floats,
    offset: Floats,
    shape: tuple[int, ...],
    order: int,
) -> Floats:
    """Interpolate the axes `rows` together, which become the last ones, of the given shape."""
    values = np.moveaxis(values, rows, range(-len(rows), 0))
    others, lengths = values.shape[: -len(rows)], values.shape[-len(rows) :]
    blocks = list(values.reshape(-1, *lengths))
    if (sigma := _blur(np.linalg.norm(matrix, axis=1))).any():
        blocks = [ndimage.gaussian_filter(block, sigma, mode="nearest") for block in blocks]
    if order == 3:
        blocks = [ndimage.spline_filter(block, 3, np.float32, "mirror") for block in blocks]
    result = np.full((len(blocks), *shape), np.nan, np.float32)
    strip = min(shape[-2], max(_STRIP // shape[-1], 1))
    in_strip = np.tensordot(matrix[:, -2:], np.indices((strip, shape[-1])), axes=1)
    last = np.array(lengths)[:, None, None] - 1
    for *plane, row in product(*map(range, shape[:-2]), range(0, shape[-2], strip)):
        start = offset + matrix[:, :-1] @ [*plane, row]
        at = (in_strip + start[:, None, None])[:, : shape[-2] - row]
        outside = ~within(np.moveaxis(at, 0, -1), lengths).all(axis=-1)
        if outside.all():
            continue
        at = at.clip(0, last)
        here: tuple[int | slice, ...] = (slice(None), *plane, slice(row, row + strip))
        for block, out in zip(blocks, result[here], strict=True):
            ndimage.map_coordinates(block, at, out, order, "mirror", prefilter=False)
            out[outside] = np.nan
    return result.reshape(*others, *shape)


class Resampled:
    """Stand-in."""

    def __init__(self, data, source, target, region, axes, order):
        part = target.crop(region)
        self.values = None
        self.data, self.source, self.target, self.axes, self.order = data, source, part, axes, order
        self.channels = tuple(data.shape[source.ndim :])
        lead = [part.shape[i] for i in range(part.ndim) if i not in axes]
        self.shape = (*lead, part.shape[axes[0]], part.shape[axes[1]], *self.channels)
        self.dtype, self.ndim = np.dtype("f4"), len(self.shape)

    def _grid(self, index):
        index = list(index)
        region = [slice(None) if i in self.axes else index.pop(0) for i in range(self.target.ndim)]
        return self.target.crop(region)

    def part(self, index):
        plane = self._grid(index)
        box = _reach(*index_map(plane, self.source), self.source.shape, plane.shape, self.order)
        return None if box is None or self.data is None else self.data[box]

    def without_data(self):
        import copy

        new = copy.copy(self)
        new.data = None
        return new

    def plane(self, index, part=None):
        plane = self._grid(index)
        box = _reach(*index_map(plane, self.source), self.source.shape, plane.shape, self.order)
        part = self.part(index) if part is None else part
        sides = self.shape[len(self.shape) - len(self.channels) - 2 :]
        if box is None:
            return np.full(sides, np.nan, np.float32)
        values = resample(np.asarray(part), self.source.crop(box), plane, order=self.order)
        values = np.broadcast_to(values, plane.shape + self.channels)
        values = np.moveaxis(values, self.axes, (0, 1))
        return values.reshape(sides)
