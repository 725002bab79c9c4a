"""The training of the band network: what a run is, and its loop; resumable to the bit."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from napari_gifnet.errors import CheckpointError
from napari_gifnet.network.bands import GIFNetBands

from .band_losses import band_losses
from .band_samples import BandBatch, Habits, make_batches
from .runs import read_runs, read_training_state
from .scenes import Scenes, load_scenes
from .steps import Report, runs_to_go_on_with, take_steps, write_state


@dataclass(frozen=True)
class BandRun:
    """Everything that determines the weights a training of the band network ends with.

    Attributes
    ----------
    pairs : str
        Folder of registered pairs (subfolders ``a`` and ``b``, same names); empty for none.
    photographs : tuple of str
        Folders of photographs, from which samples with a known truth are made.
    steps, side : int
        Updates; side of the patches in pixels.
    wide_side : int
        Side of the patches of every fourth update, which has as much fewer of them.
    pairs_a_step, stack_planes, singles : int
        What an update learns from: samples of two planes, planes of stacks together, single pictures.
    rate : float
        Adam's highest learning rate; after a short rise it falls by a half cosine.
    last_part : float
        Share of the steps that end the run with `last_rate`, which falls anew, and with what
        `last_shares`, `last_weights` and `last_habits` name in place of `shares`, `weights` and `habits`.
    memory : float
        Share of the averaged weights, which are those that are kept, that a step leaves as they are.
    shares : mapping
        How often each kind of sample of two planes is drawn.
    weights : mapping
        Weight of each term of `band_losses`.
    habits : mapping
        Fields of `Habits`, how samples are made.
    seed : int
    """

    pairs: str = ""
    photographs: tuple[str, ...] = ()
    steps: int = 9000
    side: int = 96
    wide_side: int = 160
    pairs_a_step: int = 8
    stack_planes: int = 12
    singles: int = 1
    rate: float = 2e-3
    last_part: float = 2 / 9
    last_rate: float = 7e-4
    memory: float = 0.997
    shares: Mapping[str, float] = field(
        default_factory=lambda: {
            "infrared": 0.21,
            "made": 0.04,
            "head": 0.19,
            "focus": 0.3,
            "exposure": 0.235,
            "plain": 0.025,
        }
    )
    weights: Mapping[str, float] = field(
        default_factory=lambda: {
            "truth": 20.0,
            "truth_gradient": 20.0,
            "truth_structure": 1.0,
            "truth_decibels": 1.0,
            "truth_beyond": 20.0,
            "clipping": 150.0,
            "lost_detail": 3.0,
            "selection": 0.6,
            "index": 2.0,
            "edges": 9.5,
            "information": 7.5,
            "differences": 7.0,
            "sharpness": 5.0,
            "structure": 1.5,
            "gradient": 10.0,
            "intensity": 1.0,
            "relief": 20.0,
            "beyond": 24.0,
            "invented": 30.0,
        }
    )
    last_shares: Mapping[str, float] = field(
        default_factory=lambda: {
            "infrared": 0.22,
            "made": 0.03,
            "head": 0.31,
            "focus": 0.09,
            "exposure": 0.33,
            "plain": 0.02,
        }
    )
    last_weights: Mapping[str, float] = field(
        default_factory=lambda: {
            "clipping": 600.0,
            "lost_detail": 10.0,
            "edges": 13.0,
            "differences": 5.0,
            "relief": 26.0,
            "beyond": 96.0,
        }
    )
    habits: Mapping[str, float] = field(default_factory=Habits()._asdict)
    last_habits: Mapping[str, float] = field(
        default_factory=lambda: {"named": 0.25, "wide": 0.45, "crushed": 0.4, "crush": 0.18}
    )
    seed: int = 0

    @property
    def first_steps(self) -> int:
        """Steps before the last part."""
        return self.steps - round(self.last_part * self.steps)

    def shares_at(self, step: int) -> Mapping[str, float]:
        """How often each kind of sample of two planes is drawn at a step."""
        return self.shares if step < self.first_steps else {**self.shares, **self.last_shares}

    def weights_at(self, step: int) -> Mapping[str, float]:
        """Weight of each term of `band_losses` at a step."""
        return self.weights if step < self.first_steps else {**self.weights, **self.last_weights}

    def habits_at(self, step: int) -> Habits:
        """How samples are made at a step."""
        own = Habits(**self.habits)
        return own if step < self.first_steps else own._replace(**self.last_habits)


class BandTrainer:
    """A run in progress."""

    def __init__(self, run: BandRun, scenes: Scenes, device: str = "cpu") -> None:
        torch.manual_seed(run.seed)
        self.run, self.scenes, self.step, self.device = run, scenes, 0, torch.device(device)
        self.network = GIFNetBands().to(self.device, memory_format=torch.channels_last)
        self.average = {k: v.clone() for k, v in self.network.state_dict().items()}
        self.optimiser = torch.optim.Adam(self.network.parameters(), lr=run.rate, betas=(0.9, 0.98))

    @property
    def total(self) -> int:
        """Steps of the run."""
        return self.run.steps

    def learning_rate(self) -> float:
        """A short rise and a half cosine, and for the last part another one."""
        run, first = self.run, self.run.first_steps
        if self.step < first:
            rate = run.rate * min(1.0, (self.step + 1) / 100)
            share = self.step / first
        else:
            rate, share = run.last_rate, (self.step - first) / (run.steps - first)
        return rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * share)))

    def update(self) -> dict[str, float]:
        """Make one step; return its losses."""
        run = self.run
        for group in self.optimiser.param_groups:
            group["lr"] = self.learning_rate()
        wide = self.step % 4 == 3
        fewer = (run.side / run.wide_side) ** 2 if wide else 1.0
        batches = make_batches(
            (run.seed, self.step),
            self.scenes,
            run.wide_side if wide else run.side,
            pairs=round(run.pairs_a_step * fewer),
            shares=run.shares_at(self.step),
            stack_planes=round(run.stack_planes * fewer),
            singles=round(run.singles * fewer),
            habits=run.habits_at(self.step),
        )
        count = sum(len(batch.planes) for batch in batches)
        self.optimiser.zero_grad(set_to_none=True)
        parts: dict[str, float] = {}
        weights = run.weights_at(self.step)
        for made in batches:
            batch = BandBatch(*(t.to(self.device) for t in made))
            terms = band_losses(self.network(batch.planes, batch.task), batch)
            weighed = {k: v * (weights[k] / count) for k, v in terms.items() if weights.get(k)}
            torch.stack(list(weighed.values())).sum().backward()
            for name, value in weighed.items():
                parts[name] = parts.get(name, 0.0) + value.item()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimiser.step()
        self.step += 1
        memory = min(run.memory, self.step / (self.step + 10))
        with torch.no_grad():
            for name, value in self.network.state_dict().items():
                self.average[name].lerp_(value, 1 - memory)
        return {"loss": sum(parts.values())} | parts

    def save(self, path: Path) -> None:
        """Write weights, optimiser and description, all that `load` needs, in one move."""
        state = {
            "model": self.average,
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "runs": json.dumps([describe_bands(self.run)]),
        }
        write_state(path, state)

    def load(self, path: Path) -> None:
        """Go on from where `save` left off.

        Raises
        ------
        OptionError
            The checkpoint is of a run with other options, or of none that can go on.
        """
        state = read_training_state(path)
        runs_to_go_on_with(path, state, describe_bands(self.run), "network")
        self.network.load_state_dict(state["network"])
        self.average = dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step = state["step"]


def describe_bands(run: BandRun) -> dict[str, Any]:
    """Return a run as JSON holds it; of folders the names, not where they lay."""
    named = dataclasses.replace(
        run,
        pairs=Path(run.pairs).resolve().name if run.pairs else "",
        photographs=tuple(Path(p).resolve().name for p in run.photographs),
    )
    return {"model": "gifnet-bands"} | json.loads(json.dumps(dataclasses.asdict(named)))


def read_band_run(model: str | Path) -> BandRun:
    """Return the run that made some weights of the band network.

    Raises
    ------
    CheckpointError
        The file does not say, or describes a run of another network or version.
    """
    described = dict((read_runs(model) or [{}])[-1])
    known = {f.name for f in dataclasses.fields(BandRun)}
    if described.pop("model", "") != "gifnet-bands" or not set(described) <= known:
        raise CheckpointError(
            f"{model} does not say how it was trained as gifnet-bands: expected weights that "
            "`gifnet train --model gifnet-bands` of this version wrote."
        )
    return BandRun(**described | {"photographs": tuple(described.get("photographs", ()))})


def export_bands(weights: Mapping[str, torch.Tensor], run: BandRun, path: Path) -> None:
    """Write the weights alone, float32, with the network's name and the run in the file's metadata."""
    from safetensors.torch import save_file

    state = {name: tensor.contiguous().cpu() for name, tensor in weights.items()}
    metadata = {"model": "gifnet-bands", "runs": json.dumps([describe_bands(run)])}
    save_file(state, path, metadata=metadata)


def train_bands(
    run: BandRun,
    output: str | Path,
    *,
    device: str = "cpu",
    save_every: int = 200,
    stop_at: int | None = None,
    progress: Report | None = None,
) -> Path:
    """Train the band network, or go on with a run that was interrupted.

    Parameters
    ----------
    run : BandRun
    output : str or Path
        Folder for ``checkpoint.pt``, ``losses.csv`` and ``run.json``, in the end
        ``gifnet-bands.safetensors``. If it holds a checkpoint, training goes on from there.
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
        Of the checkpoint.

    Raises
    ------
    ImageError
        There is nothing to train on, or the two sides of a pair differ in size.
    OptionError
        `output` holds a run with other options.
    """
    output = Path(output)
    checkpoint = output / "checkpoint.pt"
    scenes = load_scenes(Path(run.pairs) if run.pairs else None, [Path(p) for p in run.photographs])
    trainer = BandTrainer(run, scenes, device)
    if checkpoint.is_file():
        trainer.load(checkpoint)
    output.mkdir(parents=True, exist_ok=True)
    (output / "run.json").write_text(json.dumps(describe_bands(run), indent=2))
    take_steps(
        trainer,
        output,
        [*run.weights],
        save_every=save_every,
        stop_at=stop_at,
        progress=progress,
    )
    if trainer.step == trainer.total:
        export_bands(trainer.average, run, output / "gifnet-bands.safetensors")
    return checkpoint
