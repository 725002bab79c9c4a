"""The live part of GIFNet with everything folded that folds.

What reaches the output of the published inference (both streams given the same features, DP active)
is computed, and nothing else: no reconstruction decoder, no MM stream in block 1, no MM queries in
block 0. Linear maps that follow each other are one: the normalisations go into the projections
behind them, rescale and rebias into the projection before them, the extractor's last convolution
into the fusion decoder's first, the decoder's expansion into the convolution behind it. The result
is that of `network.GIFNet` up to rounding.

Maps are (N, H, W, C) here: a pointwise convolution is then one matrix product, and a 3×3
convolution runs channels-last.

In a reduced precision the encoder, a twentieth of the work, and the last convolution stay float32,
and the two planes, which are features too, are two channels each: what the precision holds of them
and what it leaves. So the result is within about a gray level of float32's.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from napari_gifnet.network import GIFNet
from napari_gifnet.network.attention import (
    DIM,
    HEADS,
    WINDOW,
    StreamBlock,
    cut_windows,
    join_windows,
)

Padding = tuple[int, int, int, int]  # left, right, top, bottom, as torch.nn.functional.pad has it

HEAD_DIM = DIM // HEADS
PLANES = 2


@dataclass(frozen=True)
class Moments:
    """Mean and biased variance of a map, (N,) each, with the number of values behind them."""

    mean: Tensor
    variance: Tensor
    count: int

    @classmethod
    def of(cls, x: Tensor) -> Moments:
        """Moments of each map of a batch (N, H, W, C)."""
        x = x.float()
        count = x[0].numel()
        # two vectorised passes: torch's var_mean is several times slower on a CPU
        mean = x.mean(dim=(1, 2, 3), keepdim=True)
        variance = (x - mean).square_().mean(dim=(1, 2, 3))
        return cls(_exact(mean.flatten()), _exact(variance), count)

    @classmethod
    def known(cls, mean: float, variance: float, device: torch.device) -> Moments:
        """Moments that need not be gathered."""
        like = _exact(torch.empty(1, device=device))
        return cls(torch.full_like(like, mean), torch.full_like(like, variance), 0)

    @property
    def numbers(self) -> tuple[float, float]:
        """Mean and variance of a batch of one."""
        return self.mean.item(), self.variance.item()

    def __add__(self, other: Moments) -> Moments:
        """Moments of two parts together (Chan et al. 1979), without the cancellation of plain sums."""
        count = self.count + other.count
        share = other.count / count
        gap = other.mean - self.mean
        variance = (
            self.variance * (1 - share) + other.variance * share + gap**2 * (share * (1 - share))
        )
        return Moments(self.mean + gap * share, variance, count)


def _exact(x: Tensor) -> Tensor:
    return x if x.device.type == "mps" else x.double()


@dataclass(frozen=True)
class Linear:
    """A pointwise map x → x · weight + bias; weight (N, C, K) and bias (N, 1, K), N = 1 if shared."""

    weight: Tensor
    bias: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """Map (N, H, W, C) → (N, H, W, K)."""
        n, h, w, c = x.shape
        if len(self.weight) == 1:
            flat = torch.addmm(self.bias[0], x.reshape(-1, c), self.weight[0])
        else:
            flat = torch.baddbmm(self.bias, x.reshape(n, -1, c), self.weight)
        return flat.view(n, h, w, -1)

    def to(self, like: Tensor) -> Linear:
        """On the device and in the precision of `like`."""
        return Linear(self.weight.to(like), self.bias.to(like))


def pad(x: Tensor, padding: Padding) -> Tensor:
    """Reflect-pad the rows and columns of an (N, H, W, C) map."""
    if not any(padding):
        return x
    return functional.pad(x.permute(0, 3, 1, 2), padding, mode="reflect").permute(0, 2, 3, 1)


def convolve(
    x: Tensor, weight: Tensor, bias: Tensor | None, padding: Padding, groups: int = 1
) -> Tensor:
    """Convolve an (N, H, W, C) map; only the border of the whole map is padded."""
    y = functional.conv2d(pad(x, padding).permute(0, 3, 1, 2), weight, bias, groups=groups)
    return y.permute(0, 2, 3, 1)


class _Weights:
    """A module's tensors in float64, to fold with."""

    def __init__(self, module: torch.nn.Module) -> None:
        self.tensors = {k: v.detach().double() for k, v in module.state_dict().items()}

    def __getitem__(self, key: str) -> Tensor:
        return self.tensors[key]

    def matrix(self, key: str) -> Tensor:
        """A 1×1 convolution's weight as (C, K)."""
        return self[key].flatten(1).T


