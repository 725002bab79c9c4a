"""A run over layers on different grids, as a user waits for it: ``python benchmarks/streaming.py``.

The 142 slices of the MRI + PET sample, from `fuse_layers`, with the model loaded: the seconds to the
first progress, the seconds from a cancel at five random moments to its exception, and the peak of
resident memory during the run less that before it and less the result's.
"""

import argparse
import threading
import time

import numpy as np
import psutil
from napari.layers import Image

from napari_gifnet import Cancelled, load_model
from napari_gifnet.files.samples import load_sample
from napari_gifnet.viewer import fuse_layers
from speed import machine


class PeakMemory:
    """Watches the resident memory of this process in a thread, every 5 ms."""

    def __enter__(self):
        self._process, self._stop = psutil.Process(), threading.Event()
        self.before = self.most = self._process.memory_info().rss
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def _watch(self):
        while not self._stop.wait(0.005):
            self.most = max(self.most, self._process.memory_info().rss)

    def __exit__(self, *error):
        self._stop.set()
        self._thread.join()


def sample_layers():
    """PET on its own grid and MRI, as File > Open Sample gives them."""
    return [
        Image(
            side.data,
            name=side.name,
            scale=side.scale,
            translate=side.translate,
            units=side.units,
        )
        for side in load_sample("pet_mri")
    ]


def first_progress(layers, options):
    """Seconds from the call to the first progress."""
    start, at = time.perf_counter(), []

    def progress(done, total):
        at.append(time.perf_counter() - start)
        raise Cancelled

    try:
        fuse_layers(*layers, progress=progress, **options)
    except Cancelled:
        return at[0]


def cancelling(layers, moment, options):
    """Seconds from a cancel, `moment` seconds after the first progress, to the exception."""
    cancelled = threading.Event()
    started = threading.Event()
    times = {}

    def progress(done, total):
        started.set()
        if cancelled.is_set():
            raise Cancelled

    def cancel():
        started.wait()
        time.sleep(moment)
        times["asked"] = time.perf_counter()
        cancelled.set()

    thread = threading.Thread(target=cancel)
    thread.start()
    try:
        fuse_layers(*layers, progress=progress, **options)
    except Cancelled:
        return time.perf_counter() - times["asked"]
    finally:
        thread.join()
    raise SystemExit("the run ended before it was cancelled")


def main():
    """Print the three measurements."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="gifnet")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    options = {
        "task": "pet_mri",
        "model": load_model(arguments.model),
        "device": arguments.device,
        "precision": arguments.precision,
    }
    layers = sample_layers()
    middle = (slice(70, 71), slice(None), slice(None))
    fuse_layers(*layers, extent=middle, normalization="plane", **options)  # torch is warm
    print(machine("cpu"))
    print(f"first progress after {first_progress(layers, options):.3f} s")
    with PeakMemory() as memory:
        start = time.perf_counter()
        result = fuse_layers(*layers, **options)
        seconds = time.perf_counter() - start
    beside = (memory.most - memory.before - result.data.nbytes) / 1e6
    print(
        f"{len(result.data)} slices of {result.data.shape[1]}×{result.data.shape[2]} in "
        f"{seconds:.1f} s; peak memory beside the result {beside:.0f} MB"
    )
    for moment in np.random.default_rng(arguments.seed).uniform(0, 0.9 * seconds, 5):
        layers = sample_layers()  # whose statistics are not kept yet
        waited = cancelling(layers, moment, options)
        print(f"cancelled {moment:.1f} s into the run: it ended after {waited:.3f} s")


if __name__ == "__main__":
    main()
