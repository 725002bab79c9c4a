"""The layers of the folded network, on maps (N, H, W, C)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from .tiling import Padding


class Linear(nn.Module):
    """A pointwise map x → x · weight + bias.

    Parameters
    ----------
    weight : Tensor
        (N, C, K), or (1, C, K) for all maps of a batch alike.
    bias : Tensor
        (N, 1, K) or (1, 1, K).
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.register_buffer("weight", weight)
        self.register_buffer("bias", bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, H, W, C) → (N, H, W, K)."""
        n, h, w, c = x.shape
        if len(self.weight) == 1:
            flat = torch.addmm(self.bias[0], x.reshape(-1, c), self.weight[0])
        else:
            flat = torch.baddbmm(self.bias, x.reshape(n, -1, c), self.weight)
        return flat.view(n, h, w, -1)


class Convolution(nn.Module):
    """A convolution that pads nothing by itself: only the border of the whole map is padded.

    Parameters
    ----------
    weight : Tensor
        (K, C, k, k), or (K, 1, k, k) for each channel by itself.
    bias : Tensor
        (K,)
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        # the maps are channels-last, and a convolution of both so need not be rearranged
        self.register_buffer("weight", weight.contiguous(memory_format=torch.channels_last))
        self.register_buffer("bias", bias)
        self.groups = len(weight) if weight.shape[1] == 1 else 1

    def forward(self, x: Tensor, padding: Padding) -> Tensor:
        """Reflect-pad the map and convolve it."""
        channels_first = pad(x, padding).permute(0, 3, 1, 2)
        y = functional.conv2d(channels_first, self.weight, self.bias, groups=self.groups)
        return y.permute(0, 2, 3, 1)


def pad(x: Tensor, padding: Padding) -> Tensor:
    """Reflect-pad the rows and columns of a map."""
    if not any(padding):
        return x
    return functional.pad(x.permute(0, 3, 1, 2), padding, mode="reflect").permute(0, 2, 3, 1)


class Weights:
    """The tensors of a module in float64, to fold with."""

    def __init__(self, module: nn.Module) -> None:
        self.tensors = {k: v.detach().double() for k, v in module.state_dict().items()}

    def __getitem__(self, key: str) -> Tensor:
        return self.tensors[key]

    def matrix(self, key: str) -> Tensor:
        """The weight of a 1×1 convolution as (C, K)."""
        return self[key].flatten(1).T

    def convolution(self, key: str) -> tuple[Tensor, Tensor]:
        """The weight and the bias of a convolution."""
        return self[f"{key}.weight"], self[f"{key}.bias"]
