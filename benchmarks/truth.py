"""How near to a known truth: pairs and stacks in focus at a known depth, exposures of known scenes.

    python benchmarks/truth.py --output truth.md

PSNR in dB over the whole picture. The pictures are made by `../shared/tools/truth.py`, which is no part
of the repository, of photographs that nothing is trained on from now on (`gifnet` was, on four of the five).
"""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType

import numpy as np

from napari_gifnet import fuse

MAKERS = Path(__file__).resolve().parents[2] / "shared" / "tools" / "truth.py"
STACKS = (4, 8, 16)
COLUMNS = ("×1", "×3", "×6", *(f"stack of {n}" for n in STACKS), "exposures", "worst")

Planes = Sequence[np.ndarray]
Method = Callable[[Planes, str], np.ndarray]


def load_makers(path: Path) -> ModuleType:
    specification = importlib.util.spec_from_file_location("truth_makers", path)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def psnr(plane: np.ndarray, truth: np.ndarray) -> float:
    return float(-10 * np.log10(np.mean((np.clip(plane, 0, 1) - truth.astype(float)) ** 2)))


def of_model(name: str, named: bool) -> Method:
    def method(planes: Planes, task: str) -> np.ndarray:
        return fuse(*planes, model=name, task=task if named else None, intensity="dtype")

    return method


def judge(method: Method, makers: ModuleType) -> list[float]:
    focus = [psnr(method((a, b), "multi_focus"), t) for _, a, b, t in makers.made_focus()]
    stacks = [
        psnr(method(planes, "multi_focus"), truth)
        for planes, truth in map(makers.focus_stack, STACKS)
    ]
    exposures = [
        psnr(method((over, under), "multi_exposure"), truth)
        for _, over, under, truth in makers.made_exposures()
    ]
    return [*focus, *stacks, float(np.mean(exposures)), min(exposures)]


def format_row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--makers", type=Path, default=MAKERS, help="truth.py")
    parser.add_argument("--model", nargs="*", default=["gifnet-bands"], help="by name or path")
    parser.add_argument("--baseline", nargs="*", default=["pyramid"], help="methods without tasks")
    parser.add_argument("--output", type=Path, help="write the table to this file, too")
    options = parser.parse_args()
    if not options.makers.is_file():
        parser.error(f"{options.makers} is not there: expected the makers of pictures")
    methods = {name: of_model(name, named=False) for name in options.baseline}
    for name in options.model:
        methods[name] = of_model(name, named=False)
        methods[f"{name}, task named"] = of_model(name, named=True)
    makers = load_makers(options.makers)
    lines = [format_row(["method", *COLUMNS]), "|" + "---|" * (1 + len(COLUMNS))]
    print(*lines, sep="\n", flush=True)
    for name, method in methods.items():
        lines.append(format_row([name, *(f"{value:.1f}" for value in judge(method, makers))]))
        print(lines[-1], flush=True)
    if options.output:
        options.output.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
