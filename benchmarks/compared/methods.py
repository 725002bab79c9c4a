"""The methods that `peers.py` compares, each run in a process of its own with the environment that has it.

    python methods.py METHOD FOLDER NAME [NAME …]

takes each NAME.npy of the folder, planes (n, Y, X) or (n, Y, X, 3) float32 in [0, 1], and writes
METHOD/NAME.npy. What a name begins with says the task: focus, exposures or infrared. Programs that read
files get PNG of 16 bits, and give it.
The last line printed is JSON: seconds of each call, and the peak memory of a program that it ran, if any.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

Method = Callable[[np.ndarray, str], np.ndarray]

TASKS = {"focus": "multi_focus", "exposures": "multi_exposure", "infrared": "infrared_visible"}
ENFUSE = {
    "focus": ["--exposure-weight=0", "--saturation-weight=0", "--contrast-weight=1", "--hard-mask"],
}
"""What its manual advises for focus stacks; its defaults are for exposures."""
MERTENS = {"focus": (1, 0, 0)}
"""Weights of contrast, saturation and exposure: contrast alone, as in enfuse; else the paper's, all 1."""

MEASURE = """
import os, sys
child = os.spawnvp(os.P_NOWAIT, sys.argv[1], sys.argv[1:])
_, status, used = os.wait4(child, 0)
print("", used.ru_maxrss, used.ru_utime + used.ru_stime, sep="\\n")
sys.exit(os.waitstatus_to_exitcode(status))
"""
"""Between a program and who runs it, else the peak would be at least that of the latter."""

program_peaks: list[int] = []


def of_gifnet(model: str) -> Callable[[], Method]:
    def open_method() -> Method:
        from napari_gifnet import fuse

        return lambda planes, task: fuse(
            *planes,
            model=model,
            task=None if model == "pyramid" else TASKS[task],
            intensity="dtype",
        )

    return open_method


def open_mertens() -> Method:
    import cv2

    return lambda planes, task: cv2.createMergeMertens(*MERTENS.get(task, (1, 1, 1))).process(
        list(planes * 255)
    )


def run_measured(command: list[str]) -> tuple[str, int, float]:
    """What a command printed, the peak of its resident memory in bytes, and its seconds of CPU."""
    done = subprocess.run([sys.executable, "-c", MEASURE, *command], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed: {done.stderr[-2000:]}")
    *printed, peak, seconds = done.stdout.rstrip().splitlines()
    in_bytes = 1 if sys.platform == "darwin" else 1024
    return "\n".join(printed), int(peak) * in_bytes, float(seconds)


def write_planes(folder: str, planes: np.ndarray) -> list[str]:
    import cv2

    paths = [str(Path(folder) / f"{number:03}.png") for number in range(len(planes))]
    for path, plane in zip(paths, planes, strict=True):
        levels = np.round(plane * 65535).astype(np.uint16)
        cv2.imwrite(path, levels if plane.ndim == 2 else levels[..., ::-1])
    return paths


def run_program(planes: np.ndarray, command: Callable[[list[str], str], list[str]]) -> np.ndarray:
    import cv2

    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as results:
        result = str(Path(results) / "fused.png")
        paths = write_planes(folder, planes)
        program_peaks.append(run_measured(command(paths, result))[1])
        fused = cv2.imread(result, cv2.IMREAD_UNCHANGED)
    if fused.ndim == 3:
        fused = fused[..., 2::-1] if planes.ndim == 4 else fused[..., 0]
    return fused / np.float32(np.iinfo(fused.dtype).max)


def open_enfuse() -> Method:
    return lambda planes, task: run_program(
        planes, lambda paths, result: ["enfuse", "-o", result, *ENFUSE.get(task, []), *paths]
    )


def open_openfocus() -> Method:
    program = str(Path(sys.executable).parent / "openfocus")
    options = ["--no-exposure-match", "--cpu"]
    return lambda planes, _: run_program(
        planes, lambda paths, result: [program, "-i", *paths, "-o", result, *options]
    )


def of_stitcher(by_content: bool) -> Callable[[], Method]:
    def open_method() -> Method:
        from multiview_stitcher import fusion, weights
        from multiview_stitcher import spatial_image_utils as images

        def method(planes: np.ndarray, _: str) -> np.ndarray:
            first = np.moveaxis(planes, -1, 1) if planes.ndim == 4 else planes
            dims = ["c", "y", "x"] if planes.ndim == 4 else ["y", "x"]
            views = [
                images.get_sim_from_array(plane, dims=dims, transform_key="world")
                for plane in first
            ]
            fused = fusion.fuse(
                views,
                transform_key="world",
                weights_func=weights.content_based if by_content else None,
                output_chunksize=max(planes.shape[1:3]),
            )
            fused = np.asarray(fused.data).squeeze()
            return np.moveaxis(fused, 0, -1) if planes.ndim == 4 else fused

        return method

    return open_method


def open_additive() -> Method:
    """What napari shows of layers in gray, each over 0 to 1, the upper ones blended "additive"."""
    return lambda planes, _: np.clip(planes.sum(axis=0), 0, 1)


def open_translucent() -> Method:
    """Layers "translucent", the one at place k of opacity 1/k: c = c·(1 − 1/k) + plane/k, their mean."""

    def method(planes: np.ndarray, _: str) -> np.ndarray:
        shown = planes[0]
        for place, plane in enumerate(planes[1:], 2):
            shown = shown * (1 - 1 / place) + plane / place
        return shown

    return method


METHODS: dict[str, Callable[[], Method]] = {
    "gifnet": of_gifnet("gifnet"),
    "gifnet-bands": of_gifnet("gifnet-bands"),
    "pyramid": of_gifnet("pyramid"),
    "openfocus": open_openfocus,
    "enfuse": open_enfuse,
    "opencv": open_mertens,
    "stitcher": of_stitcher(by_content=True),
    "stitcher-average": of_stitcher(by_content=False),
    "napari-translucent": open_translucent,
    "napari-additive": open_additive,
}


def main() -> None:
    name, folder = sys.argv[1], Path(sys.argv[2])
    method = METHODS[name]()
    (folder / name).mkdir(exist_ok=True)
    seconds = {}
    for case in sys.argv[3:]:
        planes = np.load(folder / f"{case}.npy")
        start = time.perf_counter()
        fused = method(planes, case.partition(" ")[0])
        seconds[case] = time.perf_counter() - start
        np.save(folder / name / f"{case}.npy", np.asarray(fused, np.float32))
    print(json.dumps({"seconds": seconds, "program": max(program_peaks, default=None)}))


if __name__ == "__main__":
    main()
