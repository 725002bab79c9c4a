"""Commands without a dock."""

import pytest
from napari.utils import progress
from napari.utils.notifications import notification_manager


def test_fuse_two_selected_layers_without_the_dock(
    make_napari_viewer, qtbot, model_file, monkeypatch, add_pair
):
    from napari_gifnet import models
    from napari_gifnet.viewer.qt import commands, runs

    monkeypatch.setattr(
        models,
        "_MODELS",
        (models.ModelInfo("gifnet", "random", "none", path=model_file), *models._MODELS[1:]),
    )
    viewer = make_napari_viewer()
    add_pair(viewer)
    viewer.layers.selection = set(viewer.layers)
    commands.fuse_selected_layers(viewer)
    qtbot.waitUntil(lambda: len(viewer.layers) == 3 and not runs._RUNS, timeout=60_000)
    viewer.layers.selection = {viewer.layers[0]}
    before = len(notification_manager.records)
    commands.fuse_selected_layers(viewer)
    assert "select two image layers" in str(notification_manager.records[before].message)


@pytest.mark.parametrize("command", ["project_focus_stack", "project_exposures"])
def test_a_stack_becomes_one_picture_without_the_dock(
    make_napari_viewer, qtbot, add_stack, command
):
    from napari_gifnet.viewer.qt import commands

    viewer = make_napari_viewer()
    stack = add_stack(viewer, scale=(4, 1, 1))
    viewer.layers.selection = {stack}
    getattr(commands, command)(viewer)
    qtbot.waitUntil(lambda: len(viewer.layers) == 2, timeout=60_000)
    assert viewer.layers[-1].data.shape == stack.data.shape[1:]


def test_several_selected_layers_are_the_planes_of_a_stack(make_napari_viewer, qtbot, add_stack):
    from napari_gifnet.viewer.qt import commands

    viewer = make_napari_viewer()
    planes = add_stack(viewer).data
    viewer.layers.clear()
    for k, plane in enumerate(planes):
        viewer.add_image(plane, name=f"plane {k}")
    viewer.layers.selection = set(viewer.layers)
    commands.project_focus_stack(viewer)
    qtbot.waitUntil(lambda: len(viewer.layers) == len(planes) + 1, timeout=60_000)


def test_an_open_dock_shows_a_run_of_a_command(dock, qtbot, add_stack):
    from napari_gifnet.viewer.qt import commands

    viewer, widget = dock
    stack = add_stack(viewer)
    viewer.layers.selection = {stack}
    commands.project_focus_stack(viewer)
    assert not widget.footer.run_button.isEnabled()
    qtbot.waitUntil(lambda: len(viewer.layers) == 2, timeout=60_000)
    qtbot.waitUntil(lambda: "Added" in widget.status.value, timeout=10_000)


def test_napari_asks_before_it_closes_while_a_run_goes_on(dock, qtbot, held_engine, add_pair):
    viewer, widget = dock
    add_pair(viewer)
    reached, go_on = held_engine
    qtbot.waitUntil(widget.footer.run_button.isEnabled, timeout=60_000)
    widget.footer.run_button.click()
    qtbot.waitUntil(reached.is_set, timeout=60_000)
    tasks = viewer.window._task_status_manager
    assert tasks.is_busy()
    assert any("GIFNet: modality + detail" in line for line in tasks.get_status())
    bars = list(progress._all_instances)
    assert any("GIFNet" in bar.desc for bar in bars)
    tasks.cancel_all()
    go_on.set()
    qtbot.waitUntil(lambda: widget._run is None, timeout=60_000)
    assert len(viewer.layers) == 2
    assert not any("GIFNet" in bar.desc for bar in progress._all_instances)
    assert not tasks.is_busy()
