"""The form in a real viewer: it follows the layers, the viewer and the task."""

import numpy as np
import pytest

PLUGIN = "napari-gifnet"


def test_another_task_renames_the_form_and_any_pair_names_it_back(dock):
    _, widget = dock
    labels = {
        "enhance": "Image",
        "any": "Image A",
        "multi_focus": "Near focus",
    }
    for task in ("enhance", "any", "multi_focus", "any"):
        widget.layers.task.value = task
        assert widget.layers.rows.label_of(widget.layers.layer_a) == labels[task]
        for control in (widget.layers.layer_b, widget.layers.swap):
            assert control.isVisibleTo(widget.layers) == (task != "enhance")
        assert widget.footer.run_button.text() == ("Enhance" if task == "enhance" else "Fuse")


@pytest.mark.parametrize("names", [("street_IR", "street-visible"), ("PET scan", "T1")])
@pytest.mark.parametrize("modality_first", [True, False])
def test_layers_whose_names_say_what_they_are_take_their_places(dock, qtbot, names, modality_first):
    viewer, widget = dock
    for name in names if modality_first else names[::-1]:
        viewer.add_image(np.random.default_rng(0).random((40, 48)), name=name)
    qtbot.waitUntil(
        lambda: widget.layers.layer_a.value != widget.layers.layer_b.value, timeout=5000
    )
    assert (widget.layers.layer_a.value.name, widget.layers.layer_b.value.name) == names


def test_layers_that_are_renamed_keep_their_places(dock, qtbot, add_pair):
    viewer, widget = dock
    add_pair(viewer)
    qtbot.waitUntil(widget.footer.run_button.isEnabled, timeout=60_000)
    modality, detail = widget.layers.layer_a.value, widget.layers.layer_b.value
    for layer in (modality, detail, modality):
        layer.name = f"renamed {layer.name}"
        assert (widget.layers.layer_a.value, widget.layers.layer_b.value) == (modality, detail)


def test_the_line_before_a_run_follows_the_layers(dock, qtbot, add_pair):
    viewer, widget = dock
    add_pair(viewer)
    shapes = viewer.add_shapes(name="ROI")
    shapes.add_rectangles([[4, 4], [20, 24]])
    widget.layers.extent.value = shapes
    qtbot.waitUntil(lambda: "17×21" in widget.summary.value, timeout=60_000)
    shapes.data = []
    qtbot.waitUntil(lambda: "is empty" in widget.summary.value, timeout=5000)
    shapes.add_rectangles([[4, 4], [30, 24]])
    qtbot.waitUntil(lambda: "27×21" in widget.summary.value, timeout=5000)
    viewer.layers["detail"].contrast_limits = (0.25, 0.75)
    qtbot.waitUntil(lambda: "0.25" in widget.summary.value, timeout=5000)


def test_the_line_before_a_run_follows_the_viewer(dock, qtbot, add_pair):
    viewer, widget = dock
    add_pair(viewer, (8, 20, 60))
    qtbot.waitUntil(lambda: "8 planes of 20×60" in widget.summary.value, timeout=60_000)
    viewer.dims.roll()
    qtbot.waitUntil(lambda: "60 planes of 8×20" in widget.summary.value, timeout=30_000)
    viewer.dims.order = (0, 1, 2)
    viewer.add_image(np.zeros((20, 20, 60)), translate=(-6, 0, 0))  # room beside the pair
    widget.layers.layer_a.value, widget.layers.layer_b.value = viewer.layers[1], viewer.layers[0]
    widget.layers.extent.value = "slice"
    viewer.dims.set_point(0, -5)
    qtbot.waitUntil(lambda: not widget.footer.run_button.isEnabled(), timeout=30_000)
    assert "lies outside of" in widget.summary.value
    viewer.dims.set_point(0, 3)
    qtbot.waitUntil(widget.footer.run_button.isEnabled, timeout=30_000)
    widget.layers.extent.value = "view"
    qtbot.waitUntil(lambda: "8 planes of 20×60" in widget.summary.value, timeout=30_000)
    for layer in viewer.layers[:2]:  # napari knows what is visible once it has drawn
        layer.corner_pixels = np.array([[0, 2, 3], [0, 10, 19]])
    viewer.scene.camera.zoom *= 8
    qtbot.waitUntil(lambda: "8 planes of 9×17" in widget.summary.value, timeout=30_000)


