"""Layers laid on each other in the dock: moved, taken back, judged, saved, warned about."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from napari.utils.notifications import notification_manager
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QFileDialog
from scipy.ndimage import gaussian_filter

from napari_gifnet.viewer.layers.moves import history_of
from napari_gifnet.viewer.layers.recipes import as_python

SIDE = 160
SHIFT = np.array([5.0, 9.0])


def picture(side, seed=0):
    """A scene of sharp shapes: values in [0, 1]."""
    rng = np.random.default_rng(seed)
    scene = np.zeros((side, side))
    for _ in range(side * side // 500):
        y, x = rng.integers(0, side, 2)
        h, w = rng.integers(8, 40, 2)
        scene[y : y + h, x : x + w] = rng.random()
    return gaussian_filter(scene, 0.7).astype(np.float32)


def other_modality(values):
    """The same scene as another camera sees it: dark is bright, and not in proportion; noise."""
    noise = np.random.default_rng(1).normal(0, 0.03, values.shape)
    return ((1 - values) ** 2 + 0.3 * np.abs(values - 0.4) + noise).astype(np.float32)


def scene_pair(side=SIDE, shift=(5, 9)):
    """One scene in two modalities; the second lies `shift` pixels off."""
    scene = picture(side + 20)
    y, x = shift
    return scene[:side, :side], other_modality(scene)[y : y + side, x : x + side]


@pytest.fixture
def aligned_dock(dock, qtbot):
    """A dock with a pair of which the upper layer lies wrong, set to find shifts."""
    viewer, widget = dock
    fixed, moving = scene_pair()
    viewer.add_image(fixed, name="detail", contrast_limits=(0, 1))
    viewer.add_image(moving, name="modality", contrast_limits=(0, 1.4))
    qtbot.waitUntil(lambda: widget.align.pair is not None, timeout=10_000)
    widget.align.kind.value = "shift"
    return viewer, widget


@pytest.fixture
def align(qtbot):
    """Press Align and wait for the end."""

    def press(widget):
        qtbot.waitUntil(widget.align.align_button.isEnabled, timeout=60_000)
        widget.align.align_button.click()
        assert not widget.align.align_button.isEnabled()
        qtbot.waitUntil(lambda: widget._run is None, timeout=120_000)

    return press


def lies_right(layer):
    return bool(np.abs(layer.affine.translate[-2:] - SHIFT).max() < 0.3)


def test_align_fuse_and_undo_and_the_copied_code_gives_the_same_bits(
    aligned_dock, qtbot, align, run_to_the_end
):
    viewer, widget = aligned_dock
    detail, modality = viewer.layers
    align(widget)
    assert lies_right(modality)
    assert (detail.affine.affine_matrix == np.eye(3)).all()
    assert "'modality' moved 10.3 px" in widget.align.said.value
    assert "Aligned in" in widget.status.value
    run_to_the_end(widget)
    fused = viewer.layers[-1]
    record = fused.metadata["napari_gifnet"]
    assert record["inputs"][0]["alignment"]["transform"] == "shift"
    widget.align.undo_button.click()
    assert (modality.affine.affine_matrix == np.eye(3)).all()
    assert "back where it was" in widget.align.said.value
    assert not widget.align.undo_button.isVisibleTo(widget)
    exec(as_python(record), {"viewer": viewer})
    assert viewer.layers[-1] is not fused
    assert np.array_equal(viewer.layers[-1].data, fused.data, equal_nan=True)


def test_a_layer_moved_by_hand_is_undone_only_when_asked_twice(aligned_dock, align):
    viewer, widget = aligned_dock
    modality = viewer.layers["modality"]
    align(widget)
    modality.affine = [[1, 0, 40], [0, 1, 0], [0, 0, 1]]
    widget.align.undo_button.click()
    assert "was moved since it was aligned: nothing was undone" in widget.align.said.value
    assert modality.affine.translate.tolist() == [40, 0]
    assert widget.align.undo_button.text() == "Undo anyway"
    widget.align.undo_button.click()
    assert (modality.affine.affine_matrix == np.eye(3)).all()


def test_a_layer_that_is_removed_takes_its_undo_with_it(aligned_dock, align):
    viewer, widget = aligned_dock
    align(widget)
    viewer.layers.remove("modality")
    assert "'modality' was removed" in widget.align.said.value
    assert not widget.align.undo_button.isVisibleTo(widget)


def test_cancel_moves_nothing(aligned_dock, qtbot):
    viewer, widget = aligned_dock
    widget.align.align_button.click()
    qtbot.waitUntil(lambda: widget.footer.progress.value() > 0, timeout=60_000)
    widget.footer.cancel_button.click()
    qtbot.waitUntil(lambda: widget._run is None, timeout=60_000)
    assert widget.status.value == "Cancelled; nothing was moved."
    assert (viewer.layers["modality"].affine.affine_matrix == np.eye(3)).all()
    assert widget.align.align_button.isEnabled()


def test_cancel_does_not_wait_for_a_thread_that_cannot_stop(aligned_dock, qtbot, monkeypatch):
    from napari_gifnet.viewer.layers import align_job

    go_on, ended = threading.Event(), threading.Event()
    find = align_job.find

    def slow(*given):
        go_on.wait(30)
        ended.set()
        return find(*given)

    monkeypatch.setattr(align_job, "find", slow)
    viewer, widget = aligned_dock
    widget.align.align_button.click()
    widget.footer.cancel_button.click()
    qtbot.waitUntil(lambda: widget._run is None, timeout=20_000)
    assert not ended.is_set()
    assert widget.status.value == "Cancelled; nothing was moved."
    assert widget.align.align_button.isEnabled()
    go_on.set()
    qtbot.waitUntil(ended.is_set, timeout=10_000)
    qtbot.wait(200)
    assert (viewer.layers["modality"].affine.affine_matrix == np.eye(3)).all()
    tasks = viewer.window._task_status_manager
    qtbot.waitUntil(lambda: not tasks.is_busy(), timeout=60_000)


def test_a_dock_that_is_closed_and_opened_finds_the_run_and_what_came_of_it(
    aligned_dock, qtbot, open_dock, close_dock
):
    viewer, widget = aligned_dock
    widget.align.align_button.click()
    close_dock(viewer, widget)
    widget = open_dock(viewer)
    assert not widget.align.align_button.isEnabled()
    assert widget.footer.cancel_button.isEnabled()
    qtbot.waitUntil(lambda: widget._run is None, timeout=120_000)
    assert lies_right(viewer.layers["modality"])
    assert "moved 10.3 px" in widget.align.said.value
    widget.align.undo_button.click()
    assert (viewer.layers["modality"].affine.affine_matrix == np.eye(3)).all()


def test_a_viewer_closes_in_the_middle_of_an_alignment(tmp_path):
    code = f"""
