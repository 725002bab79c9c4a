"""Histograms of planes whose parts are seen one at a time, and matching one to another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

BINS = 2**16
"""Of [0, 1]; within one of them values are taken to be spread evenly."""


def histogram(values: np.ndarray) -> np.ndarray:
    """Return how many values each bin holds, and the smallest and the largest of them.

    Parameters
    ----------
    values : array
        float32 in [0, 1], at least one.

    Returns
    -------
    array (3, `BINS`)
        float64.

    Examples
    --------
    >>> counts, lows, highs = histogram(np.array([0, 0.5, 0.5]))
    >>> counts[[0, BINS // 2]], float(lows[0]), float(highs[BINS // 2])
    (array([1., 2.]), 0.0, 0.5)
    """
    ordered = np.sort(np.asarray(values, np.float64), axis=None)
    bins = _bins(ordered)
    held, first, counts = np.unique(bins, return_index=True, return_counts=True)
    found = np.zeros((3, BINS))
    found[1], found[2] = np.inf, -np.inf
    found[:, held] = counts, ordered[first], ordered[first + counts - 1]
    return found


def join_histograms(parts: Sequence[np.ndarray]) -> np.ndarray:
    """Return the histogram (..., 3, `BINS`) of several parts together."""
    counts, lows, highs = np.moveaxis(np.stack(parts), -2, 0)
    return np.stack([counts.sum(0), lows.min(0), highs.max(0)], axis=-2)


def matched(values: np.ndarray, own: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return values of a plane changed so that its histogram becomes another one's.

    Parameters
    ----------
    values : array (Y, X)
        Some of the plane's, float32 in [0, 1].
    own, wanted : array (3, `BINS`)
        The plane's histogram, and the one it gets.

    Returns
    -------
    array (Y, X)
        float64, nearly what `skimage.exposure.match_histograms` gives of the whole planes.

    Examples
    --------
    >>> dark, bright = np.linspace(0, 0.5, 50), np.linspace(0.5, 1, 50)
    >>> bool(np.abs(matched(dark, histogram(dark), histogram(bright)) - bright).max() < 1e-6)
    True
    """
    counts, lows, highs = wanted[:, wanted[0] > 0]
    behind = np.cumsum(counts)
    firsts = np.where(highs > lows, behind - counts + 1, behind)
    quantiles = np.stack([firsts, behind], 1).ravel() / behind[-1]
    levels = np.stack([lows, highs], 1).ravel()

    counts, lows, highs = own
    before = np.cumsum(counts) - counts
    values = np.asarray(values, np.float64)
    bins = _bins(values)
    spread = (highs - lows)[bins]
    share = np.divide(values - lows[bins], spread, out=np.ones(values.shape), where=spread > 0)
    ranks = before[bins] + 1 + (counts[bins] - 1) * share
    return np.interp(ranks / counts.sum(), quantiles, levels)


def _bins(values: np.ndarray) -> np.ndarray:
    return np.clip(np.floor(values * BINS), 0, BINS - 1).astype(np.int64)
