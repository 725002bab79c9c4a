"""What can be done with a result."""

import threading

import numpy as np
from qtpy.QtWidgets import QApplication


def test_after_a_run_metrics_stand_beside_those_of_a_simple_method(
    dock, qtbot, add_pair, run_to_the_end
):
    viewer, widget = dock
    add_pair(viewer)
    run_to_the_end(widget)
    widget.result.compare_button.click()
    qtbot.waitUntil(lambda: not widget.result.copy_table.isHidden(), timeout=60_000)
    widget.result.copy_table.click()
    head, *rows = (line.split("\t") for line in QApplication.clipboard().text().splitlines())
    assert head == ["", "random.safetensors", "pyramid"]
    assert {row[0] for row in rows} >= {"EI", "VIF", "SSIM", "Qabf"}
    assert all(np.isfinite([float(x) for x in row[1:]]).all() for row in rows)
    widget.result.copy_python.click()
    assert "fuse_layers(" in QApplication.clipboard().text()
    assert not widget.result.copy_command.isEnabled()
    assert "was not opened from a file" in widget.result.copy_command.toolTip()
    widget.result.look.value = "grid"
    assert viewer.canvas.grid.enabled
    widget.result.look.value = "layers"
    assert not viewer.canvas.grid.enabled


def test_a_wipe_that_is_taken_away_by_hand_is_over(dock, qtbot, add_pair, run_to_the_end):
    viewer, widget = dock
    add_pair(viewer)
    run_to_the_end(widget)
    before = list(viewer.layers)
    widget.result.look.value = "a"
    (wipe,) = set(viewer.layers) - set(before)
    viewer.layers.remove(wipe)
    assert widget.result.look.value == "layers"
    assert widget.result.line.isHidden()
    widget.result.look.value = "b"
    assert len(viewer.layers) == len(before) + 1


def test_a_wipe_shows_the_source_left_of_the_line(dock, qtbot, add_pair, run_to_the_end):
    viewer, widget = dock
    add_pair(viewer, (3, 48, 56), scale=(1, 2, 2))
    viewer.dims.set_point(0, 1)
    run_to_the_end(widget)
    result = viewer.layers[-1]
    widget.result.look.value = "b"
    wipe = viewer.layers[-1]
    assert wipe is not result
    np.testing.assert_allclose(wipe.translate, (1, 0, 0))
    low, high = viewer.layers["detail"].contrast_limits
    detail = (viewer.layers["detail"].data[1] - low) / (high - low)
    np.testing.assert_allclose(wipe.data[0, ..., 0], np.clip(detail, 0, 1), atol=1e-6)
    opaque = wipe.data[0, 0, :, 3]
    np.testing.assert_array_equal(opaque, np.arange(56) < 28)
    widget.result.line.value = 0.25
    np.testing.assert_array_equal(wipe.data[0, 5, :, 3], np.arange(56) < 14)
    viewer.dims.set_point(0, 2)
    np.testing.assert_allclose(viewer.layers[-1].translate, (2, 0, 0))
    widget.result.look.value = "layers"
    assert [layer.name for layer in viewer.layers] == ["detail", "modality", result.name]
    assert not widget.result_group.isHidden()
    viewer.layers.remove(result)
    assert widget.result_group.isHidden()


def test_a_slow_comparison_is_not_written_under_another_result(
    dock, qtbot, add_pair, run_to_the_end, monkeypatch
):
    from napari_gifnet.viewer.qt import comparing

    viewer, widget = dock
    add_pair(viewer)
    run_to_the_end(widget)
    first = viewer.layers[-1]
    reached, go_on = threading.Event(), threading.Event()
    compare = comparing.compare

    def slow(*given):
        reached.set()
        go_on.wait(30)
        return compare(*given)

    monkeypatch.setattr(comparing, "compare", slow)
    widget.result.compare_button.click()
    qtbot.waitUntil(reached.is_set, timeout=60_000)
    run_to_the_end(widget)
    assert widget.result.layer is not first
    go_on.set()
    qtbot.waitUntil(lambda: not widget.result.comparing.busy, timeout=60_000)
    qtbot.wait(50)
    assert widget.result.table.isHidden()
    assert len(viewer.layers) == 4
    assert widget.result.compare_button.isEnabled()


def test_a_small_plane_gives_the_figures_that_it_can(dock, qtbot, add_pair, run_to_the_end):
    viewer, widget = dock
    add_pair(viewer, (20, 24))
    run_to_the_end(widget)
    widget.result.compare_button.click()
    qtbot.waitUntil(lambda: not widget.result.table.isHidden(), timeout=60_000)
    comparison = widget.result.comparing.comparison
    assert "EI" in comparison.table["pyramid"]
    assert "VIF" in comparison.left_out


def test_what_was_enhanced_has_nothing_to_be_compared_with(dock, run_to_the_end):
    viewer, widget = dock
    viewer.add_image(np.random.default_rng(0).random((40, 48)), name="one")
    widget.layers.task.value = "enhance"
    run_to_the_end(widget)
    assert not widget.result.compare_button.isEnabled()
    assert "one layer" in widget.result.compare_button.toolTip()


def test_side_by_side_fits_the_pictures_and_gives_the_grid_back(dock, add_pair, run_to_the_end):
    viewer, widget = dock
    add_pair(viewer)
    run_to_the_end(widget)
    viewer.canvas.grid.stride = 2
    viewer.scene.camera.zoom = 77
    widget.result.look.value = "grid"
    assert viewer.canvas.grid.enabled
    assert viewer.canvas.grid.stride == 1
    assert viewer.scene.camera.zoom < 77
    widget.result.look.value = "layers"
    assert not viewer.canvas.grid.enabled
    assert viewer.canvas.grid.stride == 2
    assert viewer.scene.camera.zoom == 77


def test_the_comparison_follows_the_slider(dock, qtbot, add_pair, run_to_the_end):
    viewer, widget = dock
    add_pair(viewer, (3, 48, 56))
    viewer.dims.set_point(0, 0)
    run_to_the_end(widget)
    widget.result.compare_button.click()
    qtbot.waitUntil(lambda: len(viewer.layers) == 4, timeout=60_000)
    assert viewer.layers[-1].translate[0] == 0
    viewer.dims.set_point(0, 2)
    qtbot.waitUntil(lambda: viewer.layers[-1].translate[0] == 2, timeout=60_000)
    assert len(viewer.layers) == 4
    viewer.layers.remove(viewer.layers[-1])
    assert widget.result.look.value == "layers"
