"""How a result was made: the record in its metadata, and code that makes it again."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from napari_gifnet import __version__
from napari_gifnet.errors import OptionError
from napari_gifnet.files.formats import read
from napari_gifnet.models import DEFAULT_MODEL

if TYPE_CHECKING:
    from napari_gifnet.fusers import Fuser

    from .job import LayerJob

Record = Mapping[str, Any]


def describe_run(
    plan: LayerJob,
    fuser: Fuser,
    normalization: str,
    notes: Sequence[str],
    seconds: float | None,
) -> dict[str, Any]:
    """Return what ``layer.metadata["napari_gifnet"]`` holds: plain numbers, texts, lists and dicts.

    Parameters
    ----------
    plan : LayerJob
        Its ranges measured.
    fuser : Fuser
        After the run, so that it knows the tile it used in the end.
    normalization : {"plane", "stack"}
        What the network's normalisations measured.
    notes : sequence of str
        Of the fuser.
    seconds : float or None
        What the run took; None where the planes are still to be computed.
    """
    import napari
    import torch

    options = plan.options
    return {
        "versions": {
            "napari-gifnet": __version__,
            "napari": napari.__version__,
            "torch": str(torch.__version__),
        },
        "created": datetime.now().astimezone().isoformat(timespec="seconds"),
        **fuser.facts,
        "inputs": [
            {
                **source.facts,
                "range": [float(limit) for limit in limits],
                "resampled": not source.lies_on(plan.grid),
            }
            for source, limits in zip(plan.sources, plan.job.ranges, strict=True)
        ],
        "parameters": {
            "task": options.task,
            "color": options.color,
            "intensity": _plain(options.intensity),
            "grid": plan.grid_choice,
            "interpolation": options.interpolation,
            "extent": _plain(options.extent),
            "region": [[part.start, part.stop] for part in plan.region],
            "axes": list(plan.axes),
            "level": options.level,
            "gamma": options.gamma,
            "device": options.device,
            "precision": options.precision,
            "tile_size": options.tile_size,
            "memory": options.memory,
            "normalization": normalization,
            "lazy": options.lazy,
        },
        "grid_shape": list(plan.grid.shape),
        "seconds": seconds,
        "notes": [*plan.notes, *notes],
    }


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
    FileError
        A file cannot be read by the command line.
    """
    reason = why_no_command(record) or _why_not_from_files(record["inputs"])
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
    """Return why there is no command for a result, None if there is, by the record alone."""
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
    return None


def _why_not_from_files(inputs: Sequence[Record]) -> str | None:
    for each in inputs:
        if list(read(each["path"]).data.shape) != each["shape"]:
            return f"{each['path']} holds an image of another shape than layer {each['layer']!r}"
    return None


def _is_whole(record: Record) -> bool:
    return record["parameters"]["region"] == [[0, n] for n in record["grid_shape"]]


def _has_usual_planes(record: Record) -> bool:
    ndim = len(record["grid_shape"])
    return record["parameters"]["axes"] == [ndim - 2, ndim - 1]


def _numbers(limits: Sequence[float]) -> tuple[float, ...]:
    """Return whole numbers as integers, which are easier to read."""
    return tuple(int(limit) if float(limit).is_integer() else limit for limit in limits)


def _plain(value: Any) -> Any:
    """Return a value of an option as JSON has them; of a layer the name, of all else the text."""
    if value is None or isinstance(value, (str, int, float)):
        return value
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    return str(getattr(value, "name", value))
