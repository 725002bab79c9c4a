"""``gifnet fuse`` of many planes: files of a plane each, or one file that holds the stack."""

import numpy as np
import pytest
from typer.testing import CliRunner

from napari_gifnet import fuse_stack
from napari_gifnet.cli import app
from napari_gifnet.files.formats import Length, read, write

COUNT, HEIGHT, WIDTH = 4, 40, 48


def gifnet(*arguments, code=0):
    """Run the command line; return what it printed."""
    done = CliRunner().invoke(app, ["fuse", *map(str, arguments)])
    assert done.exit_code == code, (done.output, done.exception)
    return done.stdout if code == 0 else done.stderr


@pytest.fixture
def model(random_bands, tmp_path):
    from safetensors.torch import save_file

    path = tmp_path / "bands.safetensors"
    save_file(random_bands.network.state_dict(), path)
    return ["--model", path, "--precision", "float32"]


@pytest.fixture
def planes(tmp_path, monkeypatch):
    """Planes as files of their own, and together in one, 20 µm apart."""
    monkeypatch.chdir(tmp_path)
    stack = np.random.default_rng(0).integers(0, 256, (COUNT, HEIGHT, WIDTH), np.uint8)
    for k, plane in enumerate(stack):
        write(f"plane{k}.png", plane, "YX")
    sizes = {"Z": Length(20, "µm"), "Y": Length(2, "µm"), "X": Length(2, "µm")}
    write("stack.tif", stack, "ZYX", spacing=sizes)
    write("movie.tif", np.stack([stack, stack[::-1]]), "TZYX")
    return stack


def test_a_file_for_each_plane(planes, model):
    files = [f"plane{k}.png" for k in range(COUNT)]
    said = gifnet(*files, "-o", "flat.tif", "--task", "multi_focus", "--height", "h.tif", *model)
    assert "all 4 0 to 255; gray; model" in said
    assert "h.tif: height in planes, counted from 0" in said
    fused, index = fuse_stack(planes, model=str(model[1]), precision="float32", return_index=True)
    np.testing.assert_array_equal(read("flat.tif").data, fused)
    np.testing.assert_array_equal(read("h.tif").data, index)


def test_one_file_that_holds_the_stack(planes, model):
    said = gifnet(
        "stack.tif",
        "-o",
        "flat.tif",
        "--dtype",
        "uint8",
        "--task",
        "multi_focus",
        "--height",
        "h.tif",
        *model,
    )
    assert "height in µm, from the first plane on" in said
    height = read("h.tif")
    assert height.axes == "YX"
    assert height.spacing["X"] == (2, "µm")
    _, index = fuse_stack(planes, model=str(model[1]), precision="float32", return_index=True)
    np.testing.assert_allclose(height.data, 20 * index, atol=1e-3)
    flat = read("flat.tif")
    assert flat.data.dtype == np.uint8
    assert flat.spacing["Y"] == (2, "µm")


def test_the_axis_of_a_file_with_several(planes, model):
    gifnet("movie.tif", "-o", "flat.tif", *model)
    flat = read("flat.tif")
    assert (flat.axes, flat.data.shape) == ("TYX", (2, HEIGHT, WIDTH))
    gifnet("movie.tif", "-o", "still.tif", "--axis", "t", "--task", "multi_exposure", *model)
    assert read("still.tif").axes == "ZYX"


def test_methods_and_models_of_two(planes, random_model, tmp_path):
    from safetensors.torch import save_file

    files = [f"plane{k}.png" for k in range(COUNT)]
    assert "mean, without a network" in gifnet(*files, "-o", "mean.tif", "--model", "mean")
    np.testing.assert_allclose(read("mean.tif").data, planes.mean(axis=0) / 255, atol=1e-5)
    path = tmp_path / "pairs.safetensors"
    save_file(random_model.network.state_dict(), path)
    gifnet(*files, "-o", "tree.tif", "--model", path)
    refused = gifnet(*files, "-o", "x.tif", "--height", "h.tif", "--model", path, code=2)
    assert "expected a model that weighs planes" in refused


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("plane0.png -o f.tif", "plane0.png holds one plane: expected two images or more"),
        ("movie.tif -o f.tif --axis C", "--axis C is none of movie.tif, which has the axes TZYX"),
        ("stack.tif -o f.tif --height h.png", "h.png: a PNG file cannot hold float32"),
        ("stack.tif -o f.tif --height f.tif --overwrite", "is one of the images that are read"),
        ("stack.tif -o f.tif --height no/h.tif", "The folder no does not exist"),
        (
            "stack.tif -o f.tif --height h.tif --task multi_exposure",
            "of exposures every plane has a share",
        ),
        ("plane0.png plane1.png -o f.png --height h.tif", "--height is of a stack"),
        ("plane0.png plane1.png small.png -o f.tif", "expected planes of one size"),
        ("movie.tif -o f.png", "f.png: a PNG file holds one plane"),
    ],
)
def test_mistakes_are_told_in_a_sentence_and_leave_nothing(planes, line, sentence, tmp_path):
    write("small.png", planes[0][:-1], "YX")
    if "--overwrite" in line:
        write("f.tif", planes[0], "YX")
    before = sorted(tmp_path.iterdir())
    error = gifnet(*line.split(), "--model", "mean", code=2)
    assert sentence in error
    assert error.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == before
