"""Image files in and out: TIFF, PNG and JPEG."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from napari_gifnet.errors import GIFNetError
from napari_gifnet.planes.ranges import from_unit

from . import destinations
from .destinations import complete_file, make_folder
from .image_file import FileError, ImageFile, written_text
from .lengths import Length
from .photographs import read_photograph, write_photograph
from .tiff import read_tiff, write_tiff

__all__ = [
    "FORMATS",
    "FileError",
    "ImageFile",
    "Length",
    "check_destination",
    "check_format",
    "find_format",
    "make_folder",
    "read",
    "write",
]


class Format(NamedTuple):
    """A file format, the dtypes it is written in, the preferred one first, and if it stacks."""

    name: str
    dtypes: tuple[str, ...]
    stacks: bool = False


_TIFF = Format(
    "TIFF",
    ("float32", "float16", "float64", "uint8", "uint16", "uint32", "int8", "int16", "int32"),
    stacks=True,
)
_PNG = Format("PNG", ("uint8", "uint16"))
_JPEG = Format("JPEG", ("uint8",))

FORMATS = {".tif": _TIFF, ".tiff": _TIFF, ".png": _PNG, ".jpg": _JPEG, ".jpeg": _JPEG}
"""Every format by the suffix of its files."""


def find_format(path: Path) -> Format:
    """Return the format of a file by its suffix; raise FileError if it is not one of ours."""
    try:
        return FORMATS[path.suffix.lower()]
    except KeyError:
        raise FileError(
            f"{path} is of an unknown format: expected a name that ends in {', '.join(FORMATS)}."
        ) from None


def read(path: str | Path, *, nodata: float | None = None) -> ImageFile:
    """Read an image file.

    Parameters
    ----------
    path : str or Path
        A TIFF (the first series of a file that has several), a PNG or a JPEG.
    nodata : float, optional
        The value of missing pixels; by default what a TIFF says itself (GDAL_NODATA).

    Returns
    -------
    ImageFile
        In the dtype of the file, upright, palettes applied, inks and YCbCr made red, green and
        blue, without what the file calls alpha; a fourth sample that it does not call so stays, and
        all are bands in front then. Missing floats are NaN, missing integers masked. The spacing is
        that of OME, ImageJ or the TIFF resolution.

    Raises
    ------
    FileError
        There is no such file, it is of another format, it is damaged, or it holds what cannot be
        represented so.

    Examples
    --------
    >>> from napari_gifnet.files.samples import FOLDER
    >>> image = read(FOLDER / "pet.tif")
    >>> image.axes, image.data.shape
    ('ZYX', (61, 88, 74))
    """
    path = Path(path)
    reader = read_tiff if find_format(path) is _TIFF else read_photograph
    try:
        return reader(path, nodata)
    except GIFNetError:
        raise
    except OSError as error:
        reason = error.strerror or "it is damaged or of another format"
        raise FileError(f"{path} cannot be read: {reason}.") from error
    except Exception as error:  # a damaged file can raise nearly anything
        reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise FileError(
            f"{path} cannot be read as an image: it seems to be damaged ({reason})."
        ) from error


def write(
    path: str | Path,
    data: np.ndarray,
    axes: str,
    *,
    spacing: Mapping[str, Length] | None = None,
    description: str = "",
) -> None:
    """Write an image file; it appears under its name when it is complete, in the place of another.

    Parameters
    ----------
    path : str or Path
        The suffix says the format. A TIFF is an OME-TIFF if it ends in ``.ome.tif``; else one of
        ImageJ where that can hold the data, and a plain one where not.
    data : array (..., Y, X) or, in colour, (..., Y, X, 3)
        Integers are written as they are. Floats are written as they are to a TIFF; for PNG and
        JPEG [0, 1] is scaled to 8 bits, and a NaN becomes 0. JPEG quality is 95.
    axes : str
        As in `ImageFile`.
    spacing : mapping, optional
        As in `ImageFile`; for TIFF.
    description : str
        Kept in the file.

    Raises
    ------
    FileError
        The format cannot hold the data, or the file cannot be written.

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
    if data.dtype.kind in "fb" and data.dtype.name not in form.dtypes:
        data = from_unit(data.astype(np.float32, copy=False), np.dtype(np.uint8))
    check_format(path, axes, data.dtype)
    description = written_text(description)
    with complete_file(path) as temporary:
        if form is _TIFF:
            as_ome = path.name.lower().endswith((".ome.tif", ".ome.tiff"))
            lost = write_tiff(temporary, data, axes, spacing or {}, description, as_ome)
        else:
            write_photograph(temporary, data, description)
            lost = [axis for axis, length in (spacing or {}).items() if length.unit != "inch"]
    if lost:
        things = ", ".join(f"the pixel size along {it}" if len(it) == 1 else it for it in lost)
        warnings.warn(f"{path} was written without {things}, which it cannot hold.", stacklevel=2)


def check_destination(path: Path, overwrite: bool = False, sources: Sequence[Path] = ()) -> None:
    """Raise FileError, before any work is done, if a file of that name cannot be written."""
    find_format(path)
    destinations.check_destination(path, overwrite, sources)


def check_format(path: Path, axes: str, dtype: np.dtype) -> None:
    """Raise FileError if the format of a file cannot hold such an image."""
    form = find_format(path)
    if dtype.name not in form.dtypes:
        raise FileError(
            f"{path.name}: a {form.name} file cannot hold {dtype.name}: expected "
            f"{' or '.join(form.dtypes)}, or another format ({', '.join(FORMATS)})."
        )
    if axes.removesuffix("S") != "YX" and not form.stacks:
        raise FileError(
            f"{path.name}: a {form.name} file holds one plane, the image is a stack of axes "
            f"{axes}: choose a name that ends in .tif."
        )
