"""A stack of layers in, a layer out, and where each of its pixels comes from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_gifnet.models import Model
from napari_gifnet.progress import Progress

from .job import LayerOptions, plan_stack
from .run import run_plan, seen_in

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Image


def fuse_stack_layers(
    layers: Image | Sequence[Image],
    *,
    axis: int | str | None = None,
    viewer: Viewer | None = None,
    task: str | None = "multi_focus",
    model: str | Path | Model | None = None,
    return_index: bool = False,
    color: str = "auto",
    intensity: Any = "layer",
    grid: Any = "auto",
    interpolation: str = "linear",
    extent: Any = "all",
    axes: tuple[int, int] | None = None,
    level: int | str = "auto",
    gamma: bool = False,
    device: str = "auto",
    precision: str = "auto",
    tile_size: Any = "auto",
    memory: float | None = None,
    lazy: bool | None = None,
    progress: Progress | bool | None = None,
) -> Image | tuple[Image, Image]:
    """Fuse the planes of a stack into one: focus planes, or exposures, in one layer or in several.

    Parameters
    ----------
    layers : napari.layers.Image, or a sequence of them
        One layer, whose planes along `axis` are fused; or several, which are fused with each other,
        resampled in world coordinates where their grids differ, units included.
    axis : int or str, optional
        Of the one layer: the place or the label of the axis along which the planes lie. By default
        the one labelled z, or the first of three.
    viewer : napari.Viewer, optional
        Says which axes are displayed, and where the current slice and view are.
    task : {"multi_focus", "multi_exposure"} or another preset, optional
        What the planes are; None for the network to find out.
    model : see `napari_gifnet.fuse_stack`
        As there: by default ``"gifnet-bands"``.
    return_index : bool
        Whether to return a second layer that tells where each pixel comes from; not for exposures,
        and with a model of the band network.
    color : {"auto", "gray", "displayed"}
        Keep the planes' own colour, drop it, or fuse them in the colours of their colormaps.
    intensity : "layer", policy or (low, high); or one of these for each of several layers
        As for `fuse_layers`: "layer" is the contrast limits; planes of one dtype share one range,
        with a task, if not one is named for each.
    grid : {"auto", "finer"} or int
        On whose grid several layers are fused: that of the smallest pixels, or of a layer by its
        place.
    interpolation : {"linear", "cubic"}
        Of layers that are brought onto the others' grid.
    extent : {"all", "slice", "view"}, Shapes layer, box, or slices; or several of the first four
        As for `fuse_layers`. Of one layer it is of what is left without the axis: a slice has all
        planes of the stack, and so has a box or a tuple of slices, in which the axis counts as one
        voxel.
    axes : (rows, columns), optional
        Which axes of the layer are those of the planes; by default those displayed, or the last
        two, without `axis`.
    level, gamma, device, precision, tile_size, memory, lazy, progress : see `fuse_layers`
        As for `fuse_layers`.

    Returns
    -------
    fused : napari.layers.Image
        float32 in [0, 1], on the grid in the world, without the axis if that is the layer's first
        one; otherwise it is kept with one voxel that is as thick as the stack, so that the other
        axes stay where they are. Its ``metadata["napari_gifnet"]`` says how it was made.
    index : napari.layers.Image
        If `return_index`: for each pixel the position along the axis in world coordinates, in the
        axis' unit, between planes where two have a share; in planes from 0 on where the axis has
        neither unit nor scale, and of several layers in layers. ``metadata["napari_gifnet"]["index"]``
        has the axis, the unit, and the start and step of the planes.

    Raises
    ------
    GIFNetError
        One sentence on why it cannot be done.

    Examples
    --------
    >>> import numpy as np
    >>> from napari.layers import Image
    >>> stack = Image(np.stack([np.zeros((8, 8)), np.ones((8, 8))]), scale=(5, 1, 1))
    >>> fuse_stack_layers(stack, axis=0, model="mean").data[0, :2]
    array([0.5, 0.5], dtype=float32)
    """
    from napari.layers import Image

    options = LayerOptions(
        task=task,
        model=model,
        color=color,
        intensity=intensity,
        grid=grid,
        interpolation=interpolation,
        extent=extent,
        axes=axes,
        level=level,
        gamma=gamma,
        device=device,
        precision=precision,
        tile_size=tile_size,
        memory=memory,
        lazy=lazy,
        axis=axis,
        return_index=return_index,
    )
    given = list(layers) if isinstance(layers, (list, tuple)) else [layers]
    plan = plan_stack(layers, options, current=seen_in(viewer, given, options))
    result = run_plan(plan, progress)
    fused = Image(result.data, **result.kwargs)
    if result.index is None:
        return fused
    return fused, Image(result.index.data, **result.index.kwargs)
