"""The planes of many inputs at one place, made when they are asked for and kept as memory goes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import overload

import numpy as np

from .image import ImagePlanes, Index, Plane

KEPT_BYTES = 256e6
"""Of planes in float32 that are kept; the others are made anew when they are asked for again."""


class ManyPlanes(Sequence[Plane]):
    """One plane of each of many inputs; few of them are in memory at a time.

    Parameters
    ----------
    inputs : sequence of ImagePlanes
        With ranges that are measured.
    index : tuple of int
        The place within their stacks.
    """

    def __init__(self, inputs: Sequence[ImagePlanes], index: Index) -> None:
        self._inputs, self._index = inputs, index
        self._kept: OrderedDict[int, Plane] = OrderedDict()
        sides = inputs[0].sides
        self._room = max(1, int(KEPT_BYTES / (4 * sides[0] * sides[1])))

    def __len__(self) -> int:
        return len(self._inputs)

    @overload
    def __getitem__(self, place: int) -> Plane: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[Plane]: ...

    def __getitem__(self, place: int | slice) -> Plane | Sequence[Plane]:
        if isinstance(place, slice):
            return [self[i] for i in range(len(self))[place]]
        place = range(len(self))[place]
        plane = self._kept.get(place)
        if plane is None:
            plane = self._inputs[place].plane(self._index)
            if len(self._kept) < self._room:  # a walk comes back to its start: keep the first ones
                self._kept[place] = plane
        return plane

    def __iter__(self) -> Iterator[Plane]:
        return (self[place] for place in range(len(self)))


class Lumas(Sequence[np.ndarray]):
    """The lumas (Y, X) of planes, float32 in [0, 1]."""

    def __init__(self, planes: Sequence[Plane]) -> None:
        self._planes = planes

    def __len__(self) -> int:
        return len(self._planes)

    @overload
    def __getitem__(self, place: int) -> np.ndarray: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[np.ndarray]: ...

    def __getitem__(self, place: int | slice) -> np.ndarray | Sequence[np.ndarray]:
        if isinstance(place, slice):
            return [plane.luma for plane in self._planes[place]]
        return self._planes[place].luma

    def __iter__(self) -> Iterator[np.ndarray]:
        return (plane.luma for plane in self._planes)
