"""Many planes into one: any number, order, axis, kind of array; with the index of where they come from."""

import dask.array as da
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, uniform_filter

from napari_gifnet import enhance, fuse, fuse_stack
from napari_gifnet.backend import Backend
from napari_gifnet.errors import ImageError, OptionError
from napari_gifnet.files.samples import load_depth, load_sample
from napari_gifnet.fuser import Wanted
from napari_gifnet.fusers import open_fuser
from napari_gifnet.planes.job import resolve
from napari_gifnet.planes.request import request_of_stack

HEIGHT, WIDTH, COUNT = 40, 70, 4
EXACT = {"rtol": 0, "atol": 1e-5}


@pytest.fixture(scope="module")
def options(random_bands):
    return {"model": random_bands, "device": "cpu", "precision": "float32"}


@pytest.fixture(scope="module")
def stack():
    """Planes that are sharp in one band of columns each, and blurred elsewhere."""
    rng = np.random.default_rng(0)
    sharp = np.clip(0.5 + 0.2 * gaussian_filter(rng.standard_normal((HEIGHT, WIDTH)), 0.7), 0, 1)
    soft = gaussian_filter(sharp, 3)
    planes = np.stack([soft] * COUNT)
    for k, columns in enumerate(np.array_split(np.arange(WIDTH), COUNT)):
        planes[k][:, columns] = sharp[:, columns]
    return planes.astype(np.float32)


def test_the_order_of_the_planes_changes_nothing(stack, options):
    fused, index = fuse_stack(stack, return_index=True, **options)
    order = [2, 0, 3, 1]
    other, other_index = fuse_stack(stack[order], return_index=True, **options)
    np.testing.assert_allclose(other, fused, **EXACT)
    assert fused.shape == index.shape == (HEIGHT, WIDTH)
    assert index.dtype == np.float32
    assert (index.min(), index.max()) >= (0, 0)
    assert index.max() <= COUNT - 1
    assert np.abs(other_index - index).max() > 0.1  # places in another order


def test_the_index_tells_the_sharp_plane(stack, options):
    _, index = fuse_stack(stack, return_index=True, **options)
    blocks = np.array_split(np.arange(WIDTH), COUNT)
    middle = [np.median(index[:, columns]) for columns in blocks]
    assert middle == sorted(middle)


@pytest.mark.parametrize("axis", [0, 1, -3])
def test_any_leading_axis(stack, options, axis):
    movie = np.stack([stack, 1 - stack, stack[::-1] * 0.5])  # (T, Z, Y, X)
    moved = np.moveaxis(movie, 1, axis % 4)
    fused = fuse_stack(moved, axis=axis, **options)
    assert fused.shape == (3, HEIGHT, WIDTH)
    for planes, result in zip(movie, fused, strict=True):
        expected = fuse_stack(planes, intensity=(0, 1), **options)
        np.testing.assert_allclose(result, expected, **EXACT)


@pytest.mark.parametrize("axis", [2, 3, -1, -2, 7, -9, 1.0, "z", True])
def test_axes_of_a_plane_and_nonsense_are_refused(stack, options, axis):
    with pytest.raises(OptionError, match=r"axis=.* expected one of 0 to 1"):
        fuse_stack(stack[None], axis=axis, **options)


def test_tiles_do_not_show(options):
    rng = np.random.default_rng(1)
    planes = gaussian_filter(rng.random((3, 700, 90)), (0, 1, 1)).astype(np.float32)
    whole, index = fuse_stack(planes, tile_size=None, return_index=True, **options)
    tiled, tiled_index = fuse_stack(planes, tile_size=64, return_index=True, **options)
    np.testing.assert_allclose(tiled, whole, **EXACT)
    np.testing.assert_allclose(tiled_index, index, rtol=0, atol=1e-4)


def test_planes_in_turns_are_planes_together(stack, options, monkeypatch):
    from napari_gifnet.engine import band_engine
    from napari_gifnet.planes import stack as kept_planes

    expected, index = fuse_stack(stack, return_index=True, **options)
    monkeypatch.setattr(band_engine, "PIXELS_AT_ONCE", HEIGHT * WIDTH)
    monkeypatch.setattr(kept_planes, "KEPT_BYTES", 1)
    one_by_one, one_index = fuse_stack(stack, return_index=True, **options)
    np.testing.assert_allclose(one_by_one, expected, **EXACT)
    np.testing.assert_allclose(one_index, index, rtol=0, atol=1e-4)


