"""Commands without a dock."""

from napari.utils.notifications import notification_manager

PLUGIN = "napari-gifnet"


def test_fuse_two_selected_layers_without_the_dock(
    make_napari_viewer, qtbot, model_file, monkeypatch, add_pair
):
    from napari_gifnet import models
    from napari_gifnet.viewer.qt import commands

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
