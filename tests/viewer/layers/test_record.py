"""The record in a result's metadata, and the code made of it, which is executed."""

import importlib.metadata
import json
import shlex

import numpy as np
import PIL.Image
import pytest
import tifffile
import torch
from napari.components import ViewerModel
from napari.layers import Image, Shapes
from napari.layers._source import layer_source
from safetensors.torch import save_file
from typer.testing import CliRunner

from napari_gifnet.cli import app
from napari_gifnet.errors import GIFNetError, OptionError
from napari_gifnet.files.formats import Length, read, write
from napari_gifnet.models import load_model
from napari_gifnet.viewer import enhance_layer, fuse_layers
from napari_gifnet.viewer.layers.recipes import as_command, as_python, why_no_command

HEIGHT, WIDTH = 13, 18


@pytest.fixture(scope="module")
def checkpoint(random_model, tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "random model.safetensors"
    save_file(random_model.network.state_dict(), path)
    return str(path)


@pytest.fixture(scope="module")
def options(checkpoint):
    return {"model": checkpoint, "device": "cpu", "precision": "float32"}


@pytest.fixture
def viewer():
    """A stack, a plane on its grid, and a plane on another grid and in colour."""
    rng = np.random.default_rng(0)
    viewer = ViewerModel()
    limits = {"contrast_limits": (0.1, 0.75)}
    viewer.add_image(rng.random((3, HEIGHT, WIDTH)), name="stack", colormap="hot", **limits)
    viewer.add_image(rng.random((HEIGHT, WIDTH)), name="it's a plane", gamma=0.5, **limits)
    viewer.add_image(
        rng.integers(0, 255, (HEIGHT, WIDTH, 4), np.uint8),
        name="colour",
        rgb=True,
        scale=(0.6, 0.6),
        translate=(2.1, 1.3),
    )
    return viewer


def record(layer) -> dict:
    return layer.metadata["napari_gifnet"]


def test_what_the_record_says(viewer, options, checkpoint):
    shapes = Shapes([[(2, 2), (2, 12), (9, 12), (9, 2)]], name="box")
    result = fuse_layers(
        viewer.layers["stack"],
        viewer.layers["colour"],
        task="infrared_visible",
        extent=shapes,
        grid="a",
        tile_size=32,
        **options,
    )
    said = record(result)
    assert json.loads(json.dumps(said)) == said
    assert said["versions"] == {
        "napari-gifnet": importlib.metadata.version("napari-gifnet"),
        "napari": importlib.metadata.version("napari"),
        "torch": str(torch.__version__),
    }
    assert said["model"] == checkpoint
    assert said["sha256"] == load_model(checkpoint).sha256
    assert (said["device"], said["precision"], said["tile_size"]) == ("cpu", "float32", 32)
    stack, color = said["inputs"]
    assert stack == {
        "layer": "stack",
        "path": None,
        "sample": None,
        "shape": [3, HEIGHT, WIDTH],
        "dtype": "float64",
        "rgb": False,
        "colormap": None,
        "gamma": None,
        "range": [0.1, 0.75],
        "resampled": False,
    }
    assert color["resampled"]
    assert color["range"] == [0, 255]
    assert said["parameters"]["extent"] == "box"
    assert said["parameters"]["region"] == [[0, 3], [2, 10], [2, 13]]
    assert said["parameters"]["task"] == "infrared_visible"
    assert said["grid_shape"] == [3, HEIGHT, WIDTH]
    assert said["seconds"] > 0
    assert said["notes"] == []


def test_notes_are_kept(viewer, options):
    viewer.layers["stack"].units = ("s", "mm", "mm")
    said = record(fuse_layers(viewer.layers["stack"], viewer.layers["it's a plane"], **options))
    assert "one is taken for the other" in said["notes"][0]


def execute(code: str, viewer) -> Image:
    """Run code as napari's console would; return the layer it added."""
    before = len(viewer.layers)
    exec(code, {"viewer": viewer})
    assert len(viewer.layers) == before + 1
    return viewer.layers[-1]


def assert_same(got: Image, wanted: Image):
    np.testing.assert_array_equal(np.asarray(got.data), np.asarray(wanted.data))
    np.testing.assert_array_equal(got.extent.world, wanted.extent.world)
    assert got.name.startswith(wanted.name)
    assert (got.rgb, got.units, got.axis_labels) == (wanted.rgb, wanted.units, wanted.axis_labels)


@pytest.mark.parametrize(
    ("names", "extra"),
    [
        (("stack", "it's a plane"), {}),
        (("it's a plane", "stack"), {"task": "pet_mri"}),
        (("stack", "it's a plane"), {"task": "multi_focus"}),
        (("stack", "it's a plane"), {"gamma": True, "intensity": "percentile", "tile_size": None}),
        (("stack", "it's a plane"), {"axes": (1, 2), "lazy": True, "color": "displayed"}),
        (("stack", "colour"), {"task": "infrared_visible", "interpolation": "cubic"}),
        (("colour", "stack"), {"grid": "finer", "color": "gray"}),
        (("stack", "colour"), {"extent": ((1, 2, 3), (1, 11, 12)), "intensity": (0, 0.5)}),
        (("stack",), {"color": "displayed", "extent": np.s_[1:, :9, :]}),
    ],
)
def test_python_makes_the_result_again(viewer, options, names, extra):
    layers = [viewer.layers[name] for name in names]
    make = fuse_layers if len(layers) == 2 else enhance_layer
    result = make(*layers, **options, **extra)
    viewer.layers["stack"].contrast_limits = (0.3, 0.4)  # what is shown later does not matter
    viewer.layers["stack"].colormap = "blue"
    viewer.layers["it's a plane"].gamma = 2
    assert_same(execute(as_python(record(result)), viewer), result)


def test_python_knows_what_was_on_display(viewer, options):
    viewer.dims.order = (1, 0, 2)
    viewer.dims.set_current_step(1, 4)
    viewer.layers["stack"].data = np.random.default_rng(0).random((9, HEIGHT, WIDTH))
    result = enhance_layer(viewer.layers["stack"], viewer=viewer, extent="slice", **options)
    assert result.data.shape == (9, 1, WIDTH)
    viewer.dims.order = (0, 1, 2)
    viewer.dims.set_current_step(0, 0)
    assert_same(execute(as_python(record(result)), viewer), result)


def test_python_is_as_short_as_can_be(viewer, options):
    viewer.layers["it's a plane"].contrast_limits = (0, 1)
    result = fuse_layers(
        viewer.layers["stack"], viewer.layers["it's a plane"], **options | {"device": "auto"}
    )
    _, code = as_python(record(result)).split("\n", 1)
    assert code == (
        "from napari_gifnet.viewer import fuse_layers\n"
        "\n"
        "viewer.layers['stack'].colormap = 'hot'\n"
        "layer = fuse_layers(\n"
        "    viewer.layers['stack'],\n"
        '    viewer.layers["it\'s a plane"],\n'
        "    color='a',\n"
        f"    model={options['model']!r},\n"
        "    intensity=((0.1, 0.75), (0, 1)),\n"
        "    precision='float32',\n"
        ")\n"
        "viewer.add_layer(layer)\n"
    )


# --- commands


def opened(path, data, axes, **kwargs) -> Image:
    """A layer as napari opens it from a file."""
    write(path, data, axes)
    with layer_source(path=str(path)):
        return Image(data, rgb=axes.endswith("S"), **kwargs)


@pytest.fixture
def files(tmp_path):
    rng = np.random.default_rng(1)
    a = rng.normal(100, 300, (3, HEIGHT, WIDTH)).astype(np.float32)
    b = rng.integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
    return (
        opened(tmp_path / "c t.tif", a, "ZYX", name="CT", contrast_limits=(-100, 300.5)),
        opened(tmp_path / "photo.png", b, "YXS", name="photo"),
    )


@pytest.mark.parametrize(
    ("count", "extra"),
    [
        (2, {"task": "infrared_visible"}),
        (2, {"color": "gray", "tile_size": 64, "intensity": ("percentile", "layer")}),
        (1, {"tile_size": None}),
        (1, {"intensity": "minmax", "color": "gray"}),
    ],
)
def test_the_command_makes_the_result_again(files, options, tmp_path, monkeypatch, count, extra):
    make = fuse_layers if count == 2 else enhance_layer
    result = make(*files[:count], **options, **extra)
    program, *arguments = shlex.split(as_command(record(result)))
    assert program == "gifnet"
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    written = read(arguments[arguments.index("-o") + 1])
    np.testing.assert_allclose(written.data, result.data, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("extra", "reason"),
    [
        ({"extent": np.s_[:1, :, :]}, "only a part"),
        ({"axes": (2, 1)}, "planes are not those"),
        ({"color": "displayed"}, "colormap or gamma"),
        ({"gamma": True}, "colormap or gamma"),
    ],
)
def test_options_that_no_command_has(files, options, extra, reason):
    files[0].colormap, files[0].gamma = "hot", 0.5
    with pytest.raises(OptionError, match=f"no command for this result: .*{reason}.*as Python"):
        as_command(record(enhance_layer(files[0], **options, **extra)))


def test_layers_that_no_command_can_read(files, viewer, options, tmp_path):
    ct, photo = files

    def refused(*layers, error=OptionError):
        make = fuse_layers if len(layers) == 2 else enhance_layer
        with pytest.raises(error) as caught:
            as_command(record(make(*layers, **options)))
        return str(caught.value)

    assert "'stack' was not opened from a file" in refused(ct, viewer.layers["stack"])
    assert "from one file" in refused(ct, ct)
    photo.scale = (2, 2)
    assert "different grids" in refused(ct, photo)
    rgba = opened(tmp_path / "x.png", np.zeros((9, 9, 3), np.uint8), "YXS", name="rgba")
    rgba.data = np.zeros((9, 9, 4), np.uint8)
    assert "drops the alpha channel of 'rgba'" in refused(rgba)
    ct.data = ct.data[:1]
    assert "another shape than layer 'CT'" in refused(ct)
    (tmp_path / "c t.tif").unlink()
    assert "c t.tif" in refused(ct, error=GIFNetError)


@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_a_photograph_that_napari_shows_unturned(tmp_path, options, orientation):
    """napari's reader leaves the pixels as they are stored, a square keeps its shape."""
    pixels = np.random.default_rng(0).integers(0, 255, (HEIGHT, HEIGHT), np.uint8)
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    PIL.Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    with layer_source(path=str(tmp_path / "a.png")):
        layer = Image(pixels, name="square")
    made = record(enhance_layer(layer, **options))
    if orientation == 1:
        assert "a.png" in as_command(made)
    else:
        with pytest.raises(
            OptionError, match=r"reads other pixels from .*a\.png than layer 'square'"
        ):
            as_command(made)


def test_a_file_whose_smallest_is_white(tmp_path, options):
    pixels = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH), np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="miniswhite")
    with layer_source(path=str(tmp_path / "a.tif")):
        layer = Image(pixels)
    assert "reads other pixels" in record(enhance_layer(layer, **options))["files_differ"]


def test_a_layer_that_was_changed(files, options):
    files[0].data[1, 2, 3] += 1
    made = record(enhance_layer(files[0], **options))
    assert "reads other pixels" in why_no_command(made)


def test_pixel_sizes_that_only_the_files_know(tmp_path, options):
    layers = []
    for name, size in [("a.tif", 2.5), ("b.tif", 1)]:
        data = np.random.default_rng(0).random((HEIGHT, WIDTH), np.float32)
        write(tmp_path / name, data, "YX", spacing={axis: Length(size, "mm") for axis in "YX"})
        with layer_source(path=str(tmp_path / name)):
            layers.append(Image(data))
    made = record(fuse_layers(*layers, **options))
    assert "2.5 mm between its pixels" in why_no_command(made)


def test_no_file_is_read_for_the_command(files, options, tmp_path):
    """The comparison is part of the record; asking for the command costs nothing."""
    made = record(enhance_layer(files[0], **options))
    (tmp_path / "c t.tif").unlink()
    assert as_command(made).startswith("gifnet enhance")
