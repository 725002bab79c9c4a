import pickle

import dask.array as da
import numpy as np
import pytest
import torch
import zarr

from napari_gifnet import Cancelled, enhance, fuse
from napari_gifnet.backend import Backend
from napari_gifnet.errors import CheckpointError, ImageError, OptionError
from napari_gifnet.fusers import open_fuser
from napari_gifnet.fusion import run
from napari_gifnet.network.gifnet import SMALLEST_SIDE as NETWORK_SMALLEST_SIDE
from napari_gifnet.planes.color import chroma, luma
from napari_gifnet.planes.image import SMALLEST_SIDE
from napari_gifnet.planes.job import resolve
from napari_gifnet.planes.request import request_of_arrays
from napari_gifnet.planes.tasks import TASKS, pansharpen_band

HEIGHT, WIDTH = 13, 18


@pytest.fixture(scope="module")
def options(random_model):
    return {"model": random_model, "device": "cpu", "precision": "float32"}


def job_of(*images, rgb=None, **options):
    """What `fuse`, or `enhance` of one image, would do."""
    return resolve(request_of_arrays(images, "ab"[: len(images)], rgb, **options))


def scene(*shape, seed=0, dtype=np.float32):
    """A random image; floats are in [0, 1]."""
    rng = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "f":
        return rng.random(shape).astype(dtype)
    return rng.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


@pytest.fixture
def a():
    return scene(HEIGHT, WIDTH, seed=1)


@pytest.fixture
def b():
    return scene(HEIGHT, WIDTH, seed=2)


# --- shapes and axes


def test_planes(a, b, options):
    fused = fuse(a, b, **options)
    planes = (torch.from_numpy(plane)[None, None] for plane in (a, b))
    with torch.inference_mode():
        expected = options["model"].network(*planes)[0, 0].numpy()
    assert fused.dtype == np.float32
    np.testing.assert_allclose(fused, expected, atol=1e-5)
    assert np.ptp(fused) > 0.1  # else nothing below would mean much


def test_inputs_are_left_alone(options):
    a, b = scene(HEIGHT, WIDTH, 4, seed=1), scene(HEIGHT, WIDTH, seed=2)
    a[0, 0], b[1, 1] = np.nan, np.inf
    before = a.copy(), b.copy()
    fuse(a, b, **options)
    np.testing.assert_array_equal((a, b)[0], before[0])
    np.testing.assert_array_equal((a, b)[1], before[1])


@pytest.mark.parametrize(
    ("lead_a", "lead_b", "lead"),
    [
        ((3,), (3,), (3,)),
        ((3,), (), (3,)),
        ((), (2,), (2,)),
        ((2, 1), (3,), (2, 3)),
        ((0 + 1,), (), (1,)),
    ],
)
def test_leading_axes_broadcast(options, lead_a, lead_b, lead):
    a = scene(*lead_a, HEIGHT, WIDTH, seed=1)
    b = scene(*lead_b, HEIGHT, WIDTH, seed=2)
    fused = fuse(a, b, **options)
    assert fused.shape == (*lead, HEIGHT, WIDTH)
    stack_a = np.broadcast_to(a, fused.shape)
    stack_b = np.broadcast_to(b, fused.shape)
    for index in np.ndindex(lead):
        plane = fuse(stack_a[index], stack_b[index], **options)
        np.testing.assert_allclose(fused[index], plane, atol=1e-5)


def test_broadcasting_copies_nothing(b):
    stack = scene(4, HEIGHT, WIDTH)
    job = job_of(stack, b)
    assert job.shape == stack.shape
    for image, source in zip(job.inputs, (stack, b), strict=True):
        assert image.leading == (4,)
        assert np.shares_memory(image.part((2,)), source)


def test_non_contiguous_and_foreign_byte_order(a, b, options):
    expected = fuse(a, b, **options)
    flipped = np.asfortranarray(a)[::-1, ::-1][::-1, ::-1]
    swapped = b.astype(">f4")
    np.testing.assert_allclose(fuse(flipped, swapped, **options), expected, atol=1e-6)


