"""Resampling: the values of one image on the grid of another, plane by plane or as a whole."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from itertools import product
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from napari_gifnet.errors import OptionError

from .interpolation import Box, IndexMap, computed, fill, volume
from .world_grid import WorldGrid

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SLAB = 2**24
"""Values of the source or of the result that a whole is computed from, or in, at once."""

_TILE = 2**22
"""Values of the source that a plane is computed from at once, which bounds the memory beside it."""

_READ = 2**26
"""Values up to which what a plane needs is read at once, from a source that is not in memory."""


def resample(data: Any, source: WorldGrid, target: WorldGrid, *, order: Literal[1, 3] = 1) -> Any:
    """Interpolate the values on one grid at all voxels of another.

    Parameters
    ----------
    data : array-like, shape ``source.shape`` or ``source.shape + (channels,)``
        Anything that slices as NumPy arrays do; no more is read than the target needs. Masked
        values are as NaN. With a dask array the result is one, too, in chunks of one plane.
    source, target : WorldGrid
        The target may have more leading axes than the source, not fewer.
    order : 1 or 3
        Linear, or cubic spline, which is sharper and may overshoot.

    Returns
    -------
    float32 array, shape ``target.shape`` or ``target.shape + (channels,)``
        In the values of `data`, whatever their dtype. NaN where the source has no voxel, or one
        that is not finite. Leading axes that the source lacks and does not depend on have length 1.

    Raises
    ------
    ImageError
        The data do not fit their grid.
    OptionError
        `order` is neither 1 nor 3.

    See Also
    --------
    Resampled : The same, computed plane by plane when it is looked at.

    Examples
    --------
    >>> ramp = np.arange(4.0) * np.ones((4, 1))
    >>> resample(ramp, WorldGrid((4, 4)), WorldGrid((2, 3), translate=(1, 0.5)))[0]
    array([0.5, 1.5, 2.5], dtype=float32)
    """
    mapping = IndexMap.between(data, source, target, order)
    lacking = mapping.free[: target.ndim - source.ndim]
    ranges = [range(1 if gone else n) for n, gone in zip(target.shape, lacking, strict=False)]
    ranges += [range(n) for n in target.shape[len(lacking) :]]
    if hasattr(data, "__dask_graph__"):
        region = tuple(slice(r.stop) for r in ranges)
        return _as_dask(Resampled(data, source, target, region, order=order))
    result = np.empty((*map(len, ranges), *mapping.channels), np.float32)
    fill(result, mapping, data, [0] * source.ndim, ranges, range(target.ndim), _SLAB)
    return result


class Resampled:
    """The values of one grid on a part of another: a view, computed plane by plane when sliced.

    It holds nothing of the result but the last plane, and of the source what it was given. It may
    be sliced by several threads at once.

    Parameters
    ----------
    data : array-like, shape ``source.shape`` or ``source.shape + (channels,)``
        Anything that slices as NumPy arrays do. Masked values are as NaN.
    source, target : WorldGrid
        The target may have more leading axes than the source, not fewer.
    region : tuple of slice, optional
        The part of the target that the view is of, all of it by default.
    axes : (rows, columns), optional
        Axes of the target, the last two by default. Where the rows come after the columns in the
        target, planes are transposed.
    order : 1 or 3
        Linear, or cubic spline, which is sharper and may overshoot.

    Attributes
    ----------
    shape : tuple of int
        (..., Y, X) or (..., Y, X, channels). The leading axes are the other axes of the target, in
        their order, also those that the source does not depend on.
    dtype : numpy.dtype
        float32; the values are those of `data`, whatever their dtype, and NaN where the source has
        no voxel, or one that is not finite.

    Raises
    ------
    ImageError
        The data do not fit their grid, or the region holds no voxel.
    OptionError
        `order` or `axes` are not understood.

    Examples
    --------
    >>> coarse = WorldGrid((2, 3, 3), scale=(2, 2, 2))
    >>> view = Resampled(np.ones((2, 3, 3)), coarse, WorldGrid((3, 6, 6)))
    >>> view.shape
    (3, 6, 6)
    >>> view[1, 2, :3]
    array([1., 1., 1.], dtype=float32)
    """

    dtype = np.dtype(np.float32)

    def __init__(
        self,
        data: Any,
        source: WorldGrid,
        target: WorldGrid,
        region: Sequence[slice] | None = None,
        axes: tuple[int, int] | None = None,
        order: Literal[1, 3] = 1,
    ) -> None:
        self.data, self.order = data, order
        self._map = IndexMap.between(data, source, target, order)
        region = (slice(None),) * target.ndim if region is None else tuple(region)
        self._ranges = target.ranges(region)
        if any(each.step != 1 for each in self._ranges):
            raise OptionError(f"region={region} has steps: expected slices without.")
        self.axes = _check_axes(axes, target)
        self._leading = [axis for axis in range(target.ndim) if axis not in self.axes]
        self._last: tuple[tuple[int, ...], NDArray[np.float32]] | None = None
        self._last_part: tuple[Box, Any] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Leading axes, rows, columns, and channels where there are any."""
        order = (*self._leading, *self.axes)
        return (*(len(self._ranges[axis]) for axis in order), *self._map.channels)

    @property
    def ndim(self) -> int:
        """Number of axes, channels included."""
        return len(self._ranges) + len(self._map.channels)

    def __getitem__(self, index: Any) -> NDArray[np.float32]:
        """Compute the planes at integers, slices and an ellipsis, as NumPy arrays give them."""
        given = list(index) if isinstance(index, tuple) else [index]
        if any(each is Ellipsis for each in given):
            at = next(i for i, each in enumerate(given) if each is Ellipsis)
            given[at : at + 1] = [slice(None)] * (self.ndim - len(given) + 1)
        given += [slice(None)] * (self.ndim - len(given))
        if len(given) > self.ndim:
            raise IndexError(f"{len(given)} indices for {self.ndim} axes")
        count = len(self._leading)
        chosen, within_planes = given[:count], tuple(given[count:])
        picks = [
            range(n)[each] if isinstance(each, slice) else [range(n)[operator.index(each)]]
            for n, each in zip(self.shape, chosen, strict=False)
        ]
        planes = [self.plane(lead)[within_planes] for lead in product(*picks)]
        lengths = [
            len(pick) for pick, each in zip(picks, chosen, strict=True) if isinstance(each, slice)
        ]
        if not lengths:
            return planes[0]
        inner = planes[0].shape if planes else np.empty(self.shape[count:])[within_planes].shape
        return np.array(planes, np.float32).reshape((*lengths, *inner))

    def part(self, index: tuple[int, ...]) -> Any:
        """Return the box of the source's values that a plane needs.

        Parameters
        ----------
        index : tuple of int
            Of the leading axes.

        Returns
        -------
        array, or None
            As slicing the data gives it: a view of a NumPy array, a lazy slice of a dask array;
            None where the plane has nothing of the source. Of a plane that is turned out of the
            source's axes the box can be as large as the source.
        """
        box = self.box(index)
        if box is None:
            return None
        if isinstance(self.data, np.ndarray) or hasattr(self.data, "__dask_graph__"):
            return self.data[box]
        if (last := self._last_part) is None or last[0] != box:
            self._last_part = last = box, self.data[box]
        return last[1]

    def box(self, index: tuple[int, ...]) -> Box | None:
        """Return where `part` lies in the source; None where the plane has nothing of it."""
        return self._map.box(self._ranges_at(index))

    def cut(self, rows: slice, columns: slice) -> Resampled:
        """Return the view of a part of each plane."""
        part = object.__new__(Resampled)
        ranges = list(self._ranges)
        for axis, each in zip(self.axes, (rows, columns), strict=True):
            ranges[axis] = ranges[axis][each]
        part.__dict__.update(self.__dict__, _ranges=ranges, _last=None, _last_part=None)
        return part

    def plane(self, index: tuple[int, ...], part: Any = None) -> NDArray[np.float32]:
        """Return one plane, interpolated.

        Parameters
        ----------
        index : tuple of int
            Of the leading axes.
        part : array, optional
            What `part` returned for this index, computed where it was lazy.

        Returns
        -------
        float32 array, shape (Y, X) or (Y, X, channels)
        """
        mapping, ranges = self._map, self._ranges_at(index)
        matters = tuple(ranges[axis].start for axis in self._leading if not mapping.free[axis])
        if (last := self._last) is not None and last[0] == matters:
            return last[1].copy()
        box, data, start = mapping.box(ranges), self.data, [0] * len(mapping.lengths)
        if part is None and box is not None and volume(box) <= _READ:
            part = self.part(index)
        if part is not None and box is not None:
            data, start = computed(part), [each.start for each in box]
        result = np.empty((*map(len, ranges), *mapping.channels), np.float32)
        fill(result, mapping, data, start, ranges, self.axes, _TILE)
        plane = result.squeeze(tuple(self._leading))
        if self.axes[0] > self.axes[1]:
            plane = np.ascontiguousarray(plane.swapaxes(0, 1))
        if any(mapping.free[axis] for axis in self._leading):
            self._last = matters, plane.copy()
        return plane

    def without_data(self) -> Resampled:
        """Return a view whose `plane` works with a part only, to be sent with it to a worker."""
        bare = object.__new__(Resampled)
        bare.__dict__.update(self.__dict__, data=None, _last=None, _last_part=None)
        return bare

    def _ranges_at(self, index: tuple[int, ...]) -> list[range]:
        if len(index) != len(self._leading):
            raise IndexError(f"{len(index)} indices for {len(self._leading)} leading axes")
        ranges = list(self._ranges)
        for axis, i in zip(self._leading, index, strict=True):
            at = ranges[axis][operator.index(i)]
            ranges[axis] = range(at, at + 1)
        return ranges


def _check_axes(axes: tuple[int, int] | None, target: WorldGrid) -> tuple[int, int]:
    if axes is None:
        return target.ndim - 2, target.ndim - 1
    rows, columns = (int(axis) % target.ndim for axis in axes)
    if rows == columns:
        raise OptionError(f"axes={axes!r} are one and the same: expected (rows, columns).")
    return rows, columns


def _as_dask(view: Resampled) -> Any:
    import dask
    import dask.array as da

    leading, plane = view.shape[: len(view._leading)], view.shape[len(view._leading) :]
    bare = view.without_data()

    def stack(lead: tuple[int, ...]) -> Any:
        if len(lead) < len(leading):
            return da.stack([stack((*lead, i)) for i in range(leading[len(lead)])])
        part = view.part(lead)
        if part is None:
            return da.full(plane, np.nan, np.float32, chunks=-1)
        values = dask.delayed(bare.plane, pure=False)(lead, part)
        return da.from_delayed(values, plane, np.float32)

    return stack(())
