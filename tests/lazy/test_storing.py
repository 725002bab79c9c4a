"""Results written part by part, by runs that end early and go on."""

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time

import dask.array as da
import numpy as np
import pytest
import zarr
from scipy.ndimage import gaussian_filter

from napari_gifnet import fuse
from napari_gifnet.backend import Backend
from napari_gifnet.errors import Cancelled, OptionError
from napari_gifnet.lazy import graph, storing, tasks
from napari_gifnet.lazy.areas import Areas
from napari_gifnet.lazy.storing import store_result
from napari_gifnet.planes.job import resolve
from napari_gifnet.planes.request import request_of_arrays

CPU = Backend("cpu", "float32")


def scene(height, width, seed=0):
    noise = gaussian_filter(np.random.default_rng(seed).standard_normal((height, width)), 2)
    return ((noise - noise.min()) / np.ptp(noise) * 900).astype(np.uint16)


@pytest.fixture
def small_parts(monkeypatch):
    areas = Areas((0, 40, 80, 120), (0, 60, 100))
    for module in (graph, storing):
        monkeypatch.setattr(module, "areas_of", lambda rows, columns, _: areas)
    monkeypatch.setattr(storing, "AT_ONCE", 2)


def counted(monkeypatch, name):
    """How often a task is done."""
    calls, task = [], getattr(tasks, name)

    def count(shared, cut, *given):
        calls.append((cut.rows.start, cut.columns.start))
        return task(shared, cut, *given)

    monkeypatch.setattr(tasks, name, count)
    return calls


def test_a_run_that_ended_early_goes_on(small_parts, random_model, tmp_path, monkeypatch):
    a, b = scene(120, 100), scene(120, 100, seed=1)
    expected = fuse(a, b, model=random_model, device="cpu", precision="float32")
    lazy = [da.from_array(x, chunks=(40, 60)) for x in (a, b)]
    job = resolve(request_of_arrays(lazy, ("a", "b")))
    target = zarr.create_array(
        store=tmp_path / "fused.zarr", shape=job.shape, chunks=(40, 60), dtype="f4"
    )
    given = (job, random_model, CPU, target, tmp_path / "record", {"images": ["a", "b"]})
    measured, fused = counted(monkeypatch, "measure_part"), counted(monkeypatch, "fuse_part")

    def stop(done, total):
        if done / total > 0.7:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        store_result(*given, progress=stop)
    assert len(measured) == 12
    half = len(fused)
    assert 0 < half < 6
    seen = []
    store_result(*given, progress=lambda done, total: seen.append(done / total))
    assert len(measured) == 12
    assert len(fused) == 6
    assert len(set(fused)) == 6
    assert seen == sorted(seen)
    assert seen[-1] == 1
    np.testing.assert_allclose(target[:], expected, atol=1e-4)

    again = zarr.create_array(
        store=tmp_path / "again.zarr", shape=job.shape, chunks=(40, 60), dtype="f4"
    )
    store_result(*given[:3], again, tmp_path / "other", {"images": ["a", "b"]})
    np.testing.assert_array_equal(again[:], target[:])
    with pytest.raises(OptionError, match="belongs to a run on other images"):
        store_result(*given[:5], {"images": ["a", "c"]})


KILLED = """
import sys, zarr, numpy as np, dask.array as da
from napari_gifnet.backend import Backend
from napari_gifnet.lazy.storing import store_result
from napari_gifnet.planes.job import resolve
from napari_gifnet.planes.request import request_of_arrays
from pathlib import Path

folder = Path(sys.argv[1])
lazy = [da.from_zarr(folder / name) for name in "ab"]
job = resolve(request_of_arrays(lazy, ("a", "b")))
store_result(
    job, "pyramid", Backend("cpu"), zarr.open_array(folder / "fused"), folder / "record", {},
    progress=lambda done, total: print(done / total, flush=True),
)
"""


def test_a_killed_process_goes_on(tmp_path):
    for seed, name in enumerate("ab"):
        stored = zarr.create_array(
            store=tmp_path / name, shape=(2000, 1500), chunks=(250, 250), dtype="u2"
        )
        stored[:] = scene(2000, 1500, seed)
    fused = zarr.create_array(
        store=tmp_path / "fused", shape=(2000, 1500), chunks=(250, 250), dtype="f4"
    )
    at_once = tmp_path / "at once"
    shutil.copytree(tmp_path, at_once, ignore=lambda *_: ["at once"])
    command = [sys.executable, "-c", textwrap.dedent(KILLED), str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    for line in process.stdout:
        if float(line) > 0.6:
            os.kill(process.pid, signal.SIGKILL)
            break
    process.stdout.close()
    process.wait(30)
    record = tmp_path / "record"
    before = {json.loads(line).get("part") for line in record.read_text().splitlines()} - {None}
    assert 0 < len(before) < 48
    written = {p: p.stat().st_mtime_ns for p in (tmp_path / "fused").rglob("*") if p.is_file()}
    time.sleep(0.02)
    subprocess.run(command, check=True, capture_output=True)
    kept = [p for p, changed in written.items() if p.stat().st_mtime_ns == changed]
    assert len(kept) >= len(before)
    pair = [zarr.open_array(tmp_path / name)[:] for name in "ab"]
    np.testing.assert_allclose(fused[:], fuse(*pair, model="pyramid"), atol=2e-6)
    subprocess.run([*command[:-1], str(at_once)], check=True, capture_output=True)
    np.testing.assert_array_equal(zarr.open_array(at_once / "fused")[:], fused[:])
