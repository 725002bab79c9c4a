"""GIFNet, the network (Cheng et al., "One Model for ALL", CVPR 2025, arXiv 2502.19854).

Planes are float in [0, 1], (N, 1, H, W) with H, W ≥ 5. `a` is the modality side (infrared, PET, near
focus, over-exposed …), `b` the detail side (visible, MRI, far focus, under-exposed …).
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from .attention import DIM, HEADS, STREAMS, WINDOW, Stream, TwoStreamBlock, other

SMALLEST_SIDE = 5
"""Reflect padding needs more pixels than it adds; below this side the network is undefined."""


def conv3(channels_in: int, channels_out: int) -> nn.Conv2d:
    """3×3 convolution, stride 1, reflect padding."""
    return nn.Conv2d(channels_in, channels_out, 3, padding=1, padding_mode="reflect")


class SharedEncoder(nn.Module):
    """Low-level features that every task shares: a pair of planes → 98 channels, densely connected."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.convs = nn.ModuleList(conv3(2 + i * width, width) for i in range(3))

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Return the features F, (N, 98, H, W)."""
        x = torch.cat((a, b), dim=1)
        for conv in self.convs:
            x = torch.cat((x, conv(x).relu()), dim=1)
        return x


class Decoder(nn.Module):
    """Four 3×3 convolutions down to one channel, ReLU between, tanh at the end."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        widths = (channels, 64, 32, 16, 1)
        self.convs = nn.ModuleList(conv3(i, o) for i, o in pairwise(widths))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) → (N, 1, H, W) in (−1, 1)."""
        *hidden, last = self.convs
        for conv in hidden:
            x = conv(x).relu()
        return last(x).tanh()


class InteractionExtractor(nn.Module):
    """Two task streams that teach each other through exchanged queries and a learned gate."""

    def __init__(self, dim: int = DIM, heads: int = HEADS, mlp_ratio: int = 2) -> None:
        super().__init__()
        self.embed = nn.ModuleDict({s: conv3(dim, dim) for s in STREAMS})
        self.blocks = nn.ModuleList(
            [
                TwoStreamBlock(dim, heads, shift=0, exchange=True, mlp_ratio=mlp_ratio),
                TwoStreamBlock(dim, heads, shift=WINDOW // 2, exchange=False, mlp_ratio=mlp_ratio),
            ]
        )
        # One pair for each active stream. The second of a pair belongs to no block: it is in the
        # published checkpoint and is never used.
        self.gate = nn.ParameterDict({s: nn.Parameter(torch.ones(2)) for s in STREAMS})
        self.unembed = conv3(dim, dim)

    def forward(
        self,
        active_features: Tensor,
        auxiliary_features: Tensor,
        active: Stream,
        *,
        complete: bool = False,
    ) -> Tensor:
        """Return the interacted features G of the active stream, (N, 98, H, W).

        Parameters
        ----------
        active_features, auxiliary_features : Tensor
            Encoder features of the pair being fused and of the other task's pair, (N, 98, H, W).
        active : {"mm", "dp"}
            The stream that fuses.
        complete : bool
            Also compute what reaches no output, the auxiliary stream of the last block, as the
            published program does. The result is the same.
        """
        auxiliary = other(active)
        height, width = active_features.shape[-2:]
        padding = (0, -width % 4, 0, -height % 4)

        x = self.embed[active](functional.pad(active_features, padding, mode="reflect"))
        # Features that carry no gradient guide and teach nothing, as in the published training.
        taught = auxiliary_features.requires_grad
        with torch.set_grad_enabled(taught):
            guide = self.embed[auxiliary](
                functional.pad(auxiliary_features, padding, mode="reflect")
            )

        for block in self.blocks:
            x, queries = block.run(active, x)
            if block.exchange or complete:
                with torch.set_grad_enabled(taught):
                    guide, _ = block.run(auxiliary, guide, queries if block.exchange else None)
            if block.exchange:
                x = x + self.gate[active][0] * guide
        return self.unembed(x)[..., :height, :width]


class FusionDecoder(nn.Module):
    """Shared features F and interacted features G → the fused plane."""

    def __init__(self, dim: int = DIM) -> None:
        super().__init__()
        self.merge = nn.Conv2d(2 * dim, dim, 1, bias=False)
        self.expand = nn.Conv2d(dim, 128, 1, bias=False)
        self.decoder = Decoder(128)

    def forward(self, features: Tensor, interacted: Tensor) -> Tensor:
        """Return the fused plane, (N, 1, H, W) in (0, 1)."""
        x = self.merge(torch.cat((features, interacted), dim=1)).relu()
        return self.decoder(self.expand(x)) / 2 + 0.5


class GIFNet(nn.Module):
    """The published network, 822,780 parameters.

    Attributes
    ----------
    encoder : SharedEncoder
    interaction : InteractionExtractor
    fusion : FusionDecoder
    reconstruction : Decoder
        Training only: gives back the visible plane from the shared features.
    """

    def __init__(self) -> None:
        super().__init__()
        self.encoder = SharedEncoder()
        self.interaction = InteractionExtractor()
        self.fusion = FusionDecoder()
        self.reconstruction = Decoder(DIM)

    def forward(
        self,
        a: Tensor,
        b: Tensor,
        auxiliary: tuple[Tensor, Tensor] | None = None,
        active: Stream = "dp",
    ) -> Tensor:
        """Fuse the planes `a` and `b`, (N, 1, H, W) in [0, 1]; the result has their shape and range.

        Parameters
        ----------
        a, b : Tensor
            The modality side and the detail side. The network is not symmetric in them.
        auxiliary : pair of Tensor, optional
            The other task's pair of the same scene. At inference there is none: both streams get
            the features of `a` and `b`.
        active : {"mm", "dp"}
            The stream that fuses; the published inference is ``"dp"`` for every task.
        """
        features = self.encoder(a, b)
        if auxiliary is None:
            guide = features
        else:
            with torch.no_grad():
                guide = self.encoder(*auxiliary)
        interacted = self.interaction(features, guide, active, complete=True)
        return self.fusion(features, interacted)
