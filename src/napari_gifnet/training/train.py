"""The training loop: one run, described by a frozen dataclass, resumable to the bit."""

from __future__ import annotations

import csv
import dataclasses
import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from napari_gifnet.network import GIFNet

from . import losses
from .data import Batch, Scenes, load_scenes, make_batch


@dataclass(frozen=True)
class TrainingRun:
    """Everything that determines the weights a training ends with.

    Attributes
    ----------
    pairs : str
        Folder of registered pairs (subfolders ``a`` and ``b``, same stems); empty for none.
    photographs : tuple of str
        Folders of photographs, from which pairs with a known truth are made.
    stem_steps, stem_batch, stem_side : int
        First the encoder and the fusion decoder learn alone, with the interaction's share set to
        zero: five times cheaper a pixel.
    steps, batch, side : int
        Then the whole network: updates, samples an update, side of the patches in pixels.
    stem_rate, rate : float
        Adam's highest learning rates; both fall by a half cosine.
    shares : mapping
        How often each kind of sample of `training.data` is drawn.
    weights : mapping
        Weight of each term of `faithful_losses`.
    seed : int
    """

    pairs: str = ""
    photographs: tuple[str, ...] = ()
    stem_steps: int = 2000
    stem_batch: int = 8
    stem_side: int = 72
    stem_rate: float = 2e-3
    steps: int = 1500
    batch: int = 6
    side: int = 96
    rate: float = 6e-4
    shares: Mapping[str, float] = field(
        default_factory=lambda: {
            "pair": 0.35,
            "made": 0.15,
            "focus": 0.28,
            "exposure": 0.12,
            "single": 0.10,
        }
    )
    weights: Mapping[str, float] = field(
        default_factory=lambda: {
            "edges": 3.0,
            "information": 1.2,
            "differences": 1.0,
            "sharpness": 1.0,
            "structure": 0.4,
            "gradient": 3.0,
            "intensity": 1.5,
            "beyond": 8.0,
            "truth": 12.0,
            "truth_gradient": 12.0,
            "truth_structure": 1.0,
            "reconstruction": 0.1,
        }
    )
    seed: int = 0


def faithful_losses(fused: Tensor, batch: Batch) -> dict[str, Tensor]:
    """What the result should keep of its sources and, where there is a truth, of the truth.

    Returns named scalars, each a mean over the samples that the term is about.
    """
    a, b = batch.clean_a, batch.clean_b
    kept = batch.faithful.float()
    known = batch.supervised.float()
    free = 1 - known

    def mean(values: Tensor, which: Tensor) -> Tensor:
        return (values * which).sum() / len(which)

    similarity = (
        losses.structural_similarity(a, fused)[0] + losses.structural_similarity(b, fused)[0]
    ) / 2
    information = losses.visual_information(a, fused) + losses.visual_information(b, fused)
    target = losses.salient_intensity(a, b)
    plain = losses.laplacian_fusion(a, b)
    differences = losses.correlation_of_differences(a, b, plain) - (
        losses.correlation_of_differences(a, b, fused)
    )
    dullness = 1 - losses.sharpness(fused) / losses.sharpness(plain)
    truth = batch.truth
    return {
        "edges": mean(1 - losses.gradient_transfer(a, b, fused), kept),
        "information": mean(2 - information, kept),
        "differences": mean(differences.relu(), kept),
        "sharpness": mean(dullness.relu(), kept),
        "structure": mean(1 - similarity, kept),
        "gradient": mean(losses.gradient_distance(losses.stronger_gradient(a, b), fused), free),
        "intensity": mean((losses.blur(fused, 11) - target).abs().mean((1, 2, 3)), free),
        "beyond": mean(losses.beyond_sources(a, b, fused), kept),
        "truth": mean((fused - truth).abs().mean((1, 2, 3)), known),
        "truth_gradient": mean(losses.gradient_distance(losses.sobel(truth), fused), known),
        "truth_structure": mean(1 - losses.structural_similarity(truth, fused)[0], known),
    }


def fuse_without_interaction(network: GIFNet, a: Tensor, b: Tensor) -> Tensor:
    """Encoder and fusion decoder alone, the interaction's features taken as zero."""
    fusion = network.fusion
    features = network.encoder(a, b)
    x = functional.conv2d(features, fusion.merge.weight[:, : features.shape[1]]).relu()
    first, *rest, last = fusion.decoder.convs
    # the 1×1 expansion folds into the 3×3 convolution behind it
    kernel = torch.einsum("omij,mc->ocij", first.weight, fusion.expand.weight[:, :, 0, 0])
    x = functional.conv2d(functional.pad(x, (1, 1, 1, 1), mode="reflect"), kernel, first.bias)
    for conv in rest:
        x = conv(x.relu())
    return last(x.relu()).tanh() / 2 + 0.5


