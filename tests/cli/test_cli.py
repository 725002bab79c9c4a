"""The command line, as its users meet it."""

import csv
import io
import os
import re
import signal
import subprocess
import sys
import warnings
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner

from napari_gifnet import enhance, fuse
from napari_gifnet.cli import app
from napari_gifnet.cli.demo import find_trouble_with_windows
from napari_gifnet.cli.preparing import bands_onto
from napari_gifnet.files.formats import ImageFile, Length, read, write
from napari_gifnet.files.samples import list_samples, load_sample
from napari_gifnet.metrics import METRICS
from napari_gifnet.metrics import evaluate as score

GIFNET = [sys.executable, "-m", "napari_gifnet"]
SIDE = 48


@pytest.fixture(scope="module")
def checkpoint(random_model, tmp_path_factory):
    from safetensors.torch import save_file

    path = tmp_path_factory.mktemp("model") / "random.safetensors"
    save_file(random_model.network.state_dict(), path)
    return path


@pytest.fixture
def pair(tmp_path, monkeypatch):
    """A gray infrared and a visible image in colour, in the current folder."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    infrared = rng.integers(0, 256, (SIDE, SIDE), np.uint8)
    visible = rng.integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    write("infrared.png", infrared, "YX")
    write("visible.png", visible, "YXS")
    return infrared, visible


def gifnet(*arguments, code=0):
    """Run the command line; return what it printed."""
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert done.exit_code == code, (done.output, done.exception)
    return done.stdout if code == 0 else done.stderr


def test_fuse_is_the_library(pair, checkpoint):
    line = gifnet("fuse", "infrared.png", "visible.png", "--model", checkpoint, "-o", "fused.png")
    expected = fuse(*pair, model=checkpoint, dtype=np.uint8)
    np.testing.assert_array_equal(read("fused.png").data, expected)
    assert len(line.splitlines()) == 1
    for words in (
        "fused.png: 1 plane of 48×48 pixels",
        "A 0 to 255; B 0 to 255",
        "colour of B",
        " on cpu (",
        " s\n",
    ):
        assert words in line


def test_options_reach_the_library(pair, checkpoint):
    options = "--task infrared_visible --color gray --device cpu --precision float32 --tile-size 32"
    ranges = "--intensity 10,200 --intensity percentile --dtype uint16"
    gifnet(
        *("fuse", "infrared.png", "visible.png", "-o", "fused.png", "--model", checkpoint),
        *options.split(),
        *ranges.split(),
    )
    expected = fuse(
        *pair,
        model=checkpoint,
        task="infrared_visible",
        color="gray",
        device="cpu",
        precision="float32",
        tile_size=32,
        intensity=((10, 200), "percentile"),
        dtype=np.uint16,
    )
    np.testing.assert_array_equal(read("fused.png").data, expected)


def test_stack_with_a_plane(tmp_path, checkpoint):
    stack, plane = np.random.default_rng(0).random((2, SIDE, SIDE), np.float32), np.eye(SIDE)
    spacing = {axis: Length(2.0, "mm") for axis in "ZYX"}
    write(tmp_path / "a.tif", stack, "ZYX", spacing=spacing)
    write(tmp_path / "b.tif", plane, "YX")
    files = tmp_path / "a.tif", tmp_path / "b.tif"
    gifnet("fuse", *files, "--model", checkpoint, "-o", tmp_path / "fused.tif")
    fused = read(tmp_path / "fused.tif")
    assert (fused.axes, fused.spacing) == ("ZYX", spacing)
    np.testing.assert_array_equal(fused.data, fuse(stack, plane, model=checkpoint))
    with tifffile.TiffFile(tmp_path / "fused.tif") as tiff:
        assert "from a.tif and b.tif: 2 planes" in tiff.imagej_metadata["Info"]

    refused = gifnet("fuse", *files, "--model", "nowhere", "-o", tmp_path / "f.png", code=2)
    assert "holds one plane" in refused


def test_bands_in_files_of_their_own(tmp_path, checkpoint):
    bands = np.random.default_rng(0).integers(0, 256, (4, SIDE, SIDE), np.uint8)
    pan = bands.mean(axis=0).astype(np.uint8)
    files = [tmp_path / f"band{i}.tif" for i in range(4)]
    for file, band in zip(files, bands, strict=True):
        write(file, band, "YX")
    write(tmp_path / "bands.tif", bands, "CYX")
    write(tmp_path / "pan.tif", pan, "YX")
    common = tmp_path / "pan.tif", "--task", "pansharpening", "--model", checkpoint, "-o"
    gifnet("fuse", *files, *common, tmp_path / "one.tif")
    gifnet("fuse", tmp_path / "bands.tif", *common, tmp_path / "other.tif")
    expected = fuse(bands, pan, task="pansharpening", model=checkpoint)
    for name in ("one.tif", "other.tif"):
        sharp = read(tmp_path / name)
        assert sharp.axes == "CYX"
        np.testing.assert_array_equal(sharp.data, expected)


def test_coarse_bands_come_onto_the_panchromatic_grid(tmp_path, checkpoint):
    coarse = np.repeat(np.arange(0, 240, 20, dtype=np.uint8)[None], 12, axis=0)
    color = np.stack([coarse, coarse.T, coarse // 2], axis=-1)
    pan = np.full((SIDE, SIDE), 100, np.uint8)
    write(tmp_path / "ms.png", color, "YXS")
    write(tmp_path / "pan.png", pan, "YX")
    files = tmp_path / "ms.png", tmp_path / "pan.png"
    task = "--task", "pansharpening", "--model", checkpoint
    gifnet("fuse", *files, *task, "-o", tmp_path / "sharp.png")
    assert read(tmp_path / "sharp.png").data.shape == (SIDE, SIDE, 3)

    bands = bands_onto(read(files[0]), read(files[1])).data
    assert (bands.shape, bands.dtype) == ((3, SIDE, SIDE), np.uint8)
    means = bands.reshape(3, 12, 4, 12, 4).mean(axis=(2, 4))  # of the pixels in a coarse one
    np.testing.assert_allclose(means, np.moveaxis(color, -1, 0), atol=3)

    write(tmp_path / "strip.png", color[:6], "YXS")
    refused = gifnet(
        *("fuse", tmp_path / "strip.png", files[1], *task, "-o", tmp_path / "n.png"), code=2
    )
    assert "on the same grid" in refused


def test_enhance_is_the_library(pair, checkpoint):
    common = "--model", checkpoint, "-o"
    gifnet("enhance", "visible.png", *common, "sharp.png")
    expected = enhance(pair[1], model=checkpoint, dtype=np.uint8)
    np.testing.assert_array_equal(read("sharp.png").data, expected)
    line = gifnet("enhance", "visible.png", "--color", "gray", *common, "gray.tif")
    assert "the image 0 to 255; gray" in line
    expected = enhance(pair[1], model=checkpoint, color="gray")
    np.testing.assert_array_equal(read("gray.tif").data, expected)


def test_results_are_not_overwritten_unasked(pair, checkpoint):
    Path("fused.png").write_text("precious")
    command = "fuse", "infrared.png", "visible.png", "--model", checkpoint, "-o", "fused.png"
    assert "exists already: choose another name, or add --overwrite" in gifnet(*command, code=2)
    assert Path("fused.png").read_text() == "precious"
    gifnet(*command, "--overwrite")
    assert read("fused.png").in_color


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("infrared.png absent.png -o f.png", "absent.png cannot be read: No such file"),
        ("infrared.png text.png -o f.png", "text.png cannot be read"),
        ("infrared.png visible.png -o f.gif", "f.gif is of an unknown format"),
        (
            "infrared.png visible.png -o visible.png --overwrite",
            "is one of the images that are read",
        ),
        ("infrared.png visible.png -o nowhere/f.png", "nowhere does not exist"),
        ("infrared.png visible.png -o text.png/f.png", "text.png is a file and no folder"),
        (f"infrared.png visible.png -o {'n' * 252}.png", "too long a name"),
        ("infrared.png visible.png -o f.png --intensity 5,1", "--intensity 5.0,1.0"),
        ("infrared.png visible.png -o f.jpg --dtype uint16", "cannot hold uint16"),
        ("infrared.png visible.png -o f.tif --dtype complex", "--dtype complex"),
        ("infrared.png small.png -o f.png", "on the same grid"),
        ("infrared.png -o f.png", "expected two images"),
        ("infrared.png visible.png visible.png -o f.png", "expected planes of one size"),
        ("infrared.png visible.png -o f.png --task mri", "--task mri is unknown"),
        ("infrared.png visible.png -o f.png --color a", "--color a asks for the colour of A"),
        ("infrared.png visible.png -o f.png --intensity bright", "--intensity bright"),
        ("infrared.png visible.png -o f.png --intensity 5,1", "low < high"),
        ("infrared.png visible.png -o f.png --model nobody", "no model 'nobody'"),
        ("infrared.png visible.png -o f.png --model text.png", "not a checkpoint"),
        ("infrared.png visible.png -o f.png --device gpu", "--device gpu is unknown"),
        ("infrared.png visible.png -o f.png --precision half", "--precision half is unknown"),
        ("infrared.png visible.png -o f.png --tile-size wide", "--tile-size wide"),
        (
            "infrared.png visible.png -o f.png --tile-size 3",
            "--tile-size 3 is not understood: expected auto, none or",
        ),
    ],
)
def test_mistakes_are_told_in_a_sentence(pair, arguments, words):
    Path("text.png").write_text("To be, or not to be")
    write("small.png", pair[0][:20], "YX")
    before = sorted(Path().iterdir())
    told = gifnet("fuse", *arguments.split(), code=2)
    assert words in told
    assert told.startswith("gifnet: ")
    assert len(told.splitlines()) == 1
    assert sorted(Path().iterdir()) == before


def test_a_mistake_in_a_process_of_its_own(pair):
    command = [*GIFNET, "fuse", "infrared.png", "text.txt", "-o", "f.png"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("gifnet: text.txt is of an unknown format")


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_stopping_leaves_nothing(tmp_path, checkpoint):
    """Ctrl-C in the middle of a run, which on a terminal is seen by its progress bar."""
    import pty

    write(
        tmp_path / "a.png", np.random.default_rng(0).integers(0, 256, (2000, 2000), np.uint8), "YX"
    )
    terminal, other_end = pty.openpty()
    process = subprocess.Popen(
        [*GIFNET, "enhance", "a.png", "-o", "f.png", "--model", checkpoint, "--device", "cpu"],
        stderr=other_end,
        cwd=tmp_path,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    os.close(other_end)
    seen = b""
    while b"Fusing on cpu" not in seen:
        seen += os.read(terminal, 4096)
    process.send_signal(signal.SIGINT)
    try:
        while chunk := os.read(terminal, 4096):
            seen += chunk
    except OSError:  # Linux's way to say that the other end is closed
        pass
    os.close(terminal)
    assert process.wait(60) == 130
    assert b"Traceback" not in seen
    assert b"gifnet: stopped." in seen
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize(
    "display", [None, pytest.param(":987", marks=pytest.mark.skipif(os.name == "nt", reason="X11"))]
)
def test_demo_without_a_display(tmp_path, monkeypatch, checkpoint, display):
    if sys.platform != "linux":
        pytest.skip("only on Linux is there a display to be without")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.delenv("DISPLAY", raising=False)
    if display:
        monkeypatch.setenv("DISPLAY", display)
        assert find_trouble_with_windows() == "Qt cannot open a window with OpenGL here"
        return
    for _ in range(2):  # the second one replaces the files of the first
        told = gifnet("demo", "--slices", "1", "--model", checkpoint)
        assert "gifnet-demo/gifnet-demo.png: MRI, PET and both fused" in told
    stack = read("gifnet-demo/gifnet-demo.tif")
    _, mri = load_sample("pet_mri")
    assert stack.data.shape == (*mri.data.shape[1:], 3)
    assert stack.spacing["X"] == (pytest.approx(1), "mm")
    picture = read("gifnet-demo/gifnet-demo.png").data[::2, ::2]
    gray, color, fused = np.split(picture, 3, axis=1)
    np.testing.assert_array_equal(fused, stack.data)
    assert (gray == gray[..., :1]).all()
    assert color[..., 0].sum() > 2 * color[..., 2].sum()


WATCHED_DEMO = """
import napari
from qtpy.QtCore import QTimer
from napari_gifnet.__main__ import main