def test_whatever_numpy_makes_an_array_of(a, b, options):
    class Wrapped:
        def __array__(self, dtype=None, copy=None):
            return b

    expected = fuse(a, b, **options)
    np.testing.assert_array_equal(fuse(a.tolist(), Wrapped(), **options), expected)
    np.testing.assert_array_equal(fuse(zarr.array(a), torch.from_numpy(b), **options), expected)


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int16, np.uint16, np.float16, np.float64])
def test_dtypes_in(b, options, dtype):
    a = scene(HEIGHT, WIDTH, seed=1)
    a[0, 0], a[0, 1] = 0, 1
    if dtype in (bool, np.float16, np.float64):
        image = (a > 0.5) if dtype is bool else a.astype(dtype)
        unit = image.astype(np.float32)
    else:
        image = np.rint(a * np.iinfo(dtype).max).astype(dtype)
        unit = image.astype(np.float32) / np.iinfo(dtype).max
    np.testing.assert_allclose(fuse(image, b, **options), fuse(unit, b, **options), atol=1e-5)


# --- colour


def test_last_axis_of_3_or_4_is_colour(b, options):
    for channels in (3, 4):
        fused = fuse(scene(HEIGHT, WIDTH, channels), b, **options)
        assert fused.shape == (HEIGHT, WIDTH, 3)
    assert fuse(scene(3, HEIGHT, WIDTH), b, **options).shape == (3, HEIGHT, WIDTH)
    assert fuse(scene(2, HEIGHT, WIDTH, 3), b, **options).shape == (2, HEIGHT, WIDTH, 3)


def test_colour_is_put_back_unchanged(a, options):
    color = 0.4 + 0.1 * scene(HEIGHT, WIDTH, 3)
    fused = fuse(a, color, **options)
    gray = fuse(a, color, color="gray", **options)
    np.testing.assert_allclose(gray, fuse(a, luma(color), **options), atol=1e-5)
    np.testing.assert_allclose(luma(fused), gray, atol=1e-5)
    np.testing.assert_allclose(chroma(fused), chroma(color), atol=1e-5)


def test_colour_of_either_or_of_both(options):
    red, blue = (np.full((HEIGHT, WIDTH, 3), 0.4, np.float32) for _ in range(2))
    red[..., 0], blue[..., 2] = 0.6, 0.5
    for choice, source in (("a", red), ("b", blue)):
        fused = fuse(red, blue, color=choice, **options)
        np.testing.assert_allclose(chroma(fused), chroma(source), atol=1e-5)
    cr = chroma(fuse(red, blue, **options))[..., 1]
    assert (chroma(blue)[..., 1] < cr).all()
    assert (cr < chroma(red)[..., 1]).all()
    assert fuse(red, blue, color="gray", **options).shape == (HEIGHT, WIDTH)


def test_gray_picture_in_rgb_stays_gray(b, options):
    gray = np.repeat(scene(HEIGHT, WIDTH, 1), 3, axis=-1)
    fused = fuse(gray, b, **options)
    np.testing.assert_allclose(fused, fused[..., :1].repeat(3, -1), atol=1e-6)


def test_alpha_takes_no_part(b, options):
    rgba = scene(HEIGHT, WIDTH, 4, dtype=np.uint16) // 16
    rgba[..., 3] = 65535
    np.testing.assert_array_equal(fuse(rgba, b, **options), fuse(rgba[..., :3], b, **options))


def test_one_range_for_all_channels(b):
    rgb = scene(HEIGHT, WIDTH, 3, dtype=np.uint16) // 2
    rgb[..., 0] //= 4
    assert job_of(rgb, b).measured().ranges[0] == (rgb.min(), rgb.max())


