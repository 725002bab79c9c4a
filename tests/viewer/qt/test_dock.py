"""The dock is closed, hidden and opened again: nothing is left behind, and nothing is lost."""

import numpy as np
import pytest


def test_closing_the_dock_takes_the_preview_away(dock, qtbot, add_pair, preview_of, close_dock):
    viewer, widget = dock
    add_pair(viewer, (4, 40, 48))
    widget.model.preview.value = True
    qtbot.waitUntil(lambda: preview_of(viewer) is not None, timeout=60_000)
    close_dock(viewer, widget)
    viewer.dims.set_point(0, 3)
    qtbot.wait(400)
    assert [layer.name for layer in viewer.layers] == ["detail", "modality"]


@pytest.mark.parametrize("look", ["a", "b", "grid"])
@pytest.mark.parametrize("grid_before", [True, False])
def test_closing_the_dock_ends_how_a_result_was_shown(
    dock, qtbot, add_pair, run_to_the_end, close_dock, look, grid_before
):
    viewer, widget = dock
    add_pair(viewer)
    viewer.canvas.grid.enabled = grid_before
    viewer.canvas.grid.stride = 2
    run_to_the_end(widget)
    layers = list(viewer.layers)
    center, zoom = viewer.scene.camera.center, viewer.scene.camera.zoom
    widget.result.look.value = look
    assert viewer.canvas.grid.enabled == (look == "grid")
    close_dock(viewer, widget)
    assert list(viewer.layers) == layers
    assert viewer.canvas.grid.enabled == grid_before
    assert viewer.canvas.grid.stride == 2
    assert viewer.scene.camera.zoom == pytest.approx(zoom)
    assert viewer.scene.camera.center == pytest.approx(center)


def test_closing_the_dock_takes_the_other_methods_picture_away(
    dock, qtbot, add_pair, run_to_the_end, close_dock
):
    viewer, widget = dock
    add_pair(viewer)
    run_to_the_end(widget)
    widget.result.compare_button.click()
    qtbot.waitUntil(lambda: len(viewer.layers) == 4, timeout=60_000)
    close_dock(viewer, widget)
    assert len(viewer.layers) == 3
    assert not viewer.canvas.grid.enabled


def test_a_hidden_dock_rests_and_a_floating_one_goes_on(
    make_napari_viewer, open_dock, model_file, qtbot, add_pair, preview_of
):
    viewer = make_napari_viewer(show=True)
    widget = open_dock(viewer)
    widget.model.model_file.value = str(model_file)
    widget.model.model.value = "from a file …"
    add_pair(viewer)
    widget.model.preview.value = True
    qtbot.waitUntil(lambda: preview_of(viewer) is not None, timeout=60_000)
    frame = widget.parentWidget()
    frame.setFloating(True)
    qtbot.wait(100)
    assert preview_of(viewer) is not None
    frame.setFloating(False)
    qtbot.wait(100)
    assert preview_of(viewer) is not None
    frame.title.hide_button.click()
    qtbot.waitUntil(lambda: preview_of(viewer) is None, timeout=5000)
    frame.show()
    assert not widget.model.preview.value


def test_a_run_goes_on_without_its_dock_and_is_found_by_the_next_one(
    dock, qtbot, add_pair, held_engine, open_dock, close_dock
):
    viewer, widget = dock
    add_pair(viewer, (6, 48, 48))
    reached, go_on = held_engine
    qtbot.waitUntil(widget.footer.run_button.isEnabled, timeout=60_000)
    widget.footer.run_button.click()
    qtbot.waitUntil(reached.is_set, timeout=60_000)
    close_dock(viewer, widget)
    again = open_dock(viewer)
    assert not again.footer.run_button.isEnabled()
    assert again.footer.cancel_button.isEnabled()
    assert not again.footer.progress.isHidden()
    go_on.set()
    qtbot.waitUntil(lambda: len(viewer.layers) == 3, timeout=60_000)
    qtbot.waitUntil(again.footer.run_button.isEnabled, timeout=60_000)
    assert "Added" in again.status.value
    assert again.result.layer is viewer.layers[-1]


def test_a_run_can_be_cancelled_from_the_next_dock(
    dock, qtbot, add_pair, held_engine, open_dock, close_dock
):
    viewer, widget = dock
    add_pair(viewer, (30, 48, 48))
    reached, go_on = held_engine
    qtbot.waitUntil(widget.footer.run_button.isEnabled, timeout=60_000)
    widget.footer.run_button.click()
    qtbot.waitUntil(reached.is_set, timeout=60_000)
    close_dock(viewer, widget)
    again = open_dock(viewer)
    again.footer.cancel_button.click()
    go_on.set()
    qtbot.waitUntil(lambda: again._run is None, timeout=60_000)
    assert again.status.value == "Cancelled; nothing was added."
    assert len(viewer.layers) == 2


def test_an_old_result_is_picked_up_by_selecting_it(
    dock, qtbot, add_pair, run_to_the_end, open_dock, close_dock
):
    viewer, widget = dock
    add_pair(viewer)
    run_to_the_end(widget)
    result = viewer.layers[-1]
    close_dock(viewer, widget)
    saved = viewer.add_image(
        result.data, name="saved and opened", metadata=dict(result.metadata), scale=result.scale
    )
    viewer.layers.remove(result)
    viewer.layers.selection = {viewer.layers["detail"]}
    again = open_dock(viewer)
    assert again.result_group.isHidden()
    viewer.layers.selection = {saved}
    assert not again.result_group.isHidden()
    assert "saved and opened" in again.result.name.value
    again.result.look.value = "b"
    wipe = viewer.layers[-1]
    low, high = viewer.layers["detail"].contrast_limits
    detail = np.clip((viewer.layers["detail"].data - low) / (high - low), 0, 1)
    np.testing.assert_allclose(wipe.data[..., 0], detail, atol=1e-6)
    again.result.compare_button.click()
    qtbot.waitUntil(lambda: not again.result.table.isHidden(), timeout=60_000)


def test_a_result_whose_source_is_gone_says_so(
    dock, add_pair, run_to_the_end, open_dock, close_dock
):
    viewer, widget = dock
    add_pair(viewer)
    run_to_the_end(widget)
    result = viewer.layers[-1]
    close_dock(viewer, widget)
    from napari_gifnet.viewer.qt import runs

    runs._PLANS.clear()
    viewer.layers.remove("detail")
    again = open_dock(viewer)
    viewer.layers.selection = set()
    viewer.layers.selection = {result}
    assert "detail" in again.result.trouble.value
    assert not again.result.compare_button.isEnabled()
    assert "detail" in again.result.compare_button.toolTip()
    assert again.result.copy_python.isEnabled()


def test_a_closed_dock_listens_no_more(dock, add_pair, close_dock):
    viewer, widget = dock
    add_pair(viewer)
    close_dock(viewer, widget)
    layer, events = viewer.layers["detail"], (viewer.dims.events, viewer.layers.events)
    emitters = [events[0].point, events[0].order, events[1].inserted, events[1].removed]
    for emitter in (*emitters, layer.events.contrast_limits, viewer.layers.selection.events.active):
        owners = [callback[0]() for callback in emitter.callbacks if isinstance(callback, tuple)]
        ours = [each for each in owners if type(each).__module__.startswith("napari_gifnet")]
        assert not ours
    viewer.add_image(np.zeros((8, 8)), name="later")
    viewer.layers["later"].name = "renamed"
    viewer.layers.selection = {viewer.layers[0]}
    layer.contrast_limits = (0, 0.5)
    viewer.layers.remove("renamed")
