"""What a user can set of a fusion of layers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from napari_gifnet.backend import Backend
from napari_gifnet.models import Model
from napari_gifnet.placed import grid_choice, interpolation_order

PAIR_OPTIONS = frozenset(
    {"color", "intensity", "gamma", "grid", "extent", "axes", "level", "axis", "return_index"}
)
"""Options that are about the layers at hand: they are not to be carried over to the next ones."""


@dataclass(frozen=True)
class LayerOptions:
    """Everything a user can set; keyword arguments of `fuse_layers` have the same names.

    Attributes
    ----------
    task : str, optional
        A preset; see `napari_gifnet.fuse`.
    model : str, Path or Model, optional
    color : {"auto", "a", "b", "gray", "displayed"}
        As for `napari_gifnet.fuse`; a layer of one channel is in colour where its colormap is
        applied: with "displayed" always, with "a" or "b" that of the one named, with "auto" as
        `shows_colors` says.
    intensity : "layer", policy, (low, high), or a pair of these
        "layer" is the contrast limits, of layers in colour the full range of their dtype; the others
        as for `napari_gifnet.fuse`, always of the whole layer, whatever part of it is fused.
    grid : {"auto", "a", "b", "finer"}, or the place of a layer in a stack of several
        Whose grid the result is on, where they differ. "finer" is that of the smaller pixels in
        the planes; "auto" is that, too, but that of the panchromatic layer for pansharpening.
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
    level : int, "auto", or one for each layer
        Of multiscale layers; 0 is the finest. "auto" is that, but of the view the level that napari
        shows of each layer.
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
    axis : int or str, optional
        Of a stack in one layer: the axis along which its planes lie, by its place or its label.
    return_index : bool
        Of a stack: whether to find out where along the axis each pixel comes from.
    """

    task: str | None = None
    model: str | Path | Model | None = None
    color: str = "auto"
    intensity: Any = "layer"
    grid: str = "auto"
    interpolation: str = "linear"
    extent: Any = "all"
    axes: tuple[int, int] | None = None
    level: Any = "auto"
    gamma: bool = False
    device: str = "auto"
    precision: str = "auto"
    tile_size: Any = "auto"
    memory: float | None = None
    normalization: str = "stack"
    lazy: bool | None = None
    axis: int | str | None = None
    return_index: bool = False

    @property
    def backend(self) -> Backend:
        """Where and how it is computed; raises OptionError if that is not understood."""
        megabytes = self.memory
        if isinstance(megabytes, (int, float)) and not isinstance(megabytes, bool):
            megabytes = megabytes * 1e6
        return Backend(self.device, self.precision, self.tile_size, megabytes)

    @property
    def order(self) -> Literal[1, 3]:
        """Of the interpolation; raises OptionError if that is not understood."""
        return interpolation_order(self.interpolation)

    @property
    def grid_choice(self) -> Any:
        """Whose grid it is, "auto" resolved."""
        return grid_choice(self.grid, self.task)
