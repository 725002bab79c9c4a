"""What a saved layer's file says of it in words, and the layer as it was, made of that file again."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from napari_gifnet import __version__
from napari_gifnet.errors import GIFNetError
from napari_gifnet.files.descriptions import read_description
from napari_gifnet.files.image_file import ImageFile
from napari_gifnet.files.lengths import Length, convert, find_unit
from napari_gifnet.grids.world_grid import WorldGrid

__all__ = [
    "describe_layer",
    "find_saved",
    "letters_of",
    "metadata_of",
    "record_in",
    "restore",
    "spacing_of",
]

_KEY = "napari_gifnet_layer"
_LEADING = "ZTCRIQ"
"""Letters of the axes in front of the planes; more than one image file can have no layer of ours."""

_AGREEMENT = 1e-3
"""The share by which a file's own sizes of pixels may differ from those that the layer had."""

_SPOILT = (GIFNetError, AttributeError, IndexError, KeyError, TypeError, ValueError)
"""What a description may raise that comes from a file, which may say anything."""


def letters_of(grid: WorldGrid) -> str:
    """Return a letter for each axis: that of its label, else one for its unit, else a free one.

    Examples
    --------
    >>> letters_of(WorldGrid((2, 3, 4, 5), axis_labels=("t", "focus", "y", "x")))
    'TZYX'
    """
    free = list(_LEADING)
    letters = []
    labels, units = grid.axis_labels[:-2], grid.units[:-2]
    for label, unit in zip(labels, units, strict=True):
        wanted = label.upper()
        if wanted not in free:
            wanted = "T" if convert(Length(1, unit), "s") is not None else "Z"
        letters.append(wanted if wanted in free else "")
        if letters[-1]:
            free.remove(letters[-1])
    return "".join(letter or free.pop(0) for letter in letters) + "YX"


def spacing_of(grid: WorldGrid, letters: str) -> dict[str, Length]:
    """Return the sizes of pixels that a file can hold: lengths along Z, Y and X, durations along T."""
    found = {}
    steps = np.linalg.norm(grid.matrix[:-1, :-1], axis=0)
    for letter, step, unit in zip(letters, steps, grid.units, strict=True):
        kind = {"T": "s"}.get(letter, "m" if letter in "ZYX" else "")
        length = Length(float(step), find_unit(unit))
        if kind and convert(length, kind) is not None:
            found[letter] = length
    return found


def describe_layer(
    grid: WorldGrid, letters: str, looks: Mapping[str, Any], record: Mapping[str, Any] | None
) -> str:
    """Return what the file of a layer says: a line for a reader, then all as JSON.

    Parameters
    ----------
    grid : WorldGrid
        Where the layer lies.
    letters : str
        Of its axes in the file, in the layer's order.
    looks : mapping
        Its contrast limits, gamma and colormap.
    record : mapping or None
        How it was made.
    """
    place = {
        name: np.asarray(value).tolist() if name not in ("units", "axis_labels") else list(value)
        for name, value in grid.layer_kwargs().items()
    }
    said = {
        _KEY: 1,
        "axes": letters,
        "shape": list(grid.shape),
        "place": place,
        "looks": dict(looks),
        "record": record,
    }
    title = " ".join(grid.name.split())
    return f"{title}, saved by napari-gifnet {__version__}\n{json.dumps(said, default=str)}"


def find_saved(description: str) -> dict[str, Any] | None:
    """Return what `describe_layer` put into a description, None where there is nothing of it."""
    found = re.search(rf'^\{{"{_KEY}".*$', description, re.M)
    if not found:
        return None
    try:
        said: dict[str, Any] = json.loads(found[0])
    except ValueError:
        return None
    return said


def metadata_of(image: ImageFile) -> dict[str, Any]:
    """Return what a layer's metadata have of how the image in a file was made."""
    record = (find_saved(image.description) or {}).get("record")
    return {} if record is None else {"napari_gifnet": record}


def record_in(path: str | None) -> Any:
    """Return how the layer in a TIFF or a PNG was made, None where the file does not say.

    Its pixels are not read; a file is looked into once, until it is changed.
    """
    if not path or not path.lower().endswith((".tif", ".tiff", ".png")):
        return None
    try:
        changed = Path(path).stat().st_mtime_ns
    except (OSError, ValueError):  # an address, or a file that is gone
        return None
    return (find_saved(_description_of(path, changed)) or {}).get("record")


