"""Values of any dtype to planes in [0, 1] and back: ranges, non-finite pixels, scaled integers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Real
from typing import Any, Literal, cast, get_args

import numpy as np
from numpy.typing import DTypeLike

from napari_gifnet.errors import ImageError, OptionError

Policy = Literal["auto", "dtype", "minmax", "percentile"]
Range = tuple[float, float]
Intensity = Policy | Range

PERCENTILES = (0.1, 99.9)
_SAMPLE = 2**22


def split_intensity(
    intensity: Any, count: int, shown: Sequence[Range | None]
) -> list[Policy | Range]:
    """Return the intensity policy of each image; two numbers are one range for all.

    Parameters
    ----------
    intensity : policy, (low, high), or a sequence of `count` of these
    count : int
        How many images there are.
    shown : sequence of (low, high) or None
        What ``"layer"`` means for each: the range it is shown in; None where no viewer shows it.

    Raises
    ------
    OptionError
        One of them is not understood.

    Examples
    --------
    >>> split_intensity((0, 4095), 2, [None, None])
    [(0.0, 4095.0), (0.0, 4095.0)]
    >>> split_intensity(("minmax", (0, 4095)), 2, [None, None])
    ['minmax', (0.0, 4095.0)]
    """
    policies = intensity if names_each(intensity, count) else (intensity,) * count
    return [check_intensity(policy, limits) for policy, limits in zip(policies, shown, strict=True)]


def names_each(intensity: Any, count: int) -> bool:
    """Whether `intensity` names a policy for each image, rather than one for all."""
    return (
        count > 1
        and isinstance(intensity, (tuple, list))
        and len(intensity) == count
        and not all(isinstance(part, Real) for part in intensity)
    )


def check_intensity(intensity: Any, shown: Range | None = None) -> Policy | Range:
    """Return one policy, or one range as two floats; raise OptionError if it is neither."""
    if isinstance(intensity, str) and intensity in get_args(Policy):
        return cast("Policy", intensity)
    if isinstance(intensity, str) and intensity == "layer" and shown is not None:
        return shown
    if (
        isinstance(intensity, (tuple, list))
        and len(intensity) == 2
        and all(isinstance(part, Real) and not isinstance(part, bool) for part in intensity)
    ):
        low, high = (float(part) for part in intensity)
        if low < high and math.isfinite(high - low):
            return low, high
    of_layers = "" if shown is None else "'layer', which is the contrast limits, "
    raise OptionError(
        f"intensity={intensity!r} is not understood: expected {of_layers}one of "
        f"{', '.join(map(repr, get_args(Policy)))}, or (low, high) with low < high, "
        "or one of these for each image."
    )


def range_without_looking(dtype: np.dtype, intensity: Policy | Range) -> Range | None:
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


def measure_range(image: np.ndarray, intensity: Policy, name: str, leading: int = 0) -> Range:
    """Return the (low, high) of `image` that become 0 and 1.

    Parameters
    ----------
    image : array
        Boolean, integer or floating point; what is masked takes no part.
    intensity : {"auto", "minmax", "percentile"}
        ``"auto"`` is [0, 1] for floats within it, else ``"minmax"``. ``"percentile"`` takes the
        0.1st and the 99.9th, of an even sample where the image is large.
    name : str
        What an error calls the image.
    leading : int
        How many axes stand before those of a plane; it is read plane by plane.

    Raises
    ------
    ImageError
        No value is finite.
    """
    step = sample_step(image.size)
    planes = (image[index] for index in np.ndindex(image.shape[:leading]))
    return combine(
        [summarise(plane, intensity, step) for plane in planes], image.dtype, intensity, name
    )


def sample_step(size: int) -> int:
    """Return which share of `size` values percentiles need: every n-th, n odd."""
    return size // _SAMPLE | 1


def summarise(plane: np.ndarray, intensity: Policy, step: int) -> np.ndarray:
    """Return finite values that stand for all: every `step`-th for percentiles, or extremes."""
    if intensity == "percentile":
        plane = plane.ravel()[::step]
    if isinstance(plane, np.ma.MaskedArray):
        plane = plane.compressed()
    if intensity == "percentile":
        sample = plane.astype(float)
        return sample[np.isfinite(sample)]
    if not plane.size:
        return np.empty(0)
    extremes = np.array([plane.min(), plane.max()], float)
    if np.isfinite(extremes).all():
        return extremes
    finite = plane[np.isfinite(plane)]
    return np.array([finite.min(), finite.max()], float) if finite.size else np.empty(0)


def summarise_block(
    block: np.ndarray, intensity: Policy, step: int, box: tuple[slice, ...], shape: tuple[int, ...]
) -> np.ndarray:
    """Return what `summarise` keeps of the planes of an image, as far as a block holds them.

    Parameters
    ----------
    block : array (..., Y, X) or (..., Y, X, 3)
    intensity, step
        As for `summarise`.
    box : tuple of slice
        Where the block lies in its planes, (Y, X) or (Y, X, 3).
    shape : tuple of int
        Of the planes, likewise.

    Examples
    --------
    >>> plane = np.arange(12).reshape(3, 4)
    >>> summarise_block(plane[1:, :2], "percentile", 3, np.s_[1:3, 0:2], (3, 4))
    array([9.])
    >>> summarise(plane, "percentile", 3)
    array([0., 3., 6., 9.])
    """
    if intensity != "percentile" or step == 1:
        return summarise(block, intensity, 1)
    first, last = (row * int(np.prod(shape[1:])) for row in (box[0].start, box[0].stop))
    at = np.unravel_index(np.arange(-(-first // step) * step, last, step), shape)
    inside = [(each >= s.start) & (each < s.stop) for each, s in zip(at, box, strict=True)]
    kept = np.logical_and.reduce(inside)
    places = tuple(each[kept] - s.start for each, s in zip(at, box, strict=True))
    return summarise(block[(..., *places)], intensity, 1)


def merge_summaries(parts: list[np.ndarray], intensity: Policy) -> np.ndarray:
    """Return what stands for several parts of an image of what stands for each."""
    values = np.concatenate(parts)
    if intensity == "percentile" or not values.size:
        return values
    return np.array([values.min(), values.max()])


def combine(parts: list[np.ndarray], dtype: np.dtype, intensity: Policy, name: str) -> Range:
    """Return the range of an image from what `summarise` kept of each of its planes."""
    values = np.concatenate(parts)
    if not values.size:
        raise nothing_finite(name)
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


def nothing_finite(name: str) -> ImageError:
    """Return the error of an image that is all NaN."""
    return ImageError(f"{name} has no finite pixel: expected an image that is not all NaN.")


def join_ranges(first: Range, second: Range) -> Range:
    """Return the smallest range that holds both."""
    return min(first[0], second[0]), max(first[1], second[1])


def to_unit(values: np.ndarray, value_range: Range) -> np.ndarray:
    """Map `value_range` to [0, 1] in float32; what lies outside is clipped, an empty range is 0.

    Non-finite and masked values become NaN.
    """
    if isinstance(values, np.ma.MaskedArray):
        unit = to_unit(values.data, value_range)
        unit[np.ma.getmaskarray(values)] = np.nan
        return unit
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
