"""The network as training runs it: the path that inference takes, in a layout that is quick to differentiate.

The same numbers as `GIFNet.forward` with both streams on the same features, up to rounding. Maps
are (N, H, W, C) here: a 1×1 convolution is then a matrix product without a copy, and so is each
tap of a 3×3 convolution's gradient.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_gifnet.network import GIFNet
from napari_gifnet.network.attention import (
    DIM,
    HEADS,
    WINDOW,
    RelativePositionBias,
    StreamBlock,
    TwoStreamBlock,
    window_padding,
)


class _Convolution3(torch.autograd.Function):
    """3×3 convolution of a padded map, with a gradient quicker than the library's on a CPU."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        if torch.is_autocast_enabled(x.device.type):
            x, weight = (t.to(torch.get_autocast_dtype(x.device.type)) for t in (x, weight))
        ctx.save_for_backward(x, weight)
        return functional.conv2d(x.permute(0, 3, 1, 2), weight).permute(0, 2, 3, 1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor]:
        x, weight = ctx.saved_tensors
        outputs, inputs = weight.shape[:2]
        rows, columns = gradient.shape[1:3]
        gradient = gradient.to(x.dtype).contiguous()
        flat = gradient.reshape(-1, outputs).T
        of_weight = torch.empty(3, 3, outputs, inputs, dtype=x.dtype, device=x.device)
        for i in range(3):
            for j in range(3):
                tap = x[:, i : i + rows, j : j + columns].reshape(-1, inputs)
                torch.mm(flat, tap, out=of_weight[i, j])
        of_x = None
        if ctx.needs_input_grad[0]:
            turned = weight.flip(2, 3).transpose(0, 1)
            wide = functional.pad(gradient, (0, 0, 2, 2, 2, 2)).permute(0, 3, 1, 2)
            of_x = functional.conv2d(wide, turned).permute(0, 2, 3, 1)
        return of_x, of_weight.permute(2, 3, 0, 1)


def pad(x: Tensor, padding: tuple[int, ...]) -> Tensor:
    """Reflect-pad (N, H, W, C) by (left, right, top, bottom)."""
    if not any(padding):
        return x
    return functional.pad(x.permute(0, 3, 1, 2), padding, mode="reflect").permute(0, 2, 3, 1)


