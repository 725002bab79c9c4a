"""What the passes of a graph read: the arrays of a job's inputs, anew for each pass if they are large."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from napari_gifnet.planes.arrays import is_dask
from napari_gifnet.planes.image import Index
from napari_gifnet.planes.job import Job

from .areas import Cut
from .blocks import Blocks

KEPT_BYTES = 256e6
"""Inputs of no more bytes are read once and kept from pass to pass; larger ones are read for each."""


class Inputs:
    """The arrays that a job's inputs are made of.

    Parameters
    ----------
    job : Job
    first : mapping
        The arrays as they came in, by their identity.
    now : mapping
        What is read in their place, likewise.
    """

    def __init__(self, job: Job, first: Mapping[int, Any], now: Mapping[int, Any]) -> None:
        self._job, self._first, self._now = job, first, now
        self._blocks = {key: Blocks(array) for key, array in now.items()}

    @classmethod
    def of(cls, job: Job) -> Inputs:
        """Return the arrays as they came in."""
        arrays = [
            image.values.data if hasattr(image.values, "part") else image.values
            for image in job.inputs
        ]
        first = {id(array): array for array in arrays}
        return cls(job, first, first)

    @property
    def lazy(self) -> list[Any]:
        """What a layer depends on."""
        return [array for array in self._now.values() if is_dask(array)]

    def are_large(self, planes: int) -> bool:
        """Whether so many planes of all inputs are not to be kept from one pass to the next."""
        pixels = planes * int(np.prod(self._job.sides))
        each = (
            image.dtype.itemsize * (image.values.shape[-1] if image.rgb else 1)
            for image in self._job.inputs
            if image.lazy
        )
        return pixels * sum(each) > KEPT_BYTES

    def parts(self, job: Job, cut: Cut) -> list[Any]:
        """Return what a task is given to have a cut of a plane of each input."""
        parts = []
        for image in job.inputs:
            place = image.place(cut.index, cut.rows, cut.columns)
            parts.append(None if place is None else self._blocks[id(place[0])].part(place[1]))
        return parts

    def again(self, stage: Any, planes: int) -> Inputs:
        """Return what is read once a stage has ended, when so many planes are too large to keep."""
        if not self.are_large(planes):
            return self
        from dask.graph_manipulation import bind

        lazy = {key: array for key, array in self._first.items() if is_dask(array)}
        bound = bind(tuple(lazy.values()), stage)
        return Inputs(
            self._job, self._first, {**self._first, **dict(zip(lazy, bound, strict=True))}
        )

    def of_plane(self, index: Index) -> Inputs:
        """Return what one plane is read of as it came in, without the tasks of the others."""
        import dask.array as da
        from dask.highlevelgraph import HighLevelGraph

        rows, columns = (slice(0, side) for side in self._job.sides)
        wanted: dict[int, set[Any]] = {}
        for image in self._job.inputs:
            place = image.place(index, rows, columns)
            if place is not None and is_dask(place[0]):
                _, keys, _ = Blocks(place[0]).part(place[1])
                wanted.setdefault(id(place[0]), set()).update(keys)
        found = dict(self._first)
        for key, keys in wanted.items():
            array = found[key]
            tasks = dict(array.__dask_graph__().cull(keys))
            graph = HighLevelGraph({array.name: tasks}, {array.name: set()})
            found[key] = da.Array(graph, array.name, array.chunks, meta=array._meta)
        return Inputs(self._job, found, found)
