"""How a result was made: the record in its metadata."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from napari_gifnet import __version__

from .recipes import find_difference, why_no_command

if TYPE_CHECKING:
    from .job import LayerJob


def describe_run(
    plan: LayerJob,
    facts: Mapping[str, Any],
    normalization: str,
    notes: Sequence[str],
    seconds: float | None,
) -> dict[str, Any]:
    """Return what ``layer.metadata["napari_gifnet"]`` holds: plain numbers, texts, lists and dicts.

    Parameters
    ----------
    plan : LayerJob
        Its ranges measured.
    facts : mapping
        Of the fuser after the run, so that it knows the tile it used in the end.
    normalization : {"plane", "stack"}
        What the network's normalisations measured.
    notes : sequence of str
        Of the fuser.
    seconds : float or None
        What the run took; None where the planes are still to be computed.

    Notes
    -----
    Where a command could make the result again, the files of the layers are read and compared with
    them, so this belongs where the run is computed and not where a window waits for it.
    """
    import napari
    import torch

    options = plan.options
    record: dict[str, Any] = {
        "versions": {
            "napari-gifnet": __version__,
            "napari": napari.__version__,
            "torch": str(torch.__version__),
        },
        "created": datetime.now().astimezone().isoformat(timespec="seconds"),
        "function": _function(plan),
        "output": "fused",
        **facts,
        "inputs": [
            {
                **source.facts,
                "range": [float(limit) for limit in limits],
                "resampled": plan.axis is None and not source.lies_on(plan.grid),
            }
            for source, limits in zip(plan.sources, plan.ranges, strict=True)
        ],
        "parameters": {
            "task": options.task,
            "color": options.color,
            "color_of": list(plan.job.chroma) if plan.axis is None else None,
            "intensity": _plain(options.intensity),
            "grid": plan.grid_choice,
            "interpolation": options.interpolation,
            "extent": _plain(options.extent),
            "region": [[part.start, part.stop] for part in plan.region],
            "axes": list(plan.axes),
            "level": _plain(options.level),
            "gamma": options.gamma,
            "device": options.device,
            "precision": options.precision,
            "tile_size": options.tile_size,
            "memory": options.memory,
            "normalization": normalization,
            "lazy": options.lazy,
            "axis": plan.axis,
            "return_index": plan.stacked and options.return_index,
        },
        "grid_shape": list(plan.grid.shape),
        "seconds": seconds,
        "notes": [*plan.notes, *notes],
        "files_differ": None,
    }
    if why_no_command(record) is None:
        record["files_differ"] = find_difference(plan.sources)
    return record


def _function(plan: LayerJob) -> str:
    if plan.stacked:
        return "fuse_stack_layers"
    return "enhance_layer" if plan.enhances else "fuse_layers"


def _plain(value: Any) -> Any:
    """Return a value of an option as JSON has them; of a layer the name, of all else the text."""
    if value is None or isinstance(value, (str, int, float)):
        return value
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    return str(getattr(value, "name", value))
