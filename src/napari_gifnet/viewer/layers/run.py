"""Layers in, a layer out: what the widget, the commands and `fuse_layers` share. No Qt."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_gifnet.fuser import Fuser
from napari_gifnet.fusers import open_fuser, require_index
from napari_gifnet.fusion import GATHERING, run
from napari_gifnet.lazy import fuse_lazily
from napari_gifnet.models import Model
from napari_gifnet.progress import Progress, Reporting, share_of

from .current import Current
from .extent import needs_view
from .job import LayerJob, LayerOptions, plan_layers
from .kept import gather_and_keep, kept_statistics
from .record import describe_run

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Image


@dataclass(frozen=True, eq=False)
class LayerResult:
    """A layer to be: ``napari.layers.Image(result.data, **result.kwargs)``.

    Attributes
    ----------
    data : array
    kwargs : dict
    index : LayerResult or None
        Of a stack, if it was asked for: where along the axis each pixel comes from.
    """

    data: Any
    kwargs: dict[str, Any]
    index: LayerResult | None = None


def fuse_layers(
    layer_a: Image,
    layer_b: Image,
    *,
    viewer: Viewer | None = None,
    task: str | None = None,
    model: str | Path | Model | None = None,
    color: str = "auto",
    intensity: Any = "layer",
    grid: str = "auto",
    interpolation: str = "linear",
    extent: Any = "all",
    axes: tuple[int, int] | None = None,
    level: int | str = "auto",
    gamma: bool = False,
    device: str = "auto",
    precision: str = "auto",
    tile_size: Any = "auto",
    memory: float | None = None,
    normalization: str = "stack",
    lazy: bool | None = None,
    progress: Progress | bool | None = None,
) -> Image:
    """Fuse two image layers into a new one.

    Parameters
    ----------
    layer_a, layer_b : napari.layers.Image
        The modality and the detail side. Where their grids differ, one is resampled in world
        coordinates, units included, plane by plane during the run.
    viewer : napari.Viewer, optional
        Says which axes are displayed, and where the current slice and view are.
    task, model : see `napari_gifnet.fuse`
        As for `napari_gifnet.fuse`.
    color : {"auto", "a", "b", "gray", "displayed"}
        As for `napari_gifnet.fuse`, where a layer of one channel is in colour if its colormap is
        applied. "auto" applies colormaps in colour for PET with MRI and without a task, but to
        infrared, and one of several hues beside a layer in natural colours; "a" and "b" apply
        that of the layer named, "displayed" all.
    intensity : "layer", policy, (low, high), or a pair of these
        "layer" is the contrast limits, of layers in colour the full range of their dtype; the others
        as for `napari_gifnet.fuse`, always of the whole layer, whatever part of it is fused.
    grid : {"auto", "a", "b", "finer"}
        Whose grid the result is on, where they differ. "finer" is that whose pixels are smaller in
        the planes; "auto" is that, too, but that of the panchromatic layer for pansharpening.
    interpolation : {"linear", "cubic"}
        Of the layer that is brought onto the other's grid.
    extent : {"all", "slice", "view"}, Shapes layer, box, or slices; or several of the first four
        Which part is fused. "slice" and "view" are those of `viewer`; a Shapes layer stands for the
        box around its selected shapes; a box ((low, …), (high, …)) is of the world, in the viewer's
        units, or the grid's without one; slices, one for each axis, are voxels of the result's
        grid. Of a tuple such as ("slice", "view") what they have in common.
    axes : (rows, columns), optional
        Which axes of the result's grid are the planes; by default those displayed, or the last two.
    level : int or "auto"
        Of multiscale layers; 0 is the finest. "auto" is that, but with the extent "view" the level
        that napari shows.
    gamma : bool
        Whether to apply the layers' gamma.
    device, precision, tile_size : see `napari_gifnet.fuse`
        As for `napari_gifnet.fuse`.
    memory : float, optional
        Megabytes to spend on keeping maps rather than computing them twice; by default 560 on a
        CPU, half of what is free on a GPU. It changes the speed, not the result.
    normalization : {"stack", "plane"}
        As for `napari_gifnet.fuse`; "stack" is that of all planes of the grid, whichever part of it
        is fused, so that nothing flickers as one scrolls and a slice is a slice of the stack. It is
        gathered once for two layers and their options, and kept.
    lazy : bool, optional
        Whether the planes are computed when they are looked at. By default they are, where a
        layer is not in memory and there is more than one.
    progress : callable or bool, optional
        ``progress(done, total)``; what it raises stops the run and comes out as it is. True draws a
        bar.

    Returns
    -------
    napari.layers.Image
        float32 in [0, 1], NaN where the layers do not overlap (transparent, in colour), on its
        grid in the world, ready for ``viewer.add_layer``. Its ``metadata["napari_gifnet"]`` says
        how it was made.

    Raises
    ------
    GIFNetError
        One sentence on why it cannot be done.

    Examples
    --------
    >>> from napari.layers import Image
    >>> a, b = Image(np.zeros((8, 8))), Image(np.ones((8, 8)))
    >>> fuse_layers(a, b, model="mean", intensity=(0, 1)).data[0, :2]
    array([0.5, 0.5], dtype=float32)
    """
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
        normalization=normalization,
        lazy=lazy,
    )
    return _run_here(layer_a, layer_b, options, viewer, progress)


def enhance_layer(
    layer: Image,
    *,
    viewer: Viewer | None = None,
    model: str | Path | Model | None = None,
    color: str = "auto",
    intensity: Any = "layer",
    extent: Any = "all",
    axes: tuple[int, int] | None = None,
    level: int | str = "auto",
    gamma: bool = False,
    device: str = "auto",
    precision: str = "auto",
    tile_size: Any = "auto",
    memory: float | None = None,
    normalization: str = "stack",
    lazy: bool | None = None,
    progress: Progress | bool | None = None,
) -> Image:
    """Sharpen an image layer: fuse it with itself.

    Parameters
    ----------
    layer : napari.layers.Image
        The layer.
    viewer : napari.Viewer, optional
        Says which axes are displayed, and where the current slice and view are.
    model : see `napari_gifnet.fuse`
        As for `napari_gifnet.fuse`.
    color : {"auto", "gray", "displayed"}
        Keep the layer's colour, drop it, or enhance it in the colours of its colormap.
    intensity, extent, axes, level, gamma, device, precision, tile_size : see `fuse_layers`
        As for `fuse_layers`, for one layer.
    memory, normalization, lazy, progress : see `fuse_layers`
        As for `fuse_layers`.

    Returns
    -------
    napari.layers.Image
        As `fuse_layers` does.

    Raises
    ------
    GIFNetError
        One sentence on why it cannot be done.

    Examples
    --------
    >>> from napari.layers import Image
    >>> enhance_layer(Image(np.eye(5)), model="mean", intensity=(0, 1)).data[0]
    array([1., 0., 0., 0., 0.], dtype=float32)
    """
    options = LayerOptions(
        model=model,
        color=color,
        intensity=intensity,
        extent=extent,
        axes=axes,
        level=level,
        gamma=gamma,
        device=device,
        precision=precision,
        tile_size=tile_size,
        memory=memory,
        normalization=normalization,
        lazy=lazy,
    )
    return _run_here(layer, None, options, viewer, progress)


def _run_here(
    layer_a: Image,
    layer_b: Image | None,
    options: LayerOptions,
    viewer: Viewer | None,
    progress: Progress | bool | None,
) -> Image:
    from napari.layers import Image

    layers = [layer_a] if layer_b is None else [layer_a, layer_b]
    plan = plan_layers(layer_a, layer_b, options, current=seen_in(viewer, layers, options))
    result = run_plan(plan, progress)
    return Image(result.data, **result.kwargs)


def seen_in(
    viewer: Viewer | None, layers: Sequence[Image], options: LayerOptions
) -> Current | None:
    """Return what a viewer shows, None without one."""
    if viewer is None:
        return None
    return Current.of(viewer, *layers, with_view=needs_view(options.extent))


def run_plan(
    plan: LayerJob,
    progress: Progress | bool | None = None,
    fuser: Fuser | None = None,
    gather: bool = True,
) -> LayerResult:
    """Carry out the job of layers; no layer is touched, so that it may be done in any thread.

    Parameters
    ----------
    plan : LayerJob
    progress : callable or bool, optional
        ``progress(done, total)``, of bytes while a model is downloaded, then of the fuser's steps;
        what it raises stops the run and comes out as it is.
    fuser : Fuser, optional
        One that is at hand, of the plan's model and backend.
    gather : bool
        Whether to gather the statistics of the stack if they are not kept yet; if not, and they are
        not, the planes take their own.

    Raises
    ------
    GIFNetError
        One sentence on what went wrong.
    """
    with Reporting(progress) as report:
        return _run(plan, report, fuser, gather)


def _run(plan: LayerJob, report: Progress, fuser: Fuser | None, gather: bool) -> LayerResult:
    started = time.perf_counter()
    own = fuser is None
    fuser = fuser or open_fuser(plan.model, plan.backend, report)
    with_index = plan.stacked and plan.options.return_index
    if with_index:
        require_index(fuser)
    said = len(fuser.notes)
    report(0, 1)
    try:
        plan, statistics = plan.measured(), None
        if fuser.normalizes and plan.normalization == "stack":
            statistics = kept_statistics(plan, fuser)
            if statistics is None and gather:
                statistics = gather_and_keep(plan, fuser, share_of(report, 0, GATHERING))
                report = share_of(report, GATHERING, 1 - GATHERING)
        if plan.lazy:
            job, model = plan.own_planes, plan.model
            made = fuse_lazily(job, model, plan.backend, statistics, with_index, by_plane=True)
            data, index = made if with_index else (made, None)
        else:
            index = np.empty(plan.job.leading + plan.job.sides, np.float32) if with_index else None
            data = run(plan.own_planes, fuser, report, statistics, index)
    finally:
        if own:
            fuser.release()

    seconds = None if plan.lazy else time.perf_counter() - started
    normalization = "plane" if statistics is None else "stack"
    record = describe_run(plan, fuser.facts, normalization, fuser.notes[said:], seconds)
    return as_layers(plan, data, index, record)


def as_layers(plan: LayerJob, data: Any, index: Any, record: dict[str, Any]) -> LayerResult:
    """Return what a job made as layers to be.

    Parameters
    ----------
    plan : LayerJob
    data : array
        As `fusion.run` returns it.
    index : array or None
        Of a stack, if it was asked for.
    record : dict
        From `describe_run`.
    """
    data = _in_place(plan, data, bool(plan.job.chroma))
    kwargs = {
        "name": plan.name,
        "rgb": bool(plan.job.chroma),
        **plan.result_grid.layer_kwargs(),
        "contrast_limits": (0.0, 1.0),
        "colormap": "gray",
        "blending": "translucent",
        "metadata": {"napari_gifnet": record},
    }
    if index is None:
        return LayerResult(data, kwargs)
    return LayerResult(data, kwargs, _as_heights(plan, _in_place(plan, index, False), data, kwargs))


def _in_place(plan: LayerJob, data: Any, in_color: bool) -> Any:
    """Return planes as a result with the axes of its grid."""
    data = np.moveaxis(data, (-3, -2) if in_color else (-2, -1), plan.axes)
    return data[0] if plan.drops_axis else data


def _as_heights(plan: LayerJob, index: Any, fused: Any, kwargs: dict[str, Any]) -> LayerResult:
    """Return the index of a stack as a layer: positions along its axis, NaN where nothing is."""
    meaning, count = plan.index_meaning, len(plan.job.inputs)
    heights = np.float32(meaning["start"]) + np.float32(meaning["step"]) * index
    heights = np.where(np.isnan(fused[..., 0] if kwargs["rgb"] else fused), np.nan, heights)
    ends = [meaning["start"], meaning["start"] + meaning["step"] * max(count - 1, 1)]
    record = kwargs["metadata"]["napari_gifnet"] | {"output": "index", "index": meaning}
    return LayerResult(
        heights.astype(np.float32),
        kwargs
        | {
            "name": f"{plan.name}: {meaning['title']}",
            "rgb": False,
            "contrast_limits": (min(ends), max(ends)),
            "colormap": "viridis",
            "metadata": {"napari_gifnet": record},
        },
    )
