"""Fusion metrics: how sharp a fused image is, and how faithful to its two sources.

No single number judges a fusion. Edge intensity, average gradient, spatial frequency, entropy and
standard deviation look at the fused image alone and reward sharpness and noise alike; mutual
information, structural similarity, visual information fidelity and gradient transfer reward
faithfulness to the sources; the sum of correlations of differences rewards what each source
contributes. Report them together: `evaluate` does.

Every function takes planes of shape (Y, X) and any real dtype. Values are first mapped from
`data_range` to 0-255, the scale on which the literature states its numbers, so that a result does
not depend on the dtype of the picture. By default the range follows from the dtype: all of an
integer type, [0, 1] for floats and booleans.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage
from skimage import metrics as skimage_metrics

from .errors import ImageError, OptionError

__all__ = [
    "METRICS",
    "average_gradient",
    "edge_intensity",
    "entropy",
    "evaluate",
    "gradient_transfer",
    "mutual_information",
    "spatial_frequency",
    "standard_deviation",
    "structural_similarity",
    "sum_of_correlations_of_differences",
    "visual_information_fidelity",
]

Plane = NDArray[np.float64]
Levels = NDArray[np.intp]
DataRange = float | tuple[float, float] | None

WHITE = 255.0
BINS = 256


def edge_intensity(fused: ArrayLike, *, data_range: DataRange = None) -> float:
    """Mean magnitude of the Sobel gradient (EI).

    Parameters
    ----------
    fused : array_like, shape (Y, X)
        The image to judge.
    data_range : float or (float, float), optional
        The values that mean black and white: ``(low, high)``, or ``high`` for ``(0, high)``. By
        default all of an integer type, and [0, 1] for floats.

    Returns
    -------
    float
        In grey levels of 255; higher is sharper, or noisier.

    Raises
    ------
    ImageError
        If the image is not a plane, is empty, or has values that are not finite or not within
        `data_range`.

    Notes
    -----
    The Sobel kernels are not normalized; the border is replicated.

    References
    ----------
    B. Rajalingam, R. Priya, "Hybrid multimodality medical image fusion technique for feature
    enhancement in medical diagnosis", International Journal of Engineering Science Invention, 2018.

    Examples
    --------
    >>> edge_intensity([[0, 0, 8, 8], [0, 0, 8, 8]], data_range=255)
    16.0
    """
    (f,) = _planes(data_range, fused=fused)
    gy, gx = _sobel(f, mode="nearest")
    return float(np.sqrt(gx**2 + gy**2).mean())


def average_gradient(fused: ArrayLike, *, data_range: DataRange = None) -> float:
    """Mean of sqrt((gx² + gy²) / 2) over central differences (AG).

    Parameters
    ----------
    fused : array_like, shape (Y, X)
        The image to judge, at least 2x2.
    data_range : float or (float, float), optional
        As in `edge_intensity`.

    Returns
    -------
    float
        In grey levels of 255 per pixel; higher is sharper, or noisier.

    Raises
    ------
    ImageError
        As in `edge_intensity`, and if the image is smaller than 2x2.

    Notes
    -----
    Differences are one-sided at the border.

    References
    ----------
    G. Cui, H. Feng, Z. Xu, Q. Li, Y. Chen, "Detail preserved fusion of visible and infrared images
    using regional saliency extraction and multi-scale image decomposition", Optics Communications
    341, 2015.

    Examples
    --------
    >>> average_gradient([[0, 3, 6], [3, 6, 9]], data_range=255)
    3.0
    """
    (f,) = _planes(data_range, fused=fused)
    _check_size(f, 2, "AG")
    gy, gx = np.gradient(f)
    return float(np.sqrt((gx**2 + gy**2) / 2).mean())


def spatial_frequency(fused: ArrayLike, *, data_range: DataRange = None) -> float:
    """Root of the mean squared horizontal plus the mean squared vertical difference (SF).

    Parameters
    ----------
    fused : array_like, shape (Y, X)
        The image to judge, at least 2x2.
    data_range : float or (float, float), optional
        As in `edge_intensity`.

    Returns
    -------
    float
        In grey levels of 255 per pixel; higher is sharper, or noisier.

    Raises
    ------
    ImageError
        As in `edge_intensity`, and if the image is smaller than 2x2.

    References
    ----------
    A. M. Eskicioglu, P. S. Fisher, "Image quality measures and their performance", IEEE
    Transactions on Communications 43(12), 1995.

    Examples
    --------
    >>> spatial_frequency([[0, 3], [4, 7]], data_range=255)
    5.0
    """
    (f,) = _planes(data_range, fused=fused)
    _check_size(f, 2, "SF")
    return float(np.sqrt(sum(np.mean(np.diff(f, axis=axis) ** 2) for axis in (0, 1))))


def entropy(fused: ArrayLike, *, data_range: DataRange = None) -> float:
    """Shannon entropy of the grey levels, in bits (EN).

    Parameters
    ----------
    fused : array_like, shape (Y, X)
        The image to judge.
    data_range : float or (float, float), optional
        As in `edge_intensity`.

    Returns
    -------
    float
        Between 0 (a constant) and 8 bits (256 equal bins over `data_range`, all used alike).

    Raises
    ------
    ImageError
        As in `edge_intensity`.

    References
    ----------
    J. W. Roberts, J. A. van Aardt, F. B. Ahmed, "Assessment of image fusion procedures using
    entropy, image quality, and multispectral classification", Journal of Applied Remote Sensing
    2(1), 2008.

    Examples
    --------
    >>> entropy([[0, 80], [160, 240]], data_range=255)
    2.0
    """
    (f,) = _planes(data_range, fused=fused)
    return _bits(np.bincount(_levels(f).ravel()))


def standard_deviation(fused: ArrayLike, *, data_range: DataRange = None) -> float:
    """Standard deviation of the grey levels over all pixels: contrast (SD).

    Parameters
    ----------
    fused : array_like, shape (Y, X)
        The image to judge.
    data_range : float or (float, float), optional
        As in `edge_intensity`.

    Returns
    -------
    float
        Population standard deviation in grey levels of 255; higher is more contrast.

    Raises
    ------
    ImageError
        As in `edge_intensity`.

    References
    ----------
    J. Ma, Y. Ma, C. Li, "Infrared and visible image fusion methods and applications: A survey",
    Information Fusion 45, 2019.

    Examples
    --------
    >>> standard_deviation([[0.0, 0.2], [0.2, 0.0]])
    25.5
    """
    (f,) = _planes(data_range, fused=fused)
    return float(f.std())


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
    a, b, f = _planes(data_range, a=a, b=b, fused=fused)
    levels = _levels(f)
    return _shared_bits(_levels(a), levels) + _shared_bits(_levels(b), levels)


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
    a, b, f = _planes(data_range, a=a, b=b, fused=fused)
    _check_size(f, 11 if gaussian_weights else 7, "SSIM")
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
    a, b, f = _planes(data_range, a=a, b=b, fused=fused)
    _check_size(f, 41, "VIF")
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
    a, b, f = _planes(data_range, a=a, b=b, fused=fused)
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
    a, b, f = _planes(data_range, a=a, b=b, fused=fused)
    (strength_a, angle_a), (strength_b, angle_b), edges = map(_edges, (a, b, f))
    kept_a = _edge_preservation(strength_a, angle_a, *edges)
    kept_b = _edge_preservation(strength_b, angle_b, *edges)
    total = float((strength_a + strength_b).sum())
    if total == 0:
        return float((kept_a + kept_b).mean() / 2)
    return float((kept_a * strength_a + kept_b * strength_b).sum() / total)


_OF_FUSED: dict[str, Callable[..., float]] = {
    "EI": edge_intensity,
    "AG": average_gradient,
    "SF": spatial_frequency,
    "EN": entropy,
    "SD": standard_deviation,
}
_OF_ALL_THREE: dict[str, Callable[..., float]] = {
    "MI": mutual_information,
    "SSIM": structural_similarity,
    "VIF": visual_information_fidelity,
    "SCD": sum_of_correlations_of_differences,
    "Qabf": gradient_transfer,
}
METRICS: dict[str, Callable[..., float]] = {**_OF_FUSED, **_OF_ALL_THREE}
"""Every metric by its short name, in the order of the tables."""


def evaluate(
    a: ArrayLike,
    b: ArrayLike,
    fused: ArrayLike,
    metrics: str | Iterable[str] | None = None,
    *,
    data_range: DataRange = None,
) -> dict[str, float]:
    """Judge a fused image by several metrics at once.

    Parameters
    ----------
    a, b : array_like, shape (Y, X) or, in colour, (Y, X, 3) or (Y, X, 4)
        The sources. Of a colour picture the luma is judged.
    fused : array_like, shape (Y, X) or, in colour, (Y, X, 3) or (Y, X, 4)
        The fused image.
    metrics : str or iterable of str, optional
        Short names (`EI`, `AG`, `SF`, `EN`, `SD`, `MI`, `SSIM`, `VIF`, `SCD`, `Qabf`) or names of
        the functions of this module. All of them by default.
    data_range : float or (float, float), optional
        The values that mean black and white in all three: ``(low, high)``, or ``high`` for ``(0,
        high)``. By default each picture has the range of its own dtype: all of an integer type, [0,
        1] for floats.

    Returns
    -------
    dict
        Short name to value, in the order of `metrics`.

    Raises
    ------
    ImageError
        If the pictures cannot be judged: shapes differ, values are not finite or not within
        `data_range`, or the pictures are too small for a metric (41x41 suffices for all).
    OptionError
        If a metric or the data range is not understood.

    Examples
    --------
    >>> a, b = np.eye(64), np.eye(64)[::-1]
    >>> scores = evaluate(a, b, (a + b) / 2, metrics=["SD", "gradient_transfer"])
    >>> {name: round(value, 2) for name, value in scores.items()}
    {'SD': 22.18, 'Qabf': 0.47}
    """
    if metrics is None:
        metrics = METRICS
    elif isinstance(metrics, str):
        metrics = [metrics]
    names = [_short_name(name) for name in metrics]
    a, b, fused = _planes(data_range, a=_luma(a), b=_luma(b), fused=_luma(fused))
    return {
        name: METRICS[name](*((fused,) if name in _OF_FUSED else (a, b, fused)), data_range=WHITE)
        for name in names
    }


def _short_name(name: str) -> str:
    for short, function in METRICS.items():
        if name in (short, function.__name__):
            return short
    raise OptionError(
        f"metric {name!r} is not known: expected one of {', '.join(METRICS)}, or the name of a"
        " function of napari_gifnet.metrics."
    )


def _luma(image: ArrayLike) -> NDArray:
    image = np.asarray(image)
    if image.ndim != 3 or image.shape[-1] not in (3, 4):
        return image
    if image.dtype.kind in "iu":  # whole numbers, so that grey stays exactly the same grey
        return (image[..., :3].astype(np.int64) @ np.array([299, 587, 114]) // 1000).astype(
            image.dtype
        )
    return image[..., :3] @ np.array([0.299, 0.587, 0.114])


def _planes(data_range: DataRange, **images: ArrayLike) -> list[Plane]:
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


def _check_size(plane: Plane, smallest: int, metric: str) -> None:
    if min(plane.shape) < smallest:
        raise ImageError(
            f"{plane.shape[0]}x{plane.shape[1]} pixels are too few for {metric}, which needs"
            f" {smallest}x{smallest}: leave it out of the metrics, or take a larger picture."
        )


def _limits(dtype: np.dtype, data_range: DataRange) -> tuple[float, float]:
    if data_range is None:
        if dtype.kind in "iu":
            return float(np.iinfo(dtype).min), float(np.iinfo(dtype).max)
        return 0.0, 1.0
    try:
        low, high = (0.0, data_range) if np.isscalar(data_range) else data_range  # type: ignore[misc]
        low, high = float(low), float(high)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        low = high = np.nan
    if not (np.isfinite([low, high]).all() and low < high):
        raise OptionError(
            f"data_range={data_range!r} is not understood: expected (black, white) with black <"
            " white, or white alone, above 0."
        )
    return low, high


def _sobel(plane: Plane, mode: str) -> tuple[Plane, Plane]:
    return ndimage.sobel(plane, axis=0, mode=mode), ndimage.sobel(plane, axis=1, mode=mode)


def _levels(plane: Plane) -> Levels:
    """Bin of each pixel, of 256 equal ones: in an 8-bit picture the grey level itself."""
    return np.minimum(plane * (BINS / WHITE), BINS - 1).astype(np.intp)


def _bits(counts: NDArray) -> float:
    p = counts[counts > 0] / counts.sum()
    return float(p @ np.log2(1 / p))


def _shared_bits(source: Levels, fused: Levels) -> float:
    joint = np.bincount((source * BINS + fused).ravel(), minlength=BINS**2).reshape(BINS, BINS)
    # a difference of rounded sums can fall a hair below zero
    return max(0.0, _bits(joint.sum(axis=0)) + _bits(joint.sum(axis=1)) - _bits(joint))


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
    gy, gx = _sobel(plane, mode="constant")
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
