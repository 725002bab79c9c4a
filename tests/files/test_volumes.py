"""Volumes of NIfTI, NRRD and MetaImage: where their voxels lie, in and out."""

import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from napari_gifnet.errors import MissingDependencyError
from napari_gifnet.files.formats import FileError, ImageFile, Length, check_format, read, write
from napari_gifnet.grids.world_grid import WorldGrid

nib = pytest.importorskip("nibabel")
sitk = pytest.importorskip("SimpleITK")

LPS = np.array([-1, -1, 1])
"""From the world of NIfTI to ours, x, y, z."""

OBLIQUE = np.array([[-2.0, 0.1, 0, 10], [0.1, 2.5, 0.2, -5], [0, -0.2, 3, 7], [0, 0, 0, 1]])
SAGITTAL = np.array([[0, 0, -3.0, 10], [2, 0, 0, -5], [0, -1.5, 0, 7], [0, 0, 0, 1]])


@pytest.fixture
def volume():
    return np.random.default_rng(0).integers(-500, 500, (7, 8, 9), np.int16)


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def save(data, affine, path="scan.nii.gz", unit="mm"):
    image = nib.Nifti1Image(data, affine)
    image.header.set_xyzt_units(unit, "sec")
    nib.save(image, path)
    return path


def voxel_of(affine, point):
    """The index of a NIfTI volume at a point of our world, (z, y, x)."""
    return np.linalg.solve(affine, [*(np.asarray(point)[::-1] * LPS), 1])[:3]


@pytest.mark.parametrize("affine", [OBLIQUE, SAGITTAL, np.diag([1.0, 1, 1, 1])])
@pytest.mark.parametrize("name", ["scan.nii", "scan.nii.gz", "scan.nrrd", "scan.mha"])
def test_a_volume_lies_where_its_file_says(volume, affine, name):
    if ".nii" in name:
        save(volume, affine, name)
    else:  # ITK's world is ours
        image = sitk.GetImageFromArray(volume.transpose())
        matrix = np.diag([*LPS, 1]) @ affine
        steps = np.linalg.norm(matrix[:3, :3], axis=0)
        image.SetSpacing(steps.tolist())
        image.SetDirection((matrix[:3, :3] / steps).ravel().tolist())
        image.SetOrigin(matrix[:3, 3].tolist())
        sitk.WriteImage(image, name)
    found = read(name)
    assert (found.axes, found.data.dtype, found.grid.units) == ("ZYX", np.int16, ("mm",) * 3)
    for index in product((0, 2, -1), repeat=3):
        index = tuple(np.array(index) % found.data.shape)
        at = voxel_of(affine, found.grid.to_world(index))
        np.testing.assert_allclose(at, np.rint(at), atol=1e-4)
        assert found.data[index] == volume[tuple(np.rint(at).astype(int))]
    steps = found.grid.matrix[:3, :3]
    assert (np.abs(steps).argmax(axis=0) == [0, 1, 2]).all()  # planes across the body
    assert (np.diag(steps) > 0).all()  # towards top, back and left


