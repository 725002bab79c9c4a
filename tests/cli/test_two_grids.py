"""Two files on two grids, fused in the shell: PET and MRI however their files store them."""

from itertools import permutations, product

import numpy as np
import pytest
from scipy.ndimage import map_coordinates
from typer.testing import CliRunner

from napari_gifnet.cli import app
from napari_gifnet.files.formats import ImageFile, Length, read, write
from napari_gifnet.files.samples import load_sample
from napari_gifnet.grids.resample import resample
from napari_gifnet.grids.world_grid import WorldGrid

nib = pytest.importorskip("nibabel")

GRAY_LEVEL = 1 / 255
EVERY = 4
TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])

ORIENTATIONS = list(product(permutations(range(3)), product((False, True), repeat=3)))


def gifnet(*arguments, code=0):
    """Run the command line; return what it printed."""
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert done.exit_code == code, (done.output, done.exception)
    return done.stdout if code == 0 else done.stderr


@pytest.fixture(scope="module")
def phantom():
    """PET and MRI, every fourth voxel: data (i, j, k) and affine, as NIfTI has them."""
    found = []
    for side in load_sample("pet_mri"):
        grid = WorldGrid(side.data.shape, scale=side.scale, translate=side.translate, units="mm")
        part = (slice(None, None, EVERY),) * 3
        affine = np.eye(4)
        affine[:3, :3] = grid.crop(part).matrix[:3, :3][::-1, ::-1]
        affine[:3, 3] = grid.crop(part).matrix[:3, 3][::-1]
        found.append((side.data[part].transpose(2, 1, 0), TO_RAS @ affine))
    return found


def save(path, data, affine):
    image = nib.Nifti1Image(data, affine)
    image.header.set_xyzt_units("mm")
    nib.save(image, path)
    return path


def stored(data, affine, orientation):
    """The same volume with its axes exchanged and flipped, as another scanner would store it."""
    order, flips = orientation
    turn = np.eye(4)
    for axis, flip in enumerate(flips):
        if flip:
            turn[axis, axis], turn[axis, 3] = -1, data.shape[axis] - 1
    data = data[tuple(slice(None, None, -1) if flip else slice(None) for flip in flips)]
    return data.transpose(order), (affine @ turn)[:, [*order, 3]]


@pytest.fixture(scope="module")
def fused_as_it_is(phantom, tmp_path_factory):
    folder = tmp_path_factory.mktemp("reference")
    files = [save(folder / f"{n}.nii.gz", *each) for n, each in zip("ab", phantom, strict=True)]
    line = gifnet("fuse", *files, "--task", "pet_mri", "--model", "mean", "-o", folder / "f.nii.gz")
    assert "A resampled onto the grid of B, linear; 36 planes of 52×42 pixels" in line
    return read(folder / "f.nii.gz")


@pytest.mark.parametrize("place", range(48))
def test_every_orientation_gives_the_same_in_the_world(phantom, fused_as_it_is, tmp_path, place):
    pet, mri = phantom
    other = ORIENTATIONS[(place * 7 + 5) % 48]  # the two sides are seldom stored alike
    files = [
        save(tmp_path / "pet.nii.gz", *stored(*pet, other)),
        save(tmp_path / "mri.nii.gz", *stored(*mri, ORIENTATIONS[place])),
    ]
    out = tmp_path / "fused.nii.gz"
    gifnet("fuse", *files, "--task", "pet_mri", "--model", "mean", "-o", out)
    np.testing.assert_allclose(nib.load(out).affine, nib.load(files[1]).affine, rtol=0, atol=1e-5)
    assert nib.load(out).shape == nib.load(files[1]).shape
    found = read(out)
    np.testing.assert_allclose(found.grid.matrix, fused_as_it_is.grid.matrix, atol=1e-4)
    np.testing.assert_allclose(found.data, fused_as_it_is.data, rtol=0, atol=GRAY_LEVEL)
    assert np.isfinite(found.data).mean() > 0.5


def turned(degrees, axis):
    """A rotation of the world about an axis, homogeneous."""
    from scipy.spatial.transform import Rotation

    turn = np.eye(4)
    turn[:3, :3] = Rotation.from_rotvec(np.deg2rad(degrees) * np.array(axis)).as_matrix()
    return turn


