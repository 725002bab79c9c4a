"""Volumes in a real viewer: opened by the plugin's reader, fused as the shell fuses their files."""

import shlex
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

from napari_gifnet.cli import app
from napari_gifnet.errors import MissingDependencyError
from napari_gifnet.files.formats import ImageFile, Length, read, write
from napari_gifnet.files.samples import load_sample
from napari_gifnet.grids.world_grid import WorldGrid
from napari_gifnet.viewer import fuse_layers
from napari_gifnet.viewer.layers.reader import get_reader
from napari_gifnet.viewer.layers.recipes import as_command

nib = pytest.importorskip("nibabel")

pytestmark = pytest.mark.filterwarnings("ignore:Non-orthogonal slicing")

PLUGIN = "napari-gifnet"
TURN = np.array([[0.8, -0.6, 0], [0.6, 0.8, 0], [0, 0, 1]])
SHEAR = np.array([[1, 0, 0], [0, 1, 0.15], [0, 0, 1]])


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """PET and MRI, every fourth voxel, sagittal and oblique; the MRI with a scale of its values."""
    folder = tmp_path_factory.mktemp("volumes")
    for name, side, turn in zip(
        ("pet.nii.gz", "mri.nii"), load_sample("pet_mri"), (TURN, SHEAR), strict=True
    ):
        affine = np.eye(4)
        affine[:3, :3] = turn @ np.diag([4 * s for s in side.scale[::-1]])
        affine[:3, 3] = turn @ side.translate[::-1]
        data = side.data[::4, ::4, ::4].transpose(2, 1, 0)[::-1].transpose(1, 2, 0)
        flip = np.eye(4)
        flip[0, 0], flip[0, 3] = -1, data.shape[2] - 1
        affine = (np.diag([-1, -1, 1, 1]) @ affine @ flip)[:, [1, 2, 0, 3]]
        image = nib.Nifti1Image(data, affine)
        if name == "mri.nii":
            image.header.set_slope_inter(0.37, 2)
        image.header.set_xyzt_units("mm")
        nib.save(image, folder / name)
    return folder / "pet.nii.gz", folder / "mri.nii"


@pytest.mark.parametrize("interpolation", ["linear", "cubic"])
def test_the_viewer_and_the_shell_give_the_same_bits(
    make_napari_viewer, files, tmp_path, interpolation
):
    viewer = make_napari_viewer()
    for path in files:
        viewer.open(path, plugin=PLUGIN)
    pet, mri = viewer.layers
    assert (pet.name, mri.name) == ("pet", "mri")
    assert [str(unit) for unit in mri.units] == ["millimeter"] * 3
    assert mri.axis_labels == ("z", "y", "x")
    ranges = (0, float(pet.data.max())), (2, 90)
    layer = fuse_layers(
        pet,
        mri,
        task="pet_mri",
        model="mean",
        intensity=ranges,
        interpolation=interpolation,
        normalization="plane",
        lazy=False,
    )
    out, again = tmp_path / "fused.nii.gz", tmp_path / "again.nii"
    words = ["fuse", *files, "--task", "pet_mri", "--model", "mean", "-o", out]
    words += ["--interpolation", interpolation]
    words += [f"--intensity={low!r},{high!r}" for low, high in ranges]
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    np.testing.assert_array_equal(read(out).data, layer.data)
    command = as_command(layer.metadata["napari_gifnet"]).replace("fused.tif", str(again))
    done = CliRunner().invoke(app, shlex.split(command)[1:])
    assert done.exit_code == 0, done.output
    np.testing.assert_array_equal(read(again).data, layer.data)
    viewer.open(out, plugin=PLUGIN)
    np.testing.assert_allclose(
        WorldGrid.from_layer(viewer.layers[-1]).matrix,
        WorldGrid.from_layer(layer).matrix,
        atol=1e-4,
    )


def test_a_result_in_ome_zarr_opens_with_scale_units_and_labels(make_napari_viewer, tmp_path):
    pytest.importorskip("zarr", minversion="3")
    data = np.random.default_rng(0).random((2, 3, 70, 80), np.float32)
    grid = WorldGrid(
        data.shape, scale=(1, 3, 2, 2), translate=(0, 1, 2, 3), units=("pixel", "um", "um", "um")
    )
    spacing = {"T": Length(0.5, "s")} | {
        a: Length(n, "um") for a, n in zip("ZYX", (3, 2, 2), strict=True)
    }
    like = ImageFile(data, "TZYX", spacing, grid)
    write(tmp_path / "fused.ome.zarr", data, "TZYX", like=like)
    viewer = make_napari_viewer()
    viewer.open(tmp_path / "fused.ome.zarr", plugin=PLUGIN)
    (layer,) = viewer.layers
    np.testing.assert_allclose(layer.scale, [0.5, 3, 2, 2])
    np.testing.assert_allclose(layer.translate, [0, 1, 2, 3])
    assert [str(unit) for unit in layer.units] == ["second"] + ["micrometer"] * 3
    assert layer.axis_labels == tuple("tzyx")
    np.testing.assert_array_equal(np.asarray(layer.data), data)


def test_colours_open_as_colours(make_napari_viewer, tmp_path):
    colors = np.random.default_rng(0).integers(0, 256, (4, 40, 50, 3), np.uint8)
    write(tmp_path / "c.nii.gz", colors, "ZYXS")
    viewer = make_napari_viewer()
    viewer.open(tmp_path / "c.nii.gz", plugin=PLUGIN)
    assert viewer.layers[0].rgb
    np.testing.assert_array_equal(viewer.layers[0].data, colors)


def test_what_napari_reads_well_is_left_to_it(tmp_path):
    for name in ("a.tif", "a.png", "a.npy", "a.zip"):
        assert get_reader(str(tmp_path / name)) is None
    (tmp_path / "planes").mkdir()
    write(tmp_path / "planes" / "1.tif", np.zeros((5, 6), np.uint8), "YX")
    assert get_reader(str(tmp_path / "planes")) is None
    assert get_reader(str(tmp_path / "A.NII.GZ")) is not None
    assert get_reader([str(tmp_path / "a.nii"), str(tmp_path / "a.tif")]) is None


def test_without_the_package_the_viewer_says_what_to_install(
    make_napari_viewer, files, monkeypatch
):
    monkeypatch.setitem(sys.modules, "nibabel", None)
    viewer = make_napari_viewer()
    with pytest.raises(MissingDependencyError, match=r"pip install 'napari-gifnet\[medical\]'"):
        viewer.open(files[1], plugin=PLUGIN)
