"""Planes larger than memory, in chunks and on workers: ``python benchmarks/chunks.py``.

Pairs of planes are written in chunks to a folder, fused from there into another, and compared with what
a run in memory gives of a crop across chunk borders. Each run has processes of its own, whose largest
peak of memory is told.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from speed import machine, peak_memory


def texture(rows, columns, seed):
    """A part of an endless textured plane in [0, 1]: waves at many scales, and noise."""
    y, x = np.mgrid[rows, columns].astype(np.float32)
    rng = np.random.default_rng(seed)
    total = np.zeros(y.shape, np.float32)
    for _ in range(12):
        length, turn, phase = rng.uniform(4, 400), rng.uniform(0, np.pi), rng.uniform(0, 6.3)
        total += np.sin((np.cos(turn) * x + np.sin(turn) * y) * (6.28 / length) + phase)
    noise = np.random.default_rng([seed, rows.start, columns.start]).random(y.shape, np.float32)
    return np.clip(0.5 + total / 18 + 0.1 * (noise - 0.5), 0, 1)


def write_plane(path, side, chunk, seed):
    """Write a plane of uint16 chunk by chunk; what is there already is kept."""
    import zarr

    if Path(path, "done").exists():
        return
    array = zarr.create_array(
        store=path, shape=(side, side), chunks=(chunk, chunk), dtype="uint16", overwrite=True
    )
    for top in range(0, side, chunk):
        for left in range(0, side, chunk):
            rows = slice(top, min(top + chunk, side))
            columns = slice(left, min(left + chunk, side))
            array[rows, columns] = np.rint(65535 * texture(rows, columns, seed)).astype(np.uint16)
    Path(path, "done").touch()


def fuse_stored(folder, model, side, chunk, workers, out):
    """Fuse a stored pair into a stored plane; seconds and the largest peak of memory, in bytes."""
    import dask
    import dask.array as da
    import distributed
    import zarr

    from napari_gifnet import fuse

    pair = [da.from_zarr(str(Path(folder, f"{name}{side}"))) for name in "ab"]
    fused = fuse(*pair, model=model, device="cpu", dtype="uint16", intensity="minmax")
    stored = zarr.create_array(
        store=out, shape=fused.shape, chunks=(chunk, chunk), dtype="uint16", overwrite=True
    )
    start = time.perf_counter()
    storing = da.store(fused, stored, lock=False, compute=False)
    if not workers:
        with dask.config.set(scheduler="threads", num_workers=2):
            storing.compute()
        return {"seconds": time.perf_counter() - start, "peaks": [peak_memory()]}
    with (
        distributed.LocalCluster(
            n_workers=workers, threads_per_worker=1, dashboard_address=":0"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):  # torch has a thread a worker, too
        start = time.perf_counter()
        client.compute(storing).result()
        seconds = time.perf_counter() - start
        peaks = list(client.run(peak_of_process).values())
    return {"seconds": seconds, "peaks": [peak_memory(), *peaks]}


def peak_of_process():
    """The peak of a worker's resident memory in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def compare_crop(folder, model, side, chunk, out):
    """The largest difference to a run in memory in [0, 1], around the first corner of four chunks."""
    import zarr

    from napari_gifnet import fuse

    reach, margin = 200, 320
    planes = [zarr.open_array(str(Path(folder, f"{name}{side}")), mode="r") for name in "ab"]
    limits = [(0.0, 65535.0)] * 2
    start = (chunk - reach - margin) // 32 * 32
    box = slice(max(0, start), min(side, chunk + reach + margin))
    if model == "gifnet":  # its statistics are those of the whole plane
        box = slice(0, side)
    cuts = [np.asarray(plane[box, box]) for plane in planes]
    limits = tuple(extremes(plane, chunk) for plane in planes)
    made = fuse(*cuts, model=model, device="cpu", intensity=limits)
    inner = slice(chunk - reach - box.start, min(side, chunk + reach) - box.start)
    stored = np.asarray(zarr.open_array(out, mode="r")[chunk - reach : chunk + reach] / 65535)
    return float(np.abs(made[inner, inner] - stored[:, chunk - reach : chunk + reach]).max())


def extremes(plane, chunk):
    """The smallest and the largest value of a stored plane."""
    rows = [np.asarray(plane[top : top + chunk]) for top in range(0, plane.shape[0], chunk)]
    return float(min(r.min() for r in rows)), float(max(r.max() for r in rows))


