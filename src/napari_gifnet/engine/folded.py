"""The live part of GIFNet with everything folded that folds.

What reaches the output of the published inference (both streams given the same features, DP active)
is computed, and nothing else: no reconstruction decoder, no MM stream in block 1, no MM queries in
block 0. Linear maps that follow each other are one: the normalisations go into the projections
behind them, rescale and rebias into the projection before them, the extractor's last convolution
into the fusion decoder's first, the decoder's expansion into the convolution behind it. The result
is that of `network.GIFNet` up to rounding.

Maps are (N, H, W, C) here: a pointwise convolution is then one matrix product, and a 3×3
convolution runs channels-last.

In a reduced precision the encoder, a twentieth of the work, and the last convolutions stay float32,
and the two planes, which are features too, are two channels each: what the precision holds of them
and what it leaves. So the result is within about a gray level of float32's.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy

import torch
from torch import Tensor, nn

from napari_gifnet.network import GIFNet
from napari_gifnet.network.attention import DIM

from .folded_block import FoldedBlock, NormalizedBlock
from .folded_layers import Convolution, Linear, Weights
from .moments import exact_dtype
from .tiling import Padding

PLANES = 2


class FoldedGIFNet(nn.Module):
    """The folded network, as stages that run on any region of an image.

    Each stage is given a map on the region it needs and the padding that the map lacks there
    because the image ends; see `tiling` for which region that is.

    Parameters
    ----------
    network : GIFNet
    device : torch.device
        ``to`` moves it later. (Apple's GPUs have no float64: what is to run there is made for it.)
    dtype : torch.dtype
        Of maps and weights; statistics are gathered in float32 and folded in float64.
    """

    gate: Tensor

    def __init__(self, network: GIFNet, device: torch.device, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype, self.reduced = dtype, dtype.itemsize < 4
        w = Weights(network)

        def convolution(weight: Tensor, bias: Tensor, dtype: torch.dtype = dtype) -> Convolution:
            return Convolution(weight.to(dtype), bias.to(dtype))

        self.encoder = nn.ModuleList(
            convolution(*w.convolution(f"encoder.convs.{i}"), torch.float32) for i in range(3)
        )
        self.embedding = convolution(
            self._of_features(
                torch.cat([w[f"interaction.embed.{s}.weight"] for s in ("mm", "dp")])
            ),
            torch.cat([w[f"interaction.embed.{s}.bias"] for s in ("mm", "dp")]),
        )

        first, second = network.interaction.blocks
        with torch.no_grad():
            bias0, bias1 = (deepcopy(b.position_bias).double()() for b in (first, second))
        types = dtype, exact_dtype(device)
        self.block0_mm = FoldedBlock(first.streams["mm"], bias0, *types, queries=False)
        self.block0_dp = FoldedBlock(first.streams["dp"], bias0, *types)
        self.block1 = FoldedBlock(second.streams["dp"], bias1, *types)
        self.register_buffer("gate", w["interaction.gate.dp"][0].to(dtype))

        merge = w["fusion.merge.weight"][:, :, 0, 0]
        of_features, of_interaction = merge[:, :DIM], merge[:, DIM:]
        self.merge_features = Linear(
            self._of_features(of_features).T[None].to(dtype), torch.zeros(1, 1, DIM, dtype=dtype)
        )
        self.merge_interaction = convolution(
            torch.einsum("om,mcij->ocij", of_interaction, w["interaction.unembed.weight"]),
            of_interaction @ w["interaction.unembed.bias"],
        )
        decoder = [w.convolution(f"fusion.decoder.convs.{i}") for i in range(4)]
        expand = w["fusion.expand.weight"][:, :, 0, 0]
        decoder[0] = (torch.einsum("omij,mc->ocij", decoder[0][0], expand), decoder[0][1])
        self.decoder = nn.ModuleList(
            [convolution(*layer) for layer in decoder[:2]]
            + [convolution(*layer, torch.float32) for layer in decoder[2:]]
        )
        self.to(device)

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return self.gate.device

    def _of_features(self, weight: Tensor) -> Tensor:
        """Weights (K, C, …) of features in which the two planes come twice if `reduced`."""
        return torch.cat((weight[:, :PLANES], weight), 1) if self.reduced else weight

    def encode(self, planes: Tensor, paddings: Sequence[Padding]) -> Tensor:
        """(N, H, W, 2) float32 planes → features, one pixel less on each side a stage unpadded."""
        x = planes
        for layer, padding in zip(self.encoder, paddings, strict=True):
            y = layer(x, padding).relu_()
            x = torch.cat((_cropped_like(x, y, padding), y), dim=3)
        if not self.reduced:
            return x
        held = x.to(self.dtype)
        left = x[..., :PLANES] - held[..., :PLANES].float()
        return torch.cat((held[..., :PLANES], left.to(self.dtype), held[..., PLANES:]), dim=3)

    def embed(self, features: Tensor, padding: Padding) -> Tensor:
        """Features → both streams, (N, H, W, 2 · 98), MM first."""
        return self.embedding(features, padding)

    def first_block(
        self,
        streams: Tensor,
        blocks: tuple[NormalizedBlock, NormalizedBlock],
        core: tuple[slice, slice],
        border: Padding,
        windows: Padding,
    ) -> Tensor:
        """Both streams → the active stream after block 0 and the gate, on the core."""
        mm, dp = (s.contiguous() for s in streams.split(DIM, dim=3))
        of_mm, of_dp = blocks
        x, queries = of_dp(dp, core, border, windows)
        guide, _ = of_mm(mm, core, border, windows, queries)
        return x.add_(guide.mul_(self.gate))

    def second_block(
        self,
        x: Tensor,
        block: NormalizedBlock,
        core: tuple[slice, slice],
        border: Padding,
        windows: Padding,
    ) -> Tensor:
        """The active stream through block 1, on the core."""
        return block(x, core, border, windows)[0]

    def decode(
        self, features: Tensor, interacted: Tensor, padding: Padding, paddings: Sequence[Padding]
    ) -> Tensor:
        """Features and the interaction's last map → the fused plane, (N, H, W) float32 in [0, 1].

        `padding` is of the map `interacted`, `paddings` of the four convolutions behind it.
        """
        x = self.merge_interaction(interacted, padding)
        x = self.merge_features(features).add_(x)
        for layer, edge in zip(self.decoder, paddings, strict=True):
            x = layer(x.relu_().to(layer.weight.dtype), edge)
        return x[..., 0].tanh_().mul_(0.5).add_(0.5)


def _cropped_like(x: Tensor, y: Tensor, padding: Padding) -> Tensor:
    """`x` on the region of `y`, which a 3×3 convolution with `padding` made of it."""
    left, _, top, _ = padding
    return x[:, 1 - top : 1 - top + y.shape[1], 1 - left : 1 - left + y.shape[2]]
