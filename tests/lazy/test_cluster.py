"""The same graphs on processes, which may die, be too old, or be told to stop."""

import os
import subprocess
import sys
import time

import dask.array as da
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from napari_gifnet import fuse
from napari_gifnet.errors import Cancelled, ImageError, OptionError
from napari_gifnet.lazy import graph, tasks
from napari_gifnet.lazy.areas import Areas
from napari_gifnet.lazy.cluster import check_workers, compute_on, open_cluster

pytest.importorskip("distributed")
cloudpickle = pytest.importorskip("cloudpickle")


@pytest.fixture(scope="module")
def client():
    with open_cluster(workers=2) as client:
        yield client


@pytest.fixture
def small_areas(monkeypatch):
    """Parts of planes of 120 × 150, as chunks: small chunks are computed together otherwise."""
    areas = Areas((0, 56, 120), (0, 70, 150))
    monkeypatch.setattr(graph, "areas_of", lambda rows, columns, _: areas)
    return (56, 64), (70, 80)


def scene(height, width, seed=0):
    noise = gaussian_filter(np.random.default_rng(seed).standard_normal((height, width)), 2)
    return ((noise - noise.min()) / np.ptp(noise)).astype(np.float32)


def wait_until_idle(client, seconds=60):
    """Until the scheduler knows of no task any more."""
    end = time.monotonic() + seconds
    while client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks)):
        assert time.monotonic() < end
        time.sleep(0.1)


def options(model):
    return {"model": model, "device": "cpu", "precision": "float32", "intensity": "minmax"}


def test_bands_on_processes_threads_and_in_one_piece(client):
    """The weights that ship are read by each worker; one image is sent along."""
    a, b = scene(1500, 1500), scene(1500, 1500, seed=1)
    named = options("gifnet-bands")
    whole = fuse(a, b, **named)
    fused = fuse(da.from_array(a, chunks=(600, 1024)), b, **named)
    assert fused.chunks == ((600, 600, 300), (1024, 476))
    seen = []
    (made,) = compute_on(client, [fused], lambda done, total: seen.append((done, total)))
    np.testing.assert_allclose(made, whole, atol=1e-5, rtol=0)
    np.testing.assert_array_equal(fused.compute(scheduler="threads"), made)
    assert seen[0][0] == 0
    assert seen[-1][0] == seen[-1][1] >= 6
    assert seen == sorted(seen)
    wait_until_idle(client)


def killing(client):
    """Return a report that kills a worker when half is done, and which it killed."""
    killed = []

    def report(done, total):
        if done >= total // 2 and not killed:
            killed.append(client.submit(os.getpid, pure=False).result())
            os.kill(killed[0], 9)

    return report, killed


def test_gifnet_on_processes_threads_and_in_one_piece(client, random_model, small_areas):
    a, b = scene(120, 150), scene(120, 150, seed=1)
    named = options(random_model)
    fused = fuse(da.from_array(a, chunks=small_areas), da.from_array(b, chunks=50), **named)
    (made,) = compute_on(client, [fused])
    np.testing.assert_allclose(made, fuse(a, b, **named), atol=1e-4, rtol=0)
    here = fused.compute(scheduler="threads")
    np.testing.assert_allclose(made, here, atol=1e-5, rtol=0)  # sums over other numbers of cores
    wait_until_idle(client)


@pytest.fixture(scope="module")
def large_pair():
    return [da.from_array(scene(1500, 1500, seed), chunks=750) for seed in range(2)]


@pytest.fixture(scope="module")
def large_whole(random_model, large_pair):
    """What `gifnet` makes of the pair in one piece."""
    return fuse(*(each.compute() for each in large_pair), **options(random_model))


@pytest.mark.timeout(900)  # on a busy computer
def test_gifnet_of_1500_pixels_goes_on_when_a_worker_is_killed(
    client, random_model, large_pair, large_whole
):
    fused = fuse(*large_pair, **options(random_model))
    report, killed = killing(client)
    (made,) = compute_on(client, [fused], report)
    assert killed
    np.testing.assert_allclose(made, large_whole, atol=1e-4, rtol=0)
    wait_until_idle(client)


@pytest.mark.timeout(900)
def test_gifnet_of_1500_pixels_on_threads(random_model, large_pair, large_whole):
    here = fuse(*large_pair, **options(random_model)).compute(scheduler="threads")
    np.testing.assert_allclose(here, large_whole, atol=1e-4, rtol=0)


