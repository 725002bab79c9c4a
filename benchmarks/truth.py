"""How near to a known truth: pairs and stacks in focus at a known depth, exposures of known scenes.

    python benchmarks/truth.py --output truth.md

PSNR in dB over the whole picture. The pictures are made by `../shared/tools/truth.py`, which is no part
of the repository, of photographs that nothing is trained on from now on (`gifnet` was, on four of the five).
``--differences`` gives, of the focus pairs, the sum of the correlations of differences (SCD), of the
truth, too: what the measure asks of a fusion that is perfect.
"""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType

import numpy as np

from napari_gifnet import fuse
from napari_gifnet.metrics import sum_of_correlations_of_differences

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


def differences(method: Method | None, makers: ModuleType) -> list[float]:
    """SCD of the result of focus pairs; of the truth if there is no method."""
    return [
        sum_of_correlations_of_differences(
            a, b, truth if method is None else method((a, b), "multi_focus"), data_range=1
        )
        for _, a, b, truth in makers.made_focus()
    ]


def format_row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--makers", type=Path, default=MAKERS, help="truth.py")
    parser.add_argument("--model", nargs="*", default=["gifnet-bands"], help="by name or path")
    parser.add_argument("--baseline", nargs="*", default=["pyramid"], help="methods without tasks")
    parser.add_argument("--output", type=Path, help="write the table to this file, too")
    parser.add_argument("--differences", action="store_true", help="SCD of the focus pairs")
    options = parser.parse_args()
    if not options.makers.is_file():
        parser.error(f"{options.makers} is not there: expected the makers of pictures")
    methods = {name: of_model(name, named=False) for name in options.baseline}
    for name in options.model:
        methods[name] = of_model(name, named=False)
        methods[f"{name}, task named"] = of_model(name, named=True)
    makers = load_makers(options.makers)
    columns, digits = (COLUMNS[:3], 3) if options.differences else (COLUMNS, 1)
    lines = [format_row(["method", *columns]), "|" + "---|" * (1 + len(columns))]
    print(*lines, sep="\n", flush=True)
    rows = {"the truth": None, **methods} if options.differences else methods
    for name, method in rows.items():
        judged = differences(method, makers) if options.differences else judge(method, makers)
        lines.append(format_row([name, *(f"{value:.{digits}f}" for value in judged)]))
        print(lines[-1], flush=True)
    if options.output:
        options.output.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
