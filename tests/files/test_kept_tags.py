"""What a result keeps of the header of its input: the colour profile, the place on the ground."""

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms
from typer.testing import CliRunner

from napari_gifnet.cli import app
from napari_gifnet.files.formats import read, write

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
GRAY = SRGB[:16] + b"GRAY" + SRGB[20:]

TAGS = [
    (33550, "d", 3, (10.0, 10.0, 0.0), True),
    (33922, "d", 6, (0.0, 0.0, 0.0, 512000.0, 4.1e6, 0.0), True),
    (34735, "H", 8, (1, 1, 0, 1, 3072, 0, 1, 32633), True),
    (34737, "s", 13, "WGS 84 / UTM|", True),
    (42112, "s", 14, "<GDALMetadata/>", True),
]


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def gifnet(*arguments):
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert done.exit_code == 0, (done.output, done.exception)
    return done.stdout


def with_profile(profile):
    return [(34675, 7, len(profile), profile, True)]


def scene(seed=0, dtype=np.uint8, channels=()):
    return np.random.default_rng(seed).integers(1, 200, (40, 50, *channels)).astype(dtype)


def tags_of(path):
    with tifffile.TiffFile(path) as tiff:
        return {
            code: tiff.pages[0].tags.valueof(code)
            for code in (33550, 33922, 34735, 34737, 42112, 42113)
        }


@pytest.mark.parametrize("name", ["out.tif", "out.ome.tif"])
def test_a_result_lies_where_its_input_does(name):
    nodata = (42113, "s", 6, "-9999", True)
    tifffile.imwrite(
        "a.tif", scene(dtype=np.int16), extratags=[*TAGS, nodata], photometric="minisblack"
    )
    write("b.tif", scene(1), "YX")
    gifnet("fuse", "a.tif", "b.tif", "--model", "mean", "-o", name)
    kept, given = tags_of(name), tags_of("a.tif")
    for code in (33550, 33922, 34735, 34737):
        assert kept[code] == given[code]
    assert kept[42112] is None  # statistics of other values
    assert kept[42113] == "nan"
    gifnet("enhance", "a.tif", "--model", "mean", "--dtype", "uint8", "-o", "e.tif")
    assert tags_of("e.tif")[33922] == given[33922]
    assert tags_of("e.tif")[42113] == "0"


def test_missing_pixels_are_missing_in_what_is_read_again():
    data = scene(dtype=np.float32)
    data[:5] = -9999
    nodata = (42113, "s", 6, "-9999", True)
    tifffile.imwrite("a.tif", data, extratags=[nodata], photometric="minisblack")
    gifnet("enhance", "a.tif", "--model", "mean", "--dtype", "uint8", "-o", "e.tif")
    again = read("e.tif").data
    assert again.mask[:5].all()
    gifnet("enhance", "a.tif", "--model", "mean", "-o", "f.tif")
    assert np.isnan(read("f.tif").data[:5]).all()


def test_places_that_contradict_each_other_are_said():
    other = [*TAGS[:1], (33922, "d", 6, (0.0, 0.0, 0.0, 1.0, 1.0, 0.0), True), *TAGS[2:]]
    tifffile.imwrite("a.tif", scene(), extratags=TAGS, photometric="minisblack")
    tifffile.imwrite("b.tif", scene(1), extratags=other, photometric="minisblack")
    line = gifnet("fuse", "a.tif", "b.tif", "--model", "mean", "-o", "f.tif")
    assert "A and B lie elsewhere on the ground by their tags" in line
    assert tags_of("f.tif")[33922] == tags_of("b.tif")[33922]
    assert "ground" not in gifnet("fuse", "a.tif", "a.tif", "--model", "mean", "-o", "g.tif")


@pytest.mark.parametrize("source", ["c.tif", "c.png", "c.jpg"])
@pytest.mark.parametrize("out", ["out.tif", "out.png", "out.jpg"])
def test_the_profile_of_the_image_in_colour_is_kept(source, out):
    colors = scene(channels=(3,))
    if source == "c.tif":
        tifffile.imwrite(source, colors, extratags=with_profile(SRGB), photometric="rgb")
    else:
        Image.fromarray(colors).save(source, icc_profile=SRGB)
    write("gray.png", scene(1), "YX")
    gifnet("fuse", source, "gray.png", "--model", "mean", "--dtype", "uint8", "-o", out)
    assert read(out).profile == SRGB
    gifnet("fuse", "gray.png", source, "--color", "gray", "--model", "mean", "-o", "g.tif")
    assert read("g.tif").profile is None  # a profile of RGB says nothing of gray


def test_a_profile_of_gray_is_kept_for_gray():
    tifffile.imwrite("a.tif", scene(), extratags=with_profile(GRAY), photometric="minisblack")
    gifnet("enhance", "a.tif", "--model", "mean", "-o", "out.tif")
    assert read("out.tif").profile == GRAY


def test_deep_colours_in_a_png_lose_their_profile_and_say_so():
    pytest.importorskip("imagecodecs")
    tifffile.imwrite(
        "c.tif",
        scene(dtype=np.uint16, channels=(3,)),
        extratags=with_profile(SRGB),
        photometric="rgb",
    )
    with pytest.warns(UserWarning, match="without the colour profile, which it cannot hold"):
        write("out.png", read("c.tif").data, "YXS", like=read("c.tif"))
