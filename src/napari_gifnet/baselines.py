"""Plain ways to fuse planes, to compare the network with: what a user would pick instead.

Each is a rule that makes one plane of several. ``napari_gifnet.fuse(a, b, model="pyramid")`` applies
one to arrays of any kind, as it applies a network.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

import numpy as np

from .errors import MissingDependencyError
from .pyramid import fuse_strongest

__all__ = ["BASELINES", "list_baselines", "maximum", "mean", "mertens", "pyramid"]

Rule = Callable[..., np.ndarray]
"""Makes one plane (Y, X) in [0, 1] of several; what it overshoots is clipped behind it."""


def mean(*planes: np.ndarray) -> np.ndarray:
    """Fuse planes by the mean of each pixel.

    Parameters
    ----------
    *planes : array (Y, X)
        float32 in [0, 1], of one size.

    Returns
    -------
    array (Y, X)
        float32 in [0, 1].

    Examples
    --------
    >>> mean(np.zeros((2, 2), "f4"), np.ones((2, 2), "f4"))[0]
    array([0.5, 0.5], dtype=float32)
    """
    total = reduce(np.add, planes, np.zeros(planes[0].shape))  # float64: exact for many planes
    return (total / len(planes)).astype(np.float32)


def maximum(*planes: np.ndarray) -> np.ndarray:
    """Fuse planes by the brightest of each pixel.

    Parameters
    ----------
    *planes : array (Y, X)
        float32 in [0, 1], of one size.

    Returns
    -------
    array (Y, X)
        float32 in [0, 1].

    Examples
    --------
    >>> maximum(np.zeros((2, 2), "f4"), np.eye(2, dtype="f4"))[0]
    array([1., 0.], dtype=float32)
    """
    return reduce(np.maximum, planes)


def pyramid(*planes: np.ndarray) -> np.ndarray:
    """Fuse planes in a Laplacian pyramid of five levels.

    Of the details in each place the one of the largest magnitude is kept; the bases are averaged.

    Parameters
    ----------
    *planes : array (Y, X)
        float32 in [0, 1], of one size.

    Returns
    -------
    array (Y, X)
        float32, not limited to [0, 1].

    References
    ----------
    P. J. Burt, E. H. Adelson, "The Laplacian pyramid as a compact image code", IEEE Transactions
    on Communications 31(4), 1983.

    Examples
    --------
    >>> dot = np.eye(9, dtype="f4")
    >>> np.allclose(pyramid(dot, dot), dot, atol=1e-6)
    True
    """
    return fuse_strongest(*planes)


def mertens(*planes: np.ndarray) -> np.ndarray:
    """Fuse planes by exposure fusion, as OpenCV's ``MergeMertens`` does it.

    Pixels weigh by their local contrast and by how near they are to mid-gray, blended in a pyramid.

    Parameters
    ----------
    *planes : array (Y, X)
        float32 in [0, 1], of one size.

    Returns
    -------
    array (Y, X)
        float32, not limited to [0, 1].

    Raises
    ------
    MissingDependencyError
        OpenCV is not installed.

    References
    ----------
    T. Mertens, J. Kautz, F. Van Reeth, "Exposure fusion", Pacific Graphics 2007.

    Examples
    --------
    >>> dark, bright = np.full((8, 8), 0.1, "f4"), np.full((8, 8), 0.6, "f4")
    >>> bool(mertens(dark, bright)[0, 0] > 0.3)
    True
    """
    try:
        import cv2
    except ImportError as error:
        raise MissingDependencyError(
            "Exposure fusion needs OpenCV, which is not installed: "
            "pip install 'napari-gifnet[mertens]'."
        ) from error
    merge = cv2.createMergeMertens(1, 1, 1)  # the paper's weights; OpenCV would leave exposure out
    return np.asarray(merge.process([plane * 255 for plane in planes]))  # it divides by 255


BASELINES: dict[str, Rule] = {rule.__name__: rule for rule in (mean, maximum, pyramid, mertens)}
"""Every baseline by its name."""


def list_baselines() -> tuple[str, ...]:
    """Return the names of the baselines, as ``napari_gifnet.fuse(model=...)`` takes them.

    Returns
    -------
    tuple of str
        The simplest one first.

    Examples
    --------
    >>> list_baselines()
    ('mean', 'maximum', 'pyramid', 'mertens')
    """
    return tuple(BASELINES)
