"""Pictures of any dtype as planes on the scale of 0 to 255, and what several metrics share."""

from __future__ import annotations

from numbers import Real

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from napari_gifnet.errors import ImageError, OptionError

Plane = NDArray[np.float64]
Levels = NDArray[np.intp]
DataRange = float | tuple[float, float] | None

WHITE = 255.0
BINS = 256


def to_planes(data_range: DataRange, **images: ArrayLike) -> list[Plane]:
    """Check the pictures named by the keywords and map each from its range to 0-255."""
    planes = []
    for name, image in images.items():
        plane = np.asarray(image)
        if plane.dtype.kind not in "buif":
            raise ImageError(
                f"{name} has dtype {plane.dtype}: expected real numbers; convert it first."
            )
        if plane.ndim != 2 or not plane.size:
            raise ImageError(
                f"{name} has shape {plane.shape}: expected one plane (Y, X), or in evaluate() a"
                " colour picture (Y, X, 3 or 4); judge a stack plane by plane."
            )
        low, high = _limits(plane.dtype, data_range)
        darkest, brightest = plane.min(), plane.max()
        if not np.isfinite([darkest, brightest]).all():
            raise ImageError(
                f"{name} has pixels that are not finite: crop them away or fill them first."
            )
        if darkest < low or brightest > high:
            raise ImageError(
                f"{name} has values from {darkest:g} to {brightest:g}, outside of the data range"
                f" {low:g} to {high:g}: give the values of black and white as data_range."
            )
        planes.append((plane.astype(np.float64) - low) * (WHITE / (high - low)))
    shapes = [plane.shape for plane in planes]
    if len(set(shapes)) > 1:
        raise ImageError(
            f"{', '.join(images)} have the shapes {', '.join(map(str, shapes))}: metrics compare"
            " pixel by pixel; crop or resample them to one grid."
        )
    return planes


def check_size(plane: Plane, smallest: int, metric: str) -> None:
    """Raise ImageError if a side is shorter than the metric needs."""
    if min(plane.shape) < smallest:
        raise ImageError(
            f"{plane.shape[0]}x{plane.shape[1]} pixels are too few for {metric}: expected at least"
            f" {smallest}x{smallest}; leave it out of the metrics, or take a larger picture."
        )


def _limits(dtype: np.dtype, data_range: DataRange) -> tuple[float, float]:
    if data_range is None:
        if dtype.kind in "iu":
            return float(np.iinfo(dtype).min), float(np.iinfo(dtype).max)
        return 0.0, 1.0
    pair = (0, data_range) if isinstance(data_range, Real) else data_range
    if (
        isinstance(pair, (tuple, list))
        and len(pair) == 2
        and all(isinstance(limit, Real) for limit in pair)
        and -np.inf < pair[0] < pair[1] < np.inf
    ):
        return float(pair[0]), float(pair[1])
    raise OptionError(
        f"data_range={data_range!r} is not understood: expected (black, white) with black < white,"
        " or white alone, above 0."
    )


def sobel(plane: Plane, mode: str) -> tuple[Plane, Plane]:
    """Vertical and horizontal Sobel gradients, not normalized."""
    return ndimage.sobel(plane, axis=0, mode=mode), ndimage.sobel(plane, axis=1, mode=mode)


def gray_levels(plane: Plane) -> Levels:
    """Bin of each pixel, of 256 equal ones: in an 8-bit picture the gray level itself."""
    return np.minimum(plane * (BINS / WHITE), BINS - 1).astype(np.intp)


def bits(counts: NDArray) -> float:
    """Shannon entropy of a histogram."""
    p = counts[counts > 0] / counts.sum()
    return float(p @ np.log2(1 / p))
