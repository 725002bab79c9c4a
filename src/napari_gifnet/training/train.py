"""The training loop: one run, described by a frozen dataclass, resumable to the bit.

Two recipes: ``"paper"``, the joint training as published (§ 3 of arXiv 2502.19854), and
``"faithful"``, which trains the path that inference takes with the losses of `faithful_losses`.
"""

from __future__ import annotations

import csv
import dataclasses
import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from napari_gifnet.errors import CheckpointError, OptionError
from napari_gifnet.models import load_model, locate_weights
from napari_gifnet.network import GIFNet
from napari_gifnet.network.attention import DIM

from . import live, losses
from .classifier import SMALLEST_PLANE, DenseFeatures, load_classifier
from .classifier import information as classified_information
from .data import Batch, Quadruple, Scenes, load_scenes, make_batch, make_quadruple
from .picture import draw_progress


@dataclass(frozen=True)
class TrainingRun:
    """Everything that determines the weights a training ends with.

    Attributes
    ----------
    recipe : {"faithful", "paper"}
        The paper's has no stem and no shares: each step takes the infrared and visible patches of
        `batch` scenes, makes near and far focus of the visible ones, and makes two updates.
    pairs : str
        Folder of registered pairs (subfolders ``a`` and ``b``, same stems); empty for none.
    photographs : tuple of str
        Folders of photographs, from which pairs with a known truth are made.
    start : str
        Weights to begin with, as `load_model` takes them; empty for a random start.
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
    classifier : str
        Weights of DenseNet-121, with which the paper's recipe weighs the two sources; empty for their
        multi-scale gradient energy.
    precision : {"float32", "bfloat16"}
        Of the whole network's products and convolutions in the faithful recipe. Weights, losses and
        the last convolution stay float32. bfloat16 pays where a processor or a GPU has it fast.
    seed : int

    Raises
    ------
    OptionError
        A patch is too small for the losses, or a classifier is given to the faithful recipe.
    """

    recipe: Literal["faithful", "paper"] = "faithful"
    pairs: str = ""
    photographs: tuple[str, ...] = ()
    start: str = ""
    stem_steps: int = 2000
    stem_batch: int = 8
    stem_side: int = 72
    stem_rate: float = 2e-3
    steps: int = 4000
    batch: int = 4
    side: int = 96
    rate: float = 1e-3
    shares: Mapping[str, float] = field(
        default_factory=lambda: {
            "pair": 0.27,
            "made": 0.09,
            "focus": 0.24,
            "exposure": 0.20,
            "single": 0.15,
            "smooth": 0.05,
        }
    )
    weights: Mapping[str, float] = field(
        default_factory=lambda: {
            "edges": 8.0,
            "information": 5.0,
            "differences": 2.0,
            "sharpness": 5.0,
            "structure": 1.5,
            "gradient": 20.0,
            "intensity": 1.0,
            "beyond": 12.0,
            "clipping": 60.0,
            "invented": 30.0,
            "truth": 30.0,
            "truth_gradient": 25.0,
            "truth_structure": 1.0,
            "reconstruction": 0.1,
        }
    )
    classifier: str = ""
    precision: Literal["float32", "bfloat16"] = "float32"
    seed: int = 0

    def __post_init__(self) -> None:
        sides = (self.side,) if self.recipe == "paper" else (self.stem_side, self.side)
        smallest = 16 if self.recipe == "paper" else SMALLEST_PATCH
        if self.classifier:
            smallest = SMALLEST_PLANE
            if self.recipe != "paper":
                raise OptionError(
                    f"classifier={self.classifier!r} has no use in the recipe {self.recipe!r}: "
                    "expected the recipe 'paper', or no classifier."
                )
        if min(sides) < smallest:
            raise OptionError(
                f"Patches of {min(sides)} pixels are too small for the losses: "
                f"expected at least {smallest}."
            )