run = napari.run

def look():
    viewer = napari.current_viewer()
    try:
        for layer in viewer.layers:
            print(layer.name, layer.data.shape, layer.scale, layer.visible)
        (dock,) = viewer.window.dock_widgets.values()
        print("The dock is about", dock.result.layer.name)
    finally:
        viewer.close()

def watched_run():
    QTimer.singleShot(0, look)
    run()

napari.run = watched_run
main()
"""


def test_demo_in_a_window(checkpoint):
    if trouble := find_trouble_with_windows():
        pytest.skip(trouble)
    command = [sys.executable, "-c", WATCHED_DEMO, "demo", "--slices", "1", "--model", checkpoint]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 0, done.stderr
    pet, mri = load_sample("pet_mri")
    assert done.stdout.splitlines()[1:] == [
        f"MRI {mri.data.shape} [1. 1. 1.] True",
        f"PET {pet.data.shape} [2.5 2.5 2.5] True",
        f"PET + MRI (GIFNet) {(1, *mri.data.shape[1:], 3)} [1. 1. 1.] True",
        "The dock is about PET + MRI (GIFNet)",
    ]


def test_samples_are_listed():
    listed = gifnet("samples").splitlines()
    assert [line.split()[0] for line in listed] == [sample.key for sample in list_samples()]
    assert listed[0].endswith("ships with the package")
    assert listed[-1].endswith("downloaded on first use")


def test_samples_are_written(tmp_path):
    told = gifnet("samples", "multi_focus", "-o", tmp_path / "new" / "folder")
    for side, image in zip("ab", load_sample("multi_focus"), strict=True):
        path = tmp_path / "new" / "folder" / f"multi_focus_{side}.png"
        assert str(path) in told
        np.testing.assert_array_equal(read(path).data, image.data)
    gifnet("samples", "pet_mri", "-o", tmp_path)
    pet = read(tmp_path / "pet_mri_a.tif")
    assert pet.spacing == {axis: (pytest.approx(2.5), "mm") for axis in "ZYX"}
    told = gifnet("samples", "focus_stack", "-o", tmp_path)
    (stack,) = load_sample("focus_stack")
    written = read(tmp_path / "focus_stack.tif")
    assert written.axes == "ZYX"
    assert written.spacing == {
        axis: (size, "µm") for axis, size in zip("ZYX", (20, 2, 2), strict=True)
    }
    np.testing.assert_array_equal(written.data, stack.data)
    assert stack.facts["depth"] in told
    assert "exists already" in gifnet("samples", "pet_mri", "-o", tmp_path, code=2)
    assert "no sample 'holiday'" in gifnet("samples", "holiday", code=2)
    told = gifnet("samples", "multi_focus", "-o", tmp_path / "pet_mri_a.tif", code=2)
    assert "cannot be made: File exists" in told


def test_models_are_listed():
    told = gifnet("models")
    assert told.startswith("gifnet (default)\n")
    assert "gifnet-cvpr2025\n" in told


def test_evaluate_is_the_library(tmp_path):
    a, b, fused = np.random.default_rng(0).integers(0, 256, (3, 64, 64), np.uint8)
    files = [tmp_path / name for name in ("a.png", "b.png", "fused.png")]
    for file, plane in zip(files, (a, b, fused), strict=True):
        write(file, plane, "YX")
    header, row = csv.reader(io.StringIO(gifnet("evaluate", *files, "--format", "csv")))
    assert header == ["image", "method", *METRICS]
    assert row[:2] == ["a", "fused"]
    expected = score(a, b, fused)
    assert [float(cell) for cell in row[2:]] == pytest.approx(list(expected.values()), rel=1e-8)

    table = gifnet("evaluate", *files, "--metric", "SD", "--metric", "VIF").splitlines()
    assert table[0].split() == ["image", "method", "SD", "VIF"]
    assert len(table) == 2  # of one image there is no mean
    assert "Nothing to judge" in gifnet("evaluate", *files[:2], code=2)
    assert "no method 'magic'" in gifnet("evaluate", *files[:2], "--method", "magic", code=2)


def test_evaluate_folders_and_methods(tmp_path, checkpoint):
    rng = np.random.default_rng(0)
    scenes = {name: rng.integers(0, 256, (2, 64, 64), np.uint8) for name in ("north", "south")}
    for side in ("a", "b", "fused"):
        (tmp_path / side).mkdir()
    for name, (a, b) in scenes.items():
        write(tmp_path / "a" / f"{name}.tif", a, "YX")
        write(tmp_path / "b" / f"{name}.png", b, "YX")
        write(tmp_path / "fused" / f"{name}.png", a // 2 + b // 2, "YX")
    write(tmp_path / "a" / "west.png", a, "YX")
    (tmp_path / "b" / "notes.txt").touch()
    command = ["evaluate", *(tmp_path / side for side in ("a", "b", "fused")), "--metric", "SSIM"]
    methods = ["--method", "pyramid", "--method", checkpoint, "--format", "csv"]
    done = CliRunner().invoke(app, [str(part) for part in command + methods])
    assert done.stderr == "gifnet: left out, since not in every folder: west.\n"
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [(row["image"], row["method"]) for row in rows] == [
        (image, method)
        for image in ("north", "south", "mean", "SD")
        for method in ("fused", "pyramid", str(checkpoint))
    ]
    ours = {
        "fused": lambda a, b: a // 2 + b // 2,
        "pyramid": lambda a, b: fuse(a, b, model="pyramid"),
        str(checkpoint): lambda a, b: fuse(a, b, model=checkpoint),
    }
    for method, function in ours.items():
        scores = [score(a, b, function(a, b), ["SSIM"])["SSIM"] for a, b in scenes.values()]
        found = [float(row["SSIM"]) for row in rows if row["method"] == method]
        assert found == pytest.approx([*scores, np.mean(scores), np.std(scores, ddof=1)], rel=1e-6)

    markdown = gifnet(*command, "--format", "markdown").splitlines()
    assert markdown[0].split() == ["|", "image", "|", "method", "|", "SSIM", "|"]
    assert set(markdown[1]) == set("| -:")


def test_evaluate_stacks_and_values_beyond_8_bits(tmp_path):
    """Sources are stretched as for the fusion, each plane of a stack is judged."""
    a, b = np.random.default_rng(0).integers(0, 4096, (2, 3, 64, 64)).astype(np.uint16)
    write(tmp_path / "a.tif", a, "ZYX")
    write(tmp_path / "b.tif", b, "ZYX")
    files = tmp_path / "a.tif", tmp_path / "b.tif"
    options = "--method", "mean", "--intensity", "0,4095", "--metric", "MI", "--format", "csv"
    rows = list(csv.DictReader(io.StringIO(gifnet("evaluate", *files, *options))))
    assert [row["image"] for row in rows] == ["a[0]", "a[1]", "a[2]", "mean", "SD"]
    a, b = (image / np.float32(4095) for image in (a, b))
    expected = [score(x, y, (x + y) / 2, ["MI"])["MI"] for x, y in zip(a, b, strict=True)]
    assert [float(row["MI"]) for row in rows[:3]] == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(
    ("fused", "words"),
    [
        (np.zeros((64, 60), np.uint8), "has planes of shape"),
        (np.full((64, 64), 7, np.float32), "values from 7 to 7: expected floats within 0 and 1"),
        (np.zeros((3, 64, 64), np.uint8), "has planes of shape"),
    ],
)
def test_evaluate_refuses_what_is_no_fusion_of_these(tmp_path, fused, words):
    files = [tmp_path / name for name in ("a.png", "b.png", "fused.tif")]
    for file in files[:2]:
        write(file, np.zeros((64, 64), np.uint8), "YX")
    write(files[2], fused, "ZYX"[-fused.ndim :])
    assert words in gifnet("evaluate", *files, code=2)


@pytest.mark.parametrize("missing", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "uint8", "uint16"])
def test_missing_pixels_of_coarse_bands_spoil_no_others(tmp_path, missing, dtype):
    """One missing pixel in a corner; all but its surroundings is as without it."""
    rng = np.random.default_rng(0)
    bands = rng.integers(50, 200, (4, 12, 12)).astype(dtype)
    pan = rng.integers(50, 200, (SIDE, SIDE)).astype(dtype)
    whole = bands_onto(ImageFile(bands, "CYX"), ImageFile(pan, "YX")).data
    tag = {"extratags": [(42113, "s", 0, "0", True)]} if missing else {}
    bands[1, 0, 0] = 0
    tifffile.imwrite(tmp_path / "bands.tif", bands, metadata={"axes": "CYX"}, **tag)
    nodata = None if missing else 0
    fine = bands_onto(read(tmp_path / "bands.tif", nodata=nodata), ImageFile(pan, "YX")).data
    assert fine.dtype == dtype
    gone = np.isnan(fine) if dtype == "float32" else np.ma.getmaskarray(fine)
    assert gone[1, :3, :3].all()
    assert gone.sum() <= 36
    np.testing.assert_allclose(
        np.ma.getdata(fine)[:, 40:, 40:].astype(float), whole[:, 40:, 40:].astype(float), atol=1
    )


def test_nodata_is_missing_in_the_result(tmp_path, checkpoint):
    a, b = np.random.default_rng(0).integers(100, 4000, (2, SIDE, SIDE)).astype(np.int16)
    hole = np.s_[5:9, 10:20]
    a[hole] = -9999
    write(tmp_path / "a.tif", a, "YX")
    write(tmp_path / "b.tif", b, "YX")
    files = tmp_path / "a.tif", tmp_path / "b.tif", "--model", checkpoint
    gifnet("fuse", *files, "--nodata", -9999, "-o", tmp_path / "f.tif")
    fused = read(tmp_path / "f.tif").data
    valid = a.astype(np.float32)
    valid[hole] = np.nan
    np.testing.assert_array_equal(fused, fuse(valid, b, model=checkpoint))
    assert np.argwhere(np.isnan(fused)).shape == (40, 2)


def test_axes_go_by_their_letters(tmp_path, checkpoint):
    rng = np.random.default_rng(0)
    each_time = rng.random((3, SIDE, SIDE), np.float32)
    volumes = rng.random((3, 3, SIDE, SIDE), np.float32)
    write(tmp_path / "t.tif", each_time, "TYX")
    write(tmp_path / "tz.tif", volumes, "TZYX")
    common = "--model", checkpoint, "-o", tmp_path / "f.tif"
    gifnet("fuse", tmp_path / "t.tif", tmp_path / "tz.tif", *common)
    fused = read(tmp_path / "f.tif")
    assert fused.axes == "TZYX"
    np.testing.assert_array_equal(fused.data, fuse(each_time[:, None], volumes, model=checkpoint))
    write(tmp_path / "z.tif", each_time, "ZYX")
    told = gifnet("fuse", tmp_path / "t.tif", tmp_path / "z.tif", *common, "--overwrite", code=2)
    assert "t.tif is a stack along T and z.tif along Z" in told
    told = gifnet("evaluate", tmp_path / "t.tif", tmp_path / "z.tif", "--method", "mean", code=2)
    assert "t.tif is a stack along T and z.tif along Z" in told


def test_pixel_sizes_that_contradict(tmp_path, checkpoint):
    for name, size in [("pet.tif", 2.5), ("mri.tif", 1.0)]:
        spacing = {axis: Length(size, "mm") for axis in "YX"}
        write(tmp_path / name, np.eye(SIDE, dtype=np.float32), "YX", spacing=spacing)
    files = tmp_path / "pet.tif", tmp_path / "mri.tif"
    told = gifnet("fuse", *files, "--model", checkpoint, "-o", tmp_path / "f.tif", code=2)
    assert "pet.tif has 2.5 mm between its pixels along Y, mri.tif 1 mm" in told
    assert len(list(tmp_path.iterdir())) == 2


def test_four_bands_of_one_file_stay_four(tmp_path, checkpoint):
    bands = np.random.default_rng(0).integers(0, 256, (4, SIDE, SIDE), np.uint8)
    pan = bands.mean(axis=0).astype(np.uint8)
    tifffile.imwrite(
        tmp_path / "bands.tif",
        np.ascontiguousarray(np.moveaxis(bands, 0, -1)),
        photometric="rgb",
        extrasamples=["unspecified"],
    )
    write(tmp_path / "pan.tif", pan, "YX")
    files = tmp_path / "bands.tif", tmp_path / "pan.tif", "--task", "pansharpening"
    gifnet("fuse", *files, "--model", checkpoint, "-o", tmp_path / "sharp.tif")
    sharp = read(tmp_path / "sharp.tif")
    assert sharp.axes == "CYX"
    np.testing.assert_array_equal(
        sharp.data, fuse(bands, pan, task="pansharpening", model=checkpoint)
    )


@pytest.mark.skipif(sys.platform == "win32", reason="names are text there")
@pytest.mark.parametrize("suffix", ["tif", "ome.tif", "png", "jpg"])
def test_names_that_are_not_utf8(tmp_path, checkpoint, suffix):
    source = os.fsencode(tmp_path) + b"/caf\xe9.png"
    out = os.fsencode(tmp_path) + b"/f\xfcsed." + suffix.encode()
    write(os.fsdecode(source), np.eye(SIDE, dtype=np.uint8), "YX")
    if suffix != "tif":
        told = gifnet("enhance", os.fsdecode(source), "-o", os.fsdecode(out), "--model", checkpoint)
    else:  # as the system hands them over
        command = [*GIFNET, "enhance", source, "-o", out, "--model", checkpoint]
        told = subprocess.run(
            command,
            capture_output=True,
            check=True,
            env=os.environ | {"PYTHONIOENCODING": "utf-8"},
        ).stdout.decode()
    assert read(os.fsdecode(out)).data.shape == (SIDE, SIDE)
    assert "f\\xfcsed" in told


def test_what_a_file_cannot_hold_is_said(tmp_path, checkpoint):
    spacing = {axis: Length(0.5, "µm") for axis in "YX"}
    write(tmp_path / "a.tif", np.eye(SIDE, dtype=np.float32), "YX", spacing=spacing)
    command = ["enhance", tmp_path / "a.tif", "-o", tmp_path / "f.png", "--model", checkpoint]
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        done = CliRunner().invoke(app, [str(part) for part in command])
    assert done.exit_code == 0
    assert "f.png was written without the pixel size along Y, the pixel size along X" in done.stderr


def test_evaluate_pairs_subfolders(tmp_path):
    rng = np.random.default_rng(0)
    for side in "ab":
        for part in ("day", "night"):
            (tmp_path / side / part).mkdir(parents=True)
            write(tmp_path / side / part / "1.png", rng.integers(0, 256, (64, 64), np.uint8), "YX")
    command = "evaluate", tmp_path / "a", tmp_path / "b", "--method", "mean", "--metric", "EN"
    rows = list(csv.DictReader(io.StringIO(gifnet(*command, "--format", "csv"))))
    assert [row["image"] for row in rows] == ["day/1", "night/1", "mean", "SD"]


@pytest.mark.parametrize("command", ["", "fuse", "enhance", "evaluate", "train", "demo", "samples"])
def test_help_fills_its_lines(monkeypatch, command):
    """Lines of 80 columns: a paragraph breaks where it must, an example nowhere."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERMINAL_WIDTH", "80")
    text = gifnet(*command.split(), "--help").partition("╭")[0]
    about, _, examples = text.partition("Start here:" if not command else "Examples:")
    assert all(line.strip()[:6] in ("", "gifnet") for line in examples.splitlines())
    for paragraph in re.split(r"\n\s*\n", about):
        lines = paragraph.strip().splitlines()
        for line, following in pairwise(lines):
            assert len(line.rstrip()) + 1 + len(following.split()[0]) > 78