def test_a_device_that_is_there_but_fails_is_told(dock, qtbot, monkeypatch):
    from napari_gifnet.viewer.qt import probe

    def broken(*given):
        raise RuntimeError("the driver is too old\nand more")

    monkeypatch.setattr(probe, "open_fuser", broken)
    monkeypatch.setattr(probe, "_SPEEDS", {})
    _, widget = dock
    widget._probe.start("auto")
    qtbot.waitUntil(lambda: "cannot be used" in widget._probe.sentence, timeout=60_000)
    assert "the driver is too old" in widget._probe.sentence


def test_a_layer_is_not_fused_with_itself_by_mistake(dock, qtbot, add_pair):
    viewer, widget = dock
    add_pair(viewer)
    qtbot.waitUntil(widget.footer.run_button.isEnabled, timeout=60_000)
    widget.layers.layer_a.value = widget.layers.layer_b.value
    qtbot.waitUntil(lambda: not widget.footer.run_button.isEnabled(), timeout=5000)
    assert "choose two layers" in widget.summary.value


def test_swap_and_what_a_run_would_do_is_said_before(dock, qtbot, add_pair):
    viewer, widget = dock
    assert "Open two image layers" in widget.summary.value or not widget.summary.value
    add_pair(viewer)
    qtbot.waitUntil(lambda: "48" in widget.summary.value, timeout=60_000)
    a, b = widget.layers.layer_a.value, widget.layers.layer_b.value
    widget.layers.swap.click()
    assert (widget.layers.layer_a.value, widget.layers.layer_b.value) == (b, a)


def test_the_region_around_a_shape(dock, qtbot, add_pair, run_to_the_end):
    viewer, widget = dock
    add_pair(viewer, (64, 80))
    viewer.add_shapes([[10, 20], [10, 60], [40, 60], [40, 20]], name="here")
    widget.layers.extent.value = viewer.layers["here"]
    run_to_the_end(widget)
    result = viewer.layers[-1]
    np.testing.assert_allclose(result.translate, (10, 20), atol=1)
    assert abs(np.array(result.data.shape) - (30, 40)).max() <= 1


def test_levels_are_offered_for_multiscale_layers_alone(dock, qtbot, add_pair, run_to_the_end):
    viewer, widget = dock
    add_pair(viewer, (64, 80))
    qtbot.waitUntil(widget.footer.run_button.isEnabled, timeout=60_000)
    assert widget.options.level.isHidden()
    fine = np.random.default_rng(1).random((64, 80))
    viewer.add_image([fine, fine[::2, ::2]], multiscale=True, name="pyramid")
    widget.layers.task.value = "enhance"
    widget.layers.layer_a.value = viewer.layers["pyramid"]
    qtbot.waitUntil(
        lambda: not widget.options.level.isHidden() and widget.options.level.maximum() == 1,
        timeout=5000,
    )
    widget.options.level.value = 1
    run_to_the_end(widget)
    assert viewer.layers[-1].data.shape == (32, 40)


def test_every_control_has_a_tooltip_and_the_tab_key_goes_down_the_widget(
    dock, add_pair, run_to_the_end
):
    viewer, widget = dock
    add_pair(viewer)
    run_to_the_end(widget)
    for group in (*widget.options.groups.values(), widget.result_group):
        group.value = True
    order = [*widget.layers.controls, *widget.model.controls]
    for group, controls in widget.options.by_group:
        order += [group.toggleButton(), *controls]
    order += [widget.result_group.toggleButton(), *widget.result.controls, *widget.footer.buttons]
    assert all(control.toolTip() for control in order)
    chain, at = [], order[0]
    for _ in range(400):
        chain.append(at)
        at = at.nextInFocusChain()
    places = [chain.index(control) for control in order]
    assert places == sorted(places)


