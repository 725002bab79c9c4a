"""Where among the planes a pixel comes from, smooth where nothing tells."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from napari_gifnet.pyramid import expand, reduce

__all__ = ["certainty", "settled_index"]

REACH_LEVELS = 3
"""Pyramid levels, from half of the side on, over which the index spreads from where it is sure."""


def certainty(spread: Tensor, size: Tensor) -> Tensor:
    """How far a pixel's own index is to be trusted, in (0, 1].

    Parameters
    ----------
    spread : Tensor (N, 1, h, w)
        Variance of the plane's position under the selection: beyond one or two planes it is a guess.
    size : Tensor (N, 1, h, w)
        Local mean of the strongest plane's two finest bands: below a level of 255 it tells nothing.
    """
    of_choice = 1 / (1 + (spread / 1.5) ** 2)
    return of_choice * size**2 / (size**2 + (1 / 255) ** 2) + 1e-4


def settled_index(index: Tensor, trust: Tensor) -> Tensor:
    """Replace an index by that of its surroundings where it is not to be trusted.

    Parameters
    ----------
    index, trust : Tensor (N, 1, h, w)
        At half of the planes' side.

    Returns
    -------
    Tensor (N, 1, 2 h, 2 w)
    """
    sums, weights = [trust * index], [trust]
    for _ in range(REACH_LEVELS):
        sums.append(reduce(sums[-1]))
        weights.append(reduce(weights[-1]))
    settled = sums[-1] / weights[-1]
    for total, weight in zip(sums[-2::-1], weights[-2::-1], strict=True):
        settled = expand(settled, total.shape[-2:])
        settled = torch.lerp(settled, total / weight, weight**2 / (weight**2 + 0.01))
    return functional.interpolate(settled, scale_factor=2, mode="bilinear")