def test_rgb_can_be_told(a):
    assert job_of(scene(HEIGHT, WIDTH, 3), a, rgb=(True, False)).chroma == (0,)
    assert job_of(scene(HEIGHT, WIDTH, 3), a, rgb=(None, False)).chroma == (0,)
    with pytest.raises(OptionError, match=r"b has shape \(13, 18\)"):
        job_of(scene(HEIGHT, WIDTH, 3), a, rgb=True)
    with pytest.raises(ImageError, match="put the axes that are not Y and X in front"):
        job_of(scene(HEIGHT, WIDTH, 3), a, rgb=False)
    with pytest.raises(OptionError, match="expected True, False or None"):
        job_of(a, a, rgb="yes")


# --- intensity


def test_range_is_of_the_stack_not_of_the_plane(b, options):
    stack = scene(3, HEIGHT, WIDTH) * np.array([1, 10, 100])[:, None, None]
    fused = fuse(stack, b, **options)
    known = (float(stack.min()), float(stack.max()))
    for plane, expected in zip(stack, fused, strict=True):
        alone = fuse(plane, b, intensity=(known, "auto"), **options)
        np.testing.assert_allclose(alone, expected, atol=1e-5)


def test_intensity_pair(a, b, options):
    fused = fuse(a * 500 - 100, b * 7, intensity=((-100, 400), (0, 7)), **options)
    np.testing.assert_allclose(fused, fuse(a, b, **options), atol=1e-4)


def test_constant_image(b, options):
    for constant in (np.zeros((HEIGHT, WIDTH)), np.full((HEIGHT, WIDTH), 1000, np.uint16)):
        assert np.isfinite(fuse(constant, b, **options)).all()
        assert np.isfinite(enhance(constant, intensity="minmax", **options)).all()


def test_memory_mapped_stack(tmp_path, b, options):
    stack = np.lib.format.open_memmap(tmp_path / "a.npy", "w+", np.uint16, (3, HEIGHT, WIDTH))
    stack[:] = scene(3, HEIGHT, WIDTH, dtype=np.uint16)
    expected = fuse(np.array(stack), b, **options)
    np.testing.assert_array_equal(fuse(stack, b, **options), expected)


# --- pixels that are not finite


def test_invalid_pixels_are_nan_and_the_others_hardly_change(a, b, options):
    whole = fuse(a, b, **options)
    holed_a, holed_b = a.copy(), b.copy()
    holed_a[3, 4], holed_b[8, 9] = np.nan, -np.inf
    fused = fuse(holed_a, holed_b, **options)
    expected = np.zeros((HEIGHT, WIDTH), bool)
    expected[3, 4] = expected[8, 9] = True
    np.testing.assert_array_equal(np.isnan(fused), expected)
    assert np.median(np.abs(fused - whole)[~expected]) < 0.01 * np.ptp(whole)


def test_smooth_image_does_not_feel_a_hole(options):
    ramp = np.tile(np.linspace(0.3, 0.6, WIDTH), (HEIGHT, 1))
    holed = ramp.copy()
    holed[5:7, 8:10] = np.nan
    difference = enhance(holed, **options) - enhance(ramp, **options)
    assert np.nanmax(np.abs(difference)) < 5e-3


def test_invalid_pixels_of_a_colour_image(b, options):
    color = scene(HEIGHT, WIDTH, 3)
    color[2, 3, 1] = np.nan
    fused = fuse(color, b, **options)
    assert np.isnan(fused[2, 3]).all()
    assert np.isnan(fused).sum() == 3


def test_masked_pixels_are_invalid(a, b, options):
    mask = np.zeros(a.shape, bool)
    mask[3, 4] = True
    holed = np.where(mask, np.float32(np.nan), a)
    expected = fuse(holed, b, **options)
    spoiled = np.where(mask, 9e9, a).astype(np.float32)
    np.testing.assert_array_equal(fuse(np.ma.array(spoiled, mask=mask), b, **options), expected)
    lazy = fuse(da.ma.masked_array(da.from_array(spoiled), mask), b, **options)
    np.testing.assert_array_equal(lazy.compute(scheduler="synchronous"), expected)
    bits = np.ma.array(np.rint(255 * a).astype(np.uint8), mask=mask)  # 8 bits keep their range
    whole = fuse(bits.data, b, **options)
    assert np.nanmax(np.abs(fuse(bits, b, **options) - whole)) < 0.1 * np.ptp(whole)


