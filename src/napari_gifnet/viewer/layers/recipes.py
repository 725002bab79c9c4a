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
from napari_gifnet.files.two_grids import on_two_grids
from napari_gifnet.grids.pairs import same_grid
from napari_gifnet.models import DEFAULT_MODEL, STACK_MODEL

from .colormaps import LOOKED_AT

if TYPE_CHECKING:
    from .source import Source

Record = Mapping[str, Any]

FUNCTIONS = ("fuse_layers", "enhance_layer", "fuse_stack_layers")

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
    inputs, function = record["inputs"], function_of(record)
    layers = [f"viewer.layers[{each['layer']!r}]" for each in inputs]
    arguments = [f"{name}={value!r}" for name, value in _keywords(record).items()]
    if function == "fuse_stack_layers" and record["parameters"]["axis"] is None:
        arguments = ["[", *(f"    {layer}," for layer in layers), "]", *arguments]
    else:
        arguments = layers + arguments
    results = ["layer", "index"] if record["parameters"].get("return_index") else ["layer"]
    versions = ", ".join(f"{name} {version}" for name, version in record["versions"].items())
    return "\n".join(
        [
            _comment(f"{versions}; weights {record['model']}, SHA-256 {record['sha256']}"),
            *(_comment(f"{each['layer']}: {each['path']}") for each in inputs if each["path"]),
            f"from napari_gifnet.viewer import {function}",
            "",
            *(line for each in inputs for line in _align_again(each)),
            *(
                f"{layer}.{look} = {each[look]!r}"
                for layer, each in zip(layers, inputs, strict=True)
                for look in ("colormap", "gamma")
                if each[look] is not None
            ),
            *(
                line
                for layer, each in zip(layers, inputs, strict=True)
                if each.get("alignment")
                for line in _place_again(layer, each["alignment"])
            ),
            f"{', '.join(results)} = {function}(",
            *(f"    {argument}" + "," * (argument[-1] not in "[,") for argument in arguments),
            ")",
            *(f"viewer.add_layer({result})" for result in results),
            "",
        ]
    )


def function_of(record: Record) -> str:
    """Return the name of the function that made a result."""
    usual = "fuse_layers" if len(record["inputs"]) == 2 else "enhance_layer"
    name = record.get("function")
    return name if name in FUNCTIONS else usual


def _comment(text: str) -> str:
    """Return a line of comment, whatever a record that comes from a file says."""
    return "# " + " ".join(text.split())


def color_of(record: Record) -> str:
    """Return the option `color` by which a result gets the same colours, however its layers look now.

    What ``"auto"`` means for a pair depends on their colormaps: it is named.
    """
    parameters, inputs = record["parameters"], record["inputs"]
    color: str = parameters["color"]
    places = parameters.get("color_of")
    pair = function_of(record) == "fuse_layers"
    if color != "auto" or places is None or not pair or parameters["task"] not in LOOKED_AT:
        return color
    if len(places) == 2:
        return "auto" if all(each["rgb"] for each in inputs) else "displayed"
    return "ab"[places[0]] if places else "gray"


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
    stacked = function_of(record) == "fuse_stack_layers"
    fuses = stacked or len(inputs) == 2
    verb, out = ("fuse", "fused.tif") if fuses else ("enhance", "enhanced.tif")
    words = ["gifnet", verb, *(each["path"] for each in inputs), "-o", out]
    if parameters["task"]:
        words += ["--task", parameters["task"]]
    if parameters.get("return_index"):
        words += ["--height", "height.tif"]
    for each in inputs:
        low, high = _numbers(each["range"])
        words.append(f"--intensity={low!r},{high!r}")
    if any(each["resampled"] for each in inputs):
        words += ["--grid", parameters["grid"], "--interpolation", parameters["interpolation"]]
    if parameters["color"] == "gray" or (len(inputs) == 2 and parameters["color"] != "auto"):
        words += ["--color", parameters["color"]]
    if record["model"] != (STACK_MODEL if stacked else DEFAULT_MODEL):
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


def _place_again(layer: str, alignment: Record) -> list[str]:
    """Return the lines that put a layer where it was aligned."""
    affine = np.array(alignment["affine"], float).tolist()
    how = f"{alignment['transform']}, moved by {alignment['movement'] or 'a transform of a file'}"
    return [_comment(f"aligned: {how}"), f"{layer}.affine = {affine!r}"]


