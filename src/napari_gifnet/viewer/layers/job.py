"""A fusion of layers as a job: which grid, which part of it, and the planes that come of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np

from napari_gifnet.backend import Backend
from napari_gifnet.errors import ImageError, OptionError
from napari_gifnet.grids.pairs import common_grid, unit_note
from napari_gifnet.grids.regions import plane_at
from napari_gifnet.grids.world_grid import WorldGrid
from napari_gifnet.models import STACK_MODEL, Model
from napari_gifnet.placed import describe_grids
from napari_gifnet.planes.image import ImagePlanes
from napari_gifnet.planes.job import Job, resolve
from napari_gifnet.planes.ranges import Range
from napari_gifnet.planes.request import Request, check_index
from napari_gifnet.planes.tasks import PANSHARPENING

from .colormaps import looks_of
from .extent import Region, choose_axes, choose_region, covered_share
from .fitting import MissingScale, find_missing_scale
from .levels import check_size, choose_levels, measures_too_much
from .options import PAIR_OPTIONS, LayerOptions
from .source import Look, Source, check_layer, read_layer
from .stacks import (
    axes_of_planes,
    describe_index,
    find_axis,
    grid_of_stack,
    planes_along,
    stands_by_itself,
)

if TYPE_CHECKING:
    from napari.layers import Image

    from .current import Current

__all__ = ["PAIR_OPTIONS", "LayerJob", "LayerOptions", "plan_layers", "plan_stack"]


@dataclass(frozen=True, eq=False)
class LayerJob:
    """A job whose inputs are layers, and where its result lies. The layers are not needed any more.

    Attributes
    ----------
    job : Job
        Of the region.
    stack : Job
        Of all planes of the grid, which share their normalization.
    sources : tuple of Source
        The layers, each once.
    options : LayerOptions
        As they were given.
    backend : Backend
    grid : WorldGrid
        The whole grid of which the result is a part.
    stack_grid : WorldGrid
        That of `stack`: the same, or a finer one where the result is a coarse preview.
    grid_choice : {"a", "b", "finer"} or int
        Whose it is.
    region : tuple of slice
        The part that is computed, in voxels of `grid`.
    axes : (rows, columns)
        The axes of the grid that are the planes.
    axis : int or None
        Of `grid`, along which the planes of a stack in one layer lie: there it has one voxel, which
        is as thick as the stack.
    stacked : bool
        Whether it is a stack that is fused, in one layer or in several.
    drops_axis : bool
        Whether the result is without the axis: it is the first one, and stands by itself. Otherwise
        the result keeps it, of length 1, so that its axes are those of the layer.
    missing_scale : MissingScale or None
        Which layer should perhaps be fitted onto the other, see `fit_extent`.
    lazy : bool
        The result is computed when it is looked at.
    notes : tuple of str
        What a user should know.
    """

    job: Job
    stack: Job
    sources: tuple[Source, ...]
    options: LayerOptions
    backend: Backend
    grid: WorldGrid
    stack_grid: WorldGrid
    grid_choice: str | int
    region: Region
    axes: tuple[int, int]
    axis: int | None
    stacked: bool
    drops_axis: bool
    missing_scale: MissingScale | None
    lazy: bool
    notes: tuple[str, ...]

    @property
    def enhances(self) -> bool:
        """Whether there is one image, rather than several."""
        return self.job.enhances

    @property
    def model(self) -> str | Path | Model | None:
        """What `open_fuser` makes ready: what was asked for, or the default of a pair or a stack."""
        return STACK_MODEL if self.stacked and self.options.model is None else self.options.model

    @property
    def name(self) -> str:
        """Of the result."""
        names = [source.name for source in self.sources]
        if self.axis is not None or self.enhances:
            return f"{names[0]} {'enhanced' if self.axis is None else 'fused'} (GIFNet)"
        if len(names) > 3:
            names = [names[0], f"{len(names) - 1} more"]
        return f"{' + '.join(names)} (GIFNet)"

    @property
    def order(self) -> Literal[1, 3]:
        """Of the interpolation."""
        return self.options.order

    @property
    def result_grid(self) -> WorldGrid:
        """Where the result lies."""
        grid = self.grid.crop(self.region)
        return grid.without_leading_axis() if self.drops_axis else grid

    @property
    def index_meaning(self) -> dict[str, Any]:
        """What the index of a stack means, see `describe_index`."""
        return describe_index(self.sources[0].grid, self.axis)

    @property
    def shape(self) -> tuple[int, ...]:
        """Voxels of the result along each axis of the grid."""
        return tuple(part.stop - part.start for part in self.region)

    @property
    def pixels(self) -> int:
        """How many pixels are computed in all."""
        return int(np.prod(self.shape, dtype=int))

    @property
    def bytes(self) -> int:
        """Size of the result in memory, with that of its index."""
        index = 4 * self.pixels if self.options.return_index else 0
        return self.job.dtype.itemsize * int(np.prod(self.job.shape, dtype=int)) + index

    @property
    def normalization(self) -> Literal["plane", "stack"]:
        """What the network's normalisations measure."""
        return self.stack.normalization

    @property
    def own_planes(self) -> Job:
        """The job as one whose statistics, if they are not given, are each plane's own."""
        return replace(self.job, normalization="plane")

    def measured(self) -> LayerJob:
        """Return the job with the ranges measured that depend on the values.

        Raises
        ------
        ImageError
            A layer has no finite value.
        """
        if self.job.is_measured:
            return self
        return self.with_ranges(cast("list[Range]", self.job.measured().ranges))

    @property
    def ranges(self) -> list[Any]:
        """What becomes 0 and 1 of each layer; a policy where that is still to be measured."""
        return self.job.ranges[: len(self.sources)]

    def with_ranges(self, ranges: Sequence[Range]) -> LayerJob:
        """Return the job with numbers for the ranges of its layers, or of all its planes."""
        if self.axis is not None and len(ranges) == 1:
            ranges = list(ranges) * len(self.job.inputs)
        return replace(self, job=self.job.with_ranges(ranges), stack=self.stack.with_ranges(ranges))

    @property
    def summary(self) -> str:
        """One line for before the run: sizes, grids, ranges, the colour rule, and notes."""
        after = [*self.notes]
        if self.lazy:
            after.insert(0, "each plane is computed when you come to it")
        return self.job.summary([] if self.enhances else [self._describe_grids()], after)

    def _describe_grids(self) -> str:
        if self.axis is not None:
            label = self.grid.axis_labels[self.axis]
            return f"each of {len(self.job.inputs)} planes along axis {label}"
        return describe_grids(self.sources, self.grid, self.options.interpolation)

    def plane_shown(self, current: Current) -> Region:
        """Return the region of the plane that a viewer shows, the nearest where it shows none."""
        return plane_at(self.grid, current.point, self.axes, current.units, within=self.region)

    def plane_of(self, result: Any, part: Region) -> Any:
        """Return one plane of the result, (Y, X) or (Y, X, channels).

        Parameters
        ----------
        result : array
            As `run_plan` returned it, or its index.
        part : tuple of slice
            The plane, in voxels of `grid`, as `plane_shown` gives it.
        """
        index = [
            slice(None) if axis in self.axes else one.start - whole.start
            for axis, (one, whole) in enumerate(zip(part, self.region, strict=True))
        ]
        plane = result[tuple(index[1:] if self.drops_axis else index)]
        return plane.swapaxes(0, 1) if self.axes[0] > self.axes[1] else plane

    def on(self, grid: WorldGrid, region: Region) -> LayerJob:
        """Return the job of another region, or on another grid; its result is in memory."""
        placed = _inputs(self.sources, grid, region, self.axes, self.order, self.axis)
        inputs = [
            replace(image, values=planes.values, leading=planes.leading)
            for image, planes in zip(self.job.inputs, placed, strict=True)
        ]
        job = replace(self.job, inputs=tuple(inputs))
        return replace(self, job=job, grid=grid, region=region, lazy=False)


