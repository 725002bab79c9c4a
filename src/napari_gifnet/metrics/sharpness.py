"""Metrics of the fused image alone: they reward sharpness and contrast, and noise alike."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from .planes import DataRange, bits, check_size, gray_levels, sobel, to_planes


def edge_intensity(fused: ArrayLike, *, data_range: DataRange = None) -> float:
    """Mean magnitude of the Sobel gradient (EI).

    Parameters
    ----------
    fused : array_like, shape (Y, X)
        The image to judge.
    data_range : float or (float, float), optional
        The values that mean black and white, or that of white alone if black is 0. By default all
        of an integer type, and [0, 1] for floats.

    Returns
    -------
    float
        In gray levels of 255; higher is sharper, or noisier.

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
    (f,) = to_planes(data_range, fused=fused)
    gy, gx = sobel(f, mode="nearest")
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
        In gray levels of 255 per pixel; higher is sharper, or noisier.

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
    (f,) = to_planes(data_range, fused=fused)
    check_size(f, 2, "AG")
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
        In gray levels of 255 per pixel; higher is sharper, or noisier.

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
    (f,) = to_planes(data_range, fused=fused)
    check_size(f, 2, "SF")
    return float(np.sqrt(sum(np.mean(np.diff(f, axis=axis) ** 2) for axis in (0, 1))))


def entropy(fused: ArrayLike, *, data_range: DataRange = None) -> float:
    """Shannon entropy of the gray levels, in bits (EN).

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
    (f,) = to_planes(data_range, fused=fused)
    return bits(np.bincount(gray_levels(f).ravel()))


def standard_deviation(fused: ArrayLike, *, data_range: DataRange = None) -> float:
    """Standard deviation of the gray levels over all pixels: contrast (SD).

    Parameters
    ----------
    fused : array_like, shape (Y, X)
        The image to judge.
    data_range : float or (float, float), optional
        As in `edge_intensity`.

    Returns
    -------
    float
        Population standard deviation in gray levels of 255; higher is more contrast.

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
    (f,) = to_planes(data_range, fused=fused)
    return float(f.std())
