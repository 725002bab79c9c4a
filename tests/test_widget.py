"""The plugin in a real viewer: found, opened, clicked."""

import subprocess
import sys
import threading

import numpy as np
import pytest
import torch
from napari.utils.notifications import notification_manager
from qtpy.QtWidgets import QApplication

if sys.platform == "linux":
    import os
    import shutil

    if not (os.environ.get("DISPLAY") or shutil.which("Xvfb")):
        pytest.skip("needs a display or Xvfb", allow_module_level=True)

from napari_gifnet.engine.tiles import TiledFusion

PLUGIN = "napari-gifnet"


@pytest.fixture
def model_file(random_model, tmp_path):
    from safetensors.torch import save_file

    path = tmp_path / "random.safetensors"
    save_file(random_model.network.state_dict(), path)
    return path


@pytest.fixture
def dock(make_napari_viewer, model_file, qtbot):
    """A viewer and the widget as napari makes it from the manifest."""
    viewer = make_napari_viewer()
    _, widget = viewer.window.add_plugin_dock_widget(PLUGIN, "GIFNet Fusion")
    widget.model_file.value = model_file
    widget.model.value = "from a file …"
    yield viewer, widget
    if widget._run is not None:
        widget._run.cancel()
        qtbot.waitUntil(lambda: widget._run is None, timeout=60_000)


def add_pair(viewer, shape=(48, 56), **kwargs):
    rng = np.random.default_rng(0)
    viewer.add_image(rng.random(shape), name="detail", **kwargs)
    viewer.add_image(rng.random(shape), name="modality", **kwargs)


def press(button):
    button.changed.emit(True)


def run_to_the_end(widget, qtbot):
    qtbot.waitUntil(lambda: widget.run_button.enabled, timeout=60_000)
    press(widget.run_button)
    assert not widget.run_button.enabled
    qtbot.waitUntil(lambda: widget._run is None, timeout=120_000)
    assert widget.run_button.enabled


@pytest.mark.parametrize("key", ["pet_mri", "infrared_visible", "multi_focus", "multi_exposure"])
def test_every_sample_opens_with_both_layers(make_napari_viewer, key):
    viewer = make_napari_viewer()
    viewer.open_sample(PLUGIN, key)
    assert len(viewer.layers) == 2
    assert all(layer.metadata[PLUGIN.replace("-", "_")]["task"] == key for layer in viewer.layers)


def test_the_widget_fuses_pet_and_mri_of_different_grids(dock, qtbot):
    viewer, widget = dock
    viewer.open_sample(PLUGIN, "pet_mri")
    mri, pet = viewer.layers
    qtbot.waitUntil(lambda: widget.layer_a.value is pet, timeout=5000)
    assert widget.layer_b.value is mri
    assert (widget.layer_a.label, widget.layer_b.label) == ("PET", "MRI")
    widget.extent.value = "slice"
    run_to_the_end(widget, qtbot)
    fused = viewer.layers[-1]
    assert len(viewer.layers) == 3
    np.testing.assert_allclose(fused.scale, mri.scale)
    assert fused.units == mri.units
    assert np.isfinite(fused.data).any()
    assert "Added" in widget.status.value


def test_a_second_run_adds_a_second_layer(dock, qtbot):
    viewer, widget = dock
    add_pair(viewer)
    run_to_the_end(widget, qtbot)
    first = viewer.layers[-1]
    run_to_the_end(widget, qtbot)
    assert len(viewer.layers) == 4
    assert viewer.layers[2] is first
    assert viewer.layers[3].name != first.name


def test_enhancing_one_layer(dock, qtbot):
    viewer, widget = dock
    viewer.add_image(np.random.default_rng(0).random((40, 48)), name="one")
    widget.task.value = "enhance"
    assert not widget.layer_b.visible
    run_to_the_end(widget, qtbot)
    assert "one" in viewer.layers[-1].name
    assert viewer.layers[-1].data.shape == (40, 48)


