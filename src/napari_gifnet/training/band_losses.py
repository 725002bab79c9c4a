"""What the band network's result should keep: of the truth where there is one, else of its planes."""

from __future__ import annotations

from itertools import combinations

import torch
from torch import Tensor
from torch.nn import functional

from napari_gifnet.network.bands import Fused
from napari_gifnet.pyramid import fuse_strongest

from . import losses
from .band_samples import BandBatch


def band_losses(fused: Fused, batch: BandBatch) -> dict[str, Tensor]:
    """Return named scalars, each summed over the samples that it is about.

    A sample with a truth is judged by the truth alone, one without by likeness to its planes, two by two.
    """
    known = batch.supervised
    terms: dict[str, Tensor] = {}
    if known.any():
        of = Fused(*(x[known] for x in fused))
        terms |= truth_losses(of, BandBatch(*(x[known] for x in batch)))
    if not known.all():
        free = ~known
        terms |= likeness_losses(fused.plane[free], batch.clean[free])
    return terms


def truth_losses(fused: Fused, batch: BandBatch) -> dict[str, Tensor]:
    """Distance to the truth; of exposures also what stays clipped, of stacks where a pixel comes from."""
    plane, truth = fused.plane, batch.truth
    terms = {
        "truth": (plane - truth).abs().mean((1, 2, 3)).sum(),
        "truth_gradient": losses.gradient_distance(losses.sobel(truth), plane).sum(),
        "truth_structure": (1 - losses.structural_similarity(truth, plane)[0]).sum(),
        "truth_decibels": losses.decibels(plane, truth).sum(),
        "truth_beyond": losses.beyond_sources(truth, truth, plane).sum(),
    }
    if batch.planes.shape[1] > 1:
        terms["selection"] = losses.decibels(fused.selected, truth).sum()
    exposures = batch.exposures
    if exposures.any():
        darkest, brightest = batch.planes.amin(1, keepdim=True), batch.planes.amax(1, keepdim=True)
        clipped = losses.surviving_clipping(brightest, darkest, plane)
        terms["clipping"] = (clipped * exposures).sum()
        missing = losses.lost_detail(brightest, darkest, plane)
        terms["lost_detail"] = (missing * exposures).sum()
    placed = batch.placed
    if placed.any():
        count = batch.planes.shape[1]
        truth, places = truth[placed], batch.places[placed]
        detail = losses.blur((truth - losses.blur(truth, 5)).abs(), 5)
        told = detail / (detail + 4 / 255)
        away = (fused.places[placed] - places).abs()
        terms["index"] = (told * away / max(1.0, (count - 1) / 3)).mean((1, 2, 3)).sum()
    return terms


def likeness_losses(fused: Tensor, planes: Tensor) -> dict[str, Tensor]:
    """Edges, visual information and structure of the planes (N, P, S, S); no less than a pyramid gives."""
    total: dict[str, Tensor] = {}
    pairs = list(combinations(range(planes.shape[1]), 2))
    for i, j in pairs:
        for name, value in _of_pair(fused, planes[:, i : i + 1], planes[:, j : j + 1]).items():
            value = value.sum() / len(pairs)
            total[name] = total[name] + value if name in total else value
    high = planes.amax(1, keepdim=True)
    low = planes.amin(1, keepdim=True)
    total["beyond"] = losses.beyond_sources(low, high, fused).sum()
    total["invented"] = losses.invented_detail(low, high, fused).sum()
    return total


def _of_pair(fused: Tensor, a: Tensor, b: Tensor) -> dict[str, Tensor]:
    """Each (N,)."""
    n = len(a)
    both, twice = torch.cat((a, b)), torch.cat((fused, fused))
    similarity = losses.structural_similarity(both, twice)[0]
    information = losses.visual_information(both, twice)
    plain = fuse_strongest(a, b)
    differences = losses.correlation_of_differences(a, b, plain) - (
        losses.correlation_of_differences(a, b, fused)
    )
    dullness = 0.98 - losses.sharpness(fused) / losses.sharpness(plain)
    target = losses.salient_intensity(a, b)
    return {
        "edges": 1 - losses.gradient_transfer(a, b, fused),
        "information": 2 - information[:n] - information[n:],
        "differences": (differences + 0.03).relu(),
        "sharpness": dullness.relu(),
        "structure": 1 - (similarity[:n] + similarity[n:]) / 2,
        "gradient": losses.gradient_distance(losses.stronger_gradient(a, b), fused),
        "intensity": (losses.blur(fused, 11) - target).abs().mean((1, 2, 3)),
        "relief": missing_relief(a, b, fused),
    }


def missing_relief(a: Tensor, b: Tensor, fused: Tensor) -> Tensor:
    """Which share of the plain mean's contrast between regions of some 10 to 50 pixels is lost, (N,).

    A fifth may be lost. So a region of low uptake stands out from its surroundings even where the other
    plane is brighter, and a dim plane is not drowned.
    """

    def relief(x: Tensor) -> Tensor:
        x = functional.avg_pool2d(x, 4)
        return losses.blur(x, 3) - losses.blur(x, 13)

    wanted = relief((a + b) / 2)
    missing = (0.8 * wanted.abs() - wanted.sign() * relief(fused)).relu()
    return missing.mean((1, 2, 3)) / (wanted.abs().mean((1, 2, 3)) + 0.002)