def graph_of(along, model):
    """A lazy result of so many chunks along each side, a task a chunk, however small they are."""
    import dask.array as da

    from napari_gifnet import fuse
    from napari_gifnet.lazy import areas, graph

    graph.areas_of = lambda rows, columns, _: areas.Areas(
        np.cumsum([0, *rows]).tolist(), np.cumsum([0, *columns]).tolist()
    )
    a = da.zeros((along * 256, along * 256), chunks=256, dtype=np.float32)
    return fuse(a, a, model=model, device="cpu", intensity="dtype")


def build_graph(model, along):
    """Seconds and memory to build a graph of many chunks, and to count its tasks."""
    graph_of(2, model)
    before, start = peak_memory(), time.perf_counter()
    fused = graph_of(along, model)
    built = time.perf_counter() - start
    tasks = len(fused.__dask_graph__())
    counted = time.perf_counter() - start
    memory = (peak_memory() - before) / 1e9
    chunks = fused.npartitions
    return {"chunks": chunks, "tasks": tasks, "built": built, "counted": counted, "memory": memory}


def run_graph(model, along):
    """Seconds to run a graph in one thread, of results that are thrown away."""
    import dask

    fused = graph_of(along, model)
    start = time.perf_counter()
    with dask.config.set(scheduler="synchronous"):
        fused.map_blocks(lambda block: block[:1, :1], chunks=(1, 1)).compute()
    return {"chunks": fused.npartitions, "seconds": time.perf_counter() - start}


ONE = {"fuse": fuse_stored, "crop": compare_crop, "graph": build_graph, "run": run_graph}


def in_own_process(name, *arguments):
    """What one of `ONE` returns in a fresh process."""
    command = [sys.executable, __file__, "--one", name, json.dumps(arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def fuse_row(folder, model, side, chunk, workers, crop):
    """Print a row of the table of runs."""
    out = str(Path(folder, f"fused-{model}-{side}-{workers}"))
    for seed, name in enumerate("ab"):
        write_plane(str(Path(folder, f"{name}{side}")), side, chunk, seed)
    found = in_own_process("fuse", folder, model, side, chunk, workers, out)
    apart = f"{in_own_process('crop', folder, model, side, chunk, out):.1e}" if crop else ""
    how = f"{workers} × 1" if workers else "in one process"
    print(
        f"| {model} | {side}² | {chunk} | {how} | {found['seconds']:.1f} | "
        f"{side**2 / 1e6 / found['seconds']:.2f} | {max(found['peaks']) / 1e9:.2f} | {apart} |",
        flush=True,
    )
    return found["seconds"]


def main():
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--one", nargs=2, metavar=("NAME", "ARGUMENTS"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", help="where the planes are written; a temporary one by default")
    parser.add_argument("--bands", type=int, default=12_000, metavar="SIDE", help="0 for none")
    parser.add_argument("--gifnet", type=int, default=5_000, metavar="SIDE", help="0 for none")
    parser.add_argument(
        "--scaling", type=int, nargs=2, default=(6_144, 1_536), metavar=("BANDS", "GIFNET")
    )
    parser.add_argument("--graph", type=int, default=317, metavar="CHUNKS", help="along a side")
    options = parser.parse_args()
    if options.one:
        name, arguments = options.one
        print(json.dumps(ONE[name](*json.loads(arguments))))
        return
    print(f"Machine: {machine('cpu')}.\n")
    if options.graph:
        for model in ("gifnet-bands", "gifnet"):
            found = in_own_process("graph", model, options.graph)
            print(
                "{model}: {chunks} chunks, {tasks} tasks, built in {built:.1f} s, counted after "
                "{counted:.1f} s; {memory:.2f} GB.".format(model=model, **found),
                flush=True,
            )
        found = in_own_process("run", "pyramid", 32)
        print("pyramid: {chunks} chunks run in {seconds:.1f} s.\n".format(**found), flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or temporary
        print("| model | plane | chunk | workers × threads | s | Mpx/s | peak, GB | apart |")
        print("|---|---|---|---|---|---|---|---|")
        for model, side, of_scaling in (
            ("gifnet-bands", options.bands, options.scaling[0]),
            ("gifnet", options.gifnet, options.scaling[1]),
        ):
            if of_scaling:
                chunk = 2048 if model == "gifnet-bands" else 512
                one, two = (fuse_row(folder, model, of_scaling, chunk, n, False) for n in (1, 2))
                print(f"\n{model}: efficiency of two workers {one / two / 2:.0%}\n", flush=True)
            if side:
                fuse_row(folder, model, side, 2048, 2, True)


if __name__ == "__main__":
    main()
