"""Importing the package is quick and brings nothing heavy along."""

import subprocess
import sys

import pytest

HEAVY = {"torch", "napari", "qtpy", "PyQt6", "PySide6", "magicgui", "scipy", "skimage", "dask"}


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout


@pytest.mark.parametrize(
    ("module", "barred"),
    [
        ("napari_gifnet", HEAVY | {"numpy", "pooch"}),
        ("napari_gifnet.fusion", HEAVY | {"pooch"}),
        ("napari_gifnet.models", HEAVY | {"numpy", "pooch"}),
        ("napari_gifnet.planes.job", HEAVY),
        ("napari_gifnet.metrics", HEAVY - {"scipy", "skimage"}),
    ],
)
def test_import_is_light(module, barred):
    loaded = run(f"import {module}, sys; print(*{{m.partition('.')[0] for m in sys.modules}})")
    assert "napari_gifnet" in loaded.split()
    assert not barred & set(loaded.split())


def test_import_is_quick():
    code = (
        "import time; start = time.perf_counter(); import napari_gifnet; "
        "print(time.perf_counter() - start)"
    )
    assert min(float(run(code)) for _ in range(5)) < 0.3


def test_public_names_are_there_when_asked_for():
    import napari_gifnet

    for name in napari_gifnet.__all__:
        assert callable(getattr(napari_gifnet, name))
    assert set(napari_gifnet.__all__) < set(dir(napari_gifnet))
    with pytest.raises(AttributeError, match="no attribute 'defuse'"):
        napari_gifnet.defuse  # noqa: B018