SMALLEST_PATCH = 48
"""Four scales of visual information need that many pixels."""


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
    halos = torch.where(
        batch.faithful,
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
        "clipping": mean(losses.surviving_clipping(a, b, fused), (1 - kept) * known),
        "invented": mean(losses.invented_detail(a, b, fused), kept * free),
        "truth": mean((fused - truth).abs().mean((1, 2, 3)), known),
        "truth_gradient": mean(losses.gradient_distance(losses.sobel(truth), fused), known),
        "truth_structure": mean(1 - losses.structural_similarity(truth, fused)[0], known),
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


class Trainer:
    """A run in progress: network, optimiser, the step reached."""

    def __init__(self, run: TrainingRun, scenes: Scenes, device: str = "cpu") -> None:
        torch.manual_seed(run.seed)
        self.run, self.scenes, self.device = run, scenes, torch.device(device)
        self.network = GIFNet().to(self.device, memory_format=torch.channels_last)
        if run.start:
            self.network.load_state_dict(load_model(run.start).network.state_dict())
        elif run.recipe == "faithful":
            with torch.no_grad():  # the interaction starts silent, and earns its say
                self.network.fusion.merge.weight[:, DIM:].zero_()
        self.classifier: DenseFeatures | None = None
        if run.classifier:
            self.classifier = load_classifier(run.classifier).to(self.device)
        self.optimiser = torch.optim.Adam(self.network.parameters(), lr=run.stem_rate)
        self.step = 0

    @property
    def total(self) -> int:
        """Steps of both stages together."""
        return self._stem_steps + self.run.steps

    @property
    def _stem_steps(self) -> int:
        return 0 if self.run.recipe == "paper" else self.run.stem_steps

    def learning_rate(self) -> float:
        """A short rise and a half cosine, in each stage; constant in the paper's recipe."""
        run, step = self.run, self.step
        if run.recipe == "paper":
            return run.rate
        stem = step < run.stem_steps
        step, steps = (step, run.stem_steps) if stem else (step - run.stem_steps, run.steps)
        rise = min(1.0, (step + 1) / 50)
        fall = 0.5 * (1 + math.cos(math.pi * step / steps))
        return (run.stem_rate if stem else run.rate) * rise * (0.03 + 0.97 * fall)

    def update(self) -> dict[str, float]:
        """Make one step; return its losses."""
        for group in self.optimiser.param_groups:
            group["lr"] = self.learning_rate()
        seed = (self.run.seed, self.step)
        if self.run.recipe == "paper":
            quadruple = make_quadruple(seed, self.scenes, self.run.batch, self.run.side)
            quadruple = Quadruple(*(t.to(self.device) for t in quadruple))
            parts = {
                **self._descend(mm_losses(self.network, quadruple, self.classifier)),
                **self._descend(dp_losses(self.network, quadruple)),
            }
        else:
            parts = self._descend(self._faithful_parts(seed), clip=1.0)
        self.step += 1
        return {"loss": sum(parts.values())} | parts

    def _faithful_parts(self, seed: tuple[int, int]) -> dict[str, Tensor]:
        run, network = self.run, self.network
        stem = self.step < run.stem_steps
        size, side = (run.stem_batch, run.stem_side) if stem else (run.batch, run.side)
        batch = make_batch(seed, self.scenes, run.shares, size, side)
        batch = Batch(*(t.to(self.device) for t in batch))
        parts: dict[str, Tensor] = {}
        reduced = run.precision == "bfloat16"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=reduced):
            features = live.encode(network, batch.a, batch.b)
            interacted = None if stem else live.interact(network, features)
            fused = live.decode(network, features, interacted)
            if not stem and self.step % 4 == 0:
                rebuilt = network.reconstruction(features.permute(0, 3, 1, 2))
                parts["reconstruction"] = (rebuilt.float() - batch.b).abs().mean()
        parts.update(faithful_losses(fused, batch))
        return {name: run.weights[name] * value for name, value in parts.items()}

    def _descend(self, parts: dict[str, Tensor], clip: float | None = None) -> dict[str, float]:
        """Make one update on the sum of the losses. What has no gradient does not move."""
        self.optimiser.zero_grad(set_to_none=True)
        torch.stack(list(parts.values())).sum().backward()
        if clip is not None:
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), clip)
        self.optimiser.step()
        return {name: value.item() for name, value in parts.items()}

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


