"""The preview comes, follows and goes."""

import numpy as np

from napari_gifnet import fuse
from napari_gifnet.viewer.qt import preview, probe
from napari_gifnet.viewer.qt import widget as widget_module
from napari_gifnet.viewer.qt.preview import coarsened

PLUGIN = "napari-gifnet"


def test_a_preview_without_its_input_is_gone_and_comes_back_with_it(
    dock, qtbot, add_pair, preview_of
):
    viewer, widget = dock
    add_pair(viewer)
    widget.model.preview.value = True
    qtbot.waitUntil(lambda: preview_of(viewer) is not None, timeout=60_000)
    detail = viewer.layers["detail"]
    viewer.layers.remove(detail)
    qtbot.waitUntil(lambda: preview_of(viewer) is None, timeout=60_000)
    qtbot.waitUntil(lambda: not widget.footer.run_button.isEnabled(), timeout=60_000)
    assert widget.status.value == ""
    viewer.add_layer(detail)
    qtbot.waitUntil(lambda: preview_of(viewer) is not None, timeout=60_000)


def test_the_preview_shows_the_slice_one_is_at_and_goes_when_it_is_unticked(
    dock, qtbot, add_pair, preview_of
):
    viewer, widget = dock
    add_pair(viewer, (4, 40, 48), scale=(2, 1, 1))
    selected = set(viewer.layers.selection)
    viewer.dims.set_point(0, 2.0)
    widget.model.preview.value = True
    qtbot.waitUntil(lambda: preview_of(viewer) is not None, timeout=60_000)
    preview = preview_of(viewer)
    assert preview.data.shape == (1, 40, 48)
    assert preview.translate[0] == 2
    assert viewer.layers.selection == selected
    assert preview not in widget.layers.layer_a.choices
    expected = fuse(
        viewer.layers["modality"].data[1],
        viewer.layers["detail"].data[1],
        model=widget.model.chosen,
        intensity=(
            tuple(viewer.layers["modality"].contrast_limits),
            tuple(viewer.layers["detail"].contrast_limits),
        ),
    )
    np.testing.assert_allclose(preview.data[0], expected, atol=1e-5)

    first = preview.data.copy()
    viewer.dims.set_point(0, 6.0)
    qtbot.waitUntil(lambda: preview_of(viewer).translate[0] == 6, timeout=60_000)
    assert not np.array_equal(preview_of(viewer).data, first)
    widget.options.intensity.value = "percentile"
    third = preview_of(viewer).data.copy()
    qtbot.waitUntil(lambda: not np.array_equal(preview_of(viewer).data, third), timeout=60_000)

    widget.model.preview.value = False
    assert preview_of(viewer) is None
    assert len(viewer.layers) == 2


def test_a_preview_that_takes_long_is_dropped_when_it_is_stale(
    dock, qtbot, held_engine, add_pair, preview_of, monkeypatch
):
    monkeypatch.setattr(preview, "LIVE_S", 0)
    viewer, widget = dock
    add_pair(viewer, (4, 40, 48))
    reached, go_on = held_engine
    shown = []
    viewer.layers.events.inserted.connect(lambda event: shown.append(event.value.translate[0]))
    viewer.dims.set_point(0, 1)
    widget.model.preview.value = True
    qtbot.waitUntil(reached.is_set, timeout=60_000)
    viewer.dims.set_point(0, 3)
    go_on.set()
    qtbot.waitUntil(lambda: preview_of(viewer) is not None, timeout=60_000)
    assert shown == [3]


def test_removing_the_preview_layer_unticks_the_preview(dock, qtbot, add_pair, preview_of):
    viewer, widget = dock
    add_pair(viewer)
    widget.model.preview.value = True
    qtbot.waitUntil(lambda: preview_of(viewer) is not None, timeout=60_000)
    viewer.layers.remove(preview_of(viewer))
    assert not widget.model.preview.value
    qtbot.wait(300)
    assert preview_of(viewer) is None


def test_a_preview_of_a_large_plane_is_coarser_and_in_the_same_place(dock):
    viewer, widget = dock
    viewer.add_image(np.random.default_rng(0).random((301, 402)), scale=(0.5, 2), name="one")
    widget.layers.task.value = "enhance"
    factor, plan = coarsened(widget.planner.plan(), 50_000)
    assert factor == 2
    assert plan.shape == (150, 201)
    low, high = plan.grid.crop(plan.region).extent
    np.testing.assert_allclose(low, viewer.layers[0].extent.world[0] - (0.25, 1))
    np.testing.assert_allclose(high, (150 - 0.25, 804 - 1))


def test_a_preview_that_was_quicker_than_thought_is_made_again_in_full(
    dock, qtbot, add_pair, preview_of, monkeypatch
):
    viewer, widget = dock
    add_pair(viewer, (300, 300))
    widget.model.model.value = "gifnet-bands"
    qtbot.waitUntil(widget.footer.run_button.isEnabled, timeout=60_000)
    monkeypatch.setattr(preview, "PATIENCE_S", 20.0)
    monkeypatch.setattr(widget_module, "PATIENCE_S", 20.0)  # full: 4,500 pixels a second
    monkeypatch.setitem(probe._SPEEDS, (widget.options.device.value, "gifnet-bands"), 1500.0)
    shapes = []
    viewer.layers.events.inserted.connect(lambda event: shapes.append(event.value.data.shape))
    widget.model.preview.value = True
    qtbot.waitUntil(lambda: "shows the current slice by" in widget.status.value, timeout=60_000)
    qtbot.waitUntil(lambda: preview_of(viewer).data.shape == (300, 300), timeout=60_000)
    assert shapes[0] == (150, 150)
    assert "of the resolution" not in widget.status.value


def test_a_quick_preview_shows_the_slices_go_by_and_names_its_model(
    dock, qtbot, add_pair, preview_of
):
    viewer, widget = dock
    add_pair(viewer, (24, 64, 64))
    widget.model.model.value = "gifnet-bands"
    widget.model.preview.value = True
    qtbot.waitUntil(lambda: preview_of(viewer) is not None, timeout=60_000)
    assert "gifnet-bands" in widget.status.value
    assert "of the resolution" not in widget.status.value
    seen = []
    layer = preview_of(viewer)
    layer.events.data.connect(lambda: seen.append(viewer.dims.point[0]))
    for place in range(24):
        viewer.dims.set_point(0, place)
        qtbot.wait(40)
    qtbot.waitUntil(lambda: preview_of(viewer).translate[0] == 23, timeout=5000)
    assert len(seen) > 2  # while it was moving


def test_thick_slices_are_told(dock, qtbot, add_pair, preview_of):
    viewer, widget = dock
    add_pair(viewer, (8, 40, 48), projection_mode="mean")
    viewer.dims.set_point(0, 4)
    viewer.dims.thickness = (4, 0, 0)
    widget.layers.extent.value = "slice"
    qtbot.waitUntil(lambda: "thick slices" in widget.summary.value, timeout=10_000)
    widget.model.preview.value = True
    qtbot.waitUntil(lambda: "thick slices" in widget.status.value, timeout=60_000)
    viewer.dims.thickness = (0, 0, 0)
    widget.layers.extent.value = "all"
    qtbot.waitUntil(lambda: "thick slices" not in widget.summary.value, timeout=10_000)
