"""The training loop: one run, described by a frozen dataclass, resumable to the bit.

Two recipes: ``"paper"``, the joint training as published (§ 3 of arXiv 2502.19854), and
``"faithful"``, which trains the path that inference takes with the losses of `faithful_losses`.
"""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import torch
from torch import Tensor

from napari_gifnet.models import load_model
from napari_gifnet.network import GIFNet
from napari_gifnet.network.attention import DIM

from . import fast_forward
from .densenet import DenseFeatures, load_classifier
from .progress_plot import draw_progress
from .recipes import dp_losses, faithful_losses, mm_losses
from .runs import TrainingRun, describe, export, read_runs, read_training_state
from .samples import Batch, Quadruple, make_batch, make_quadruple
from .scenes import Scenes, load_scenes
from .steps import Report, runs_to_go_on_with, take_steps, write_state


class Trainer:
    """A run in progress: network, optimiser, the step reached; from a checkpoint, if there is one."""

    def __init__(
        self,
        run: TrainingRun,
        scenes: Scenes,
        device: str = "cpu",
        checkpoint: Path | None = None,
    ) -> None:
        torch.manual_seed(run.seed)
        self.run, self.scenes, self.device = run, scenes, torch.device(device)
        self.network = GIFNet().to(self.device, memory_format=torch.channels_last)
        self.runs = [describe(run)]
        self.classifier: DenseFeatures | None = None
        if run.classifier:
            self.classifier = load_classifier(run.classifier).to(self.device)
        self.optimiser = torch.optim.Adam(self.network.parameters(), lr=run.stem_rate)
        self.step = 0
        if checkpoint:
            self.load(checkpoint)
        elif run.start:
            self.network.load_state_dict(load_model(run.start).network.state_dict())
            self.runs = [*read_runs(run.start), *self.runs]
        elif run.recipe == "faithful":
            with torch.no_grad():  # the interaction starts silent, and earns its say
                self.network.fusion.merge.weight[:, DIM:].zero_()

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
            features = fast_forward.encode(network, batch.a, batch.b)
            interacted = None if stem else fast_forward.interact(network, features)
            fused = fast_forward.decode(network, features, interacted)
            if not stem and self.step % 4 == 0:
                rebuilt = network.reconstruction(features.permute(0, 3, 1, 2))
                parts["reconstruction"] = (rebuilt.float() - batch.b).abs().mean()
        parts.update(faithful_losses(fused, batch, run.truth_alone))
        return {
            name: run.weights[name] * part for name, part in parts.items() if name in run.weights
        }

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
            "runs": json.dumps(self.runs),
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
        self.runs = runs_to_go_on_with(path, state, describe(self.run), "model")
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
    progress: Report | None = None,
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

    Raises
    ------
    ImageError
        There is nothing to train on, or the two sides of a pair differ in size.
    OptionError
        `output` holds a run with other options.
    """
    output = Path(output)
    checkpoint = output / "checkpoint.pt"
    photographs = [Path(p) for p in run.photographs]
    scenes = load_scenes(Path(run.pairs) if run.pairs else None, photographs)
    trainer = Trainer(run, scenes, device, checkpoint if checkpoint.is_file() else None)
    output.mkdir(parents=True, exist_ok=True)
    (output / "run.json").write_text(json.dumps(dataclasses.asdict(run), indent=2))
    fixed = make_batch((run.seed, FIXED), scenes, run.shares, 8, run.side)
    take_steps(
        trainer,
        output,
        MM_DP if run.recipe == "paper" else [*run.weights],
        save_every=save_every,
        stop_at=stop_at,
        progress=progress,
        saved=lambda: draw_progress(trainer.network, fixed, output),
    )
    if trainer.step == trainer.total:
        export(trainer.network, trainer.runs, output / "gifnet.safetensors")
    return checkpoint