def test_empty_plane_of_a_stack(b, options):
    stack = scene(2, HEIGHT, WIDTH)
    stack[1] = np.nan
    fused = fuse(stack, b, **options)
    assert np.isfinite(fused[0]).all()
    assert np.isnan(fused[1]).all()


def test_invalid_pixels_are_0_in_integers(a, b, options):
    a[3, 4] = np.nan
    assert fuse(a, b, dtype="uint8", **options)[3, 4] == 0


# --- result


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "uint32"])
def test_integers_out(a, b, options, dtype):
    scaled = fuse(a, b, dtype=dtype, **options)
    assert scaled.dtype == dtype
    largest = np.iinfo(dtype).max
    np.testing.assert_allclose(scaled / largest, fuse(a, b, **options), atol=0.51 / 255)
    assert scaled.max() > largest // 100


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_floats_out(a, b, options, dtype):
    fused = fuse(a, b, dtype=dtype, **options)
    assert fused.dtype == dtype
    np.testing.assert_allclose(fused, fuse(a, b, **options), atol=1e-3)


def test_order_of_a_and_b_matters(a, b, options):
    assert np.abs(fuse(a, b, **options) - fuse(b, a, **options)).max() > 0.1


# --- enhance


def test_enhance_is_fusion_with_itself(options):
    for image in (scene(2, HEIGHT, WIDTH), 300 * scene(HEIGHT, WIDTH, 3)):
        twice = fuse(image, image.copy(), **options)
        np.testing.assert_allclose(enhance(image, **options), twice, atol=1e-5)


def test_enhance_options(options):
    image = scene(HEIGHT, WIDTH, 3)
    assert enhance(image, color="gray", dtype="uint8", **options).shape == (HEIGHT, WIDTH)
    with pytest.raises(OptionError, match="expected 'auto' or 'gray'"):
        enhance(image, color="a", **options)
    with pytest.raises(OptionError, match="intensity="):
        enhance(image, intensity=("minmax", "dtype"), **options)
    with pytest.raises(OptionError, match="rgb="):
        enhance(image, rgb=(True, True), **options)


# --- tasks


def test_task_chooses_the_colour(options):
    first, second = scene(HEIGHT, WIDTH, 3, seed=1), scene(HEIGHT, WIDTH, 3, seed=2)
    for task in TASKS.values():
        if task.name == "pansharpening":
            continue
        fused = fuse(first, second, task=task.name, **options)
        expected = fuse(first, second, color=task.color, **options)
        np.testing.assert_array_equal(fused, expected)


