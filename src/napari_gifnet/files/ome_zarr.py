"""OME-Zarr images, versions 0.4 and 0.5, by zarr: read when they are looked at, written with a pyramid."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from napari_gifnet.errors import unreadable

from .extras import import_extra
from .image_file import FileError, ImageFile, mask_nodata
from .lengths import Length, as_number, find_unit, is_size
from .orientation import SPATIAL, grid_of_spacing

__all__ = ["VERSIONS", "is_ome_zarr", "is_zarr", "read_ome_zarr", "write_ome_zarr"]

VERSIONS = ("0.5", "0.4")
"""Those that are understood, the one that is written first."""

VERSION_TAG = "OME-Zarr"
"""Under which `ImageFile.tags` holds the version of a file."""

_ORDER = "TCZYX"
_TYPES = {"T": "time", "C": "channel"}
_PRIMARIES = ("FF0000", "00FF00", "0000FF")
"""The display colours of the channels of an image in colour."""

_COARSEST = 64
"""Pixels of the longer side at which a pyramid ends."""

_CHUNK = 512

_UNITS = {
    "pm": "picometer",
    "Å": "angstrom",
    "nm": "nanometer",
    "µm": "micrometer",
    "mm": "millimeter",
    "cm": "centimeter",
    "dm": "decimeter",
    "m": "meter",
    "km": "kilometer",
    "inch": "inch",
    "ft": "foot",
    "ns": "nanosecond",
    "µs": "microsecond",
    "ms": "millisecond",
    "s": "second",
    "min": "minute",
    "h": "hour",
    "d": "day",
}


def is_zarr(path: Path) -> bool:
    """Whether a folder is one of zarr, by the files that every group has."""
    return any((path / name).is_file() for name in ("zarr.json", ".zgroup", ".zattrs"))


def is_ome_zarr(path: Path) -> bool:
    """Whether a folder says of itself that it holds an image of OME-Zarr; zarr is not needed."""
    for name in ("zarr.json", ".zattrs"):
        try:
            found = json.loads((path / name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        found = found.get("attributes", {}) if name == "zarr.json" else found
        found = found.get("ome", found)
        if "multiscales" in found or "bioformats2raw.layout" in found:
            return True
    return False


def read_ome_zarr(path: Path, nodata: float | None = None) -> ImageFile:
    """Read the finest level of an image.

    Parameters
    ----------
    path : Path
    nodata : float, optional
        The value of missing pixels; all of the image is read then.
    """
    zarr = import_extra("zarr", "zarr", "OME-Zarr files")
    if not path.is_dir():
        raise FileError(unreadable(path, "there is no such folder"))
    if not is_zarr(path):
        raise FileError(
            f"{path} is no OME-Zarr image: it has no metadata of zarr; give the folder that has them."
        )
    group = zarr.open(str(path), mode="r")
    described = _multiscales(path, group)
    image, version = described["multiscales"][0], described["version"]
    if version not in VERSIONS:
        raise FileError(
            f"{path} is of OME-Zarr {version or 'of an unknown version'}: expected "
            f"{' or '.join(VERSIONS)}; convert it first."
        )
    array = group[image["datasets"][0]["path"]]
    letters = _letters(path, image["axes"], array.ndim)
    scale, translation = _transformations(image, array.ndim)
    spacing = {}
    for letter, axis, step in zip(letters, image["axes"], scale, strict=True):
        unit = find_unit(axis.get("unit") or "")
        if unit and is_size(step) and letter != "C":
            spacing[letter] = Length(step, unit)
    data: Any = _values(path, array, lazy=nodata is None)
    order = [letters.index(a) for a in letters if a not in SPATIAL]
    order += [letters.index(a) for a in SPATIAL if a in letters]
    data, axes = data.transpose(order), "".join(letters[place] for place in order)
    origin = dict(zip(letters, translation, strict=True))
    if axes.count("C") and data.shape[axes.index("C")] == 3 and _in_color(described):
        data, axes = np.moveaxis(data, axes.index("C"), -1), axes.replace("C", "") + "S"
    if nodata is not None:
        data = mask_nodata(data, nodata, axes.endswith("S"))
    own = axes.removesuffix("S")
    name = path.name.partition(".")[0]
    grid = grid_of_spacing(data.shape[: len(own)], own, spacing, name, origin)
    said = image["metadata"] if isinstance(image.get("metadata"), dict) else {}
    return ImageFile(
        data,
        axes,
        spacing,
        grid,
        tags={VERSION_TAG: version},
        description=str(said.get("description", "")),
    )


def _multiscales(path: Path, group: Any) -> dict[str, Any]:
    """Return the metadata of an image: its version, multiscales and omero."""
    attributes = dict(group.attrs)
    found = dict(attributes.get("ome", attributes))
    if "plate" in found or "well" in found:
        raise FileError(
            f"{path} is a plate of images: name one of them, such as {path / 'A' / '1' / '0'}."
        )
    if "bioformats2raw.layout" in found and "multiscales" not in found and "0" in group:
        return _multiscales(path / "0", group["0"])
    if not found.get("multiscales"):
        raise FileError(
            f"{path} is no OME-Zarr image: its metadata have no multiscales; give the folder of an image."
        )
    if len(found["multiscales"]) > 1:
        warnings.warn(f"{path.name} holds several images: the first is read.", stacklevel=4)
    version = found.get("version") or found["multiscales"][0].get("version")
    return found | {"version": version if version is None else str(version)}


def _letters(path: Path, axes: Sequence[Any], ndim: int) -> str:
    names = [axis["name"] if isinstance(axis, dict) else str(axis) for axis in axes]
    letters = "".join(name[:1].upper() for name in names)
    if len(letters) != ndim or len(set(letters)) < ndim or not {"Y", "X"} <= set(letters):
        raise FileError(f"{path} has the axes {names}: expected y and x, and others beside them.")
    return letters


def _transformations(image: Mapping[str, Any], ndim: int) -> tuple[list[float], list[float]]:
    """Return the step between pixels, and the place of the first, along each axis."""
    scale, translation = np.ones(ndim), np.zeros(ndim)
    for each in (
        *image["datasets"][0].get("coordinateTransformations", ()),
        *image.get("coordinateTransformations", ()),
    ):
        numbers = np.array([as_number(n) for n in each.get(each["type"], ())])
        if each["type"] == "scale":
            scale, translation = scale * numbers, translation * numbers
        elif each["type"] == "translation":
            translation = translation + numbers
    return scale.tolist(), translation.tolist()


def _in_color(described: Mapping[str, Any]) -> bool:
    channels = (described.get("omero") or {}).get("channels") or ()
    return tuple(str(each.get("color", "")).upper() for each in channels) == _PRIMARIES


def _values(path: Path, array: Any, lazy: bool) -> Any:
    if array.dtype.kind not in "biuf":
        raise FileError(f"{path} holds values of {array.dtype}: expected integers or real numbers.")
    if lazy:
        try:
            import dask.array as da

            return da.from_array(array, chunks=array.chunks, name=False)
        except ImportError:
            pass  # all of it, then, plane by plane
    values = np.empty(array.shape, array.dtype)
    for index in np.ndindex(array.shape[:-2]):
        values[index] = array[index]
    return values


def write_ome_zarr(
    path: Path,
    data: np.ndarray,
    axes: str,
    like: ImageFile,
    spacing: Mapping[str, Length],
    description: str,
    version: str,
) -> list[str]:
    """Write an image and its pyramid; return what it could not keep.

    Parameters
    ----------
    path : Path
        A folder that is not there.
    data : array (..., Y, X) or, in colour, (..., Y, X, 3)
    axes : str
        Of T, C, Z, Y and X; colours become channels.
    like : ImageFile
        On whose grid the data lie.
    spacing : mapping
        As in `ImageFile`.
    description : str
    version : {"0.5", "0.4"}
    """
    in_color = axes.endswith("S")
    order, letters = in_order(axes)
    data = data.transpose(order)
    *_, lost = placed(letters, like, spacing)
    group = create_group(path, version)
    levels = [
        create_level(group, level, (*data.shape[:-2], *sides), data.dtype, letters)
        for level, sides in enumerate(_sides_of_levels(data.shape[-2:]))
    ]
    for index in np.ndindex(data.shape[:-2]):  # of a lazy image one plane at a time
        for array, values in zip(levels, _pyramid(np.asarray(data[index])), strict=True):
            array[index] = values
    describe(group, letters, like, spacing, description, in_color)
    return lost


def create_group(path: Path, version: str) -> Any:
    """Make a group of zarr that is to become an image of a version of OME-Zarr."""
    zarr = import_extra("zarr", "zarr", "OME-Zarr files")
    return zarr.create_group(str(path), zarr_format=2 if version == "0.4" else 3)


def create_level(
    group: Any,
    level: int,
    shape: tuple[int, ...],
    dtype: np.dtype,
    letters: str,
    chunk: tuple[int, int] = (_CHUNK, _CHUNK),
) -> Any:
    """Make the array of a level of a pyramid, in chunks of a part of one plane."""
    sides = (min(n, most) for n, most in zip(shape[-2:], chunk, strict=True))
    how: dict[str, Any] = {"shape": shape, "dtype": dtype}
    how["chunks"] = (*(1 for _ in shape[:-2]), *sides)
    if group.metadata.zarr_format == 2:
        how["chunk_key_encoding"] = {"name": "v2", "separator": "/"}
    else:
        how["dimension_names"] = list(letters.lower())
    return group.create_array(str(level), **how)


def describe(
    group: Any,
    letters: str,
    like: ImageFile,
    spacing: Mapping[str, Length],
    description: str,
    in_color: bool,
) -> None:
    """Give a group whose levels are there the metadata of an image; see `write_ome_zarr`."""
    scale, origin, units, _ = placed(letters, like, spacing)
    datasets = []
    for level in range(len(list(group.array_keys()))):
        factor = np.array([1.0] * (len(letters) - 2) + [2.0**level] * 2)
        corner = origin + (factor - 1) / 2 * scale  # the middle of the first pixel
        datasets.append(
            {
                "path": str(level),
                "coordinateTransformations": [
                    {"type": "scale", "scale": (scale * factor).tolist()},
                    {"type": "translation", "translation": corner.tolist()},
                ],
            }
        )
    image: dict[str, Any] = {
        "name": like.grid.name if like.grid is not None else "image",
        "axes": [
            {"name": axis.lower(), "type": _TYPES.get(axis, "space")}
            | ({"unit": units[axis]} if axis in units else {})
            for axis in letters
        ],
        "datasets": datasets,
        "type": "mean",
        "metadata": {"description": description},
    }
    found: dict[str, Any] = {"multiscales": [image]}
    if in_color:
        found["omero"] = {"channels": _channels(group["0"].dtype)}
    if group.metadata.zarr_format == 2:
        image["version"] = "0.4"
        group.attrs.update(found)
    else:
        group.attrs.update({"ome": {"version": "0.5", **found}})


def in_order(axes: str) -> tuple[list[int], str]:
    """Return the order in which an image's axes are stored, and their letters; colours are channels."""
    letters = axes.replace("S", "C")
    order = [letters.index(axis) for axis in _ORDER if axis in letters]
    return order, "".join(letters[place] for place in order)