@pytest.mark.parametrize("affine", [OBLIQUE, SAGITTAL])
@pytest.mark.parametrize("unit", ["mm", "micron", "meter"])
def test_what_is_written_lies_where_the_input_did(volume, affine, unit):
    source = read(save(volume, affine, unit=unit))
    write("out.nii.gz", source.data / np.float32(2), "ZYX", like=source, description="made by é")
    out = nib.load("out.nii.gz")
    np.testing.assert_allclose(out.affine, affine, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(out.get_fdata(), volume / 2)
    assert out.header.get_data_dtype() == np.float32
    assert out.header.get_xyzt_units()[0] == unit
    assert out.header.extensions[0].get_content() == "made by é".encode()
    for name in ("out.nrrd", "out.mha"):
        write(name, source.data, "ZYX", like=source)
        again = read(name)
        factor = {"mm": 1, "micron": 1e-3, "meter": 1e3}[unit]
        np.testing.assert_allclose(
            again.grid.matrix[:3], source.grid.matrix[:3] * factor, rtol=1e-6, atol=1e-6
        )
        np.testing.assert_array_equal(again.data, source.data)
    original = sitk.ReadImage("out.nrrd")  # the voxels in the order of the input's file
    np.testing.assert_array_equal(sitk.GetArrayFromImage(original).transpose(), volume)


def test_a_place_that_only_the_quaternion_tells_is_kept_in_it(volume):
    turn = np.linalg.qr(OBLIQUE[:3, :3])[0]
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = turn * (1, 2, 3), (-120.7, 88.1, 203.3)
    image = nib.Nifti1Image(volume, None)
    image.set_qform(affine, code=1)
    nib.save(image, "q.nii")
    source = read("q.nii")
    write("out.nii", source.data, "ZYX", like=source)
    out = nib.load("out.nii")
    assert out.header.get_qform(coded=True)[1] == 1
    assert out.header.get_sform(coded=True)[1] == 0
    np.testing.assert_array_equal(out.affine, nib.load("q.nii").affine)


def test_a_large_file_is_not_read_before_it_is_sliced(volume):
    assert isinstance(read(save(volume, OBLIQUE, "raw.nii")).data, np.memmap)
    scaled = nib.Nifti1Image(volume * 0.37 - 12, OBLIQUE)
    scaled.set_data_dtype(np.int16)
    for name in ("scaled.nii", "scaled.nii.gz"):
        nib.save(scaled, name)
    lazy, eager = read("scaled.nii"), read("scaled.nii.gz")
    assert type(lazy.data).__module__.startswith("dask")
    assert (lazy.data.dtype, eager.data.dtype) == (np.float32, np.float32)
    np.testing.assert_array_equal(lazy.data.compute(), eager.data)
    expected = nib.load("scaled.nii").get_fdata()
    np.testing.assert_allclose(eager.orientation.stored(eager.data), expected, rtol=1e-6, atol=1e-4)


@pytest.mark.parametrize("name", ["c.nii.gz", "c.nrrd", "c.mha"])
def test_colours_are_bytes(volume, name):
    source = read(save(volume, SAGITTAL))
    colors = np.random.default_rng(1).random((*source.data.shape, 3), np.float32)
    check_format(Path(name), "ZYXS", colors.dtype)
    write(name, colors, "ZYXS", like=source)
    again = read(name)
    assert (again.axes, again.data.dtype) == ("ZYXS", np.uint8)
    np.testing.assert_array_equal(again.data, np.rint(colors * 255).astype(np.uint8))
    if name == "c.nii.gz":
        assert nib.load(name).header["datatype"] == 128  # RGB24
        np.testing.assert_allclose(nib.load(name).affine, SAGITTAL, atol=1e-5)


def test_time_and_bands_stand_in_front():
    data = np.random.default_rng(0).random((4, 5, 6, 3, 2)).astype(np.float32)
    image = nib.Nifti1Image(data, SAGITTAL)
    image.header.set_xyzt_units("mm", "msec")
    image.header.set_zooms((2, 1.5, 3, 250, 1))
    nib.save(image, "five.nii.gz")
    source = read("five.nii.gz")
    assert (source.axes, source.spacing["T"]) == ("CTZYX", Length(250, "ms"))
    np.testing.assert_array_equal(source.data[1, 2], source.orientation.canonical(data[..., 2, 1]))
    write("out.nii.gz", source.data, source.axes, like=source)
    out = nib.load("out.nii.gz")
    np.testing.assert_array_equal(out.get_fdata(dtype=np.float32), data)
    assert out.header.get_zooms()[3] == 0.25
    write("t.nrrd", source.data[0], "TZYX", like=source, spacing={})
    np.testing.assert_array_equal(read("t.nrrd").data, source.data[0])


def test_an_image_without_a_file_of_its_own_gets_a_place_from_its_grid():
    grid = WorldGrid((4, 5, 6), scale=(3, 2, 1), translate=(1, 2, 3), units="um")
    like = ImageFile(np.zeros(grid.shape), "ZYX", grid=grid)
    write("g.nii.gz", np.ones(grid.shape, np.float32), "ZYX", like=like)
    expected = np.diag([-1.0, -2, 3, 1])
    expected[:3, 3] = -3, -2, 1
    np.testing.assert_allclose(nib.load("g.nii.gz").affine, expected)
    assert nib.load("g.nii.gz").header.get_xyzt_units()[0] == "micron"
    write(
        "s.nii.gz",
        np.ones((5, 6), np.uint8),
        "YX",
        spacing={"Y": Length(1, "cm"), "X": Length(5, "mm")},
    )
    assert read("s.nii.gz").spacing == {
        a: Length(n, "mm") for a, n in zip("ZYX", (5, 10, 5), strict=True)
    }


def test_a_place_in_doubt_is_said(volume):
    image = nib.Nifti1Image(volume, None)
    image.header.set_zooms((1, 2, 3))
    nib.save(image, "nowhere.nii")
    with pytest.warns(UserWarning, match="nowhere.nii does not say where its voxels lie"):
        assert read("nowhere.nii").spacing["Z"] == Length(3, "mm")
    image = nib.Nifti1Image(volume, np.eye(4))
    image.set_sform(np.diag([1.0, 1, 1, 1]), code=4)
    image.set_qform(np.diag([-1.0, -1, 1, 1]), code=1)
    nib.save(image, "two.nii")
    with pytest.warns(UserWarning, match=r"two.nii states two places .* sform \(code 4\) is taken"):
        read("two.nii")


def test_a_header_without_sizes_gives_no_place():
    write("a.nrrd", np.zeros((4, 5, 6), np.uint8), "ZYX")
    header, _, data = Path("a.nrrd").read_bytes().partition(b"\n\n")
    kept = [line for line in header.split(b"\n") if not line.startswith(b"space")]
    Path("b.nrrd").write_bytes(b"\n".join(kept) + b"\n\n" + data)
    found = read("b.nrrd")
    assert (found.grid, found.spacing, found.data.shape) == (None, {}, (4, 5, 6))


@pytest.mark.parametrize("name", ["bad.nii", "bad.nii.gz", "bad.nrrd", "bad.mha"])
def test_a_damaged_file_is_one_sentence(name):
    Path(name).write_bytes(b"\x5c\x01\0\0 not an image")
    with pytest.raises(FileError, match=rf"^{name} cannot be read") as caught:
        read(name)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("dtype", "complaint"), [(np.complex64, "holds values of complex64"), ("RGBA", "")]
)
def test_values_that_are_no_gray(dtype, complaint):
    if dtype == "RGBA":
        record = np.zeros((4, 5, 6), [(n, "u1") for n in "RGBA"])
        record["G"] = 7
        nib.save(nib.Nifti1Image(record, np.eye(4)), "c.nii")
        assert read("c.nii").data.shape == (6, 5, 4, 3)
        assert (read("c.nii").data[..., 1] == 7).all()
        return
    nib.save(nib.Nifti1Image(np.zeros((4, 5, 6), dtype), np.eye(4)), "c.nii")
    with pytest.raises(FileError, match=complaint):
        read("c.nii")


