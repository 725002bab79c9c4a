"""Histograms of planes whose parts are seen one at a time, and matching one to another."""

from __future__ import annotations

import numpy as np

BINS = 2**16
"""Of [0, 1]; within one of them values are not told apart."""


def histogram(values: np.ndarray) -> np.ndarray:
    """Return how many values each bin holds, and their sum; those of several parts add up.

    Parameters
    ----------
    values : array
        float32 in [0, 1].

    Returns
    -------
    array (2, `BINS`)
        float64.

    Examples
    --------
    >>> histogram(np.array([0, 0.5, 0.5])).sum(axis=1)
    array([3., 1.])
    """
    flat = np.asarray(values, np.float64).ravel()
    bins = _bins(flat)
    return np.stack(
        [np.bincount(bins, minlength=BINS), np.bincount(bins, weights=flat, minlength=BINS)]
    )


def matched(values: np.ndarray, own: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return values of a plane changed so that its histogram becomes another one's.

    Parameters
    ----------
    values : array (Y, X)
        Some of the plane's, float32 in [0, 1].
    own, wanted : array (2, `BINS`)
        The plane's histogram, and the one it gets.

    Returns
    -------
    array (Y, X)
        float64, within about a bin of `skimage.exposure.match_histograms` of the whole planes.

    Examples
    --------
    >>> dark, bright = np.linspace(0, 0.5, 50), np.linspace(0.5, 1, 50)
    >>> np.abs(matched(dark, histogram(dark), histogram(bright)) - bright).max() < 1e-4
    True
    """
    counts, sums = wanted
    held = counts > 0
    levels = sums[held] / counts[held]
    quantiles = np.cumsum(counts[held]) / counts.sum()
    own_quantiles = np.cumsum(own[0]) / own[0].sum()
    of_bin = np.interp(own_quantiles, quantiles, levels)
    return of_bin[_bins(np.asarray(values))]


def _bins(values: np.ndarray) -> np.ndarray:
    return np.clip(np.floor(values * BINS), 0, BINS - 1).astype(np.int64)
