"""Results that are picked up again: from what their layers say of how they were made."""

from __future__ import annotations

from typing import Any

import napari

from napari_gifnet.errors import GIFNetError
from napari_gifnet.viewer.layers.job import LayerJob, LayerOptions, plan_layers
from napari_gifnet.viewer.layers.recipes import keywords_of

from .layer_choice import record_of
from .runs import remember_plan, remembered_plan


def plan_of(viewer: napari.Viewer, layer: napari.layers.Image) -> LayerJob:
    """Return the job that made a result, of this session or of another.

    Parameters
    ----------
    viewer : napari.Viewer
        Which has the layers that the result was made of.
    layer : napari.layers.Image
        A result.

    Raises
    ------
    GIFNetError
        A layer that it was made of is not there, or is another one now.
    """
    known = remembered_plan(layer)
    if known is not None:
        return known
    record = record_of(layer)
    sources = [_find(viewer, each) for each in record["inputs"]]
    options = LayerOptions(**keywords_of(record))
    plan = plan_layers(sources[0], sources[1] if len(sources) > 1 else None, options)
    remember_plan(layer, plan)
    return remembered_plan(layer) or plan


def _find(viewer: napari.Viewer, each: dict[str, Any]) -> Any:
    name = each["layer"]
    if name not in viewer.layers:
        raise GIFNetError(
            f"{name!r}, which the result was made of, is not among the layers: open it, or give the "
            "layer its name back."
        )
    found = viewer.layers[name]
    data = found.data[0] if found.multiscale else found.data
    if "shape" in each and not found.multiscale and list(data.shape) != list(each["shape"]):
        raise GIFNetError(
            f"{name!r} has the shape {tuple(data.shape)}, and the result was made of one of "
            f"{tuple(each['shape'])}: open that one."
        )
    return found