class FoldedBlock:
    """One stream of one block, waiting for its statistics.

    Parameters
    ----------
    part : StreamBlock
    position_bias : Tensor
        (heads, window², window²), computed once.
    queries : bool
        Whether this stream's own queries are used.
    """

    def __init__(self, part: StreamBlock, position_bias: Tensor, queries: bool = True) -> None:
        w = _Weights(part)
        scale = torch.ones(2 * DIM, dtype=torch.float64)
        scale[:DIM] = HEAD_DIM**-0.5
        weight = torch.cat((w.matrix("v.weight"), w.matrix("qk.weight") * scale), 1)
        bias = torch.cat((w["v.bias"], w["qk.bias"] * scale))
        if not queries:
            used = [*range(DIM), *range(2 * DIM, 3 * DIM)]
            weight, bias = weight[:, used], bias[used]
        gain, offset = w["norm.weight"].flatten(), w["norm.bias"].flatten()
        # behind normalisation: ((x − mean) / std · gain + offset) · weight + bias
        self.scaled = gain[:, None] * weight
        self.from_mean = gain @ weight
        self.constant = offset @ weight + bias
        self.rescale = w["norm.rescale.weight"].flatten(), w["norm.rescale.bias"]
        self.rebias = w["norm.rebias.weight"].flatten(), w["norm.rebias.bias"]
        self.project = w.matrix("project.weight"), w["project.bias"]
        self.depthwise = w["depthwise.weight"], w["depthwise.bias"]
        self.expand = Linear(w.matrix("mlp.0.weight")[None], w["mlp.0.bias"][None, None])
        self.contract = Linear(w.matrix("mlp.2.weight")[None], w["mlp.2.bias"][None, None])
        self.position_bias = position_bias
        self.eps = part.norm.eps
        self._folds = ("scaled", "from_mean", "constant", "rescale", "rebias", "project")

    def place(self, like: Tensor) -> None:
        """Move to the device and precision of `like`; what is folded later stays exact."""
        exact = _exact(torch.empty(0, device=like.device))
        for name in self._folds:
            value = getattr(self, name)
            moved = (
                tuple(v.to(exact) for v in value) if isinstance(value, tuple) else value.to(exact)
            )
            setattr(self, name, moved)
        self.depthwise = (
            self.depthwise[0].to(like).contiguous(memory_format=torch.channels_last),
            self.depthwise[1].to(like),
        )
        self.expand, self.contract = self.expand.to(like), self.contract.to(like)
        self.position_bias = self.position_bias.to(like)

    def ready(self, moments: Moments) -> ReadyBlock:
        """Fold an image's statistics into the projections."""
        like = self.position_bias
        std = torch.sqrt(moments.variance + self.eps)[:, None, None]  # (N, 1, 1)
        mean = moments.mean[:, None, None]
        weight = self.scaled / std
        bias = self.constant - mean / std * self.from_mean
        values, queries_keys = (
            Linear(weight[..., part], bias[..., part]).to(like)
            for part in (slice(DIM), slice(DIM, None))
        )
        rescale = self.rescale[0] * std + self.rescale[1]
        rebias = self.rebias[0] * mean + self.rebias[1]
        after = Linear(self.project[0] * rescale, self.project[1] * rescale + rebias)
        return ReadyBlock(self, values, queries_keys, after.to(like))


@dataclass(frozen=True)
class ReadyBlock:
    """A stream of a block with an image's statistics folded in."""

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
        mixed = convolve(v, *self.block.depthwise, border, groups=DIM)
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


STRIP = 1024
"""Pixels that a CPU takes through a chain of products at once, so that they stay in its caches."""


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


