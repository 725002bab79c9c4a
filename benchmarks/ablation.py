"""What each part of the training recipe is worth: one small budget, several recipes, one table.

    python benchmarks/ablation.py --pairs ../shared/data/roadscene --photographs photographs \
        --work runs/ablation --output ablation.md

Every row is trained from the same seed, on one thread, and judged on scenes that training keeps
aside: registered pairs, and pairs of a known truth made from photographs. The runs stay in --work,
so that the command goes on where it was interrupted. The defaults take some 6 minutes a row.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from tqdm import tqdm

from napari_gifnet import fuse
from napari_gifnet.metrics import evaluate
from napari_gifnet.training import TrainingRun, train
from napari_gifnet.training.samples import MAKERS, Sample
from napari_gifnet.training.scenes import Scenes, load_scenes

AUTHORS = Path(__file__).resolve().parents[2] / "shared" / "golden" / "Final.model"

TITLES = {
    "pyramid": "Laplacian pyramid, not trained",
    "gifnet": "`gifnet`, the weights that ship",
    "authors": "`authors`, the published checkpoint",
    "paper": "`paper`: joint training as published",
    "faithful": "`faithful`: the defaults",
    "no-gradient": "− gradient",
    "no-edges": "− edges",
    "no-information": "− information",
    "no-hinges": "− differences, sharpness",
    "no-truth": "− truth",
    "no-intensity": "− intensity",
    "no-clipping": "− clipping, invented",
    "truth-alone": "judged by the truth alone where there is one, error in dB, too; focus along a made depth",
    "free-only": "free pictures only",
}
REFERENCES = ("pyramid", "gifnet", "authors")
LEFT_OUT = {
    "no-gradient": ("gradient",),
    "no-edges": ("edges",),
    "no-information": ("information",),
    "no-hinges": ("differences", "sharpness"),
    "no-truth": ("truth", "truth_gradient", "truth_structure"),
    "no-intensity": ("intensity",),
    "no-clipping": ("clipping", "invented"),
}

OF_PAIRS = ("EI", "AG", "MI", "SSIM", "VIF", "SCD", "Qabf")
OF_FOCUS = ("VIF", "Qabf")
COLUMNS = (*OF_PAIRS, "focus VIF", "focus Qabf", "focus PSNR", "exposure PSNR", "exposure SSIM")
DECIMALS = {"EI": 1, "AG": 2, "MI": 2, "focus PSNR": 2, "exposure PSNR": 2}
PAIRS, LONGEST = 12, 256
MADE, SIDE = 8, 160

Method = Callable[[np.ndarray, np.ndarray], np.ndarray]


def describe_run(row: str, options: argparse.Namespace) -> TrainingRun:
    """The training of a row; rows differ in nothing but what their titles say."""
    run = TrainingRun(
        pairs=str(options.pairs),
        photographs=tuple(map(str, options.photographs)),
        stem_steps=options.stem_steps,
        steps=options.steps,
        stem_batch=8,
        batch=4,
        stem_side=72,
        side=72,
    )
    if row == "paper":
        return dataclasses.replace(run, recipe="paper", steps=options.paper_steps, rate=1e-3)
    if row == "free-only":
        return dataclasses.replace(run, pairs="")
    if row == "truth-alone":
        shares = {**run.shares, "focus": 0.07, "depth": 0.15}
        weights = {**run.weights, "truth_decibels": 0.5}
        return dataclasses.replace(run, truth_alone=True, shares=shares, weights=weights)
    weights = {**run.weights, **dict.fromkeys(LEFT_OUT.get(row, ()), 0.0)}
    return dataclasses.replace(run, weights=weights)


def train_row(row: str, run: TrainingRun, folder: Path) -> tuple[Path, float]:
    """Train a row, or go on with it, or find it done; return its weights and its seconds."""
    weights, description = folder / "gifnet.safetensors", folder / "run.json"
    wanted = json.loads(json.dumps(dataclasses.asdict(run)))
    if description.is_file() and json.loads(description.read_text()) != wanted:
        sys.exit(f"{folder} holds a run with other options: expected another --work, or it removed")
    clock = folder / "clock.csv"
    if not weights.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        before = time.process_time()
        with clock.open("a") as file, tqdm(desc=row, unit="step", disable=None) as bar:

            def report(step: int, steps: int, _: dict[str, float]) -> None:
                nonlocal before
                now = time.process_time()
                file.write(f"{step},{now - before:.3f}\n")
                file.flush()
                before, bar.total = now, steps
                bar.update(step - bar.n)

            train(run, folder, save_every=20, progress=report)
    # a step that was made again after an interruption counts once
    seconds = dict(line.split(",") for line in clock.read_text().splitlines())
    return weights, sum(map(float, seconds.values()))


@dataclasses.dataclass(frozen=True)
class Exam:
    """What every row is judged on."""

    pairs: list[tuple[np.ndarray, np.ndarray]]
    focus: list[Sample]
    exposure: list[Sample]


def make_exam(pairs: Path, photographs: list[Path]) -> Exam:
    """Pairs and photographs that training keeps aside."""
    scenes = load_scenes(pairs, photographs, held_out=True)
    large = [p for p in scenes.photographs if min(p.shape[:2]) >= SIDE]

    def made(kind: str) -> list[Sample]:
        return [  # those of --photographs come last
            MAKERS[kind](np.random.default_rng(i), Scenes([], [photograph]), SIDE)
            for i, photograph in enumerate(large[-MADE:])
        ]

    cropped = [(middle(a), middle(b)) for a, b in scenes.pairs[:PAIRS]]
    return Exam(cropped, made("focus"), made("exposure"))


def middle(plane: np.ndarray) -> np.ndarray:
    top, left = (max(0, side - LONGEST) // 2 for side in plane.shape)
    return plane[top : top + LONGEST, left : left + LONGEST]


def judge(method: Method, exam: Exam) -> dict[str, float]:
    """Mean of every column over its pictures."""

    def mean(rows: Iterable[list[float]]) -> list[float]:
        return list(np.mean(list(rows), axis=0))

    def of_pair(a: np.ndarray, b: np.ndarray) -> list[float]:
        fused = np.floor(255 * method(a, b)).astype(np.uint8)
        return list(evaluate(a, b, fused, OF_PAIRS).values())

    def of_focus(sample: Sample) -> list[float]:
        a, b, truth = (np.clip(p, 0, 1) for p in (sample.a, sample.b, sample.truth))
        fused = method(a, b)
        psnr = peak_signal_noise_ratio(truth, fused, data_range=1)
        return [*evaluate(a, b, fused, OF_FOCUS).values(), psnr]

    def of_exposure(sample: Sample) -> list[float]:
        truth, fused = sample.truth, method(sample.a, sample.b)
        return [
            peak_signal_noise_ratio(truth, fused, data_range=1),
            structural_similarity(truth, fused, data_range=1),
        ]

    values = [
        *mean(of_pair(a, b) for a, b in exam.pairs),
        *mean(map(of_focus, exam.focus)),
        *mean(map(of_exposure, exam.exposure)),
    ]
    return dict(zip(COLUMNS, values, strict=True))


def format_row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def explain(options: argparse.Namespace, exam: Exam) -> str:
    return (
        f"Each recipe trained for {options.stem_steps} steps of the stem (8 patches of 72²) and"
        f" {options.steps} of the whole network (4 of 72²); the paper's, which has no stem, for"
        f" {options.paper_steps} (4 of 72², rate 10⁻³), about the same time. One seed, one thread;"
        " s: processor seconds of training, reading the pictures included.\n"
        f"Judged on scenes kept aside: {len(exam.pairs)} registered pairs, at most"
        f" {LONGEST}×{LONGEST} from the middle of each; focus: {len(exam.focus)} made pairs of"
        f" {SIDE}²; exposure: {len(exam.exposure)} made pairs of {SIDE}². PSNR, and SSIM of"
        " exposures, are to the truth of the pair.\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pairs", type=Path, required=True, help="folder with a/ and b/")
    parser.add_argument(
        "--photographs",
        type=Path,
        action="append",
        required=True,
        metavar="DIR",
        help="folder of photographs; repeatable",
    )
    parser.add_argument("--work", type=Path, required=True, metavar="DIR", help="keeps the runs")
    parser.add_argument("--output", type=Path, metavar="FILE.md", help="write the table here, too")
    parser.add_argument("--rows", nargs="+", default=list(TITLES), choices=list(TITLES))
    parser.add_argument("--stem-steps", type=int, default=110)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--paper-steps", type=int, default=57)
    options = parser.parse_args()

    torch.set_num_threads(1)
    exam = make_exam(options.pairs, options.photographs)
    text = explain(options, exam)
    lines = [format_row(["recipe", "s", *COLUMNS]), "|" + "---|" * (2 + len(COLUMNS))]
    print(text, *lines, sep="\n", flush=True)
    for row in TITLES:
        if row not in options.rows or (row == "authors" and not AUTHORS.is_file()):
            continue
        method: Method = partial(fuse, model="pyramid")
        seconds = ""
        if row not in REFERENCES:
            run = describe_run(row, options)
            weights, took = train_row(row, run, options.work / row)
            method, seconds = partial(fuse, model=weights), f"{took:.0f}"
        elif row != "pyramid":
            method = partial(fuse, model=AUTHORS if row == "authors" else row)
        values = [f"{v:.{DECIMALS.get(name, 3)}f}" for name, v in judge(method, exam).items()]
        lines.append(format_row([TITLES[row], seconds, *values]))
        print(lines[-1], flush=True)
        if options.output:
            table = "\n".join([text, *lines]) + "\n"
            options.output.write_text(table, encoding="utf-8")


if __name__ == "__main__":
    main()
