"""Samples, opened as a user does, and fused."""

import numpy as np
import pytest

PLUGIN = "napari-gifnet"


@pytest.mark.parametrize("key", ["pet_mri", "infrared_visible", "multi_focus", "multi_exposure"])
def test_every_sample_opens_with_both_layers(make_napari_viewer, key):
    viewer = make_napari_viewer()
    viewer.open_sample(PLUGIN, key)
    assert len(viewer.layers) == 2
    assert all(layer.metadata[PLUGIN.replace("-", "_")]["task"] == key for layer in viewer.layers)


def test_the_focus_stack_opens_as_one_layer_that_is_fused_along_its_z(dock, qtbot, run_to_the_end):
    viewer, widget = dock
    viewer.open_sample(PLUGIN, "focus_stack")
    (stack,) = viewer.layers
    assert tuple(str(unit) for unit in stack.units) == ("micrometer",) * 3
    assert stack.axis_labels == ("z", "y", "x")
    qtbot.waitUntil(lambda: widget.layers.task.value == "focus_stack", timeout=5000)
    assert widget.layers.layer_a.value is stack
    assert widget.layers.axis.currentText() == "along z (10 planes)"
    widget.model.model.value = "gifnet-bands"
    widget.layers.height.value = True
    run_to_the_end(widget)
    _, height, fused = viewer.layers
    assert fused.data.shape == height.data.shape == stack.data.shape[1:]
    assert "µm" in height.name
    low, high = stack.extent.world[:, 0]
    assert low <= np.nanmin(height.data) < np.nanmax(height.data) <= high


def test_the_widget_fuses_pet_and_mri_of_different_grids(dock, qtbot, run_to_the_end):
    viewer, widget = dock
    viewer.open_sample(PLUGIN, "pet_mri")
    mri, pet = viewer.layers
    qtbot.waitUntil(lambda: widget.layers.layer_a.value == pet, timeout=5000)
    assert widget.layers.layer_b.value == mri
    assert widget.layers.rows.label_of(widget.layers.layer_a) == "PET"
    widget.layers.extent.value = "slice"
    run_to_the_end(widget)
    fused = viewer.layers[-1]
    assert len(viewer.layers) == 3
    np.testing.assert_allclose(fused.scale, mri.scale)
    assert fused.units == mri.units
    assert np.isfinite(fused.data).any()
    assert "Added" in widget.status.value
