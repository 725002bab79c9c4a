"""What determines a training run, and how the weights it made tell of it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from napari_gifnet.checkpoints import read_checkpoint
from napari_gifnet.errors import CheckpointError, OptionError
from napari_gifnet.models import locate_weights
from napari_gifnet.network import GIFNet

from .densenet import SMALLEST_PLANE


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
        How often each kind of sample of `training.samples` is drawn; never, if it is not named.
    weights : mapping
        Weight of each term of `faithful_losses`; none, if it is not named.
    truth_alone : bool
        Whether a sample with a truth is judged by the truth alone; otherwise likeness to its two inputs
        counts as well.
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
        A recipe or a precision is unknown, a patch is too small for the losses, or a classifier is
        given to the faithful recipe.
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
            "pair": 0.22,
            "made": 0.08,
            "focus": 0.22,
            "exposure": 0.20,
            "single": 0.23,
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
            "beyond": 24.0,
            "clipping": 120.0,
            "invented": 30.0,
            "truth": 30.0,
            "truth_gradient": 25.0,
            "truth_structure": 1.0,
            "reconstruction": 0.1,
        }
    )
    truth_alone: bool = False
    classifier: str = ""
    precision: Literal["float32", "bfloat16"] = "float32"
    seed: int = 0

    def __post_init__(self) -> None:
        for name, known in (
            ("recipe", ("faithful", "paper")),
            ("precision", ("float32", "bfloat16")),
        ):
            if getattr(self, name) not in known:
                raise OptionError(
                    f"{name}={getattr(self, name)!r} is unknown: expected {known[0]!r} or {known[1]!r}."
                )
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


def describe(run: TrainingRun) -> dict[str, Any]:
    """Return a run as JSON holds it; of folders and files the names, not where they lay."""

    def name(path: str) -> str:
        return Path(path).resolve().name if path else ""

    named = dataclasses.replace(
        run,
        pairs=name(run.pairs),
        start=name(run.start),
        classifier=name(run.classifier),
        photographs=tuple(map(name, run.photographs)),
    )
    return json.loads(json.dumps(dataclasses.asdict(named)))


def export(network: GIFNet, runs: list[dict[str, Any]], path: Path) -> None:
    """Write the weights alone, float32, with what made them in the file's metadata, as ``runs``.

    Each of the runs, as `describe` tells of it, went on from the weights of the one before.
    """
    from safetensors.torch import save_file

    state = {name: tensor.contiguous().cpu() for name, tensor in network.state_dict().items()}
    save_file(state, path, metadata={"runs": json.dumps(runs)})


def read_runs(model: str | Path) -> list[dict[str, Any]]:
    """Return the runs that made some weights, as their file tells; none if it does not.

    Parameters
    ----------
    model : str or Path
        A model's name, or the path of a checkpoint.
    """
    path = locate_weights(model)
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, "pt") as file:
                metadata = file.metadata() or {}
        except SafetensorError:
            return []
        # the first weights that shipped tell of their last run alone, as "run"
        text = metadata.get("runs", f"[{metadata['run']}]" if "run" in metadata else "[]")
    else:
        text = read_training_state(path).get("runs", "[]")
    try:
        runs = json.loads(text)
    except ValueError:
        return []
    known = isinstance(runs, list) and all(isinstance(run, dict) for run in runs)
    return runs if known else []


def read_run(model: str | Path) -> TrainingRun:
    """Return the last of the runs that made some weights.

    Parameters
    ----------
    model : str or Path
        A model's name, or the path of a checkpoint.

    Raises
    ------
    CheckpointError
        The file does not say, or describes a run of another version.
    """
    runs = read_runs(model)
    if not runs:
        raise CheckpointError(
            f"{model} does not say how it was trained: expected weights that `gifnet train` wrote."
        )
    described = runs[-1]
    unknown = sorted(set(described) - {f.name for f in dataclasses.fields(TrainingRun)})
    if unknown:
        raise CheckpointError(
            f"{model} was trained with the option {unknown[0]!r}, which this version does not have: "
            "expected a run of this version, or install the newer one."
        )
    # a term of the losses that a former version did not have had no weight
    weights = dict.fromkeys(TrainingRun().weights, 0.0) | described.get("weights", {})
    photographs = tuple(described.get("photographs", ()))
    return TrainingRun(**described | {"photographs": photographs, "weights": weights})


def read_training_state(path: Path) -> dict[str, Any]:
    """Read a checkpoint of a run in progress; empty if the file is of another kind."""
    try:
        state = read_checkpoint(path)
    except CheckpointError:
        return {}
    return state if isinstance(state, dict) else {}