@lru_cache(maxsize=64)
def _description_of(path: str, changed: int) -> str:
    return read_description(Path(path))


def restore(image: ImageFile) -> tuple[Any, dict[str, Any]] | None:
    """Return the data and the options of the layer that a file was saved from.

    Parameters
    ----------
    image : ImageFile
        As it was read, with alpha.

    Returns
    -------
    (data, options) or None
        None where the file is of no layer, or of one of another shape or with other sizes of pixels:
        someone has changed it since, and what the file itself says is to be taken.
    """
    said = find_saved(image.description)
    if said is None:
        return None
    try:
        return _as_saved(image, said)
    except _SPOILT:
        return None


def _as_saved(image: ImageFile, said: Mapping[str, Any]) -> tuple[Any, dict[str, Any]] | None:
    letters, shape = str(said["axes"]), tuple(said["shape"])
    data = _in_axes(_as_stored(image), image.axes.removesuffix("S"), letters)
    if data is None or data.shape[: len(shape)] != shape:
        return None
    options: dict[str, Any] = {"rgb": image.in_color, **_looks(said["looks"], image.in_color)}
    grid = WorldGrid(shape, **said["place"])
    ours = spacing_of(grid, letters)
    if not all(_agree(length, ours.get(axis)) for axis, length in _stored_spacing(image).items()):
        return None
    return data, options | grid.layer_kwargs()


def _agree(length: Length, other: Length | None) -> bool:
    """Whether a file's size of pixels is that of the layer, which may have had none of its kind."""
    if other is None:
        return True
    value = convert(length, other.unit)
    return value is not None and abs(value - other.value) <= _AGREEMENT * other.value


def _stored_spacing(image: ImageFile) -> dict[str, Length]:
    """Return the sizes of pixels along the axes of the file."""
    turned = image.orientation
    if turned is None:
        return image.spacing
    steps = np.linalg.norm(turned.matrix[:3, :3], axis=0).tolist()
    stored = {axis: Length(step, turned.unit) for axis, step in zip("XYZ", steps, strict=True)}
    return image.spacing | stored


def _as_stored(image: ImageFile) -> Any:
    """Return the data with the axes as they are in the file, to whose order ours were written."""
    turned = image.orientation
    if turned is None or (turned.order == (2, 1, 0) and not any(turned.flipped)):
        return image.data
    front = image.axes.index("Z")
    rest = tuple(range(front + 3, image.data.ndim))
    data = image.data.transpose(front, front + 1, front + 2, *range(front), *rest)
    data = turned.stored(data)  # (i, j, k, …), which are x, y and z
    places = [3 + place for place in range(front)]
    return data.transpose(*places, 2, 1, 0, *(place for place in rest))


def _in_axes(data: Any, letters: str, wanted: str) -> Any:
    """Return data with their axes in another order, and without or with some of length 1."""
    for place in reversed(range(len(letters))):
        if letters[place] not in wanted:
            if data.shape[place] != 1:
                return None
            data = data[(slice(None),) * place + (0,)]
            letters = letters[:place] + letters[place + 1 :]
    order = [letters.index(letter) for letter in wanted if letter in letters]
    data = data.transpose(*order, *range(len(letters), data.ndim))
    for place, letter in enumerate(wanted):
        if letter not in letters:
            data = data[(slice(None),) * place + (None,)]
    return data


def _looks(said: Mapping[str, Any], in_color: bool) -> dict[str, Any]:
    """Return contrast limits, gamma and colormap where they can be those of a layer."""
    from napari.utils.colormaps import ensure_colormap

    looks: dict[str, Any] = {}
    limits = said.get("contrast_limits")
    if isinstance(limits, Sequence) and len(limits) == 2 and limits[0] < limits[1]:
        looks["contrast_limits"] = [float(limit) for limit in limits]
    if in_color:
        return looks
    if isinstance(said.get("gamma"), (int, float)) and said["gamma"] > 0:
        looks["gamma"] = float(said["gamma"])
    with suppress(KeyError, TypeError, ValueError):  # one of the user's own is not known
        looks["colormap"] = ensure_colormap(said["colormap"]).name
    return looks
