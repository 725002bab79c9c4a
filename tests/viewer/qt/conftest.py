"""A real viewer with the dock as napari makes it from the manifest, and what one does with both."""

import gc
import os
import shutil
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

PLUGIN = "napari-gifnet"


def pytest_collection_modifyitems(items):
    """Without a display nothing here can run."""
    if sys.platform != "linux" or os.environ.get("DISPLAY") or shutil.which("Xvfb"):
        return
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.skip(reason="needs a display or Xvfb"))


@pytest.fixture(scope="session", autouse=True)
def modules_are_no_garbage():
    """Each viewer is followed by searches for garbage, which need not go through all modules each time."""
    import napari.qt  # noqa: F401

    import napari_gifnet.viewer.qt.widget  # noqa: F401

    gc.collect()
    gc.freeze()


@pytest.fixture
def model_file(random_model, tmp_path):
    from safetensors.torch import save_file

    path = tmp_path / "random.safetensors"
    save_file(random_model.network.state_dict(), path)
    return path


@pytest.fixture(autouse=True)
def own_settings(monkeypatch, tmp_path):
    """The widget remembers in a folder of the test's own."""
    from napari_gifnet.viewer.qt import settings

    monkeypatch.setattr(settings, "settings_file", lambda: tmp_path / "config" / "widget.json")


@pytest.fixture(autouse=True)
def no_run_goes_on(qtbot):
    """A run that a test has left is stopped before the next one."""
    yield
    from napari_gifnet.viewer.qt.runs import _RUNS

    for run in list(_RUNS):
        run.cancel()
    qtbot.waitUntil(lambda: not _RUNS, timeout=60_000)


@pytest.fixture
def open_dock():
    """Open the dock of a viewer and return the widget."""
    return lambda viewer: viewer.window.add_plugin_dock_widget(PLUGIN, "GIFNet Fusion")[1]


@pytest.fixture
def close_dock(qtbot):
    """Close the dock of a viewer, as its cross does."""

    def close(viewer, widget):
        destroyed = []
        widget.destroyed.connect(lambda: destroyed.append(True))
        widget.parentWidget().title.close_button.click()
        qtbot.waitUntil(lambda: bool(destroyed), timeout=10_000)

    return close


@pytest.fixture
def dock(make_napari_viewer, model_file, open_dock):
    """A viewer and the widget, set to a model of random weights that is there at once."""
    viewer = make_napari_viewer()
    widget = open_dock(viewer)
    widget.model.model_file.value = str(model_file)
    widget.model.model.value = "from a file …"
    return viewer, widget


@pytest.fixture
def held_engine(monkeypatch):
    """Events: the engine has begun, and waits; it may go on."""
    from napari_gifnet.engine import run as engine_run

    reached, go_on = threading.Event(), threading.Event()
    fuse_pair = engine_run.fuse_pair

    def slow(*given):
        reached.set()
        go_on.wait(30)
        fuse_pair(*given)

    monkeypatch.setattr(engine_run, "fuse_pair", slow)
    yield reached, go_on
    go_on.set()


@pytest.fixture
def add_pair():
    """Add two layers of noise, "detail" below "modality"."""

    def add(viewer, shape=(48, 56), **kwargs):
        rng = np.random.default_rng(0)
        viewer.add_image(rng.random(shape), name="detail", **kwargs)
        viewer.add_image(rng.random(shape), name="modality", **kwargs)

    return add


@pytest.fixture
def add_stack():
    """Add a layer of focus planes: a texture that is sharp in one strip of each plane."""

    def add(viewer, count=4, side=48, name="stack", **kwargs):
        from scipy.ndimage import gaussian_filter

        sharp = np.random.default_rng(0).random((side, side)).astype(np.float32)
        blurred = gaussian_filter(sharp, 2)
        planes = []
        for k in range(count):
            plane = blurred.copy()
            strip = slice(k * side // count, (k + 1) * side // count)
            plane[:, strip] = sharp[:, strip]
            planes.append(plane)
        return viewer.add_image(np.stack(planes), name=name, **kwargs)

    return add


@pytest.fixture
def run_to_the_end(qtbot):
    """Press Fuse and wait for the end."""

    def run(widget):
        button = widget.footer.run_button
        qtbot.waitUntil(button.isEnabled, timeout=60_000)
        button.click()
        assert not button.isEnabled()
        qtbot.waitUntil(lambda: widget._run is None, timeout=120_000)
        assert button.isEnabled()

    return run


@pytest.fixture
def preview_of():
    """Find the preview layer of a viewer, None if there is none."""

    def find(viewer):
        layers = [layer for layer in viewer.layers if layer.name.startswith("GIFNet preview")]
        assert len(layers) <= 1
        return layers[0] if layers else None

    return find