def plan_layers(
    layer_a: Image,
    layer_b: Image | None,
    options: LayerOptions | None = None,
    *,
    current: Current | None = None,
) -> LayerJob:
    """Find out what a run would do; quick, whatever the size of the layers.

    Parameters
    ----------
    layer_a, layer_b : napari.layers.Image
        None for the second is an enhancement of the first.
    options : LayerOptions, optional
    current : Current, optional
        What the viewer shows: the displayed axes, the slice, the view.

    Raises
    ------
    GIFNetError
        One sentence on why it cannot be done.
    """
    layers = [layer_a] if layer_b is None else [layer_a, layer_b]
    return plan_as_seen(layers, options or LayerOptions(), current, stacked=False)


def plan_stack(
    layers: Image | Sequence[Image],
    options: LayerOptions | None = None,
    *,
    current: Current | None = None,
) -> LayerJob:
    """Find out what the fusion of a stack would do; quick, whatever its size.

    Parameters
    ----------
    layers : napari.layers.Image, or a sequence of them
        One, whose planes along an axis are fused, or several, which are fused with each other.
    options : LayerOptions, optional
        Its normalization does not matter: what many planes are fused to is normalized by itself.
    current : Current, optional
        What the viewer shows: the displayed axes, the slice of what is left, the view.

    Raises
    ------
    GIFNetError
        One sentence on why it cannot be done.
    """
    options = options or LayerOptions()
    check_index(options.return_index, options.task)
    given = list(layers) if isinstance(layers, (list, tuple)) else [layers]
    if not given:
        raise ImageError("No layer was given: expected one with a stack of planes, or several.")
    if len(given) > 1 and options.axis is not None:
        raise OptionError(
            f"axis={options.axis!r} is of a stack in one layer, and {len(given)} layers were given: "
            "expected none of it, or one layer."
        )
    return plan_as_seen(cast("list[Image]", given), options, current, stacked=True)