@pytest.mark.parametrize(
    ("degrees", "axis"), [(25, (0.6, 0, 0.8)), (62, (0, 0.8, -0.6))], ids=["near", "far"]
)
def test_an_oblique_pair_gives_the_same_voxels(phantom, fused_as_it_is, tmp_path, degrees, axis):
    """A head that lay turned in both scanners: turned back, the results agree."""
    turn = turned(degrees, axis)
    files = [
        save(tmp_path / f"{name}.nii.gz", data, turn @ affine)
        for name, (data, affine) in zip(("pet", "mri"), phantom, strict=True)
    ]
    out = tmp_path / "fused.nii.gz"
    gifnet("fuse", *files, "--task", "pet_mri", "--model", "mean", "-o", out)
    np.testing.assert_allclose(nib.load(out).affine, turn @ phantom[1][1], rtol=0, atol=1e-5)
    expected = fused_as_it_is.data.transpose(2, 1, 0)
    np.testing.assert_allclose(nib.load(out).get_fdata(), expected, rtol=0, atol=GRAY_LEVEL)


def test_a_volume_oblique_to_the_other_is_met_voxel_by_voxel(phantom, tmp_path):
    """Against an interpolation that knows nothing of ours."""
    (pet, pet_affine), (mri, mri_affine) = phantom
    mri_affine = turned(20, (0, 0.6, 0.8)) @ mri_affine
    files = [
        save(tmp_path / "pet.nii.gz", pet, pet_affine),
        save(tmp_path / "mri.nii.gz", mri, mri_affine),
    ]
    out = tmp_path / "fused.nii.gz"
    gifnet("fuse", *files, "--task", "pet_mri", "--model", "mean", "-o", out)
    fused = nib.load(out).get_fdata()
    to_pet = np.linalg.inv(pet_affine) @ mri_affine
    at = np.tensordot(to_pet[:, :3], np.indices(mri.shape), 1) + to_pet[:, 3, None, None, None]
    uptake = map_coordinates(pet.astype(float), at[:3], order=1, mode="nearest")
    low, high = float(pet.min()), float(pet.max())
    expected = ((uptake - low) / (high - low) + mri / 255) / 2
    inside = np.isfinite(fused)
    np.testing.assert_allclose(fused[inside], expected[inside], rtol=0, atol=GRAY_LEVEL)
    lengths = np.array(pet.shape)[:, None, None, None]
    within = ((at[:3] >= 0) & (at[:3] <= lengths - 1)).all(axis=0)
    assert inside[within].all()


def test_whose_grid_and_how_can_be_said(phantom, tmp_path):
    files = [
        save(tmp_path / f"{name}.nii", *each) for name, each in zip("ab", phantom, strict=True)
    ]
    line = gifnet(
        *("fuse", *files, "--grid", "a", "--interpolation", "cubic", "--model", "mean"),
        *("-o", tmp_path / "f.nrrd"),
    )
    assert "B resampled onto the grid of A, cubic" in line
    a, b, fused = (read(tmp_path / name) for name in ("a.nii", "b.nii", "f.nrrd"))
    np.testing.assert_allclose(fused.grid.matrix, a.grid.matrix, atol=1e-9)
    mri = resample(b.data, b.grid, a.grid, order=3) / 255
    top = float(a.data.max())
    expected = (a.data / top + mri.clip(0, 1)) / 2
    np.testing.assert_allclose(fused.data, expected, atol=1e-6)


@pytest.mark.parametrize("sides", ["ab", "ba"])
def test_the_finer_grid_is_kept_whichever_side_it_is(phantom, tmp_path, sides):
    files = {n: save(tmp_path / f"{n}.nii", *each) for n, each in zip("ab", phantom, strict=True)}
    out = tmp_path / "fused.nii"
    gifnet("fuse", *(files[side] for side in sides), "--model", "mean", "-o", out)
    np.testing.assert_array_equal(nib.load(out).affine, nib.load(files["b"]).affine)


