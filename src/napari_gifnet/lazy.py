"""A job as a dask graph: each plane is computed when it is asked for, as an eager run computes it.

What a plane is made of goes into the graph as slices of the inputs; what is made of it is the same
function of the same values as in `fusion.run`, so that both agree to the bit.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .backend import Backend
from .fusers import Fuser, check_method, gather_normalization, open_fuser, require_index
from .planes.arrays import is_dask
from .planes.image import ImagePlanes, Index
from .planes.job import Job, plane_axes, sampled_indices
from .planes.ranges import Range, combine, from_unit, sample_step, summarise

if TYPE_CHECKING:
    from .engine import Statistics
    from .models import Model

Parts = tuple[Any, ...]

_ONE_AT_A_TIME = threading.Lock()
"""A fuser uses all cores; several at once would only take more memory."""


def fuse_lazily(
    job: Job,
    model: str | Path | Model | None,
    backend: Backend,
    statistics: Statistics | None = None,
    with_index: bool = False,
) -> Any:
    """Return the result of a job as a dask array, one plane a chunk.

    Parameters
    ----------
    job : Job
        With lazy inputs, or with others.
    model : str, Path, Model or None
        As for `open_fuser`.
    backend : Backend
    statistics : Statistics, optional
        Such as were gathered before; otherwise they are a part of the graph, if the job's
        normalization asks for them.
    with_index : bool
        Whether to return the index as a second array, (..., Y, X) float32.

    Raises
    ------
    OptionError, CheckpointError, DownloadError
        The model cannot be used.
    """
    import dask.array as da
    from dask import delayed

    check_method(model)
    ranges = _promise_ranges(job)
    # dask looks for promises in all that a call is given: what holds none goes in beforehand
    bare = _bare(job)
    known: Any = statistics
    if known is None and job.normalization == "stack":
        indices = sampled_indices(job.leading)
        parts = [_parts(job, index) for index in indices]
        gather = partial(_gather, bare, model, backend, indices)
        known = delayed(gather, pure=False)(parts, ranges)
    fuse_plane = partial(_fuse_plane, bare, model, backend, with_index)
    planes = {
        index: delayed(partial(fuse_plane, index), pure=False)(_parts(job, index), ranges, known)
        for index in np.ndindex(job.leading)
    }

    def stacked(of: int | None, shape: tuple[int, ...], dtype: Any, index: Index = ()) -> Any:
        if len(index) < len(job.leading):
            count = job.leading[len(index)]
            return da.stack([stacked(of, shape, dtype, (*index, i)) for i in range(count)])
        plane = planes[index] if of is None else planes[index][of]
        return da.from_delayed(plane, shape, meta=np.empty((0,) * len(shape), dtype))

    shape = job.sides + job.channels
    if not with_index:
        return stacked(None, shape, job.dtype)
    return stacked(0, shape, job.dtype), stacked(1, job.sides, np.float32)


def _promise_ranges(job: Job) -> list[Any]:
    """Return the ranges of a job's inputs, a promise of those that depend on the values."""
    from dask import delayed

    promised: list[Any] = []
    found: dict[tuple[int, str], Any] = {}  # planes of one stack are measured together
    for image in job.inputs:
        limits: Any = image.range
        if isinstance(limits, str):
            key = (id(image.measured), limits)
            if key not in found:
                values = image.measured
                step = sample_step(values.size)
                planes = [_block(values[i]) for i in np.ndindex(values.shape[: plane_axes(image)])]
                kept = [delayed(summarise)(plane, limits, step) for plane in planes]
                found[key] = delayed(combine)(kept, values.dtype, limits, image.label)
            limits = found[key]
        promised.append(limits)
    return promised


def _parts(job: Job, index: Index) -> list[Any]:
    return [_block(image.part(index)) for image in job.inputs]


def _block(part: Any) -> Any:
    """Return a lazy part as one block that keeps the keys of its chunks.

    Optimized by itself, each plane would get chunks of its own, which are then computed, or read
    from a disk, once for every plane and once more for the range.
    """
    if not is_dask(part):
        return part
    return part.rechunk(part.shape).to_delayed(optimize_graph=False).item()


def _bare(job: Job) -> Job:
    """Return the job without its values, which the graph holds."""
    return replace(job, inputs=tuple(_without_values(image) for image in job.inputs))


def _without_values(image: ImagePlanes) -> ImagePlanes:
    values = image.values
    kept = values.without_data() if hasattr(values, "part") else _Shape(values.shape)
    return replace(image, values=kept, measured=np.empty(0, image.dtype))


class _Shape:
    """Stands for values that are somewhere else."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape


def _fuse_plane(
    job: Job,
    model: str | Path | Model | None,
    backend: Backend,
    with_index: bool,
    index: Index,
    parts: Parts,
    ranges: list[Range],
    statistics: Statistics | None,
) -> Any:
    job = job.with_ranges(ranges)
    planes = job.planes(index, parts)
    with _ONE_AT_A_TIME:
        fuser = _last_fuser(model, backend)
        if with_index:
            require_index(fuser)
        stacks = [job.lumas(planes)]
        (fused,) = fuser.fuse_planes(stacks, 1, None, statistics, job.task_name)
    made = from_unit(job.picture(fused.plane, planes, fused.index), job.dtype)
    return (made, fused.index) if with_index else made


def _gather(
    job: Job,
    model: str | Path | Model | None,
    backend: Backend,
    indices: list[Index],
    parts: list[Parts],
    ranges: list[Range],
) -> Statistics | None:
    of_index = dict(zip(indices, parts, strict=True))
    with _ONE_AT_A_TIME:
        fuser = _last_fuser(model, backend)
        if not fuser.normalizes:
            return None
        return gather_normalization(job.with_ranges(ranges), fuser, None, of_index)


@lru_cache(maxsize=1)
def _last_fuser(model: str | Path | Model | None, backend: Backend) -> Fuser:
    return open_fuser(model, backend)