def test_bands_go_on_when_a_worker_is_killed(client):
    a, b = scene(1500, 1500), scene(1500, 1500, seed=1)
    named = options("gifnet-bands")
    fused = fuse(da.from_array(a, chunks=500), b, **named)
    report, killed = killing(client)
    (made,) = compute_on(client, [fused], report)
    assert killed
    np.testing.assert_allclose(made, fuse(a, b, **named), atol=1e-5, rtol=0)
    wait_until_idle(client)


def test_models_are_sent_once_a_worker(client, random_model, small_areas):
    """Weights that do not ship travel as the result of one task, and are unpacked once."""
    client.wait_for_workers(2, timeout=60)

    def forget():
        for cache in (tasks._opened, tasks._last_fuser):
            cache.cache_clear()

    def counts():
        return [tasks._opened.cache_info(), tasks._last_fuser.cache_info()]

    client.run(forget)
    a, b = scene(120, 150), scene(120, 150, seed=1)
    named = options(random_model)
    fused = fuse(da.from_array(a, chunks=small_areas), da.from_array(b, chunks=50), **named)
    compute_on(client, [fused])
    found = list(client.run(counts).values())
    for of_all in zip(*found, strict=True):
        assert max(info.misses for info in of_all) == 1
        assert sum(info.hits + info.misses for info in of_all) >= 12  # 4 parts, 3 passes
    graph_of = fused.__dask_graph__()
    shared = [name for name in graph_of.layers if name.startswith("gifnet-shared")]
    weights = sum(p.nbytes for p in random_model.network.parameters())
    sizes = {name: len(cloudpickle.dumps(dict(layer))) for name, layer in graph_of.layers.items()}
    assert len(shared) == 1
    assert sizes.pop(shared[0]) > weights
    assert sum(sizes.values()) < weights / 2


def test_cancel_leaves_no_task(client):
    a = scene(1500, 1500)
    fused = fuse(da.from_array(a, chunks=300), a, model="gifnet-bands", device="cpu")

    def stop(done, total):
        if done:
            raise Cancelled("enough")

    with pytest.raises(Cancelled, match="enough"):
        compute_on(client, [fused], stop)
    wait_until_idle(client)


def test_errors_are_those_of_a_run_here(client):
    b = np.ones((40, 40), np.float32)
    fused = fuse(da.full((40, 40), np.nan, chunks=20), b, model="mean")
    with pytest.raises(ImageError, match="a has no finite pixel"):
        compute_on(client, [fused])


def test_a_worker_with_another_version_is_refused(client, tmp_path):
    info = tmp_path / "napari_gifnet-0.0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: napari-gifnet\nVersion: 0.0.1\n")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    old = subprocess.Popen(
        [sys.executable, "-m", "distributed.cli.dask_worker", client.scheduler.address]
        + ["--nthreads", "1", "--no-dashboard", "--name", "old", "--no-nanny"],
        env=os.environ | {"PYTHONPATH": path},
        stderr=subprocess.DEVNULL,
    )
    try:
        client.wait_for_workers(3, timeout=60)
        with pytest.raises(OptionError, match=r"has napari-gifnet 0\.0\.1, and this computer"):
            check_workers(client)
        (address,) = [
            w for w, facts in client.scheduler_info()["workers"].items() if facts["id"] == "old"
        ]
        fused = fuse(da.ones((20, 20), chunks=10), np.ones((20, 20)), model="mean")
        (future,) = client.compute([fused], workers=[address], allow_other_workers=False)
        with pytest.raises(OptionError, match=r"A worker has napari-gifnet 0\.0\.1, and the"):
            future.result(timeout=60)
    finally:
        old.terminate()
        old.wait(20)


def test_what_is_no_cluster_is_told_what_is_expected(monkeypatch):
    from napari_gifnet.lazy import cluster

    monkeypatch.setattr(cluster, "CONNECT_S", 0.2)
    with pytest.raises(OptionError, match="does not answer"), open_cluster("tcp://127.0.0.1:9"):
        pass
    with pytest.raises(OptionError, match="both given"), open_cluster("tcp://a:1", 2):
        pass
    with pytest.raises(OptionError, match="from 1 on"), open_cluster(workers=0):
        pass
