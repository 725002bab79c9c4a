"""Folders side by side."""

from pathlib import Path

import pytest

from napari_gifnet.files.formats import FORMATS, FileError
from napari_gifnet.files.pairing import (
    expand_pattern,
    is_one_image,
    is_pattern,
    pair_folders,
    planes_in,
)


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


def test_planes_come_in_the_order_of_their_numbers(tmp_path, monkeypatch):
    names = ["p1.png", "p2.png", "p10.png", "p10b.png", "q0.tif"]
    fill(tmp_path, *reversed(names), "notes.txt", ".hidden.png", "below/p3.png")
    assert [path.name for path in planes_in(tmp_path, FORMATS)] == names
    monkeypatch.chdir(tmp_path)
    for pattern, expected in [
        (tmp_path / "p*", names[:4]),
        (Path("p?.png"), names[:2]),
        (Path("p[12].png"), names[:2]),
        (Path("*/p*.png"), ["p3.png"]),
        (Path("**/p[0-9].png"), ["p3.png", *names[:2]]),
    ]:
        assert is_pattern(pattern)
        assert [path.name for path in expand_pattern(pattern, FORMATS)] == expected
    with pytest.raises(FileError, match=r"No images fit the pattern x\*: expected names"):
        expand_pattern(Path("x*"), FORMATS)
    fill(tmp_path, "odd[1].png")
    assert not is_pattern(Path("odd[1].png"))


def test_results_among_the_images_are_left_out(tmp_path):
    a = fill(tmp_path / "a", "1.png", "made/1.png", "made/more/2.png", "other/1.png")
    scenes, _ = pair_folders([a], FORMATS, without=a / "made")
    assert list(scenes) == ["1", "other/1"]


def test_a_folder_that_is_one_image(tmp_path):
    suffixes = [*FORMATS, ".dcm", ".nii.gz", ".ome.zarr"]
    a = fill(tmp_path / "a", "1/IM0001.dcm", "1/IM0002.dcm", "2/x", "3.ome.zarr/0/0", "x/4.nii.gz")
    (a / "2" / "x").write_bytes(b"\0" * 128 + b"DICM" + b"\0" * 40)
    b = fill(tmp_path / "b", "1.nii.gz", "2.png", "3.tif", "x/4.png")
    scenes, alone = pair_folders([a, b], suffixes)
    assert [scene[0] for scene in scenes.values()] == [
        a / "1",
        a / "2",
        a / "3.ome.zarr",
        a / "x" / "4.nii.gz",
    ]
    assert list(scenes) == ["1", "2", "3", "x/4"]
    assert not alone
    assert not is_one_image(a, suffixes)
    assert not is_one_image(a / "1", FORMATS)
