"""The samples as the command line and napari get them, without a viewer."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage as ndi

from napari_gifnet.errors import DownloadError, OptionError
from napari_gifnet.files.formats import read
from napari_gifnet.files.samples import (
    FOLDER,
    SampleImage,
    find_sample,
    list_samples,
    load_depth,
    load_sample,
)
from napari_gifnet.planes.tasks import TASKS
from napari_gifnet.viewer.layers import samples as providers

SHIPPED = [sample.key for sample in list_samples() if sample.shipped]
PAIRS = [sample.key for sample in list_samples() if sample.shipped and sample.b]
DOWNLOADED = [sample.key for sample in list_samples() if not sample.shipped]


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Downloads go to a port where nobody answers, and nothing is in the cache."""
    monkeypatch.setenv("NAPARI_GIFNET_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")


def luma(image: SampleImage) -> np.ndarray:
    return image.data @ [0.299, 0.587, 0.114] if image.rgb else image.data.astype(float)


def test_every_task_has_a_downloaded_example_and_four_ship_with_a_focus_stack():
    assert PAIRS == ["pet_mri", "infrared_visible", "multi_focus", "multi_exposure"]
    assert [*PAIRS, "focus_stack"] == SHIPPED
    assert sorted(DOWNLOADED) == sorted(f"gifnet_{task}" for task in TASKS)
    assert all(sample.task in TASKS for sample in list_samples())


def test_the_files_that_ship_are_below_5_megabytes_and_a_stack_below_1_and_a_half():
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 5e6
    assert sum(path.stat().st_size for path in FOLDER.glob("focus_stack*")) < 1.5e6
    shipped = {file for s in list_samples() if s.shipped for file in (*s.a, *s.b, s.depth)} - {""}
    assert {path.name for path in FOLDER.iterdir()} == shipped | {"README.md"}


def test_an_unknown_key_is_told_with_the_known_ones():
    with pytest.raises(OptionError, match=r"'brain'.*pet_mri"):
        load_sample("brain")


@pytest.mark.parametrize("key", SHIPPED)
def test_a_shipped_sample_opens_offline(key, offline):
    images = load_sample(key)
    for image in images:
        ndim = image.data.ndim - image.rgb
        assert len(image.scale) == len(image.translate) == len(image.axis_labels) == ndim
        assert image.data.max() > 100
    names = tuple(image.name for image in images)
    assert names == (("Focus stack",) if key == "focus_stack" else (TASKS[key].a, TASKS[key].b))
    if key != "pet_mri":
        assert len({image.data.shape[:2] for image in images}) == 1


# -- what each shipped sample is to show --------------------------------------------------------


@pytest.fixture(scope="module")
def pet_mri() -> tuple[SampleImage, SampleImage]:
    return load_sample("pet_mri")


def at(image: SampleImage, world: tuple[float, ...]) -> tuple[int, ...]:
    """The nearest voxel to a place in the world."""
    index = (np.array(world) - image.translate) / image.scale
    return tuple(np.rint(index).astype(int))


def test_pet_and_mri_are_on_different_grids_in_millimetres(pet_mri):
    pet, mri = pet_mri
    assert pet.units == mri.units == "mm"
    assert mri.scale == (1, 1, 1)
    assert pet.scale == (2.5, 2.5, 2.5)
    assert all((p - m) % 1 for p, m in zip(pet.translate, mri.translate, strict=True))
    ends = [
        np.array(i.translate) + np.array(i.scale) * (np.array(i.data.shape) - 1) for i in pet_mri
    ]
    assert np.all(np.array(pet.translate) < mri.translate)
    assert np.all(ends[0] > ends[1])


def test_the_hot_spots_are_where_the_lesions_are_said_to_be(pet_mri):
    pet, _ = pet_mri
    uptake = ndi.gaussian_filter(pet.data.astype(float), 0.6)
    peaks = (uptake == ndi.maximum_filter(uptake, 5)) * uptake
    hottest = np.argwhere(peaks >= np.sort(peaks.ravel())[-2])
    places = [lesion["position"] for lesion in pet.facts["lesions"]]
    assert len(hottest) == len(places) == 2
    world = hottest * pet.scale + pet.translate
    for place in places:
        assert np.abs(world - place).max(1).min() <= 2.5


def test_uptake_is_low_in_the_left_parietal_lobe_only_in_pet(pet_mri):
    pet, mri = pet_mri

    def around(image: SampleImage, x: float) -> float:
        z, y, x = at(image, (32, 42, x))
        r = np.maximum(1, np.rint(14 / np.array(image.scale))).astype(int)
        return image.data[z - r[0] : z + r[0], y - r[1] : y + r[1], x - r[2] : x + r[2]].mean()

    assert around(pet, 44) < 0.8 * around(pet, -44)
    assert around(mri, 44) == pytest.approx(around(mri, -44), rel=0.15)


