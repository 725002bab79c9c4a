"""The command line on workers: processes of its own, and a cluster's."""

import numpy as np
import pytest
from typer.testing import CliRunner

from napari_gifnet import fuse
from napari_gifnet.cli import app
from napari_gifnet.files.formats import read, write

distributed = pytest.importorskip("distributed")


@pytest.fixture
def pair(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 256, (2, 40, 48), np.uint8)
    write("a.png", a, "YX")
    write("b.png", b, "YX")
    return a, b


def gifnet(*arguments, code=0):
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert done.exit_code == code, (done.output, done.exception)
    return done.stdout if code == 0 else done.stderr


def test_processes_of_its_own(pair):
    told = gifnet("fuse", "a.png", "b.png", "-o", "f.tif", "--model", "pyramid", "--workers", 1)
    assert "pyramid, without a network, on 1 worker of tcp://127.0.0.1" in told
    np.testing.assert_array_equal(read("f.tif").data, fuse(*pair, model="pyramid"))


def test_a_cluster_that_runs(pair):
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address=":0"
    ) as cluster:
        address = cluster.scheduler_address
        told = gifnet(
            "fuse", "a.png", "b.png", "-o", "f.tif", "--model", "mean", "--scheduler", address
        )
    assert f"on 1 worker of {address}" in told
    np.testing.assert_array_equal(read("f.tif").data, fuse(*pair, model="mean"))


def test_no_cluster_is_told_and_leaves_no_file(pair, tmp_path, monkeypatch):
    from napari_gifnet.lazy import cluster

    monkeypatch.setattr(cluster, "CONNECT_S", 0.2)
    given = ["fuse", "a.png", "b.png", "-o", "f.tif", "--model", "mean", "--scheduler"]
    told = gifnet(*given, "tcp://127.0.0.1:9", code=2)
    assert "--scheduler tcp://127.0.0.1:9 does not answer" in told
    assert not (tmp_path / "f.tif").exists()
    assert "were both given" in gifnet(*given, "tcp://h:1", "--workers", 2, code=2)
