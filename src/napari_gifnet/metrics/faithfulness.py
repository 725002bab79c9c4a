"""Metrics of the fused image beside its sources: what of each is left in it."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import ndimage
from skimage import metrics as skimage_metrics

from .planes import (
    BINS,
    WHITE,
    DataRange,
    Levels,
    Plane,
    bits,
    check_size,
    gray_levels,
    sobel,
    to_planes,
)


def mutual_information(
    a: ArrayLike, b: ArrayLike, fused: ArrayLike, *, data_range: DataRange = None
) -> float:
    """Information that the fused image shares with each source, I(a, f) + I(b, f), in bits (MI).

    Parameters
    ----------
    a, b : array_like, shape (Y, X)
        The sources.
    fused : array_like, shape (Y, X)
        The image to judge.
    data_range : float or (float, float), optional
        As in `edge_intensity`; applies to all three. By default each plane has the range of its own
        dtype.

    Returns
    -------
    float
        At least 0. A copy of a source shares that source's `entropy`.

    Raises
    ------
    ImageError
        As in `edge_intensity`, and if the shapes differ.

    Notes
    -----
    Joint histograms of 256x256 equal bins, logarithms to base 2. Natural logarithms, which some
    codes take, give 0.693 times the value.

    References
    ----------
    G. Qu, D. Zhang, P. Yan, "Information measure for performance of image fusion", Electronics
    Letters 38(7), 2002.

    Examples
    --------
    >>> a, b = [[0, 0], [255, 255]], [[0, 255], [0, 255]]
    >>> mutual_information(a, b, a, data_range=255)
    1.0
    """
    a, b, f = to_planes(data_range, a=a, b=b, fused=fused)
    levels = gray_levels(f)
    return _shared_bits(gray_levels(a), levels) + _shared_bits(gray_levels(b), levels)


def structural_similarity(
    a: ArrayLike,
    b: ArrayLike,
    fused: ArrayLike,
    *,
    data_range: DataRange = None,
    gaussian_weights: bool = False,
) -> float:
    """Mean of the structural similarities with the two sources, (SSIM(a, f) + SSIM(b, f)) / 2.

    Parameters
    ----------
    a, b : array_like, shape (Y, X)
        The sources, at least 7x7 (11x11 with `gaussian_weights`).
    fused : array_like, shape (Y, X)
        The image to judge.
    data_range : float or (float, float), optional
        As in `mutual_information`.
    gaussian_weights : bool, optional
        Weight each window by a Gaussian (11x11, sigma 1.5) with population covariances, as in the
        reference, instead of a uniform 7x7 window with sample covariances, scikit-image's default.

    Returns
    -------
    float
        At most 1, which only a copy of two equal sources reaches.

    Raises
    ------
    ImageError
        As in `mutual_information`, and if the images are smaller than the window.

    References
    ----------
    Z. Wang, A. C. Bovik, H. R. Sheikh, E. P. Simoncelli, "Image quality assessment: from error
    visibility to structural similarity", IEEE Transactions on Image Processing 13(4), 2004.

    Examples
    --------
    >>> a = np.arange(64, dtype=np.uint8).reshape(8, 8)
    >>> structural_similarity(a, a, a)
    1.0
    """
    a, b, f = to_planes(data_range, a=a, b=b, fused=fused)
    check_size(f, 11 if gaussian_weights else 7, "SSIM")
    options = {"use_sample_covariance": False, "sigma": 1.5} if gaussian_weights else {}

    def similarity(source: Plane) -> float:
        return skimage_metrics.structural_similarity(
            source, f, data_range=WHITE, gaussian_weights=gaussian_weights, **options
        )

    return float((similarity(a) + similarity(b)) / 2)


def visual_information_fidelity(
    a: ArrayLike, b: ArrayLike, fused: ArrayLike, *, data_range: DataRange = None
) -> float:
    """Visual information of each source that is left in the fused image, VIFp(a, f) + VIFp(b, f).

    Parameters
    ----------
    a, b : array_like, shape (Y, X)
        The sources, at least 41x41.
    fused : array_like, shape (Y, X)
        The image to judge.
    data_range : float or (float, float), optional
        As in `mutual_information`.

    Returns
    -------
    float
        At least 0. A copy of a source counts 1, and a source with more contrast than the original
        counts above 1. A constant source, which has no information to lose, counts 1.

    Raises
    ------
    ImageError
        As in `mutual_information`, and if the images are smaller than 41x41, which four scales
        need.

    Notes
    -----
    The pixel-domain variant with four scales and a noise variance of 2. It is neither the
    wavelet-domain VIF nor VIFF (fusion).

    References
    ----------
    H. R. Sheikh, A. C. Bovik, "Image information and visual quality", IEEE Transactions on Image
    Processing 15(2), 2006.

    Examples
    --------
    >>> a = np.random.default_rng(0).integers(0, 256, (41, 41), dtype=np.uint8)
    >>> round(visual_information_fidelity(a, a, a), 6)
    2.0
    """
    a, b, f = to_planes(data_range, a=a, b=b, fused=fused)
    check_size(f, 41, "VIF")
    return _pixel_fidelity(a, f) + _pixel_fidelity(b, f)


def sum_of_correlations_of_differences(
    a: ArrayLike, b: ArrayLike, fused: ArrayLike, *, data_range: DataRange = None
) -> float:
    """Correlation of each source with what remains of the fused image without the other (SCD).

    r(a, f - b) + r(b, f - a), with r Pearson's correlation over all pixels.

    Parameters
    ----------
    a, b : array_like, shape (Y, X)
        The sources.
    fused : array_like, shape (Y, X)
        The image to judge.
    data_range : float or (float, float), optional
        As in `mutual_information`.

    Returns
    -------
    float
        Between -2 and 2. A correlation with a constant counts 0.

    Raises
    ------
    ImageError
        As in `mutual_information`.

    References
    ----------
    V. Aslantas, E. Bendes, "A new image quality metric for image fusion: the sum of the
    correlations of differences", AEU - International Journal of Electronics and Communications
    69(12), 2015.

    Examples
    --------
    >>> a, b = np.array([[0.0, 0.4], [0.0, 0.4]]), np.array([[0.0, 0.0], [0.4, 0.4]])
    >>> round(sum_of_correlations_of_differences(a, b, a + b), 6)
    2.0
    """
    a, b, f = to_planes(data_range, a=a, b=b, fused=fused)
    return _correlation(a, f - b) + _correlation(b, f - a)


def gradient_transfer(
    a: ArrayLike, b: ArrayLike, fused: ArrayLike, *, data_range: DataRange = None
) -> float:
    """Share of the sources' edges that the fused image keeps, in strength and direction (Qabf).

    Parameters
    ----------
    a, b : array_like, shape (Y, X)
        The sources.
    fused : array_like, shape (Y, X)
        The image to judge.
    data_range : float or (float, float), optional
        As in `mutual_information`.

    Returns
    -------
    float
        Between 0 and 0.975, the value of a perfect copy. Pixels weigh by the strength of the
        sources' edges, or all alike where neither source has any.

    Raises
    ------
    ImageError
        As in `mutual_information`.

    Notes
    -----
    Sobel gradients with a border of zeros; Γg = 0.9994, κg = -15, σg = 0.5, Γα = 0.9879, κα = -22,
    σα = 0.8, L = 1. Where the strengths in source and fused image are equal their ratio is 1.
    Orientations are arctan(gy / gx), and their difference is not wrapped.

    References
    ----------
    C. S. Xydeas, V. Petrović, "Objective image fusion performance measure", Electronics Letters
    36(4), 2000.

    Examples
    --------
    >>> a = np.random.default_rng(0).random((16, 16))
    >>> round(gradient_transfer(a, a, a), 3)
    0.975
    """
    a, b, f = to_planes(data_range, a=a, b=b, fused=fused)
    (strength_a, angle_a), (strength_b, angle_b), edges = map(_edges, (a, b, f))
    kept_a = _edge_preservation(strength_a, angle_a, *edges)
    kept_b = _edge_preservation(strength_b, angle_b, *edges)
    total = float((strength_a + strength_b).sum())
    if total == 0:
        return float((kept_a + kept_b).mean() / 2)
    return float((kept_a * strength_a + kept_b * strength_b).sum() / total)


def _shared_bits(source: Levels, fused: Levels) -> float:
    joint = np.bincount((source * BINS + fused).ravel(), minlength=BINS**2).reshape(BINS, BINS)
    # a difference of rounded sums can fall a hair below zero
    return max(0.0, bits(joint.sum(axis=0)) + bits(joint.sum(axis=1)) - bits(joint))


def _correlation(x: Plane, y: Plane) -> float:
    x, y = x - x.mean(), y - y.mean()
    spread = np.sqrt(np.mean(x**2)), np.sqrt(np.mean(y**2))
    if min(spread) < 1e-9:  # a constant, up to rounding
        return 0.0
    return float(np.mean(x * y) / (spread[0] * spread[1]))


def _pixel_fidelity(reference: Plane, image: Plane) -> float:
    """VIFp of one source: Sheikh & Bovik's ratio over Gaussian windows, not wavelet subbands."""
    noise, least = 2.0, 1e-10
    reference, image = reference - reference.mean(), image - image.mean()
    kept = total = 0.0
    for width in (17, 9, 5, 3):
        window = np.exp(-((np.arange(width) - width // 2) ** 2) / (2 * (width / 5) ** 2))
        window /= window.sum()
        if width < 17:
            reference = _windowed(reference, window)[::2, ::2]
            image = _windowed(image, window)[::2, ::2]
        mean_r, mean_i = _windowed(reference, window), _windowed(image, window)
        var_r = np.maximum(_windowed(reference**2, window) - mean_r**2, 0)
        var_i = np.maximum(_windowed(image**2, window) - mean_i**2, 0)
        covariance = _windowed(reference * image, window) - mean_r * mean_i

        # image = gain * reference + noise of variance `rest`; a negative gain counts as noise alone
        flat = (var_r < least) | (var_i < least)
        gain = np.where(flat, 0, np.maximum(covariance / (var_r + least), 0))
        rest = np.maximum(np.where(gain > 0, var_i - gain * covariance, var_i), least)
        var_r = np.where(var_r < least, 0, var_r)
        kept += np.log1p(gain**2 * var_r / (rest + noise)).sum()
        total += np.log1p(var_r / noise).sum()
    return float(kept / total) if total > 0 else 1.0


def _windowed(plane: Plane, window: Plane) -> Plane:
    """Weighted mean over every window that lies inside the plane."""
    half = len(window) // 2
    rows = ndimage.correlate1d(plane, window, axis=0)[half : plane.shape[0] - half]
    return ndimage.correlate1d(rows, window, axis=1)[:, half : plane.shape[1] - half]


def _edges(plane: Plane) -> tuple[Plane, Plane]:
    """Strength and orientation of the edges; a flat pixel has strength and orientation 0."""
    # a gx that is a rounding error instead of 0 would turn the edge by half a turn
    gy, gx = (np.round(gradient, 9) for gradient in sobel(plane, mode="constant"))
    orientation = np.arctan2(np.where(gx < 0, -gy, gy), np.abs(gx))
    return np.sqrt(gx**2 + gy**2), orientation


def _edge_preservation(strength: Plane, angle: Plane, strength_f: Plane, angle_f: Plane) -> Plane:
    """Xydeas & Petrović's Q^AF: sigmoids of how well strength and orientation are kept."""
    stronger = np.maximum(strength, strength_f)
    ratio = np.divide(
        np.minimum(strength, strength_f), stronger, out=np.ones_like(stronger), where=stronger > 0
    )
    agreement = 1 - np.abs(angle - angle_f) / (np.pi / 2)
    return (
        0.9994 / (1 + np.exp(-15 * (ratio - 0.5))) * 0.9879 / (1 + np.exp(-22 * (agreement - 0.8)))
    )
