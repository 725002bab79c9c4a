"""OME-Zarr images that are written part by part, by runs that may end early and go on."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .destinations import complete_file
from .extras import import_extra
from .image_file import ImageFile, full_suffix
from .lengths import Length
from .ome_zarr import (
    VERSION_TAG,
    VERSIONS,
    create_group,
    create_level,
    describe,
    halved,
    in_order,
    is_fine,
)

__all__ = ["unfinished_name", "write_in_parts"]

_SIDE = 2048
"""Pixels of a coarser level that are made at once, along a side."""

_IMAGE, _RECORD = "image", "record.jsonl"


class _Turned:
    """An array whose axes are stored in another order, to be written to by slices."""

    def __init__(self, array: Any, order: list[int]) -> None:
        self.array, self.order = array, order

    def __setitem__(self, box: tuple[slice, ...], values: np.ndarray) -> None:
        self.array[tuple(box[place] for place in self.order)] = values.transpose(self.order)


def unfinished_name(path: Path) -> Path:
    """Return where an image lies until all of it is written."""
    return path.with_name(path.name.removesuffix(full_suffix(path)) + ".unfinished")


def write_in_parts(
    path: Path,
    shape: tuple[int, ...],
    dtype: np.dtype,
    axes: str,
    chunk: tuple[int, int],
    fill: Callable[[Any, Path], str],
    *,
    like: ImageFile,
    spacing: Mapping[str, Length] | None = None,
) -> None:
    """Write an image and its pyramid, as much of it as is not there yet.

    Parameters
    ----------
    path : Path
        The image appears there when it is complete; until then it lies at `unfinished_name`, and
        stays there when `fill` raises.
    shape : tuple of int
        (..., Y, X) or, in colour, (..., Y, X, 3).
    dtype : dtype
    axes : str
        As in `ImageFile`.
    chunk : (int, int)
        Rows and columns of a chunk of the finest level.
    fill : callable
        Is given what takes the values of the finest level by slices, in the order of `axes`, and the
        name of a file in which it keeps what is done; it returns a description.
    like : ImageFile
        On whose grid the image lies.
    spacing : mapping, optional
        As in `ImageFile`; that of `like` by default.
    """
    zarr = import_extra("zarr", "zarr", "OME-Zarr files")
    place = unfinished_name(path)
    order, letters = in_order(axes)
    stored = tuple(shape[axis] for axis in order)
    image = place / _IMAGE
    if (image / "0").is_dir():
        group = zarr.open_group(str(image), mode="r+")
        finest = group["0"]
    else:
        if place.is_dir():
            shutil.rmtree(place)
        place.mkdir()
        group = create_group(image, like.tags.get(VERSION_TAG, VERSIONS[0]))
        finest = create_level(group, 0, stored, dtype, letters, chunk)
    description = fill(_Turned(finest, order), place / _RECORD)
    level = finest
    for number in range(1, 64):
        if not is_fine(level.shape):
            break
        level = _coarser(group, number, level, letters)
    if spacing is None:
        spacing = {axis: length for axis, length in like.spacing.items() if axis in axes}
    describe(group, letters, like, spacing, description, axes.endswith("S"))
    with complete_file(path) as temporary:
        image.replace(temporary)
    shutil.rmtree(place)


def _coarser(group: Any, number: int, finer: Any, letters: str) -> Any:
    """Write the level behind another one, a part at a time."""
    if str(number) in group:
        del group[str(number)]
    sides = tuple(-(-n // 2) for n in finer.shape[-2:])
    level = create_level(group, number, (*finer.shape[:-2], *sides), finer.dtype, letters)
    for index in np.ndindex(finer.shape[:-2]):
        for top in range(0, sides[0], _SIDE):
            for left in range(0, sides[1], _SIDE):
                fine = np.s_[2 * top : 2 * (top + _SIDE), 2 * left : 2 * (left + _SIDE)]
                coarse = np.s_[top : top + _SIDE, left : left + _SIDE]
                level[(*index, *coarse)] = halved(np.asarray(finer[(*index, *fine)]))
    return level
