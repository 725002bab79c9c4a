"""A fusion of layers as a job: which grid, which part of it, and the planes that come of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np

from napari_gifnet.backend import Backend
from napari_gifnet.errors import ImageError, OptionError
from napari_gifnet.grids.pairs import common_grid, overlap, unit_note
from napari_gifnet.grids.regions import plane_at
from napari_gifnet.grids.world_grid import WorldGrid
from napari_gifnet.models import Model
from napari_gifnet.planes.job import Job, resolve
from napari_gifnet.planes.ranges import Range
from napari_gifnet.planes.request import Request
from napari_gifnet.planes.tasks import PANSHARPENING

from .extent import Region, choose_axes, choose_region
from .source import Source, check_layer, read_layer

if TYPE_CHECKING:
    from napari.layers import Image

    from .current import Current

ORDERS: dict[str, Literal[1, 3]] = {"linear": 1, "cubic": 3}

_GRIDS = {"pet_mri": "finer", PANSHARPENING.name: "b"}
"""What ``grid="auto"`` means for a task; ``"a"`` for all others."""


@dataclass(frozen=True)
class LayerOptions:
    """Everything a user can set; keyword arguments of `fuse_layers` have the same names.

    Attributes
    ----------
    task : str, optional
        A preset; see `napari_gifnet.fuse`.
    model : str, Path or Model, optional
    color : {"auto", "a", "b", "gray", "displayed"}
        As for `napari_gifnet.fuse`; "displayed" fuses layers of one channel in the colours of
        their colormaps.
    intensity : "layer", policy, (low, high), or a pair of these
        "layer" is the contrast limits, of layers in colour the full range of their dtype; the others
        as for `napari_gifnet.fuse`, always of the whole layer, whatever part of it is fused.
    grid : {"auto", "a", "b", "finer"}
        Whose grid the result is on, where they differ. "auto" is the finer one for PET with MRI,
        that of the panchromatic layer for pansharpening, else A's.
    interpolation : {"linear", "cubic"}
        Of the layer that is brought onto the other's grid.
    extent : {"all", "slice", "view"}, Shapes layer, box, or slices; or several of the first four
        "slice" and "view" are those of the viewer; a view, and the box around the selected shapes
        or else all, cut every plane of a stack. A box ((low, …), (high, …)) is of the world, in
        the viewer's units, or the grid's without one. Slices, one for each axis, are voxels of
        the result's grid. Of a tuple such as ("slice", "view") what they have in common.
    axes : (rows, columns), optional
        Which axes of the result's grid are the planes; by default those the viewer displays, or
        the last two without one.
    level : int
        Of multiscale layers; 0 is the finest.
    gamma : bool
        Whether to apply the layers' gamma.
    device, precision, tile_size
        As for `napari_gifnet.fuse`.
    memory : float, optional
        Megabytes to spend on keeping maps rather than computing them twice; by default 560 on a
        CPU, half of what is free on a GPU. It changes the speed, not the result.
    normalization : {"stack", "plane"}
        As for `napari_gifnet.fuse`; "stack", the default, is that of all planes of the grid,
        whichever part of it is fused, so that nothing flickers as one scrolls and a slice is a
        slice of the stack. The bands of pansharpening have each its own.
    lazy : bool, optional
        Whether the planes are computed when they are looked at. By default they are, where a
        layer is not in memory and there is more than one.
    """

    task: str | None = None
    model: str | Path | Model | None = None
    color: str = "auto"
    intensity: Any = "layer"
    grid: str = "auto"
    interpolation: str = "linear"
    extent: Any = "all"
    axes: tuple[int, int] | None = None
    level: int = 0
    gamma: bool = False
    device: str = "auto"
    precision: str = "auto"
    tile_size: Any = "auto"
    memory: float | None = None
    normalization: str = "stack"
    lazy: bool | None = None

    @property
    def backend(self) -> Backend:
        """Where and how it is computed; raises OptionError if that is not understood."""
        megabytes = self.memory
        if isinstance(megabytes, (int, float)) and not isinstance(megabytes, bool):
            megabytes = megabytes * 1e6
        return Backend(self.device, self.precision, self.tile_size, megabytes)


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
    grid_choice : {"a", "b", "finer"}
        Whose it is.
    region : tuple of slice
        The part that is computed, in voxels of `grid`.
    axes : (rows, columns)
        The axes of the grid that are the planes.
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
    grid_choice: str
    region: Region
    axes: tuple[int, int]
    lazy: bool
    notes: tuple[str, ...]

    @property
    def enhances(self) -> bool:
        """Whether there is one layer, rather than two."""
        return self.job.enhances

    @property
    def name(self) -> str:
        """Of the result."""
        names = [source.name for source in self.sources]
        return f"{names[0]} enhanced (GIFNet)" if self.enhances else f"{' + '.join(names)} (GIFNet)"

    @property
    def order(self) -> Literal[1, 3]:
        """Of the interpolation."""
        return ORDERS[self.options.interpolation]

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
        """Size of the result in memory."""
        return self.job.dtype.itemsize * int(np.prod(self.job.shape, dtype=int))

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

    def with_ranges(self, ranges: Sequence[Range]) -> LayerJob:
        """Return the job with numbers for the ranges of its layers."""
        return replace(self, job=self.job.with_ranges(ranges), stack=self.stack.with_ranges(ranges))

    @property
    def summary(self) -> str:
        """One line for before the run: sizes, grids, ranges, the colour rule, and notes."""
        after = [*self.notes]
        if self.lazy:
            after.insert(0, "each plane is computed when you come to it")
        return self.job.summary([] if self.enhances else [self._describe_grids()], after)

    def _describe_grids(self) -> str:
        for source, other in (self.sources, self.sources[::-1]):
            if not source.lies_on(self.grid):
                how = self.options.interpolation
                return f"{source.name} resampled onto the grid of {other.name}, {how}"
        return "same grid"

    def plane_shown(self, current: Current) -> Region:
        """Return the region of the plane that a viewer shows, the nearest where it shows none."""
        return plane_at(self.grid, current.point, self.axes, current.units, within=self.region)

    def on(self, grid: WorldGrid, region: Region) -> LayerJob:
        """Return the job of another region, or on another grid; its result is in memory."""
        return replace(
            self,
            job=_placed(self.job, self.sources, grid, region, self.axes, self.order),
            grid=grid,
            region=region,
            lazy=False,
        )


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
    options = options or LayerOptions()
    backend = options.backend
    if options.interpolation not in ORDERS:
        raise OptionError(
            f"interpolation={options.interpolation!r} is unknown: expected 'linear' or 'cubic'."
        )
    layers = (layer_a,) if layer_b is None else (layer_a, layer_b)
    for layer in layers:
        check_layer(layer)
    sources = _read_layers(layers, options)
    choice = options.grid
    if choice == "auto":
        choice = _GRIDS.get(options.task or "", "a")
    grid = sources[0].grid
    note = None
    if len(sources) > 1:
        grid = common_grid(grid, sources[1].grid, cast("Any", choice))
        note = unit_note(sources[0].grid, sources[1].grid)
    bands = options.task == PANSHARPENING.name  # are no rows, however they are displayed
    axes = choose_axes(grid, options.axes, None if bands else current)
    region = choose_region(grid, axes, options.extent, current)
    everywhere = tuple(slice(0, n) for n in grid.shape)
    covered = min(_covered_share(source, grid, region) for source in sources)

    def job_of(part: Region, alpha: bool) -> Job:
        order = ORDERS[options.interpolation]
        return resolve(
            Request(
                tuple(source.planes_on(grid, part, axes, order) for source in sources),
                task=options.task,
                intensity=options.intensity,
                color=options.color,
                normalization=options.normalization,
                alpha=alpha,
            )
        )

    job = job_of(region, sources[0].has_alpha or covered < 1)
    lazy = job.lazy and job.count > 1 if options.lazy is None else options.lazy
    return LayerJob(
        job=job,
        stack=job_of(everywhere, False),
        sources=sources,
        options=options,
        backend=backend,
        grid=grid,
        stack_grid=grid,
        grid_choice=choice,
        region=region,
        axes=axes,
        lazy=lazy,
        notes=(note,) if note else (),
    )


def _placed(
    job: Job,
    sources: tuple[Source, ...],
    grid: WorldGrid,
    region: Region,
    axes: tuple[int, int],
    order: Literal[1, 3],
) -> Job:
    """Return a job whose inputs are the same layers on another region or grid."""
    inputs = []
    for source, image in zip(sources, job.inputs, strict=True):
        planes = source.planes_on(grid, region, axes, order)
        inputs.append(replace(image, values=planes.values, leading=planes.leading))
    return replace(job, inputs=tuple(inputs))


def _read_layers(layers: tuple[Image, ...], options: LayerOptions) -> tuple[Source, ...]:
    multiscale = any(layer.multiscale for layer in layers)
    return tuple(
        read_layer(
            layer,
            options.level if layer.multiscale or not multiscale else 0,
            options.gamma,
            options.color == "displayed",
        )
        for layer in layers
    )


def _covered_share(source: Source, grid: WorldGrid, region: Region) -> float:
    """Return how much of a region has values of a layer, 0 excluded."""
    if source.lies_on(grid):
        return 1.0
    share = overlap(grid.crop(region), source.grid)
    if share == 0:
        raise ImageError(
            f"The region lies outside of {source.name!r}, which spans {source.grid.extent_text}: "
            "move it to where the layers overlap."
        )
    return share