def plan_as_seen(
    layers: Sequence[Image],
    options: LayerOptions,
    current: Current | None,
    stacked: bool,
    looks: Sequence[Look] | None = None,
) -> LayerJob:
    """Return the job of layers in the looks they have now, or in others that they had once."""
    backend, order = options.backend, options.order
    for layer in layers:
        check_layer(layer)
    levels = choose_levels(layers, options)
    options = replace(options, level=levels[0] if len(set(levels)) == 1 else levels)
    along = find_axis(layers[0], options.axis) if stacked and len(layers) == 1 else None
    looks = looks or looks_of(layers, options)
    sources = tuple(map(read_layer, layers, levels, looks))
    grids = [source.grid for source in sources]
    largest = max(grids, key=lambda grid: grid.ndim)
    bands = options.task == PANSHARPENING.name  # are no rows, however they are displayed
    axes = choose_axes(largest, options.axes, None if bands else current)
    if along is not None:
        shown = range(largest.ndim) if current is None else current.order_of(largest)
        axes = axes_of_planes(largest, along, None if options.axes is None else axes, shown)

    choice = options.grid_choice
    missing, note = None, None
    if along is not None:
        grid = grids[0].coarser(grids[0].shape[along], (along,))
        current = None if current is None else current.within(grid, along)
    elif stacked and len(layers) > 1:
        grid = grid_of_stack(grids, choice, axes)
    elif len(layers) > 1:
        grid = common_grid(grids[0], grids[1], choice, axes)
    else:
        grid = grids[0]
    if len(layers) > 1:
        note = next(filter(None, (unit_note(grids[0], other) for other in grids[1:])), None)
        missing = find_missing_scale(grids, axes)
    thick = current and current.note_on_thick_slices(layers, axes, grid.ndim)
    region = choose_region(grid, axes, options.extent, current)
    covered = 1.0
    if along is None:
        covered = min(covered_share(source, grid, region) for source in sources)

    normalization = "plane" if stacked or measures_too_much(layers, grid, region) else None

    def job_of(part: Region, alpha: bool) -> Job:
        inputs = _inputs(sources, grid, part, axes, order, along)
        return resolve(
            Request(
                tuple(inputs),
                task=options.task if len(inputs) > 1 or not stacked else None,
                intensity=options.intensity,
                color=options.color,
                normalization=normalization or options.normalization,
                alpha=alpha,
            )
        )

    job = job_of(region, sources[0].has_alpha or covered < 1)
    lazy = job.lazy and job.count > 1 if options.lazy is None else options.lazy
    if options.lazy is None:
        check_size(job, sources)
    return LayerJob(
        job=job,
        stack=job if stacked else job_of(tuple(slice(0, n) for n in grid.shape), False),
        sources=sources,
        options=options,
        backend=backend,
        grid=grid,
        stack_grid=grid,
        grid_choice=choice,
        region=region,
        axes=axes,
        axis=along,
        stacked=stacked,
        drops_axis=along == 0 and stands_by_itself(grid),
        missing_scale=missing,
        lazy=lazy,
        notes=tuple(each for each in (note, missing.note if missing else None, thick) if each),
    )


def _inputs(
    sources: tuple[Source, ...],
    grid: WorldGrid,
    region: Region,
    axes: tuple[int, int],
    order: Literal[1, 3],
    axis: int | None,
) -> list[ImagePlanes]:
    """Return the layers on a region of a grid: each an input, or each of a stack's planes."""
    if axis is not None:
        return planes_along(sources[0], axis, grid, region, axes, order)
    return [source.planes_on(grid, region, axes, order) for source in sources]
