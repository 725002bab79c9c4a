"""Code that makes a result again: statements for napari's console, a line for the shell."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_gifnet.errors import GIFNetError, OptionError
from napari_gifnet.files.formats import ImageFile, read
from napari_gifnet.files.matching import align_axes, check_pixel_sizes
from napari_gifnet.models import DEFAULT_MODEL

if TYPE_CHECKING:
    from .source import Source

Record = Mapping[str, Any]

COMPARED_BYTES = 2**30
"""Larger layers are not compared with their files, which would be read whole."""

SAMPLED_PLANES = 16
"""Of a lazy layer so many planes are compared."""


def as_python(record: Record) -> str:
    """Return code that makes a result again, in a viewer that has the layers it was made of.

    Parameters
    ----------
    record : dict
        ``layer.metadata["napari_gifnet"]``.

    Returns
    -------
    str
        Statements that expect the variable `viewer`, as in napari's console, and add the layer.
    """
    inputs = record["inputs"]
    function = "fuse_layers" if len(inputs) == 2 else "enhance_layer"
    layers = [f"viewer.layers[{each['layer']!r}]" for each in inputs]
    arguments = layers + [f"{name}={value!r}" for name, value in _keywords(record).items()]
    versions = ", ".join(f"{name} {version}" for name, version in record["versions"].items())
    return "\n".join(
        [
            f"# {versions}; weights {record['model']}, SHA-256 {record['sha256']}",
            *(f"# {each['layer']}: {each['path']}" for each in inputs if each["path"]),
            f"from napari_gifnet.viewer import {function}",
            "",
            *(
                f"{layer}.{look} = {each[look]!r}"
                for layer, each in zip(layers, inputs, strict=True)
                for look in ("colormap", "gamma")
                if each[look] is not None
            ),
            f"layer = {function}(",
            *(f"    {argument}," for argument in arguments),
            ")",
            "viewer.add_layer(layer)",
            "",
        ]
    )


def as_command(record: Record) -> str:
    """Return the command line that makes a result again from the files of its layers.

    Parameters
    ----------
    record : dict
        ``layer.metadata["napari_gifnet"]``.

    Raises
    ------
    OptionError
        The command line cannot make it; the message says why.
    """
    reason = why_no_command(record)
    if reason:
        raise OptionError(f"There is no command for this result: {reason}; copy it as Python.")
    inputs, parameters = record["inputs"], record["parameters"]
    verb, out = ("fuse", "fused.tif") if len(inputs) == 2 else ("enhance", "enhanced.tif")
    words = ["gifnet", verb, *(each["path"] for each in inputs), "-o", out]
    if parameters["task"]:
        words += ["--task", parameters["task"]]
    for each in inputs:
        low, high = _numbers(each["range"])
        words.append(f"--intensity={low!r},{high!r}")
    if parameters["color"] == "gray" or (len(inputs) == 2 and parameters["color"] != "auto"):
        words += ["--color", parameters["color"]]
    if record["model"] != DEFAULT_MODEL:
        words += ["--model", record["model"]]
    if parameters["device"] != "auto":
        words += ["--device", parameters["device"]]
    words += ["--precision", record["precision"]]
    if parameters["normalization"] != "plane":
        words += ["--normalization", parameters["normalization"]]
    if parameters["tile_size"] != "auto":
        words += [
            "--tile-size",
            "none" if parameters["tile_size"] is None else str(parameters["tile_size"]),
        ]
    return shlex.join(words)


def _keywords(record: Record) -> dict[str, Any]:
    """Return the options of `fuse_layers` that are not at their defaults, ranges in numbers."""
    inputs, parameters = record["inputs"], record["parameters"]
    usual = {
        "task": None,
        "color": "auto",
        "level": 0,
        "gamma": False,
        "device": "auto",
        "tile_size": "auto",
        "lazy": None,
    }
    keywords = {name: parameters[name] for name in usual if parameters[name] != usual[name]}
    if record["model"] != DEFAULT_MODEL:
        keywords["model"] = record["model"]
    ranges = tuple(_numbers(each["range"]) for each in inputs)
    keywords["intensity"] = ranges if len(ranges) == 2 else ranges[0]
    if any(each["resampled"] for each in inputs):
        keywords |= {name: parameters[name] for name in ("grid", "interpolation")}
    if not _is_whole(record):
        keywords["extent"] = tuple(slice(*part) for part in parameters["region"])
    if not _has_usual_planes(record):
        keywords["axes"] = tuple(parameters["axes"])
    keywords["precision"] = record["precision"]
    if parameters["normalization"] == "plane":
        keywords["normalization"] = "plane"
    return keywords


def why_no_command(record: Record) -> str | None:
    """Return why there is no command for a result, None if there is one; no file is read."""
    inputs, parameters = record["inputs"], record["parameters"]
    for each in inputs:
        if not each["path"]:
            return f"layer {each['layer']!r} was not opened from a file"
    if len({each["path"] for each in inputs}) < len(inputs):
        return f"both layers are from one file, {inputs[0]['path']}"
    if any(each["resampled"] for each in inputs):
        return "the layers are on different grids, and files are not resampled"
    if not _is_whole(record):
        return "only a part of the layers was computed"
    if not _has_usual_planes(record):
        return "its planes are not those of the files"
    if parameters["level"]:
        return f"it is of level {parameters['level']} of the layers"
    if any(
        each["colormap"] not in (None, "gray") or each["gamma"] not in (None, 1) for each in inputs
    ):
        return "a layer's colormap or gamma was applied"
    if inputs[0]["rgb"] and inputs[0]["shape"][-1] == 4:
        return f"the command line drops the alpha channel of {inputs[0]['layer']!r}"
    differ: str | None = record.get("files_differ")
    return differ


def find_difference(sources: Sequence[Source]) -> str | None:
    """Return why the files of layers would give another result than the layers, None if they agree.

    It reads the files. Napari and the command line have readers of their own, which may differ in
    the orientation, in what is white, in palettes and in missing pixels; a layer may have been
    changed, and files have pixel sizes and names of axes that the layers lack.

    Parameters
    ----------
    sources : sequence of Source
        Opened from files.
    """
    images = []
    for source in sources:
        path, layer = source.facts["path"], repr(source.name)
        if source.data.nbytes > COMPARED_BYTES:
            return f"layer {layer} is too large to be compared with {path}"
        try:
            image = read(path)
        except GIFNetError as error:
            return str(error).rstrip(".")
        values = source.data
        if source.has_alpha and image.in_color:
            values = values[..., :3]
        if values.shape != image.data.shape:
            return f"{path} holds an image of another shape than layer {layer}"
        if source.rgb != image.in_color or not _has_same_pixels(values, image):
            return f"the command line reads other pixels from {path} than layer {layer} has"
        images.append(image)
    if len(images) == 2:
        first, second = images
        names = sources[0].facts["path"], sources[1].facts["path"]
        first, second = images
        try:
            check_pixel_sizes(first, second, names)
            align_axes(first, second, names)
        except GIFNetError as error:
            return str(error).partition(":")[0]
    return None


def _has_same_pixels(values: Any, image: ImageFile) -> bool:
    """Whether all planes agree, of lazy values those of an even sample."""
    if np.ma.is_masked(image.data):
        return False
    planes = list(np.ndindex(image.data.shape[: len(image.leading)]))
    if not isinstance(values, np.ndarray):
        planes = planes[:: math.ceil(len(planes) / SAMPLED_PLANES)]
    return all(
        np.array_equal(
            np.asarray(values[index]), image.data[index], equal_nan=image.data.dtype.kind == "f"
        )
        for index in planes
    )


def _is_whole(record: Record) -> bool:
    return record["parameters"]["region"] == [[0, n] for n in record["grid_shape"]]


def _has_usual_planes(record: Record) -> bool:
    ndim = len(record["grid_shape"])
    return record["parameters"]["axes"] == [ndim - 2, ndim - 1]


def _numbers(limits: Sequence[float]) -> tuple[float, ...]:
    """Return whole numbers as integers, which are easier to read."""
    return tuple(int(limit) if float(limit).is_integer() else limit for limit in limits)
