"""Layers laid on each other."""

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image
from scipy import ndimage

from napari_gifnet import Alignment
from napari_gifnet.errors import AlignmentError
from napari_gifnet.viewer import align_layers, align_stack, fuse_layers, looks_misaligned
from napari_gifnet.viewer.layers.recipes import as_python

SIDE = 200


@pytest.fixture(scope="module")
def scene():
    rng = np.random.default_rng(0)
    scene = np.kron(rng.random((30, 30)), np.ones((10, 10)))
    return ndimage.gaussian_filter(scene, 0.7).astype(np.float32)


@pytest.fixture
def pair(scene):
    """Gray in mm, and in colour, inverted, in µm and pyramids, 6 px off along y and 9 along x."""
    fixed = Image(scene[:SIDE, :SIDE], name="Infrared", scale=(0.5, 0.5), units="mm")
    seen = np.repeat((255 * (1 - scene[6 : SIDE + 6, 9 : SIDE + 9, None])).astype("u1"), 3, axis=-1)
    moving = Image([seen, seen[::2, ::2]], name="Visible", rgb=True, scale=(500, 500), units="um")
    return fixed, moving


def test_a_layer_is_moved_and_put_back(pair):
    fixed, moving = pair
    found = align_layers(fixed, moving, transform="shift")
    assert (moving.affine.affine_matrix == np.eye(3)).all()
    assert found.trusted, found.reason
    move = found.apply(moving)
    assert np.abs(moving.affine.translate - (3000, 4500)).max() < 100
    assert moving.metadata["napari_gifnet"]["alignment"]["movement"] == found.movement
    assert not move.moved_since
    move.undo()
    assert (moving.affine.affine_matrix == np.eye(3)).all()
    assert "napari_gifnet" not in moving.metadata


def test_a_layer_that_was_moved_since_is_not_undone(pair):
    _, moving = pair
    move = Alignment(np.diag([1.0, 1, 1]) + np.eye(3, k=2), ("um", "um"), "shift").apply(moving)
    moving.affine = np.eye(3)
    assert move.moved_since
    with pytest.raises(AlignmentError, match="'Visible' was moved since"):
        move.undo()


def test_an_aligned_layer_is_fused_where_it_lies(pair):
    fixed, moving = pair
    moving.affine = [[1, 0, 3000], [0, 1, 4500], [0, 0, 1]]
    found = align_layers(fixed, moving, transform="shift")
    assert "already" in found.reason
    found.apply(moving)
    fused = fuse_layers(fixed, moving, model="mean", color="gray", intensity=((0, 1), (0, 255)))
    inner = fused.data[20:-20, 20:-20]
    assert np.nanstd(inner) < 0.02  # a scene and its inverse: half everywhere
    record = fused.metadata["napari_gifnet"]
    assert record["inputs"][1]["alignment"]["movement"] == found.movement
    viewer = ViewerModel()
    moving.affine = np.eye(3)
    viewer.layers.extend([fixed, moving])
    exec(as_python(record), {"viewer": viewer})
    assert np.array_equal(viewer.layers[-1].data, fused.data, equal_nan=True)


def test_a_plane_is_laid_on_a_plane_of_a_volume(scene):
    volume = Image(np.stack([scene[:SIDE, :SIDE] * k for k in (0.5, 1, 0.7)]), scale=(5, 1, 1))
    plane = Image(1 - scene[6 : SIDE + 6, 9 : SIDE + 9])
    found = align_layers(volume, plane, transform="shift")
    assert found.trusted, found.reason
    assert np.abs(found.matrix[:2, 2] - (6, 9)).max() < 0.3
    back = align_layers(plane, volume, transform="shift")
    move = back.apply(volume)
    assert np.abs(move.after[1:3, 3] + (6, 9)).max() < 0.3
    assert move.after[0, 3] == 0


def test_a_quick_look_names_the_layer(pair):
    fixed, moving = pair
    look = looks_misaligned(fixed, moving)
    assert look.sentence.startswith("Visible seems to lie ")
    assert "to the left" in look.sentence
    assert "too high" in look.sentence


def test_a_stack_becomes_a_lazy_layer_with_its_matrices(scene):
    planes = np.stack([scene[2 * k : 200 + 2 * k, 3 * k : 200 + 3 * k] for k in range(3)])
    stack = Image((255 * planes).astype("u1"), name="focus", scale=(4, 0.5, 0.5), units="um")
    still = align_stack(stack, transform="rigid", reference=0)
    assert still.data.dtype == np.uint8
    assert not isinstance(still.data, np.ndarray)
    assert still.scale.tolist() == stack.scale.tolist()
    record = still.metadata["napari_gifnet"]["alignment"]
    assert np.abs(np.array(record["matrices"])[2, :2, 2] - (4, 6)).max() < 0.5
    inner = np.asarray(still.data)[:, 20:-20, 20:-20].astype(float)
    assert np.abs(inner[2] - inner[0]).mean() < 3
    assert np.abs(stack.data[2].astype(float) - stack.data[0]).mean() > 20
