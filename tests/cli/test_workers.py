"""The command line on workers: processes of its own, and a cluster's."""

import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from typer.testing import CliRunner

from napari_gifnet import fuse
from napari_gifnet.cli import app
from napari_gifnet.files.formats import read, write

distributed = pytest.importorskip("distributed")
psutil = pytest.importorskip("psutil")  # which distributed needs


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


@pytest.fixture
def start(pair, tmp_path):
    """Start a fusion of 1,500² by a worker in a terminal; return the process and what is drawn."""
    pty = pytest.importorskip("pty")
    pytest.importorskip("zarr")
    import fcntl
    import struct
    import termios

    rng = np.random.default_rng(0)
    for name in ("c.ome.zarr", "d.ome.zarr"):
        write(name, rng.integers(0, 256, (1500, 1500), np.uint8), "YX")
    opened = []

    def run(model="gifnet-bands"):
        terminal, other_end = pty.openpty()
        fcntl.ioctl(other_end, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 120, 0, 0))
        command = [sys.executable, "-m", "napari_gifnet", "fuse", "c.ome.zarr", "d.ome.zarr"]
        process = subprocess.Popen(
            [*command, "-o", "f.tif", "--model", model, "--workers", "1"],
            stdin=other_end,
            stdout=other_end,
            stderr=other_end,
            env=os.environ | {"TERM": "xterm"},
            start_new_session=True,
            # a suite that runs in the background hands on that interrupts are ignored
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        os.close(other_end)
        opened.append(terminal)

        def drawn():
            while True:
                try:
                    said = os.read(terminal, 65536)
                except OSError:  # the process has ended
                    return
                if not said:
                    return
                yield re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", said.decode(errors="replace"))

        return process, drawn()

    yield run
    for terminal in opened:
        os.close(terminal)


def test_the_clusters_progress_is_drawn_in_a_terminal(start):
    process, drawn = start()
    text = "".join(drawn)
    assert process.wait(60) == 0
    assert "Fusing on 1 worker" in text
    shares = [
        int(share) for share in re.findall(r"(\d+)%", text.partition("Fusing on 1 worker")[2])
    ]
    assert shares == sorted(shares)
    assert len(set(shares)) > 2
    assert "on 1 worker of tcp://127.0.0.1" in text


def in_group(process, group):
    """Whether a process lives on in a group; one that has ended may wait to be noticed."""
    try:
        return os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE
    except (ProcessLookupError, psutil.NoSuchProcess):
        return False


def test_an_interrupt_leaves_no_file_and_no_process(start, tmp_path):
    process, drawn = start("gifnet")  # which takes long enough to be stopped
    before = set(tmp_path.iterdir())
    for text in drawn:
        if "Fusing on 1 worker" in text:
            process.send_signal(signal.SIGINT)
            break
    text = "".join(drawn)
    assert process.wait(60) != 0
    assert "Traceback" not in text
    assert set(tmp_path.iterdir()) == before
    end = time.monotonic() + 30
    while living := [each for each in psutil.process_iter() if in_group(each, process.pid)]:
        assert time.monotonic() < end, living
        time.sleep(0.1)
