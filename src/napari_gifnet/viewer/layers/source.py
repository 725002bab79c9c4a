"""What a run takes from a layer, once, so that it need not touch the layer again."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from napari_gifnet.errors import ImageError, OptionError
from napari_gifnet.grids.resample import resample
from napari_gifnet.grids.world_grid import WorldGrid, same_grid
from napari_gifnet.planes.image import Picture, is_dask
from napari_gifnet.planes.ranges import (
    Intensity,
    Policy,
    Range,
    check_intensity,
    range_without_looking,
    to_unit,
)

if TYPE_CHECKING:
    from napari.layers import Image
    from numpy.typing import NDArray

_SHADES = 1024
"""Samples of a colormap; what lies between two is interpolated."""


@dataclass(frozen=True, eq=False)
class Source:
    """An image layer as it was when the run was planned.

    Attributes
    ----------
    name : str
    data : array (..., Y, X) or (..., Y, X, 3 | 4)
        Of one level; a dask array where the layer's is anything but a numpy array.
    grid : WorldGrid
        Of `data`.
    rgb : bool
        The last axis of `data` is colour.
    intensity : (low, high) or policy
        What becomes 0 and 1; a policy where that depends on the values.
    gamma : float
    colors : array (n,) or (n, 3), or None
        The colormap to be applied, from low to high.
    facts : dict
        Where it is from, for the result's metadata.
    """

    name: str
    data: Any
    grid: WorldGrid
    rgb: bool
    intensity: Range | Policy
    gamma: float
    colors: NDArray[np.float32] | None
    facts: dict[str, Any]

    @property
    def lazy(self) -> bool:
        """Whether the data are a dask array."""
        return is_dask(self.data)

    @property
    def in_color(self) -> bool:
        """Whether what is fused of it has colour."""
        return self.rgb or (self.colors is not None and self.colors.ndim == 2)

    @property
    def has_alpha(self) -> bool:
        """Whether the data are RGBA."""
        return self.rgb and self.data.shape[-1] == 4

    @property
    def adjusted(self) -> bool:
        """Whether a gamma or a colormap is applied, after which values lie in [0, 1]."""
        return self.gamma != 1 or self.colors is not None

    def lies_on(self, grid: WorldGrid) -> bool:
        """Whether no resampling is needed."""
        return same_grid(grid, self.grid)

    def measure_range(self) -> Range:
        """Return the values that become 0 and 1, of the whole level; reads it if it must."""
        limits = self.intensity
        if isinstance(limits, str):
            values = self.data[..., :3] if self.rgb else self.data
            limits = Picture(values, self.rgb).measure_range(limits, repr(self.name))
            if not isinstance(limits, tuple):
                limits = limits.compute()
        low, high = limits
        return low, max(high, math.nextafter(low, math.inf))

    def on(
        self,
        grid: WorldGrid,
        region: tuple[slice, ...],
        axes: tuple[int, int],
        value_range: Range,
        order: Literal[1, 3],
        lazy: bool,
    ) -> tuple[Any, Any]:
        """Return what is to be fused of a region of a grid, and its alpha channel.

        Parameters
        ----------
        grid : WorldGrid
        region : tuple of slice
            In voxels of `grid`.
        axes : (rows, columns)
            The axes of the planes; they become the last two.
        value_range : (low, high)
            What `measure_range` returned, for a gamma or a colormap.
        order : 1 or 3
            Of the interpolation.
        lazy : bool
            Whether to return dask arrays, rather than numpy's.

        Returns
        -------
        values : array (..., Y, X) or (..., Y, X, 3)
            NaN where the layer has no voxels.
        alpha : array (..., Y, X), or None
            In [0, 1].
        """
        part = grid.crop(region)
        data = as_dask(self.data) if lazy else self.data
        if self.lies_on(grid):
            values = data[tuple(region[-self.grid.ndim :])]
        else:
            values = resample(data, self.grid, part, order=order)
        if not lazy:
            values = np.asarray(values)
        alpha = None
        if self.has_alpha:
            opaque = range_without_looking(self.data.dtype, "dtype")
            alpha = _by_blocks(to_unit, values[..., 3], opaque)
            alpha = np.moveaxis(np.broadcast_to(alpha, part.shape), axes, (-2, -1))
            values = values[..., :3]
        if self.adjusted:
            channels = 3 if self.in_color and not self.rgb else None
            values = _by_blocks(
                adjust, values, value_range, self.gamma, self.colors, channels=channels
            )
        channels_at_end = values.shape[-1:] if self.in_color else ()
        values = np.broadcast_to(values, part.shape + channels_at_end)
        return np.moveaxis(values, axes, (-3, -2) if self.in_color else (-2, -1)), alpha


def read_layer(
    layer: Image, level: int, intensity: Intensity | Literal["layer"], gamma: bool, displayed: bool
) -> Source:
    """Take from an image layer what a run needs.

    Parameters
    ----------
    layer : napari.layers.Image
    level : int
        Of a multiscale layer.
    intensity : policy, (low, high) or "layer"
        The last one is the layer's contrast limits.
    gamma : bool
        Whether to apply the layer's gamma.
    displayed : bool
        Whether to apply the layer's colormap.

    Raises
    ------
    ImageError
        It is no image layer, or not one of real numbers.
    OptionError
        It has no such level, or `intensity` is not understood.
    """
    check_layer(layer)
    grid = WorldGrid.from_layer(layer, level)
    data = layer.data[level] if layer.multiscale else layer.data
    if not isinstance(data, np.ndarray):
        data = as_dask(data)
    if data.dtype.kind not in "biuf":
        raise ImageError(
            f"Layer {layer.name!r} has dtype {data.dtype}: expected booleans, integers or floats; "
            "convert it, for instance to the magnitude of complex values."
        )
    return Source(
        name=layer.name,
        data=data,
        grid=grid,
        rgb=bool(layer.rgb),
        intensity=_intensity(layer, data.dtype, intensity),
        gamma=float(layer.gamma) if gamma else 1.0,
        colors=_colors(layer) if displayed and not layer.rgb else None,
        facts={
            "layer": layer.name,
            "path": str(layer.source.path) if layer.source.path else None,
            "sample": list(layer.source.sample) if layer.source.sample else None,
            "shape": [int(n) for n in data.shape],
            "dtype": str(data.dtype),
            "rgb": bool(layer.rgb),
            "colormap": layer.colormap.name if displayed and not layer.rgb else None,
            "gamma": float(layer.gamma) if gamma else None,
        },
    )


def as_dask(data: Any) -> Any:
    """Return a dask array of anything that slices as numpy arrays do."""
    if is_dask(data):
        return data
    import dask.array as da

    return da.from_array(data, name=False)


def check_layer(layer: Any) -> None:
    """Raise ImageError if it is no image layer."""
    from napari.layers import Image, Labels

    if isinstance(layer, Image):
        return
    if isinstance(layer, Labels):
        raise ImageError(
            f"{layer.name!r} is a Labels layer, whose numbers are names and not intensities: "
            "expected an Image layer; its context menu has 'Convert to Image'."
        )
    raise ImageError(
        f"{getattr(layer, 'name', layer)!r} is of type {type(layer).__name__}: "
        "expected an Image layer."
    )


def adjust(
    values: NDArray[Any], value_range: Range, gamma: float, colors: NDArray[np.float32] | None
) -> NDArray[np.float32]:
    """Return values in [0, 1] as napari shows them: contrast limits, then gamma, then colormap."""
    unit = to_unit(values, value_range)
    if gamma != 1:
        unit **= gamma
    if colors is None:
        return unit
    at = np.linspace(0, 1, len(colors))
    channels = [np.interp(unit, at, c).astype(np.float32) for c in np.atleast_2d(colors.T)]
    return channels[0] if colors.ndim == 1 else np.stack(channels, axis=-1)


def _by_blocks(
    function: Callable[..., Any], values: Any, *arguments: Any, channels: int | None = None
) -> Any:
    """Apply a function to an array, or to each block of a dask array; it may add channels."""
    if not is_dask(values):
        return function(values, *arguments)
    added = {}
    if channels:
        added = {"new_axis": values.ndim, "chunks": (*values.chunks, (channels,))}
    meta = np.empty((0,) * (values.ndim + bool(channels)), np.float32)
    return values.map_blocks(function, *arguments, dtype=np.float32, meta=meta, **added)


def _intensity(
    layer: Image, dtype: np.dtype, intensity: Intensity | Literal["layer"]
) -> Range | Policy:
    if isinstance(intensity, str) and intensity == "layer":
        low, high = layer.contrast_limits
        return float(low), float(high)
    try:
        policy = check_intensity(intensity)
    except OptionError:
        raise OptionError(
            f"intensity={intensity!r} is not understood: expected 'layer', which is the contrast "
            f"limits, {', '.join(map(repr, get_args(Policy)))}, or (low, high) with low < high, or "
            "a pair of these for A and B."
        ) from None
    known = range_without_looking(dtype, policy)
    return policy if known is None else known


def _colors(layer: Image) -> NDArray[np.float32] | None:
    """Return the layer's colormap from low to high; None for gray, as it changes nothing."""
    if layer.colormap.name == "gray":
        return None
    colors = layer.colormap.map(np.linspace(0, 1, _SHADES))[:, :3].astype(np.float32)
    return colors if np.ptp(colors, axis=1).any() else colors[:, 0]