import sys, time
sys.path.insert(0, {str(Path(__file__).parents[3])!r})
import napari
from qtpy.QtWidgets import QApplication
from tests.viewer.qt.test_align import scene_pair

viewer = napari.Viewer(show=False)
_, widget = viewer.window.add_plugin_dock_widget("napari-gifnet", "GIFNet Fusion")
for name, values in zip(("detail", "modality"), scene_pair(400)):
    viewer.add_image(values, name=name)
def until(condition):
    while not condition():
        QApplication.processEvents()
        time.sleep(0.005)
until(widget.align.align_button.isEnabled)
moving = viewer.layers["modality"]
widget.align.align_button.click()
until(lambda: widget.footer.progress.value() > 0)
viewer.close()
for _ in range(50):
    QApplication.processEvents()
    time.sleep(0.005)
print("moved" if moving.affine.translate.any() else "left alone")
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env=os.environ | {"XDG_CONFIG_HOME": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr
    assert "Error" not in done.stderr, done.stderr
    assert done.stdout.strip().endswith("left alone")


def test_without_a_dock_napari_tells_what_came_of_it(aligned_dock, qtbot, close_dock, open_dock):
    viewer, widget = aligned_dock
    before = len(notification_manager.records)
    widget.align.align_button.click()
    close_dock(viewer, widget)
    qtbot.waitUntil(lambda: lies_right(viewer.layers["modality"]), timeout=120_000)
    qtbot.waitUntil(lambda: len(notification_manager.records) > before, timeout=10_000)
    assert "moved 10.3 px" in str(notification_manager.records[-1].message)
    assert "moved 10.3 px" in open_dock(viewer).align.said.value


@pytest.mark.parametrize("what", ["removed", "moved"])
def test_a_layer_that_changes_in_the_middle_is_left_alone(aligned_dock, qtbot, what):
    viewer, widget = aligned_dock
    modality = viewer.layers["modality"]
    widget.align.align_button.click()
    qtbot.waitUntil(lambda: widget.footer.progress.value() > 0, timeout=60_000)
    if what == "removed":
        viewer.layers.remove(modality)
    else:
        modality.affine = [[1, 0, 3], [0, 1, 0], [0, 0, 1]]
    qtbot.waitUntil(lambda: widget._run is None, timeout=120_000)
    assert f"'modality' was {what} meanwhile: nothing was moved" in widget.align.said.value
    assert modality.affine.translate.tolist() == ([0, 0] if what == "removed" else [3, 0])


def test_what_cannot_be_trusted_moves_only_when_told_to(dock, qtbot, align):
    viewer, widget = dock
    viewer.add_image(picture(SIDE), name="detail")
    viewer.add_image(picture(SIDE, seed=5), name="modality")
    qtbot.waitUntil(lambda: widget.align.pair is not None, timeout=10_000)
    widget.align.kind.value = "shift"
    modality = viewer.layers["modality"]
    align(widget)
    assert "cannot be trusted" in widget.align.said.value
    assert (modality.affine.affine_matrix == np.eye(3)).all()
    assert widget.align.anyway_button.isVisibleTo(widget)
    widget.align.anyway_button.click()
    assert np.abs(modality.affine.translate).max() > 0
    assert not widget.align.anyway_button.isVisibleTo(widget)
    widget.align.undo_button.click()
    assert (modality.affine.affine_matrix == np.eye(3)).all()


@pytest.mark.parametrize("suffix", [".txt", ".tfm"])
def test_a_transform_is_saved_and_loaded_onto_another_layer(
    aligned_dock, align, tmp_path, monkeypatch, suffix
):
    viewer, widget = aligned_dock
    panel = widget.align
    assert not panel.files.save_button.isEnabled()
    align(widget)
    after = viewer.layers["modality"].affine.affine_matrix
    path = tmp_path / f"shift{suffix}"
    kind = "ITK transform (*.tfm)" if suffix == ".tfm" else "Matrix as text (*.txt)"
    typed = str(path.with_suffix(""))
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (typed, kind))
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(path), ""))
    panel.files.save_button.click()
    assert path.is_file()
    other = viewer.add_image(scene_pair()[1], name="second modality")
    widget.layers.layer_a.value = other
    panel.files.load_button.click()
    assert np.allclose(other.affine.affine_matrix, after, atol=1e-9)
    assert f"'second modality' moved 10.3 px by shift{suffix}" in panel.said.value
    panel.undo_button.click()
    assert (other.affine.affine_matrix == np.eye(3)).all()
    assert np.array_equal(viewer.layers["modality"].affine.affine_matrix, after)


