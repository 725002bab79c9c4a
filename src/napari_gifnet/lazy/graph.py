"""A job as a graph of tasks, each of which makes or measures a part of a plane.

What a part is made of goes into the graph as blocks of the inputs; what is made of it is the same
function of the same values as in `fusion.run`. Of a plane in one part both agree to the bit::

    blocks ──> ranges of the values (a tree)
    blocks ──> moments before block 0 (a tree) ──┐        of GIFNet alone, and of planes in several
    blocks ──> moments before block 1 (a tree) <─┘        parts or with the statistics of the stack
    blocks ──> parts of the result ──> chunks

Inputs that are large are not kept from one pass to the next but read again for each: a pass is bound
to the end of the one before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np

from napari_gifnet.backend import Backend
from napari_gifnet.locality import Locality, locality_of
from napari_gifnet.planes.arrays import is_dask
from napari_gifnet.planes.histograms import join_histograms
from napari_gifnet.planes.image import ImagePlanes, Index
from napari_gifnet.planes.job import Job, plane_axes, sampled_indices
from napari_gifnet.planes.ranges import merge_summaries, sample_step, summarise_block
from napari_gifnet.planes.tasks import BASE_HALO, PANSHARPENING

from . import tasks
from .areas import Cut, areas_of, chunks_of
from .blocks import Blocks
from .inputs import Inputs
from .layers import Key, Layer, graph_of, stage_of, tree
from .methods import Method

if TYPE_CHECKING:
    from napari_gifnet.engine import Statistics
    from napari_gifnet.models import Model


def fuse_lazily(
    job: Job,
    model: str | Path | Model | None,
    backend: Backend,
    statistics: Statistics | Mapping[Index, Statistics] | None = None,
    with_index: bool = False,
    by_plane: bool = False,
) -> Any:
    """Return the result of a job as a dask array, in the chunks that came in.

    Parameters
    ----------
    job : Job
        With lazy inputs, or with others.
    model : str, Path, Model or None
        As for `open_fuser`.
    backend : Backend
    statistics : Statistics or mapping, optional
        Such as were gathered before, of all planes or of each by its index; otherwise they are a part
        of the graph, if the model has any.
    with_index : bool
        Whether to return the index as a second array, (..., Y, X) float32.
    by_plane : bool
        Whether a chunk is of one plane, however many the inputs' chunks hold.

    Raises
    ------
    OptionError, CheckpointError, DownloadError
        The model cannot be used.
    """
    method = Method.of(model)
    shared = tasks.Shared(_bare(job), method, backend, statistics, with_index)
    return _Graph(job, shared, by_plane).arrays()


def measure_lazily(
    job: Job, model: str | Path | Model | None, backend: Backend
) -> tuple[Any, dict[Index, Any]]:
    """Return what a result depends on of whole images, as promises.

    Parameters
    ----------
    job, model, backend
        As for `fuse_lazily`.

    Returns
    -------
    ranges : Delayed or None
        For `Job.with_ranges`; None where the job has them.
    statistics : dict of Delayed
        Of planes, by their index: for `fuse_lazily`; without those of planes that need none.
    """
    shared = tasks.Shared(_bare(job), Method.of(model), backend, None, False)
    return _Graph(job, shared, by_plane=False).measurements()


class _Graph:
    """The graph of a job in the making.

    Parameters
    ----------
    job : Job
    shared : Shared
    by_plane : bool
    """

    def __init__(self, job: Job, shared: tasks.Shared, by_plane: bool) -> None:
        self.job, self.shared = job, shared
        self.token = uuid4().hex
        self.locality = locality_of_job(job, shared.method)
        self.leading, self.rows, self.columns = chunks_of(job, by_plane)
        self.areas = areas_of(self.rows, self.columns, self.locality)
        self.handed = self.name("shared")
        self.ranges: Key | None = None
        self.parts: dict[Index, str] = {}

    def name(self, of: str) -> str:
        """Return the name of a layer, or of what a layer is made of."""
        return f"gifnet-{of}-{self.token}"

    def arrays(self) -> Any:
        """Return the result, and the index if it is asked for, as dask arrays."""
        stages = [self._fuse(*each) for each in self._passes()]
        if self.shared.with_index:
            return self._result("result", stages, 0), self._result("index", stages, 1)
        return self._result("result", stages, None)

    def measurements(self) -> tuple[Any, dict[Index, Any]]:
        """Return the ranges and the statistics of each plane as promises, as far as there are any."""
        from dask.delayed import Delayed

        statistics, ranges = {}, None
        for _, indices, found, stage in self._passes():
            graph, layer = stage.dask, stage.__dask_layers__()[0]
            for index in indices:
                if index in found:
                    statistics[index] = Delayed(found[index], graph, layer=layer)
            if self.ranges is not None and ranges is None:
                ranges = Delayed(self.ranges, graph, layer=self.ranges)
        return ranges, statistics

    def _passes(self) -> Iterator[tuple[Inputs, list[Index], dict[Index, Key], Any]]:
        """Add the passes before the last one.

        Yields
        ------
        inputs : Inputs
            What the last pass reads.
        indices : list of tuple of int
            Of these planes.
        statistics : dict
            The tasks that give theirs; without one it is the fuser's own matter.
        stage : Delayed
            The pass before.
        """
        job, inputs = self.job, Inputs.of(self.job)
        stage = stage_of(self.handed, {self.handed: (tasks.hand_over, self.shared)}, [])
        if not job.is_measured:
            stage = self._find_ranges(stage)
            inputs = inputs.again(stage, job.count)
        indices = list(np.ndindex(job.leading))
        if self.locality.measure_halo is None or self.shared.statistics is not None:
            yield inputs, indices, {}, stage
        elif job.normalization == "stack":
            sampled = sampled_indices(job.leading)
            inputs, found, stage = self._measure(inputs, [sampled], stage, len(sampled))
            yield inputs, indices, dict.fromkeys(indices, found[0]), stage
        elif self.areas.count == 1:  # the fuser measures each plane by itself
            yield inputs, indices, {}, stage
        elif not inputs.are_large(1):
            inputs, found, stage = self._measure(inputs, [[i] for i in indices], stage, 1)
            yield inputs, indices, dict(zip(indices, found, strict=True)), stage
        else:
            for index in indices:
                own = inputs
                if job.count > 1:
                    own = inputs.of_plane(index)
                    own = own if job.is_measured else own.again(stage, 1)
                own, found, end = self._measure(own, [[index]], stage, 1)
                yield own, [index], {index: found[0]}, end

    def _find_ranges(self, stage: Any) -> Any:
        """Add the ranges of the values."""
        name, layer = self.name("range"), Layer()
        places: dict[tuple[int, str], int] = {}  # planes of one stack are measured together
        known: list[Any] = []
        images: list[tuple[np.dtype, Any, str]] = []
        found: list[Key] = []
        arrays: list[Any] = []
        for image in self.job.inputs:
            policy, values = image.range, image.measured
            if not isinstance(policy, str):
                known.append(policy)
                continue
            place = places.setdefault((id(values), policy), len(places))
            known.append(place)
            if place < len(images):
                continue
            leaves: list[Key] = []
            leading, step = plane_axes(image), sample_step(values.size)
            for block, box in Blocks(values).all(leading):
                leaf = (f"{name}-{place}", len(leaves))
                shape = values.shape[leading:]
                layer[leaf] = (partial(_summarise, policy, step, box[leading:], shape), block)
                leaves.append(leaf)
            images.append((values.dtype, policy, image.label))
            found.append(tree(layer, f"{name}-{place}", leaves, merge_summaries, policy))
            arrays.append(values)
        self.ranges = name
        layer[name] = (tasks.find_ranges, found, tasks.RangesOf(known, images))
        return stage_of(name, layer, [stage, *filter(is_dask, arrays)])

    def _measure(
        self, inputs: Inputs, groups: list[list[Index]], stage: Any, together: int
    ) -> tuple[Inputs, list[Key], Any]:
        """Add the statistics of groups of planes; `together` of them are read before their end."""
        of_first: list[Key] = []
        statistics: list[Key] = []
        for behind in (False, True):
            name = self.name(f"moments-{int(behind)}-{_joined(groups[0][0])}")
            layer: Layer = {}
            for place, indices in enumerate(groups):
                leaves = []
                for index, area in product(indices, self.areas.keys):
                    leaf = (name, place, *index, *area)
                    cut = self._cut(index, area, self.locality.measure_halo)
                    before = of_first[place] if behind else None
                    made_of = inputs.parts(self.job, cut)
                    layer[leaf] = (
                        tasks.measure_part, self.handed, cut, made_of, self.ranges, before
                    )  # fmt: skip
                    leaves.append(leaf)
                root = tree(layer, f"{name}-{place}", leaves, tasks.add_moments)
                if not behind:
                    of_first.append(root)
                    continue
                end = (f"{name}-all", place)
                layer[end] = (tasks.gathered, of_first[place], root)
                statistics.append(end)
            end = statistics[-1] if behind else of_first[-1]
            stage = stage_of(name, layer, [stage, *inputs.lazy], end)
            inputs = inputs.again(stage, together)
        return inputs, statistics, stage

    def _fuse(
        self, inputs: Inputs, indices: list[Index], statistics: dict[Index, Key], stage: Any
    ) -> Any:
        """Add the parts of planes of the result; of each plane `parts` has their name."""
        name, layer = self.name(f"fused-{_joined(indices[0])}"), Layer()
        for index in indices:
            self.parts[index] = name
            if self.job.task == PANSHARPENING and self.areas.count > 1:
                self._sharpen(layer, name, inputs, index, statistics.get(index))
                continue
            for area in self.areas.keys:
                cut = self._cut(index, area, self.locality.halo)
                layer[name, *index, *area] = (
                    tasks.fuse_part,
                    self.handed,
                    cut,
                    inputs.parts(self.job, cut),
                    self.ranges,
                    statistics.get(index),
                )
        return stage_of(name, layer, [stage, *inputs.lazy])

    def _sharpen(
        self, layer: Layer, name: str, inputs: Inputs, index: Index, statistics: Key | None
    ) -> None:
        """Add the parts of a sharpened band, whose radiometry is that of the whole band."""
        leaves, bands = [], {}
        for area in self.areas.keys:
            cut = self._cut(index, area, self.locality.halo, BASE_HALO)
            inner = tasks.Inner.of(cut, self._cut(index, area, self.locality.halo))
            bands[area] = (f"{name}-band", *index, *area)
            layer[bands[area]] = (
                tasks.fuse_band,
                self.handed,
                cut,
                inner,
                inputs.parts(self.job, cut),
                self.ranges,
                statistics,
            )
            leaves.append((f"{name}-histogram", *index, *area))
            layer[leaves[-1]] = (tasks.histograms_of, bands[area])
        root = tree(layer, f"{name}-{_joined(index)}", leaves, join_histograms)
        for area, band in bands.items():
            layer[name, *index, *area] = (tasks.sharpen_band, self.handed, band, root)

    def _cut(self, index: Index, area: tuple[int, int], halo: int | None, margin: int = 0) -> Cut:
        return self.areas.cut(index, area, halo or 0, self.locality.alignment, margin)

    def _result(self, of: str, stages: list[Any], place: int | None) -> Any:
        """Return an array of the chunks that the parts hold."""
        import dask.array as da

        name, layer = self.name(of), Layer()
        channels = self.job.channels if of == "result" else ()
        dtype = self.job.dtype if of == "result" else np.dtype(np.float32)
        within = list(self.areas.of_chunks(self.rows, self.columns))
        points = [np.cumsum([0, *lengths]) for lengths in self.leading]
        for block in np.ndindex(tuple(map(len, self.leading))):
            held = [range(p[i], p[i + 1]) for p, i in zip(points, block, strict=True)]
            indices, counts = list(product(*held)), tuple(map(len, held))
            for at, area, sides in within:
                parts = [(self.parts[index], *index, *area) for index in indices]
                chosen = tasks.Chosen(sides, counts, place)
                layer[name, *block, *at, *(0 for _ in channels)] = (tasks.choose, parts, chosen)
        graph = graph_of(name, layer, stages)
        chunks = (*self.leading, self.rows, self.columns, *((n,) for n in channels))
        return da.Array(graph, name, chunks, meta=np.empty((0,) * len(chunks), dtype))


def locality_of_job(job: Job, method: Method) -> Locality:
    """Return how far is looked to make a part of a job's result."""
    locality = locality_of(method.model, len(job.inputs))
    if any(hasattr(image.values, "part") and not image.in_parts for image in job.inputs):
        return replace(locality, halo=None)
    return locality


def _summarise(
    policy: Any, step: int, box: Any, shape: tuple[int, ...], block: np.ndarray
) -> np.ndarray:
    return summarise_block(block, policy, step, box, shape)


def _joined(index: Index) -> str:
    return "-".join(map(str, index))


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