def _align_again(facts: Record) -> list[str]:
    """Return the lines that make a layer of aligned planes again, where it is not there."""
    found = facts.get("stack_alignment")
    if not found:
        return []
    options = ", ".join(f"{name}={found[name]!r}" for name in ("transform", "axis", "reference"))
    return [
        f"if {facts['layer']!r} not in viewer.layers:",
        "    from napari_gifnet.viewer import align_stack",
        f"    aligned = align_stack(viewer.layers[{found['layer']!r}], {options})",
        f"    aligned.name = {facts['layer']!r}",
        "    viewer.add_layer(aligned)",
    ]


def _keywords(record: Record) -> dict[str, Any]:
    """Return the options of the function that are not at their defaults, ranges in numbers."""
    inputs, parameters = record["inputs"], record["parameters"]
    stacked = function_of(record) == "fuse_stack_layers"
    usual = {
        "task": "multi_focus" if stacked else None,
        "color": "auto",
        "level": 0,
        "gamma": False,
        "device": "auto",
        "tile_size": "auto",
        "lazy": None,
        "axis": None,
        "return_index": False,
    }
    said = {**dict.fromkeys(("axis", "return_index")), **parameters, "color": color_of(record)}
    keywords = {name: said[name] for name in usual if said[name] not in (None, usual[name])}
    for name in ("task", "tile_size"):  # of which None is a value, too
        if said[name] is None and usual[name] is not None:
            keywords[name] = None
    if record["model"] != (STACK_MODEL if stacked else DEFAULT_MODEL):
        keywords["model"] = record["model"]
    keywords["intensity"] = intensity_of(record)
    if "level" in keywords and not isinstance(keywords["level"], int):
        keywords["level"] = levels_of(record)
    if any(each["resampled"] for each in inputs):
        keywords |= {name: parameters[name] for name in ("grid", "interpolation")}
    if not _is_whole(record):
        keywords["extent"] = tuple(slice(*part) for part in parameters["region"])
    if not _has_usual_planes(record):
        keywords["axes"] = tuple(parameters["axes"])
    keywords["precision"] = record["precision"]
    if parameters["normalization"] == "plane" and not stacked:
        keywords["normalization"] = "plane"
    return keywords


def intensity_of(record: Record) -> Any:
    """Return the ranges of a result's layers as the option `intensity`."""
    ranges = tuple(_numbers(each["range"]) for each in record["inputs"])
    return ranges[0] if len(ranges) == 1 else ranges


def levels_of(record: Record) -> list[int]:
    """Return which level of each layer a result was made of."""
    level = record["parameters"]["level"]
    levels = level if isinstance(level, (list, tuple)) else [level] * len(record["inputs"])
    return [int(each) for each in levels]


def why_no_command(record: Record) -> str | None:
    """Return why there is no command for a result, None if there is one; no file is read."""
    inputs, parameters = record["inputs"], record["parameters"]
    stacked = function_of(record) == "fuse_stack_layers"
    if stacked and len(inputs) > 1:
        return "it is of several layers"
    if stacked and (parameters["axis"] != 0 or len(record["grid_shape"]) != 3):
        return "its stack has more axes than that of its planes"
    for each in inputs:
        if not each["path"]:
            return f"layer {each['layer']!r} was not opened from a file"
    if len({each["path"] for each in inputs}) < len(inputs):
        return f"both layers are from one file, {inputs[0]['path']}"
    if not _is_whole(record):
        return "only a part of the layers was computed"
    if not _has_usual_planes(record):
        return "its planes are not those of the files"
    if any(levels_of(record)):
        which = " and ".join(map(str, sorted(set(levels_of(record)))))
        return f"it is of level {which} of the layers"
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
        resampled = not same_grid(sources[0].grid, sources[1].grid)
        try:
            if not resampled:
                check_pixel_sizes(first, second, names)
                align_axes(first, second, names)
        except GIFNetError as error:
            return str(error).partition(":")[0]
        if resampled or on_two_grids(first, second):
            for source, image in zip(sources, images, strict=True):
                if image.grid is None or not same_grid(image.grid, source.grid):
                    path = source.facts["path"]
                    return f"on different grids, {source.name!r} lies elsewhere than {path} says"
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
    whole = [[0, n] for n in record["grid_shape"]]
    return [list(part) for part in record["parameters"]["region"]] == whole


def _has_usual_planes(record: Record) -> bool:
    along = record["parameters"].get("axis")
    others = [axis for axis in range(len(record["grid_shape"])) if axis != along]
    return list(record["parameters"]["axes"]) == others[-2:]


def _numbers(limits: Sequence[float]) -> tuple[float, ...]:
    """Return whole numbers as integers, which are easier to read."""
    return tuple(int(limit) if float(limit).is_integer() else limit for limit in limits)