def test_labels_follow_and_go_back_together(aligned_dock, align):
    viewer, widget = aligned_dock
    align(widget)
    labels = viewer.add_labels(np.zeros((SIDE, SIDE), int), name="organs")
    viewer.layers.selection = {labels}
    widget.align.files.others_button.click()
    assert lies_right(labels)
    widget.align.undo_button.click()
    assert (labels.affine.affine_matrix == np.eye(3)).all()
    assert lies_right(viewer.layers["modality"])


def test_a_file_that_holds_no_transform_is_told(aligned_dock, tmp_path, monkeypatch):
    viewer, widget = aligned_dock
    path = tmp_path / "words.txt"
    path.write_text("no matrix")
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(path), ""))
    widget.align.files.load_button.click()
    assert "words.txt holds no transform" in widget.align.said.value
    assert not history_of(viewer).steps


def test_two_alignments_are_saved_as_one(aligned_dock, align, tmp_path):
    viewer, widget = aligned_dock
    modality = viewer.layers["modality"]
    modality.affine = np.eye(3)
    path = tmp_path / "first.txt"
    path.write_text("1 0 2\n0 1 3\n0 0 1\n")
    widget.align.files.load_from(path)
    align(widget)
    widget.align.files.save_to(tmp_path / "both.txt")
    saved = np.loadtxt(tmp_path / "both.txt")
    assert np.allclose(saved, modality.affine.affine_matrix, atol=1e-9)
    assert lies_right(modality)


