"""The widget starts as it was left."""

from napari_gifnet.viewer.qt import settings as remembered

PLUGIN = "napari-gifnet"


def test_the_widget_starts_as_it_was_left(
    make_napari_viewer, model_file, qtbot, open_dock, add_pair, run_to_the_end
):
    viewer = make_napari_viewer()
    widget = open_dock(viewer)
    add_pair(viewer)
    widget.model.model_file.value = str(model_file)
    widget.model.model.value = "from a file …"
    widget.layers.task.value = "multi_focus"
    widget.options.interpolation.value = "cubic"
    widget.options.groups["places"].value = True
    run_to_the_end(widget)

    again = open_dock(make_napari_viewer())
    assert again.planner.options() == widget.planner.options()
    assert again.options.groups["places"].value

    model_file.unlink()
    assert open_dock(make_napari_viewer()).model.model.value == "gifnet"
    remembered.settings_file().write_text("no JSON")
    assert open_dock(make_napari_viewer()).options.interpolation.value == "linear"


def test_preferences_that_are_newer_than_the_last_run_go_first(
    make_napari_viewer, monkeypatch, open_dock
):
    from napari.settings import get_plugin_settings

    remembered.remember(
        {
            "controls": {"precision": "float16", "interpolation": "cubic"},
            "preferences": {
                "model_file": "",
                "model": "gifnet",
                "device": "auto",
                "precision": "auto",
            },
        }
    )
    assert open_dock(make_napari_viewer()).options.precision.value == "float16"
    defaults = get_plugin_settings("napari-gifnet").defaults
    monkeypatch.setattr(defaults, "precision", "float32")
    monkeypatch.setattr(defaults, "memory", 123)
    widget = open_dock(make_napari_viewer())
    assert widget.options.precision.value == "float32"
    assert widget.options.interpolation.value == "cubic"
    assert widget.planner.options().memory == 123
