"""Differentiable measures of a fused plane. All take planes (N, 1, H, W) in [0, 1].

Unless said otherwise a measure gives one number a sample, (N,), and grows with quality where it is
a similarity and with the fault where it is a distance.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

_EPS = 1e-6


def _pixels(x: Tensor) -> Tensor:
    """Mean over all but the samples."""
    return x.mean(dim=(1, 2, 3))


def squared_distance(x: Tensor, y: Tensor) -> Tensor:
    """Mean squared difference."""
    return _pixels((x - y) ** 2)


def decibels(plane: Tensor, truth: Tensor) -> Tensor:
    """Mean squared error on a logarithmic scale, until it is as small as 45 dB."""
    return torch.log(squared_distance(plane, truth) / 3e-5 + 1)


def sobel(x: Tensor) -> tuple[Tensor, Tensor]:
    """Horizontal and vertical Sobel derivatives, replicated border, in units of a pixel step."""
    kernel = x.new_tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]]) / 8
    kernels = torch.stack((kernel, kernel.T))[:, None]
    gradient = functional.conv2d(functional.pad(x, (1, 1, 1, 1), mode="replicate"), kernels)
    return gradient[:, :1], gradient[:, 1:]


def strength(gradient: tuple[Tensor, Tensor]) -> Tensor:
    """Magnitude of a gradient, with a derivative at zero."""
    return torch.sqrt(gradient[0] ** 2 + gradient[1] ** 2 + _EPS**2)


def gaussian_window(side: int, sigma: float, like: Tensor) -> Tensor:
    """A Gaussian of `side` taps, of sum 1."""
    x = torch.arange(side, dtype=like.dtype, device=like.device) - (side - 1) / 2
    window = torch.exp(-(x**2) / (2 * sigma**2))
    return window / window.sum()


def average(x: Tensor, window: Tensor) -> Tensor:
    """Local means under a separable window ("valid" pixels only); the square kernel costs more."""
    return functional.conv2d(
        functional.conv2d(x, window[None, None, :, None]), window[None, None, None]
    )


def moments(x: Tensor, y: Tensor, window: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Local means, variances and covariance of two planes under a separable window."""
    n = len(x)
    local = average(torch.cat((x, y, x * x, y * y, x * y)), window).split(n)
    mean_x, mean_y, xx, yy, xy = local
    return mean_x, mean_y, xx - mean_x**2, yy - mean_y**2, xy - mean_x * mean_y


def structural_similarity(x: Tensor, y: Tensor, *, window: int = 11) -> tuple[Tensor, Tensor]:
    """Mean SSIM, and its contrast-structure factor alone (Wang et al. 2004, eq. 13)."""
    side = min(window, *x.shape[-2:])
    mx, my, vx, vy, c = moments(x, y, gaussian_window(side, 1.5, x))
    contrast = (2 * c + 0.03**2) / (vx + vy + 0.03**2)
    luminance = (2 * mx * my + 0.01**2) / (mx**2 + my**2 + 0.01**2)
    return _pixels(luminance * contrast), _pixels(contrast)


def multiscale_structural_similarity(x: Tensor, y: Tensor) -> Tensor:
    """MS-SSIM over five scales (Wang et al. 2003), each factor mapped from [−1, 1] to [0, 1]."""
    weights = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
    result = x.new_ones(len(x))
    for scale, weight in enumerate(weights):
        if scale:
            x, y = functional.avg_pool2d(x, 2), functional.avg_pool2d(y, 2)
        similarity, contrast = structural_similarity(x, y)
        factor = similarity if scale == len(weights) - 1 else contrast
        result = result * ((factor + 1) / 2).clamp_min(_EPS) ** weight
    return result