def test_one_range_for_the_whole_stack(stack, options):
    counts = np.rint(stack * np.array([1, 0.5, 0.5, 0.25])[:, None, None] * 4000).astype(np.uint16)
    job = resolve(request_of_stack(counts, 0)).measured()
    assert job.ranges == [(counts.min(), counts.max())] * COUNT
    assert job.summary() == (
        f"1 plane of {HEIGHT}×{WIDTH} pixels; all 4 {counts.min()} to {counts.max()}; gray"
    )


def test_a_list_of_planes(stack, options):
    expected = fuse_stack(stack, **options)
    np.testing.assert_array_equal(fuse_stack(list(stack), **options), expected)
    with pytest.raises(ImageError, match=r"Plane 2 of the stack has shape \(39, 70\)"):
        fuse_stack([*stack[:2], stack[2][1:]], **options)
    with pytest.raises(ImageError, match="is empty"):
        fuse_stack([], **options)
    with pytest.raises(ImageError, match="is one plane: expected a stack"):
        fuse_stack(stack[0], **options)


def test_one_plane_is_enhanced(stack, options):
    fused, index = fuse_stack(stack[:1], return_index=True, **options)
    np.testing.assert_allclose(fused, enhance(stack[0], **options), **EXACT)
    assert not index.any()


def test_dask_gives_what_numpy_gives(stack, options):
    movie = np.stack([stack, stack[::-1]]).astype(np.float32) * 900
    expected, index = fuse_stack(movie, axis=1, return_index=True, **options)
    lazy = da.from_array(movie, chunks=(1, 1, HEIGHT, WIDTH))
    fused, lazy_index = fuse_stack(lazy, axis=1, return_index=True, **options)
    assert isinstance(fused, da.Array)
    assert fused.shape == lazy_index.shape == (2, HEIGHT, WIDTH)
    np.testing.assert_array_equal(fused.compute(scheduler="threads"), expected)
    np.testing.assert_array_equal(lazy_index.compute(scheduler="threads"), index)


def test_an_index_takes_memory_only_where_it_is_wanted(stack, random_bands):
    fuser = open_fuser(random_bands, Backend("cpu", "float32"))
    (plain,) = fuser.fuse_planes([list(stack)], 1)
    (indexed,) = fuser.fuse_planes([list(stack)], 1, wanted=Wanted(indexed=True))
    assert plain.index is None
    assert indexed.index.shape == (HEIGHT, WIDTH)
    np.testing.assert_array_equal(plain.plane, indexed.plane)


def test_nan_stays_nan(stack, options):
    holed = stack.copy()
    holed[1, 5, 6] = np.nan
    fused = fuse_stack(holed, **options)
    assert np.argwhere(np.isnan(fused)).tolist() == [[5, 6]]


def test_colour_comes_from_the_plane_that_a_pixel_comes_from(options):
    rng = np.random.default_rng(0)
    sharp = 0.45 + 0.1 * rng.random((HEIGHT, WIDTH))
    planes = np.stack([sharp, gaussian_filter(sharp, 4)])
    tinted = planes[..., None] + np.array([[0.1, 0, -0.1], [-0.1, 0, 0.1]])[:, None, None]
    fused, index = fuse_stack(tinted, return_index=True, **options)
    assert fused.shape == (HEIGHT, WIDTH, 3)
    reddish = fused[..., 0] > fused[..., 2]
    np.testing.assert_array_equal(reddish, index < 0.5)
    np.testing.assert_array_equal(fuse_stack(tinted, **options), fused)  # nobody asks for the index
    assert fuse_stack(tinted, color="gray", **options).shape == (HEIGHT, WIDTH)