def test_voxels_without_extent(volume):
    path = Path(save(volume, np.eye(4), "flat.nii"))
    raw = bytearray(path.read_bytes())
    raw[280:296] = bytes(16)  # the first row of the sform
    path.write_bytes(raw)
    with pytest.raises(FileError, match=r"flat.nii has voxels without extent"):
        read("flat.nii")


@pytest.mark.parametrize(
    ("name", "axes", "dtype", "complaint"),
    [
        ("a.nii", "ZYX", "uint64", "a NIfTI file cannot hold uint64"),
        ("a.nii.gz", "ZYXS", "uint16", "cannot hold uint16: expected uint8"),
        ("a.nrrd", "CZYX", "uint8", "a NRRD file has the axes TZYX, the image CZYX"),
    ],
)
def test_what_a_format_cannot_hold_is_refused(name, axes, dtype, complaint):
    shape = [2] * len(axes.removesuffix("S")) + [3] * axes.count("S")
    with pytest.raises(FileError, match=complaint):
        write(name, np.zeros(shape, dtype), axes)


def test_short_floats_become_longer_ones():
    write("a.nii", np.full((4, 5, 6), 7.5, np.float16), "ZYX")
    assert (read("a.nii").data == np.float32(7.5)).all()


@pytest.mark.parametrize(
    ("name", "package"), [("a.nii", "nibabel"), ("a.nrrd", "SimpleITK"), ("a.mha", "SimpleITK")]
)
def test_without_the_package_a_sentence_says_what_to_install(name, package, monkeypatch):
    write(name, np.zeros((5, 6, 7), np.uint8), "ZYX")
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(
        MissingDependencyError,
        match=rf"need the package {package}, .*: pip install 'napari-gifnet\[medical\]'\.$",
    ):
        read(name)
