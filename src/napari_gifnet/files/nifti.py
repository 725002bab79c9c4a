"""NIfTI volumes (.nii, .nii.gz), by nibabel."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .descriptions import nifti_description
from .extras import import_extra
from .image_file import FileError, ImageFile, mask_nodata
from .lengths import Length, convert, find_unit, make_length
from .orientation import Orientation, find_orientation, grid_of_volume, volume_first

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["read_nifti", "write_nifti"]

RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""From the world of NIfTI, right, front, top, to that of DICOM; it undoes itself."""

_DISAGREEMENT = 0.1
"""Voxels by which the two affines of a header may differ at a corner before it is said."""

_LENGTHS = {"meter": "m", "mm": "mm", "micron": "µm"}
_TIMES = {"sec": "s", "msec": "ms", "usec": "µs"}

_LONGEST_AXIS = 32767
"""Voxels that NIfTI-1 counts along an axis; NIfTI-2 counts on."""

_DESCRIPTION_BYTES = 79


def read_nifti(path: Path, nodata: float | None = None) -> ImageFile:
    """Read a NIfTI file; errors of nibabel come out as they are.

    Parameters
    ----------
    path : Path
    nodata : float, optional
        The value of missing voxels.
    """
    nibabel = import_extra("nibabel", "medical", "NIfTI files")
    image = nibabel.load(path)
    if not isinstance(image, nibabel.Nifti1Pair) or isinstance(image, nibabel.Cifti2Image):
        raise FileError(f"{path} is a {type(image).__name__}: expected a NIfTI volume.")
    header = image.header
    shape = (*image.shape, *(1,) * (3 - len(image.shape)))
    if 0 in shape or (len(shape) > 5 and max(shape[5:]) > 1):
        raise FileError(f"{path} has {len(shape)} axes, of {shape}: expected up to five.")
    unit, second = header.get_xyzt_units()
    matrix = RAS_TO_LPS @ _affine(path, image, shape)
    orientation = find_orientation(path, matrix, _LENGTHS.get(unit, "mm"), header)

    values, in_color = _values(path, image, lazy=path.suffix.lower() == ".nii" and nodata is None)
    channels = (3,) if in_color else ()
    shape = (*shape, *(1,) * (5 - len(shape)))[:5]
    data = orientation.canonical(values.reshape(shape + channels))
    data = data.transpose(4, 3, 0, 1, 2, *range(5, data.ndim))  # (C, T, Z, Y, X)
    keep = [n > 1 for n in data.shape[:2]]
    data = data[tuple(slice(None) if wanted else 0 for wanted in keep)]
    axes = "".join(letter for letter, wanted in zip("CT", keep, strict=True) if wanted) + "ZYX"
    if nodata is not None:
        data = mask_nodata(data, nodata, in_color)
    grid, spacing = grid_of_volume(
        orientation, data.shape[: len(axes)], axes, path.name.partition(".")[0]
    )
    if "T" in axes and (step := make_length(header.get_zooms()[3], _TIMES.get(second, ""))):
        spacing["T"] = step
    said = nifti_description(header)
    return ImageFile(data, axes + "S" * in_color, spacing, grid, orientation, description=said)


