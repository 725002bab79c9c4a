"""Image files in and out: TIFF, PNG and JPEG; volumes; OME-Zarr."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from napari_gifnet.errors import GIFNetError, unreadable
from napari_gifnet.planes.arrays import is_dask
from napari_gifnet.planes.ranges import from_unit

from . import destinations
from .destinations import complete_file, make_folder
from .dicom import is_dicom_folder, read_dicom
from .image_file import FileError, ImageFile, full_suffix, written_text
from .itk import read_itk, write_itk
from .lengths import Length
from .nifti import read_nifti, write_nifti
from .ome_zarr import VERSION_TAG, VERSIONS, is_ome_zarr, is_zarr, read_ome_zarr, write_ome_zarr
from .orientation import stored_like
from .photographs import read_photograph, write_photograph
from .tiff import read_tiff, write_tiff

__all__ = [
    "FORMATS",
    "FileError",
    "ImageFile",
    "Length",
    "check_destination",
    "check_format",
    "check_replaceable",
    "find_format",
    "is_image_folder",
    "make_folder",
    "read",
    "write",
]


class Format(NamedTuple):
    """A file format.

    Attributes
    ----------
    name : str
    dtypes : tuple of str
        What it is written in, the preferred one first; () for what is only read.
    leading : str
        The letters of the axes that it holds in front of the planes; "*" for any.
    colors : tuple of str
        What colours are written in, if not in `dtypes`.
    """

    name: str
    dtypes: tuple[str, ...]
    leading: str = ""
    colors: tuple[str, ...] = ()


_INTEGERS = ("uint8", "uint16", "uint32", "int8", "int16", "int32")
_TIFF = Format("TIFF", ("float32", "float16", "float64", *_INTEGERS), "*")
_PNG = Format("PNG", ("uint8", "uint16"))
_JPEG = Format("JPEG", ("uint8",))
_NIFTI = Format("NIfTI", ("float32", "float64", *_INTEGERS), "CTZ", ("uint8",))
_NRRD = Format("NRRD", ("float32", "float64", *_INTEGERS), "TZ", ("uint8",))
_META = Format("MetaImage", ("float32", "float64", *_INTEGERS), "TZ", ("uint8",))
_DICOM = Format("DICOM", ())
_ZARR = Format("OME-Zarr", ("float32", "float16", "float64", *_INTEGERS), "TCZ")

FORMATS = {
    ".tif": _TIFF,
    ".tiff": _TIFF,
    ".png": _PNG,
    ".jpg": _JPEG,
    ".jpeg": _JPEG,
    ".nii": _NIFTI,
    ".nii.gz": _NIFTI,
    ".nrrd": _NRRD,
    ".nhdr": Format("NRRD", ()),
    ".mha": _META,
    ".mhd": Format("MetaImage", ()),
    ".dcm": _DICOM,
    ".zarr": _ZARR,
    ".ome.zarr": _ZARR,
}
"""Every format by the suffix of its files; a folder is one of OME-Zarr, or a series of DICOM."""


def find_format(path: Path) -> Format:
    """Return the format of a file by its suffix; raise FileError if it is not one of ours."""
    if full_suffix(path) != ".zarr" and _is_folder(path):
        return _ZARR if is_zarr(path) else _DICOM
    try:
        return FORMATS[full_suffix(path)]
    except KeyError:
        raise FileError(
            f"{path} is of an unknown format: expected a name that ends in {', '.join(FORMATS)}."
        ) from None


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):  # no file can be of that name
        return False


def is_image_folder(path: Path) -> bool:
    """Whether a folder is one image: an OME-Zarr, or a series of DICOM."""
    return _is_folder(path) and (is_ome_zarr(path) or is_dicom_folder(path))


def read(path: str | Path, *, nodata: float | None = None, alpha: bool = False) -> ImageFile:
    """Read an image file, or a series of DICOM.

    Parameters
    ----------
    path : str or Path
        A TIFF (the first series of a file that has several), a PNG or a JPEG; a volume of NIfTI, NRRD
        or MetaImage; the folder of a series of DICOM, or a file of it; the folder of an OME-Zarr.
    nodata : float, optional
        The value of missing pixels; by default what a TIFF says itself (GDAL_NODATA).
    alpha : bool
        Whether what a TIFF in colour calls alpha stays, as a fourth channel.

    Returns
    -------
    ImageFile
        In the dtype of the file, or in float32 where the file scales its values (NIfTI, DICOM);
        upright, palettes applied, inks and YCbCr made red, green and blue, without what the file
        calls alpha unless asked for it; a fourth sample that it does not call so stays, and all are
        bands in front then. Volumes of patients come in planes across the body, (Z, Y, X), seen from
        the feet with the front above, whatever their orientation in the file. Missing floats are
        NaN, missing integers masked. The spacing is that of OME, ImageJ or the TIFF resolution, or
        of the volume.

    Raises
    ------
    FileError
        There is no such file, it is of another format, it is damaged, or it holds what cannot be
        represented so.
    MissingDependencyError
        The format needs a package that is not installed.

    Warns
    -----
    UserWarning
        The file does not say where its voxels lie, or says it twice and differently.

    Examples
    --------
    >>> from napari_gifnet.files.samples import FOLDER
    >>> image = read(FOLDER / "pet.tif")
    >>> image.axes, image.data.shape
    ('ZYX', (61, 88, 74))
    """
    path = Path(path)
    form = find_format(path)
    reader = _READERS.get(form.name, read_photograph)
    try:
        return read_tiff(path, nodata, alpha) if form is _TIFF else reader(path, nodata)
    except GIFNetError:
        raise
    except OSError as error:
        reason = error.strerror or "it is damaged or of another format"
        raise FileError(unreadable(path, reason)) from error
    except Exception as error:  # a damaged file can raise nearly anything
        reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise FileError(
            f"{path} cannot be read as an image: it seems to be damaged ({reason}); fetch or save it again."
        ) from error


_READERS = {
    "TIFF": read_tiff,
    "NIfTI": read_nifti,
    "NRRD": read_itk,
    "MetaImage": read_itk,
    "DICOM": read_dicom,
    "OME-Zarr": read_ome_zarr,
}


def write(
    path: str | Path,
    data: np.ndarray,
    axes: str,
    *,
    spacing: Mapping[str, Length] | None = None,
    description: str = "",
    like: ImageFile | None = None,
    ome_zarr: str | None = None,
) -> None:
    """Write an image file; it appears under its name when it is complete, in the place of another.

    Parameters
    ----------
    path : str or Path
        The suffix says the format. A TIFF is an OME-TIFF if it ends in ``.ome.tif``; else one of
        ImageJ where that can hold the data, and a plain one where not.
    data : array (..., Y, X) or, in colour, (..., Y, X, 3)
        A dask array is computed plane by plane as it is written to a TIFF or an OME-Zarr. A TIFF
        or a PNG takes a fourth channel, alpha. Integers are written as they are. Floats are written
        as they are to a TIFF or a volume; for PNG and JPEG, and colours in volumes, [0, 1] is scaled
        to 8 bits, and a NaN becomes 0. JPEG quality is 95.
    axes : str
        As in `ImageFile`.
    spacing : mapping, optional
        As in `ImageFile`; that of `like` by default.
    description : str
        Kept in the file.
    like : ImageFile, optional
        An image on whose grid the data lie: its place in the world, the orientation of its file, its
        colour profile and its geographic tags are kept where the format can hold them.
    ome_zarr : {"0.5", "0.4"}, optional
        The version of an OME-Zarr; by default that of `like`, or else 0.5.

    Raises
    ------
    FileError
        The format cannot hold the data, or the file cannot be written.
    MissingDependencyError
        The format needs a package that is not installed.

    Warns
    -----
    UserWarning
        The format cannot hold a size or the description; the pixels are written all the same.

    Examples
    --------
    >>> write("edges.png", np.eye(5), "YX")
    >>> read("edges.png").data[0]
    array([255,   0,   0,   0,   0], dtype=uint8)
    """
    path = Path(path)
    form = find_format(path)
    if is_dask(data) and form not in (_TIFF, _ZARR):
        data = np.asarray(data)
    if data.dtype == np.float16 and "float32" in _dtypes(form, axes) and form is not _TIFF:
        data = data.astype(np.float32)
    if data.dtype.kind in "fb" and data.dtype.name not in _dtypes(form, axes):
        data = from_unit(data.astype(np.float32, copy=False), np.dtype(np.uint8))
    check_format(path, axes, data.dtype)
    description = written_text(description)
    like = ImageFile(data, axes) if like is None else like
    if spacing is None:
        spacing = {axis: length for axis, length in like.spacing.items() if axis in axes}
    with complete_file(path) as temporary:
        if form is _TIFF:
            as_ome = path.name.lower().endswith((".ome.tif", ".ome.tiff"))
            lost = write_tiff(temporary, data, axes, spacing, description, as_ome, like)
        elif form is _ZARR:
            version = ome_zarr or like.tags.get(VERSION_TAG, VERSIONS[0])
            lost = write_ome_zarr(temporary, data, axes, like, spacing, description, version)
        elif form.colors:
            orientation = stored_like(like, data.shape, axes, spacing)
            writer = write_nifti if form is _NIFTI else write_itk
            lost = writer(temporary, data, axes, orientation, spacing, description)
        else:
            lost = write_photograph(temporary, data, description, like.profile)
            lost += [axis for axis, length in spacing.items() if length.unit != "inch"]
        if like.says_where and form in (_TIFF, _PNG, _JPEG):
            lost.append("its place in the world")
    if lost:
        things = ", ".join(f"the pixel size along {it}" if len(it) == 1 else it for it in lost)
        warnings.warn(f"{path} was written without {things}, which it cannot hold.", stacklevel=2)


def check_destination(path: Path, overwrite: bool = False, sources: Sequence[Path] = ()) -> None:
    """Raise FileError, before any work is done, if a file of that name cannot be written."""
    form = find_format(path)
    if not form.dtypes and not _is_folder(path):
        written = [suffix for suffix, other in FORMATS.items() if other.dtypes]
        raise FileError(
            f"{path}: {full_suffix(path)} is read, but not written: expected a name that ends in "
            f"{', '.join(written)}."
        )
    destinations.check_destination(
        path, overwrite, sources, replaces_folder=_is_replaced_as_folder(path)
    )


def check_replaceable(path: Path, overwrite: bool = False, sources: Sequence[Path] = ()) -> None:
    """Raise FileError if what is under a name must stay there; nothing is touched to find out."""
    destinations.check_replaceable(
        path, overwrite, sources, replaces_folder=_is_replaced_as_folder(path)
    )


def _is_replaced_as_folder(path: Path) -> bool:
    """Whether a folder may give way to a result, which is an OME-Zarr as it is, or empty."""
    if find_format(path) is not _ZARR or not _is_folder(path):
        return False
    return is_zarr(path) or not any(path.iterdir())


def check_format(path: Path, axes: str, dtype: np.dtype) -> None:
    """Raise FileError if the format of a file cannot hold such an image."""
    form = find_format(path)
    dtypes = _dtypes(form, axes)
    scaled = dtype.kind == "f" and dtypes == form.colors
    if dtype.name not in dtypes and not scaled:
        raise FileError(
            f"{path.name}: a {form.name} file cannot hold {dtype.name}: expected "
            f"{' or '.join(dtypes)}, or another format ({', '.join(FORMATS)})."
        )
    leading = axes.removesuffix("S")[:-2]
    if form.leading == "*" or set(leading) <= set(form.leading):
        return
    if not form.leading:
        raise FileError(
            f"{path.name}: a {form.name} file holds one plane, the image is a stack of axes "
            f"{axes}: choose a name that ends in .tif."
        )
    raise FileError(
        f"{path.name}: a {form.name} file has the axes {form.leading}YX, the image {axes}: choose a "
        "name that ends in .tif."
    )


def _dtypes(form: Format, axes: str) -> tuple[str, ...]:
    return form.colors if axes.endswith("S") and form.colors else form.dtypes