def visual_information(source: Tensor, fused: Tensor) -> Tensor:
    """VIF in the pixel domain (Sheikh and Bovik 2006): four scales, noise variance 2 on 0–255."""
    noise, tiny = 2.0, 1e-10
    x, y = source * 255, fused * 255
    information, preserved = x.new_zeros(len(x)), x.new_zeros(len(x))
    for scale in range(4):
        side = 2 ** (4 - scale) + 1
        window = gaussian_window(side, side / 5, x)
        if scale:
            x, y = (average(z, window)[..., ::2, ::2] for z in (x, y))
        _, _, vx, vy, c = moments(x, y, window)
        vx, vy = vx.clamp_min(0), vy.clamp_min(0)
        gain = (c / (vx + tiny)).clamp_min(0)
        residual = (vy - gain * c).clamp_min(tiny)
        preserved = preserved + torch.log1p(gain**2 * vx / (residual + noise)).sum((1, 2, 3))
        information = information + torch.log1p(vx / noise).sum((1, 2, 3))
    return preserved / (information + 1.0)


def gradient_transfer(a: Tensor, b: Tensor, fused: Tensor) -> Tensor:
    """Q^AB/F (Xydeas and Petrović 2000): how much of the sources' edges is in the result.

    The angle between edges is taken modulo π, so that it has a derivative everywhere.
    """
    gradient = sobel(fused)
    fused_strength = strength(gradient)
    transferred, present = fused.new_zeros(len(fused)), fused.new_zeros(len(fused))
    for source in (a, b):
        own = sobel(source)
        own_strength = strength(own)
        ratio = torch.minimum(own_strength, fused_strength) / torch.maximum(
            own_strength, fused_strength
        )
        cosine = (own[0] * gradient[0] + own[1] * gradient[1]) / (own_strength * fused_strength)
        angle = 1 - torch.acos(cosine.abs().clamp(0, 0.9995)) * (2 / torch.pi)
        kept = (
            0.9994 * torch.sigmoid(15 * (ratio - 0.5)) * 0.9879 * torch.sigmoid(22 * (angle - 0.8))
        )
        transferred = transferred + (kept * own_strength).sum((1, 2, 3))
        present = present + own_strength.sum((1, 2, 3))
    return transferred / (present + _EPS)


def sharpness(x: Tensor) -> Tensor:
    """Mean strength of the gradient."""
    return _pixels(strength(sobel(x))) + 1e-4


def correlation(x: Tensor, y: Tensor) -> Tensor:
    """Pearson's correlation over a plane's pixels; near 0 where one is constant."""
    x = x - x.mean((1, 2, 3), keepdim=True)
    y = y - y.mean((1, 2, 3), keepdim=True)
    norm = torch.sqrt(_pixels(x * x) * _pixels(y * y) + 1e-8)
    return _pixels(x * y) / norm


def correlation_of_differences(a: Tensor, b: Tensor, fused: Tensor) -> Tensor:
    """SCD (Aslantas and Bendes 2015): r(a, f − b) + r(b, f − a)."""
    return correlation(a, fused - b) + correlation(b, fused - a)


