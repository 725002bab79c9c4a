"""Values of any dtype to planes in [0, 1] and back: ranges, non-finite pixels, scaled integers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from numbers import Real
from typing import Any, Literal, cast, get_args

import numpy as np
from numpy.typing import DTypeLike

from napari_gifnet.errors import ImageError, OptionError

Policy = Literal["auto", "dtype", "minmax", "percentile"]
Range = tuple[float, float]
Intensity = Policy | Range

PERCENTILES = (0.1, 99.9)
_CHUNK = 2**20
_SAMPLE = 2**22


def split_intensity(intensity: Any) -> tuple[Intensity, Intensity]:
    """Return the intensity policies of a and b; two numbers are one range for both.

    Examples
    --------
    >>> split_intensity((0, 4095))
    ((0.0, 4095.0), (0.0, 4095.0))
    >>> split_intensity(("minmax", (0, 4095)))
    ('minmax', (0.0, 4095.0))
    """
    if is_intensity_pair(intensity):
        return check_intensity(intensity[0]), check_intensity(intensity[1])
    return (check_intensity(intensity),) * 2


def is_intensity_pair(intensity: Any) -> bool:
    """Whether `intensity` names a policy for a and another for b, rather than one for both."""
    return (
        isinstance(intensity, (tuple, list))
        and len(intensity) == 2
        and not all(isinstance(part, Real) for part in intensity)
    )


def check_intensity(intensity: Any) -> Intensity:
    """Return one policy, or one range as two floats; raise OptionError if it is neither."""
    if isinstance(intensity, str) and intensity in get_args(Policy):
        return cast("Policy", intensity)
    if (
        isinstance(intensity, (tuple, list))
        and len(intensity) == 2
        and all(isinstance(part, Real) for part in intensity)
    ):
        low, high = (float(part) for part in intensity)
        if low < high and math.isfinite(high - low):
            return low, high
    raise OptionError(
        f"intensity={intensity!r} is not understood: expected one of "
        f"{', '.join(map(repr, get_args(Policy)))}, or (low, high) with low < high, "
        "or a pair of these for a and b."
    )


def range_without_looking(dtype: np.dtype, intensity: Intensity) -> Range | None:
    """Return the range that does not depend on the values, or None where it does.

    ``"dtype"`` is the full range of an integer type, and [0, 1] for booleans and floats.
    """
    if not isinstance(intensity, str):
        return intensity
    if intensity == "dtype" or (intensity == "auto" and dtype in (np.uint8, np.bool_)):
        if dtype.kind in "iu":
            return float(np.iinfo(dtype).min), float(np.iinfo(dtype).max)
        return 0.0, 1.0
    return None


def chunks(image: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the values of `image` in flat pieces, so that a memory-mapped one is never copied."""
    yield from cast(
        "Iterable[np.ndarray]",
        np.nditer(image, flags=["external_loop", "buffered"], order="K", buffersize=_CHUNK),
    )


def measure_range(image: np.ndarray, intensity: Intensity, name: str) -> Range:
    """Return the (low, high) of `image` that become 0 and 1.

    Parameters
    ----------
    image : array
        Boolean, integer or floating point, of any shape.
    intensity : {"auto", "dtype", "minmax", "percentile"} or (low, high)
        ``"auto"`` is ``"dtype"`` for uint8, booleans and floats within [0, 1], else ``"minmax"``.
        ``"percentile"`` takes the 0.1st and the 99.9th, of an even sample where the image is large.
    name : str
        What an error calls the image.

    Raises
    ------
    ImageError
        No value is finite.
    """
    known = range_without_looking(image.dtype, intensity)
    if known is None:
        step = sample_step(image.size)
        parts = [summarise(chunk, intensity, step) for chunk in chunks(image)]
        return combine(parts, image.dtype, intensity, name)
    if image.dtype.kind == "f" and not any(np.isfinite(chunk).any() for chunk in chunks(image)):
        raise _nothing_finite(name)
    return known


def sample_step(size: int) -> int:
    """Return which share of `size` values percentiles need: every n-th, n odd."""
    return size // _SAMPLE | 1


