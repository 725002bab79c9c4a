import numpy as np
import pytest

from napari_gifnet.errors import OptionError
from napari_gifnet.planes.tasks import TASKS, find_task, pansharpen_band


def blur3(plane):
    """Gaussian 3×3, σ 0.5, border replicated, written out."""
    side = np.exp(-2.0)
    padded = np.pad(plane, 1, mode="edge")
    rows = (side * padded[:-2] + padded[1:-1] + side * padded[2:]) / (1 + 2 * side)
    return (side * rows[:, :-2] + rows[:, 1:-1] + side * rows[:, 2:]) / (1 + 2 * side)


def test_the_six_tasks():
    assert list(TASKS) == [
        "infrared_visible",
        "pet_mri",
        "multi_focus",
        "multi_exposure",
        "nir_visible",
        "pansharpening",
    ]
    assert all(name == task.name for name, task in TASKS.items())
    assert (TASKS["pet_mri"].a, TASKS["pet_mri"].b) == ("PET", "MRI")


def test_find_task():
    assert find_task(None) is None
    assert find_task("multi_focus") is TASKS["multi_focus"]


@pytest.mark.parametrize("nonsense", ["focus", "", 3, ["pet_mri"]])
def test_unknown_task(nonsense):
    with pytest.raises(OptionError, match="expected one of infrared_visible, pet_mri"):
        find_task(nonsense)


def test_pansharpened_base_has_the_histogram_of_the_band():
    rng = np.random.default_rng(0)
    band = (0.4 + 0.2 * rng.random((40, 50))).astype(np.float32)
    fused = (0.3 + 0.5 * rng.random((40, 50))).astype(np.float32)
    result = pansharpen_band(fused, band)
    base = result - (fused - blur3(fused))
    np.testing.assert_allclose(np.sort(base, None), np.sort(band, None), atol=1e-6)
    assert result.dtype == np.float32


def test_pansharpened_band_stays_in_range():
    rng = np.random.default_rng(0)
    band, fused = (rng.random((20, 20)).round().astype(np.float32) for _ in range(2))
    result = pansharpen_band(fused, band)
    assert result.min() >= 0
    assert result.max() <= 1