def stronger_gradient(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Per pixel, the signed gradient of whichever source has the stronger one."""
    of_a, of_b = sobel(a), sobel(b)
    choose_a = strength(of_a) >= strength(of_b)
    return torch.where(choose_a, of_a[0], of_b[0]), torch.where(choose_a, of_a[1], of_b[1])


def gradient_distance(gradient: tuple[Tensor, Tensor], fused: Tensor) -> Tensor:
    """Mean absolute difference between a gradient and that of the fused plane."""
    x, y = sobel(fused)
    return _pixels((gradient[0] - x).abs() + (gradient[1] - y).abs())


def _largest_nearby(x: Tensor, reach: int) -> Tensor:
    x = functional.max_pool2d(x, (reach, 1), 1, (reach // 2, 0))
    return functional.max_pool2d(x, (1, reach), 1, (0, reach // 2))


def beyond_sources(a: Tensor, b: Tensor, fused: Tensor, *, reach: int = 5) -> Tensor:
    """Mean distance by which the result leaves the sources' range in a window of `reach` pixels."""
    high = torch.maximum(a, b)
    low = torch.minimum(a, b)
    high, low = _largest_nearby(high, reach), -_largest_nearby(-low, reach)
    return _pixels((fused - high).relu() + (low - fused).relu())


def surviving_clipping(a: Tensor, b: Tensor, fused: Tensor) -> Tensor:
    """How white or black the result is, on average, where one source is clipped and the other not.

    Clipped is within 5 levels of 255 of black or white. The other counts from 10 levels above black
    and 20 below white; the result is asked to be 13 levels from white, and from black 16 levels or
    as much as the other is.
    """
    level = 1 / 255
    fault, asked = torch.zeros_like(fused), torch.full_like(fused, 0.01)
    for source, other in ((a, b), (b, a)):
        white = (source >= 250 * level) & (other <= 235 * level)
        black = (source <= 5 * level) & (other >= 10 * level)
        fault = (
            fault
            + white * (fused - 242 * level).relu()
            + black * (other.clamp_max(16 * level) - fused).relu()
        )
        asked = asked + white + black
    return _pixels(fault) / _pixels(asked)


def lost_detail(a: Tensor, b: Tensor, fused: Tensor) -> Tensor:
    """How unlike the result's detail is to that of one source where the other is clipped, (N,).

    One less the correlation of details finer than 11 pixels, of pixels where the unclipped source has some; a
    mean over both sources, 0 where none is clipped.
    """
    level = 1 / 255
    fine_fused = fused - blur(fused, 11)
    total, sides = fused.new_zeros(len(fused)), fused.new_zeros(len(fused))
    for source, other in ((a, b), (b, a)):
        mean = blur(other, 7)
        lively = blur(other * other, 7) - mean**2 > (5 * level) ** 2
        clipped = (source >= 250 * level) | (source <= 5 * level)
        lost = clipped & lively & (other >= 10 * level) & (other <= 230 * level)
        some = _pixels(lost.to(fused.dtype)) > 0.01
        fine = (other - blur(other, 11)) * lost
        norm = torch.sqrt(_pixels(fine**2) * _pixels(fine_fused**2 * lost) + 1e-10)
        total = total + (1 - _pixels(fine * fine_fused) / norm) * some
        sides = sides + some
    return total / sides.clamp_min(1)


def invented_detail(a: Tensor, b: Tensor, fused: Tensor, *, reach: int = 5) -> Tensor:
    """Mean bend of the result beyond the strongest of the sources in a window of `reach` pixels.

    Bends are second differences along rows and columns: a seam between windows is one.
    """
    total = fused.new_zeros(len(fused))
    for axis in (2, 3):
        of_a, of_b, of_fused = (x.diff(2, axis).abs() for x in (a, b, fused))
        allowed = _largest_nearby(torch.maximum(of_a, of_b), reach)
        total = total + _pixels((of_fused - 1.5 * allowed).relu())
    return total


def blur(x: Tensor, side: int) -> Tensor:
    """Box mean with a border that counts only pixels of the plane."""
    for kernel, border in (((side, 1), (side // 2, 0)), ((1, side), (0, side // 2))):
        x = functional.avg_pool2d(x, kernel, 1, border, count_include_pad=False)
    return x


def salient_intensity(a: Tensor, b: Tensor, *, window: int = 11) -> Tensor:
    """Local mean intensity of the sources, each weighted by its saliency.

    Saliency is the local standard deviation plus the distance from the plane's mean: a warm person
    on a cold street, a tracer's hot spot, but not the bright flat sky of an over-exposed picture.
    """
    weights = []
    for x in (a, b):
        mean = blur(x, window)
        deviation = (blur(x * x, window) - mean**2).clamp_min(0).sqrt()
        weights.append(deviation + (mean - x.mean((1, 2, 3), keepdim=True)).abs() + 1e-3)
    return (weights[0] * blur(a, window) + weights[1] * blur(b, window)) / (weights[0] + weights[1])


def information(x: Tensor) -> Tensor:
    """Multi-scale gradient energy: the mean of a squared Laplacian-like filter at five depths.

    The filter (centre −1, neighbours 1/8) is the paper's; planes at halving resolution stand in
    for a classifier's features.
    """
    kernel = torch.full((1, 1, 3, 3), 1 / 8, dtype=x.dtype, device=x.device)
    kernel[..., 1, 1] = -1
    total = x.new_zeros(len(x))
    for depth in range(5):
        if depth:
            x = functional.avg_pool2d(x, 2)
        padded = functional.pad(x, (1, 1, 1, 1), mode="replicate")
        total = total + _pixels(functional.conv2d(padded, kernel) ** 2)
    return total / 5 + _EPS
