"""A result picked up again: from its metadata alone, what it was made of, and the job that made it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from napari_gifnet.errors import GIFNetError, OptionError
from napari_gifnet.grids.pairs import same_grid
from napari_gifnet.grids.world_grid import WorldGrid

from .job import LayerJob, LayerOptions, plan_as_seen
from .recipes import Record, as_python, color_of, function_of, intensity_of, levels_of
from .saved import record_in
from .source import Look

if TYPE_CHECKING:
    from napari.layers import Image, Layer

_RECORD = {"versions", "model", "sha256", "precision", "inputs", "parameters", "grid_shape"}
_INPUT = {"layer", "path", "shape", "rgb", "colormap", "gamma", "range", "resampled"}
_PARAMETERS = {
    *("task", "color", "grid", "interpolation", "region", "axes", "level", "gamma"),
    *("device", "tile_size", "memory", "normalization", "lazy"),
}
"""What a record has to say, so that its result can be made again."""

_SPOILT = (AttributeError, IndexError, KeyError, TypeError, ValueError)
"""What a record may raise that comes from a file, which may say anything."""


@dataclass(frozen=True, eq=False)
class PickedUp:
    """A result, as far as its metadata tell.

    Attributes
    ----------
    record : dict
        For `as_python`, `as_command` and `why_no_command`.
    names : tuple of str
        Of the layers that it was made of.
    options : LayerOptions
        With which the same layers give the same result.
    plan : LayerJob or None
        The job that made it, its ranges measured, to compare it with what it was made of.
    why_not : str or None
        Why there is no such job any more: a sentence.
    """

    record: Record
    names: tuple[str, ...]
    options: LayerOptions
    plan: LayerJob | None
    why_not: str | None


def read_record(layer: Layer) -> Record | None:
    """Return how a layer was made, None if it is no result.

    Parameters
    ----------
    layer : napari.layers.Layer
        Also one that napari's own reader opened from a TIFF or a PNG that it was saved to: the
        file says how it was made.
    """
    record = layer.metadata.get("napari_gifnet") or record_in(layer.source.path)
    if not isinstance(record, Mapping) or not record.get("inputs"):
        return None
    try:
        known = (
            set(record) >= _RECORD
            and set(record["parameters"]) >= _PARAMETERS
            and all(set(each) >= _INPUT for each in record["inputs"])
        )
        if not known:
            return None
        as_python(record)
        _options_of(record)
    except _SPOILT:
        return None
    return record


def pick_up(layer: Image, layers: Iterable[Layer]) -> PickedUp | None:
    """Return what can be done with a result, None if the layer is none.

    Parameters
    ----------
    layer : napari.layers.Image
        The result, or the index of a stack.
    layers : iterable of napari.layers.Layer
        Among which those are looked for that it was made of: by name, shape and dtype, or, where
        none has the name, by the file that it was opened from.
    """
    record = read_record(layer)
    if record is None:
        return None
    others = [other for other in layers if other is not layer]
    names = tuple(str(each["layer"]) for each in record["inputs"])
    options = _options_of(record)
    try:
        plan = _plan_again(layer, record, options, others)
    except GIFNetError as error:
        return PickedUp(record, names, options, None, str(error))
    except _SPOILT:
        return None
    return PickedUp(record, names, options, plan, None)


def _options_of(record: Record) -> LayerOptions:
    parameters = record["parameters"]
    names = ("task", "interpolation", "level", "gamma", "device", "tile_size", "memory")
    return LayerOptions(
        **{name: parameters[name] for name in names},
        model=record["model"],
        color=color_of(record),
        intensity=intensity_of(record),
        grid=parameters["grid"],
        extent=tuple(slice(*part) for part in parameters["region"]),
        axes=tuple(parameters["axes"]),
        precision=record["precision"],
        normalization=parameters["normalization"],
        lazy=parameters["lazy"],
        axis=parameters.get("axis"),
        return_index=bool(parameters.get("return_index")),
    )


def _plan_again(
    layer: Image, record: Record, options: LayerOptions, others: list[Layer]
) -> LayerJob:
    sources = [
        _find(each, level, others)
        for each, level in zip(record["inputs"], levels_of(record), strict=True)
    ]
    looks = [_look_of(each) for each in record["inputs"]]
    stacked = function_of(record) == "fuse_stack_layers"
    plan = plan_as_seen(sources, options, None, stacked, looks)
    if list(plan.grid.shape) != list(record["grid_shape"]) or not same_grid(
        WorldGrid.from_layer(layer), plan.result_grid
    ):
        raise OptionError(
            f"{layer.name!r} does not lie where {' and '.join(source.name for source in sources)} "
            "would put it now: expected layers that have not been moved since; undo it, or fuse anew."
        )
    return plan


def _find(each: Mapping[str, Any], level: int, others: list[Layer]) -> Image:
    """Return the layer that a result was made of."""
    from napari.layers import Image

    images = [other for other in others if isinstance(other, Image)]
    named = [other for other in images if other.name == each["layer"]]
    found = named or [
        other for other in images if each["path"] and str(other.source.path) == each["path"]
    ]
    if not found:
        raise OptionError(
            f"{each['layer']!r}, which it was made of, is not among the layers: open it, or give it "
            "its name back."
        )
    for other in found:
        data = other.data[min(level, len(other.data) - 1)] if other.multiscale else other.data
        if list(data.shape) == list(each["shape"]) and bool(other.rgb) == each["rgb"]:
            return cast("Image", other)
    shape = "×".join(map(str, each["shape"]))
    raise OptionError(
        f"{found[0].name!r} is not what it was made of: expected a layer of {shape} values."
    )


def _look_of(each: Mapping[str, Any]) -> Look:
    """Return the gamma and the colormap that were applied."""
    from napari.utils.colormaps import ensure_colormap

    name, gamma = each["colormap"], each["gamma"]
    try:
        return Look(None if name is None else ensure_colormap(name), gamma)
    except (KeyError, TypeError, ValueError) as error:
        raise OptionError(
            f"The colormap {name!r}, in which {each['layer']!r} was fused, is not known here: "
            "expected one of napari's."
        ) from error
