"""The layers that the widget offers, and what of them it listens to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import napari

from .form import EXTENTS

IMAGE_EVENTS = (
    *("contrast_limits", "gamma", "colormap", "data"),
    *("scale", "translate", "rotate", "shear", "affine", "units"),
)
SHAPES_EVENTS = ("set_data", "highlight")


def images_of(viewer: napari.Viewer) -> list[napari.layers.Image]:
    """Return the image layers to choose from: all but previews."""
    return [
        layer
        for layer in viewer.layers
        if isinstance(layer, napari.layers.Image)
        and "preview" not in layer.metadata.get("napari_gifnet", {})
    ]


def extents_of(viewer: napari.Viewer) -> list[tuple[str, Any]]:
    """Return the regions to choose from by their texts: one around each Shapes layer, too."""
    shapes = [layer for layer in viewer.layers if isinstance(layer, napari.layers.Shapes)]
    return [*EXTENTS.items(), *((f"Around {layer.name}", layer) for layer in shapes)]


def watch(layer: Any, changed: Callable[[Any], None], on: bool = True) -> None:
    """Listen, or no more, to what changes a plan in a layer, besides the widget's controls."""
    if isinstance(layer, napari.layers.Shapes | napari.layers.Image):
        names = SHAPES_EVENTS if isinstance(layer, napari.layers.Shapes) else IMAGE_EVENTS
        for name in names:
            event = getattr(layer.events, name)
            (event.connect if on else event.disconnect)(changed)


def watch_viewer(viewer: napari.Viewer, changed: Callable[[Any], None], on: bool = True) -> None:
    """Listen, or no more, to what changes the slice, the displayed axes or the view."""
    dims = viewer.dims.events
    camera = getattr(viewer, "scene", viewer).camera.events  # viewer.camera before napari 0.9
    for event in (dims.point, dims.order, dims.ndisplay, camera.center, camera.zoom):
        (event.connect if on else event.disconnect)(changed)
