"""``gifnet train``."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Any

import typer

from napari_gifnet.errors import OptionError

from .console import note, progress_bar


def train(
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="The folder of the run.")
    ],
    pairs: Annotated[
        str | None,
        typer.Option(
            metavar="DIR",
            help="Registered pairs: subfolders a (modality) and b (detail), same names.",
        ),
    ] = None,
    photographs: Annotated[
        list[str] | None,
        typer.Option(
            metavar="DIR", help="Photographs to make pairs with a known truth from; repeatable."
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="What is trained: gifnet (the default), or gifnet-bands."),
    ] = None,
    recipe_from: Annotated[
        str | None,
        typer.Option(
            "--recipe-from",
            metavar="MODEL",
            help="Train as MODEL was trained, but for the options given here; '' takes a folder or "
            "file away.",
        ),
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(help="faithful (the default), or paper for the joint training as published."),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(metavar="MODEL", help="Weights to begin with, as --model takes them."),
    ] = None,
    stem_steps: Annotated[
        int | None, typer.Option(help="Steps of the convolutional path alone.")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Steps of the whole network.")] = None,
    batch: Annotated[int | None, typer.Option(help="Samples a step of the whole network.")] = None,
    side: Annotated[int | None, typer.Option(help="Side of the patches in pixels.")] = None,
    rate: Annotated[
        float | None, typer.Option(help="Highest learning rate of the whole network.")
    ] = None,
    classifier: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="DenseNet-121 of torchvision or timm, to weigh the sources in the paper's recipe.",
        ),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(help="float32 (the default), or bfloat16 for speed on AVX-512, AMX or a GPU."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Another seed, another run.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps or xpu.")] = "auto",
) -> None:
    """Train a network on pairs and photographs of your own.

    A run that was interrupted goes on when the same command is given again. The folder holds
    checkpoint.pt, losses.csv, progress.png (of gifnet) and, in the end, gifnet.safetensors or
    gifnet-bands.safetensors; either file of weights can be given to --model, or chosen in the
    widget. gifnet-bands has no stem, no recipe and no precision to choose.

    \b
    Examples:
      gifnet train --pairs pairs -o runs/first
      gifnet train --pairs pairs --photographs pictures --steps 4000 -o runs/long
      gifnet train --pairs pairs --start gifnet --stem-steps 0 -o runs/tuned
      gifnet train --model gifnet-bands --photographs pictures -o runs/bands
      gifnet train --recipe-from runs/long/gifnet.safetensors --seed 1 -o runs/two
      gifnet fuse A.png B.png --model runs/first/gifnet.safetensors -o fused.png
    """
    from napari_gifnet.engine.device import choose_device
    from napari_gifnet.training import (
        BandRun,
        TrainingRun,
        read_band_run,
        read_run,
        read_runs,
        train_bands,
    )
    from napari_gifnet.training import train as train_network

    given = {
        "recipe": recipe,
        "pairs": pairs,
        "photographs": tuple(filter(None, photographs)) if photographs else None,
        "start": start,
        "stem_steps": stem_steps,
        "steps": steps,
        "batch": batch,
        "side": side,
        "rate": rate,
        "classifier": classifier,
        "precision": precision,
        "seed": seed,
    }
    changed: Any = {name: value for name, value in given.items() if value is not None}
    if model is None:
        runs = read_runs(recipe_from) if recipe_from else []
        model = runs[-1].get("model", "gifnet") if runs else "gifnet"
    if model not in ("gifnet", "gifnet-bands"):
        raise OptionError(f"--model {model} cannot be trained: expected gifnet or gifnet-bands.")
    run: TrainingRun | BandRun
    if model == "gifnet-bands":
        alone = sorted(set(changed) - {field.name for field in dataclasses.fields(BandRun)})
        if alone:
            raise OptionError(
                f"--{alone[0].replace('_', '-')} is of gifnet alone: expected --model gifnet with it."
            )
        run = dataclasses.replace(
            read_band_run(recipe_from) if recipe_from else BandRun(), **changed
        )
    else:
        alike = read_run(recipe_from) if recipe_from else TrainingRun()
        if alike.start and start is None:
            raise OptionError(
                f"{recipe_from} went on from other weights ({alike.start}): expected them with --start."
            )
        run = dataclasses.replace(alike, **changed)
    if not run.pairs and not run.photographs:
        raise OptionError("There is nothing to train on: give --pairs, --photographs, or both.")
    chosen = str(choose_device(device).torch)
    with progress_bar("Training") as report:

        def progress(step: int, total: int, losses: dict[str, float]) -> None:
            report(step, total)

        if isinstance(run, BandRun):
            checkpoint = train_bands(run, output, device=chosen, progress=progress)
        else:
            checkpoint = train_network(run, output, device=chosen, progress=progress)
    note(f"wrote {checkpoint.with_name(f'{model}.safetensors')}.")
