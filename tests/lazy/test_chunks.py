"""Results of dask arrays in chunks within planes."""

import time

import dask.array as da
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from napari_gifnet import WorldGrid, enhance, fuse, fuse_stack
from napari_gifnet.backend import Backend
from napari_gifnet.fusers import open_fuser
from napari_gifnet.fusion import run
from napari_gifnet.grids.resample import Resampled
from napari_gifnet.lazy import areas, fuse_lazily, tasks
from napari_gifnet.lazy import inputs as lazy_inputs
from napari_gifnet.lazy.blocks import Blocks, put_together
from napari_gifnet.locality import Locality
from napari_gifnet.planes.image import ImagePlanes
from napari_gifnet.planes.job import resolve
from napari_gifnet.planes.request import Request

CLOSE = {"atol": 1e-4, "rtol": 0}


@pytest.fixture
def options(random_model):
    return {"model": random_model, "device": "cpu", "precision": "float32"}


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    """Chunks of 40 pixels are computed by themselves, as chunks of 1000 are otherwise."""
    make = Locality.__init__

    def small(self, *args, side=0, **named):
        make(self, *args, **named, side=40)

    monkeypatch.setattr(Locality, "__init__", small)


def scene(*shape, seed=0, dtype=np.float32):
    noise = gaussian_filter(
        np.random.default_rng(seed).standard_normal(shape),
        [0] * (len(shape) - 2) + [1.5, 1.5] if shape[-1] > 4 else [1.5, 1.5, 0],
    )
    unit = (noise - noise.min()) / np.ptp(noise)
    return (unit * (1000 if np.dtype(dtype).kind == "u" else 1)).astype(dtype)


class Counted:
    """A dask array that notes how often each of its blocks is computed."""

    def __init__(self, values, chunks):
        self.computed = []

        def note(block, block_info=None):
            self.computed.append(tuple(block_info[0]["chunk-location"]))
            return block

        array = da.from_array(values, chunks=chunks)
        self.array = array.map_blocks(note, dtype=values.dtype, meta=values[:0, :0])


@pytest.fixture
def pair():
    return scene(90, 75), scene(90, 75, seed=1)


def compute(array):
    return array.compute(scheduler="threads", num_workers=2)


@pytest.mark.parametrize("chunks", [(40, 50), ((7, 43, 40), (41, 34))])
def test_gifnet_keeps_the_chunks_that_came_in(pair, options, chunks):
    a, b = pair
    lazy = da.from_array(a, chunks=chunks)
    fused = fuse(lazy, b, **options)
    assert fused.chunks == lazy.chunks
    np.testing.assert_allclose(compute(fused), fuse(a, b, **options), **CLOSE)


def test_one_part_of_a_result_is_computed_of_its_surroundings(random_bands):
    a, b = scene(900, 64), scene(900, 64, seed=1)
    counted = Counted(a, (100, 64))
    options = {"model": random_bands, "device": "cpu", "precision": "float32"}
    fused = fuse(counted.array, b, intensity="dtype", **options)
    assert counted.computed == []
    top = compute(fused[:100])
    assert sorted(counted.computed) == [(i, 0) for i in range(4)]  # 100 rows and 256 more
    np.testing.assert_allclose(top, fuse(a, b, intensity="dtype", **options)[:100], atol=1e-5)


