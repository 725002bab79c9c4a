"""Folders side by side."""

import pytest

from napari_gifnet.files.formats import FORMATS, FileError
from napari_gifnet.files.pairing import pair_folders


def fill(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def test_subfolders_are_part_of_a_name(tmp_path):
    a = fill(tmp_path / "a", "day/1.png", "night/1.png", "2.tif", "west.jpg", ".hidden.png")
    b = fill(tmp_path / "b", "day/1.tif", "night/1.PNG", "2.png", "notes.txt", ".cache/3.png")
    scenes, alone = pair_folders([a, b], FORMATS)
    assert scenes == {
        "2": (a / "2.tif", b / "2.png"),
        "day/1": (a / "day/1.png", b / "day/1.tif"),
        "night/1": (a / "night/1.png", b / "night/1.PNG"),
    }
    assert alone == {"west": (a / "west.jpg",)}
    assert list(scenes) == sorted(scenes)


def test_three_folders(tmp_path):
    folders = [fill(tmp_path / side, "1.png", f"{side}.png") for side in "abc"]
    scenes, alone = pair_folders(folders, FORMATS)
    assert scenes == {"1": tuple(folder / "1.png" for folder in folders)}
    assert list(alone) == ["a", "b", "c"]


def test_dots_in_names(tmp_path):
    a, b = (fill(tmp_path / side, "x.1.png", "x.2.png") for side in "ab")
    assert list(pair_folders([a, b], FORMATS).scenes) == ["x.1", "x.2"]


def test_what_cannot_be_paired(tmp_path):
    a = fill(tmp_path / "a", "1.png", "1.tif")
    b = fill(tmp_path / "b", "1.png")
    c = fill(tmp_path / "c", "night/1.png")
    with pytest.raises(FileError, match=r"1\.png and .*1\.tif have one name"):
        pair_folders([a, b], FORMATS)
    with pytest.raises(FileError, match="no images of the same name"):
        pair_folders([b, c], FORMATS)
    with pytest.raises(FileError, match="no folder"):
        pair_folders([b, tmp_path / "nowhere"], FORMATS)
