"""The convolutions of the band network: a level of its encoder, and where planes meet."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["TASKS", "Level", "Mixing", "Pointwise", "joined"]

TASKS = (
    "infrared_visible",
    "pet_mri",
    "multi_focus",
    "multi_exposure",
    "nir_visible",
    "pansharpening",
)
"""The presets the network may be told of; what it is not told, it takes from the planes."""


class Pointwise(nn.Conv2d):
    """A 1x1 convolution as a product of matrices: channels lie side by side."""

    def __init__(self, into: int, width: int, bias: bool = True) -> None:
        super().__init__(into, width, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        product = functional.linear(x.permute(0, 2, 3, 1), self.weight.flatten(1), self.bias)
        return product.permute(0, 3, 1, 2)


class Level(nn.Module):
    """Two 3x3 convolutions with a skip; coarse levels replicate their border, as planes are small there."""

    def __init__(self, into: int, width: int, stride: int, replicate: bool) -> None:
        super().__init__()
        mode = "replicate" if replicate else "zeros"
        self.enter = nn.Conv2d(into, width, 3, stride, 1, padding_mode=mode)
        self.refine = nn.Conv2d(width, width, 3, 1, 1, padding_mode=mode) if stride > 1 else None

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu_(self.enter(x))
        return x if self.refine is None else functional.relu_(self.refine(x).add_(x))


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
        self.own = Pointwise(width + compared, width)
        self.shared = Pointwise(2 * width + 1, width) if shared else None
        self.coarser = Pointwise(coarser, width, bias=False) if coarser else None
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
        x = self.own(own)
        x.unflatten(0, (len(task), -1)).add_(common[:, None])
        if projected is not None:
            x = x.add_(functional.interpolate(projected, scale_factor=2))
        x = functional.relu_(x)
        for refine in self.refine:
            x = functional.relu_(refine(x).add_(x))
        return x


def joined(*parts: Tensor) -> Tensor:
    """Join maps (N, C, h, w) by their channels, which lie side by side, in the first one's precision."""
    dtype = parts[0].dtype
    return torch.cat([x.to(dtype, memory_format=torch.channels_last) for x in parts], 1)