class Trainer:
    """A run in progress: network, optimiser, the step reached."""

    def __init__(self, run: TrainingRun, scenes: Scenes, device: str = "cpu") -> None:
        torch.manual_seed(run.seed)
        self.run, self.scenes, self.device = run, scenes, torch.device(device)
        self.network = GIFNet().to(self.device, memory_format=torch.channels_last)
        with torch.no_grad():  # the interaction starts silent, and earns its say
            self.network.fusion.merge.weight[:, 98:].zero_()
        self.optimiser = torch.optim.Adam(self.network.parameters(), lr=run.stem_rate)
        self.step = 0

    @property
    def total(self) -> int:
        """Updates of both stages together."""
        return self.run.stem_steps + self.run.steps

    def learning_rate(self) -> float:
        """A short rise and a half cosine, in each stage."""
        run, step = self.run, self.step
        stem = step < run.stem_steps
        step, steps = (step, run.stem_steps) if stem else (step - run.stem_steps, run.steps)
        rise = min(1.0, (step + 1) / 50)
        fall = 0.5 * (1 + math.cos(math.pi * step / steps))
        return (run.stem_rate if stem else run.rate) * rise * (0.03 + 0.97 * fall)

    def update(self) -> dict[str, float]:
        """Make one update; return its losses."""
        run = self.run
        stem = self.step < run.stem_steps
        size, side = (run.stem_batch, run.stem_side) if stem else (run.batch, run.side)
        batch = make_batch((run.seed, self.step), self.scenes, dict(run.shares), size, side)
        batch = Batch(*(t.to(self.device) for t in batch))
        for group in self.optimiser.param_groups:
            group["lr"] = self.learning_rate()

        network = self.network
        parts: dict[str, Tensor] = {}
        if stem:
            fused = fuse_without_interaction(network, batch.a, batch.b)
        else:
            features = network.encoder(batch.a, batch.b)
            interacted = network.interaction(features, features, "dp", teach_auxiliary=True)
            fused = network.fusion(features, interacted)
            if self.step % 4 == 0:
                rebuilt = network.reconstruction(features)
                parts["reconstruction"] = (rebuilt - batch.b).abs().mean()
        parts.update(faithful_losses(fused, batch))
        loss = sum(
            (run.weights[name] * value for name, value in parts.items()), fused.new_zeros(())
        )
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        if torch.isfinite(norm):
            self.optimiser.step()
        self.step += 1
        return {"loss": loss.item()} | {name: value.item() for name, value in parts.items()}

    def save(self, path: Path) -> None:
        """Write weights, optimiser and description, all that `load` needs, in one move."""
        state = {
            "model": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "run": json.dumps(dataclasses.asdict(self.run)),
        }
        half_made = path.with_suffix(".part")
        torch.save(state, half_made)
        half_made.replace(path)

    def load(self, path: Path) -> None:
        """Go on from where `save` left off."""
        state = torch.load(path, map_location=self.device, weights_only=True)
        self.network.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step = state["step"]


def train(
    run: TrainingRun,
    output: str | Path,
    *,
    device: str = "cpu",
    save_every: int = 200,
    stop_at: int | None = None,
    progress: Callable[[int, int, dict[str, float]], None] | None = None,
) -> Path:
    """Train a network, or go on with a run that was interrupted.

    Parameters
    ----------
    run : TrainingRun
    output : str or Path
        Folder for ``checkpoint.pt``, ``losses.csv`` and ``run.json``. If it holds a checkpoint of
        the same run, training goes on from there.
    """
    output = Path(output)
    output.mkdir(parents=True, exist_ok=True)
    photographs = [Path(p) for p in run.photographs]
    scenes = load_scenes(Path(run.pairs) if run.pairs else None, photographs)
    trainer = Trainer(run, scenes, device)
    checkpoint = output / "checkpoint.pt"
    if checkpoint.is_file():
        trainer.load(checkpoint)
    (output / "run.json").write_text(json.dumps(dataclasses.asdict(run), indent=2))
    names = ["loss", *run.weights]
    with (output / "losses.csv").open("a", newline="") as file:
        table = csv.DictWriter(file, ["step", "seconds", *names], restval="")
        start = time.perf_counter()
        while trainer.step < (stop_at or trainer.total):
            parts = trainer.update()
            row = {"step": trainer.step, "seconds": round(time.perf_counter() - start, 2)}
            table.writerow(row | {k: round(v, 5) for k, v in parts.items()})
            if progress:
                progress(trainer.step, trainer.total, parts)
            if trainer.step % save_every == 0 or trainer.step == trainer.total:
                file.flush()
                trainer.save(checkpoint)
    return checkpoint
