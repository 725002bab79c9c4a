"""The planes of a stack that drifts and breathes."""

import numpy as np
import pytest
from scipy import ndimage

from napari_gifnet import fuse_stack
from napari_gifnet.alignment.stack import align_planes

from .scenes import distance, moved_by, picture, similarity

SIDE, COUNT = 240, 3


@pytest.fixture(scope="module")
def stack():
    """Planes in focus from the left to the right; each is shifted and magnified more."""
    scene = picture(SIDE + 80, seed=3)
    column = np.linspace(0, COUNT - 1, SIDE)
    planes, moves = [], []
    for k in range(COUNT):
        move = similarity(SIDE + 80, 0.3 * k, 1 + 0.01 * k, (2 * k, -3 * k))
        seen = moved_by(move, scene)[40:-40, 40:-40]
        blurred = ndimage.gaussian_filter(seen, 2.0)
        sharp = np.clip(1.2 - np.abs(column - k), 0, 1)
        planes.append((255 * (sharp * seen + (1 - sharp) * blurred)).astype(np.uint8))
        corner = np.eye(3)
        corner[:2, 2] = 40
        moves.append(np.linalg.inv(corner) @ move @ corner)
    return np.stack(planes), moves, (255 * scene[40:-40, 40:-40]).astype(np.uint8)


def test_each_plane_comes_to_lie_on_the_reference(stack):
    planes, moves, _ = stack
    calls = []
    found = align_planes(
        list(planes), False, "similarity", reference=0, report=lambda *at: calls.append(at)
    )
    assert not found.notes
    assert calls
    assert (found.matrices[0] == np.eye(3)).all()
    for matrix, move in zip(found.matrices, moves, strict=True):
        assert distance(matrix, move, (20, 20), (SIDE - 20, SIDE - 20)) < 0.5


def test_an_aligned_stack_is_fused_nearer_to_the_scene(stack):
    planes, _, scene = stack
    still = fuse_stack(planes[::-1], align="similarity", model="pyramid", dtype="uint8")
    apart = fuse_stack(planes[::-1], model="pyramid", dtype="uint8")
    assert still.shape == scene.shape
    inner = (slice(30, -30),) * 2
    # the middle plane stays: compare with the scene as that one shows it
    seen = planes[COUNT - 1 - COUNT // 2].astype(float)

    def off(fused):
        return np.abs(
            ndimage.gaussian_filter(fused.astype(float), 3) - ndimage.gaussian_filter(seen, 3)
        )

    assert off(still)[inner].mean() < 0.6 * off(apart)[inner].mean()


def test_lazy_planes_and_colour_are_aligned_alike(stack):
    da = pytest.importorskip("dask.array")
    planes = np.repeat(stack[0][:2, ..., None], 3, axis=-1)
    eager = fuse_stack(planes, align="shift", model="mean")
    lazy = fuse_stack(da.from_array(planes, chunks=(1, -1, -1, -1)), align="shift", model="mean")
    assert eager.shape == planes.shape[1:]
    assert (np.asarray(lazy) == eager).all()


def test_planes_that_match_nowhere_stay_with_a_warning():
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 255, (3, 120, 120), dtype=np.uint8)
    with pytest.warns(RuntimeWarning, match="planes 0 and 1 match nowhere"):
        fused = fuse_stack(noise, align="rigid", model="mean")
    assert np.allclose(fused, noise.mean(axis=0) / 255, atol=1e-5)


@pytest.mark.parametrize("lazy", [False, True])
def test_further_axes_are_aligned_place_by_place(stack, lazy):
    planes = stack[0][:2]
    seasons = np.stack([planes, planes[::-1, ::-1]])  # (time, planes, Y, X)
    alone = [fuse_stack(each, align="shift", model="mean") for each in seasons]
    given = seasons
    if lazy:
        da = pytest.importorskip("dask.array")
        given = da.from_array(seasons, chunks=(1, 1, 120, -1))
    fused = fuse_stack(given, axis=1, align="shift", model="mean")
    assert (type(fused) is np.ndarray) is not lazy
    fused = np.asarray(fused)
    assert fused.shape == (2, SIDE, SIDE)
    for at, one in enumerate(alone):
        assert (fused[at] == one).all()


def test_a_place_whose_planes_match_nowhere_is_named(stack):
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 255, (2, SIDE, SIDE), dtype=np.uint8)
    with pytest.warns(RuntimeWarning, match="at 1, planes 0 and 1 match nowhere") as told:
        fuse_stack(np.stack([stack[0][:2], noise]), axis=1, align="shift", model="mean")
    assert "at 0" not in str(told[0].message)