FIXED = 1 << 31
"""The step whose batch is drawn as the run goes on; no run gets there."""

MM_DP = ["mm_fusion", "mm_reconstruction", "dp_fusion", "dp_reconstruction"]


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
        Folder for ``checkpoint.pt``, ``losses.csv``, ``run.json`` and ``progress.png``, in the end
        ``gifnet.safetensors``. If it holds a checkpoint, training goes on from there.
    device : str
    save_every : int
        Steps between two checkpoints.
    stop_at : int, optional
        Step to stop at, for now; the schedule is still that of the whole run.
    progress : callable, optional
        Called as ``progress(step, steps, losses)`` after each step; what it raises stops the run.

    Returns
    -------
    Path
        Of the checkpoint, which `load_model` takes as it is.
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
    fixed = make_batch((run.seed, FIXED), scenes, run.shares, 8, run.side)
    start, end = time.perf_counter(), stop_at or trainer.total
    with (output / "losses.csv").open("a", newline="") as file:
        table: csv.DictWriter | None = None
        while trainer.step < end:
            parts = trainer.update()
            if table is None:
                names = MM_DP if run.recipe == "paper" else [*run.weights]
                table = csv.DictWriter(file, ["step", "seconds", "loss", *names], restval="")
                if file.tell() == 0:
                    table.writeheader()
            row = {"step": trainer.step, "seconds": round(time.perf_counter() - start, 2)}
            table.writerow(row | {k: round(v, 5) for k, v in parts.items()})
            if progress:
                progress(trainer.step, trainer.total, parts)
            if trainer.step % save_every == 0 or trainer.step == end:
                file.flush()
                trainer.save(checkpoint)
                draw_progress(trainer.network, fixed, output)
    if trainer.step == trainer.total:
        export(trainer.network, run, output / "gifnet.safetensors")
    return checkpoint


def export(network: GIFNet, run: TrainingRun, path: Path) -> None:
    """Write the weights alone, float32, with what made them in the file's metadata, as ``runs``.

    The last is this run; the others are those it is the continuation of. Of folders the names are
    kept, not where they lay.
    """
    from safetensors.torch import save_file

    before = _described_runs(locate_weights(run.start)) if run.start else []
    run = dataclasses.replace(
        run,
        pairs=Path(run.pairs).name,
        start=Path(run.start).name,
        classifier=Path(run.classifier).name,
        photographs=tuple(Path(folder).name for folder in run.photographs),
    )
    state = {name: tensor.contiguous().cpu() for name, tensor in network.state_dict().items()}
    save_file(state, path, metadata={"runs": json.dumps([*before, dataclasses.asdict(run)])})


def read_run(model: str | Path) -> TrainingRun:
    """Return the run that made some weights, as `export` wrote it into their file.

    Parameters
    ----------
    model : str or Path
        A model's name, or the path of a file of weights.

    Raises
    ------
    CheckpointError
        The file does not say, or describes a run of another version.
    """
    path = locate_weights(model)
    runs = _described_runs(path)
    if not runs:
        raise CheckpointError(
            f"{path} does not say how it was trained: expected the gifnet.safetensors of a "
            "run of `gifnet train`."
        )
    unknown = sorted(set(runs[-1]) - {f.name for f in dataclasses.fields(TrainingRun)})
    if unknown:
        raise CheckpointError(
            f"{path} was trained with the option {unknown[0]!r}, which this version does not have: "
            "expected a run of this version, or install the newer one."
        )
    return TrainingRun(**runs[-1] | {"photographs": tuple(runs[-1].get("photographs", ()))})


def _described_runs(path: Path) -> list[dict[str, Any]]:
    """What a safetensors file says of how it was made; nothing, if it is of another kind."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
    except SafetensorError:
        return []
    if "runs" in metadata:
        return json.loads(metadata["runs"])
    return [json.loads(metadata["run"])] if "run" in metadata else []  # the first weights' files
