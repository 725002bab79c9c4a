"""How near to a known truth: pairs and stacks in focus at a known depth, exposures of known scenes.

    python benchmarks/truth.py --model gifnet-bands --output truth.md

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
import torch

from napari_gifnet import fuse, load_model
from napari_gifnet.network.bands import GIFNetBands
from napari_gifnet.pyramid import fuse_strongest

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
    """The band network takes all planes at once, a network of two by pairs, and of pairs again."""
    model = load_model(name)
    network = model.network

    def at_once(planes: Planes, task: str) -> np.ndarray:
        with torch.inference_mode():
            stack = torch.from_numpy(np.stack(planes))
            return network(stack, task if named else None).plane[0, 0].numpy()

    def by_pairs(planes: Planes, task: str) -> np.ndarray:
        if len(planes) == 1:
            return planes[0]
        half = (len(planes) + 1) // 2
        sides = (by_pairs(part, task) for part in (planes[:half], planes[half:]))
        return fuse(*sides, model=model, task=task if named else None, intensity="dtype")

    return at_once if isinstance(network, GIFNetBands) else by_pairs


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
    parser.add_argument("--model", action="append", default=[], help="a model, by name or path")
    parser.add_argument("--output", type=Path, help="write the table to this file, too")
    options = parser.parse_args()
    if not options.makers.is_file():
        parser.error(f"{options.makers} is not there: expected the makers of pictures")
    methods: dict[str, Method] = {
        "mean": lambda planes, task: np.mean(planes, axis=0),
        "pyramid": lambda planes, task: fuse_strongest(*planes),
    }
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
