"""Layers saved to files: with their place, their units, and how they were made."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_gifnet.errors import OptionError
from napari_gifnet.files.formats import FileError, check_destination, find_format, write
from napari_gifnet.files.image_file import ImageFile
from napari_gifnet.grids.world_grid import WorldGrid
from napari_gifnet.planes.arrays import as_array, is_dask
from napari_gifnet.planes.ranges import Range, from_unit, range_without_looking

from .saved import describe_layer, letters_of, spacing_of
from .source import check_layer

if TYPE_CHECKING:
    from napari.layers import Image, Layer
    from numpy.typing import DTypeLike

__all__ = ["save_layer"]

_DTYPES = ("uint8", "uint16", "float32")

_ORDER = "CTZYX"
"""In which volumes and OME-Zarr have their axes: a place in space is of the last three."""


def save_layer(layer: Image, path: str | Path, dtype: DTypeLike | None = None) -> Path:
    """Save an image layer with its place in the world, its units, and how it was made.

    Parameters
    ----------
    layer : napari.layers.Image
        A result, or any other. Of a multiscale layer the finest level is saved. What is not in
        memory is computed plane by plane where the format allows (OME-TIFF, OME-Zarr).
    path : str or Path
        Its end says the format: ``.ome.tif``, ``.ome.zarr``, ``.nii``, ``.nii.gz``, ``.png`` for a
        plane, or another of the formats that are written. A file of that name is replaced when the
        new one is complete.
    dtype : {"uint8", "uint16", "float32"}, optional
        By default that of the layer where the format has it, else 8 bits. To integers, results and
        colours are scaled from [0, 1], integers are kept where they fit, and all else is scaled
        from the contrast limits.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    GIFNetError
        The format cannot hold the layer, the file cannot be written, or a package is missing.

    Warns
    -----
    UserWarning
        Something of the layer is not in the file, or only this plugin reads it from there.

    Examples
    --------
    >>> from napari.layers import Image
    >>> layer = Image(np.zeros((3, 40, 50)), scale=(2, 0.5, 0.5), units="um")
    >>> save_layer(layer, "fused.ome.tif", "uint8").name
    'fused.ome.tif'
    """
    check_layer(layer)
    data, attributes, _ = layer.as_layer_data_tuple()
    path = Path(path)
    _check_not_read(path, [layer])
    _save(path, data, attributes, dtype)
    return path


def _check_not_read(path: Path, layers: Iterable[Layer]) -> None:
    """Raise FileError if a folder is to be replaced from which a layer reads what it shows."""
    if not path.is_dir():  # other files stay with those who have them open
        return
    for layer in layers:
        if layer.source.path and Path(layer.source.path).resolve() == path.resolve():
            raise FileError(
                f"{path} cannot be replaced: {layer.name!r} is read from it as it is shown; choose "
                "another name."
            )


def _save(path: Path, data: Any, attributes: Mapping[str, Any], dtype: DTypeLike | None) -> None:
    form = find_format(path).name
    check_destination(path, overwrite=True)
    name = str(attributes.get("name") or "image")
    data = as_array(data[0] if attributes.get("multiscale") else data, repr(name))
    if isinstance(data, np.ma.MaskedArray):
        data = data.filled(np.nan if data.dtype.kind == "f" else 0)
    rgb, notes = bool(attributes.get("rgb")), []
    if rgb and data.shape[-1] == 4 and form not in ("TIFF", "PNG"):
        data = data[..., :3]
        notes.append(f"{path.name} was written without the alpha channel, which {form} lacks here.")
    places = ("scale", "translate", "rotate", "shear", "affine", "units", "axis_labels")
    given = {key: attributes[key] for key in places if key in attributes}
    given["units"] = tuple(str(unit) for unit in given.get("units") or ()) or "pixel"
    grid = WorldGrid(data.shape[: data.ndim - rgb], name=name, **given)

    record = attributes.get("metadata", {}).get("napari_gifnet")
    target = _target(path, form, data.dtype, rgb, dtype, notes)
    looks = {"contrast_limits": _limits(attributes), "gamma": attributes.get("gamma", 1.0)}
    colormap = attributes.get("colormap")
    looks["colormap"] = colormap.get("name") if isinstance(colormap, Mapping) else colormap
    values = _values(data.dtype, target, rgb, looks["contrast_limits"], record)
    if values is not None:
        data, limits = _converted(data, target, values), looks["contrast_limits"]
        if values != (0, 1) and not rgb:
            notes.append(
                f"{path.name} has {values[0]:g} to {values[1]:g}, the contrast limits of {name!r}, "
                f"as 0 to {np.iinfo(target).max}."
            )
        if limits is not None:
            looks["contrast_limits"] = _scaled(limits, values, target)
        looks["values"] = list(values)
    elif data.dtype != target:
        data = data.astype(target)

    letters = letters_of(grid)
    description = describe_layer(grid, letters, looks, record)
    data, axes, like = _arranged(data, letters, grid, form, rgb)
    if _is_turned(grid) and form not in ("NIfTI", "NRRD", "MetaImage"):
        notes.append(
            f"{path.name}: {form} has no place for the turn and shear of {name!r}; napari-gifnet "
            "restores them, other programs do not see them."
        )
    write(path, data, axes, spacing=spacing_of(grid, letters), description=description, like=like)
    for note in notes:
        warnings.warn(note, stacklevel=3)


def _target(
    path: Path, form: str, dtype: np.dtype, rgb: bool, wanted: DTypeLike | None, notes: list[str]
) -> np.dtype:
    """Return the dtype of the values in the file."""
    held = {"PNG": ("uint8", "uint16"), "JPEG": ("uint8",)}.get(form)
    if rgb and form in ("NIfTI", "NRRD", "MetaImage"):
        held = ("uint8",)
    if wanted is not None:
        try:
            target = np.dtype(wanted)
        except TypeError:
            target = np.dtype(object)
        if target.name not in _DTYPES:
            raise OptionError(
                f"dtype={wanted!r} is unknown: expected {', '.join(_DTYPES)}, or None."
            )
        if held and target.name not in held:
            raise FileError(
                f"{path.name}: {form} holds {' or '.join(held)}{' in colour' * rgb}, not "
                f"{target.name}: choose another dtype, or OME-TIFF."
            )
        return target
    if held and dtype.name not in held:
        if dtype.kind != "b" and form != "PNG":
            notes.append(f"{path.name} has colours of 8 bits, since {form} holds no others.")
        return np.dtype(np.uint8)
    if dtype.kind == "b":
        return np.dtype(np.uint8)
    if dtype == np.float16:
        return np.dtype(np.float32)  # which OME has
    return dtype


def _values(
    dtype: np.dtype,
    target: np.dtype,
    rgb: bool,
    limits: list[float] | None,
    record: Mapping[str, Any] | None,
) -> Range | None:
    """Return what becomes 0 and the largest value, None where values are kept."""
    if target.kind == "f" or dtype == target:
        return None
    if dtype.kind == "b" or (dtype.kind == "f" and rgb):
        return 0, 1
    if dtype.kind == "f" and isinstance(record, Mapping) and record.get("output") != "index":
        return 0, 1
    if rgb:
        return range_without_looking(dtype, "dtype")
    if dtype.kind in "iu" and np.can_cast(dtype, target):
        return None
    return (limits[0], limits[1]) if limits else (0, 1)


def _limits(attributes: Mapping[str, Any]) -> list[float] | None:
    limits = attributes.get("contrast_limits")
    return None if limits is None else [float(limit) for limit in limits]


def _scaled(limits: list[float], values: Range, target: np.dtype) -> list[float]:
    top = float(np.iinfo(target).max)
    low, high = ((limit - values[0]) / (values[1] - values[0]) * top for limit in limits)
    low, high = max(low, 0.0), min(high, top)
    return [low, high] if low < high else [0.0, top]


def _converted(data: Any, target: np.dtype, values: Range) -> Any:
    low, high = values

    def convert(block: np.ndarray) -> np.ndarray:
        if values == (0, 1):
            return from_unit(block.astype(np.float32, copy=False), target)
        return from_unit((block.astype(np.float64) - low) / (high - low), target)

    return data.map_blocks(convert, dtype=target) if is_dask(data) else convert(data)


def _arranged(
    data: Any, letters: str, grid: WorldGrid, form: str, rgb: bool
) -> tuple[Any, str, ImageFile]:
    """Return data as a format has them, their axes, and what says where they lie."""
    if form in ("PNG", "JPEG"):
        kept = [place for place, n in enumerate(grid.shape) if n > 1 or place >= grid.ndim - 2]
        drop = tuple(place for place in range(grid.ndim) if place not in kept)
        axes = "".join(letters[place] for place in kept) + "S" * rgb
        return data.squeeze(drop), axes, ImageFile(data, axes)
    if form == "TIFF":  # its description says where
        axes = letters + "S" * rgb
        return data, axes, ImageFile(data, axes)
    order = sorted(range(len(letters)), key=lambda place: _place_in_order(letters[place]))
    axes = "".join(letters[place] for place in order) + "S" * rgb
    data = data.transpose(*order, *range(len(order), data.ndim))
    placed = _ordered(grid, order, keeps_turn=form != "OME-Zarr")
    return data, axes, ImageFile(data, axes, {}, placed)


def _place_in_order(letter: str) -> int:
    return _ORDER.find(letter)


def _ordered(grid: WorldGrid, order: list[int], keeps_turn: bool) -> WorldGrid:
    """Return a grid with its axes in another order, as one matrix or without its turn."""
    shape = [grid.shape[place] for place in order]
    named: dict[str, Any] = {
        "units": [grid.units[place] for place in order],
        "axis_labels": [grid.axis_labels[place] for place in order],
        "name": grid.name,
    }
    if keeps_turn:
        rows = [*order, grid.ndim]
        return WorldGrid(shape, affine=grid.matrix[np.ix_(rows, rows)], **named)
    origin = grid.matrix[:-1, -1]
    return WorldGrid(shape, scale=abs(grid.scale[order]), translate=origin[order], **named)


def _is_turned(grid: WorldGrid) -> bool:
    linear = grid.matrix[:-1, :-1]
    return not np.allclose(linear, np.diag(grid.scale), atol=1e-9 * np.abs(linear).max())


def _writer(suffixes: tuple[str, ...], dtype: str | None) -> Callable[..., list[str]]:
    """Return a writer of npe2: what it has to say becomes a notification of napari."""

    def write_layer(path: str, data: Any, attributes: Mapping[str, Any]) -> list[str]:
        import napari
        from napari.utils.notifications import show_warning

        if not path.lower().endswith(suffixes):
            path += suffixes[0]
        viewer = napari.current_viewer()
        _check_not_read(Path(path), [] if viewer is None else viewer.layers)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            _save(Path(path), data, attributes, dtype)
        for warning in caught:
            if issubclass(warning.category, UserWarning):
                show_warning(str(warning.message))
        return [path]

    return write_layer


_TIFF, _ZARR, _NIFTI = (".ome.tif", ".ome.tiff"), (".ome.zarr", ".zarr"), (".nii.gz", ".nii")

write_ome_tiff = _writer(_TIFF, None)
write_ome_tiff_8 = _writer(_TIFF, "uint8")
write_ome_tiff_16 = _writer(_TIFF, "uint16")
write_ome_zarr = _writer(_ZARR, None)
write_ome_zarr_8 = _writer(_ZARR, "uint8")
write_ome_zarr_16 = _writer(_ZARR, "uint16")
write_nifti = _writer(_NIFTI, None)
write_nifti_8 = _writer(_NIFTI, "uint8")
write_nifti_16 = _writer(_NIFTI, "uint16")
write_png_8 = _writer((".png",), "uint8")
write_png_16 = _writer((".png",), "uint16")
