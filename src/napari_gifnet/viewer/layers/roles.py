"""What a layer is, as far as its name, its sample and its colours tell: which side, which task."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from napari.layers import Image, Layer

INFRARED = frozenset({"infrared", "ir", "thermal", "lwir", "mwir", "swir", "nir", "flir"})
MODALITIES = INFRARED | {"pet", "spect", "ct", "ms", "near", "over"}
DETAILS = frozenset({"visible", "vis", "rgb", "mri", "mr", "t1", "t2", "pan", "far", "under"})
"""Words in the names of layers that say which side they are."""

INFRARED_TASKS = frozenset({"infrared_visible", "nir_visible"})


def by_role(one: Image, other: Image, task: str | None = None) -> tuple[Image, Image]:
    """Return the modality and the detail of two layers.

    What a sample says goes first, then the layers' names, then what the layers are: the one in
    colour is the visible one, or, with MRI, the PET; the one with bands is the multispectral one.
    Where nothing tells, the order is kept.

    Parameters
    ----------
    one, other : napari.layers.Image
    task : str, optional
        The preset.
    """
    for ask in (_side_in_sample, _side_in_name, _side_in_looks):
        first, second = ask(one, task), ask(other, task)
        says_so = first == "a" or second == "b"
        says_not = first == "b" or second == "a"
        if says_so != says_not:
            return (one, other) if says_so else (other, one)
    return one, other


def common_task(*layers: Layer) -> str | None:
    """Return the task that all the layers say they belong to, if they do."""
    tasks = {_sample_of(layer).get("task") for layer in layers}
    return tasks.pop() if len(tasks) == 1 else None


def is_infrared(layer: Layer) -> bool:
    """Whether a layer says that it is infrared, so that its colours are false ones."""
    sample = _sample_of(layer)
    if sample.get("task") in INFRARED_TASKS and sample.get("side") == "a":
        return True
    return not _words(layer).isdisjoint(INFRARED)


def in_color_map(layer: Image) -> bool:
    """Whether a layer of one channel is shown in a colormap that is more than shades of gray."""
    return not layer.rgb and bool(np.ptp(layer.colormap.colors[:, :3], axis=1).any())


def _sample_of(layer: Layer) -> dict[str, str]:
    facts = layer.metadata.get("napari_gifnet", {})
    return facts if isinstance(facts, dict) else {}


def _words(layer: Layer) -> set[str]:
    name = layer.name.lower()
    return {*re.findall(r"[a-z]+", name), *re.findall(r"[a-z]+\d+", name)}


def _side_in_sample(layer: Image, task: str | None) -> str | None:
    return _sample_of(layer).get("side")


def _side_in_name(layer: Image, task: str | None) -> str | None:
    words = _words(layer)
    modality, detail = not words.isdisjoint(MODALITIES), not words.isdisjoint(DETAILS)
    return None if modality == detail else "a" if modality else "b"


def _side_in_looks(layer: Image, task: str | None) -> str | None:
    if task == "pet_mri":
        return "a" if layer.rgb or in_color_map(layer) else None
    if task in ("pansharpening", "multi_focus", "multi_exposure"):
        return "a" if task == "pansharpening" and layer.ndim > 2 else None
    return "b" if layer.rgb else None
