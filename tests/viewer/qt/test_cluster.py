"""Runs that go to a cluster, whose address is among napari's preferences."""

import os
import subprocess
import sys
import time

import dask.array as da
import numpy as np
import pytest
from napari.utils.notifications import notification_manager

from napari_gifnet import fuse
from napari_gifnet.lazy import cluster as on_cluster

distributed = pytest.importorskip("distributed")


@pytest.fixture(scope="module")
def cluster():
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=":0"
    ) as cluster:
        yield cluster


@pytest.fixture
def choose_cluster(monkeypatch):
    """Write an address into the preferences."""
    from napari.settings import get_plugin_settings

    defaults = get_plugin_settings("napari-gifnet").defaults
    return lambda address: monkeypatch.setattr(defaults, "scheduler", address)


def wait_until_idle(cluster, qtbot):
    with distributed.Client(cluster, set_as_default=False) as client:
        qtbot.waitUntil(
            lambda: not client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks)),
            timeout=60_000,
        )


def messages_since(before):
    return [str(record.message) for record in notification_manager.records[before:]]


def test_a_run_goes_to_the_cluster(
    dock, qtbot, cluster, choose_cluster, run_to_the_end, random_model
):
    """A stack with the statistics of all its planes, of ranges that are found there, too."""
    viewer, widget = dock
    rng = np.random.default_rng(0)
    a, b = rng.random((2, 3, 48, 56), np.float32)
    viewer.add_image(da.from_array(b, chunks=(1, 48, 56)), name="detail", contrast_limits=(0, 1))
    viewer.add_image(a, name="modality", contrast_limits=(0, 1))
    widget.options.intensity.value = "minmax"
    widget.options.precision.value = "float32"
    choose_cluster(cluster.scheduler_address)
    widget.options.interpolation.value = "cubic"
    address = f"Runs on the cluster at {cluster.scheduler_address}."
    qtbot.waitUntil(lambda: address in widget.summary.value, timeout=60_000)
    shares = []
    widget.footer.progress.valueChanged.connect(shares.append)
    run_to_the_end(widget)
    result = viewer.layers[-1]
    named = {"normalization": "stack", "intensity": "minmax", "device": "cpu"}
    expected = fuse(a, b, model=random_model, precision="float32", **named)
    np.testing.assert_allclose(result.data, expected, atol=1e-4)
    record = result.metadata["napari_gifnet"]
    assert record["device_reason"] == f"on 2 workers of {cluster.scheduler_address}"
    assert record["parameters"]["normalization"] == "stack"
    assert len(set(shares)) > 2
    assert widget.result.layer is result
    wait_until_idle(cluster, qtbot)


def test_cancel_leaves_no_layer_and_no_task(
    dock, qtbot, cluster, choose_cluster, add_pair, model_file
):
    viewer, widget = dock
    add_pair(viewer, (40, 96, 96))
    choose_cluster(cluster.scheduler_address)
    qtbot.waitUntil(widget.footer.run_button.isEnabled, timeout=60_000)
    widget.footer.run_button.click()
    qtbot.waitUntil(lambda: widget.footer.progress.value() > 0, timeout=60_000)
    widget.footer.cancel_button.click()
    qtbot.waitUntil(lambda: widget._run is None, timeout=60_000)
    assert [layer.name for layer in viewer.layers] == ["detail", "modality"]
    assert "nothing is left on the cluster" in widget.status.value
    assert widget.footer.run_button.isEnabled()
    wait_until_idle(cluster, qtbot)


def test_a_wrong_address_is_told_in_a_sentence(
    dock, qtbot, choose_cluster, add_pair, run_to_the_end, monkeypatch
):
    monkeypatch.setattr(on_cluster, "CONNECT_S", 0.2)
    viewer, widget = dock
    add_pair(viewer)
    for address in ("tcp://127.0.0.1:9", "nowhere"):
        choose_cluster(address)
        before = len(notification_manager.records)
        run_to_the_end(widget)
        said = f"Scheduler='{address}' does not answer: expected the address of a running dask"
        assert widget.status.value.startswith(said)
        assert any("does not answer" in message for message in messages_since(before))
    choose_cluster("")
    run_to_the_end(widget)
    assert len(viewer.layers) == 3


def test_another_version_is_told_in_a_sentence(
    dock, qtbot, choose_cluster, add_pair, run_to_the_end, tmp_path
):
    info = tmp_path / "napari_gifnet-0.0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: napari-gifnet\nVersion: 0.0.1\n")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    viewer, widget = dock
    add_pair(viewer)
    with distributed.LocalCluster(n_workers=0, dashboard_address=":0") as empty:
        choose_cluster(empty.scheduler_address)
        run_to_the_end(widget)
        assert "has no workers: start some" in widget.status.value
        old = subprocess.Popen(
            [sys.executable, "-m", "distributed.cli.dask_worker", empty.scheduler_address]
            + ["--nthreads", "1", "--no-dashboard", "--no-nanny"],
            env=os.environ | {"PYTHONPATH": path},
            stderr=subprocess.DEVNULL,
        )
        try:
            end = time.monotonic() + 60
            while not empty.scheduler.workers:
                assert time.monotonic() < end
                qtbot.wait(50)
            run_to_the_end(widget)
            assert "has napari-gifnet 0.0.1, and this computer" in widget.status.value
            assert widget.status.value.endswith("install one version on both.")
        finally:
            old.terminate()
            old.wait(20)
    assert [layer.name for layer in viewer.layers] == ["detail", "modality"]
