"""What is refused, where no other test has met it: the whole sentence, as somebody would read it."""

import os
import re

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image
from typer.testing import CliRunner

from napari_gifnet import align, fuse
from napari_gifnet.alignment.transform_files import read_matrix
from napari_gifnet.cli import app
from napari_gifnet.errors import AlignmentError, GIFNetError, ImageError, OptionError
from napari_gifnet.files.destinations import check_replaceable
from napari_gifnet.files.formats import read
from napari_gifnet.training.samples import crop


def sentence(words: str) -> str:
    """A pattern that a whole message fits; … stands for any of its words."""
    return f"^{'.*'.join(map(re.escape, words.split('…')))}$"


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    """Three gray pictures of one size, in the current folder."""
    monkeypatch.chdir(tmp_path)
    for name, plane in zip(
        "abc", np.random.default_rng(0).integers(0, 255, (3, 24, 32)), strict=True
    ):
        Image.fromarray(plane.astype(np.uint8)).save(f"{name}.png")
    return tmp_path


def refused(*arguments: str) -> str:
    """What the shell says of a command that it refuses."""
    done = CliRunner().invoke(app, list(arguments))
    assert done.exit_code == 2, (done.output, done.exception)
    return done.stderr.strip()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("evaluate a.png b.png", "Nothing to judge: expected FUSED, or a --method that makes it."),
        (
            "fuse a.png b.png -o f.png --model mean --resume",
            "--resume is of folders: there is one result; leave it out.",
        ),
        (
            "fuse a.png b.png -o f.png --model mean --suffix .tif",
            "--suffix is of many results: the name of one says its format; leave it out.",
        ),
        (
            "fuse a.png b.png -o f.png --model mean --intensity dtype --intensity dtype --intensity dtype",
            "--intensity was given 3 times: expected one for both images, or one for A and another for B.",
        ),
        (
            "fuse a.png -o f.png --model mean",
            "a.png holds one plane: expected two images or more, or a stack; gifnet enhance sharpens one.",
        ),
        (
            "fuse a.png b.png c.png -o f.png --height h.tif --task multi_exposure",
            "--height is of focus planes: of exposures every plane has a share; leave it out.",
        ),
        (
            "train --model pyramid -o w.safetensors",
            "--model pyramid cannot be trained: expected gifnet or",
        ),
        (
            "train --model gifnet-bands --classifier x.pth -o w.safetensors",
            "--classifier is of gifnet alone: expected --model gifnet with it.",
        ),
    ],
)
def test_the_shell(pictures, arguments, words):
    assert words in refused(*arguments.split())


def test_a_table_without_rows(pictures):
    (pictures / "pairs.csv").write_text("a,b\n")
    said = refused("fuse", "--pairs", "pairs.csv", "-o", "out", "--model", "mean")
    assert said == "gifnet: pairs.csv names no images: expected a line for each pair."


def test_two_images_of_one_name(pictures):
    for folder in ("left", "right"):
        (pictures / folder).mkdir()
        Image.open("a.png").save(pictures / folder / "1.png")
    Image.open("a.png").save(pictures / "left" / "1.tif")
    said = refused("fuse", "left", "right", "-o", "out", "--model", "mean")
    assert "have one name: expected one image a scene." in said


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1 0\n0 1\n", "{path} holds no transform: expected a matrix of 3 rows and columns…"),
        ("1 0 0\n0 0 0\n0 0 1\n", "{path} holds no usable transform: …"),
        (
            "#Insight Transform File V1.0\nTransform: Nonsense\n",
            "{path} is no transform that ITK can read: expected a .tfm of a linear one.",
        ),
    ],
)
def test_a_file_without_a_transform(tmp_path, text, words):
    path = tmp_path / "moved.tfm" if "Insight" in text else tmp_path / "moved.txt"
    path.write_text(text)
    with pytest.raises(AlignmentError, match=sentence(words.format(path=path))):
        read_matrix(path)


def test_a_transform_that_bends(tmp_path):
    path = tmp_path / "bent.tfm"
    sitk.WriteTransform(sitk.BSplineTransform(2, 3), str(path))
    words = f"{path} holds a transform that bends: expected a linear one."
    with pytest.raises(AlignmentError, match=sentence(words)):
        read_matrix(path)


def test_axes_that_the_images_do_not_have():
    planes = np.random.default_rng(0).random((2, 64, 64))
    words = "ndim=3 does not fit images of 2 and 2 axes: expected 2."
    with pytest.raises(OptionError, match=sentence(words)):
        align(*planes, ndim=3)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_a_pipe_is_no_destination(tmp_path):
    path = tmp_path / "pipe.tif"
    os.mkfifo(path)
    words = f"{path} is no ordinary file: choose another name."
    with pytest.raises(GIFNetError, match=sentence(words)):
        check_replaceable(path, overwrite=True)


def test_a_volume_of_too_many_axes(tmp_path):
    path = tmp_path / "many.nii"
    values = np.zeros((4, 4, 4, 1, 1, 2), np.float32)
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), path)
    words = f"{path} has 6 axes, of (4, 4, 4, 1, 1, 2): expected up to five."
    with pytest.raises(GIFNetError, match=sentence(words)):
        read(path)


def test_time_that_is_mixed_with_space(tmp_path):
    path = tmp_path / "mixed.nrrd"
    image = sitk.GetImageFromArray(np.zeros((3, 4, 5, 6), np.float32), isVector=False)
    turn = np.eye(4)[[3, 1, 2, 0]]
    image.SetDirection(turn.ravel().tolist())
    sitk.WriteImage(image, str(path))
    words = f"{path} has time mixed with its spatial axes: expected it apart."
    with pytest.raises(GIFNetError, match=sentence(words)):
        read(path)


def test_a_range_that_no_float_holds():
    wide = np.array([[-1.5e308, 1.5e308]] * 64).repeat(32, axis=1)
    words = "a spans -1.5e+308 to 1.5e+308, more than a float holds: give its range as intensity=…"
    with pytest.raises(ImageError, match=sentence(words)):
        fuse(wide, wide, model="mean")


def test_a_picture_smaller_than_a_patch():
    words = (
        "A picture of 20×30 is smaller than the patch side 32: expected larger pictures; give a "
        "smaller patch."
    )
    with pytest.raises(ImageError, match=sentence(words)):
        crop(np.random.default_rng(0), [np.zeros((20, 30), np.float32)], 32)