def test_cancel_leaves_no_layer_and_a_usable_button(dock, qtbot, monkeypatch):
    viewer, widget = dock
    add_pair(viewer, (30, 64, 64))
    reached, go_on = threading.Event(), threading.Event()
    run = TiledFusion.run

    def slow(self, out, step=lambda: None):
        reached.set()
        go_on.wait(30)
        run(self, out, step)

    monkeypatch.setattr(TiledFusion, "run", slow)
    qtbot.waitUntil(lambda: widget.run_button.enabled, timeout=60_000)
    press(widget.run_button)
    qtbot.waitUntil(reached.is_set, timeout=60_000)
    press(widget.cancel_button)
    go_on.set()
    qtbot.waitUntil(lambda: widget._run is None, timeout=60_000)
    assert [layer.name for layer in viewer.layers] == ["detail", "modality"]
    assert widget.status.value == "Cancelled; nothing was added."
    assert widget.run_button.enabled


def test_an_error_of_torch_ends_in_a_notification_and_a_usable_button(dock, qtbot, monkeypatch):
    viewer, widget = dock
    add_pair(viewer)
    monkeypatch.setattr(TiledFusion, "run", lambda *_: torch.zeros(2) @ torch.zeros(3))
    before = len(notification_manager.records)
    run_to_the_end(widget, qtbot)
    messages = [str(record.message) for record in notification_manager.records[before:]]
    assert any("computation failed" in message for message in messages)
    assert len(viewer.layers) == 2
    monkeypatch.undo()
    run_to_the_end(widget, qtbot)
    assert len(viewer.layers) == 3


def test_swap_and_what_a_run_would_do_is_said_before(dock, qtbot):
    viewer, widget = dock
    assert "Open two image layers" in widget.summary.value or not widget.summary.value
    add_pair(viewer)
    qtbot.waitUntil(lambda: "48" in widget.summary.value, timeout=60_000)
    a, b = widget.layer_a.value, widget.layer_b.value
    press(widget.swap)
    assert (widget.layer_a.value, widget.layer_b.value) == (b, a)


def test_fuse_two_selected_layers_without_the_dock(
    make_napari_viewer, qtbot, model_file, monkeypatch
):
    from napari_gifnet import models
    from napari_gifnet.viewer import commands

    monkeypatch.setattr(
        models,
        "_MODELS",
        (models.ModelInfo("gifnet", "random", "none", path=model_file), *models._MODELS[1:]),
    )
    viewer = make_napari_viewer()
    add_pair(viewer)
    viewer.layers.selection = set(viewer.layers)
    commands.fuse_selected_layers(viewer)
    qtbot.waitUntil(lambda: len(viewer.layers) == 3 and not commands._RUNS, timeout=60_000)
    viewer.layers.selection = {viewer.layers[0]}
    before = len(notification_manager.records)
    commands.fuse_selected_layers(viewer)
    assert "select two image layers" in str(notification_manager.records[before].message)


def test_a_script_may_end_while_the_device_is_looked_at(qtbot):
    """A thread that outlived Qt's objects aborted the interpreter."""
    code = (
        "import napari\n"
        "viewer = napari.Viewer(show=False)\n"
        "viewer.window.add_plugin_dock_widget('napari-gifnet', 'GIFNet Fusion')\n"
        "viewer.close()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_after_a_run_metrics_stand_beside_those_of_a_simple_method(dock, qtbot):
    viewer, widget = dock
    add_pair(viewer)
    run_to_the_end(widget, qtbot)
    press(widget.compare_button)
    qtbot.waitUntil(lambda: bool(widget._table), timeout=60_000)
    head, *rows = (line.split("\t") for line in widget._table.splitlines())
    assert head == ["", "GIFNet", "laplacian"]
    assert {row[0] for row in rows} >= {"EI", "VIF", "SSIM", "Qabf"}
    assert all(np.isfinite([float(x) for x in row[1:]]).all() for row in rows)
    press(widget.copy_table)
    assert QApplication.clipboard().text() == widget._table
    press(widget.copy_python)
    assert "fuse_layers(" in QApplication.clipboard().text()
    widget.side_by_side.value = True
    assert viewer.canvas.grid.enabled
