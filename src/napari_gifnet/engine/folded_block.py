"""One stream of one transformer block, folded: with an image's statistics it is ready to run."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_gifnet.network.attention import (
    DIM,
    HEADS,
    WINDOW,
    StreamBlock,
    cut_windows,
    join_windows,
)

from .folded_layers import Convolution, Linear, Weights, pad
from .moments import Moments
from .tiling import Padding

HEAD_DIM = DIM // HEADS

STRIP = 1024
"""Pixels that a CPU takes through a chain of products at once, so that they stay in its caches."""


class FoldedBlock(nn.Module):
    """One stream of one block, without the statistics of its layer norm.

    Parameters
    ----------
    part : StreamBlock
    position_bias : Tensor
        (heads, window², window²), computed once.
    dtype, exact : torch.dtype
        Of the maps, and of what an image's statistics are still to be folded into.
    queries : bool
        Whether the stream's own queries are used.
    """

    scaled: Tensor
    from_mean: Tensor
    constant: Tensor
    rescale: Tensor
    rebias: Tensor
    project_weight: Tensor
    project_bias: Tensor
    position_bias: Tensor

    def __init__(
        self,
        part: StreamBlock,
        position_bias: Tensor,
        dtype: torch.dtype,
        exact: torch.dtype,
        queries: bool = True,
    ) -> None:
        super().__init__()
        w = Weights(part)
        scale = torch.ones(2 * DIM, dtype=torch.float64)
        scale[:DIM] = HEAD_DIM**-0.5
        weight = torch.cat((w.matrix("v.weight"), w.matrix("qk.weight") * scale), 1)
        bias = torch.cat((w["v.bias"], w["qk.bias"] * scale))
        if not queries:
            used = [*range(DIM), *range(2 * DIM, 3 * DIM)]
            weight, bias = weight[:, used], bias[used]
        gain, offset = w["norm.weight"].flatten(), w["norm.bias"].flatten()
        # behind normalisation: ((x − mean) / std · gain + offset) · weight + bias
        self.register_buffer("scaled", (gain[:, None] * weight).to(exact))
        self.register_buffer("from_mean", (gain @ weight).to(exact))
        self.register_buffer("constant", (offset @ weight + bias).to(exact))
        for name in ("rescale", "rebias"):  # (2, C): x → x · [0] + [1]
            affine = torch.stack((w[f"norm.{name}.weight"].flatten(), w[f"norm.{name}.bias"]))
            self.register_buffer(name, affine.to(exact))
        self.register_buffer("project_weight", w.matrix("project.weight").to(exact))
        self.register_buffer("project_bias", w["project.bias"].to(exact))
        self.register_buffer("position_bias", position_bias.to(dtype))
        weight, bias = w.convolution("depthwise")
        self.depthwise = Convolution(weight.to(dtype), bias.to(dtype))
        self.expand, self.contract = (
            Linear(
                w.matrix(f"mlp.{i}.weight")[None].to(dtype),
                w[f"mlp.{i}.bias"][None, None].to(dtype),
            )
            for i in (0, 2)
        )
        self.eps = part.norm.eps

    def normalized(self, moments: Moments) -> NormalizedBlock:
        """Fold an image's statistics into the projections."""
        dtype = self.position_bias.dtype
        std = torch.sqrt(moments.variance + self.eps)[:, None, None]  # (N, 1, 1)
        mean = moments.mean[:, None, None]
        weight = self.scaled / std
        bias = self.constant - mean / std * self.from_mean
        values, queries_keys = (
            Linear(weight[..., part].to(dtype), bias[..., part].to(dtype))
            for part in (slice(DIM), slice(DIM, None))
        )
        rescale = self.rescale[0] * std + self.rescale[1]
        rebias = self.rebias[0] * mean + self.rebias[1]
        weight, bias = self.project_weight * rescale, self.project_bias * rescale + rebias
        return NormalizedBlock(self, values, queries_keys, Linear(weight.to(dtype), bias.to(dtype)))


@dataclass(frozen=True)
class NormalizedBlock:
    """One stream of one block with an image's statistics folded in."""

    block: FoldedBlock
    values: Linear
    queries_keys: Linear  # keys alone where the queries are the other stream's
    project: Linear  # attention + convolution → what is added to the stream

    def __call__(
        self,
        x: Tensor,
        core: tuple[slice, slice],
        border: Padding,
        windows: Padding,
        queries: list[Tensor] | None = None,
    ) -> tuple[Tensor, list[Tensor]]:
        """Run the stream through the block.

        Parameters
        ----------
        x : Tensor
            The stream on the core and the two pixels around it that there are, (N, H, W, C).
        core : pair of slice
            The core within `x`.
        border : Padding
            What the depthwise convolution lacks around the core: up to 2 where the map ends.
        windows : Padding
            What whole windows lack around the core, where the map ends.
        queries : list of Tensor, optional
            Windowed queries of the active stream, instead of its own.

        Returns
        -------
        stream : Tensor
            On the core.
        queries : list of Tensor
            The windowed queries that were used, strip by strip.
        """
        v = self.values(x)
        x, v_core = (m[:, core[0], core[1]] for m in (x, v))
        attended, queries = self._attended(pad(x, windows), pad(v_core, windows), queries)
        left, _, top, _ = windows
        height, width = x.shape[1:3]
        mixed = self.block.depthwise(v, border)
        mixed += attended[:, top : top + height, left : left + width]
        out = torch.empty_like(mixed)
        for strip in strips(mixed):
            y = self.project(mixed[:, strip]).add_(x[:, strip])
            hidden = self.block.expand(y).relu_()
            torch.add(y, self.block.contract(hidden), out=out[:, strip])
        return out, queries

    def _attended(
        self, x: Tensor, v: Tensor, queries: list[Tensor] | None
    ) -> tuple[Tensor, list[Tensor]]:
        """Window attention on a map of whole windows."""
        out = torch.empty_like(v)
        used = []
        for i, strip in enumerate(strips(v)):
            *own, k = (_windows(m) for m in self.queries_keys(x[:, strip]).split(DIM, dim=3))
            q = own[0] if queries is None else queries[i]
            used.append(q)
            result = attend(q, k, _windows(v[:, strip]), self.block.position_bias)
            height, width = out[:, strip].shape[1:3]
            out[:, strip] = join_windows(result, height, width).permute(0, 2, 3, 1)
        return out, used


def strips(x: Tensor) -> list[slice]:
    """Divide the rows of a map into strips of whole windows; on a GPU it is one."""
    height, width = x.shape[1:3]
    rows = height if x.device.type != "cpu" else WINDOW * max(1, STRIP // (WINDOW * width))
    return [slice(top, min(top + rows, height)) for top in range(0, height, rows)]


def _windows(x: Tensor) -> Tensor:
    return cut_windows(x.permute(0, 3, 1, 2), HEADS)


def attend(q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
    """Softmax attention of windows; the queries are scaled already. All (windows, heads, 64, 49)."""
    if q.device.type == "cuda":
        return functional.scaled_dot_product_attention(
            q, k, v, attn_mask=bias.expand(len(q), -1, -1, -1), scale=1.0
        )
    scores = torch.matmul(q, k.transpose(-2, -1)).add_(bias)
    return torch.matmul(scores.softmax(-1), v)