def test_images_of_one_detector_share_a_range():
    over, under = (scene(HEIGHT, WIDTH, seed=s, dtype=np.uint16) // 2 + s for s in (5000, 9))
    joint = min(over.min(), under.min()), max(over.max(), under.max())
    job = job_of(over, under, task="multi_exposure").measured()
    assert job.ranges == [joint, joint]
    apart = job_of(over, under, task="multi_exposure", intensity=("minmax", "minmax")).measured()
    assert apart.ranges[0] == (over.min(), over.max())
    other = job_of(over, under.astype(float), task="multi_exposure").measured()
    assert other.ranges[0] == (over.min(), over.max())


def test_pansharpening(options):
    bands = scene(4, HEIGHT, WIDTH, seed=1)
    pan = scene(HEIGHT, WIDTH, seed=2)
    fused = fuse(bands, pan, task="pansharpening", **options)
    assert fused.shape == bands.shape
    for result, band in zip(fused, bands, strict=True):
        expected = pansharpen_band(fuse(band, pan, **options), band)
        np.testing.assert_allclose(result, expected, atol=1e-4)


def test_pansharpening_wants_bands_in_front(a):
    with pytest.raises(ImageError, match=r"np\.moveaxis\(image, -1, 0\)"):
        job_of(scene(HEIGHT, WIDTH, 4), a, task="pansharpening")
    with pytest.raises(ImageError, match=r"b is in colour"):
        job_of(scene(4, HEIGHT, WIDTH), scene(HEIGHT, WIDTH, 3), task="pansharpening")


# --- progress


def test_progress_rises_to_the_total(options):
    seen = []
    fuse(
        scene(3, HEIGHT, WIDTH), scene(HEIGHT, WIDTH), **options, progress=lambda *p: seen.append(p)
    )
    done, total = zip(*seen, strict=True)
    assert len(set(total)) == 1
    assert list(done) == sorted(done)
    assert done[-1] == total[0]
    assert len(set(done)) > 2


def test_cancel(options):
    def stop(done, total):
        if done:
            raise Cancelled("enough")

    with pytest.raises(Cancelled, match="enough"):
        fuse(scene(3, HEIGHT, WIDTH), scene(HEIGHT, WIDTH), **options, progress=stop)


def test_plan_can_be_read_before_it_is_run(options):
    stack, color = 100 * scene(2, HEIGHT, WIDTH), scene(HEIGHT, WIDTH, 3, dtype=np.uint8)
    job = job_of(stack, color, intensity=((0, 50), "auto"), dtype="uint8")
    assert job.summary() == "2 planes of 13×18 pixels; a 0 to 50; b 0 to 255; colour of b"
    assert job.count == 2
    fused = run(job, open_fuser(options["model"], Backend("cpu", "float32")))
    assert (fused.shape, fused.dtype) == (job.shape, job.dtype)
    single = job_of(color)
    assert single.summary() == "1 plane of 13×18 pixels; a 0 to 255; colour of a"


# --- dask


class Counted:
    """A dask array of an image that counts how often its chunks are computed."""

    def __init__(self, image, chunks):
        self.computed = 0

        def count(block):
            self.computed += 1
            return block

        self.array = da.from_array(image, chunks=chunks).map_blocks(count, meta=image[:0])


@pytest.mark.parametrize("intensity", ["auto", "percentile", (0, 200)])
@pytest.mark.parametrize("kwargs", [{}, {"dtype": "uint8"}, {"task": "multi_focus"}])
def test_dask_gives_what_numpy_gives(options, intensity, kwargs):
    stack, color = 300 * scene(3, HEIGHT, WIDTH), 200 * scene(HEIGHT, WIDTH, 4)
    stack[1, 2, 3] = np.nan
    kwargs = kwargs | options | {"intensity": intensity}
    expected = fuse(stack, color, **kwargs)
    source = Counted(stack, (2, 8, WIDTH))
    fused = fuse(source.array, color, **kwargs)
    assert isinstance(fused, da.Array)
    assert source.computed == 0
    assert (fused.shape, fused.dtype) == (expected.shape, expected.dtype)
    assert fused.chunksize == (2, 8, WIDTH, 3)
    np.testing.assert_array_equal(fused.compute(scheduler="threads"), expected)
    assert source.computed == 4  # the range and the planes share each chunk


def test_dask_computes_only_the_planes_asked_for(options):
    source = Counted(scene(5, HEIGHT, WIDTH, dtype=np.uint8), (1, HEIGHT, WIDTH))
    fused = enhance(source.array, **options)
    fused[3].compute(scheduler="synchronous")
    assert source.computed == 1


def test_dask_stacks_broadcast(options):
    a = scene(2, 1, HEIGHT, WIDTH, dtype=np.uint8)
    b = scene(3, HEIGHT, WIDTH, seed=2, dtype=np.uint8)
    fused = fuse(da.from_array(a), da.from_array(b, chunks=(3, 5, 5)), **options)
    np.testing.assert_array_equal(fused.compute(scheduler="synchronous"), fuse(a, b, **options))


def test_dask_travels_to_another_process(a, b, options):
    fused = pickle.loads(pickle.dumps(fuse(da.from_array(7 * a), b, **options)))
    np.testing.assert_array_equal(fused.compute(scheduler="synchronous"), fuse(7 * a, b, **options))


def test_dask_without_a_finite_pixel(b, options):
    fused = fuse(da.full((HEIGHT, WIDTH), np.nan), b, **options)
    with pytest.raises(ImageError, match="a has no finite pixel"):
        fused.compute(scheduler="synchronous")


def test_dask_plan_in_words(b):
    assert "a minimum to maximum; b minimum to maximum" in job_of(da.from_array(9 * b), b).summary()


# --- bad input


def test_smallest_side_is_the_network_s(options):
    assert SMALLEST_SIDE == NETWORK_SMALLEST_SIDE
    assert np.isfinite(enhance(scene(SMALLEST_SIDE, SMALLEST_SIDE), **options)).all()


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.zeros((13, 17)), r"a has planes of 13×17 pixels and b of 13×18 pixels"),
        (np.zeros(18), r"shape \(18,\): expected at least two axes"),
        (np.float32(1), r"shape \(\): expected at least two axes"),
        (np.zeros((0, 18)), r"a of shape \(0, 18\) is empty"),
        (np.zeros((0, 13, 18)), r"a of shape \(0, 13, 18\) is empty"),
        (np.zeros((13, 18), complex), "dtype complex128: expected booleans, integers or floats"),
        (np.zeros((13, 18), object), "dtype object: expected booleans, integers or floats"),
        (np.zeros((13, 18), "datetime64[s]"), "expected booleans, integers or floats"),
        ("scan.tif", "a is the path 'scan.tif': read it first, or use `gifnet fuse`"),
        ([[1, 2], [3]], "a is a list of rows of different lengths"),
        (np.full((13, 18), np.nan), "a has no finite pixel"),
        (np.full((13, 18), np.inf), "a has no finite pixel"),
        (np.zeros((4, 18)), "planes of 4×18 pixels: expected at least 5×5"),
        (np.zeros((13, 18, 2)), "planes of 18×2 pixels: expected at least 5×5"),
    ],
)
def test_bad_image(b, options, bad, message):
    with pytest.raises(ImageError, match=message):
        fuse(bad, b, **options)


