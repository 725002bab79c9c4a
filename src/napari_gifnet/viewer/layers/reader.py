"""Files that napari opens by this plugin: volumes with their place in the world, OME-TIFF and OME-Zarr."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from napari_gifnet.files.formats import is_image_folder, read
from napari_gifnet.files.image_file import ImageFile, full_suffix
from napari_gifnet.files.lengths import find_unit
from napari_gifnet.grids.units import is_unit

from .saved import metadata_of, restore

LayerData = tuple[Any, dict[str, Any], str]

SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd", ".dcm")
"""Of the files; those that napari itself reads well are left to it."""

_OME_TIFF = (".ome.tif", ".ome.tiff")
"""napari itself reads their pixels, and not where these lie."""


def get_reader(path: str | Sequence[str]) -> Callable[[Any], list[LayerData]] | None:
    """Return what reads the files or folders, None where they are for others to read.

    Parameters
    ----------
    path : str or sequence of str
        From napari; of several files each becomes a layer.
    """
    return read_layers if all(map(_is_ours, _paths(path))) else None


def read_layers(path: str | Sequence[str]) -> list[LayerData]:
    """Read files as image layers, with the values and the places that the command line sees."""
    return [layer_of(read(each, alpha=True), each) for each in _paths(path)]


def layer_of(image: ImageFile, path: Path) -> LayerData:
    """Return an image file as napari's layer data; of a layer that was saved, as it was."""
    name = path.name.partition(".")[0] or path.name
    restored = restore(image)
    if restored is not None:
        data, placed = restored
        return data, {"name": name, "metadata": metadata_of(image), **placed}, "image"
    letters = image.axes.removesuffix("S")
    options: dict[str, Any] = {
        "name": name,
        "rgb": image.in_color,
        "axis_labels": tuple(letters.lower()),
        "metadata": metadata_of(image),
    }
    if image.grid is not None:
        options |= image.grid.layer_kwargs()
        if "T" in image.spacing and is_unit(find_unit(image.spacing["T"].unit)):
            place, units = letters.index("T"), list(options["units"])
            step, units[place] = image.spacing["T"]
            options["scale"][place], options["units"] = step, tuple(units)
    return image.data, options, "image"


def _paths(path: str | Sequence[str]) -> list[Path]:
    return [Path(path)] if isinstance(path, str) else [Path(each) for each in path]


def _is_ours(path: Path) -> bool:
    if path.is_dir():
        return is_image_folder(path)
    return full_suffix(path) in SUFFIXES or path.name.lower().endswith(_OME_TIFF)