def test_a_series_of_dicom_is_fused_with_a_nifti(tmp_path):
    from napari_gifnet.grids.pairs import same_grid

    pytest.importorskip("pydicom")
    sitk = pytest.importorskip("SimpleITK")
    ct = np.random.default_rng(0).integers(0, 2000, (6, 24, 20)).astype(np.int16)
    folder = tmp_path / "ct"
    folder.mkdir()
    write_series(folder, ct)
    mri = read(folder)
    like = ImageFile(mri.data, "ZYX", mri.spacing, mri.grid.coarser(2, (1, 2)))
    write(tmp_path / "mri.nii.gz", mri.data[:, ::2, ::2], "ZYX", like=like)
    out = tmp_path / "fused.nii.gz"
    line = gifnet("fuse", folder, tmp_path / "mri.nii.gz", "--model", "mean", "-o", out)
    assert "from" not in line
    assert "B resampled onto the grid of A, linear; 6 planes of 24×20 pixels; A -1024 to" in line
    assert same_grid(read(out).grid, mri.grid)
    assert sitk.ReadImage(str(out)).GetSize() == (20, 24, 6)


def write_series(folder, volume):
    """Write an oblique CT whose file names are in no order."""
    import sys
    from importlib import util
    from pathlib import Path

    spec = util.spec_from_file_location(
        "series_of_dicom", Path(__file__).parents[1] / "files" / "test_dicom.py"
    )
    module = sys.modules[spec.name] = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for k, plane in enumerate(volume):
        position = module.ORIGIN + k * module.STEP * module.NORMAL
        name = f"{(k * 5) % 7}.dcm"
        module.write_slice(folder / name, plane, position, slope=1, intercept=-1024)


@pytest.mark.filterwarnings("ignore:.*without its place in the world")
def test_files_of_which_one_has_no_place(tmp_path, phantom):
    mri = save(tmp_path / "mri.nii", *phantom[1])
    write(tmp_path / "same.tif", np.zeros((36, 52, 42), np.uint8), "ZYX")
    write(tmp_path / "other.tif", np.zeros((36, 50, 42), np.uint8), "ZYX")
    options = "--model", "mean", "-o", tmp_path / "f.tif"
    line = gifnet("fuse", tmp_path / "same.tif", mri, *options)
    assert "A does not say where it lies and is taken to lie as the other" in line
    assert read(tmp_path / "f.tif").spacing["Z"] == Length(4, "mm")
    told = gifnet("fuse", mri, tmp_path / "other.tif", *options, "--overwrite", code=2)
    assert "other.tif (B) does not say where its pixels lie, and has planes of 50×42" in told


def test_a_format_without_places_says_that_it_loses_one(tmp_path, phantom):
    mri = read(save(tmp_path / "mri.nii", *phantom[1]))
    with pytest.warns(UserWarning, match="written without its place in the world, which it cannot"):
        write(tmp_path / "mri.tif", mri.data, "ZYX", like=mri)
    assert read(tmp_path / "mri.tif").spacing == mri.spacing


def test_a_plane_for_a_whole_volume_leaves_the_volumes_place(tmp_path, phantom):
    """The plane lies on the same grid as far as it goes; the result is the volume's."""
    pytest.importorskip("zarr", minversion="3")
    spacing = {axis: Length(2, "mm") for axis in "ZYX"}
    volume = np.random.default_rng(0).random((4, 20, 30), np.float32)
    write(tmp_path / "a.tif", volume, "ZYX", spacing=spacing)
    write(tmp_path / "b.tif", volume[0], "YX", spacing={a: spacing[a] for a in "YX"})
    for name in ("f.zarr", "f.nii"):
        gifnet(
            "fuse", tmp_path / "a.tif", tmp_path / "b.tif", "--model", "mean", "-o", tmp_path / name
        )
        assert read(tmp_path / name).spacing == spacing


def test_tiffs_of_other_sizes_lie_from_their_first_pixels_on(tmp_path):
    coarse, fine = (np.random.default_rng(0).random((n, n), np.float32) for n in (10, 20))
    for name, data, size in [("a.tif", coarse, 2), ("b.tif", fine, 1)]:
        spacing = {axis: Length(size, "um") for axis in "YX"}
        write(tmp_path / name, data, "YX", spacing=spacing)
    files = tmp_path / "a.tif", tmp_path / "b.tif"
    line = gifnet("fuse", *files, "--grid", "finer", "--model", "mean", "-o", tmp_path / "f.tif")
    assert "A resampled onto the grid of B" in line
    fused = read(tmp_path / "f.tif")
    assert fused.spacing["X"] == Length(1, "µm")
    np.testing.assert_allclose(
        fused.data[:-1:2, :-1:2], (coarse + fine[::2, ::2])[:, :] / 2, rtol=1e-5
    )