def test_pet_and_mri_lie_over_one_another(pet_mri):
    pet, mri = pet_mri
    grid = np.indices(pet.data.shape).reshape(3, -1).T * pet.scale + pet.translate
    voxels = (grid - mri.translate) / mri.scale
    head = ndi.map_coordinates(mri.data, voxels.T, order=1).reshape(pet.data.shape)
    brain = pet.data > 0.4 * np.percentile(pet.data, 99.5)
    assert (head[brain] > 20).mean() > 0.97

    def middle(mask: np.ndarray) -> np.ndarray:
        return np.array(ndi.center_of_mass(mask)) * 2.5

    inside = ndi.binary_fill_holes(head > 40)
    assert np.abs(middle(brain)[2] - middle(inside)[2]) < 4


def test_people_are_in_the_infrared_picture_alone():
    infrared, visible = load_sample("infrared_visible")
    assert visible.rgb
    assert not infrared.rgb
    hidden, walking = np.s_[230:330, 99:129], np.s_[230:350, 160:200]
    for man in (hidden, walking):
        assert np.percentile(infrared.data[man], 90) > 130
    assert luma(visible)[hidden].max() < 60
    edges = [ndi.gaussian_gradient_magnitude(luma(i), 1) for i in (infrared, visible)]
    sign = np.s_[148:182, 325:555]
    assert edges[1][sign].mean() > 10 * edges[0][sign].mean()


def test_each_focus_plane_is_sharp_where_the_other_is_blurred():
    near, far = (luma(image) for image in load_sample("multi_focus"))
    engine, shelf = np.s_[180:290, 210:330], np.s_[20:60, 290:400]
    detail = {}
    for name, plane in (("near", near), ("far", far)):
        sharpness = np.abs(ndi.gaussian_laplace(plane, 1))
        detail[name] = [sharpness[part].mean() for part in (engine, shelf)]
    assert detail["near"][0] > 3 * detail["far"][0]
    assert detail["far"][1] > 3 * detail["near"][1]


def test_exposures_are_clipped_at_opposite_ends():
    over, under = (luma(image) for image in load_sample("multi_exposure"))
    assert (over >= 254).mean() > 0.15
    assert (under >= 254).mean() < 0.02
    assert (under < 60).mean() > 0.4
    sun, shade = over >= 254, under < 40
    assert under[sun].std() > 25
    assert over[shade].std() > 25


def test_the_focus_stack_is_a_micrographs():
    (stack,) = load_sample("focus_stack")
    assert (stack.data.shape, stack.data.dtype, stack.rgb) == ((10, 320, 400), np.uint8, False)
    assert stack.axis_labels == ("z", "y", "x")
    assert (stack.units, stack.scale) == ("µm", (20, 2, 2))
    file = read(FOLDER / "focus_stack.tif")
    assert file.axes == "ZYX"
    assert file.spacing == {
        axis: (size, "µm") for axis, size in zip("ZYX", (20, 2, 2), strict=True)
    }
    np.testing.assert_array_equal(file.data, stack.data)


def test_each_pixel_of_the_stack_is_sharp_where_the_depth_says():
    (stack,) = load_sample("focus_stack")
    depth = load_depth("focus_stack")
    assert depth.dtype == np.float32
    assert depth.shape == stack.data.shape[1:]
    assert 0 <= depth.min() < 0.5
    assert 8.5 < depth.max() <= 9
    np.testing.assert_array_equal(read(stack.facts["depth"]).data, depth)
    planes = stack.data.astype(float)
    detail = np.array([ndi.gaussian_filter(ndi.laplace(plane) ** 2, 2) for plane in planes])
    sharpest = np.take_along_axis(planes, np.rint(depth).astype(int)[None], 0)[0]
    deviation = np.sqrt(ndi.gaussian_filter((sharpest - ndi.gaussian_filter(sharpest, 2)) ** 2, 2))
    # away from where one thing lies behind another, as there sharpness is of two depths
    one_depth = ndi.maximum_filter(depth, 9) - ndi.minimum_filter(depth, 9) < 1.5
    judged = (deviation > 4) & one_depth
    assert judged.mean() > 0.3
    off = np.abs(detail.argmax(0) - depth)[judged]
    assert (off <= 1).mean() > 0.95
    for plane in range(1, 8):  # every height has something in focus
        assert (np.abs(depth - plane) < 0.5).mean() > 0.02


def test_the_same_seed_makes_the_same_stack(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "tools" / "samples")
    focus_stack, microfossils = map(importlib.import_module, ("focus_stack", "microfossils"))

    def make() -> tuple[np.ndarray, np.ndarray]:
        slide = microfossils.Slide(np.random.default_rng(focus_stack.SEED))
        noise = np.random.default_rng(focus_stack.SEED + 1)
        return focus_stack.photograph(slide, noise, views=1), focus_stack.depth_map(slide)

    (stack, depth), (again, depth_again) = make(), make()
    np.testing.assert_array_equal(stack, again)
    np.testing.assert_array_equal(depth, depth_again)
    # of another machine the last bit may tip a pixel at an edge
    assert (depth == load_depth("focus_stack")).mean() > 0.999