def test_more_than_two_images(stack, options, random_model):
    expected = fuse_stack(stack, task=None, **options)
    np.testing.assert_allclose(fuse(*stack, **options), expected, **EXACT)
    pairs = {"model": random_model, "device": "cpu", "precision": "float32"}
    by_pairs = fuse(*stack[:3], **pairs)
    tree = fuse(fuse(stack[0], stack[1], **pairs), stack[2], **pairs)
    np.testing.assert_allclose(by_pairs, tree, **EXACT)
    mean = fuse(*stack, model="mean")
    np.testing.assert_allclose(mean, stack.mean(axis=0), atol=1e-6)
    with pytest.raises(OptionError, match="is of two images, bands and a panchromatic one"):
        fuse(*stack[:3], task="pansharpening", **options)


def test_which_model_it_is_says_the_fuser(options):
    fuser = open_fuser(options["model"], Backend("cpu", "float32"))
    assert fuser.summary.startswith("model random bands (11111111); float32 on cpu")


def test_an_index_needs_a_model_that_weighs_planes(stack, options, random_model):
    for model in (random_model, "pyramid"):
        with pytest.raises(OptionError, match="expected a model that weighs planes"):
            fuse_stack(stack, model=model, return_index=True)
    with pytest.raises(OptionError, match="of exposures every plane has a share"):
        fuse_stack(stack, task="multi_exposure", return_index=True, **options)


def test_progress_rises_and_stops_the_run(stack, options):
    seen = []
    fuse_stack(np.stack([stack] * 3), axis=1, progress=lambda *p: seen.append(p), **options)
    shares = [done / total for done, total in seen]
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0, 1)

    def stop(done, total):
        if done:
            raise StopIteration("enough")

    with pytest.raises(StopIteration, match="enough"):
        fuse_stack(stack, progress=stop, **options)


def test_a_lack_of_memory_makes_tiles_smaller_and_says_so(options, monkeypatch):
    from napari_gifnet.network.bands import GIFNetBands

    wide = np.random.default_rng(0).random((3, 8, 700), np.float32)
    expected = fuse_stack(wide, **options)
    encode = GIFNetBands.encode

    def hungry(self, planes):
        if planes.shape[-1] > 600:
            raise MemoryError("too wide")
        return encode(self, planes)

    monkeypatch.setattr(GIFNetBands, "encode", hungry)
    with pytest.warns(RuntimeWarning, match="Memory ran out on cpu: going on with tiles of"):
        np.testing.assert_allclose(fuse_stack(wide, **options), expected, **EXACT)


@pytest.fixture
def two_cores():
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_places_side_by_side_on_cores_have_the_bits_of_each_alone(options, two_cores, precision):
    places = np.random.default_rng(3).random((9, 3, HEIGHT, WIDTH), np.float32)
    options = options | {"precision": precision}
    seen = []
    fused = fuse_stack(places, axis=1, progress=lambda *p: seen.append(p), **options)
    for place, alone in zip(fused, places, strict=True):
        np.testing.assert_array_equal(place, fuse_stack(alone, intensity="dtype", **options))
    assert [done * 9 // total for done, total in seen][-9:] == list(range(1, 10))


def test_a_lack_of_memory_in_one_of_many_places(options, two_cores, monkeypatch):
    from napari_gifnet.network.bands import GIFNetBands

    places = np.random.default_rng(4).random((5, 2, HEIGHT, WIDTH), np.float32)
    places[3, 0, 0, 0] = 1.0
    expected = fuse_stack(places, axis=1, **options)
    encode, hungry = GIFNetBands.encode, [True]

    def encode_once_in_vain(self, planes):
        if planes.max() == 1 and hungry and hungry.pop():
            raise MemoryError("not now")
        return encode(self, planes)

    monkeypatch.setattr(GIFNetBands, "encode", encode_once_in_vain)
    np.testing.assert_array_equal(fuse_stack(places, axis=1, **options), expected)


def test_the_shipped_stack_is_as_deep_as_it_is_known_to_be():
    """Of the pixels with detail, 90 % come from within a plane of where they are sharp."""
    (stack,), depth = load_sample("focus_stack"), load_depth("focus_stack")
    fused, index = fuse_stack(stack.data, return_index=True)
    levels = 255 * fused
    deviation = np.sqrt(
        np.maximum(uniform_filter(levels**2, 3) - uniform_filter(levels, 3) ** 2, 0)
    )
    detailed = deviation > 4  # gray levels, over 3×3 pixels
    assert detailed.mean() > 0.9
    assert (np.abs(index - depth)[detailed] <= 1).mean() >= 0.9