def summarise(values: np.ndarray, intensity: Intensity, step: int) -> np.ndarray:
    """Return finite values that stand for all: every `step`-th for percentiles, or extremes."""
    if intensity == "percentile":
        sample = values.ravel()[::step].astype(float)
        return sample[np.isfinite(sample)]
    extremes = np.array([values.min(), values.max()], float)
    if np.isfinite(extremes).all():
        return extremes
    finite = values[np.isfinite(values)]
    return np.array([finite.min(), finite.max()], float) if finite.size else np.empty(0)


def combine(parts: list[np.ndarray], dtype: np.dtype, intensity: Intensity, name: str) -> Range:
    """Return the range of an image from what `summarise` kept of each of its pieces."""
    values = np.concatenate(parts)
    if not values.size:
        raise _nothing_finite(name)
    low, high = float(values.min()), float(values.max())
    if intensity == "auto" and dtype.kind == "f" and low >= 0 and high <= 1:
        return 0.0, 1.0
    if intensity == "percentile":
        inner_low, inner_high = np.percentile(values, PERCENTILES)
        if inner_low < inner_high:  # all but a few pixels may be equal
            low, high = float(inner_low), float(inner_high)
    if not math.isfinite(high - low):
        raise ImageError(
            f"{name} spans {low:g} to {high:g}, more than a float holds: "
            "give its range as intensity=(low, high)."
        )
    return low, high


def _nothing_finite(name: str) -> ImageError:
    return ImageError(f"{name} has no finite pixel: expected an image that is not all NaN.")


def join_ranges(first: Range, second: Range) -> Range:
    """Return the smallest range that holds both."""
    return min(first[0], second[0]), max(first[1], second[1])


def to_unit(values: np.ndarray, value_range: Range) -> np.ndarray:
    """Map `value_range` to [0, 1] in float32; what lies outside is clipped, an empty range is 0.

    Non-finite values become NaN.
    """
    largest = 2 * max(abs(value_range[0]), abs(value_range[1]))
    kind = np.result_type(values.dtype, np.float32, np.min_scalar_type(largest))
    low, high = (kind.type(limit) for limit in value_range)
    unit = values.astype(kind)
    invalid = None
    if values.dtype.kind == "f" and not np.isfinite([unit.min(), unit.max()]).all():
        invalid = ~np.isfinite(unit)
    np.clip(unit, low, high, out=unit)
    unit -= low
    unit /= (high - low) or 1
    if invalid is not None:
        unit[invalid] = np.nan
    return unit.astype(np.float32, copy=False)


def fill_invalid(plane: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Replace the NaNs of a plane by their nearest valid pixels.

    The network's statistics are over the whole plane, what fills the holes included. The nearest
    pixel makes no edge and no value that the image does not have.

    Parameters
    ----------
    plane : array (Y, X)
        float32.

    Returns
    -------
    filled : array (Y, X)
        The plane itself where it has no NaN; zeros where it has nothing else.
    invalid : array of bool (Y, X), or None
        Where the NaNs were; None if there were none.
    """
    if not np.isnan(plane.min()):
        return plane, None
    invalid = np.isnan(plane)
    if invalid.all():
        return np.zeros_like(plane), invalid
    from scipy.ndimage import distance_transform_edt

    nearest = distance_transform_edt(invalid, return_distances=False, return_indices=True)
    return plane[tuple(nearest)], invalid


def result_dtype(dtype: DTypeLike | None) -> np.dtype:
    """Return the dtype of a result, float32 for None; raise OptionError if it cannot be one."""
    if dtype is None:
        return np.dtype(np.float32)
    try:
        checked = np.dtype(dtype)
    except TypeError:
        checked = np.dtype(object)
    if checked.kind == "f" or (checked.kind in "iu" and checked.itemsize <= 4):
        return checked
    raise OptionError(
        f"dtype={dtype!r} cannot hold a result: expected a floating-point type, or an integer "
        "type of up to 32 bits such as uint8 or uint16."
    )


def from_unit(picture: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Return values in [0, 1] as `dtype`: floats as they are, integers scaled to 0 … their maximum.

    A NaN is 0 in an integer.
    """
    if dtype.kind == "f":
        return picture.astype(dtype, copy=False)
    scaled = picture.astype(np.result_type(dtype, np.float32))
    np.nan_to_num(scaled, copy=False, nan=0)
    np.clip(scaled, 0, 1, out=scaled)
    scaled *= np.iinfo(dtype).max
    return np.rint(scaled, out=scaled).astype(dtype)
