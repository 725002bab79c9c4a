"""The view is the whole, plane by plane, for every geometry, and holds no more than planes."""

import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import dask.array as da
import numpy as np
import pytest
import zarr
from napari.layers import Image

from napari_gifnet.errors import ImageError, OptionError
from napari_gifnet.grids.resample import _TILE, Resampled, resample
from napari_gifnet.grids.world_grid import WorldGrid

pytestmark = pytest.mark.filterwarnings("ignore:Non-orthogonal slicing")


def grid(shape, **kwargs) -> WorldGrid:
    return WorldGrid.from_layer(Image(np.zeros(shape, np.uint8), rgb=False, **kwargs))


def planes(view: Resampled) -> np.ndarray:
    """All planes of a view, each computed by itself, in the order of the view."""
    stack = [view[index] for index in np.ndindex(view.shape[: len(view.shape) - 2])]
    return np.array(stack).reshape(view.shape)


SOURCE = {"shape": (30, 40, 36), "scale": (2, 1, 1)}
TARGETS = {
    "the same": {"scale": (2, 1, 1)},
    "anisotropic": {"scale": (0.7, 1.9, 3.3), "translate": (10, 5, 3)},
    "finer": {"scale": (0.9, 0.4, 0.4), "translate": (20.3, 11, 12)},
    "coarser": {"scale": (7.1, 3.3, 2.9), "translate": (3, 1, 2)},
    "flipped": {"scale": (-1.2, 1.1, -1), "translate": (40, 8, 30)},
    "in-plane rotation": {"rotate": 30, "translate": (12, 10, 2)},
    "rotation": {"rotate": (20, -30, 40), "translate": (20, 20, 15)},
    "coarser and rotated": {
        "rotate": (20, -30, 40),
        "scale": (3, 2.5, 2.1),
        "translate": (10, 15, 10),
    },
    "shear": {"shear": (0.3, -0.2, 0.1), "translate": (9, 7, 5)},
    "out of the plane": {"rotate": (0, 25, 0), "translate": (15, 5, 12)},
    "exchanged": {
        "affine": np.array([[0, 1.2, 0, 3], [-1, 0, 0.0, 30], [0, 0, 1, 3], [0, 0, 0, 1]])
    },
    "affine": {
        "affine": np.array([[0, 1.2, 0, 8], [-1, 0, 0.1, 30], [0.1, 0, 1, 3], [0, 0, 0, 1]])
    },
    "a header's rounding": {"scale": (2.0003, 1.0001, 1), "rotate": (0.01, 0, 0)},
    "elsewhere": {"translate": (0, 90, 0)},
}


@pytest.mark.parametrize("order", [1, 3])
@pytest.mark.parametrize("axes", [(1, 2), (2, 1), (0, 2), (1, 0)])
@pytest.mark.parametrize("target", TARGETS)
def test_planes_are_those_of_the_whole(target, axes, order):
    values = np.random.default_rng(0).random(SOURCE["shape"])
    source, onto = grid(**SOURCE), grid((14, 15, 16), **TARGETS[target])
    whole = resample(values, source, onto, order=order)
    assert np.isfinite(whole).any() == (target != "elsewhere")

    region = (slice(1, 12), slice(None), slice(3, 16))
    view = Resampled(values, source, onto, region, axes, order)
    moved = np.moveaxis(whole[region], axes, (-2, -1))
    assert (view.shape, view.dtype, view.ndim) == (moved.shape, np.float32, 3)
    got = planes(view)
    np.testing.assert_array_equal(np.isnan(got), np.isnan(moved))
    np.testing.assert_allclose(got, moved, rtol=0, atol=1e-6)


@pytest.mark.parametrize("order", [1, 3])
@pytest.mark.parametrize("rotate", [(0, 0, 0), (30, 0, 0), (20, 10, 5)])
@pytest.mark.parametrize("bad", ["nan", "masked", "masked integers"])
def test_bad_voxels(bad, rotate, order):
    rng = np.random.default_rng(1)
    values = rng.integers(0, 200, (20, 30, 30)).astype(np.uint8 if "int" in bad else float)
    hidden = np.zeros(values.shape, bool)
    hidden[4:9, 10:14, 12:20] = hidden[15, 3] = True
    if bad == "nan":
        values[hidden] = np.nan
    else:
        values[hidden] = 255
        values = np.ma.array(values, mask=hidden)
    source = grid(values.shape, scale=(2, 1, 1))
    onto = grid((18, 20, 20), rotate=rotate, scale=(1.5, 1.1, 1.3), translate=(6, 4, 3))
    whole = resample(values, source, onto, order=order)
    assert 0 < np.isnan(whole).mean() < 0.5
    assert np.nanmax(whole) < 250
    got = planes(Resampled(values, source, onto, order=order))
    np.testing.assert_array_equal(np.isnan(got), np.isnan(whole))
    np.testing.assert_allclose(got, whole, rtol=0, atol=200e-6)


@pytest.mark.parametrize("axes", [(1, 2), (2, 0)])
@pytest.mark.parametrize("rotate", [(0, 0, 0), (20, 10, 5)])
def test_color(rotate, axes):
    values = np.random.default_rng(2).integers(0, 255, (9, 20, 21, 3)).astype(np.uint8)
    source, onto = grid((9, 20, 21)), grid((7, 8, 10), rotate=rotate, translate=(1.2, 2.1, 5))
    view = Resampled(values, source, onto, axes=axes)
    whole = resample(values, source, onto)
    moved = np.moveaxis(whole, axes, (1, 2))
    assert view.shape == moved.shape
    assert view.ndim == 4
    got = np.array([view[i] for i in range(len(moved))])
    np.testing.assert_allclose(got, moved, rtol=0, atol=255e-6)


