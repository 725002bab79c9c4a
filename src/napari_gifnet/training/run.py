"""What determines a training run, and how the weights it made tell of it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from napari_gifnet.errors import CheckpointError, OptionError
from napari_gifnet.models import locate_weights
from napari_gifnet.network import GIFNet

from .classifier import SMALLEST_PLANE


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
