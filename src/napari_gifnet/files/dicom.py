"""DICOM series: a folder of slices, by SimpleITK. They are read, not written."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_gifnet.errors import unreadable

from .extras import import_extra
from .image_file import FileError, ImageFile, mask_nodata
from .itk import image_from_itk, itk_reason

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["is_dicom", "is_dicom_folder", "read_dicom"]

_POSITION, _ORIENTATION = "0020|0032", "0020|0037"
_SERIES, _DESCRIPTION = "0020|000e", "0008|103e"
_PIXEL_SPACING, _FRAMES = "0028|0030", "0028|0008"
_SLOPE, _INTERCEPT = "0028|1053", "0028|1052"

_UNEVEN = 0.1
"""Share of the distance of two slices by which others may differ; headers round to 0.01 mm."""

_PREAMBLE = 128
_META_BYTES = 4096

_LOOKED_AT = 20
"""Files of a folder that are looked at to tell whether it is one of DICOM."""


def is_dicom(path: Path) -> bool:
    """Whether a file is one of DICOM, by its magic number."""
    try:
        with path.open("rb") as file:
            return file.read(_PREAMBLE + 4)[_PREAMBLE:] == b"DICM"
    except OSError:
        return False


def is_dicom_folder(path: Path) -> bool:
    """Whether a folder holds a file of DICOM, among the first ones."""
    if not path.is_dir():
        return False
    files = (each for each in sorted(path.iterdir()) if each.is_file() and each.name[0] != ".")
    return any(is_dicom(file) for file, _ in zip(files, range(_LOOKED_AT), strict=False))


@dataclass(frozen=True)
class _Slice:
    """What the header of a file says."""

    path: Path
    series: str
    description: str
    frames: int
    size: tuple[int, ...]
    spacing: tuple[float, ...]
    position: tuple[float, ...]
    orientation: tuple[float, ...]
    scale: tuple[float, ...]


def read_dicom(path: Path, nodata: float | None = None) -> ImageFile:
    """Read the one series of a folder, or that which a file belongs to.

    Parameters
    ----------
    path : Path
    nodata : float, optional
        The value of missing voxels, slope and intercept applied.
    """
    sitk = import_extra("SimpleITK", "medical", "DICOM files")
    folder = path if path.is_dir() else path.parent
    files = [file for file in sorted(folder.iterdir()) if file.is_file() and is_dicom(file)]
    if not path.is_dir() and path not in files:
        if not path.exists():
            raise FileError(unreadable(path, "No such file or directory"))
        raise FileError(f"{path} is no DICOM file: expected one, or the folder of a series.")
    if not files:
        raise FileError(
            f"{path} holds no DICOM file: expected an image, or the folder of a series."
        )
    found = [header for file in files if (header := _read_header(sitk, file)) is not None]
    if not found:
        raise FileError(
            f"{path} holds no image: its DICOM files have no pixels; choose a series of images."
        )
    slices = _choose_series(path, found)
    image, matrix = _read_series(sitk, path, slices)
    result = image_from_itk(path, image, matrix=matrix)
    if nodata is None:
        return result
    return replace(result, data=mask_nodata(result.data, nodata, result.in_color))


def _read_header(sitk: Any, path: Path) -> _Slice | None:
    """Return what a file says of itself; None where it has no pixels, as a DICOMDIR."""
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        if path.name.upper() == "DICOMDIR":
            return None
        raise _unreadable(path, error) from error
    tags = {key: reader.GetMetaData(key).strip() for key in reader.GetMetaDataKeys()}
    return _Slice(
        path,
        tags.get(_SERIES, ""),
        tags.get(_DESCRIPTION, ""),
        int(_numbers(tags.get(_FRAMES, ""), (1.0,))[0]),
        tuple(reader.GetSize()),
        _numbers(tags.get(_PIXEL_SPACING, "")),
        _numbers(tags.get(_POSITION, "")),
        _numbers(tags.get(_ORIENTATION, "")),
        (*_numbers(tags.get(_SLOPE, ""), (1.0,)), *_numbers(tags.get(_INTERCEPT, ""), (0.0,))),
    )


def _numbers(text: str, otherwise: tuple[float, ...] = ()) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split("\\"))
    except ValueError:
        return otherwise


def _unreadable(path: Path, error: Exception) -> FileError:
    syntax = _transfer_syntax(path)
    if syntax is None:
        return FileError(unreadable(path, itk_reason(error)))
    return FileError(
        f"{path} is compressed in a way that cannot be read (transfer syntax {syntax}), or damaged: "
        "expected uncompressed DICOM, JPEG, JPEG-LS, JPEG 2000 or RLE; decompress the series first, "
        "for instance with gdcmconv --raw or dcmdjpeg."
    )


def _transfer_syntax(path: Path) -> str | None:
    """Return how the pixels of a file are encoded if they are compressed."""
    with path.open("rb") as file:
        head = file.read(_META_BYTES)
    start = head.find(b"\x02\x00\x10\x00UI", _PREAMBLE)
    if start < 0:
        return None
    length = int.from_bytes(head[start + 6 : start + 8], "little")
    syntax = head[start + 8 : start + 8 + length].rstrip(b"\0 ").decode("ascii", "replace")
    plain = {"1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"}
    return None if syntax in plain else syntax


def _choose_series(path: Path, found: list[_Slice]) -> list[_Slice]:
    wanted = {header.series for header in found}
    if not path.is_dir():
        wanted = {header.series for header in found if header.path == path}
    if len(wanted) > 1:
        words = []
        for series in sorted(wanted):
            some = [header for header in found if header.series == series]
            title = f" ({some[0].description})" if some[0].description else ""
            words.append(f"{len(some)} images from {some[0].path.name}{title}")
        raise FileError(
            f"{path} holds {len(wanted)} series, {'; '.join(words)}: expected one; name a file of the "
            "series that is meant, or give each a folder of its own."
        )
    return [header for header in found if header.series in wanted]


def _read_series(
    sitk: Any, path: Path, slices: list[_Slice]
) -> tuple[Any, NDArray[np.float64] | None]:
    """Return the volume, and where its voxels lie."""
    matrix = None
    if len(slices) > 1:
        slices, matrix = _in_order(path, slices)
    whole = all(float(number).is_integer() for header in slices for number in header.scale)
    alike = len({header.scale for header in slices}) == 1
    kind = sitk.sitkUnknown if whole and alike else sitk.sitkFloat32
    try:
        if len(slices) == 1:
            return sitk.ReadImage(str(slices[0].path), kind, "GDCMImageIO"), None
        reader = sitk.ImageSeriesReader()
        reader.SetImageIO("GDCMImageIO")
        reader.SetOutputPixelType(kind)
        reader.SetFileNames([str(header.path) for header in slices])
        return reader.Execute(), matrix
    except RuntimeError as error:
        for header in slices:
            if _transfer_syntax(header.path) is not None:
                raise _unreadable(header.path, error) from error
        raise FileError(unreadable(path, itk_reason(error))) from error


def _in_order(path: Path, slices: list[_Slice]) -> tuple[list[_Slice], NDArray[np.float64]]:
    """Sort the slices along their normal, and refuse what makes no volume."""
    first = slices[0]
    for header in slices:
        if header.frames > 1:
            raise FileError(
                f"{path} holds several files of several frames each, as {header.path.name}: expected "
                "one such file, which is named by itself, or a file for each slice."
            )
        if (len(header.position), len(header.orientation), len(header.spacing)) != (3, 6, 2):
            raise FileError(
                f"{header.path} does not say where it lies in the patient (position, orientation and "
                "pixel spacing): expected a series of slices of CT, MR or PET."
            )
        for what, ours, theirs in (
            ("size", header.size[:2], first.size[:2]),
            ("pixel spacing", header.spacing, first.spacing),
            ("orientation", header.orientation, first.orientation),
        ):
            if not np.allclose(ours, theirs, rtol=1e-3, atol=1e-4):
                raise FileError(
                    f"{path} holds slices of one series that contradict each other: {what} "
                    f"{ours} in {header.path.name}, {theirs} in {first.path.name}; expected parallel "
                    "slices of one size."
                )
    along, down = np.array(first.orientation[:3]), np.array(first.orientation[3:])
    normal = np.cross(along, down)
    slices = sorted(slices, key=lambda header: float(normal @ header.position))
    positions = np.array([header.position for header in slices])
    heights = positions @ normal
    _check_heights(path, slices, heights)
    step = (positions[-1] - positions[0]) / (len(slices) - 1)
    off = np.abs(positions - positions[0] - np.outer(np.arange(len(slices)), step)).max()
    if off > max(first.spacing):
        raise FileError(
            f"{path} holds slices that lie up to {off:.3g} mm beside the line of the others: expected "
            "slices above each other."
        )
    matrix = np.eye(4)
    # PixelSpacing is that of rows, which lies down a column, before that of columns
    matrix[:3, :3] = np.stack([along * first.spacing[1], down * first.spacing[0], step], axis=1)
    matrix[:3, 3] = positions[0]
    return slices, matrix


def _check_heights(path: Path, slices: list[_Slice], heights: NDArray[np.float64]) -> None:
    steps = np.diff(heights)
    usual = float(np.median(steps))
    if steps.min() < 1e-3:
        at = int(steps.argmin())
        raise FileError(
            f"{path} holds several slices at one place, as {slices[at].path.name} and "
            f"{slices[at + 1].path.name}: expected one volume, not one for each phase or echo; give "
            "each a folder of its own."
        )
    uneven = np.flatnonzero(np.abs(steps - usual) > _UNEVEN * usual)
    if len(uneven):
        at = int(uneven[steps[uneven].argmax()])
        lacking = round(float(steps[at]) / usual) - 1
        what = f"it seems that {lacking} are missing there" if lacking > 0 else "they lie unevenly"
        raise FileError(
            f"{path} is no whole series: its slices lie {usual:.4g} mm apart, but "
            f"{slices[at].path.name} and {slices[at + 1].path.name} {steps[at]:.4g} mm; {what}: "
            "expected all slices at even distances; fetch the series again."
        )