@pytest.mark.parametrize("intensity", ["auto", "dtype", (0, 1)])
def test_bad_second_image(a, options, intensity):
    with pytest.raises(ImageError, match="b has no finite pixel"):
        fuse(a, np.full_like(a, np.nan), intensity=intensity, **options)


def test_stacks_of_different_length(options):
    with pytest.raises(ImageError, match=r"a of \(3,\) planes and b of \(4,\) planes"):
        fuse(scene(3, HEIGHT, WIDTH), scene(4, HEIGHT, WIDTH), **options)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("task", "portrait"),
        ("model", "gifnet-2031"),
        ("device", "gpu"),
        ("device", "cuda:x"),
        ("precision", "int8"),
        ("tile_size", "big"),
        ("tile_size", 0),
        ("tile_size", True),
        ("tile_size", 64.5),
        ("intensity", "bright"),
        ("color", "c"),
        ("dtype", "complex64"),
        ("rgb", "yes"),
    ],
)
def test_option_nonsense(a, b, options, option, value):
    with pytest.raises(OptionError, match=str(value)):
        fuse(a, b, **(options | {option: value}))


def test_text_file_as_checkpoint(tmp_path, a, b):
    path = tmp_path / "notes.pth"
    path.write_text("These are no weights.")
    with pytest.raises(CheckpointError, match=r"notes\.pth is not a checkpoint"):
        fuse(a, b, model=path)


def test_checkpoint_of_another_network(tmp_path, a, b):
    path = tmp_path / "linear.pth"
    torch.save(torch.nn.Linear(2, 2).state_dict(), path)
    with pytest.raises(CheckpointError, match=r"linear\.pth is not a GIFNet checkpoint.*missing"):
        fuse(a, b, model=path)
