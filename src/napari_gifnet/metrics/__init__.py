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

from napari_gifnet.errors import OptionError

from .faithfulness import (
    gradient_transfer,
    mutual_information,
    structural_similarity,
    sum_of_correlations_of_differences,
    visual_information_fidelity,
)
from .planes import WHITE, DataRange, to_planes
from .sharpness import (
    average_gradient,
    edge_intensity,
    entropy,
    spatial_frequency,
    standard_deviation,
)

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
        The values that mean black and white in all three, or that of white alone if black is 0. By
        default each picture has the range of its own dtype: all of an integer type, [0, 1] for
        floats.

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
    a, b, fused = to_planes(data_range, a=_luma(a), b=_luma(b), fused=_luma(fused))
    return {
        name: METRICS[name](*((fused,) if name in _OF_FUSED else (a, b, fused)), data_range=WHITE)
        for name in names
    }


def _short_name(name: str) -> str:
    for short, function in METRICS.items():
        if name in (short, function.__name__):
            return short
    raise OptionError(
        f"The metric {name!r} is not known: expected one of {', '.join(METRICS)}, or the name of a"
        " function of napari_gifnet.metrics."
    )


def _luma(image: ArrayLike) -> NDArray:
    image = np.asarray(image)
    if image.ndim != 3 or image.shape[-1] not in (3, 4):
        return image
    rgb = image[..., :3]
    if (
        rgb.dtype.kind in "iu" and rgb.itemsize <= 4
    ):  # in whole numbers, so that gray stays as it is
        luma = rgb.astype(np.int64) @ np.array([299, 587, 114]) // 1000
        return luma.astype(rgb.dtype)
    luma = rgb @ np.array([0.299, 0.587, 0.114])
    return np.clip(luma, rgb.min(), rgb.max())  # rounding must not leave the data range