def placed(
    letters: str, like: ImageFile, spacing: Mapping[str, Length]
) -> tuple[np.ndarray, np.ndarray, dict[str, str], list[str]]:
    """Return the scale and the origin of each axis, their units, and what cannot be kept."""
    units = {
        axis: _UNITS[find_unit(length.unit)]
        for axis, length in spacing.items()
        if axis in letters and find_unit(length.unit) in _UNITS
    }
    lost = [axis for axis in spacing if axis not in units]
    scale = np.array([spacing[axis].value if axis in units else 1.0 for axis in letters])
    origin = np.zeros(len(letters))
    grid = like.grid
    count = sum(axis in letters for axis in SPATIAL)
    if grid is not None and grid.ndim >= count:
        origin[-count:] = grid.matrix[-1 - count : -1, -1]
        steps = grid.matrix[-1 - count : -1, -1 - count : -1]
        aside = steps - np.diag(np.diag(steps))
        if np.abs(aside).max() > 1e-3 * np.abs(steps).max():
            lost.append("the turn of its axes")
    return scale, origin, units, lost


def _sides_of_levels(sides: Sequence[int]) -> list[tuple[int, ...]]:
    """Return height and width of each level of a pyramid."""
    levels = [tuple(sides)]
    while is_fine(levels[-1]):
        levels.append(tuple((n + 1) // 2 for n in levels[-1]))
    return levels


def _pyramid(data: np.ndarray) -> list[np.ndarray]:
    """Return the data and their means over 2×2 pixels, until a level is small."""
    levels = [data]
    while is_fine(levels[-1].shape):
        levels.append(halved(levels[-1]))
    return levels


def is_fine(shape: tuple[int, ...]) -> bool:
    """Whether a coarser level follows one of this shape."""
    return max(shape[-2:]) > _COARSEST


def halved(values: np.ndarray) -> np.ndarray:
    """Return means over 2×2 pixels, of what is not missing; a last odd pixel counts twice."""
    odd = [(0, 0)] * (values.ndim - 2) + [(0, n % 2) for n in values.shape[-2:]]
    padded = np.pad(values, odd, mode="edge")
    parts = np.stack([padded[..., y::2, x::2] for y in (0, 1) for x in (0, 1)])
    if values.dtype.kind == "f":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # of pixels that are all missing
            mean = np.nanmean(parts, axis=0, dtype=np.float64)
    else:
        mean = np.rint(parts.mean(axis=0, dtype=np.float64))
    return mean.astype(values.dtype)


def _channels(dtype: np.dtype) -> list[dict[str, Any]]:
    top = float(np.iinfo(dtype).max) if dtype.kind in "iu" else 1.0
    window = {"min": 0.0, "max": top, "start": 0.0, "end": top}
    names = ("red", "green", "blue")
    return [
        {"label": name, "color": color, "active": True, "window": window}
        for name, color in zip(names, _PRIMARIES, strict=True)
    ]