@pytest.mark.parametrize("kind", ["colour", "multiscale", "plane on volume"])
def test_layers_of_other_kinds(dock, qtbot, align, kind):
    viewer, widget = dock
    fixed, moving = scene_pair()
    if kind == "plane on volume":
        fixed = np.stack([0.5 * fixed, fixed, 0.7 * fixed])
    viewer.add_image(fixed, name="detail")
    if kind == "colour":
        moving = np.repeat((255 * moving.clip(0, 1))[..., None].astype("u1"), 3, axis=-1)
    data = [moving, moving[::2, ::2]] if kind == "multiscale" else moving
    viewer.add_image(data, name="modality", rgb=kind == "colour")
    viewer.dims.set_current_step(0, 1)
    widget.layers.layer_a.value = viewer.layers["modality"]
    widget.layers.layer_b.value = viewer.layers["detail"]
    widget.align.kind.value = "shift"
    align(widget)
    assert lies_right(viewer.layers["modality"]), widget.align.said.value
    widget.align.look.value = "checkerboard"
    assert len(viewer.layers) == 3
    widget.align.undo_button.click()
    qtbot.wait(50)
    widget.align.look.value = "layers"
    assert len(viewer.layers) == 2


def test_squares_of_both_and_a_wipe_to_judge_by(aligned_dock, qtbot, close_dock):
    viewer, widget = aligned_dock
    detail, modality = viewer.layers
    widget.align.look.value = "checkerboard"
    board = viewer.layers[-1]
    seen = [np.clip(each.data / each.contrast_limits[1], 0, 1) for each in (modality, detail)]
    assert np.abs(board.data[5, 5] - seen[0][5, 5]).max() < 1e-3
    assert np.abs(board.data[5, 25] - seen[1][5, 25]).max() < 1e-3
    widget.align.look.value = "wipe"
    wipe = viewer.layers[-1]
    widget.align.line.value = 0.25
    assert np.abs(wipe.data[80, 30] - seen[0][80, 30]).max() < 1e-3
    assert np.abs(wipe.data[80, 50] - seen[1][80, 50]).max() < 1e-3
    modality.affine = [[1, 0, 0], [0, 1, 20], [0, 0, 1]]
    qtbot.waitUntil(lambda: np.abs(wipe.data[80, 10]).max() > 0, timeout=10_000)
    qtbot.waitUntil(
        lambda: (
            np.allclose(
                viewer.layers[-1].affine.affine_matrix, modality.affine.affine_matrix, atol=1e-9
            )
            or np.abs(wipe.data[80, 30] - seen[0][80, 10]).max() < 1e-3
        ),
        timeout=10_000,
    )
    viewer.layers.remove(viewer.layers[-1])
    assert widget.align.look.value == "layers"
    widget.align.look.value = "checkerboard"
    close_dock(viewer, widget)
    assert [layer.name for layer in viewer.layers] == ["detail", "modality"]


def test_one_picture_at_a_time(aligned_dock, qtbot, preview_of, run_to_the_end):
    viewer, widget = aligned_dock
    run_to_the_end(widget)
    widget.align.look.value = "wipe"
    widget.result.look.value = "a"
    assert widget.align.look.value == "layers"
    widget.align.look.value = "checkerboard"
    assert widget.result.look.value == "layers"
    widget.layers.layer_b.value = widget.layers.layer_a.value
    assert widget.align.look.value == "layers"
    assert len(viewer.layers) == 3


def test_a_pair_that_looks_misaligned_is_told_before_a_run(dock, qtbot):
    viewer, widget = dock
    fixed, moving = scene_pair(240, (0, 12))
    viewer.add_image(fixed, name="visible")
    viewer.add_image(moving, name="infrared")
    qtbot.waitUntil(lambda: "Align?" in widget.summary.value, timeout=60_000)
    first = widget.summary.value.splitlines()[0]
    assert first.startswith("infrared seems to lie 12 px to the left")
    looks = []
    widget.align._pair_look._start, start = (
        lambda: looks.append(True),
        widget.align._pair_look._start,
    )
    widget.layers.swap.click()
    widget.layers.swap.click()
    qtbot.waitUntil(lambda: "Align?" in widget.summary.value, timeout=10_000)
    viewer.layers["infrared"].affine = [[1, 0, 0], [0, 1, 12], [0, 0, 1]]
    widget.align._pair_look._start = start
    qtbot.waitUntil(lambda: "Align?" not in widget.summary.value, timeout=10_000)
    qtbot.waitUntil(lambda: not widget.align._pair_look.busy, timeout=60_000)
    qtbot.wait(200)
    assert "Align?" not in widget.summary.value


