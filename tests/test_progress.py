"""Progress of runs: what a callback raises comes out as it is, and True draws a bar."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from napari.layers import Image

from napari_gifnet import Cancelled, enhance, fuse
from napari_gifnet.errors import OptionError
from napari_gifnet.progress import Reporting
from napari_gifnet.viewer import fuse_layers


class OwnError(Exception):
    pass


class OwnBaseException(BaseException):
    pass


RAISED = [
    RuntimeError("mine"),
    MemoryError("mine"),
    torch.OutOfMemoryError("CUDA out of memory, says the callback"),
    ValueError("mine"),
    StopIteration("mine"),
    Cancelled("mine"),
    KeyboardInterrupt(),
    SystemExit(3),
    OwnError("mine"),
    OwnBaseException("mine"),
    GeneratorExit(),
]


def stack(seed, count=3):
    return np.random.default_rng(seed).random((count, 13, 18), np.float32)


def layers():
    a = Image(stack(0), name="A", contrast_limits=(0, 1))
    b = Image(stack(1), name="B", contrast_limits=(0, 1), translate=(0, 0.5, 0))
    return a, b


@pytest.mark.parametrize("at", [1, 4])
@pytest.mark.parametrize("error", RAISED, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("model", ["random", "pyramid"])
def test_what_progress_raises_comes_out_as_it_is(random_model, model, error, at):
    calls = []

    def progress(done, total):
        calls.append((done, total))
        if len(calls) == at:
            raise error

    options = {"model": random_model if model == "random" else model, "progress": progress}
    for run in (
        lambda: fuse(stack(0), stack(1), **options),
        lambda: fuse(stack(0), stack(1), normalization="stack", tile_size=16, **options),
        lambda: enhance(stack(0), **options),
        lambda: fuse_layers(*layers(), **options),
    ):
        calls.clear()
        with pytest.raises(type(error)) as caught:
            run()
        assert caught.value is error
        assert len(calls) == at  # it stopped there, and nothing was tried again


def test_nested_reports_raise_once_and_at_the_outermost():
    error = StopIteration()

    def raising(done, total):
        raise error

    reached = []

    def run():
        with Reporting(raising) as outer:
            with Reporting(outer) as inner:
                try:
                    inner(1, 2)
                except Exception:
                    reached.append("a handler between")
            reached.append("behind the inner block")

    with pytest.raises(StopIteration) as caught:
        run()
    assert caught.value is error
    assert reached == []


def test_layers_on_other_grids_report_from_the_first_plane_on(random_model):
    seen = []
    fuse_layers(
        *layers(), model=random_model, progress=lambda done, total: seen.append(done / total)
    )
    assert seen == sorted(seen)
    assert (seen[0], seen[-1]) == (0, 1)
    assert len(seen) > 6


def test_true_draws_a_bar(capsys):
    fuse(stack(0), stack(1), model="mean", progress=True)
    bar = capsys.readouterr().err
    assert "GIFNet" in bar
    assert "3/3" in bar


def test_a_bar_goes_when_the_run_fails(capsys):
    with pytest.raises(ValueError, match="no finite"):
        fuse(stack(0), np.full((13, 18), np.nan), intensity="dtype", model="mean", progress=True)
    assert capsys.readouterr().err.rstrip(" \r")[-1:] in ("", "]", "\r")


def test_no_bar_unless_it_is_asked_for():
    code = (
        "import numpy as np; from napari_gifnet import fuse; "
        "fuse(np.eye(9), np.eye(9), model='mean', progress=False); print('done')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("done\n", "")


@pytest.mark.parametrize("nonsense", ["yes", 1, object()])
def test_what_cannot_be_called_is_refused(nonsense):
    with pytest.raises(OptionError, match="cannot be called: expected a function"):
        fuse(stack(0), stack(1), model="mean", progress=nonsense)
