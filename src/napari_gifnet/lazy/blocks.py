"""Parts of arrays as tasks that put them together of the array's blocks."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from napari_gifnet.planes.arrays import is_dask
from napari_gifnet.planes.image import Box


@dataclass(frozen=True, slots=True)
class Window:
    """What is taken of blocks that lie side by side.

    Attributes
    ----------
    counts : tuple of int
        How many blocks there are along each axis.
    starts, lengths : tuple of int
        Along each axis, counted from the corner of the first block.
    single : int
        How many axes in front are taken away, each of length 1.
    """

    counts: tuple[int, ...]
    starts: tuple[int, ...]
    lengths: tuple[int, ...]
    single: int


class Blocks:
    """The blocks of an array, of one that is in memory the array itself.

    Parameters
    ----------
    array : numpy.ndarray or dask.array.Array
    """

    def __init__(self, array: Any) -> None:
        self.array = array
        if is_dask(array):
            self._name = array.name
            self._points = [np.cumsum([0, *lengths]).tolist() for lengths in array.chunks]
            self._found: dict[tuple[int, int, int], tuple[int, range]] = {}

    def part(self, box: Box) -> Any:
        """Return what a task is given to have a part of the array: a task, or the part itself."""
        if not is_dask(self.array):
            return self.array[box]
        starts, lengths, blocks, single = [], [], [], 0
        whole = (
            slice(0, n) for n in self.array.shape[len(box) :]
        )  # channels, of a box in the world
        for axis, each in enumerate((*box, *whole)):
            if isinstance(each, slice):
                start, stop = each.start, each.stop
            else:
                start, stop, single = each, each + 1, single + 1
            inside, held = self._along(axis, start, stop)
            starts.append(inside)
            lengths.append(int(stop - start))
            blocks.append(held)
        keys = [(self._name, *at) for at in product(*blocks)]
        counts = tuple(map(len, blocks))
        return put_together, keys, Window(counts, tuple(starts), tuple(lengths), single)

    def _along(self, axis: int, start: int, stop: int) -> tuple[int, range]:
        """Return where a part begins in the first of the blocks that hold it, and which these are."""
        found = self._found.get((axis, start, stop))
        if found is None:
            points = self._points[axis]
            first = bisect_right(points, start) - 1
            found = int(start - points[first]), range(first, bisect_left(points, stop))
            self._found[axis, start, stop] = found
        return found

    def all(self, leading: int) -> Iterator[tuple[Any, Box]]:
        """Yield the key of each block and where it lies; of an array in memory each plane."""
        if not is_dask(self.array):
            shape = self.array.shape
            inner = tuple(slice(0, n) for n in shape[leading:])
            for index in np.ndindex(shape[:leading]):
                yield self.array[index], (*index, *inner)
            return
        for at in product(*(range(len(points) - 1) for points in self._points)):
            box = (
                slice(points[i], points[i + 1]) for points, i in zip(self._points, at, strict=True)
            )
            yield (self._name, *at), tuple(box)


def put_together(blocks: list[np.ndarray], window: Window) -> np.ndarray:
    """Return a part of an array of the blocks that it lies in, in C order.

    Examples
    --------
    >>> left, right = np.zeros((2, 3)), np.ones((2, 3))
    >>> put_together([left, right], Window((1, 2), (0, 2), (1, 3), 0))
    array([[0., 1., 1.]])
    """
    inside = tuple(slice(s, s + n) for s, n in zip(window.starts, window.lengths, strict=True))
    if len(blocks) == 1:
        part = blocks[0][inside]
        return part.reshape(part.shape[window.single :])
    masked = any(isinstance(block, np.ma.MaskedArray) for block in blocks)
    part = (np.ma.empty if masked else np.empty)(window.lengths, blocks[0].dtype)
    grid = np.empty(window.counts, object)
    for at, block in zip(np.ndindex(grid.shape), blocks, strict=True):
        grid[at] = block
    ends = []
    for axis in range(grid.ndim):
        row = grid[tuple(slice(None) if a == axis else 0 for a in range(grid.ndim))]
        ends.append(np.cumsum([0, *(block.shape[axis] for block in row)]))
    for at in np.ndindex(grid.shape):
        into, taken = [], []
        for axis, i in enumerate(at):
            low = max(window.starts[axis], ends[axis][i])
            high = min(window.starts[axis] + window.lengths[axis], ends[axis][i + 1])
            into.append(slice(low - window.starts[axis], high - window.starts[axis]))
            taken.append(slice(low - ends[axis][i], high - ends[axis][i]))
        part[tuple(into)] = grid[at][tuple(taken)]
    return part.reshape(part.shape[window.single :])
