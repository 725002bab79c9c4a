"""NRRD and MetaImage volumes, by SimpleITK."""

from __future__ import annotations

import errno
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_gifnet.errors import unreadable

from .extras import import_extra
from .image_file import FileError, ImageFile, mask_nodata
from .lengths import Length, find_unit
from .orientation import (
    Orientation,
    find_orientation,
    grid_of_spacing,
    grid_of_volume,
    volume_first,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["image_from_itk", "itk_reason", "read_itk", "write_itk"]

_SAYS_SIZES = re.compile(rb"^(space directions|spacings|element(spacing|size))\s*[:=]", re.I | re.M)
_SPACE_UNITS = re.compile(rb'^space units\s*:\s*"([^"]*)"', re.I | re.M)
_HEADER_BYTES = 2**16


def read_itk(path: Path, nodata: float | None = None) -> ImageFile:
    """Read a NRRD or a MetaImage, which may be a header beside its data.

    Parameters
    ----------
    path : Path
    nodata : float, optional
        The value of missing voxels.
    """
    sitk = import_extra("SimpleITK", "medical", "NRRD and MetaImage files")
    with path.open("rb") as file:
        header = file.read(_HEADER_BYTES)
    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError as error:
        raise FileError(unreadable(path, itk_reason(error))) from error
    unit = _SPACE_UNITS.search(header)
    name = find_unit(unit[1].decode(errors="replace")) if unit else "mm"
    result = image_from_itk(path, image, name or "mm")
    if not _SAYS_SIZES.search(header):  # ITK takes 1 mm
        result = ImageFile(result.data, result.axes)
    if nodata is None:
        return result
    return replace(result, data=mask_nodata(result.data, nodata, result.in_color))


def image_from_itk(
    path: Path, image: Any, unit: str = "mm", matrix: NDArray[np.float64] | None = None
) -> ImageFile:
    """Return an image of SimpleITK in the canonical orientation.

    Parameters
    ----------
    path : Path
        For names and errors.
    image : SimpleITK.Image
        Of two, three or, with time, four axes.
    unit : str
        Of its spacing and origin.
    matrix : array (4, 4), optional
        From its indices to the world, in the place of its own.
    """
    import SimpleITK as sitk

    ndim, count = image.GetDimension(), image.GetNumberOfComponentsPerPixel()
    values = sitk.GetArrayFromImage(image)
    if values.dtype.kind not in "iuf" or ndim not in (2, 3, 4):
        raise FileError(
            f"{path} holds {values.dtype} of {ndim} axes: expected integers or real numbers of two, "
            "three or, with time, four."
        )
    axes = "TZYX"[-ndim:]
    if count > 1:
        if count in (3, 4) and values.dtype == np.uint8:
            values, axes = values[..., :3], axes + "S"
        else:
            values, axes = np.moveaxis(values, -1, 0), "C" + axes
    name = path.name.partition(".")[0]
    shape = values.shape[: len(axes.removesuffix("S"))]
    direction = np.array(image.GetDirection()).reshape(ndim, ndim)
    if ndim == 2:
        return _flat(image, values, axes, unit, name)
    if ndim == 4 and (direction[:3, 3].any() or direction[3, :3].any()):
        raise FileError(f"{path} has time mixed with its spatial axes: expected it apart.")
    if matrix is None:
        matrix = np.eye(4)
        matrix[:3, :3] = direction[:3, :3] * image.GetSpacing()[:3]
        matrix[:3, 3] = image.GetOrigin()[:3]
    orientation = find_orientation(path, matrix, unit)
    place = axes.index("Z")
    front = list(range(place))
    rest = list(range(place + 3, values.ndim))
    values = values.transpose(place + 2, place + 1, place, *front, *rest)  # (i, j, k, …)
    values = orientation.canonical(values)
    values = values.transpose(*(3 + i for i in front), 0, 1, 2, *rest)
    grid, spacing = grid_of_volume(
        orientation, values.shape[: len(shape)], axes.removesuffix("S"), name
    )
    return ImageFile(values, axes, spacing, grid, orientation)


def _flat(image: Any, values: np.ndarray, axes: str, unit: str, name: str) -> ImageFile:
    """Return an image of two axes, of which is not known how it lies in a patient."""
    spacing = {
        axis: Length(step, unit) for axis, step in zip("XY", image.GetSpacing(), strict=True)
    }
    origin = dict(zip("XY", image.GetOrigin(), strict=True))
    letters = axes.removesuffix("S")
    grid = grid_of_spacing(values.shape[: len(letters)], letters, spacing, name, origin)
    return ImageFile(values, axes, spacing, grid)


def itk_reason(error: Exception) -> str:
    """Return what an error of SimpleITK says, without the places in its sources."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = [line for line in lines if "rror" in line] or lines
    text = re.sub(r"^.*?(sitk::ERROR|ITK ERROR|Error):?\s*", "", said[-1] if said else "")
    text = re.sub(r"\w+\((0x)?[0-9a-f]+\):?\s*", "", text)
    return " ".join(text.split()).rstrip(".") or "it is damaged"


def write_itk(
    path: Path,
    data: np.ndarray,
    axes: str,
    orientation: Orientation,
    spacing: Mapping[str, Length],
    description: str,
) -> list[str]:
    """Write a NRRD or a MetaImage, compressed; return the axes whose sizes it could not keep.

    Parameters
    ----------
    path : Path
    data : array (Z, Y, X), (T, Z, Y, X), without Z, or in colour
    axes : str
    orientation : Orientation
        What is to be undone.
    spacing : mapping
        As in `ImageFile`.
    description : str
    """
    sitk = import_extra("SimpleITK", "medical", "NRRD and MetaImage files")
    orientation = orientation.in_unit("mm")
    in_color = axes.endswith("S")
    letters = axes.removesuffix("S")
    values = orientation.stored(volume_first(data, letters))[:, :, :, :, 0]  # (i, j, k, T, …)
    order = (3, 2, 1, 0) if "T" in letters else (2, 1, 0)
    values = values if "T" in letters else values[:, :, :, 0]
    values = values.transpose(*order, *range(len(order), values.ndim))
    image = sitk.GetImageFromArray(np.ascontiguousarray(values), isVector=in_color)
    size = len(order)
    steps = np.linalg.norm(orientation.matrix[:3, :3], axis=0)
    direction = np.eye(size)
    direction[:3, :3] = orientation.matrix[:3, :3] / steps
    image.SetSpacing([*steps.tolist(), *(1.0,) * (size - 3)])
    image.SetOrigin([*orientation.matrix[:3, 3].tolist(), *(0.0,) * (size - 3)])
    image.SetDirection(direction.ravel().tolist())
    if description:  # ITK complains of an empty one
        image.SetMetaData("Description", " ".join(description.split()))
    try:
        sitk.WriteImage(image, str(path), useCompression=True)
    except RuntimeError as error:
        raise OSError(errno.EIO, itk_reason(error)) from error
    return ["T"] if "T" in spacing else []
