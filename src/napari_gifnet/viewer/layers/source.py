"""What a run takes from a layer, once, so that it need not touch the layer again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from napari_gifnet.alignment.result import same_affine
from napari_gifnet.alignment.transforms import check_kind
from napari_gifnet.errors import ImageError
from napari_gifnet.grids.world_grid import WorldGrid
from napari_gifnet.placed import PlacedImage
from napari_gifnet.planes.arrays import as_array, is_dask
from napari_gifnet.planes.color import Appearance
from napari_gifnet.planes.ranges import Range, range_without_looking

if TYPE_CHECKING:
    from napari.layers import Image

_SHADES = 1024
"""Samples of a colormap; what lies between two is interpolated."""


@dataclass(frozen=True, eq=False)
class Source(PlacedImage):
    """An image layer as it was when the run was planned.

    Attributes
    ----------
    name, data, grid, rgb, shown, appearance : see `PlacedImage`
        Of one level; a dask array where the layer's values are not in memory.
    facts : dict
        Where it is from, for the result's metadata.
    owner : object
        What the layer holds, by which it is known again.
    levels : int
        How many the layer has.
    """

    facts: dict[str, Any]
    owner: Any
    levels: int = 1

    @property
    def lazy(self) -> bool:
        """Whether the data are not in memory."""
        return is_dask(self.data)

    @property
    def has_alpha(self) -> bool:
        """Whether the data are RGBA."""
        return self.rgb and self.data.shape[-1] == 4


class Look(NamedTuple):
    """What is applied of how a layer looks.

    Attributes
    ----------
    colormap : napari.utils.Colormap or None
    gamma : float or None
    """

    colormap: Any = None
    gamma: float | None = None


def read_layer(layer: Image, level: int, look: Look) -> Source:
    """Take from an image layer what a run needs.

    Parameters
    ----------
    layer : napari.layers.Image
    level : int
        Of a multiscale layer.
    look : Look
        The gamma and the colormap to apply.

    Raises
    ------
    ImageError
        It is no image layer, or not one of real numbers.
    OptionError
        It has no such level.
    """
    check_layer(layer)
    grid = WorldGrid.from_layer(layer, level)
    owner = layer.data[level] if layer.multiscale else layer.data
    data = as_array(owner, repr(layer.name))
    rgb = bool(layer.rgb)
    colors = None if look.colormap is None else _colors(look.colormap)
    applied = 1.0 if look.gamma is None else look.gamma
    return Source(
        name=layer.name,
        data=data,
        grid=grid,
        rgb=rgb,
        shown=_shown(layer, data.dtype),
        appearance=Appearance(applied, colors) if applied != 1 or colors is not None else None,
        facts={
            "layer": layer.name,
            "path": str(layer.source.path) if layer.source.path else None,
            "sample": list(layer.source.sample) if layer.source.sample else None,
            "shape": [int(n) for n in data.shape],
            "dtype": str(data.dtype),
            "rgb": rgb,
            "colormap": None if look.colormap is None else look.colormap.name,
            "gamma": look.gamma,
            **alignment_of(layer),
            **stack_alignment_of(layer),
        },
        owner=owner,
        levels=len(layer.data) if layer.multiscale else 1,
    )


def alignment_of(layer: Image) -> dict[str, Any]:
    """Return how a layer was aligned, if it lies where that put it."""
    record = layer.metadata.get("napari_gifnet")
    found: Any = record.get("alignment") if isinstance(record, Mapping) else None
    try:
        affine = np.array(found["affine"], np.float64)
        kind, movement = check_kind(found["transform"]), str(found["movement"])
    except (KeyError, TypeError, ValueError):  # a stack's, or a file's, which may say anything
        return {}
    if not same_affine(affine, layer.affine.affine_matrix):
        return {}
    return {
        "alignment": {"transform": kind, "movement": movement, "affine": affine.tolist()},
    }


def stack_alignment_of(layer: Image) -> dict[str, Any]:
    """Return how the planes of a stack were aligned, if that is what made the layer."""
    record = layer.metadata.get("napari_gifnet")
    found: Any = record.get("alignment") if isinstance(record, Mapping) else None
    try:
        facts = {
            "layer": str(found["layer"]),
            "transform": check_kind(found["transform"]),
            "axis": int(found["axis"]),
            "reference": int(found["reference"]),
            "matrices": np.array(found["matrices"], np.float64).tolist(),
        }
    except (KeyError, TypeError, ValueError):  # a layer's own, or a file's, which may say anything
        return {}
    return {"stack_alignment": facts}


def check_layer(layer: Any) -> None:
    """Raise ImageError if it is no image layer."""
    from napari.layers import Image, Labels, Layer

    if isinstance(layer, Image):
        return
    if isinstance(layer, Labels):
        raise ImageError(
            f"{layer.name!r} is a Labels layer, whose numbers are names and not intensities: "
            "expected an Image layer; its context menu has 'Convert to Image'."
        )
    if isinstance(layer, Layer):
        raise ImageError(
            f"{layer.name!r} is a {type(layer).__name__} layer: expected an Image layer."
        )
    raise ImageError(
        f"A {type(layer).__name__} was given: expected a napari Image layer; arrays are for "
        "napari_gifnet.fuse, or for Image(array)."
    )


def _shown(layer: Image, dtype: np.dtype) -> Range:
    """Return what is shown black and white; napari shows RGB as it is, whatever its limits say."""
    if layer.rgb:
        limits = range_without_looking(dtype, "dtype")
        assert limits is not None
        return limits
    low, high = layer.contrast_limits
    low, high = float(low), float(high)
    return low, max(high, float(np.nextafter(low, np.inf)))


def _colors(colormap: Any) -> np.ndarray | None:
    """Return a colormap from low to high; None for gray, as it changes nothing."""
    if colormap.name == "gray":
        return None
    colors = colormap.map(np.linspace(0, 1, _SHADES))[:, :3].astype(np.float32)
    return colors if np.ptp(colors, axis=1).any() else colors[:, 0]
