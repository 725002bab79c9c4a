"""One run and the next: what progress raises, lack of memory, threads, and older versions of torch."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from napari_gifnet.backend import Backend
from napari_gifnet.engine import GIFNetEngine, gifnet_engine, tile_threads
from napari_gifnet.engine import run as run_module
from napari_gifnet.engine.device import Device, fast_reduced_precision
from napari_gifnet.engine.passes import fuse_pair, no_step
from napari_gifnet.errors import Cancelled
from napari_gifnet.progress import Reporting

META = torch.device("meta")


def planes(side=72):
    return np.random.default_rng(0).random((2, side, side), dtype=np.float32)


class OwnError(Exception):
    pass


class OwnBaseException(BaseException):
    pass


RAISED = [
    RuntimeError("CUDA out of memory"),
    MemoryError(),
    torch.OutOfMemoryError("CUDA out of memory"),
    ValueError("no"),
    Cancelled(),
    KeyboardInterrupt(),
    SystemExit(3),
    OwnError("mine"),
    OwnBaseException("mine"),
]


@pytest.fixture(scope="module")
def engine(random_model):
    return GIFNetEngine(random_model.network, Backend("cpu", "float32", 32))


def run_with(engine, progress):
    list(engine.fuse_planes([planes(40)] * 2, 2, progress))


def gather_with(engine, progress):
    engine.gather_statistics(lambda: [planes(40)] * 2, 2, progress)


@pytest.mark.parametrize("error", RAISED, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("run", [run_with, gather_with])
def test_what_progress_raises_comes_out_as_it_is(engine, error, run):
    calls = []

    def progress(done, total):
        calls.append(done)
        if done == 2:
            raise error

    with pytest.raises(type(error)) as caught:
        run(engine, progress)
    assert caught.value is error
    assert calls == [0, 1, 2]  # and nothing was tried again
    assert engine.tile_size == 32
    assert not engine.notes
    assert not [t.name for t in threading.enumerate() if t.name.startswith("gifnet")]


@pytest.mark.parametrize("error", [*RAISED, StopIteration()], ids=lambda e: type(e).__name__)
@pytest.mark.parametrize("run", [run_with, gather_with])
def test_what_the_report_of_a_whole_run_raises_passes_the_engine(engine, error, run):
    """A generator cannot raise StopIteration; in the disguise of `Reporting` it comes through."""

    def progress(done, total):
        raise error

    with pytest.raises(type(error)) as caught, Reporting(progress) as report:
        run(engine, report)
    assert caught.value is error


def lacking_memory_at_first(monkeypatch, lacks):
    """Let an attempt fail as on a full device where `lacks(pair)`; return the attempts."""
    attempts = []

    def greedy(pair, out, statistics=None, step=no_step):
        attempts.append((pair.network.device.type, pair.tiling.side))
        if lacks(pair):
            raise torch.OutOfMemoryError("out of memory")
        fuse_pair(pair, out, statistics, step)

    monkeypatch.setattr(run_module, "fuse_pair", greedy)
    return attempts


def test_a_run_remembers_that_memory_ran_out_and_the_next_begins_anew(random_model, monkeypatch):
    engine = GIFNetEngine(random_model.network, Backend("cpu", "float32", 72))
    attempts = lacking_memory_at_first(monkeypatch, lambda pair: pair.tiling.side > 40)
    expected = [("cpu", 72), ("cpu", 24), ("cpu", 24)]  # three even tiles of at most 36
    for _ in range(2):
        with pytest.warns(RuntimeWarning, match="going on with tiles of 36 pixels"):
            list(engine.fuse_planes([planes()] * 2, 2))
        assert engine.tile_size == 36
        assert attempts == expected
        attempts.clear()
    assert len(engine.notes) == 2
    monkeypatch.undo()
    list(engine.fuse_planes([planes()], 1))
    assert engine.tile_size == 72


def test_a_run_that_went_on_on_the_cpu_leaves_the_next_one_the_device(random_model, monkeypatch):
    """The meta device stands in for a GPU, which is full."""
    device = Device(META, "stands in")
    monkeypatch.setattr(gifnet_engine, "choose_device", lambda name: device)
    engine = GIFNetEngine(random_model.network, Backend("auto", "float32", 32))
    attempts = lacking_memory_at_first(monkeypatch, lambda pair: pair.network.device == META)
    for _ in range(2):
        with pytest.warns(RuntimeWarning, match="going on on the CPU"):
            fused = list(engine.fuse_planes([planes()] * 2, 2))
        assert [kind for kind, _ in attempts] == ["meta", "cpu", "cpu"]
        assert engine.device.type == "cpu"
        assert engine.device_reason == "the memory of meta did not suffice"
        np.testing.assert_array_equal(*fused)
        attempts.clear()


@pytest.mark.skipif(not torch.backends.openmp.is_available(), reason="needs a torch with OpenMP")
def test_two_runs_at_once_leave_torch_its_cores(random_model, monkeypatch):
    """While a worker is given its share, torch gives that share to any thread that first asks."""
    giving = threading.Event()

    class SlowThread(threading.Thread):
        def start(self):
            giving.set()
            time.sleep(0.3)
            super().start()

    monkeypatch.setattr(tile_threads, "Thread", SlowThread)
    two_tiles = planes(40)[:, :, :32]
    numbers = []

    def run():
        engine = GIFNetEngine(random_model.network, Backend("cpu", "float32", 32))
        list(engine.fuse_planes([two_tiles], 1))
        numbers.append(torch.get_num_threads())

    def run_meanwhile():
        assert giving.wait(30)
        run()

    before = torch.get_num_threads()
    try:
        torch.set_num_threads(4)
        threads = [threading.Thread(target=target) for target in (run, run_meanwhile)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with ThreadPoolExecutor(1) as another:
            numbers.append(another.submit(torch.get_num_threads).result())
        assert [*numbers, torch.get_num_threads()] == [4, 4, 4, 4]
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("able", [False, True])
@pytest.mark.parametrize("name", ["_is_avx512_bf16_supported", "_is_amx_tile_supported"])
def test_the_precision_is_found_with_a_torch_that_has_no_list_of_capabilities(
    monkeypatch, name, able
):
    """`torch.cpu.get_capabilities` is there since 2.11; what was there before is not promised."""
    cpu = torch.device("cpu")
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    for other in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.delattr(torch.cpu, other, raising=False)
    assert fast_reduced_precision(cpu) is None
    monkeypatch.setattr(torch.cpu, name, lambda: able, raising=False)
    assert fast_reduced_precision(cpu) == (torch.bfloat16 if able else None)