@pytest.mark.parametrize("model", ["mean", "pyramid", "mertens"])
def test_rules_keep_the_chunks(model):
    if model == "mertens":
        pytest.importorskip("cv2")
    a, b = scene(300, 260), scene(300, 260, 3, seed=1)
    lazy = da.from_array(b, chunks=(100, 90, 3))
    fused = fuse(a, lazy, model=model)
    assert fused.chunks == ((100,) * 3, (90, 90, 80), (3,))
    np.testing.assert_allclose(compute(fused), fuse(a, b, model=model), atol=2e-6)


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("normalization", ["plane", "stack"])
def test_stacks_of_planes_in_chunks(options, monkeypatch, large, normalization):
    """Read again for each pass, or kept."""
    if large:
        monkeypatch.setattr(lazy_inputs, "KEPT_BYTES", 0)
    a, b = scene(3, 75, 50, dtype=np.uint16), scene(75, 50, 3, seed=1)
    kwargs = options | {"normalization": normalization, "dtype": "uint8"}
    counted = Counted(a, (2, 40, 50))
    fused = fuse(counted.array, b, **kwargs)
    assert fused.chunks == ((2, 1), (40, 35), (50,), (3,))
    made, expected = compute(fused), fuse(a, b, **kwargs)
    assert np.abs(made.astype(int) - expected).max() <= 1
    passes = 1 if not large else 4  # the range, two of statistics, the result
    shared = 2 if large and normalization == "plane" else 1  # a block holds two planes
    expected = passes if shared == 1 else 1 + 3 * shared
    assert counted.computed.count((0, 0, 0)) == expected


@pytest.mark.parametrize("large", [False, True])
def test_no_part_is_measured_or_fused_twice(pair, options, monkeypatch, large):
    """However many chunks lie in a part, and whether the inputs are kept from pass to pass."""
    if large:
        monkeypatch.setattr(lazy_inputs, "KEPT_BYTES", 0)
    done = []
    for name in ("measure_part", "fuse_part"):
        task = getattr(tasks, name)
        monkeypatch.setattr(
            tasks, name, lambda *given, name=name, task=task: done.append(name) or task(*given)
        )
    a, b = pair
    compute(fuse(da.from_array(a, chunks=(20, 25)), b, intensity="minmax", **options))
    parts = 3 * 3  # of up to 40 × 40 pixels, in chunks of 20 × 25
    assert (done.count("measure_part"), done.count("fuse_part")) == (2 * parts, parts)


def test_enhancement_and_holes(options):
    image = scene(90, 75)
    image[20:24, 30:33] = np.nan
    lazy = da.from_array(image, chunks=(45, 40))
    sharp = compute(enhance(lazy, **options))
    expected = enhance(image, **options)
    np.testing.assert_array_equal(np.isnan(sharp), np.isnan(expected))
    np.testing.assert_allclose(sharp, expected, **CLOSE)


def test_masked_blocks_side_by_side(options):
    image, hidden = scene(90, 75, dtype=np.uint16), np.zeros((90, 75), bool)
    hidden[:3, 60:] = True
    masked = da.ma.masked_array(da.from_array(image, (45, 40)), da.from_array(hidden, (45, 40)))
    kwargs = options | {"intensity": "percentile"}
    expected = enhance(np.ma.masked_array(image, hidden), **kwargs)
    np.testing.assert_allclose(compute(enhance(masked, **kwargs)), expected, **CLOSE)


def test_percentiles_are_those_of_the_same_sample(pair, monkeypatch):
    """Also where it is every n-th value."""
    from napari_gifnet.planes import ranges

    monkeypatch.setattr(ranges, "_SAMPLE", 500)
    a, b = pair[0] * 7, np.stack([pair[1]] * 3, -1) * 9
    expected = fuse(a, b, model="mean", intensity="percentile")
    lazy = da.from_array(a, chunks=(41, 17)), da.from_array(b, chunks=(40, 60, 2))
    fused = fuse(*lazy, model="mean", intensity="percentile")
    np.testing.assert_array_equal(compute(fused), expected)


def test_a_sharpened_band_has_the_radiometry_of_the_whole(options):
    bands, pan = scene(2, 90, 75), scene(90, 75, seed=1)
    bands[0, 5, 6] = np.nan
    kwargs = options | {"task": "pansharpening"}
    lazy = da.from_array(bands, chunks=(1, 45, 40))
    fused = fuse(lazy, pan, **kwargs)
    assert fused.chunks == lazy.chunks
    apart = np.abs(compute(fused) - fuse(bands, pan, **kwargs))
    assert np.isnan(apart).sum() == 1
    assert np.nanmean(apart) < 1e-5
    assert np.nanmax(apart) < 1e-3  # the ranks within a bin are a guess, and this band is small


