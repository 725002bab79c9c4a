"""What each choice of the band network and its training is worth: one small budget, a row each.

    python benchmarks/ablation_bands.py --pairs m3svd --photographs photographs --output ablation.md

Every row is trained from the same seed on one thread, with nothing changed but what its title says. It
is judged, without and with the task named, by `benchmarks/truth.py`, and by registered pairs that
training keeps aside.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import MethodType

import numpy as np
import torch
from torch import Tensor, nn

from napari_gifnet.metrics import evaluate
from napari_gifnet.network.bands import Fused, GIFNetBands
from napari_gifnet.pyramid import fuse_strongest
from napari_gifnet.training import band_losses, band_samples, bands, made_scenes
from napari_gifnet.training.scenes import Scenes, load_scenes
from truth import MAKERS, judge, load_makers

OF_PAIRS = ("VIF", "SCD", "Qabf")
COLUMNS = ("×1", "×3", "×6", "of 4", "of 8", "of 16", "exposures", *OF_PAIRS)
PAIRS = 6

Row = Callable[[bands.BandTrainer], None]


def as_it_is(trainer: bands.BandTrainer) -> None:
    """The recipe that ships, for fewer steps."""


def without_tones(trainer: bands.BandTrainer) -> None:
    """Planes' local means are not compared."""
    network = trainer.network
    encode = network.encode
    network.encode = lambda planes: (  # type: ignore[method-assign]
        lambda encoded: encoded._replace(tones=[0 * t for t in encoded.tones])
    )(encode(planes))


def without_selection(trainer: bands.BandTrainer) -> None:
    """Each band chooses for itself."""

    def silence(module: nn.Module, inputs: tuple, head: Tensor) -> Tensor:
        return torch.cat((0 * head[:, :4], head[:, 4:]), 1)

    network = trainer.network
    finish = network.finish
    network.heads[0].register_forward_hook(silence)

    def blended(self: GIFNetBands, *sums: object) -> Fused:
        fused = finish(*sums)  # type: ignore[arg-type]
        return fused._replace(plane=fused.blended)

    network.finish = MethodType(blended, network)  # type: ignore[method-assign]


def without_outlines(trainer: bands.BandTrainer) -> None:
    """Depths have shapes of their own alone, none of a picture's outlines."""
    made_scenes.outline = lambda rng, picture: made_scenes.shape(rng, len(picture))


def never_named(trainer: bands.BandTrainer) -> None:
    """The network is never told the task in training."""
    habits = {**trainer.run.habits, "named": 0.0}
    trainer.run = dataclasses.replace(trainer.run, habits=habits, last_habits={})


def likeness_too(trainer: bands.BandTrainer) -> None:
    """Samples with a truth are judged by likeness to their planes, too."""

    def both(fused: Fused, batch: band_samples.BandBatch) -> dict[str, Tensor]:
        terms = of_truth(fused, batch)
        if batch.planes.shape[1] > 1:
            terms |= band_losses.likeness_losses(fused.plane, batch.clean[:, :2])
        return terms

    of_truth = bands.band_losses
    bands.band_losses = both


def changed(**weights: float) -> Row:
    def change(trainer: bands.BandTrainer) -> None:
        trainer.run = dataclasses.replace(trainer.run, weights={**trainer.run.weights, **weights})

    return change


ROWS: dict[str, Row] = {
    "the recipe": as_it_is,
    "− comparison of tones": without_tones,
    "− shared selection": without_selection,
    "− outlines as depths": without_outlines,
    "− names of tasks": never_named,
    "+ likeness where there is a truth": likeness_too,
    "− decibels": changed(truth_decibels=0.0),
    "− differences": changed(differences=0.0),
    "− relief": changed(relief=0.0),
}


def train_row(row: Row, run: bands.BandRun, scenes: Scenes) -> tuple[GIFNetBands, float]:
    """Train a row, with what it changes in the modules changed back afterwards."""
    kept = (made_scenes.outline, bands.band_losses)
    trainer = bands.BandTrainer(run, scenes)
    row(trainer)
    start = time.process_time()
    try:
        for _ in range(run.steps):
            trainer.update()
    finally:
        made_scenes.outline, bands.band_losses = kept
    trainer.network.load_state_dict(trainer.average)
    return trainer.network.eval(), time.process_time() - start


def judge_pairs(method: Callable, pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> list[float]:
    def of_pair(a: np.ndarray, b: np.ndarray) -> list[float]:
        planes = [(x / 255).astype(np.float32) for x in (a, b)]
        fused = np.clip(method(planes, "infrared_visible"), 0, 1)
        return list(evaluate(a, b, np.floor(255 * fused).astype(np.uint8), OF_PAIRS).values())

    return list(np.mean([of_pair(a, b) for a, b in pairs], axis=0))


def format_row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pairs", type=Path, required=True, help="folder with a/ and b/")
    parser.add_argument("--photographs", type=Path, required=True, metavar="DIR")
    parser.add_argument("--makers", type=Path, default=MAKERS, help="truth.py")
    parser.add_argument("--rows", nargs="+", default=list(ROWS), choices=list(ROWS))
    parser.add_argument("--steps", type=int, default=250)
    parser.add_argument("--output", type=Path, metavar="FILE.md", help="write the table here, too")
    options = parser.parse_args()

    torch.set_num_threads(1)
    makers = load_makers(options.makers)
    folders = (options.pairs, [options.photographs])
    scenes, aside = load_scenes(*folders), load_scenes(*folders, held_out=True).pairs[:PAIRS]
    run = bands.BandRun(str(options.pairs), (str(options.photographs),), steps=options.steps)
    lines = [format_row(["recipe", "s", *COLUMNS]), "|" + "---|" * (2 + len(COLUMNS))]
    print(*lines, sep="\n", flush=True)

    def add(title: str, seconds: str, method: Callable) -> None:
        *truth, _ = judge(method, makers)
        values = [f"{v:.1f}" for v in truth] + [f"{v:.3f}" for v in judge_pairs(method, aside)]
        lines.append(format_row([title, seconds, *values]))
        print(lines[-1], flush=True)
        if options.output:
            options.output.write_text("\n".join(lines) + "\n", encoding="utf-8")

    add("pyramid", "", lambda planes, task: fuse_strongest(*planes))
    for title in options.rows:
        network, seconds = train_row(ROWS[title], run, scenes)
        for named in (False, True):

            def method(
                planes: Sequence[np.ndarray],
                task: str,
                network: GIFNetBands = network,
                named: bool = named,
            ) -> np.ndarray:
                with torch.inference_mode():
                    stack = torch.from_numpy(np.stack(planes))
                    return network(stack, task if named else None).plane[0, 0].numpy()

            add(f"{title}, task named" if named else title, f"{seconds:.0f}" * (not named), method)


if __name__ == "__main__":
    main()
