"""What the band network knows of planes: one by one, of all together, summed up, and the result.

N scenes of P planes of H x W pixels; a level l has 1 / 2^l of the side.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["Encoded", "Finest", "Fused", "Summary", "Sums"]


class Encoded(NamedTuple):
    """What is known of planes on their own."""

    planes: Tensor  # (N, P, H, W)
    bands: list[Tensor]  # LEVELS bands and the base, (N, P, H/2^l, W/2^l)
    sizes: list[Tensor]  # log of the bands' local size, (N, P, h, w) at levels 1, 1, 2, 3, 4
    tones: list[Tensor]  # local means of the planes, (N, P, h, w) at levels 1 to 4
    features: list[Tensor]  # (N P, C, h, w) at levels 1 to 4


class Summary(NamedTuple):
    """What all planes together say, whatever their order."""

    count: int
    strongest: list[Tensor]  # max over planes of |band|, (N, 1, h, w) at levels 0 to 4
    sizes: list[Tensor]  # max over planes of the bands' sizes, (N, 1, h, w)
    brightest: list[Tensor]  # max over planes of the tones, (N, 1, h, w)
    darkest: list[Tensor]  # min over planes of the tones
    maximum: list[Tensor]  # of the features of levels 2 to 4, (N, C, h, w)
    total: list[Tensor]  # Σ of the same

    def apart(self, i: int, rows: slice = slice(None)) -> Tensor:
        """How far apart the planes' tones are at level i + 1, hardly at all in a focus stack."""
        return (
            torch.log1p(30 * (self.brightest[i][..., rows, :] - self.darkest[i][..., rows, :])) / 3
        )


class Sums(NamedTuple):
    """Weighted sums over the planes."""

    bands: list[Tensor]  # Σ weight gain band, and of the base, (N, 1, h, w)
    weights: list[Tensor]  # Σ weight
    pixels: Tensor  # Σ weight plane, (N, 1, H, W)
    positions: Tensor  # Σ weight position
    shares: Tensor  # Σ weight
    gate: Tensor  # Σ of the planes' votes for selected pixels, (N, 1, H/2, W/2)
    guesses: (
        Tensor  # Σ of a coarser weight squared, times position, times its square, (N, 3, H/2, W/2)
    )


class Finest(NamedTuple):
    """What is summed up over planes at the finest level."""

    weights: list[Tensor]  # of bands 0 and 1
    bands: list[Tensor]
    choice: Tensor  # of the selection, (N, P, H/2, W/2)
    sums: list[Tensor]  # pixels, positions, shares, gate and guesses, as in `Sums`


class Fused(NamedTuple):
    """The result, each (N, 1, H, W)."""

    plane: Tensor
    index: Tensor
    """Position of the plane in focus, between planes where several have a share; smooth where none tells."""
    places: Tensor
    """Mean position of the planes by their share of a pixel of `selected`."""
    selected: Tensor
    blended: Tensor
    gate: Tensor
    """Share of `selected` in `plane`; the rest is `blended`."""
