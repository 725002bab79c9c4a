"""The plain fusion rules: what they keep, and that they are called as the network is."""

from __future__ import annotations

import doctest
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from skimage import io

from napari_gifnet import baselines, fuse
from napari_gifnet.baselines import BASELINES, list_baselines, maximum, mean, mertens, pyramid
from napari_gifnet.errors import Cancelled, ImageError, MissingDependencyError, OptionError
from napari_gifnet.metrics import evaluate


def scene(seed: int, shape: tuple[int, int] = (64, 64)) -> np.ndarray:
    """A textured random plane in [0, 1]."""
    noise = np.random.default_rng(seed).standard_normal(shape)
    plane = gaussian_filter(noise, 3) * 12 + noise
    return (plane - plane.min()) / np.ptp(plane)


def error(plane: np.ndarray, truth: np.ndarray) -> float:
    return np.sqrt(np.mean((plane - truth) ** 2))


def test_doctests() -> None:
    results = doctest.testmod(baselines)
    assert results.attempted > 0
    assert results.failed == 0


def test_list_baselines() -> None:
    assert list_baselines() == tuple(BASELINES) == ("mean", "maximum", "pyramid", "mertens")


# --- the rules -------------------------------------------------------------------------------


@settings(max_examples=20, deadline=None)
@given(
    st.sampled_from(["mean", "maximum", "pyramid"]),
    st.tuples(st.integers(5, 80), st.integers(5, 80)),
)
def test_a_picture_fused_with_itself_stays_as_it_is(name: str, shape: tuple[int, int]) -> None:
    plane = scene(0, shape)
    assert BASELINES[name](plane, plane) == pytest.approx(plane, abs=1e-6)


def test_mean_and_maximum() -> None:
    a, b = scene(1), scene(2)
    assert mean(a, b) == pytest.approx((a + b) / 2, abs=1e-6)
    assert maximum(a, b) == pytest.approx(np.maximum(a, b), abs=1e-6)


def test_pyramid_takes_the_sharp_side_of_each() -> None:
    truth = scene(3, (96, 97))
    blurred = gaussian_filter(truth, 2)
    left_half = np.arange(97) < 48
    a, b = np.where(left_half, truth, blurred), np.where(left_half, blurred, truth)
    fused = pyramid(a, b)
    assert error(fused, truth) < 0.5 * error(mean(a, b), truth)
    assert error(fused, truth) < 0.5 * error(maximum(a, b), truth)


def test_pyramid_averages_brightness() -> None:
    assert pyramid(np.full((40, 40), 0.2), np.full((40, 40), 0.6)) == pytest.approx(0.4)


def test_mertens_takes_what_is_well_exposed() -> None:
    pytest.importorskip("cv2")
    texture = 0.2 * (scene(4) - 0.5)
    well, under = 0.5 + texture, 0.02 + 0.1 * (texture + 0.1)
    for pair in [(well, under), (under, well), (well, 1 - under), (1 - under, well)]:
        assert error(mertens(*pair), well) < 0.25 * error(mean(*pair), well)


def test_mertens_without_opencv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(MissingDependencyError, match=r"needs OpenCV.*napari-gifnet\[mertens\]"):
        mertens(scene(1), scene(2))


# --- called as fuse is -----------------------------------------------------------------------


@pytest.fixture(params=list_baselines())
def baseline(request: pytest.FixtureRequest):
    if request.param == "mertens":
        pytest.importorskip("cv2")
    return partial(fuse, model=request.param)


def test_results_are_planes_in_the_unit_range(baseline) -> None:
    rough = np.random.default_rng(0).integers(0, 2, (2, 31, 45)) * np.uint8(255)
    fused = baseline(*rough)
    assert fused.dtype == np.float32
    assert fused.shape == (31, 45)
    assert 0 <= fused.min() <= fused.max() <= 1


def test_dtypes_and_ranges(baseline) -> None:
    a, b = (np.floor(255 * scene(seed)).astype(np.uint8) for seed in (1, 2))
    expected = pytest.approx(baseline(a, b), abs=1e-5)
    assert baseline(a / 255, b / 255) == expected
    assert baseline(a * np.uint16(257), b, intensity="dtype") == expected
    assert baseline(a * 3.0 - 9, b * 3.0 - 9, intensity=(-9, 756)) == expected
    scaled = baseline(a, b, dtype=np.uint16)
    assert scaled.dtype == np.uint16
    assert scaled / 65535 == expected


def test_stacks(baseline) -> None:
    a, b = np.stack([scene(1), scene(2), scene(3)]), scene(4)
    fused = baseline(a, b)
    assert fused.shape == (3, 64, 64)
    for plane, source in zip(fused, a, strict=True):
        assert plane == pytest.approx(baseline(source, b))


def test_colour_is_put_back_behind_the_fused_luma(baseline) -> None:
    gray = 0.3 + 0.4 * scene(1)
    tinted = np.dstack([gray + 0.05, gray, gray - 0.05])
    luma = tinted @ np.array([0.299, 0.587, 0.114])
    fused = baseline(tinted, scene(2))
    assert fused.shape == (64, 64, 3)
    assert fused @ [0.299, 0.587, 0.114] == pytest.approx(baseline(luma, scene(2)), abs=0.02)
    assert baseline(tinted, scene(2), color="gray") == pytest.approx(
        baseline(luma, scene(2)), abs=1e-5
    )


def test_pixels_that_are_not_finite_stay_so_and_spoil_no_others(baseline) -> None:
    a, b = scene(1), scene(2)
    a[10, 20] = np.nan
    fused = baseline(a, b)
    assert np.argwhere(np.isnan(fused)).tolist() == [[10, 20]]


def test_what_fuse_refuses_is_refused(baseline) -> None:
    with pytest.raises(ImageError, match="expected images on the same grid"):
        baseline(scene(1), scene(1)[:-1])
    with pytest.raises(OptionError, match="intensity='bright'"):
        baseline(scene(1), scene(2), intensity="bright")


def test_dask_arrays_are_fused_lazily(baseline) -> None:
    da = pytest.importorskip("dask.array")
    a, b = scene(1), scene(2)
    fused = baseline(da.from_array(a), b)
    assert isinstance(fused, da.Array)
    np.testing.assert_array_equal(fused.compute(scheduler="synchronous"), baseline(a, b))


def test_progress_and_cancelling(baseline) -> None:
    a, b = np.stack([scene(1), scene(2)]), scene(3)
    calls = []
    baseline(a, b, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(0, 2), (1, 2), (2, 2)]

    def cancel(done: int, total: int) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        baseline(a, b, progress=cancel)


# --- the table -------------------------------------------------------------------------------


@pytest.mark.shared
def test_pyramid_row_of_the_measured_table(shared: Path) -> None:
    """The row of harvard_pet in evaluation.md; benchmarks/quality.py makes the whole table."""
    folder = shared / "data" / "harvard_pet"
    rows = []
    for path in sorted((folder / "a").iterdir()):
        red, green, blue = np.moveaxis(io.imread(path), -1, 0)
        a = np.floor(0.299 * red + 0.587 * green + 0.114 * blue).astype(np.uint8)
        b = io.imread(folder / "b" / path.name)
        fused = np.floor(255 * fuse(a, b, model="pyramid")).astype(np.uint8)
        names = ("EI", "AG", "VIF", "SCD", "Qabf", "SSIM", "MI")
        rows.append(list(evaluate(a, b, fused, names).values()))
    published = np.array([105.5, 10.25, 0.571, 1.298, 0.651, 0.671, 2.48])
    assert np.mean(rows, axis=0) == pytest.approx(published, rel=0.002)