def convolve(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """3×3 convolution with reflect padding."""
    y = _Convolution3.apply(pad(x, (1, 1, 1, 1)), weight)
    return y if bias is None else y + bias


def multiply(x: Tensor, *convs: nn.Conv2d) -> Tensor:
    """Several 1×1 convolutions of one map, as one product."""
    weight = torch.cat([c.weight[:, :, 0, 0] for c in convs])
    bias = None if convs[0].bias is None else torch.cat([c.bias for c in convs])
    return functional.linear(x, weight, bias)


def encode(network: GIFNet, a: Tensor, b: Tensor) -> Tensor:
    """Shared features of the planes `a` and `b`, (N, 1, H, W) → (N, H, W, 98)."""
    features = torch.cat((a, b), dim=1).permute(0, 2, 3, 1).contiguous()
    for conv in network.encoder.convs:
        grown = convolve(features, conv.weight, conv.bias).relu()
        features = torch.cat((features, grown), dim=-1)
    return features


def decode(network: GIFNet, features: Tensor, interacted: Tensor | None = None) -> Tensor:
    """The fused plane, (N, 1, H, W). Without `interacted` features those are taken as zero."""
    fusion = network.fusion
    merge = fusion.merge.weight[:, :, 0, 0]
    x = features @ merge[:, :DIM].T
    if interacted is not None:
        x = x + interacted @ merge[:, DIM:].T
    first, *rest, last = fusion.decoder.convs
    # the 1×1 expansion folds into the 3×3 convolution behind it
    kernel = torch.einsum("omij,mc->ocij", first.weight, fusion.expand.weight[:, :, 0, 0])
    x = convolve(x.relu(), kernel, first.bias)
    for conv in rest:
        x = convolve(x.relu(), conv.weight, conv.bias)
    with torch.autocast(x.device.type, enabled=False):  # the result keeps its last bits
        x = last(x.relu().permute(0, 3, 1, 2).to(last.weight.dtype))  # one channel: quick as it is
    return x.tanh() / 2 + 0.5


def interact(network: GIFNet, features: Tensor) -> Tensor:
    """Interacted features with both streams on the same features and DP active, (N, H, W, 98)."""
    part = network.interaction
    height, width = features.shape[1:3]
    features = pad(features, (0, -width % 4, 0, -height % 4))
    active, guide = (
        convolve(features, part.embed[s].weight, part.embed[s].bias) for s in ("dp", "mm")
    )
    first, second = part.blocks
    active, queries = _stream(first, "dp", active)
    guide, _ = _stream(first, "mm", guide, queries)
    active, _ = _stream(second, "dp", active + part.gate["dp"][0] * guide)
    return convolve(active, part.unembed.weight, part.unembed.bias)[:, :height, :width]


def fuse(network: GIFNet, a: Tensor, b: Tensor) -> Tensor:
    """Fuse planes (N, 1, H, W) as inference does, with gradients for all that takes part."""
    features = encode(network, a, b)
    return decode(network, features, interact(network, features))


def _stream(
    block: TwoStreamBlock, name: str, x: Tensor, queries: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """One stream through a block. `queries`, windows of another stream, replace its own."""
    part: StreamBlock = block.streams[name]  # type: ignore[assignment]
    normalised, rescale, rebias = part.norm(x.permute(0, 3, 1, 2))
    normalised = normalised.permute(0, 2, 3, 1)
    rescale, rebias = rescale.permute(0, 2, 3, 1), rebias.permute(0, 2, 3, 1)
    if queries is None:
        maps = multiply(normalised, part.qk, part.v).split(DIM, dim=-1)
    else:  # keys and values alone
        weight = torch.cat((part.qk.weight[DIM:], part.v.weight))[:, :, 0, 0]
        bias = torch.cat((part.qk.bias, part.v.bias))[DIM:]
        maps = functional.linear(normalised, weight, bias).split(DIM, dim=-1)
    v = maps[-1]
    height, width = v.shape[1:3]
    padding = window_padding(height, width, block.shift)
    windows = [_cut(pad(m, padding)) for m in maps]
    q, k, values = windows if queries is None else (queries, *windows)
    scores = torch.matmul(q * (DIM // HEADS) ** -0.5, k.transpose(-2, -1)) + position_bias(
        block.position_bias
    )
    tall, wide = height + padding[2] + padding[3], width + padding[0] + padding[1]
    attended = _join(scores.softmax(-1) @ values, tall, wide)
    attended = attended[:, block.shift : block.shift + height, block.shift : block.shift + width]
    with torch.autocast(v.device.type, enabled=False):  # its bfloat16 gradient is slow on a CPU
        local = part.depthwise(v.permute(0, 3, 1, 2).to(x.dtype)).permute(0, 2, 3, 1)
    x = x + multiply(local + attended, part.project) * rescale + rebias
    widen, _, narrow = part.mlp
    return x + multiply(multiply(x, widen).relu(), narrow), q


def position_bias(part: RelativePositionBias) -> Tensor:
    """The attention's bias, (heads, window², window²), from its 225 different offsets alone."""
    side = part.window
    line = torch.arange(1 - side, side, device=part.offsets.device)
    log_line = line.sign() * torch.log1p(line.abs().to(part.offsets.dtype))
    offsets = torch.stack(torch.meshgrid(log_line, log_line, indexing="ij"), -1)
    at = torch.arange(side, device=line.device)
    apart = at[:, None] - at + side - 1  # (query, key) along one axis → place in `line`
    bias = part.network(offsets)[apart[:, None, :, None], apart[None, :, None, :]]
    return bias.reshape(side**2, side**2, -1).permute(2, 0, 1)


def _cut(x: Tensor) -> Tensor:
    """(N, H, W, C) → (N · windows, heads, window², C / heads)."""
    n, h, w, c = x.shape
    x = x.reshape(n, h // WINDOW, WINDOW, w // WINDOW, WINDOW, HEADS, c // HEADS)
    return x.permute(0, 1, 3, 5, 2, 4, 6).reshape(-1, HEADS, WINDOW**2, c // HEADS)


def _join(tokens: Tensor, height: int, width: int) -> Tensor:
    """Undo `_cut`."""
    channels = tokens.shape[-1]
    rows, columns = height // WINDOW, width // WINDOW
    x = tokens.reshape(-1, rows, columns, HEADS, WINDOW, WINDOW, channels)
    return x.permute(0, 1, 4, 2, 5, 3, 6).reshape(-1, height, width, HEADS * channels)
