"""Whether a layer is fused in the colours of its colormap, or in the gray of its values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from napari_gifnet.planes.color import chroma

from .options import LayerOptions
from .roles import in_color_map, is_infrared
from .source import Look

if TYPE_CHECKING:
    from napari.layers import Image
    from numpy.typing import NDArray

LOOKED_AT = (None, "pet_mri")
"""Tasks of which ``color="auto"`` looks at the colormaps of the layers."""

_ONE_HUE = 0.95
"""Cosine between the chromas of a colormap and their mean from which on it has one hue."""


def shows_colors(layers: Sequence[Image], color: str, task: str | None) -> list[bool]:
    """Return for each layer whether its colormap is applied before it is fused.

    With ``"displayed"`` that of every layer is, with ``"a"`` or ``"b"`` that of the layer named, if
    it is in colour. With ``"auto"`` it is for a pair without a preset and for PET with MRI, where
    the colormap is in colour: what one sees is what is fused. Two are false colours and stay gray:
    those of infrared, and a map of several hues beside a picture in natural colours. With MRI, the
    PET's colours go first.

    Parameters
    ----------
    layers : sequence of napari.layers.Image
    color : str
        As `LayerOptions` has it.
    task : str or None
    """
    if color == "displayed":
        return [True] * len(layers)
    mapped = [in_color_map(layer) for layer in layers]
    if color in ("a", "b"):
        return [here and "ab".find(color) == place for place, here in enumerate(mapped)]
    if color != "auto" or len(layers) != 2 or task not in LOOKED_AT:
        return [False] * len(layers)
    if task == "pet_mri":
        return [mapped[0], mapped[1] and not mapped[0] and not layers[0].rgb]
    natural = any(layer.rgb for layer in layers)
    return [
        here and not is_infrared(layer) and not (natural and not _has_one_hue(layer))
        for here, layer in zip(mapped, layers, strict=True)
    ]


def looks_of(layers: Sequence[Image], options: LayerOptions) -> list[Look]:
    """Return what is applied of the layers' looks: their gamma, their colormaps, or neither."""
    displayed = shows_colors(layers, options.color, options.task)
    return [
        Look(
            layer.colormap if shown and not layer.rgb else None,
            float(layer.gamma) if options.gamma else None,
        )
        for layer, shown in zip(layers, displayed, strict=True)
    ]


def _has_one_hue(layer: Image) -> bool:
    """Whether a colormap is the colour of a channel, from dark to light, as green is."""
    colors = chroma(_colors(layer))
    strength = np.linalg.norm(colors, axis=1)
    mean = colors.mean(axis=0)
    along = colors @ mean / max(float(np.linalg.norm(mean)), 1e-6)
    return bool((along >= _ONE_HUE * strength - 1e-3).all())


def _colors(layer: Image) -> NDArray[np.float32]:
    return np.asarray(layer.colormap.colors, np.float32)[:, :3]
