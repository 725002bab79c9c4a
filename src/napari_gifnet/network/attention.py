"""The parts of GIFNet's interaction extractor: normalisation, window attention, the two-stream block.

All maps are (N, C, H, W). The extractor has two streams, one for each kind of fusion task that
GIFNet was trained on: ``"mm"``, multi-modal (infrared and visible), and ``"dp"``, digital
photography (near and far focus). One of them is *active*: its output is the result.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

Stream = Literal["mm", "dp"]
STREAMS: tuple[Stream, ...] = get_args(Stream)

DIM = 98
HEADS = 2
WINDOW = 8


def other(stream: Stream) -> Stream:
    """Return the stream that is auxiliary when `stream` is active."""
    return "dp" if stream == "mm" else "mm"


class RevisedLayerNorm(nn.Module):
    """Normalise a map by one mean and one deviation an image, over channels and pixels.

    Besides the normalised map it gives back what was taken away, as a scale and an offset a channel
    (rescale and rebias), to be applied after the attention (Song et al., DehazeFormer, 2023, §3.2).
    """

    eps = 1e-5

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1, dim, 1, 1))
        self.bias = nn.Parameter(torch.zeros(1, dim, 1, 1))
        self.rescale = nn.Conv2d(1, dim, 1)
        self.rebias = nn.Conv2d(1, dim, 1)
        nn.init.trunc_normal_(self.rescale.weight, std=0.02)
        nn.init.ones_(self.rescale.bias)
        nn.init.trunc_normal_(self.rebias.weight, std=0.02)
        nn.init.zeros_(self.rebias.bias)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the normalised map, the rescale and the rebias, the latter two (N, C, 1, 1)."""
        variance, mean = torch.var_mean(x, dim=(1, 2, 3), keepdim=True, correction=0)
        std = torch.sqrt(variance + self.eps)
        normalised = (x - mean) / std * self.weight + self.bias
        return normalised, self.rescale(std), self.rebias(mean)


class RelativePositionBias(nn.Module):
    """The attention's bias: a small network on log-spaced offsets between the pixels of a window."""

    offsets: Tensor

    def __init__(self, window: int, heads: int, hidden: int = 256) -> None:
        super().__init__()
        self.window, self.heads = window, heads
        self.network = nn.Sequential(nn.Linear(2, hidden), nn.ReLU(), nn.Linear(hidden, heads))
        side = torch.arange(window)
        place = torch.stack(torch.meshgrid(side, side, indexing="ij"), -1).reshape(-1, 2)
        offset = (place[:, None] - place[None]).float()  # (query, key, 2)
        log_offset = offset.sign() * torch.log1p(offset.abs())
        self.register_buffer("offsets", log_offset, persistent=False)

    def forward(self) -> Tensor:
        """Return the bias, (heads, window², window²): head, query, key."""
        return self.network(self.offsets).permute(2, 0, 1)


def window_padding(height: int, width: int, shift: int, window: int = WINDOW) -> tuple[int, ...]:
    """Padding that makes whole windows, as (left, right, top, bottom); `shift` moves their origin."""
    right, bottom = ((shift + -side % window) % window for side in (width, height))
    return shift, right, shift, bottom


def cut_windows(x: Tensor, heads: int, window: int = WINDOW) -> Tensor:
    """(N, C, H, W) → (N · windows, heads, window², C / heads), tokens row by row."""
    n, c, h, w = x.shape
    x = x.reshape(n, heads, c // heads, h // window, window, w // window, window)
    return x.permute(0, 3, 5, 1, 4, 6, 2).reshape(-1, heads, window**2, c // heads)


def join_windows(tokens: Tensor, height: int, width: int, window: int = WINDOW) -> Tensor:
    """Undo `cut_windows`: (N · windows, heads, window², C / heads) → (N, C, height, width)."""
    _, heads, _, channels = tokens.shape
    rows, columns = height // window, width // window
    x = tokens.reshape(-1, rows, columns, heads, window, window, channels)
    return x.permute(0, 3, 6, 1, 4, 2, 5).reshape(-1, heads * channels, height, width)


def window_attention(q: Tensor, k: Tensor, v: Tensor, bias: Tensor, shift: int) -> Tensor:
    """Attend within the windows of a map.

    The maps are reflect-padded to whole windows; the result is cropped back to their size.

    Parameters
    ----------
    q, k, v : Tensor
        Queries, keys, values, (N, C, H, W); the padding asks for H, W ≥ 5.
    bias : Tensor
        (heads, window², window²), from `RelativePositionBias`.
    shift : int
        Distance in pixels of the first window's origin beyond the top left corner.
    """
    height, width = v.shape[-2:]
    padding = window_padding(height, width, shift)
    q, k, v = (functional.pad(x, padding, mode="reflect") for x in (q, k, v))
    padded_height, padded_width = v.shape[-2:]
    q, k, v = (cut_windows(x, heads=len(bias)) for x in (q, k, v))
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1) + bias  # (windows, heads, query, key)
    out = join_windows(scores.softmax(-1) @ v, padded_height, padded_width)
    return out[..., shift : shift + height, shift : shift + width]


class StreamBlock(nn.Module):
    """One stream's share of a block: normalisation, projections, convolution branch and MLP."""

    def __init__(self, dim: int, mlp_ratio: int) -> None:
        super().__init__()
        self.norm = RevisedLayerNorm(dim)
        self.qk = nn.Conv2d(dim, 2 * dim, 1)
        self.v = nn.Conv2d(dim, dim, 1)
        self.depthwise = nn.Conv2d(dim, dim, 5, padding=2, groups=dim, padding_mode="reflect")
        self.project = nn.Conv2d(dim, dim, 1)
        self.mlp = nn.Sequential(
            nn.Conv2d(dim, mlp_ratio * dim, 1), nn.ReLU(), nn.Conv2d(mlp_ratio * dim, dim, 1)
        )

    def queries_keys_values(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Return Q, K, V, all (N, C, H, W), and the rescale and rebias that `finish` needs."""
        normalised, rescale, rebias = self.norm(x)
        q, k = self.qk(normalised).chunk(2, dim=1)
        return q, k, self.v(normalised), rescale, rebias

    def finish(
        self, x: Tensor, attended: Tensor, v: Tensor, rescale: Tensor, rebias: Tensor
    ) -> Tensor:
        """Add attention, convolution branch and MLP to the stream `x`."""
        x = x + self.project(self.depthwise(v) + attended) * rescale + rebias
        return x + self.mlp(x)


class TwoStreamBlock(nn.Module):
    """A transformer block with a multi-modal and a digital-photography stream.

    The streams share nothing but the relative-position bias. In a block with `exchange`, the
    auxiliary stream attends with the active stream's queries (the paper's cross-fusion gating).
    """

    def __init__(self, dim: int, heads: int, shift: int, exchange: bool, mlp_ratio: int) -> None:
        super().__init__()
        self.shift, self.exchange = shift, exchange
        self.position_bias = RelativePositionBias(WINDOW, heads)
        self.streams = nn.ModuleDict({s: StreamBlock(dim, mlp_ratio) for s in STREAMS})

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Window attention with this block's bias and shift."""
        return window_attention(q, k, v, self.position_bias(), self.shift)

    def run(
        self, stream: Stream, x: Tensor, queries: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Run one stream; `queries` replace its own. Returns the new map and its own queries."""
        part = self.streams[stream]
        q, k, v, rescale, rebias = part.queries_keys_values(x)
        attended = self.attend(q if queries is None else queries, k, v)
        return part.finish(x, attended, v, rescale, rebias), q
