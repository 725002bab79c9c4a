"""Models for other programs: what onnxruntime computes, and bioimage.io's own validator."""

import shutil
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from napari_gifnet import load_model
from napari_gifnet.cli import app
from napari_gifnet.errors import GIFNetError, MissingDependencyError
from napari_gifnet.exchange import export_model
from napari_gifnet.files.image_file import FileError
from napari_gifnet.models import locate_weights

onnxruntime = pytest.importorskip("onnxruntime", reason="what computes exported models is missing")

SIZES = [(64, 96), (97, 61), (5, 7), (33, 200), (1, 50)]


def session(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A session for a task, or for none, of the weights that ship."""
    folder, made = tmp_path_factory.mktemp("exported"), {}

    def of(task):
        if task not in made:
            path = folder / f"{task}.onnx"
            export_model("gifnet-bands", path, task=task)
            made[task] = session(path)
        return made[task]

    return of


def scene(count, height, width):
    """Planes whose index is sure: of each pixel one plane has the detail."""
    rng = np.random.default_rng([count, height, width])
    planes = 0.5 + 0.02 * rng.standard_normal((count, height, width))
    of = rng.integers(0, count, (height, width))
    planes += 0.4 * (rng.random((height, width)) - 0.5) * (np.arange(count)[:, None, None] == of)
    return np.clip(planes, 0, 1).astype(np.float32)[None]


@pytest.mark.parametrize("count", [2, 3, 9])
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("task", [None, "multi_focus"])
def test_onnx_computes_what_the_network_does(exported, task, size, count):
    planes = scene(count, *size)
    network = load_model("gifnet-bands").network
    with torch.inference_mode():
        expected = network(torch.from_numpy(planes), task)
    plane, index = exported(task).run(None, {"planes": planes})
    assert plane.shape == index.shape == (1, 1, *size)
    np.testing.assert_allclose(plane, expected.plane.clamp(0, 1), rtol=0, atol=1e-4)
    np.testing.assert_allclose(index, expected.index, rtol=0, atol=1e-4 * count)


def test_a_task_makes_a_difference(exported):
    planes = scene(3, 64, 96)
    named, unnamed = (exported(t).run(None, {"planes": planes})[0] for t in ("multi_focus", None))
    assert np.abs(named - unnamed).max() > 1e-3


def test_the_file_says_which_weights_it_holds(exported):
    facts = exported("multi_focus").get_modelmeta().custom_metadata_map
    model = load_model("gifnet-bands")
    assert facts["name"] == "gifnet-bands"
    assert facts["sha256"] == model.sha256
    assert facts["task"] == "multi_focus"
    assert facts["licence"].startswith("BSD-3-Clause")


VALIDATED = """
import sys
from bioimageio.core import test_model
from napari_gifnet.exchange import export_model

export_model(sys.argv[2], sys.argv[1])
summary = test_model(sys.argv[1])
print(summary.status, [(d.name, d.errors) for d in summary.details if d.status == "failed"])
"""


def test_the_package_passes_the_validator_of_bioimage_io(tmp_path):
    """In a process of its own: it leaves files open. The weights have a name that the zoo does not take."""
    pytest.importorskip("bioimageio.core", reason="bioimage.io's validator is missing")
    path, weights = tmp_path / "bands.zip", tmp_path / "my.model, 2 µ.safetensors"
    shutil.copy(locate_weights("gifnet-bands"), weights)
    done = subprocess.run(
        [sys.executable, "-c", VALIDATED, str(path), str(weights)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "passed []"
    with zipfile.ZipFile(path) as file:
        assert {"network.onnx", "README.md", "cover.png"} <= {*file.namelist()}


@pytest.mark.parametrize(
    ("model", "name", "options", "says"),
    [
        ("gifnet-bands", "a.pt", {}, "ends in .pt: expected .onnx"),
        ("gifnet", "a.onnx", {}, "expected weights of the band network"),
        ("gifnet-bands", "a.onnx", {"task": "focus"}, "'focus' is unknown: expected one of"),
        ("no-model", "a.onnx", {}, "There is no model 'no-model'"),
        ("gifnet-bands", "nowhere/a.onnx", {}, "does not exist: make it first"),
    ],
)
def test_what_cannot_be_written_is_said(tmp_path, model, name, options, says):
    with pytest.raises(GIFNetError, match=says):
        export_model(model, tmp_path / name, **options)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(("package", "name"), [("onnx", "a.onnx"), ("bioimageio.spec", "a.zip")])
def test_what_is_missing_is_said_with_the_command_that_installs_it(
    tmp_path, monkeypatch, package, name
):
    for module in [m for m in sys.modules if m.startswith("napari_gifnet.exchange.")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'napari-gifnet\[exchange\]'"):
        export_model("gifnet-bands", tmp_path / name)
    assert not any(tmp_path.iterdir())


def test_a_file_that_is_there_stays(tmp_path):
    path = tmp_path / "a.onnx"
    path.write_text("mine")
    with pytest.raises(FileError, match="exists already"):
        export_model("gifnet-bands", path)
    assert path.read_text() == "mine"
    export_model("gifnet-bands", path, overwrite=True)
    assert session(path).get_inputs()[0].name == "planes"


def test_the_shell_exports(tmp_path):
    path = tmp_path / "focus.onnx"
    command = ["export", "gifnet-bands", "--task", "multi_focus", "-o", str(path)]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert session(path).get_outputs()[1].name == "index"
