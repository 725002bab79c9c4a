"""What a fusion of layers will do, found out before anything heavy runs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from napari_gifnet.errors import ImageError, OptionError
from napari_gifnet.fusion import check_run_options, check_statistics
from napari_gifnet.grids.world_grid import WorldGrid, common_grid, overlap, unit_note
from napari_gifnet.models import DEFAULT_MODEL, Model
from napari_gifnet.planes.color import ChromaRule, choose_chroma
from napari_gifnet.planes.image import SMALLEST_SIDE, format_sides
from napari_gifnet.planes.ranges import is_intensity_pair, join_ranges
from napari_gifnet.planes.tasks import PANSHARPENING, Task, find_task

from .extent import Box, Region, choose_axes, choose_region
from .source import Source, check_layer, read_layer

if TYPE_CHECKING:
    from napari.components import Dims
    from napari.layers import Image

ORDERS = {"linear": 1, "cubic": 3}

_GRIDS = {"pet_mri": "finer", PANSHARPENING.name: "b"}
"""What ``grid="auto"`` means for a task; ``"a"`` for all others."""


@dataclass(frozen=True)
class LayerOptions:
    """Everything a user can set; keyword arguments of `fuse_layers` have the same names.

    Attributes
    ----------
    task : str, optional
        A preset; see `napari_gifnet.fuse`.
    model : str, Path or Model
    color : {"auto", "a", "b", "gray", "displayed"}
        As for `napari_gifnet.fuse`; "displayed" fuses layers of one channel in the colours of
        their colormaps.
    intensity : "layer", policy, (low, high), or a pair of these
        "layer" is the contrast limits; the others as for `napari_gifnet.fuse`, always of the
        whole layer, whatever part of it is fused.
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
    device, precision, tile
        As for `napari_gifnet.fuse`.
    memory : float, optional
        Megabytes to spend on keeping maps rather than computing them twice; by default 560 on a
        CPU, half of what is free on a GPU. It changes the speed, not the result.
    statistics : {"stack", "plane"}
        As for `napari_gifnet.fuse`, "stack" by default, so that nothing flickers as one scrolls.
        The bands of pansharpening have each its own, and so have planes that are computed when
        they are looked at.
    lazy : bool, optional
        Whether the planes are computed when they are looked at. By default they are, where a
        layer is not in memory and there is more than one.
    """

    task: str | None = None
    model: str | Path | Model = DEFAULT_MODEL
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
    tile: Any = "auto"
    memory: float | None = None
    statistics: str = "stack"
    lazy: bool | None = None


@dataclass(frozen=True, eq=False)
class LayerPlan:
    """What a run will do. Nothing is computed yet, and the layers are not needed any more.

    Attributes
    ----------
    a, b : Source
        One and the same for an enhancement.
    options : LayerOptions
        With `grid` and `axes` resolved.
    grid : WorldGrid
        The whole grid of which the result is a part.
    region : tuple of slice
        The part that is computed, in voxels of `grid`.
    chroma : {"a", "b", "both", "none"}
        Whose chroma the result gets.
    transparent : bool
        The result has an alpha channel.
    lazy : bool
        The result is computed when it is looked at.
    notes : tuple of str
        What a user should know.
    """

    a: Source
    b: Source
    options: LayerOptions
    grid: WorldGrid
    region: Region
    chroma: ChromaRule
    transparent: bool
    lazy: bool
    notes: tuple[str, ...]

    @property
    def enhances(self) -> bool:
        """Whether there is one layer, rather than two."""
        return self.a is self.b

    @property
    def sources(self) -> tuple[Source, ...]:
        """The layers, each once."""
        return (self.a,) if self.enhances else (self.a, self.b)

    @property
    def name(self) -> str:
        """Of the result."""
        if self.enhances:
            return f"{self.a.name} enhanced (GIFNet)"
        return f"{self.a.name} + {self.b.name} (GIFNet)"

    @property
    def axes(self) -> tuple[int, int]:
        """The axes of the grid that are rows and columns of the planes."""
        return self.options.axes or (self.grid.ndim - 2, self.grid.ndim - 1)

    @property
    def shape(self) -> tuple[int, ...]:
        """Voxels of the result along each axis."""
        return tuple(part.stop - part.start for part in self.region)

    @property
    def sides(self) -> tuple[int, int]:
        """Height and width of the planes, in pixels."""
        return self.shape[self.axes[0]], self.shape[self.axes[1]]

    @property
    def pixels(self) -> int:
        """How many pixels are computed in all."""
        return int(np.prod(self.shape, dtype=int))

    @property
    def bytes(self) -> int:
        """Size of the result in memory."""
        channels = 1 if self.chroma == "none" else 3 + self.transparent
        return 4 * channels * self.pixels

    @property
    def planes(self) -> int:
        """How many planes are computed."""
        return self.pixels // (self.sides[0] * self.sides[1])

    @property
    def statistics(self) -> Literal["plane", "stack"]:
        """What the network's normalisations measure."""
        bands = self.options.task == PANSHARPENING.name
        each = bands or self.lazy or self.planes == 1
        return "plane" if each or self.options.statistics == "plane" else "stack"

    @property
    def one_range(self) -> bool:
        """Whether both layers get the range that holds those of both."""
        task = find_task(self.options.task)
        return (
            task is not None
            and task.one_range
            and self.a.data.dtype == self.b.data.dtype
            and not is_intensity_pair(self.options.intensity)
        )

    @property
    def summary(self) -> str:
        """One line for before the run: sizes, grids, ranges, the colour rule, and notes."""
        parts = [f"{self.planes} plane{'s' * (self.planes != 1)} of {format_sides(self.sides)}"]
        if not self.enhances:
            parts.append(self._describe_grids())
        parts += self._describe_ranges()
        names = {"a": self.a.name, "b": self.b.name}
        parts.append(
            {
                "none": "gray",
                "both": f"colours of {self.a.name} and {self.b.name} by their strength",
            }.get(self.chroma)
            or f"colour of {names[self.chroma]}"
        )
        if self.lazy:
            parts.append("each plane is computed when you come to it")
        return "; ".join([*parts, *self.notes])

    def _describe_grids(self) -> str:
        interpolation = self.options.interpolation
        for source, other in ((self.a, self.b), (self.b, self.a)):
            if not source.lies_on(self.grid):
                return f"{source.name} resampled onto the grid of {other.name}, {interpolation}"
        return "same grid"

    def _describe_ranges(self) -> list[str]:
        known = [s.intensity for s in self.sources if not isinstance(s.intensity, str)]
        if self.one_range and len(known) == 2:
            return ["both {:g} to {:g}".format(*join_ranges(*known))]
        words = {"percentile": "0.1st to 99.9th percentile"}
        return [
            f"{s.name} {words.get(s.intensity, 'minimum to maximum')}"
            if isinstance(s.intensity, str)
            else "{} {:g} to {:g}".format(s.name, *s.intensity)
            for s in self.sources
        ]


