"""The quality table: every metric, method and set of reference pictures, as Markdown.

    python benchmarks/quality.py --output quality.md
    python benchmarks/quality.py --sets lytro vifb --methods pyramid --model runs/last.safetensors

Planes are judged as 8-bit gray levels: luma = floor(0.299 R + 0.587 G + 0.114 B), fused = floor(255 f).
The pictures are those of `../shared/data`, which are no part of the repository.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from skimage import io
from tqdm import tqdm

from napari_gifnet import fuse, list_models, load_model
from napari_gifnet.baselines import BASELINES, list_baselines
from napari_gifnet.checkpoints import BANDS
from napari_gifnet.errors import MissingDependencyError
from napari_gifnet.metrics import METRICS, evaluate

SHARED = Path(__file__).resolve().parents[2] / "shared"
SETS = ("lytro", "vifb", "harvard_pet")
AUTHORS = SHARED / "golden" / "Final.model"
DECIMALS = {"EI": 1, "AG": 2, "SF": 1, "EN": 2, "SD": 1, "MI": 2}

TASKS = {"lytro": "multi_focus", "vifb": "infrared_visible", "harvard_pet": "pet_mri"}
TASK_NAMED = ", task named"
"""Behind a model's name: it is told what the pairs of the set are."""

Method = Callable[..., np.ndarray]


def available_methods() -> dict[str, Method]:
    """The shipped models, the authors' checkpoint and the baselines, as far as they are there."""
    methods = {}
    for model in list_models():
        if model.shipped:
            methods[model.name] = fused_by(model.name)
        if model.shipped and model.architecture == BANDS:
            methods[model.name + TASK_NAMED] = fused_by(model.name)
    if AUTHORS.is_file():
        methods["authors"] = fused_by(AUTHORS)
    for name in list_baselines():
        try:
            BASELINES[name](*np.zeros((2, 8, 8), np.float32))
        except MissingDependencyError as error:
            print(f"without {name}: {error}", file=sys.stderr)
        else:
            methods[name] = fused_by(name)
    return methods


def fused_by(model: str | Path) -> Method:
    return partial(fuse, model=model, intensity="dtype", color="gray")


def read_luma(path: Path) -> np.ndarray:
    picture = io.imread(path)
    if picture.ndim == 3:
        red, green, blue = np.moveaxis(picture[..., :3], -1, 0)
        picture = np.floor(0.299 * red + 0.587 * green + 0.114 * blue).astype(np.uint8)
    return picture


def find_pairs(folder: Path, limit: int | None) -> list[tuple[Path, Path]]:
    return [(path, folder / "b" / path.name) for path in sorted((folder / "a").iterdir())][:limit]


def score(
    method: Method, pairs: list[tuple[Path, Path]], task: str | None, progress: tqdm
) -> dict[str, float]:
    """Mean of every metric over the pairs."""
    rows = []
    for path_a, path_b in pairs:
        a, b = read_luma(path_a), read_luma(path_b)
        fused = np.floor(255 * method(a, b, task=task)).astype(np.uint8)
        rows.append(list(evaluate(a, b, fused).values()))
        progress.update()
    return dict(zip(METRICS, np.mean(rows, axis=0), strict=True))


def format_row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def main() -> None:
    methods = available_methods()
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, default=SHARED / "data", help="folder of the sets")
    parser.add_argument("--sets", nargs="+", default=SETS, help="folders in it, with a/ and b/")
    parser.add_argument("--methods", nargs="*", default=list(methods), choices=list(methods))
    parser.add_argument(
        "--model", action="append", default=[], help="another checkpoint, by name or path"
    )
    parser.add_argument("--limit", type=int, help="judge the first pairs of each set alone")
    parser.add_argument("--output", type=Path, help="write the table to this file, too")
    options = parser.parse_args()

    for name in options.sets:
        if not (options.data / name / "a").is_dir():
            parser.error(f"{options.data / name} is no set: expected folders a and b in it")

    chosen = {name: methods[name] for name in options.methods}
    for model in options.model:
        chosen[model] = fused_by(model)
        if load_model(model).architecture == BANDS:
            chosen[model + TASK_NAMED] = fused_by(model)
    sets = {name: find_pairs(options.data / name, options.limit) for name in options.sets}

    lines = [format_row(["set", "method", *METRICS]), "|" + "---|" * (2 + len(METRICS))]
    steps = len(chosen) * sum(map(len, sets.values()))
    with tqdm(total=steps, unit="pair", disable=None) as progress:
        for set_name, pairs in sets.items():
            label = f"{set_name} ({len(pairs)})"
            for method_name, method in chosen.items():
                progress.set_postfix_str(f"{set_name}, {method_name}")
                task = TASKS.get(set_name) if method_name.endswith(TASK_NAMED) else None
                means = score(method, pairs, task, progress)
                values = [f"{mean:.{DECIMALS.get(name, 3)}f}" for name, mean in means.items()]
                lines.append(format_row([label, method_name, *values]))
                label = ""
    table = "\n".join(lines) + "\n"
    print(table, end="")
    if options.output:
        options.output.write_text(table, encoding="utf-8")


if __name__ == "__main__":
    main()
