"""``gifnet train``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_gifnet.errors import OptionError

from .console import note, progress_bar


def train(
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="The folder of the run.")
    ],
    pairs: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Registered pairs: subfolders a (modality) and b (detail), same names.",
        ),
    ] = None,
    photographs: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="DIR", help="Photographs to make pairs with a known truth from; repeatable."
        ),
    ] = None,
    recipe: Annotated[
        str, typer.Option(help="faithful, or paper for the joint training as published.")
    ] = "faithful",
    start: Annotated[
        str, typer.Option(metavar="MODEL", help="Weights to begin with, as --model takes them.")
    ] = "",
    stem_steps: Annotated[
        int | None, typer.Option(help="Steps of the convolutional path alone.")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Steps of the whole network.")] = None,
    batch: Annotated[int | None, typer.Option(help="Samples a step of the whole network.")] = None,
    side: Annotated[int | None, typer.Option(help="Side of the patches in pixels.")] = None,
    rate: Annotated[
        float | None, typer.Option(help="Highest learning rate of the whole network.")
    ] = None,
    precision: Annotated[
        str,
        typer.Option(help="float32, or bfloat16 for speed on AVX-512, AMX or a GPU."),
    ] = "float32",
    seed: Annotated[int, typer.Option(help="Another seed, another run.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps or xpu.")] = "auto",
) -> None:
    """Train GIFNet on pairs and photographs of your own.

    A run that was interrupted goes on when the same command is given again. The folder holds
    checkpoint.pt, losses.csv, progress.png and, in the end, gifnet.safetensors; either file of
    weights can be given to --model, or chosen in the widget.

    \b
    Examples:
      gifnet train --pairs my_pairs -o runs/first
      gifnet train --pairs my_pairs --photographs pictures --steps 4000 -o runs/long
      gifnet train --pairs my_pairs --start gifnet --stem-steps 0 --steps 300 -o runs/tuned
      gifnet fuse A.png B.png --model runs/first/gifnet.safetensors -o fused.png
    """
    from napari_gifnet.engine.device import choose_device
    from napari_gifnet.training import TrainingRun
    from napari_gifnet.training import train as train_network

    if recipe not in ("faithful", "paper"):
        raise OptionError(f"recipe={recipe!r} is unknown: expected 'faithful' or 'paper'.")
    if precision not in ("float32", "bfloat16"):
        raise OptionError(f"precision={precision!r} is unknown: expected 'float32' or 'bfloat16'.")
    if pairs is None and not photographs:
        raise OptionError("There is nothing to train on: give --pairs, --photographs, or both.")
    chosen = {
        "stem_steps": stem_steps,
        "steps": steps,
        "batch": batch,
        "side": side,
        "rate": rate,
    }
    run = TrainingRun(
        recipe=recipe,  # type: ignore[arg-type]
        pairs=str(pairs or ""),
        photographs=tuple(str(folder) for folder in photographs or ()),
        start=start,
        precision=precision,  # type: ignore[arg-type]
        seed=seed,
        **{name: value for name, value in chosen.items() if value is not None},  # type: ignore[arg-type]
    )
    with progress_bar("Training") as report:
        checkpoint = train_network(
            run,
            output,
            device=str(choose_device(device).torch),
            progress=lambda step, total, _: report(step, total),
        )
    note(f"wrote {checkpoint.with_name('gifnet.safetensors')}.")