def plan_layers(
    layer_a: Image,
    layer_b: Image | None,
    options: LayerOptions | None = None,
    *,
    dims: Dims | None = None,
    view: Box | None = None,
) -> LayerPlan:
    """Find out what a run would do; quick, whatever the size of the layers.

    Parameters
    ----------
    layer_a, layer_b : napari.layers.Image
        None for the second is an enhancement of the first.
    options : LayerOptions, optional
    dims : napari.components.Dims, optional
        Of the viewer: the displayed axes, the current slice, the world's units.
    view : ((low, …), (high, …)), optional
        What the viewer shows of the world, for ``extent="view"``; see `visible_box`.

    Raises
    ------
    GIFNetError
        One sentence on why it cannot be done.
    """
    options = options or LayerOptions()
    task = _check_options(options, layer_b is None)
    for layer in (layer_a, layer_b)[: 1 if layer_b is None else 2]:
        check_layer(layer)

    a, b = _read_layers(layer_a, layer_b, options)
    displayed = options.color == "displayed"
    chroma = choose_chroma(
        "auto" if displayed else options.color,
        a.in_color,
        b.in_color,
        task.color if task and not displayed else "auto",
    )
    if a is b and chroma == "both":
        chroma = "a"
    if task == PANSHARPENING and (a.in_color or b.in_color):
        raise ImageError(
            f"{(a if a.in_color else b).name!r} is in colour: pansharpening expects bands along "
            "the first axis, (bands, Y, X), and a gray panchromatic layer, not as displayed."
        )

    choice = options.grid
    if choice == "auto":
        choice = _GRIDS.get(options.task or "", "a")
    grid = a.grid if a is b else common_grid(a.grid, b.grid, choice)  # type: ignore[arg-type]
    stays = dims is None or task == PANSHARPENING  # bands are no rows, however they are displayed
    axes = choose_axes(grid, options.axes, None if stays else dims)
    region = choose_region(grid, axes, options.extent, dims, view)
    covered = [_covered_share(source, grid, region) for source in (a, b)]
    note = unit_note(a.grid, b.grid)
    plan = LayerPlan(
        a=a,
        b=b,
        options=replace(options, grid=choice, axes=axes),
        grid=grid,
        region=region,
        chroma=chroma,
        transparent=chroma != "none" and (a.has_alpha or min(covered) < 1),
        lazy=False,
        notes=(note,) if note else (),
    )
    if min(plan.sides) < SMALLEST_SIDE:
        raise ImageError(
            f"The planes to fuse are {format_sides(plan.sides)}: expected at least "
            f"{SMALLEST_SIDE}×{SMALLEST_SIDE}; choose a larger region, or other axes."
        )
    lazy = (a.lazy or b.lazy) and plan.planes > 1
    return replace(plan, lazy=lazy if options.lazy is None else options.lazy)


def _check_options(options: LayerOptions, enhances: bool) -> Task | None:
    task = find_task(options.task)
    if enhances and task:
        raise OptionError(f"task={options.task!r} is of two layers: expected none to enhance one.")
    check_run_options(options.device, options.precision, options.tile)
    check_statistics(options.statistics)
    if options.memory is not None and not options.memory >= 0:
        raise OptionError(
            f"memory={options.memory!r} is not understood: expected megabytes, or None."
        )
    if options.interpolation not in ORDERS:
        raise OptionError(
            f"interpolation={options.interpolation!r} is unknown: expected 'linear' or 'cubic'."
        )
    return task


def _read_layers(
    layer_a: Image, layer_b: Image | None, options: LayerOptions
) -> tuple[Source, Source]:
    policies = (options.intensity,) * 2
    if layer_b is not None and is_intensity_pair(options.intensity):
        policies = options.intensity
    multiscale = layer_a.multiscale or (layer_b is not None and layer_b.multiscale)

    def read(layer: Image, intensity: Any) -> Source:
        level = options.level if layer.multiscale or not multiscale else 0
        return read_layer(layer, level, intensity, options.gamma, options.color == "displayed")

    a = read(layer_a, policies[0])
    return a, a if layer_b is None else read(layer_b, policies[1])


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
