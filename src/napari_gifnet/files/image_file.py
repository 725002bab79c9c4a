"""An image file in memory: its values, its axes, the sizes of its pixels."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_gifnet.errors import GIFNetError

from .lengths import Length

if TYPE_CHECKING:
    from napari_gifnet.grids.world_grid import WorldGrid

    from .orientation import Orientation

__all__ = ["FileError", "ImageFile", "full_suffix", "mask_nodata", "upright", "written_text"]


class FileError(GIFNetError):
    """An image file cannot be read or written."""


@dataclass(frozen=True, eq=False)
class ImageFile:
    """What an image file holds.

    Attributes
    ----------
    data : array (..., Y, X) or, in colour, (..., Y, X, 3)
        A masked array where integers are missing; missing floats are NaN. What is read when it is
        asked for is a memory map, or a dask array.
    axes : str
        A letter for each axis of `data`, those of tifffile: "YX", "ZYX", "TCYX" …; a last "S" is
        colour, and nothing else is.
    spacing : dict
        From the letter of an axis to the distance of its pixels; without those not in the file.
    grid : WorldGrid, optional
        Where the pixels lie, along all axes but colour: volumes of patients to the head's top, back
        and left (the world of DICOM, "LPS"), in the file's unit. Time and bands are counted from 0.
        None where the file has no sizes of pixels.
    orientation : Orientation, optional
        How the file stores a volume, which is undone in `data`.
    profile : bytes, optional
        The ICC profile of the colours, or of the grays.
    tags : dict
        What else the file says that a result of the same format keeps: of a TIFF the tags of GeoTIFF
        and GDAL, by number; of an OME-Zarr its version.
    description : str
        What a TIFF, a NIfTI or an OME-Zarr says of itself in words.
    """

    data: Any
    axes: str
    spacing: dict[str, Length] = field(default_factory=dict)
    grid: WorldGrid | None = None
    orientation: Orientation | None = None
    profile: bytes | None = field(default=None, repr=False)
    tags: Mapping[Any, Any] = field(default_factory=dict, repr=False)
    description: str = field(default="", repr=False)

    @property
    def in_color(self) -> bool:
        """Whether the last axis is red, green and blue."""
        return self.axes.endswith("S")

    @property
    def says_where(self) -> bool:
        """Whether it is known where the pixels lie, and not only how far they lie apart."""
        moved = self.grid is not None and bool(self.grid.translate.any())
        return self.orientation is not None or moved

    @property
    def leading(self) -> str:
        """The letters of the axes in front of the planes."""
        return self.axes.removesuffix("S")[:-2]

    @property
    def sides(self) -> tuple[int, int]:
        """Height and width of the planes, in pixels."""
        return tuple(self.data.shape[len(self.leading) :][:2])


def full_suffix(path: Path) -> str:
    """Return what the name of a file says of its format, in lower case.

    Examples
    --------
    >>> full_suffix(Path("pet.2.NII.gz")), full_suffix(Path("mri.tif"))
    ('.nii.gz', '.tif')
    """
    name = path.name.lower()
    return ".nii.gz" if name.endswith(".nii.gz") else path.suffix.lower()


def upright(data: np.ndarray, y: int, orientation: int) -> np.ndarray:
    """Return an image turned as the orientation of TIFF and Exif asks.

    Parameters
    ----------
    data : array
    y : int
        The axis of the rows; that of the columns is the next.
    orientation : int
        1 to 8; from 5 on rows and columns change places. All else is no orientation.
    """
    if orientation in (5, 6, 7, 8):
        data = data.swapaxes(y, y + 1)
    if orientation in (3, 4, 7, 8):
        data = np.flip(data, y)
    if orientation in (2, 3, 6, 7):
        data = np.flip(data, y + 1)
    return data


def mask_nodata(data: np.ndarray, nodata: float, in_color: bool) -> np.ndarray:
    """Return the data without the pixels of a value that stands for "no data".

    Parameters
    ----------
    data : array
    nodata : float
        A value that the dtype cannot hold is nowhere. In colour a pixel is missing if all its
        channels have the value.
    in_color : bool
        The last axis is colour.

    Returns
    -------
    array
        Floats are NaN where they are missing, integers masked; the data themselves if none is.
    """
    if data.dtype.kind == "f":
        with np.errstate(over="ignore"):
            missing = data == data.dtype.type(nodata)
    elif data.dtype.kind in "iu" and np.isfinite(nodata) and float(nodata).is_integer():
        limits = np.iinfo(data.dtype)
        if not limits.min <= int(nodata) <= limits.max:
            return data
        missing = data == data.dtype.type(int(nodata))
    else:
        return data
    if in_color:
        missing = np.broadcast_to(missing.all(axis=-1, keepdims=True), data.shape)
    if not missing.any():
        return data
    if data.dtype.kind == "f":
        return np.where(missing, data.dtype.type(np.nan), data)
    return np.ma.masked_array(data, missing)


def written_text(text: str) -> str:
    r"""Return a text that every format can hold: names that are not UTF-8 get escapes.

    Examples
    --------
    >>> written_text("caf\udce9.png")
    'caf\\xe9.png'
    """

    def escape(found: re.Match[str]) -> str:
        code = ord(found[0])
        return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"

    text = re.sub("[\ud800-\udfff]", escape, text)
    return re.sub("[\x00-\x08\x0b-\x1f\x7f\ufffe\uffff]", " ", text)
