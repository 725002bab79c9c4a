"""Saving in a real viewer: what the dialog offers, and results opened again."""

import numpy as np
import pytest
from napari.utils.notifications import notification_manager

from napari_gifnet.files.formats import read
from napari_gifnet.viewer import fuse_layers
from napari_gifnet.viewer.layers.pickup import pick_up
from napari_gifnet.viewer.layers.recipes import as_python

PLUGIN = "napari-gifnet"


@pytest.fixture
def viewer(make_napari_viewer):
    """PET and MRI of 5×41×37 voxels, and a slice of them fused, selected."""
    rng = np.random.default_rng(0)
    viewer = make_napari_viewer()
    place = {"scale": (3.1, 0.7, 0.5), "translate": (-7, 0.1, 33.3), "units": "mm"}
    place["axis_labels"] = ("z", "y", "x")
    pet = viewer.add_image(rng.random((5, 41, 37)), name="PET", **place)
    mri = viewer.add_image(rng.random((5, 41, 37)), name="MRI", **place)
    result = fuse_layers(pet, mri, model="pyramid", extent=np.s_[2:3, :, :])
    viewer.add_layer(result)
    viewer.layers.selection = {result}
    return viewer


def test_a_result_is_saved_opened_and_made_again(viewer, tmp_path):
    suffixes = [".ome.tif"]
    for package, written in (("zarr", [".ome.zarr"]), ("nibabel", [".nii", ".nii.gz"])):
        try:
            __import__(package)
        except ImportError:
            continue
        suffixes += written
    result = viewer.layers[-1]
    for suffix in suffixes:
        viewer.layers.selection = {result}
        viewer.layers.save(str(tmp_path / f"a{suffix}"), selected=True, plugin=PLUGIN)
        (layer,) = viewer.open(tmp_path / f"a{suffix}", plugin=PLUGIN)
        for name in ("scale", "translate", "units", "axis_labels"):
            np.testing.assert_array_equal(getattr(layer, name), getattr(result, name))
        np.testing.assert_array_equal(np.asarray(layer.data), result.data)
        found = pick_up(layer, viewer.layers)
        assert found.why_not is None
        exec(as_python(found.record), {"viewer": viewer})
        np.testing.assert_array_equal(viewer.layers[-1].data, result.data)


def test_the_save_dialog_offers_each_format_and_depth(viewer, tmp_path, monkeypatch):
    """D9: of a float result PNG was refused, and TIFF lost scale, units and provenance."""
    from napari._qt import qt_viewer

    result = viewer.layers[-1]
    qt = viewer.window._qt_viewer
    names = {"OME-TIFF, 16 bit": ".ome.tif", "PNG, 8 bit": ".png", "PNG, 16 bit": ".png"}
    for number, (name, end) in enumerate(names.items()):

        def choose(*args, filter="", name=name, number=number, **kwargs):
            (entry,) = [each for each in filter.split(";;") if each.startswith(f"GIFNet {name} (")]
            return str(tmp_path / f"saved{number}"), entry

        monkeypatch.setattr(qt_viewer.QFileDialog, "getSaveFileName", choose)
        qt._save_layers_dialog(selected=True)
        written = read(tmp_path / f"saved{number}{end}").data
        bits = int(name.split()[-2])
        np.testing.assert_array_equal(
            written.reshape(result.data.shape), np.rint(result.data * np.float32(2**bits - 1))
        )
    said = [str(each) for each in notification_manager.records]
    assert any("was written without the pixel size" in each for each in said)