def test_version_and_help():
    assert re.fullmatch(r"napari-gifnet \d+\.\d+\.\d+\S*\n", gifnet("--version"))
    overview = gifnet("--help")
    for command in ("fuse", "enhance", "evaluate", "demo", "models", "samples"):
        assert command in overview
        assert f"gifnet {command}" in gifnet(command, "--help").partition("Examples:")[2]


def test_import_is_light():
    code = "import napari_gifnet.cli, sys; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "typer" in done.stdout.split()
    assert not {"torch", "napari", "qtpy", "scipy", "skimage", "PIL"} & set(done.stdout.split())


@pytest.mark.shared
@pytest.mark.parametrize(
    ("task", "in_color"),
    [
        ("infrared_visible", True),
        ("pet_mri", True),
        ("multi_focus", True),
        ("multi_exposure", True),
        ("nir_visible", True),
        ("pansharpening", False),
    ],
)
def test_the_authors_examples(shared, authors_checkpoint, tmp_path, task, in_color):
    """A detail of each, fused in the colour of the picture that has some."""
    files = []
    for path in sorted((shared / "data" / "gifnet_examples" / task).iterdir()):
        image = read(path)
        files.append(tmp_path / f"{path.stem}.tif")
        write(files[-1], image.data[100:164, 100:164], image.axes)
    out = tmp_path / "fused.png" if in_color else tmp_path / "fused.tif"
    gifnet("fuse", *files, "--task", task, "--model", authors_checkpoint, "-o", out)
    fused = read(out)
    assert fused.in_color == in_color
    if in_color:
        a, b = (read(file).data.astype(float) for file in files)
        colored = a if a.ndim > b.ndim else b if task.endswith("visible") else (a + b) / 2
        redness = [
            (image[..., 0] - image[..., 2]).ravel() for image in (colored, fused.data.astype(float))
        ]
        assert np.corrcoef(*redness)[0, 1] > 0.8


