"""`gifnet align`, and what is aligned before it is fused."""

import numpy as np
import pytest
from scipy import ndimage
from tifffile import imwrite
from typer.testing import CliRunner

from napari_gifnet.cli import app
from napari_gifnet.files.formats import read, write

SIDE = 200


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A scene, its inverse 6 px off along y and 9 along x, and noise."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    scene = ndimage.gaussian_filter(np.kron(rng.random((30, 30)), np.ones((10, 10))), 0.7)
    scene = (255 * scene).astype(np.uint8)
    write("fixed.png", scene[:SIDE, :SIDE], "YX")
    write("moving.png", 255 - scene[6 : SIDE + 6, 9 : SIDE + 9], "YX")
    write("noise.png", rng.integers(0, 255, (SIDE, SIDE), dtype=np.uint8), "YX")
    for k in range(3):
        write(f"plane{k}.png", scene[2 * k : SIDE + 2 * k, 3 * k : SIDE + 3 * k], "YX")
    return tmp_path


def run(line):
    result = CliRunner().invoke(app, line.split())
    return result.exit_code, result.output


def test_an_image_is_moved_the_transform_saved_and_used_again(folder):
    code, said = run("align fixed.png moving.png -o moved.png --transform shift --save m.txt")
    assert code == 0, said
    assert "moved by 10.8 px" in said
    fixed, moved = (read(f"{name}.png").data.astype(float) for name in ("fixed", "moved"))
    assert np.abs(moved + fixed - 255)[15:-15, 15:-15].mean() < 3
    assert (moved[:4] == 0).all()  # nothing came from there
    code, said = run("align fixed.png moving.png -o again.png --load m.txt")
    assert code == 0, said
    assert (read("again.png").data == moved).all()


def test_what_cannot_be_trusted_is_not_written_unless_forced(folder):
    code, said = run("align fixed.png noise.png -o moved.png --save m.txt --transform shift")
    assert code == 2
    assert "nothing was moved" in said
    assert not (folder / "moved.png").exists()
    assert not (folder / "m.txt").exists()
    code, said = run("align fixed.png noise.png -o moved.png --transform shift --force")
    assert code == 0, said
    assert (folder / "moved.png").exists()


def test_there_must_be_something_to_write(folder):
    code, said = run("align fixed.png moving.png")
    assert code == 2
    assert "--save FILE" in said


def test_two_images_are_aligned_before_they_are_fused(folder):
    code, said = run("fuse moving.png fixed.png --align shift --model mean -o fused.tif")
    assert code == 0, said
    assert "A laid on B, moved by 10.8 px" in said
    fused = read("fused.tif").data
    assert np.abs(fused[15:-15, 15:-15] - 0.5).mean() < 0.01
    assert np.isnan(fused[0, 0])


def test_a_stack_is_aligned_before_it_is_fused(folder):
    line = "fuse plane0.png plane1.png plane2.png --task multi_focus --model mean -o flat.png"
    code, said = run(f"{line} --align shift")
    assert code == 0, said
    assert "laid on plane 1" in said
    flat, middle = (read(f"{name}.png").data.astype(float) for name in ("flat", "plane1"))
    assert np.abs(flat - middle)[10:-10, 10:-10].mean() < 3


def test_sizes_of_pixels_are_those_of_the_files(folder):
    scene = read("fixed.png").data
    half = np.ascontiguousarray(255 - ndimage.zoom(scene, 0.5, order=1))
    for name, data, step in (("fine", scene, 0.5), ("coarse", half, 0.5 * 199 / 99)):
        metadata = {"axes": "YX", "unit": "um"}
        imwrite(f"{name}.tif", data, imagej=True, resolution=(1 / step,) * 2, metadata=metadata)
    code, said = run("align fine.tif coarse.tif -o moved.tif --transform rigid")
    assert code == 0, said
    assert "already" in said
    moved = read("moved.tif")
    assert moved.data.shape == scene.shape
    assert moved.spacing["X"].value == pytest.approx(0.5, rel=1e-3)
