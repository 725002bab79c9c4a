"""From OME-Zarr to OME-Zarr, part by part."""

import numpy as np
import pytest
from typer.testing import CliRunner

from napari_gifnet import fuse
from napari_gifnet.cli import app
from napari_gifnet.errors import Cancelled
from napari_gifnet.files.formats import ImageFile, Length, read, write
from napari_gifnet.files.ome_zarr_parts import unfinished_name

yaozarrs = pytest.importorskip("yaozarrs")
zarr = pytest.importorskip("zarr")


@pytest.fixture
def pair(tmp_path, monkeypatch):
    """Planes of more than one chunk and part, of which one is in colour."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    a = rng.integers(0, 900, (700, 1100), np.uint16)
    b = rng.integers(0, 256, (700, 1100, 3), np.uint8)
    spacing = {axis: Length(0.5, "µm") for axis in "YX"}
    write("a.ome.zarr", a, "YX", like=ImageFile(a, "YX", spacing))
    write("b.ome.zarr", b, "YXS", like=ImageFile(b, "YXS", spacing))
    return a, b


def gifnet(*arguments, code=0):
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert done.exit_code == code, (done.output, done.exception)
    return done.stdout if code == 0 else done.stderr


COMMAND = ("fuse", "a.ome.zarr", "b.ome.zarr", "-o", "out.ome.zarr", "--model", "pyramid")


def test_the_result_is_that_of_a_run_in_memory(pair, tmp_path):
    told = gifnet(*COMMAND, "--dtype", "uint8")
    assert "a" in told
    yaozarrs.validate_zarr_store("out.ome.zarr")
    found = read("out.ome.zarr")
    assert (found.axes, found.spacing["X"]) == ("YXS", Length(0.5, "µm"))
    expected = fuse(*pair, model="pyramid", dtype="uint8")
    assert np.abs(np.asarray(found.data).astype(int) - expected).max() <= 1
    write("memory.ome.zarr", np.asarray(found.data), "YXS", like=found)
    parts, whole = (zarr.open_group(name, mode="r") for name in ("out.ome.zarr", "memory.ome.zarr"))
    assert sorted(parts.array_keys()) == sorted(whole.array_keys())
    for level in whole.array_keys():
        np.testing.assert_array_equal(parts[level][:], whole[level][:])
    assert not unfinished_name(tmp_path / "out.ome.zarr").exists()


def test_a_run_that_was_stopped_goes_on(pair, tmp_path, monkeypatch):
    from napari_gifnet.lazy import storing, tasks

    monkeypatch.setattr(storing, "AT_ONCE", 1)
    made, fuse_part = [], tasks.fuse_part

    def stopping(shared, cut, *given):
        if len(made) == 4:
            raise Cancelled("stopped")
        made.append(cut.rows)
        return fuse_part(shared, cut, *given)

    monkeypatch.setattr(tasks, "fuse_part", stopping)
    gifnet(*COMMAND, code=2)
    assert not (tmp_path / "out.ome.zarr").exists()
    assert unfinished_name(tmp_path / "out.ome.zarr").is_dir()
    told = gifnet(*COMMAND[:-1], "mean", code=2)
    assert "belongs to a run on other images or with other options" in told
    monkeypatch.setattr(tasks, "fuse_part", lambda *given: made.append(1) or fuse_part(*given))
    gifnet(*COMMAND)
    assert len(made) == 6  # parts of 512 × 512
    np.testing.assert_allclose(read("out.ome.zarr").data, fuse(*pair, model="pyramid"), atol=1e-5)
