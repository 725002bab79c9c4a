"""The convolutions of the band network: a level of its encoder, and where planes meet."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["TASKS", "Level", "Mixing", "joined"]

TASKS = (
    "infrared_visible",
    "pet_mri",
    "multi_focus",
    "multi_exposure",
    "nir_visible",
    "pansharpening",
)
"""The presets the network may be told of; what it is not told, it takes from the planes."""


class Level(nn.Module):
    """Two 3x3 convolutions with a skip; coarse levels replicate their border, as planes are small there."""

    def __init__(self, into: int, width: int, stride: int, replicate: bool) -> None:
        super().__init__()
        mode = "replicate" if replicate else "zeros"
        self.enter = nn.Conv2d(into, width, 3, stride, 1, padding_mode=mode)
        self.refine = nn.Conv2d(width, width, 3, 1, 1, padding_mode=mode) if stride > 1 else None

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu_(self.enter(x))
        return x if self.refine is None else functional.relu_(self.refine(x) + x)


class Mixing(nn.Module):
    """A plane's features beside those of all planes and of the coarser level, at one level.

    The finest level, the dearest by far, hears of the other planes from the coarser one.
    """

    def __init__(
        self,
        width: int,
        coarser: int,
        compared: int,
        convolutions: int,
        replicate: bool,
        shared: bool,
    ) -> None:
        super().__init__()
        mode = "replicate" if replicate else "zeros"
        self.own = nn.Conv2d(width + compared, width, 1)
        self.shared = nn.Conv2d(2 * width + 1, width, 1) if shared else None
        self.coarser = nn.Conv2d(coarser, width, 1, bias=False) if coarser else None
        self.task = nn.Embedding(len(TASKS) + 1, width)  # the last one: no task named
        self.refine = nn.ModuleList(
            nn.Conv2d(width, width, 3, 1, 1, padding_mode=mode) for _ in range(convolutions)
        )
        nn.init.zeros_(self.task.weight)

    def forward(
        self, own: Tensor, shared: Tensor | None, projected: Tensor | None, task: Tensor
    ) -> Tensor:
        """Mix; `projected` is what `coarser` makes of the coarser level, at its size."""
        common = self.task(task)[..., None, None]  # (N, C, 1, 1)
        if self.shared is not None and shared is not None:
            common = common + self.shared(shared)  # (N, C, h, w)
        x = self.own(own).unflatten(0, (len(task), -1)) + common[:, None]
        x = x.flatten(0, 1)
        if projected is not None:
            x = x + functional.interpolate(projected, scale_factor=2)
        x = functional.relu_(x)
        for refine in self.refine:
            x = functional.relu_(refine(x) + x)
        return x


def joined(*parts: Tensor) -> Tensor:
    """Join maps (N, C, h, w) by their channels, which lie side by side, in the first one's precision."""
    dtype = parts[0].dtype
    return torch.cat([x.to(dtype, memory_format=torch.channels_last) for x in parts], 1)