def test_a_look_at_a_pair_leaves_the_viewer_responsive(dock, qtbot):
    viewer, widget = dock
    fixed, moving = scene_pair(600, (0, 12))
    viewer.add_image(fixed, name="visible")
    viewer.add_image(moving, name="infrared")
    look = widget.align._pair_look
    qtbot.waitUntil(lambda: look._run is not None, timeout=60_000)
    beats = [time.perf_counter()]
    timer = QTimer()
    timer.setInterval(5)
    timer.timeout.connect(lambda: beats.append(time.perf_counter()))
    timer.start()
    qtbot.waitUntil(lambda: "Align?" in widget.summary.value, timeout=120_000)
    timer.stop()
    gaps = np.sort(np.diff(beats))[::-1]
    assert gaps[0] < 0.15, gaps[:5]  # 50 ms is the aim; a busy machine's scheduler takes its share


def test_without_simpleitk_align_says_what_to_install_and_all_else_works(
    aligned_dock, qtbot, align, monkeypatch, run_to_the_end
):
    viewer, widget = aligned_dock
    monkeypatch.setitem(sys.modules, "SimpleITK", None)
    align(widget)
    assert "pip install 'napari-gifnet[align]'" in widget.align.said.value
    assert (viewer.layers["modality"].affine.affine_matrix == np.eye(3)).all()
    run_to_the_end(widget)
    assert len(viewer.layers) == 3


def test_the_planes_of_a_stack_are_aligned_in_a_new_layer_and_taken_back(dock, qtbot, align):
    viewer, widget = dock
    scene = picture(SIDE + 20)
    planes = np.stack([scene[3 * k : SIDE + 3 * k, 2 * k : SIDE + 2 * k] for k in range(3)])
    stack = viewer.add_image(planes, name="planes", scale=(4, 1, 1))
    widget.layers.task.value = "focus_stack"
    assert widget.align.kind.value == "similarity"
    widget.align.kind.value = "shift"
    align(widget)
    still = viewer.layers[-1]
    assert still.name == "planes aligned"
    assert not stack.visible
    assert widget.layers.layer_a.value is still
    assert "Added 'planes aligned'" in widget.align.said.value
    inner = np.asarray(still.data)[:, 20:-20, 20:-20]
    assert np.abs(inner[2] - inner[0]).mean() < 0.02
    widget.align.undo_button.click()
    assert list(viewer.layers) == [stack]
    assert stack.visible
    assert widget.layers.layer_a.value is stack
    widget.layers.task.value = "any"
    assert widget.align.kind.value == "rigid"


def test_the_copied_code_aligns_a_stack_again(dock, align, run_to_the_end):
    viewer, widget = dock
    scene = picture(SIDE + 20)
    planes = np.stack([scene[3 * k : SIDE + 3 * k, 2 * k : SIDE + 2 * k] for k in range(2)])
    viewer.add_image(planes, name="planes")
    widget.layers.task.value = "focus_stack"
    widget.align.kind.value = "shift"
    align(widget)
    widget.model.model.value = "gifnet-bands"
    run_to_the_end(widget)
    fused = viewer.layers[-1]
    record = fused.metadata["napari_gifnet"]
    assert len(record["inputs"][0]["stack_alignment"]["matrices"]) == 2
    viewer.layers.remove("planes aligned")
    exec(as_python(record), {"viewer": viewer})
    assert np.array_equal(viewer.layers[-1].data, fused.data, equal_nan=True)


def test_align_two_selected_layers_without_the_dock(make_napari_viewer, qtbot):
    from napari_gifnet.viewer.qt import commands

    viewer = make_napari_viewer()
    fixed, moving = scene_pair()
    viewer.add_image(fixed, name="visible")
    viewer.add_image(moving, name="thermal")
    viewer.layers.selection = set(viewer.layers)
    commands.align_selected_layers(viewer)
    qtbot.waitUntil(lambda: np.any(viewer.layers["thermal"].affine.translate), timeout=120_000)
    assert lies_right(viewer.layers["thermal"])
    viewer.layers.selection = {viewer.layers[0]}
    before = len(notification_manager.records)
    commands.align_selected_layers(viewer)
    assert "select two image layers" in str(notification_manager.records[before].message)