def test_only_the_stack_has_a_known_depth():
    with pytest.raises(OptionError, match=r"'pet_mri' is not known: expected focus_stack"):
        load_depth("pet_mri")


# -- layers for napari --------------------------------------------------------------------------


@pytest.mark.parametrize("key", PAIRS)
def test_layers_come_detail_first_with_geometry_and_provenance(key):
    (b_data, b, b_type), (a_data, a, a_type) = getattr(providers, key)()
    assert a_type == b_type == "image"
    assert (a["name"], b["name"]) == (TASKS[key].a, TASKS[key].b)
    assert (a["metadata"]["napari_gifnet"]["side"], b["metadata"]["napari_gifnet"]["side"]) == (
        "a",
        "b",
    )
    for data, layer in ((a_data, a), (b_data, b)):
        ndim = data.ndim - layer["rgb"]
        assert {len(layer[k]) for k in ("scale", "translate", "units", "axis_labels")} == {ndim}
        assert set(layer["units"]) == {"mm" if key == "pet_mri" else "pixel"}
        record = layer["metadata"]["napari_gifnet"]
        assert record["task"] == key
        assert all(record[word] for word in ("provenance", "licence", "source"))
        if not layer["rgb"]:
            low, high = layer["contrast_limits"]
            assert low <= data.min() < data.max() <= high


def test_the_stack_is_one_layer_in_micrometres():
    ((data, layer, kind),) = providers.focus_stack()
    assert kind == "image"
    assert data.shape == (10, 320, 400)
    assert layer["name"] == "Focus stack"
    assert layer["scale"] == (20, 2, 2)
    assert layer["units"] == ("µm",) * 3
    assert layer["axis_labels"] == ("z", "y", "x")
    record = layer["metadata"]["napari_gifnet"]
    assert (record["sample"], record["task"]) == ("focus_stack", "multi_focus")
    assert Path(record["depth"]).is_file()
    assert "side" not in record


def test_every_sample_has_a_provider():
    assert all(callable(getattr(providers, sample.key)) for sample in list_samples())


def test_the_registry_needs_neither_napari_nor_qt_nor_torch():
    code = (
        "import sys; from napari_gifnet.files.samples import load_sample; load_sample('multi_focus'); "
        "import napari_gifnet.viewer.layers.samples; "
        "print([m for m in ('napari', 'qtpy', 'torch') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ
    )
    assert done.stdout.strip() == "[]"


# -- the authors' examples ------------------------------------------------------------------------


@pytest.mark.parametrize("key", DOWNLOADED)
def test_offline_an_example_says_what_and_where_and_what_works(key, offline):
    with pytest.raises(DownloadError) as caught:
        load_sample(key)
    message = str(caught.value)
    assert "https://raw.githubusercontent.com/AWCXV/GIFNet/" in message
    assert "pet_mri" in message
    assert "\n" not in message


@pytest.fixture
def cached(shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The authors' files lie in the cache, as after a download."""
    monkeypatch.setenv("NAPARI_GIFNET_DATA_DIR", str(tmp_path))
    for sample in list_samples():
        folder = shared / "data" / "gifnet_examples" / sample.task
        bands = len(sample.a) > 1
        for side, files in (("pan" if bands else "b", sample.b), ("a", sample.a)):
            if sample.shipped:
                continue
            for number, file in enumerate(files, 1):
                stem = f"ms_band{number}" if len(files) > 1 else side
                path = tmp_path / "samples" / file
                path.parent.mkdir(parents=True, exist_ok=True)
                path.symlink_to(folder / f"{stem}{path.suffix}")


@pytest.mark.parametrize("key", DOWNLOADED)
def test_the_authors_examples_open_once_downloaded(key, cached):
    a, b = load_sample(key)
    assert a.data.shape[-2 - a.rgb :][:2] == b.data.shape[-2 - b.rgb :][:2]
    assert (a.rgb, b.rgb) == {
        "gifnet_pet_mri": (True, False),
        "gifnet_infrared_visible": (False, True),
        "gifnet_multi_focus": (True, True),
        "gifnet_multi_exposure": (True, True),
        "gifnet_nir_visible": (False, True),
        "gifnet_pansharpening": (False, False),
    }[key]


def test_pansharpening_has_four_bands_over_one_plane(cached):
    bands, pan = load_sample("gifnet_pansharpening")
    assert bands.data.shape == (4, 512, 481)
    assert pan.data.shape == (512, 481)
    assert bands.axis_labels == ("band", "y", "x")
    assert bands.scale[1:] == pan.scale


def test_a_damaged_file_in_the_cache_is_not_opened(offline, tmp_path):
    sample = find_sample("gifnet_multi_focus")
    for file in (*sample.a, *sample.b):
        path = tmp_path / "samples" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes((FOLDER / "near_focus.png").read_bytes())
    with pytest.raises(DownloadError):
        load_sample(sample)