def test_volumes_far_from_each_other(phantom, tmp_path):
    (pet, affine), mri = phantom
    shift = np.eye(4)
    shift[0, 3] = 900
    files = [save(tmp_path / "pet.nii", pet, shift @ affine), save(tmp_path / "mri.nii", *mri)]
    told = gifnet("fuse", *files, "--model", "mean", "-o", tmp_path / "f.nii", code=2)
    assert "The images do not overlap: 'pet' spans axis z: " in told
    assert not (tmp_path / "f.nii").exists()


def test_the_sample_as_volumes(tmp_path):
    gifnet("samples", "pet_mri", "--format", "nii", "-o", tmp_path)
    for side, name in zip(load_sample("pet_mri"), ("pet_mri_a", "pet_mri_b"), strict=True):
        found = read(tmp_path / f"{name}.nii")
        np.testing.assert_array_equal(found.data, side.data)
        np.testing.assert_allclose(found.grid.scale, side.scale, rtol=1e-6)
        np.testing.assert_allclose(found.grid.translate, side.translate, atol=1e-5)
    files = tmp_path / "pet_mri_a.nii", tmp_path / "pet_mri_b.nii"
    options = "--task", "pet_mri", "--model", "mean", "-o", tmp_path / "fused.nii"
    assert "142 planes of 208×168 pixels" in gifnet("fuse", *files, *options)
    told = gifnet("samples", "infrared_visible", "--format", "gif", "-o", tmp_path, code=2)
    assert "unknown format" in told


def test_a_result_in_ome_zarr_is_fused_again(phantom, tmp_path):
    pytest.importorskip("zarr", minversion="3")
    files = [
        save(tmp_path / f"{name}.nii", *each) for name, each in zip("ab", phantom, strict=True)
    ]
    out = tmp_path / "fused.ome.zarr"
    for more in ((), ("--overwrite",)):
        gifnet("fuse", *files, "--task", "pet_mri", "--model", "mean", "-o", out, *more)
    told = gifnet("fuse", *files, "--model", "mean", "-o", out, code=2)
    assert "exists already: choose another name, or add --overwrite" in told
    first = read(out)
    np.testing.assert_allclose(first.grid.matrix, read(files[1]).grid.matrix, atol=1e-6)
    line = gifnet("fuse", out, files[1], "--model", "mean", "-o", tmp_path / "again.nii.gz")
    assert "resampled" not in line  # both lie on one grid
    expected = (np.asarray(first.data) + read(files[1]).data / np.float32(255)) / 2
    np.testing.assert_allclose(read(tmp_path / "again.nii.gz").data, expected, atol=1e-6)


@pytest.mark.filterwarnings("ignore:.*without the turn of its axes")
def test_folders_of_volumes_and_series(tmp_path):
    pytest.importorskip("pydicom")
    pytest.importorskip("zarr", minversion="3")
    ct = np.random.default_rng(0).integers(0, 2000, (4, 24, 20)).astype(np.int16)
    for name in ("one", "two"):
        (tmp_path / "ct" / name).mkdir(parents=True)
        write_series(tmp_path / "ct" / name, ct)
        found = read(tmp_path / "ct" / name)
        (tmp_path / "mri").mkdir(exist_ok=True)
        like = ImageFile(found.data, "ZYX", found.spacing, found.grid.coarser(2, (1, 2)))
        write(tmp_path / "mri" / f"{name}.nii.gz", found.data[:, ::2, ::2], "ZYX", like=like)
    folders = tmp_path / "ct", tmp_path / "mri"
    gifnet("fuse", *folders, "--model", "mean", "-o", tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").glob("[a-z]*.*")) == [
        "one.nii.gz",
        "two.nii.gz",
    ]
    assert read(tmp_path / "out" / "one.nii.gz").data.shape == found.data.shape
    zarr = "--suffix", ".ome.zarr", "--model", "mean", "-o", tmp_path / "zarr"
    gifnet("enhance", tmp_path / "mri", *zarr)
    gifnet("enhance", tmp_path / "mri", *zarr, "--overwrite")
    gifnet("enhance", tmp_path / "mri", *zarr, "--resume")
    assert read(tmp_path / "zarr" / "two.ome.zarr").axes == "ZYX"
