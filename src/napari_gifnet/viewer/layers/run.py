"""Layers in, a layer out: what the widget, the commands and `fuse_layers` share. No Qt."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_gifnet.fusion import fuse, open_engine, plan_fusion, run
from napari_gifnet.models import Model, load_model
from napari_gifnet.planes.ranges import Range, join_ranges, measure_range
from napari_gifnet.planes.tasks import PANSHARPENING

from .extent import needs_view, visible_box
from .job import ORDERS, LayerOptions, LayerPlan, plan_layers
from .record import describe_run
from .source import Source, check_layer

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Image

    from napari_gifnet.engine import GIFNetEngine

__all__ = [
    "LayerOptions",
    "LayerPlan",
    "LayerResult",
    "enhance_layer",
    "fuse_layers",
    "plan_layers",
    "run_plan",
    "visible_box",
]

Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class LayerResult:
    """A layer to be: ``napari.layers.Image(result.data, **result.kwargs)``."""

    data: Any
    kwargs: dict[str, Any]


def fuse_layers(
    layer_a: Image,
    layer_b: Image,
    *,
    viewer: Viewer | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Image:
    """Fuse two image layers into a new one.

    Parameters
    ----------
    layer_a, layer_b : napari.layers.Image
        The modality and the detail side. Where their grids differ, one is resampled in world
        coordinates, units included.
    viewer : napari.Viewer, optional
        Says which axes are displayed, and where the current slice and view are.
    progress : callable, optional
        ``progress(done, total)``; raise `Cancelled` in it to stop.
    **options
        As in `LayerOptions`: task, model, color, intensity, grid, interpolation, extent, axes,
        level, gamma, device, precision, tile, memory, statistics, lazy.

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
    """
    return _run_here(layer_a, layer_b, viewer, progress, options)


def enhance_layer(
    layer: Image,
    *,
    viewer: Viewer | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Image:
    """Sharpen an image layer: fuse it with itself.

    Parameters
    ----------
    layer : napari.layers.Image
    viewer, progress, **options
        As for `fuse_layers`; tasks and grids are of two layers.

    Returns
    -------
    napari.layers.Image
        As `fuse_layers` does.

    Raises
    ------
    GIFNetError
        One sentence on why it cannot be done.
    """
    return _run_here(layer, None, viewer, progress, options)


def _run_here(
    layer_a: Image,
    layer_b: Image | None,
    viewer: Viewer | None,
    progress: Progress | None,
    options: dict[str, Any],
) -> Image:
    from napari.layers import Image

    chosen, dims, view = LayerOptions(**options), None, None
    layers = (layer_a,) if layer_b is None else (layer_a, layer_b)
    if viewer is not None:
        dims = viewer.dims
        if needs_view(chosen.extent):
            for layer in layers:
                check_layer(layer)
            view = visible_box(layers[0], dims, *layers[1:])
    plan = plan_layers(layer_a, layer_b, chosen, dims=dims, view=view)
    result = run_plan(plan, progress)
    return Image(result.data, **result.kwargs)


def run_plan(
    plan: LayerPlan, progress: Progress | None = None, engine: GIFNetEngine | None = None
) -> LayerResult:
    """Carry out a plan; no layer is touched, so that it may be done in any thread.

    Parameters
    ----------
    plan : LayerPlan
    progress : callable, optional
        ``progress(done, total)``, of bytes while a model is downloaded, then of the engine's
        steps; raise `Cancelled` in it to stop.
    engine : GIFNetEngine, optional
        One that is at hand, of the plan's model, device, precision and tile.

    Raises
    ------
    GIFNetError
        One sentence on what went wrong; Cancelled is what `progress` raised.
    """
    options, report = plan.options, progress or _ignore
    started = time.perf_counter()
    model = load_model(options.model, progress=progress)
    own = engine is None
    engine = engine or open_engine_for(options, model)
    said = len(engine.notes)

    report(0, 1)
    ranges = _ranges(plan)
    a, alpha = b, _ = _prepare(plan, plan.a, ranges[0])
    report(0, 1)
    if not plan.enhances:
        b, _ = _prepare(plan, plan.b, ranges[1])
    report(0, 1)
    fusing: dict[str, Any] = {
        "task": options.task if options.task == PANSHARPENING.name else None,
        "intensity": tuple(
            (0.0, 1.0) if s.adjusted else r for s, r in zip((plan.a, plan.b), ranges, strict=True)
        ),
        "color": {"none": "gray", "both": "auto"}.get(plan.chroma, plan.chroma),
        "rgb": (plan.a.in_color, plan.b.in_color),
    }
    if plan.lazy:
        running = {"device": options.device, "precision": options.precision, "tile": options.tile}
        data = fuse(a, b, model=options.model, statistics=plan.statistics, **running, **fusing)
    else:
        try:
            data = run(plan_fusion(a, b, **fusing), engine, progress, plan.statistics)
        finally:
            if own:
                engine.release()

    if plan.transparent:
        covered = np.isfinite(data[..., 0])
        alpha = covered.astype(np.float32) if alpha is None else np.where(covered, alpha, 0)
        data = np.concatenate([data, alpha[..., None]], axis=-1)
    in_color = plan.chroma != "none"
    data = np.moveaxis(data, (-3, -2) if in_color else (-2, -1), plan.axes)
    seconds = None if plan.lazy else time.perf_counter() - started
    record = describe_run(plan, model, engine, ranges, engine.notes[said:], seconds)
    return LayerResult(
        data,
        {
            "name": plan.name,
            "rgb": in_color,
            **plan.grid.crop(plan.region).layer_kwargs(),
            "contrast_limits": (0.0, 1.0),
            "colormap": "gray",
            "blending": "translucent",
            "metadata": {"napari_gifnet": record},
        },
    )


def open_engine_for(options: LayerOptions, model: Model) -> GIFNetEngine:
    """Return an engine as the options ask for it."""
    memory = None if options.memory is None else options.memory * 1e6
    return open_engine(model, options.device, options.precision, options.tile, memory)


def _ranges(plan: LayerPlan) -> tuple[Range, Range]:
    range_a = plan.a.measure_range()
    if plan.enhances:
        return range_a, range_a
    range_b = plan.b.measure_range()
    if plan.one_range:
        range_a = range_b = join_ranges(range_a, range_b)
    return range_a, range_b


def _prepare(plan: LayerPlan, source: Source, value_range: Range) -> tuple[Any, Any]:
    """Return the values and the alpha of a layer on the grid of the result."""
    order: Any = ORDERS[plan.options.interpolation]
    values, alpha = source.on(plan.grid, plan.region, plan.axes, value_range, order, plan.lazy)
    if not plan.lazy:
        measure_range(values, value_range, repr(source.name))  # refuses what is all NaN
    return values, alpha


def _ignore(done: int, total: int) -> None:
    pass
