"""The Laplacian pyramid of Burt and Adelson: one for the baseline, the band network and the losses.

Planes are the last two axes of a NumPy array or of a torch tensor; both go through the same taps. Pixel i
of a reduced plane lies on pixel 2 i of the larger one, so that nothing shifts, and beyond a border the
plane is mirrored about its last pixel.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["collapse", "decompose", "expand", "fuse_strongest", "reduce"]

Planes = Any  # array or tensor (..., Y, X) of floats

LEVELS = 5
"""Bands of detail of the baseline and of the band network; the base is of 1/32 of the side."""


def reduce(planes: Planes) -> Planes:
    """Smooth by the taps 1 4 6 4 1 and keep every second pixel.

    Parameters
    ----------
    planes : array or tensor (..., Y, X)
        Floats.

    Returns
    -------
    array or tensor (..., ⌈Y/2⌉, ⌈X/2⌉)
        Pixel i lies on pixel 2 i of the larger plane.

    Examples
    --------
    >>> reduce(np.ones((5, 8))).shape
    (3, 4)
    """
    return _reduce(_reduce(planes, -2), -1)


def expand(planes: Planes, size: Sequence[int]) -> Planes:
    """Interpolate by the same taps, so that pixel i comes to lie on pixel 2 i.

    Parameters
    ----------
    planes : array or tensor (..., ⌈Y/2⌉, ⌈X/2⌉)
        Floats.
    size : (Y, X)
        Of the larger plane, in pixels.

    Returns
    -------
    array or tensor (..., Y, X)
        Smooth between the pixels of the smaller plane.

    Examples
    --------
    >>> bool((expand(np.ones((3, 4)), (5, 8)) == 1).all())
    True
    """
    return _expand(_expand(planes, -1, size[-1]), -2, size[-2])


def decompose(planes: Planes, levels: int = LEVELS) -> list[Planes]:
    """Split planes into bands of detail, the finest first, and a base.

    Parameters
    ----------
    planes : array or tensor (..., Y, X)
        Of any size.
    levels : int
        Bands of detail.

    Returns
    -------
    list of `levels` + 1 arrays or tensors
        (..., Y, X), (..., ⌈Y/2⌉, ⌈X/2⌉) and so on; `collapse` makes the planes of them again.

    References
    ----------
    P. J. Burt, E. H. Adelson, "The Laplacian pyramid as a compact image code", IEEE Transactions on
    Communications 31(4), 1983.

    Examples
    --------
    >>> [band.shape for band in decompose(np.eye(9), levels=2)]
    [(9, 9), (5, 5), (3, 3)]
    """
    bands = []
    for _ in range(levels):
        smaller = reduce(planes)
        bands.append(planes - expand(smaller, planes.shape[-2:]))
        planes = smaller
    return [*bands, planes]


def collapse(bands: Sequence[Planes]) -> Planes:
    """Add up the bands and the base that `decompose` returns.

    Parameters
    ----------
    bands : sequence of arrays or tensors
        The finest first, the base last.

    Returns
    -------
    array or tensor (..., Y, X)
        The planes that `decompose` was given, to rounding.

    Examples
    --------
    >>> np.allclose(collapse(decompose(np.eye(9))), np.eye(9))
    True
    """
    *details, planes = bands
    for detail in reversed(details):
        planes = expand(planes, detail.shape[-2:]) + detail
    return planes


def fuse_strongest(*planes: Planes, levels: int = LEVELS) -> Planes:
    """Fuse planes by the strongest of the details in each place and the mean of the bases.

    Parameters
    ----------
    *planes : arrays or tensors (..., Y, X) of one size
        Of equal details the first one's is taken.
    levels : int
        Bands of detail.

    Returns
    -------
    array or tensor (..., Y, X)
        Not limited to the range of the planes.

    Examples
    --------
    >>> np.allclose(fuse_strongest(np.eye(9), np.eye(9)), np.eye(9))
    True
    """
    where = _library(planes[0]).where
    first, *others = planes
    *details, base = decompose(first, levels)
    for other in others:  # one pyramid after the other: two are in memory at a time
        *more, further = decompose(other, levels)
        details = [where(abs(x) >= abs(y), x, y) for x, y in zip(details, more, strict=True)]
        base = base + further
    return collapse([*details, base / len(planes)])


def _library(planes: Planes) -> Any:
    if isinstance(planes, np.ndarray):
        return np
    import torch

    return torch


def _reduce(planes: Planes, axis: int) -> Planes:
    count = planes.shape[axis]
    padded = _concatenate(
        [*(_pixel(planes, axis, i) for i in (-2, -1)), planes]
        + [_pixel(planes, axis, count + i) for i in (0, 1)],
        axis,
    )

    def shifted(by: int) -> Planes:  # pixels by, by + 2, ... of the padded axis, ⌈count/2⌉ of them
        return _part(padded, axis, slice(by, by + count, 2))

    return (
        shifted(2) * 0.375 + (shifted(1) + shifted(3)) * 0.25 + (shifted(0) + shifted(4)) * 0.0625
    )


def _expand(planes: Planes, axis: int, count: int) -> Planes:
    half = planes.shape[axis]
    # what is mirrored is the larger axis: its pixel count is the last one again if count is even
    last = half - 1 if count % 2 == 0 else half - 2
    padded = _concatenate(
        [_pixel(planes, axis, min(1, half - 1)), planes, _pixel(planes, axis, max(0, last))], axis
    )
    before, at, after = (_part(padded, axis, slice(i, i + half)) for i in range(3))
    even, odd = at * 0.75 + (before + after) * 0.125, (at + after) * 0.5
    pairs = _library(planes).stack((even, odd), axis)  # interleaved by the reshape
    shape = list(planes.shape)
    shape[axis] = 2 * half
    return _part(pairs.reshape(shape), axis, slice(0, count))


def _concatenate(parts: list[Planes], axis: int) -> Planes:
    return _library(parts[0]).concatenate(parts, axis)


def _part(planes: Planes, axis: int, part: slice) -> Planes:
    return planes[..., part] if axis == -1 else planes[..., part, :]


def _pixel(planes: Planes, axis: int, index: int) -> Planes:
    """Return a pixel of an axis, of length 1 along it; outside of the axis its mirror image."""
    count = planes.shape[axis]
    period = max(1, 2 * (count - 1))
    index %= period
    index = min(index, period - index) if count > 1 else 0
    return _part(planes, axis, slice(index, index + 1))