def test_options_of_a_pair_are_not_carried_over_to_the_next(dock, qtbot, add_pair):
    viewer, widget = dock
    add_pair(viewer)
    qtbot.waitUntil(widget.footer.run_button.isEnabled, timeout=60_000)
    widget.options.color.value = "a"
    widget.options.intensity.value = "percentile"
    widget.options.interpolation.value = "cubic"
    widget.layers.swap.click()
    assert widget.options.color.value == "b"  # that of the same layer
    assert widget.options.intensity.value == "percentile"
    widget.layers.layer_a.value = viewer.add_image(np.ones((48, 56)), name="another")
    assert widget.options.color.value == "auto"
    assert widget.options.intensity.value == "layer"
    assert widget.options.interpolation.value == "cubic"


def test_a_layer_without_a_scale_can_be_fitted(dock, qtbot):
    viewer, widget = dock
    photo = viewer.add_image(np.random.default_rng(0).random((48, 64)), name="photo")
    thermal = viewer.add_image(np.random.default_rng(1).random((24, 32)), name="thermal")
    qtbot.waitUntil(lambda: "is a scale missing?" in widget.summary.value, timeout=60_000)
    assert not widget.fit.isHidden()
    assert "thermal" in widget.fit.toolTip()
    widget.fit.click()
    np.testing.assert_allclose(thermal.extent.world[1] + 1, photo.extent.world[1] + 0.5)
    qtbot.waitUntil(widget.fit.isHidden, timeout=10_000)
    assert "is a scale missing?" not in widget.summary.value


def test_the_picture_in_colour_is_the_visible_one(dock, qtbot):
    viewer, widget = dock
    viewer.add_image(np.random.default_rng(0).random((40, 48)), name="one")
    viewer.add_image(np.random.default_rng(0).random((40, 48, 3)), rgb=True, name="other")
    qtbot.waitUntil(lambda: widget.layers.layer_b.value is viewer.layers["other"], timeout=5000)
    assert widget.layers.layer_a.value is viewer.layers["one"]


def test_the_swap_names_the_two(dock):
    _, widget = dock
    texts = {}
    for task in ("any", "infrared_visible", "pet_mri"):
        widget.layers.task.value = task
        texts[task] = widget.layers.swap.text()
    assert texts == {
        "any": "Swap image A and image B",
        "infrared_visible": "Swap infrared and visible",
        "pet_mri": "Swap PET and MRI",
    }


def test_each_model_stands_with_the_time_that_it_would_take(dock, qtbot, add_pair):
    viewer, widget = dock
    add_pair(viewer, (512, 512))
    box = widget.model.model

    def texts():
        return [box.itemText(place) for place in range(box.count())]

    qtbot.waitUntil(lambda: "gifnet-bands · " in texts()[1], timeout=120_000)
    assert texts()[0].startswith("gifnet · ")
    assert texts()[0].endswith((" s", " min"))


def test_an_empty_viewer_is_greeted_with_the_samples(make_napari_viewer, open_dock, qtbot):
    viewer = make_napari_viewer()
    widget = open_dock(viewer)
    assert not widget.greeting.isHidden()
    assert widget.form.isHidden()
    widget.greeting.buttons["multi_focus"].click()
    assert widget.greeting.isHidden()
    assert len(viewer.layers) == 2
    qtbot.waitUntil(lambda: widget.layers.task.value == "multi_focus", timeout=5000)
    viewer.layers.clear()
    assert not widget.greeting.isHidden()


def test_one_layer_in_both_places_is_refused_with_what_to_do(dock, qtbot, add_pair):
    viewer, widget = dock
    add_pair(viewer)
    qtbot.waitUntil(widget.footer.run_button.isEnabled, timeout=60_000)
    twice = widget.layers.layer_a.value
    widget.layers.layer_b.value = twice
    expected = f"Both images are {twice.name!r}: choose two layers, or the task to enhance one."
    qtbot.waitUntil(lambda: widget.summary.value == expected, timeout=30_000)
    assert not widget.footer.run_button.isEnabled()