class FoldedGIFNet:
    """The folded network, as stages that run on any region of an image.

    Each stage is given a map on the region it needs and the padding that the map lacks there
    because the image ends; see `tiles` for which region that is.

    Parameters
    ----------
    network : GIFNet
    device : torch.device
    dtype : torch.dtype
        Of maps and weights; statistics are gathered in float32 and folded in float64.
    """

    def __init__(self, network: GIFNet, device: torch.device, dtype: torch.dtype) -> None:
        like = torch.empty(0, device=device, dtype=dtype)
        self.device, self.dtype = device, dtype
        w = _Weights(network)

        def conv(weight: Tensor, bias: Tensor, like: Tensor = like) -> tuple[Tensor, Tensor]:
            return weight.to(like).contiguous(memory_format=torch.channels_last), bias.to(like)

        self.reduced = dtype.itemsize < 4

        def of_features(weight: Tensor) -> Tensor:
            """Weights (K, C, …) of features in which the two planes may come twice."""
            return torch.cat((weight[:, :PLANES], weight), 1) if self.reduced else weight

        self.encoder = [
            conv(w[f"encoder.convs.{i}.weight"], w[f"encoder.convs.{i}.bias"], like.float())
            for i in range(3)
        ]
        weight, bias = (
            torch.cat([w[f"interaction.embed.{s}.{p}"] for s in ("mm", "dp")])
            for p in ("weight", "bias")
        )
        self.embedding = conv(of_features(weight), bias)
        first, second = network.interaction.blocks
        with torch.no_grad():
            bias0, bias1 = (deepcopy(b.position_bias).double()() for b in (first, second))
        self.block0_mm = FoldedBlock(first.streams["mm"], bias0, queries=False)
        self.block0_dp = FoldedBlock(first.streams["dp"], bias0)
        self.block1 = FoldedBlock(second.streams["dp"], bias1)
        for block in (self.block0_mm, self.block0_dp, self.block1):
            block.place(like)
        self.gate = w["interaction.gate.dp"][0].to(like)

        merge = w["fusion.merge.weight"][:, :, 0, 0]
        of_interaction = merge[:, DIM:]
        self.merge_features = Linear(
            of_features(merge[:, :DIM]).T[None], torch.zeros(1, 1, DIM, dtype=torch.float64)
        ).to(like)
        self.merge_interaction = conv(
            torch.einsum("om,mcij->ocij", of_interaction, w["interaction.unembed.weight"]),
            of_interaction @ w["interaction.unembed.bias"],
        )
        decoder = [
            (w[f"fusion.decoder.convs.{i}.weight"], w[f"fusion.decoder.convs.{i}.bias"])
            for i in range(4)
        ]
        expand = w["fusion.expand.weight"][:, :, 0, 0]
        decoder[0] = (torch.einsum("omij,mc->ocij", decoder[0][0], expand), decoder[0][1])
        self.decoder = [conv(*layer) for layer in decoder[:2]]
        self.last_decoder = [conv(*layer, like.float()) for layer in decoder[2:]]

    def encode(self, planes: Tensor, paddings: Sequence[Padding]) -> Tensor:
        """(N, H, W, 2) float32 planes → features, one pixel less on each side a stage unpadded."""
        x = planes
        for (weight, bias), padding in zip(self.encoder, paddings, strict=True):
            y = convolve(x, weight, bias, padding).relu_()
            x = torch.cat((_cropped_like(x, y, padding), y), dim=3)
        if not self.reduced:
            return x
        held = x.to(self.dtype)
        left = x[..., :PLANES] - held[..., :PLANES].float()
        return torch.cat((held[..., :PLANES], left.to(self.dtype), held[..., PLANES:]), dim=3)

    def embed(self, features: Tensor, padding: Padding) -> Tensor:
        """Features → both streams, (N, H, W, 2 · 98), MM first."""
        return convolve(features, *self.embedding, padding)

    def first_block(
        self,
        streams: Tensor,
        ready: tuple[ReadyBlock, ReadyBlock],
        core: tuple[slice, slice],
        border: Padding,
        windows: Padding,
    ) -> Tensor:
        """Both streams → the active stream after block 0 and the gate, on the core."""
        mm, dp = (s.contiguous() for s in streams.split(DIM, dim=3))
        of_mm, of_dp = ready
        x, queries = of_dp(dp, core, border, windows)
        guide, _ = of_mm(mm, core, border, windows, queries)
        return x.add_(guide.mul_(self.gate))

    def second_block(
        self,
        x: Tensor,
        ready: ReadyBlock,
        core: tuple[slice, slice],
        border: Padding,
        windows: Padding,
    ) -> Tensor:
        """The active stream through block 1, on the core."""
        return ready(x, core, border, windows)[0]

    def decode(
        self, features: Tensor, interacted: Tensor, padding: Padding, paddings: Sequence[Padding]
    ) -> Tensor:
        """Features and the interaction's last map → the fused plane, (N, H, W) float32 in [0, 1].

        `padding` is of the map `interacted`, `paddings` of the four convolutions behind it.
        """
        x = convolve(interacted, *self.merge_interaction, padding)
        x = self.merge_features(features).add_(x)
        for (weight, bias), edge in zip(self.decoder + self.last_decoder, paddings, strict=True):
            x = convolve(x.relu_().to(weight.dtype), weight, bias, edge)
        return x[..., 0].tanh_().mul_(0.5).add_(0.5)


def _cropped_like(x: Tensor, y: Tensor, padding: Padding) -> Tensor:
    """`x` on the region of `y`, which a 3×3 convolution with `padding` made of it."""
    left, _, top, _ = padding
    return x[:, 1 - top : 1 - top + y.shape[1], 1 - left : 1 - left + y.shape[2]]