def _affine(path: Path, image: Any, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Return the affine that the header means, as nibabel does; say where it is in doubt."""
    header = image.header
    sform, has_sform = header.get_sform(coded=True)
    try:
        qform, has_qform = header.get_qform(coded=True)
    except ValueError:  # a quaternion that is none
        qform, has_qform = None, 0
    if not has_sform and not has_qform:
        warnings.warn(
            f"{path.name} does not say where its voxels lie (qform and sform have code 0): their "
            "sizes are taken, and the middle of the volume as the world's origin.",
            stacklevel=4,
        )
    elif has_sform and has_qform and qform is not None:
        corners = np.array(np.meshgrid(*([0, n - 1] for n in shape[:3]))).reshape(3, -1)
        apart = (sform - qform)[:3] @ np.vstack([corners, np.ones(8)])
        steps = np.linalg.norm(sform[:3, :3], axis=0)
        if np.linalg.norm(apart, axis=0).max() > _DISAGREEMENT * steps.min() > 0:
            warnings.warn(
                f"{path.name} states two places for its voxels, up to "
                f"{np.linalg.norm(apart, axis=0).max():.3g} apart: the sform (code {has_sform}) is "
                f"taken, not the qform (code {has_qform}).",
                stacklevel=4,
            )
    return np.asarray(sform if has_sform else image.affine, float)


class _Scaled:
    """Stored numbers that are multiplied and shifted when they are sliced."""

    dtype = np.dtype(np.float32)

    def __init__(self, raw: np.ndarray, slope: float, intercept: float) -> None:
        self.raw, self.slope, self.intercept = raw, slope, intercept
        self.shape, self.ndim = raw.shape, raw.ndim
        self.chunks = tuple(n if axis < 2 else 1 for axis, n in enumerate(raw.shape))

    def __getitem__(self, index: Any) -> np.ndarray:
        values = np.asarray(self.raw[index], np.float64) * self.slope + self.intercept
        return np.asarray(values, np.float32)


def _values(path: Path, image: Any, lazy: bool) -> tuple[Any, bool]:
    """Return the values in the file's order, its scale applied, and whether they are colours."""
    proxy = image.dataobj
    raw = proxy.get_unscaled()
    if raw.dtype.names:
        if not {"R", "G", "B"} <= set(raw.dtype.names):
            raise FileError(f"{path} holds records of {raw.dtype.names}: expected gray or RGB.")
        return np.stack([raw[name] for name in "RGB"], axis=-1), True
    if raw.dtype.kind not in "iuf":
        raise FileError(f"{path} holds values of {raw.dtype}: expected integers or real numbers.")
    if raw.dtype.itemsize > 8:
        raw = raw.astype(np.float64)
    slope, intercept = float(proxy.slope), float(proxy.inter)
    if (slope, intercept) == (1.0, 0.0):
        if lazy and raw.dtype.isnative:
            return raw, False
        return np.asarray(raw, raw.dtype.newbyteorder("=")), False
    scaled = _Scaled(raw, slope, intercept)
    if lazy and raw.ndim > 2:
        try:
            import dask.array as da

            return da.from_array(scaled, chunks=scaled.chunks, name=False), False
        except ImportError:
            pass  # all of it, then
    values = np.empty(raw.shape, np.float32, order="F")
    for last in range(raw.shape[-1]):  # without a whole volume of float64
        values[..., last] = scaled[..., last]
    return values, False


def write_nifti(
    path: Path,
    data: np.ndarray,
    axes: str,
    orientation: Orientation,
    spacing: Mapping[str, Length],
    description: str,
) -> list[str]:
    """Write a NIfTI file; return the axes whose pixel sizes it could not keep.

    Parameters
    ----------
    path : Path
    data : array (Z, Y, X), (T, Z, Y, X), (C, Z, Y, X), (C, T, Z, Y, X), without Z, or in colour
        uint8 in colour.
    axes : str
    orientation : Orientation
        What is to be undone; its header is kept if it is one of NIfTI.
    spacing : mapping
        As in `ImageFile`.
    description : str
    """
    nibabel = import_extra("nibabel", "medical", "NIfTI files")
    if find_unit(orientation.unit) not in _LENGTHS.values():
        orientation = orientation.in_unit("mm")
    in_color = axes.endswith("S")
    letters = axes.removesuffix("S")
    values = orientation.stored(volume_first(data, letters))
    if in_color:
        rgb = np.zeros(values.shape[:-1], [("R", "u1"), ("G", "u1"), ("B", "u1")])
        for channel, name in enumerate("RGB"):
            rgb[name] = values[..., channel]
        values = rgb
    while values.ndim > 3 and values.shape[-1] == 1:
        values = values[..., 0]

    kept = orientation.header if isinstance(orientation.header, nibabel.Nifti1Header) else None
    large = max(values.shape) > _LONGEST_AXIS or isinstance(kept, nibabel.Nifti2Header)
    kind = nibabel.Nifti2Image if large else nibabel.Nifti1Image
    affine = RAS_TO_LPS @ orientation.matrix
    if kept is None:
        image = kind(values, affine)
        _place(image.header, affine)
    else:
        header = kind.header_class.from_header(kept, check=False)
        header.extensions.clear()
        header.set_data_dtype(values.dtype)
        header.set_intent("none")
        header["cal_min"] = header["cal_max"] = 0
        image = kind(values, affine, header)
    header = image.header
    header["descrip"] = description.encode()[:_DESCRIPTION_BYTES].decode(errors="ignore").encode()
    header["aux_file"] = b""
    header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", description.encode()))
    spatial = {unit: name for name, unit in _LENGTHS.items()}[find_unit(orientation.unit)]
    seconds = convert(spacing["T"], "s") if "T" in spacing else None
    header.set_xyzt_units(spatial, "sec" if seconds else "unknown")
    if seconds and values.ndim > 3:
        header.set_zooms((*header.get_zooms()[:3], seconds, *header.get_zooms()[4:]))
    nibabel.save(image, path)
    return ["T"] if "T" in spacing and seconds is None else []


def _place(header: Any, affine: NDArray[np.float64]) -> None:
    """Write an affine as sform, and as qform where that can hold it."""
    turn = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    right = np.abs(turn.T @ turn - np.eye(3)).max() < 1e-6
    header.set_sform(affine, code="aligned")
    header.set_qform(affine, code="aligned" if right else "unknown")
