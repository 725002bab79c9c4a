"""Series of DICOM, written by pydicom."""

import sys

import numpy as np
import pytest

from napari_gifnet.errors import MissingDependencyError
from napari_gifnet.files.formats import FileError, check_destination, read

pydicom = pytest.importorskip("pydicom")
pytest.importorskip("SimpleITK")

ANGLE = np.deg2rad(20)
ALONG = np.array([np.cos(ANGLE), np.sin(ANGLE), 0.0])
DOWN = np.array([-np.sin(ANGLE) * 0.8, np.cos(ANGLE) * 0.8, 0.6])
NORMAL = np.cross(ALONG, DOWN)
ORIGIN, PIXEL, STEP = np.array([-80.5, -60.25, 12.0]), (1.5, 0.75), 2.5
HTJ2K = "1.2.840.10008.1.2.4.201"


def write_slice(path, pixels, position, *, series="1.2.3.4", slope=1, intercept=0, **more):
    """Write one slice of an oblique CT."""
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[str(path)])
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    each = FileDataset(str(path), {}, file_meta=meta, preamble=bytes(128))
    each.SOPClassUID, each.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
    each.SeriesInstanceUID, each.StudyInstanceUID = series, "1.2.3"
    each.Modality, each.PatientName = "CT", "Phantom"
    each.Rows, each.Columns = pixels.shape
    each.SamplesPerPixel, each.PhotometricInterpretation = 1, "MONOCHROME2"
    each.BitsAllocated = each.BitsStored = 16
    each.HighBit, each.PixelRepresentation = 15, int(pixels.dtype == np.int16)
    each.PixelSpacing = list(PIXEL)
    each.SliceThickness = STEP
    each.ImageOrientationPatient = [f"{n:.10f}" for n in (*ALONG, *DOWN)]
    each.ImagePositionPatient = [f"{n:.8f}" for n in position]
    each.RescaleSlope, each.RescaleIntercept = slope, intercept
    each.PixelData = pixels.tobytes()
    for name, value in more.items():
        setattr(each, name, value)
    each.save_as(path, enforce_file_format=True)
    return each


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(-900, 900, (6, 7, 9), np.int16)


@pytest.fixture
def series(tmp_path, pixels):
    """A folder of slices whose names are in no order."""
    folder = tmp_path / "series"
    folder.mkdir()
    for k, name in enumerate(["q", "b", "zz", "a", "m", "c"]):
        position = ORIGIN + k * STEP * NORMAL
        write_slice(folder / name, pixels[k], position, slope=2, intercept=-1024)
    (folder / "readme.txt").write_text("no image")
    return folder


def check_places(found, expected):
    """Each voxel is where its slice says, whichever way the axes were turned."""
    for k, row, column in [(0, 0, 0), (5, 6, 8), (2, 3, 4), (5, 0, 1)]:
        point = ORIGIN + k * STEP * NORMAL + column * PIXEL[1] * ALONG + row * PIXEL[0] * DOWN
        index = found.grid.to_index(point[::-1])
        np.testing.assert_allclose(index, np.rint(index), atol=1e-4)
        assert found.data[tuple(np.rint(index).astype(int))] == expected[k, row, column]


def test_an_oblique_series_lies_where_it_was_taken(series, pixels):
    found = read(series)
    assert (found.axes, found.data.dtype.kind, found.grid.units) == ("ZYX", "i", ("mm",) * 3)
    check_places(found, pixels * 2 - 1024)
    assert (np.diag(found.grid.matrix[:3, :3]) > 0).all()


def test_slices_with_slopes_of_their_own_as_of_pet(tmp_path, pixels):
    for k in range(6):
        where = ORIGIN + k * STEP * NORMAL
        write_slice(tmp_path / f"{k}.dcm", pixels[k], where, slope=f"{0.25 + k}", intercept=-3)
    found = read(tmp_path)
    assert found.data.dtype == np.float32
    slopes = 0.25 + np.arange(6, dtype=np.float32)[:, None, None]
    check_places(found, pixels * slopes - 3)


