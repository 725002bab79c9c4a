"""Tasks that make one picture of many planes."""

import numpy as np
import pytest


@pytest.fixture
def stack_dock(dock):
    viewer, widget = dock
    widget.model.model.value = "gifnet"
    return viewer, widget


def test_an_axis_is_chosen_by_its_name(stack_dock, qtbot, add_stack, run_to_the_end):
    viewer, widget = stack_dock
    planes = add_stack(viewer).data
    viewer.layers.clear()
    times = np.stack([planes, planes[::-1], planes])
    stack = viewer.add_image(times, axis_labels=("t", "z", "y", "x"), name="t z")
    widget.layers.task.value = "focus_stack"
    texts = [widget.layers.axis.itemText(i) for i in range(widget.layers.axis.count())]
    assert texts == ["along z (4 planes)", "along t (3 planes)", "in several layers"]
    assert widget.model.model.value == "gifnet-bands"
    viewer.dims.set_point(0, 1)
    widget.layers.extent.value = "slice"
    run_to_the_end(widget)
    fused = viewer.layers[-1]
    assert fused.data.shape == (1, 1, *stack.data.shape[2:])
    widget.layers.task.value = "any"
    assert widget.model.model.value == "gifnet"


def test_several_layers_are_ticked(stack_dock, qtbot, add_stack, run_to_the_end):
    viewer, widget = stack_dock
    planes = add_stack(viewer).data
    viewer.layers.clear()
    for k, plane in enumerate(planes):
        viewer.add_image(plane, name=f"plane {k}")
    widget.layers.task.value = "exposure_bracket"
    assert widget.layers.axis.currentText() == "in several layers"
    assert len(widget.layers.several.value) == len(planes)
    assert widget.layers.height.isHidden()
    widget.layers.several.value = widget.layers.several.value[:3]
    qtbot.waitUntil(lambda: "all 3" in widget.summary.value, timeout=60_000)
    run_to_the_end(widget)
    assert viewer.layers[-1].data.shape == planes.shape[1:]
    assert [item.name for item in widget.layers.several.value] == ["plane 0", "plane 1", "plane 2"]


def test_a_height_map_is_a_second_layer_in_the_axis_units(
    stack_dock, qtbot, add_stack, run_to_the_end
):
    viewer, widget = stack_dock
    stack = add_stack(viewer, scale=(5, 1, 1), translate=(100, 0, 0), units=("um",) * 3)
    widget.layers.task.value = "focus_stack"
    widget.layers.height.value = True
    run_to_the_end(widget)
    _, height, fused = viewer.layers
    side = stack.data.shape[-1]
    strips = np.nanmedian(height.data.reshape(side, 4, side // 4), axis=(0, 2))
    np.testing.assert_allclose(strips, [100, 105, 110, 115], atol=2.5)
    assert widget.result.layer is fused
    viewer.layers.selection = {height}
    assert "height map" in widget.result.trouble.value
    widget.model.model.value = "gifnet"
    qtbot.waitUntil(lambda: "no height map" in widget.summary.value, timeout=10_000)
    assert not widget.footer.run_button.isEnabled()


def test_a_preview_of_a_stack_is_the_fused_picture(stack_dock, qtbot, add_stack, preview_of):
    viewer, widget = stack_dock
    stack = add_stack(viewer)
    widget.layers.task.value = "focus_stack"
    widget.model.preview.value = True
    qtbot.waitUntil(lambda: preview_of(viewer) is not None, timeout=60_000)
    assert preview_of(viewer).data.shape == stack.data.shape[1:]


def test_a_stack_is_compared_in_the_figures_that_it_can_give(
    stack_dock, qtbot, add_stack, run_to_the_end
):
    viewer, widget = stack_dock
    add_stack(viewer)
    widget.layers.task.value = "focus_stack"
    run_to_the_end(widget)
    widget.result.compare_button.click()
    qtbot.waitUntil(lambda: widget.result.comparing.comparison is not None, timeout=60_000)
    comparison = widget.result.comparing.comparison
    assert set(comparison.table["pyramid"]) == {"EI", "AG", "SF", "EN", "SD"}
    assert set(comparison.left_out) == {"MI", "SSIM", "VIF", "SCD", "Qabf"}


def test_what_cannot_be_made_of_planes_is_said_with_what_to_do(stack_dock, qtbot, add_stack):
    viewer, widget = stack_dock
    add_stack(viewer)
    widget.layers.task.value = "focus_stack"
    widget.model.model.value = "gifnet"
    widget.layers.height.value = True
    expected = "'gifnet' gives no height map: choose gifnet-bands, or untick it."
    qtbot.waitUntil(lambda: widget.summary.value == expected, timeout=60_000)
    assert not widget.footer.run_button.isEnabled()
