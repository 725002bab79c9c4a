"""Runs: their end, their errors, and that the viewer stays alive."""

import os
import subprocess
import sys
import time

import numpy as np
import torch
from napari.utils.notifications import notification_manager
from qtpy.QtCore import QTimer

from napari_gifnet.engine import run as engine_run

PLUGIN = "napari-gifnet"


def test_a_second_run_adds_a_second_layer(dock, qtbot, add_pair, run_to_the_end):
    viewer, widget = dock
    add_pair(viewer)
    run_to_the_end(widget)
    first = viewer.layers[-1]
    run_to_the_end(widget)
    assert len(viewer.layers) == 4
    assert viewer.layers[2] is first
    assert viewer.layers[3].name != first.name


def test_enhancing_one_layer(dock, qtbot, run_to_the_end):
    viewer, widget = dock
    viewer.add_image(np.random.default_rng(0).random((40, 48)), name="one")
    widget.layers.task.value = "enhance"
    assert widget.layers.layer_b.isHidden()
    run_to_the_end(widget)
    assert "one" in viewer.layers[-1].name
    assert viewer.layers[-1].data.shape == (40, 48)


def test_cancel_leaves_no_layer_and_a_usable_button(dock, qtbot, held_engine, add_pair):
    viewer, widget = dock
    add_pair(viewer, (30, 64, 64))
    reached, go_on = held_engine
    qtbot.waitUntil(widget.footer.run_button.isEnabled, timeout=60_000)
    widget.footer.run_button.click()
    qtbot.waitUntil(reached.is_set, timeout=60_000)
    widget.footer.cancel_button.click()
    go_on.set()
    qtbot.waitUntil(lambda: widget._run is None, timeout=60_000)
    assert [layer.name for layer in viewer.layers] == ["detail", "modality"]
    assert widget.status.value == "Cancelled; nothing was added."
    assert widget.footer.run_button.isEnabled()


def test_an_error_of_torch_ends_in_a_notification_and_a_usable_button(
    dock, qtbot, monkeypatch, add_pair, run_to_the_end
):
    viewer, widget = dock
    add_pair(viewer)
    monkeypatch.setattr(engine_run, "fuse_pair", lambda *_: torch.zeros(2) @ torch.zeros(3))
    before = len(notification_manager.records)
    run_to_the_end(widget)
    messages = [str(record.message) for record in notification_manager.records[before:]]
    assert any("computation failed" in message for message in messages)
    assert len(viewer.layers) == 2
    monkeypatch.undo()
    run_to_the_end(widget)
    assert len(viewer.layers) == 3


def largest_gap_while(qtbot, condition):
    """Seconds that the GUI thread was away at most, until a condition held."""
    beats = [time.perf_counter()]
    timer = QTimer()
    timer.setInterval(5)
    timer.timeout.connect(lambda: beats.append(time.perf_counter()))
    timer.start()
    qtbot.waitUntil(condition, timeout=240_000)
    timer.stop()
    return max(np.diff(beats))


def test_sixty_slices_leave_the_viewer_responsive(dock, qtbot, add_pair):
    """From the press to the layer, but for the time that napari itself takes to add one."""
    viewer, widget = dock
    add_pair(viewer, (60, 48, 48))
    qtbot.waitUntil(widget.footer.run_button.isEnabled, timeout=60_000)
    qtbot.wait(500)
    QTimer.singleShot(0, lambda: widget.footer.run_button.click())
    gap = largest_gap_while(qtbot, lambda: widget.result.layer is not None)
    assert viewer.layers[-1].data.shape == (60, 48, 48)
    result = viewer.layers[-1].data.copy()
    QTimer.singleShot(0, lambda: viewer.add_image(result, contrast_limits=(0, 1)))
    alone = largest_gap_while(qtbot, lambda: len(viewer.layers) == 4)
    assert (
        gap < max(alone, 0.1) + 0.1
    )  # 100 ms is the aim; a busy machine's scheduler takes its share


def test_an_input_may_be_removed_and_another_run_asked_for_in_the_middle(dock, qtbot, add_pair):
    viewer, widget = dock
    add_pair(viewer, (6, 48, 48))
    qtbot.waitUntil(widget.footer.run_button.isEnabled, timeout=60_000)
    widget.footer.run_button.click()
    qtbot.waitUntil(lambda: widget.footer.progress.value() > 0, timeout=60_000)
    run = widget._run
    widget.footer.run_button.click()
    assert widget._run is run
    viewer.layers.remove("modality")
    qtbot.waitUntil(lambda: widget._run is None, timeout=120_000)
    assert [layer.name for layer in viewer.layers] == ["detail", "modality + detail (GIFNet)"]
    assert np.isfinite(viewer.layers[-1].data).all()


def test_the_viewer_may_be_closed_in_the_middle_of_a_run(model_file):
    """In a process of its own: no error, no thread that lives on, no abort."""
    code = f"""
import threading, time
import napari, numpy as np
from qtpy.QtWidgets import QApplication
viewer = napari.Viewer(show=False)
_, widget = viewer.window.add_plugin_dock_widget("napari-gifnet", "GIFNet Fusion")
widget.model.model_file.value = {str(model_file)!r}
widget.model.model.value = "from a file …"
for name in "ab":
    viewer.add_image(np.random.default_rng(0).random((40, 96, 96)), name=name)
end = time.monotonic() + 60
def until(condition):
    while not condition() and time.monotonic() < end:
        QApplication.processEvents()
        time.sleep(0.005)
    assert condition()
until(widget.footer.run_button.isEnabled)
widget.model.preview.value = True
widget.footer.run_button.click()
until(lambda: widget.footer.progress.value() > 0)
viewer.close()
for _ in range(50):
    QApplication.processEvents()
    time.sleep(0.005)
"""
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"XDG_CONFIG_HOME": str(model_file.parent)},
    )
    assert done.returncode == 0, done.stderr
    assert "Error" not in done.stderr, done.stderr
    assert time.monotonic() - start < 60


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