def test_a_plane_on_a_stack_is_given_for_every_index():
    values = np.random.default_rng(0).random((10, 10))
    plane, stack = grid((10, 10)), grid((5, 4, 6, 6), translate=(7, 8, 2.5, 3))
    view = Resampled(values, plane, stack)
    assert view.shape == (5, 4, 6, 6)
    first = view[0, 0]
    first[...] = 7
    expected = resample(values, plane, stack)[0, 0]
    np.testing.assert_allclose(view[3, 2], expected, atol=1e-6)


def test_a_plane_for_a_turned_stack():
    values = np.random.default_rng(0).random((40, 40))
    stack = grid((5, 6, 7), rotate=(0, 20, 10), translate=(0, 15, 15))
    whole = resample(values, grid((40, 40)), stack, order=3)
    view = Resampled(values, grid((40, 40)), stack, order=3)
    np.testing.assert_allclose(planes(view), whole, atol=1e-6)


def test_it_slices_as_an_array_does():
    values = np.random.default_rng(0).random((8, 9, 10, 11))
    source = grid(values.shape)
    view = Resampled(values, source, source)
    values = values.astype(np.float32)
    for index in [
        (1, 2),
        (-1, 3),
        1,
        (slice(2, 5), 4),
        (slice(None, None, 3), slice(1, 3)),
        (..., slice(None, None, 2), 3),
        (1, 2, 3),
        (1, 2, 3, 4),
        (1, 2, slice(4), slice(None, None, -1)),
        (slice(0, 0), 2),
    ]:
        got = view[index]
        assert np.shape(got) == values[index].shape
        np.testing.assert_array_equal(got, values[index])
    for wrong in [(8, 0), (0, 0, 0, 0, 0)]:
        with pytest.raises(IndexError):
            view[wrong]


@pytest.mark.parametrize("order", [1, 3])
@pytest.mark.parametrize("rotate", [(0, 0, 0), (30, 0, 0), (20, 10, 5)])
def test_large_planes_are_made_in_tiles(rotate, order, monkeypatch):
    values = np.random.default_rng(0).random((12, 150, 160))
    source = grid(values.shape)
    onto = grid((4, 120, 130), rotate=rotate, translate=(3, 9, 8), scale=(1.2, 1, 1.1))
    whole = Resampled(values, source, onto, order=order)[2]
    monkeypatch.setattr("napari_gifnet.grids.resample._TILE", 20_000)
    tiled = Resampled(values, source, onto, order=order)[2]
    np.testing.assert_allclose(tiled, whole, atol=1e-6)
    monkeypatch.setattr("napari_gifnet.grids.resample._READ", 10)
    stored = zarr.array(values, chunks=(1, 150, 160))
    np.testing.assert_allclose(Resampled(stored, source, onto, order=order)[2], whole, atol=1e-6)


def test_a_part_is_what_the_plane_needs():
    read = []
    values = np.random.default_rng(0).random((60, 40, 40))

    def load(block_info=None):
        read.append(i := block_info[None]["chunk-location"][0])
        return values[i : i + 1]

    lazy = da.map_blocks(load, chunks=((1,) * 60, 40, 40), dtype=float, meta=np.empty((0, 0, 0)))
    source = grid(lazy.shape)
    onto = grid((20, 30, 30), scale=(0.5, 1.1, 1.1), translate=(20.25, 3, 3))
    view = Resampled(lazy, source, onto)
    part = view.part((1,))
    assert isinstance(part, da.Array)
    assert not read
    computed = part.compute()
    assert set(read) == {20, 21}
    plane = view.without_data().plane((1,), computed)
    np.testing.assert_allclose(plane, Resampled(values, source, onto)[1], atol=1e-6)
    np.testing.assert_allclose(view[1], plane)
    assert Resampled(lazy, source, grid((3, 4, 5), translate=(0, 90, 0))).part((1,)) is None


@pytest.mark.parametrize("order", [1, 3])
def test_no_whole_volume_is_held(order):
    values = np.zeros((300, 200, 200), np.uint8)
    source = grid(values.shape)
    for rotate in (0, 0, 0), (10, 0, 0), (3, 2, 1):
        view = Resampled(
            values, source, grid((300, 200, 200), scale=(1.1, 1.2, 1.3), rotate=rotate), order=order
        )
        tracemalloc.start()
        view[40]
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 8 * 4 * _TILE


def test_several_threads_at_once():
    values = np.random.default_rng(0).random((4, 50, 60))
    source, onto = grid(values.shape), grid((5, 4, 40, 40), translate=(0, 0, 5.2, 5.1))
    view = Resampled(zarr.array(values, chunks=(1, 50, 60)), source, onto)
    expected = [resample(values, source, onto)[0, z] for z in range(4)]
    start = threading.Barrier(8)

    def look(worker: int) -> None:
        start.wait()
        for i in range(200):
            z = (worker * 7 + i * 3) % 4
            np.testing.assert_allclose(view[i % 5, z], expected[z], atol=1e-6)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(look, range(8)))


def test_what_is_refused():
    source = grid((8, 9, 10))
    values = np.zeros((8, 9, 10))
    with pytest.raises(OptionError, match="Interpolation order 2"):
        Resampled(values, source, source, order=2)
    with pytest.raises(OptionError, match="one and the same"):
        Resampled(values, source, source, axes=(1, -2))
    with pytest.raises(OptionError, match="has steps"):
        Resampled(values, source, source, (slice(None, None, 2), slice(None), slice(None)))
    with pytest.raises(ImageError, match="holds no voxel"):
        Resampled(values, source, source, (slice(9, 12), slice(None), slice(None)))
    with pytest.raises(ImageError, match="do not fit the grid"):
        Resampled(values[1:], source, source)
