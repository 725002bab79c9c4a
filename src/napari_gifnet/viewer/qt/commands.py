"""Commands without a dock: fuse, enhance or align what is selected."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from napari_gifnet.errors import GIFNetError

if TYPE_CHECKING:
    import napari

    from napari_gifnet.viewer.layers.job import LayerJob


def fuse_selected_layers(viewer: napari.Viewer) -> None:
    """Fuse the two selected image layers: the upper one is the modality, the lower one the detail,
    unless what they are says otherwise.

    The task is taken from the layers where a sample tells it. The fusion runs in the background;
    the result is added as a new layer.
    """
    from napari_gifnet.viewer.layers.current import Current
    from napari_gifnet.viewer.layers.job import LayerOptions, plan_layers
    from napari_gifnet.viewer.layers.roles import by_role, common_task

    images = _selected_images(viewer, 2, "two image layers, the modality above the detail")
    if images is None:
        return
    task = common_task(*images)
    modality, detail = by_role(images[1], images[0], task)
    _carry_out(
        viewer,
        lambda: plan_layers(modality, detail, LayerOptions(task=task), current=Current.of(viewer)),
    )


def enhance_selected_layer(viewer: napari.Viewer) -> None:
    """Sharpen the selected image layer; the result is added as a new layer."""
    from napari_gifnet.viewer.layers.current import Current
    from napari_gifnet.viewer.layers.job import LayerOptions, plan_layers

    images = _selected_images(viewer, 1, "one image layer")
    if images is not None:
        _carry_out(
            viewer,
            lambda: plan_layers(images[0], None, LayerOptions(), current=Current.of(viewer)),
        )


def align_selected_layers(viewer: napari.Viewer) -> None:
    """Move the modality of the two selected image layers onto the detail: which is which is told as
    for a fusion. A dock shows how it goes; without one napari tells what came of it.
    """
    from napari.utils.notifications import show_error

    from napari_gifnet.viewer.layers.align_job import AlignJob
    from napari_gifnet.viewer.layers.roles import by_role, common_task

    from .aligning import start_align
    from .runs import run_in

    images = _selected_images(viewer, 2, "two image layers, the one that moves above the other")
    if images is None:
        return
    if run_in(viewer) is not None:
        show_error("A run goes on in this viewer: wait, or cancel it.")
        return
    moving, fixed = by_role(images[1], images[0], common_task(*images))
    try:
        start_align(viewer, AlignJob.of(fixed, moving, "rigid", viewer))
    except GIFNetError as error:
        show_error(str(error))


def project_focus_stack(viewer: napari.Viewer) -> None:
    """Make one picture of the focus planes in the selected layer, or in the selected layers."""
    _project(viewer, "multi_focus")


def project_exposures(viewer: napari.Viewer) -> None:
    """Make one picture of the exposures in the selected layer, or in the selected layers."""
    _project(viewer, "multi_exposure")


def _project(viewer: napari.Viewer, task: str) -> None:
    from napari_gifnet.models import STACK_MODEL
    from napari_gifnet.viewer.layers.current import Current
    from napari_gifnet.viewer.layers.job import LayerOptions, plan_stack

    from .layer_choice import axes_of

    images = _selected_images(viewer, None, "an image layer with a stack, or several image layers")
    if images is None:
        return
    axis = axes_of(viewer, images[0])[0][1] if len(images) == 1 else None
    axis = None if axis is not None and axis < 0 else axis
    options = LayerOptions(task=task, model=STACK_MODEL, axis=axis)
    _carry_out(viewer, lambda: plan_stack(images, options, current=Current.of(viewer)))


def _selected_images(viewer: napari.Viewer, count: int | None, wanted: str) -> list[Any] | None:
    """Return the selected image layers from below; tell if they are not those that are wanted."""
    from napari.layers import Image
    from napari.utils.notifications import show_error

    selected = [layer for layer in viewer.layers if layer in viewer.layers.selection]
    images = [layer for layer in selected if isinstance(layer, Image)]
    if len(images) != len(selected) or not images or (count and len(images) != count):
        show_error(f"Layers selected: {len(selected)}; select {wanted}.")
        return None
    return images


def _carry_out(viewer: napari.Viewer, make_plan: Callable[[], LayerJob]) -> None:
    """Plan, say what will be done, and do it in the background."""
    from napari.utils.notifications import show_error, show_info

    from .runs import start_run

    try:
        plan = make_plan()
    except GIFNetError as error:
        show_error(str(error))
        return
    show_info(f"GIFNet makes {plan.name!r}: {plan.summary}")
    start_run(viewer, plan)
