"""The layers that the widget offers, which of them it chooses by itself, and what it listens to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import napari
from napari.layers import Image, Shapes

from napari_gifnet.grids.regions import displayed_axes
from napari_gifnet.viewer.layers.pickup import read_record
from napari_gifnet.viewer.layers.roles import by_role, common_task
from napari_gifnet.viewer.layers.stacks import stack_axes

from .texts import EXTENTS

IMAGE_EVENTS = (
    *("contrast_limits", "gamma", "colormap", "data", "projection_mode"),
    *("scale", "translate", "rotate", "shear", "affine", "units"),
)
SHAPES_EVENTS = ("set_data", "highlight")

SEVERAL = -1
"""Stands among the axes for planes that lie in a layer each."""

_SEVERAL_TEXT = "in several layers"


def record_of(layer: Any) -> dict[str, Any]:
    """Return what a layer's metadata tell of this package: of a sample, a result or a preview."""
    record = layer.metadata.get("napari_gifnet", {})
    return record if isinstance(record, dict) else {}


def is_preview(layer: Any) -> bool:
    """Return whether a layer is one of those that come and go."""
    return "preview" in record_of(layer)


def is_result(layer: Any) -> bool:
    """Return whether a layer was made by a fusion or an enhancement."""
    return read_record(layer) is not None


def images_of(viewer: napari.Viewer) -> list[Image]:
    """Return the image layers to choose from: all but previews."""
    return [layer for layer in viewer.layers if isinstance(layer, Image) and not is_preview(layer)]


def sources_of(viewer: napari.Viewer) -> list[Image]:
    """Return the image layers that are no results."""
    return [layer for layer in images_of(viewer) if not is_result(layer)]


def layer_texts(layers: Sequence[Any]) -> list[tuple[str, Any]]:
    """Return layers by their names, as a box of choices takes them."""
    return [(layer.name, layer) for layer in layers]


def extents_of(viewer: napari.Viewer) -> list[tuple[str, Any]]:
    """Return the regions to choose from by their texts: one around each Shapes layer, too."""
    shapes = [layer for layer in viewer.layers if isinstance(layer, Shapes)]
    whole = [(text, value) for value, text in EXTENTS.items()]
    return [*whole, *((f"Around {layer.name}", layer) for layer in shapes)]


def axes_of(viewer: napari.Viewer, layer: Image | None) -> list[tuple[str, int]]:
    """Return where the planes of a stack may lie: along an axis of a layer, by its name, or apart.

    Parameters
    ----------
    viewer : napari.Viewer
    layer : napari.layers.Image or None

    Returns
    -------
    list of (text, axis)
        The axes that are not displayed as rows and columns, the one that is likely focus or
        exposure first; then `SEVERAL`.
    """
    several = [(_SEVERAL_TEXT, SEVERAL)]
    if layer is None or layer.ndim < 3:
        return several
    shape = layer.data[0].shape if layer.multiscale else layer.data.shape
    shown = displayed_axes(viewer.dims.order, layer.ndim)
    ordered = [axis for _, axis in stack_axes(layer) if axis not in shown and shape[axis] > 1]
    texts = [(f"along {axis_name(layer, axis)} ({shape[axis]} planes)", axis) for axis in ordered]
    return texts + several


def axis_name(layer: Image, axis: int) -> str:
    """Return what an axis is called: its label, or its number where nobody named it."""
    label = str(layer.axis_labels[axis])
    return f"axis {axis}" if label.lstrip("-").isdigit() else label


def likely_pair(viewer: napari.Viewer) -> tuple[Image, Image, str | None] | None:
    """Return the pair that was opened last, modality first, and the task that both tell, if any."""
    sources = sources_of(viewer)
    if len(sources) < 2:
        return None
    task = common_task(*sources[-2:])
    modality, detail = by_role(sources[-1], sources[-2], task)
    return modality, detail, task


def watch(layer: Any, changed: Callable[[Any], None], on: bool = True) -> None:
    """Listen, or no more, to what changes a plan in a layer, besides the widget's controls."""
    if isinstance(layer, Shapes | Image):
        for name in SHAPES_EVENTS if isinstance(layer, Shapes) else IMAGE_EVENTS:
            event = getattr(layer.events, name)
            (event.connect if on else event.disconnect)(changed)


def watch_viewer(viewer: napari.Viewer, changed: Callable[[Any], None], on: bool = True) -> None:
    """Listen, or no more, to what changes the slice, the displayed axes or the view."""
    dims = viewer.dims.events
    margins = dims.margin_left, dims.margin_right
    for event in (dims.point, dims.order, dims.ndisplay, *margins):
        (event.connect if on else event.disconnect)(changed)
    watch_view(viewer, changed, on)


def watch_view(viewer: napari.Viewer, changed: Callable[[Any], None], on: bool = True) -> None:
    """Listen, or no more, to what moves the camera or changes the size of the canvas."""
    camera = getattr(viewer, "scene", viewer).camera.events  # viewer.camera before napari 0.9
    for event in (camera.center, camera.zoom, viewer.canvas.events.size):
        (event.connect if on else event.disconnect)(changed)