def test_a_stack_becomes_one_plane_in_chunks(random_bands):
    stack = scene(4, 340, 50)
    kwargs = {"model": random_bands, "device": "cpu", "precision": "float32", "return_index": True}
    lazy = da.from_array(stack, chunks=(2, 170, 50))
    fused, index = fuse_stack(lazy, **kwargs)
    assert fused.chunks == index.chunks == ((170, 170), (50,))
    expected, of_each = fuse_stack(stack, **kwargs)
    made, places = da.compute(fused, index, scheduler="threads")
    np.testing.assert_allclose(made, expected, atol=1e-5)
    np.testing.assert_allclose(places, of_each, atol=1e-4)


@pytest.mark.parametrize("lazy", [False, True])
def test_resampled_images_in_parts(monkeypatch, lazy):
    """In colour and turned, onto a grid that reaches beyond."""
    monkeypatch.setattr(areas, "SIDE", 40)
    values = scene(60, 50, 3)
    data = da.from_array(values, chunks=(25, 30, 3)) if lazy else values
    source = WorldGrid((60, 50), scale=(2, 2), rotate=20)
    target = WorldGrid((90, 85), scale=(1.5, 1.2), translate=(-5, -30))
    b = scene(90, 85, seed=1)

    def job_of(data):
        view = Resampled(data, source, target)
        a = ImagePlanes(view, "a", True, (), data)
        other = ImagePlanes(b, "b", False, (), b)
        return resolve(Request((a, other), intensity=((0, 1), (0, 1))))

    expected = run(job_of(values), open_fuser("pyramid"))
    made = fuse_lazily(job_of(data), "pyramid", Backend("cpu"))
    assert made.numblocks == (3, 3, 1)
    np.testing.assert_allclose(compute(made), expected, atol=2e-5)
    assert 0.1 < np.isnan(expected).mean() < 0.9


def test_whole_planes_agree_to_the_bit(pair, options):
    a, b = (np.stack([p, p[::-1]]) for p in pair)
    lazy = da.from_array(a, chunks=(1, 90, 75))
    for normalization in ("plane", "stack"):
        kwargs = options | {"normalization": normalization}
        np.testing.assert_array_equal(compute(fuse(lazy, b, **kwargs)), fuse(a, b, **kwargs))


def test_three_images_by_pairs_take_whole_planes(pair, options):
    a, b = pair
    fused = fuse(da.from_array(a, chunks=(45, 40)), b, a, **options)
    assert fused.chunks == ((45, 45), (40, 35))
    np.testing.assert_array_equal(compute(fused), fuse(a, b, a, **options))


def test_a_part_is_put_together_of_blocks():
    values = np.arange(3 * 40 * 50).reshape(3, 40, 50)
    blocks = Blocks(da.from_array(values, chunks=(2, 16, 20)))
    for box in [np.s_[1, 3:33, 19:41], np.s_[0:3, 0:40, 0:50], np.s_[2, 16:17, 20:40]]:
        _, keys, window = blocks.part(box)
        graph = dict(blocks.array.__dask_graph__())
        found = da.Array.__dask_scheduler__(graph, keys)
        np.testing.assert_array_equal(put_together(list(found), window), values[box])


def test_a_graph_of_many_chunks_is_built_quickly():
    """Ten thousand chunks; benchmarks/chunks.py builds a hundred thousand."""
    a = da.zeros((100 * 50, 100 * 50), chunks=50, dtype=np.float32)
    start = time.perf_counter()
    fused = fuse(a, a, model="mean", intensity="dtype")
    assert time.perf_counter() - start < 20
    assert fused.numblocks == (100, 100)