def test_train_and_train_alike(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for side in "ab":
        Path("pairs", side).mkdir(parents=True)
        plane = np.random.default_rng(ord(side)).integers(0, 256, (64, 64), np.uint8)
        write(f"pairs/{side}/1.png", plane, "YX")
    sizes = ["--steps", 1, "--stem-steps", 0, "--batch", 1, "--side", 48]
    gifnet("train", "--pairs", "pairs", *sizes, "--seed", 3, "-o", "first", "--device", "cpu")
    gifnet("train", "--recipe-from", "first/gifnet.safetensors", "-o", "again", "--device", "cpu")
    first, again = (Path(run, "gifnet.safetensors").read_bytes() for run in ("first", "again"))
    assert first == again
    gifnet(
        "fuse", "pairs/a/1.png", "pairs/b/1.png", "--model", "again/checkpoint.pt", "-o", "f.png"
    )
    assert read("f.png").data.shape == (64, 64)
    assert "nothing to train on" in gifnet("train", "-o", "none", code=2)
    message = gifnet("train", "--pairs", "pairs", "--recipe", "x", "-o", "none", code=2)
    assert "--recipe x is unknown: expected faithful or paper" in message
    gifnet("train", "--pairs", "pairs", "--start", "first/gifnet.safetensors", *sizes, "-o", "on")
    message = gifnet("train", "--recipe-from", "on/gifnet.safetensors", "-o", "none", code=2)
    assert "went on from other weights (gifnet.safetensors): expected them with --start" in message
    again = ["--recipe-from", "first/checkpoint.pt", "--pairs", "", "-o", "none"]
    assert "nothing to train on" in gifnet("train", *again, code=2)
    assert not Path("none").exists()
