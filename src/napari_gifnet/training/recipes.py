"""The losses of the two recipes: of the published training, and of the faithful one."""

from __future__ import annotations

import torch
from torch import Tensor

from napari_gifnet.network import GIFNet
from napari_gifnet.pyramid import fuse_strongest

from . import losses
from .densenet import DenseFeatures
from .densenet import information as classified_information
from .samples import Batch, Quadruple


def faithful_losses(fused: Tensor, batch: Batch, truth_alone: bool = False) -> dict[str, Tensor]:
    """What the result should keep of its sources and, where there is a truth, of the truth.

    Returns named scalars, each a mean over the batch, in which samples that a term is not about count 0.
    With `truth_alone`, likeness to the sources counts only where there is no truth.
    """
    a, b = batch.clean_a, batch.clean_b
    known = batch.supervised.float()
    free = 1 - known
    kept = batch.faithful.float() * (free if truth_alone else 1)

    def mean(values: Tensor, which: Tensor) -> Tensor:
        return (values * which).sum() / len(which)

    similarity = (
        losses.structural_similarity(a, fused)[0] + losses.structural_similarity(b, fused)[0]
    ) / 2
    information = losses.visual_information(a, fused) + losses.visual_information(b, fused)
    target = losses.salient_intensity(a, b)
    plain = fuse_strongest(a, b, levels=4)
    differences = losses.correlation_of_differences(a, b, plain) - (
        losses.correlation_of_differences(a, b, fused)
    )
    dullness = 1 - losses.sharpness(fused) / losses.sharpness(plain)
    truth = batch.truth
    halos = torch.where(
        kept > 0,
        losses.beyond_sources(a, b, fused),
        losses.beyond_sources(truth, truth, fused),  # the sources are blurred or clipped
    )
    return {
        "edges": mean(1 - losses.gradient_transfer(a, b, fused), kept),
        "information": mean(2 - information, kept),
        "differences": mean(differences.relu(), kept * free),
        "sharpness": mean(dullness.relu(), kept),
        "structure": mean(1 - similarity, kept),
        "gradient": mean(losses.gradient_distance(losses.stronger_gradient(a, b), fused), free),
        "intensity": mean((losses.blur(fused, 11) - target).abs().mean((1, 2, 3)), free),
        "beyond": halos.mean(),
        "clipping": mean(losses.surviving_clipping(a, b, fused), ~batch.faithful * known),
        "invented": mean(losses.invented_detail(a, b, fused), kept * free),
        "truth": mean((fused - truth).abs().mean((1, 2, 3)), known),
        "truth_gradient": mean(losses.gradient_distance(losses.sobel(truth), fused), known),
        "truth_structure": mean(1 - losses.structural_similarity(truth, fused)[0], known),
        "truth_decibels": mean(losses.decibels(fused, truth), known),
    }


def source_shares(batch: Quadruple, classifier: DenseFeatures | None) -> Tensor:
    """How much of the loss each of infrared and visible gets, (2, 1) or (2, N); the sum is 1.

    With a classifier, as published: one pair a batch. Else by gradient energy, a pair a sample.
    """
    planes = (batch.infrared, batch.visible)
    if classifier is None:
        return torch.softmax(torch.stack([losses.information(p) for p in planes]).log(), dim=0)
    energies = torch.stack([classified_information(classifier, p) for p in planes])
    return torch.softmax(energies, dim=0)[:, None]


def mm_losses(
    network: GIFNet, batch: Quadruple, classifier: DenseFeatures | None = None
) -> dict[str, Tensor]:
    """The paper's multi-modal update: infrared and visible fused, the DP stream as a guide."""
    features = network.encoder(batch.infrared, batch.visible)
    with torch.no_grad():
        guide = network.encoder(batch.near, batch.far)
    fused = network.fusion(features, network.interaction(features, guide, "mm"))
    squares = torch.stack(
        [losses.squared_distance(fused, p) for p in (batch.infrared, batch.visible)]
    )
    return {
        "mm_fusion": (source_shares(batch, classifier) * squares).sum(0).mean(),
        "mm_reconstruction": reconstruction_loss(network, features, batch.visible),
    }


def dp_losses(network: GIFNet, batch: Quadruple) -> dict[str, Tensor]:
    """The paper's digital-photography update: near and far focus fused, the MM stream as a guide."""
    features = network.encoder(batch.near, batch.far)
    with torch.no_grad():
        guide = network.encoder(batch.infrared, batch.visible)
    fused = network.fusion(features, network.interaction(features, guide, "dp"))
    return {
        "dp_fusion": losses.squared_distance(fused, batch.visible).mean(),
        "dp_reconstruction": reconstruction_loss(network, features, batch.visible),
    }


def reconstruction_loss(network: GIFNet, features: Tensor, visible: Tensor) -> Tensor:
    """The shared task: the features of either pair give back the visible plane."""
    rebuilt = network.reconstruction(features)
    similarity = losses.multiscale_structural_similarity(rebuilt, visible)
    return (1 - similarity + losses.squared_distance(rebuilt, visible)).mean()
