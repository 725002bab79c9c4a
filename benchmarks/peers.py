"""This project beside others that fuse images, on the same inputs: truth, seconds, memory.

    python benchmarks/peers.py --environment build/peers --output peers.md

The environment is made where it is not there yet: it holds what `benchmarks/peers.txt` names, layered on
the one that this is run with (whose PyTorch and OpenCV are used, and nothing is changed). enfuse is a
program: `apt-get install enfuse`. What is not installed is named as missing.

Each method runs in processes of its own: one for all inputs with a known truth, one for each case and turn
of the seconds and memory, imports included. The inputs are those of `benchmarks/truth.py`;
`--picture FILE` draws crops of the fused samples, side by side.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from statistics import mean

import numpy as np

from compared.methods import METHODS, run_measured
from speed import machine
from truth import MAKERS, STACKS, format_row, load_makers, psnr

HERE = Path(__file__).resolve().parent
SIDE = 1024
NAMES = {
    "gifnet": "`gifnet`, task named",
    "gifnet-bands": "`gifnet-bands`, task named",
    "pyramid": "`pyramid` of this project",
    "openfocus": "openfocus, StackMFF V3",
    "enfuse": "enfuse",
    "opencv": "OpenCV, `MergeMertens`",
    "stitcher": "multiview-stitcher, by content",
    "stitcher-average": "multiview-stitcher, default",
    "napari-translucent": "napari, translucent",
    "napari-additive": "napari, additive",
}
PACKAGES = {
    "openfocus": "openfocus",
    "stitcher": "multiview_stitcher",
    "stitcher-average": "multiview_stitcher",
    "opencv": "opencv_python_headless",
}
COLUMNS = ("×1", "×3", "×6", *(f"stack of {n}" for n in STACKS), "exposures", "worst")
FOR_FOCUS = {"openfocus"}
"""Methods that claim to fuse focus stacks alone: nothing else is asked of them."""
FOR_PAIRS = {"gifnet"}
"""Methods that fuse more than two by pairs of pairs, which takes as long as all these: not timed."""
TIMED = {"a pair": 2, "a stack of 8": 8}


def make_environment(folder: Path) -> Path:
    """The environment's Python; it is made where it is not there yet."""
    programs = "Scripts" if sys.platform == "win32" else "bin"
    python = folder.absolute() / programs / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        inside = [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
        packages = subprocess.run(inside, check=True, capture_output=True, text=True).stdout.strip()
        below = sysconfig.get_path("purelib")
        (Path(packages) / "below.pth").write_text(f"import site; site.addsitedir({below!r})\n")
        requirements = ["-r", str(HERE / "peers.txt")]
        subprocess.run([python, "-m", "pip", "install", "-q", *requirements], check=True)
    return python


def version_of(name: str, python: Path) -> str | None:
    """The version of what a method needs, "" for this project and NumPy; None if it is not installed."""
    if name == "enfuse":
        if shutil.which("enfuse") is None:
            return None
        said = subprocess.run(["enfuse", "--version"], check=True, capture_output=True, text=True)
        return said.stdout.split()[1]
    if name not in PACKAGES:
        return ""
    code = f"from importlib.metadata import version; print(version({PACKAGES[name]!r}))"
    said = subprocess.run([python, "-c", code], check=False, capture_output=True, text=True)
    return said.stdout.strip() if said.returncode == 0 else None


def run_method(name: str, python: Path, folder: Path, cases: Sequence[str]) -> dict:
    """What `compared/methods.py` says of one run, with the CPU's seconds of the whole process."""
    command = [str(python), str(HERE / "compared" / "methods.py"), name, str(folder), *cases]
    printed, peak, seconds = run_measured(command)
    found = json.loads(printed.splitlines()[-1])
    return {**found, "peak": found["program"] or peak, "cpu": seconds}


def claimed(name: str, cases: Iterable[str]) -> list[str]:
    """Those of the cases that a method claims to be made for."""
    return [case for case in cases if name not in FOR_FOCUS or case.startswith("focus")]


def write_cases(makers, folder: Path) -> dict[str, np.ndarray]:
    """Write the inputs with a known truth into a folder; return the truths by name."""
    truths = {}
    for name, near, far, truth in makers.made_focus():
        np.save(folder / f"focus {name}.npy", np.stack([near, far]))
        truths[f"focus {name}"] = truth
    for count in STACKS:
        planes, truth = makers.focus_stack(count)
        np.save(folder / f"focus {count}.npy", np.stack(planes))
        truths[f"focus {count}"] = truth
    for name, over, under, truth in makers.made_exposures():
        np.save(folder / f"exposures {name}.npy", np.stack([over, under]))
        truths[f"exposures {name}"] = truth
    return truths


def judge(name: str, python: Path, folder: Path, truths: dict[str, np.ndarray]) -> list[str]:
    """The row of a method in the table of truth."""
    cases = claimed(name, truths)
    run_method(name, python, folder, cases)
    found = {case: psnr(np.load(folder / name / f"{case}.npy"), truths[case]) for case in cases}
    focus = [f"{value:.1f}" for case, value in found.items() if case.startswith("focus")]
    exposures = [value for case, value in found.items() if case.startswith("exposures")]
    means = [f"{mean(exposures):.1f}", f"{min(exposures):.1f}"] if exposures else ["–", "–"]
    return [*focus, *means]


def truth_table(methods: dict[str, Path], makers) -> Iterator[str]:
    yield format_row(["method", *COLUMNS])
    yield "|" + "---|" * (1 + len(COLUMNS))
    with tempfile.TemporaryDirectory() as folder:
        truths = write_cases(makers, Path(folder))
        for name, python in methods.items():
            yield format_row([NAMES[name], *judge(name, python, Path(folder), truths)])


def cost_table(methods: dict[str, Path], makers, turns: int) -> Iterator[str]:
    """The least of turns, each a fresh process; planes are the made ones, mirrored to the size."""
    columns = [f"{case}: {what}" for case in TIMED for what in ("s", "CPU, s", "peak, GB")]
    yield format_row(["method", *columns])
    yield "|" + "---|" * (1 + len(columns))
    with tempfile.TemporaryDirectory() as root:
        for case, count in TIMED.items():
            planes = np.stack(makers.focus_stack(count)[0])
            more = [(0, SIDE - length) for length in planes.shape[1:]]
            (Path(root) / case).mkdir()
            np.save(Path(root) / case / "focus.npy", np.pad(planes, [(0, 0), *more], "symmetric"))
        for name, python in methods.items():
            cells = []
            for case, count in TIMED.items():
                if name in FOR_PAIRS and count > 2:
                    cells += ["–"] * 3
                    continue
                runs = [
                    run_method(name, python, Path(root) / case, ["focus"]) for _ in range(turns)
                ]
                call = min(run["seconds"]["focus"] for run in runs)
                process, peak = (min(run[key] for run in runs) for key in ("cpu", "peak"))
                cells += [f"{call:.2f}", f"{process:.2f}", f"{peak / 1e9:.2f}"]
            yield format_row([NAMES[name], *cells])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--environment", type=Path, required=True, help="a folder; made if it is not there"
    )
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS))
    parser.add_argument("--makers", type=Path, default=MAKERS, help="truth.py")
    parser.add_argument("--tables", nargs="*", default=["truth", "cost"], choices=["truth", "cost"])
    parser.add_argument("--turns", type=int, default=3, help="processes of each timed case")
    parser.add_argument("--output", type=Path, help="write the tables to this file, too")
    parser.add_argument(
        "--picture", type=Path, help="write crops of the fused samples to this file"
    )
    options = parser.parse_args()
    if options.tables and not options.makers.is_file():
        parser.error(f"{options.makers} is not there: expected the makers of pictures")
    environment = make_environment(options.environment)
    lines = []

    def say(line: str) -> None:
        lines.append(line)
        print(line, flush=True)

    methods, missing = {}, []
    for name in options.methods:
        version = version_of(name, environment)
        own = version == "" or name == "opencv"
        if version is None:
            missing.append(NAMES[name])
        else:
            methods[name] = Path(sys.executable) if own else environment
            say(f"{NAMES[name]} {version}".rstrip() + "  ")
    for name in missing:
        say(f"{name} is not installed, and is left out  ")
    say(f"\nMachine: {machine('cpu')}.\n")
    makers = load_makers(options.makers) if options.tables else None
    if "truth" in options.tables:
        for line in truth_table(methods, makers):
            say(line)
        say("")
    if "cost" in options.tables:
        for line in cost_table(methods, makers, options.turns):
            say(line)
    if options.picture:
        from compared.pictures import write_picture

        def run(name: str, folder: Path, cases: list[str]) -> Path:
            run_method(name, methods[name], folder, claimed(name, cases))
            return folder / name

        write_picture(options.picture, {name: NAMES[name] for name in methods}, run)
    if options.output:
        options.output.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
