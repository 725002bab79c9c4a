"""Speed and memory of the band network: ``python benchmarks/bands.py``.

Beside the exact engine and the pyramid, medians of turns within one process on one machine with nothing
else running; then peaks of memory, each in a process of its own.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import numpy as np

from speed import machine, peak_memory

MODEL = "gifnet-bands"


def planes(count, side, dtype=np.float32):
    """Random planes of one scene; integers are those of a camera."""
    rng = np.random.default_rng(0)
    if np.dtype(dtype).kind == "f":
        return [rng.random((side, side), dtype=np.float32) for _ in range(count)]
    return rng.integers(0, 256, (count, side, side), dtype)


def seconds_of(run):
    """How long a call takes."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def compare(side, precision, turns):
    """Median seconds of a pair of planes by the exact engine, the band network and the pyramid."""
    from napari_gifnet.backend import Backend
    from napari_gifnet.baselines import pyramid
    from napari_gifnet.fusers import open_fuser

    pair = planes(2, side)
    exact = open_fuser("gifnet", Backend("cpu", precision))
    bands = open_fuser(MODEL, Backend("cpu", precision))
    runs = {
        "gifnet": lambda: list(exact.fuse_planes([pair], 1)),
        MODEL: lambda: list(bands.fuse_planes([pair], 1)),
        "pyramid": lambda: pyramid(*pair),
    }
    times = {name: [] for name in runs}
    for run in runs.values():
        run()
    for _ in range(turns):
        for name, run in runs.items():
            times[name].append(seconds_of(run))
    return {name: median(each) for name, each in times.items()}


def compare_phantom(precision):
    """Seconds of the 142 slices of PET and MRI by both networks, as `fuse_layers` makes them."""
    from napari_gifnet.viewer import fuse_layers
    from streaming import sample_layers

    options = {"task": "pet_mri", "device": "cpu", "precision": precision}
    few = (slice(60, 62), slice(None), slice(None))
    times = {}
    for model in (MODEL, "gifnet"):
        layers = sample_layers()
        fuse_layers(*layers, model=model, extent=few, normalization="plane", **options)
        run = lambda layers=layers, model=model: fuse_layers(*layers, model=model, **options)  # noqa: E731
        times[model] = seconds_of(run)
    return times


def measure_stack(count, side, dtype, precision):
    """Seconds and peak memory of a stack in this process."""
    from napari_gifnet import fuse_stack

    stack = planes(count, side, dtype)
    fuse_stack(np.stack([plane[:64, :64] for plane in stack[:2]]), precision=precision)
    before = peak_memory()
    seconds = seconds_of(lambda: fuse_stack(stack, precision=precision, device="cpu"))
    return {"seconds": seconds, "before": before, "peak": peak_memory()}


def in_own_process(*arguments):
    """What `measure_stack` finds in a fresh process."""
    command = [sys.executable, __file__, "--one", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def main():
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--one", nargs=4, metavar=("COUNT", "SIDE", "DTYPE", "PRECISION"))
    parser.add_argument("--precisions", nargs="+", default=["float32", "bfloat16"])
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--without-memory", action="store_true", help="the comparison alone")
    options = parser.parse_args()
    if options.one:
        count, side, dtype, precision = options.one
        print(json.dumps(measure_stack(int(count), int(side), dtype, precision)))
        return
    sys.path.insert(0, str(Path(__file__).parent))
    print(f"Machine: {machine('cpu')}.\n")
    print("| a pair | precision | gifnet, s | gifnet-bands, s | share of gifnet's | pyramids |")
    print("|---|---|---|---|---|---|")
    for precision in options.precisions:
        times = compare(1024, precision, options.turns)
        print(
            f"| 1024² | {precision} | {times['gifnet']:.2f} | {times[MODEL]:.3f} | "
            f"1/{times['gifnet'] / times[MODEL]:.1f} | {times[MODEL] / times['pyramid']:.2f} |",
            flush=True,
        )
        times = compare_phantom(precision)
        print(
            f"| phantom, 142 slices | {precision} | {times['gifnet']:.1f} | {times[MODEL]:.2f} | "
            f"1/{times['gifnet'] / times[MODEL]:.1f} | |",
            flush=True,
        )
    if options.without_memory:
        return
    print("\n| planes | precision | s | Mpx of input a second | peak, GB |\n|---|---|---|---|---|")
    cases = [(50, 2048, "uint8"), (2, 4096, "uint8"), (2, 8192, "uint8")]
    for count, side, dtype in cases:
        found = in_own_process(count, side, dtype, options.precisions[-1])
        rate = count * side**2 / 1e6 / found["seconds"]
        print(
            f"| {count} of {side}² {dtype} | {options.precisions[-1]} | {found['seconds']:.1f} | "
            f"{rate:.1f} | {found['peak'] / 1e9:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
