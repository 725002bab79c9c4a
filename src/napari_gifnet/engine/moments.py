"""What GIFNet's layer norms measure of a map: mean and variance, of parts put together exactly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


def exact_dtype(device: torch.device) -> torch.dtype:
    """The dtype that statistics are kept and folded in; Apple's GPUs have no float64."""
    return torch.float32 if device.type == "mps" else torch.float64


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
        exact = exact_dtype(x.device)
        # two vectorised passes: torch's var_mean is several times slower on a CPU
        mean = x.mean(dim=(1, 2, 3), keepdim=True)
        variance = (x - mean).square_().mean(dim=(1, 2, 3))
        return cls(mean.flatten().to(exact), variance.to(exact), count)

    @classmethod
    def known(cls, mean: float, variance: float, device: torch.device) -> Moments:
        """Moments that need not be gathered."""
        like = torch.empty(1, dtype=exact_dtype(device), device=device)
        return cls(torch.full_like(like, mean), torch.full_like(like, variance), 0)

    @property
    def numbers(self) -> tuple[float, float]:
        """Mean and variance of a batch of one."""
        return self.mean.item(), self.variance.item()

    def cpu(self) -> Moments:
        """The same numbers in the computer's own memory."""
        return Moments(self.mean.cpu(), self.variance.cpu(), self.count)

    def plain(self) -> Moments:
        """The same numbers of a batch of one without a tensor, to be sent to another process."""
        mean, variance = (np.float64(number) for number in self.numbers)
        return Moments(mean, variance, self.count)

    def __add__(self, other: Moments) -> Moments:
        """Moments of two parts together (Chan et al. 1979), without the cancellation of plain sums."""
        count = self.count + other.count
        share = other.count / count
        gap = other.mean - self.mean
        variance = (
            self.variance * (1 - share) + other.variance * share + gap**2 * (share * (1 - share))
        )
        return Moments(self.mean + gap * share, variance, count)


@dataclass(frozen=True)
class Statistics:
    """What the three layer norms that reach the output see of a plane, or of several together.

    Attributes
    ----------
    block0_mm, block0_dp, block1 : (mean, variance)
        Of the map before block 0 in the multi-modal and in the digital-photography stream, and of
        the latter before block 1; over all channels and pixels.
    """

    block0_mm: tuple[float, float]
    block0_dp: tuple[float, float]
    block1: tuple[float, float]