def test_a_tilted_gantry_is_a_sheared_grid(tmp_path, pixels):
    step = STEP * NORMAL + 0.4 * DOWN
    for k in range(6):
        write_slice(tmp_path / f"{k}.dcm", pixels[k], ORIGIN + k * step)
    found = read(tmp_path)
    point = ORIGIN + 5 * step + 3 * PIXEL[1] * ALONG
    index = found.grid.to_index(point[::-1])
    assert found.data[tuple(np.rint(index).astype(int))] == pixels[5, 0, 3]
    np.testing.assert_allclose(index, np.rint(index), atol=1e-4)


def test_a_missing_slice_is_refused(series):
    (series / "zz").unlink()  # the third
    with pytest.raises(
        FileError,
        match=r"no whole series: its slices lie 2.5 mm apart, but b and a 5 mm; it seems that 1 ",
    ):
        read(series)


def test_two_series_are_told_apart(series, pixels):
    for k in range(3):
        where = ORIGIN + k * STEP * NORMAL
        more = {"SeriesDescription": "localizer"}
        write_slice(series / f"other{k}.dcm", pixels[k], where, series="1.2.9", **more)
    with pytest.raises(
        FileError, match=r"holds 2 series, 6 images from a; 3 images from other0.dcm \(loc"
    ):
        read(series)
    assert read(series / "other1.dcm").data.size == 3 * 63  # naming a file says which


def test_a_compressed_syntax_that_cannot_be_read(tmp_path, pixels):
    from pydicom.encaps import encapsulate

    for k in range(2):
        path = tmp_path / f"{k}.dcm"
        each = write_slice(path, pixels[k], ORIGIN + k * STEP * NORMAL)
        each.file_meta.TransferSyntaxUID = HTJ2K
        each.PixelData = encapsulate([b"\xff\x4f\xff\x51" + bytes(60)])
        each["PixelData"].VR = "OB"
        each.save_as(path, enforce_file_format=True)
    with pytest.raises(
        FileError, match=rf"cannot be read \(transfer syntax {HTJ2K}\), or damaged: .* decompress"
    ):
        read(tmp_path)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"ImagePositionPatient": [f"{n:.8f}" for n in ORIGIN]}, "several slices at one place"),
        ({"ImageOrientationPatient": [1, 0, 0, 0, 1, 0]}, "contradict each other: orientation"),
        ({"PixelSpacing": [2, 2]}, "contradict each other: pixel spacing"),
        ({"ImagePositionPatient": None}, "does not say where it lies in the patient"),
    ],
)
def test_what_makes_no_volume_is_refused(series, pixels, change, complaint):
    where = ORIGIN + 6 * STEP * NORMAL
    write_slice(series / "last", pixels[0], where, slope=2, intercept=-1024, **change)
    with pytest.raises(FileError, match=complaint):
        read(series)


def test_a_folder_without_images(tmp_path):
    with pytest.raises(FileError, match="holds no DICOM file"):
        read(tmp_path)
    with pytest.raises(FileError, match=r"gone.dcm cannot be read: No such file"):
        read(tmp_path / "gone.dcm")
    (tmp_path / "text.dcm").write_text("text")
    with pytest.raises(FileError, match=r"text.dcm is no DICOM file"):
        read(tmp_path / "text.dcm")


def test_dicom_is_not_written(tmp_path):
    with pytest.raises(FileError, match=r"\.dcm is read, but not written: expected .*\.nii\.gz"):
        check_destination(tmp_path / "new.dcm")


def test_without_the_package_a_sentence_says_what_to_install(series, monkeypatch):
    monkeypatch.setitem(sys.modules, "SimpleITK", None)
    with pytest.raises(MissingDependencyError, match=r"DICOM files need the package SimpleITK"):
        read(series)
