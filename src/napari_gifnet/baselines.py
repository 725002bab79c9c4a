"""Plain ways to fuse two images, to compare the network with: what a user would pick instead.

Each function is called as `napari_gifnet.fuse` is and treats dtypes, colour, stacks and non-finite
pixels in the same way; only the rule that makes one luma plane of two is another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from .errors import ImageError, MissingDependencyError
from .fusion import plan_fusion, run
from .pyramid import fuse_strongest

__all__ = ["BASELINES", "list_baselines", "maximum", "mean", "mertens", "pyramid"]

Plane = np.ndarray  # (Y, X), float32 in [0, 1]


def mean(a: Any, b: Any, **options: Any) -> np.ndarray:
    """Fuse two registered images by the mean of each pixel.

    Parameters
    ----------
    a, b : array (..., Y, X) or, in colour, (..., Y, X, 3 | 4)
        As for `napari_gifnet.fuse`, but not dask arrays. They may be exchanged, but for `task`.
    **options
        `task`, `intensity`, `color`, `rgb`, `dtype` and `progress`, as for `napari_gifnet.fuse`.

    Returns
    -------
    array (..., Y, X) or, in colour, (..., Y, X, 3)
        In [0, 1], or scaled to `dtype`.

    Raises
    ------
    ImageError, OptionError, Cancelled
        As for `napari_gifnet.fuse`.

    Examples
    --------
    >>> mean(np.zeros((5, 5)), np.ones((5, 5)))[0]
    array([0.5, 0.5, 0.5, 0.5, 0.5], dtype=float32)
    """
    return _fuse(_mean, a, b, options)


def maximum(a: Any, b: Any, **options: Any) -> np.ndarray:
    """Fuse two registered images by the brighter of each two pixels.

    Parameters
    ----------
    a, b, **options
        As for `mean`.

    Returns
    -------
    array (..., Y, X) or, in colour, (..., Y, X, 3)
        In [0, 1], or scaled to `dtype`.

    Raises
    ------
    ImageError, OptionError, Cancelled
        As for `napari_gifnet.fuse`.

    Examples
    --------
    >>> maximum(np.zeros((5, 5)), np.eye(5), dtype=np.uint8)[0]
    array([255,   0,   0,   0,   0], dtype=uint8)
    """
    return _fuse(np.maximum, a, b, options)


def pyramid(a: Any, b: Any, **options: Any) -> np.ndarray:
    """Fuse two registered images in a Laplacian pyramid of five levels.

    Of each two details the one of larger magnitude is kept; the bases are averaged.

    Parameters
    ----------
    a, b, **options
        As for `mean`.

    Returns
    -------
    array (..., Y, X) or, in colour, (..., Y, X, 3)
        In [0, 1], or scaled to `dtype`.

    Raises
    ------
    ImageError, OptionError, Cancelled
        As for `napari_gifnet.fuse`.

    References
    ----------
    P. J. Burt, E. H. Adelson, "The Laplacian pyramid as a compact image code", IEEE Transactions
    on Communications 31(4), 1983.

    Examples
    --------
    >>> dot = np.eye(9)
    >>> np.allclose(pyramid(dot, dot), dot, atol=1e-6)
    True
    """
    return _fuse(fuse_strongest, a, b, options)


def mertens(a: Any, b: Any, **options: Any) -> np.ndarray:
    """Fuse two registered images by exposure fusion, as OpenCV's ``MergeMertens`` does it.

    Pixels weigh by their local contrast and by how near they are to mid-gray, blended in a pyramid.

    Parameters
    ----------
    a, b, **options
        As for `mean`.

    Returns
    -------
    array (..., Y, X) or, in colour, (..., Y, X, 3)
        In [0, 1], or scaled to `dtype`.

    Raises
    ------
    MissingDependencyError
        OpenCV is not installed.
    ImageError, OptionError, Cancelled
        As for `napari_gifnet.fuse`.

    References
    ----------
    T. Mertens, J. Kautz, F. Van Reeth, "Exposure fusion", Pacific Graphics 2007.
    """
    try:
        import cv2
    except ImportError as error:
        raise MissingDependencyError(
            "Exposure fusion needs OpenCV, which is not installed: "
            "pip install 'napari-gifnet[mertens]'."
        ) from error
    merge = cv2.createMergeMertens(1, 1, 1)  # the paper's weights; OpenCV would leave exposure out

    def rule(a: Plane, b: Plane) -> Plane:
        return np.asarray(merge.process([a * 255, b * 255]))  # it divides by 255, any dtype

    return _fuse(rule, a, b, options)


BASELINES: dict[str, Callable[..., np.ndarray]] = {
    function.__name__: function for function in (mean, maximum, pyramid, mertens)
}
"""Every baseline by its name."""


def list_baselines() -> tuple[str, ...]:
    """Return the names of the baselines.

    Examples
    --------
    >>> list_baselines()
    ('mean', 'maximum', 'pyramid', 'mertens')
    """
    return tuple(BASELINES)


class _PlaneRule:
    """A rule for two planes in the place of the engine that runs the network."""

    def __init__(self, rule: Callable[[Plane, Plane], Plane]):
        self.rule = rule

    def fuse_planes(
        self,
        pairs: Iterable[tuple[Plane, Plane]],
        count: int,
        progress: Callable[[int, int], None] | None = None,
        statistics: None = None,
    ) -> Iterator[Plane]:
        for done, (a, b) in enumerate(pairs):
            if progress:
                progress(done, count)
            yield np.clip(self.rule(a, b), 0, 1)
        if progress:
            progress(count, count)


def _fuse(rule: Callable[[Plane, Plane], Plane], a: Any, b: Any, options: dict) -> np.ndarray:
    progress = options.pop("progress", None)
    plan = plan_fusion(a, b, **options)
    if plan.a.lazy:
        raise ImageError(
            "a or b is a dask array, but a baseline fuses arrays in memory: compute() them first."
        )
    engine: Any = _PlaneRule(rule)
    return run(plan, engine, progress)


def _mean(a: Plane, b: Plane) -> Plane:
    return (a + b) / 2
