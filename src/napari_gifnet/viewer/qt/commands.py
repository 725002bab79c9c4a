"""Commands without a dock: fuse what is selected."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from napari_gifnet.errors import GIFNetError

if TYPE_CHECKING:
    import napari

    from .background import BackgroundRun

_RUNS: set[BackgroundRun] = set()


def fuse_selected_layers(viewer: napari.Viewer) -> None:
    """Fuse the two selected image layers: the upper one is the modality, the lower one the detail,
    unless their names say otherwise.

    The task is taken from the layers where a sample tells it. The fusion runs in the background;
    the result is added as a new layer.
    """
    from napari.layers import Image
    from napari.utils.notifications import show_error, show_info

    from napari_gifnet.viewer.layers.current import Current
    from napari_gifnet.viewer.layers.job import LayerOptions, plan_layers

    from .background import BackgroundRun, add_result

    selected = [layer for layer in viewer.layers if layer in viewer.layers.selection]
    images = [layer for layer in selected if isinstance(layer, Image)]
    if len(images) != 2 or len(selected) != 2:
        show_error(
            f"Layers selected: {len(selected)}; select two image layers, the modality above the "
            "detail."
        )
        return
    modality, detail = by_role(*reversed(images))
    try:
        options = LayerOptions(task=common_task(modality, detail))
        plan = plan_layers(modality, detail, options, current=Current.of(viewer))
    except GIFNetError as error:
        show_error(str(error))
        return

    run = BackgroundRun(plan)
    _RUNS.add(run)  # until it has ended, nothing else holds it
    run.succeeded.connect(lambda result: add_result(viewer, result))
    run.failed.connect(show_error)
    run.ended.connect(lambda: _RUNS.discard(run))
    show_info(f"GIFNet fuses {modality.name!r} with {detail.name!r}: {plan.summary}")
    run.start()


def common_task(*layers: napari.layers.Layer) -> str | None:
    """Return the task that all the layers say they belong to, if they do."""
    tasks = {layer.metadata.get("napari_gifnet", {}).get("task") for layer in layers}
    return tasks.pop() if len(tasks) == 1 else None


MODALITIES = {
    "infrared",
    "ir",
    "thermal",
    "lwir",
    "nir",
    "pet",
    "spect",
    "ct",
    "ms",
    "near",
    "over",
}
DETAILS = {"visible", "vis", "rgb", "mri", "mr", "t1", "t2", "pan", "far", "under"}


def by_role(
    one: napari.layers.Layer, other: napari.layers.Layer
) -> tuple[napari.layers.Layer, napari.layers.Layer]:
    """Return the modality and the detail: in this order, unless the layers' names say otherwise."""

    def named(layer: napari.layers.Layer, words: set[str]) -> bool:
        return not words.isdisjoint(re.split(r"[\W_]+", layer.name.lower()))

    says_so = named(one, MODALITIES) or named(other, DETAILS)
    says_not = named(one, DETAILS) or named(other, MODALITIES)
    return (other, one) if says_not and not says_so else (one, other)
