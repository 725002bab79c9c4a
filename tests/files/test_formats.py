"""Image files: what goes in comes out, with its axes and sizes; what cannot says so."""

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_gifnet.files.formats import FileError, Length, check_destination, read, write

RNG = np.random.default_rng(0)


def noise(shape, dtype):
    if np.dtype(dtype).kind == "f":
        return RNG.random(shape).astype(dtype)
    return RNG.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


@pytest.mark.parametrize(
    ("name", "dtype", "axes", "shape"),
    [
        ("gray.png", "uint8", "YX", (6, 7)),
        ("gray.png", "uint16", "YX", (6, 7)),
        ("colour.png", "uint8", "YXS", (6, 7, 3)),
        ("colour.png", "uint16", "YXS", (6, 7, 3)),
        ("plane.tif", "float32", "YX", (6, 7)),
        ("plane.tif", "float64", "YX", (6, 7)),
        ("stack.tif", "float32", "ZYX", (2, 6, 7)),
        ("stack.tif", "uint16", "TZCYX", (2, 3, 4, 6, 7)),
        ("colour.tif", "uint8", "YXS", (6, 7, 3)),
        ("colour.tif", "float32", "ZYXS", (2, 6, 7, 3)),
        ("bands.ome.tif", "float32", "CYX", (4, 6, 7)),
        ("colour.ome.tif", "uint8", "ZYXS", (2, 6, 7, 3)),
        ("odd.tif", "float32", "CZYX", (2, 3, 6, 7)),
        ("half.tif", "float16", "ZYX", (3, 6, 7)),
        ("half.ome.tif", "float16", "ZYX", (3, 6, 7)),
        ("long.ome.tif", "int32", "ZYX", (3, 6, 7)),
    ],
)
def test_round_trip(tmp_path, name, dtype, axes, shape):
    data = noise(shape, dtype)
    write(tmp_path / name, data, axes)
    back = read(tmp_path / name)
    assert (back.axes, back.data.dtype) == (axes, data.dtype)
    np.testing.assert_array_equal(back.data, data)
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(
    ("name", "axes"), [("a.tif", "ZYX"), ("a.ome.tif", "ZYX"), ("a.ome.tif", "TZYX")]
)
def test_sizes_of_pixels_are_kept(tmp_path, name, axes):
    spacing = {"Z": Length(2.5, "µm"), "Y": Length(0.5, "µm"), "X": Length(0.25, "µm")}
    if "T" in axes:
        spacing["T"] = Length(3.0, "s")
    write(tmp_path / name, noise((2,) * len(axes[:-2]) + (6, 7), "float32"), axes, spacing=spacing)
    back = read(tmp_path / name).spacing
    assert set(back) == set(spacing)
    for axis, (value, unit) in spacing.items():
        assert back[axis] == (pytest.approx(value), unit)


def test_size_of_pixels_in_a_plain_tiff(tmp_path):
    """ImageJ has no float colour: a plain TIFF knows centimetres."""
    spacing = {"Y": Length(0.5, "mm"), "X": Length(0.25, "mm")}
    write(tmp_path / "a.tif", noise((6, 7, 3), "float32"), "YXS", spacing=spacing)
    back = read(tmp_path / "a.tif").spacing
    assert back == {"Y": (pytest.approx(0.05), "cm"), "X": (pytest.approx(0.025), "cm")}


def test_files_are_those_of_imagej_and_ome(tmp_path):
    stack = noise((3, 6, 7), "float32")
    spacing = {axis: Length(2.0, "mm") for axis in "ZYX"}
    for name in ("a.tif", "a.ome.tif"):
        write(tmp_path / name, stack, "ZYX", spacing=spacing, description="two brains")
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        assert tiff.imagej_metadata["slices"] == 3
        assert tiff.imagej_metadata["spacing"] == 2.0
        assert tiff.imagej_metadata["unit"] == "mm"
        assert tiff.imagej_metadata["Info"] == "two brains"
    with tifffile.TiffFile(tmp_path / "a.ome.tif") as tiff:
        assert "two brains" in tiff.ome_metadata
        assert tiff.series[0].axes == "ZYX"


def test_jpeg(tmp_path):
    smooth = np.uint8(np.stack(np.meshgrid(np.arange(64), np.arange(48)), axis=-1).sum(-1))
    write(tmp_path / "a.jpg", smooth, "YX")
    assert np.abs(read(tmp_path / "a.jpg").data.astype(int) - smooth).max() <= 3
    with Image.open(tmp_path / "a.jpg") as image:
        assert sum(image.quantization[0]) < 500  # the standard tables add up to 4000 at quality 50


def test_floats_in_a_picture_are_scaled_and_nan_is_black(tmp_path):
    write(tmp_path / "a.png", np.array([[0, 0.5, 1, np.nan, 2]] * 5, np.float32), "YX")
    assert read(tmp_path / "a.png").data[0].tolist() == [0, 128, 255, 0, 255]


def test_nan_stays_in_a_tiff(tmp_path):
    write(tmp_path / "a.tif", np.full((5, 5), np.nan, np.float32), "YX")
    assert np.isnan(read(tmp_path / "a.tif").data).all()


@pytest.mark.parametrize("mode", ["RGBA", "P", "LA", "1"])
def test_picture_modes(tmp_path, mode):
    source = Image.fromarray(np.uint8(RNG.integers(0, 2, (6, 7, 3)) * 255)).convert(mode)
    source.save(tmp_path / "a.png")
    expected = source.convert("RGB" if mode in ("RGBA", "P") else "L")
    back = read(tmp_path / "a.png")
    assert back.in_color == (mode in ("RGBA", "P"))
    np.testing.assert_array_equal(
        back.data.astype(np.uint8) * (255 if mode == "1" else 1), expected
    )


def test_a_photograph_is_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    Image.fromarray(noise((6, 9), "uint8")).save(tmp_path / "a.jpg", exif=exif)
    assert read(tmp_path / "a.jpg").data.shape == (9, 6)


def test_samples_that_are_no_colour_are_bands(tmp_path):
    bands = noise((6, 7, 4), "uint16")
    tifffile.imwrite(tmp_path / "a.tif", bands, photometric="minisblack", planarconfig="contig")
    back = read(tmp_path / "a.tif")
    assert back.axes == "CYX"
    np.testing.assert_array_equal(back.data, np.moveaxis(bands, -1, 0))


def test_colour_in_planes_and_with_alpha(tmp_path):
    picture = noise((4, 6, 7), "uint8")
    tifffile.imwrite(tmp_path / "a.tif", picture, photometric="rgb", planarconfig="separate")
    back = read(tmp_path / "a.tif")
    assert back.axes == "YXS"
    np.testing.assert_array_equal(back.data, np.moveaxis(picture[:3], 0, -1))


def test_palette_of_a_tiff(tmp_path):
    indices = noise((6, 7), "uint8")
    palette = noise((3, 256), "uint16")
    tifffile.imwrite(tmp_path / "a.tif", indices, photometric="palette", colormap=palette)
    np.testing.assert_array_equal(
        read(tmp_path / "a.tif").data, np.moveaxis(palette[:, indices], 0, -1)
    )


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("absent.png", "No such file"),
        ("absent.tif", "No such file"),
        ("text.png", "cannot be read"),
        ("text.jpg", "cannot be read"),
        ("text.tif", "cannot be read"),
        ("text.txt", r"unknown format: expected .*\.tif"),
        ("cut.png", "cannot be read"),
        ("cut.tif", "cannot be read"),
        ("empty.tif", "cannot be read"),
    ],
)
def test_what_cannot_be_read(tmp_path, name, words):
    for suffix in ("png", "jpg", "tif", "txt"):
        (tmp_path / f"text.{suffix}").write_text("To be, or not to be")
    for suffix in ("png", "tif"):
        write(tmp_path / f"whole.{suffix}", noise((64, 64), "uint8"), "YX")
        whole = (tmp_path / f"whole.{suffix}").read_bytes()
        (tmp_path / f"cut.{suffix}").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "empty.tif").touch()
    with pytest.raises(FileError, match=words) as raised:
        read(tmp_path / name)
    assert name in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "dtype", "axes", "words"),
    [
        ("a.jpg", "uint16", "YX", "JPEG file cannot hold uint16: expected uint8"),
        ("a.png", "int32", "YX", "PNG file cannot hold int32"),
        ("a.png", "uint8", "ZYX", "one plane"),
        ("a.bmp", "uint8", "YX", "unknown format"),
    ],
)
def test_what_a_format_cannot_hold(tmp_path, name, dtype, axes, words):
    with pytest.raises(FileError, match=words):
        write(tmp_path / name, noise((5,) * len(axes), dtype), axes)
    assert not list(tmp_path.iterdir())


def test_destinations(tmp_path):
    (tmp_path / "there.png").touch()
    check_destination(tmp_path / "new.png")
    check_destination(tmp_path / "there.png", overwrite=True)
    for path, words in [
        ("there.png", "exists already"),
        ("nowhere/new.png", "does not exist"),
        ("new.gif", "unknown format"),
    ]:
        with pytest.raises(FileError, match=words):
            check_destination(tmp_path / path)
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(FileError, match="is a folder"):
        check_destination(tmp_path / "folder.png", overwrite=True)


@pytest.mark.parametrize("name", ["a.tif", "a.png"])
def test_a_full_disk_leaves_the_old_file(tmp_path, name):
    resource = pytest.importorskip("resource", reason="the system has no file size limits")
    path = tmp_path / name
    path.write_bytes(b"old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(
            FileError, match=r"cannot be written: (File too large|there is no space)"
        ):
            write(path, noise((600, 600), "uint8"), "YX")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [(name, b"old")]


# --- names


@pytest.mark.parametrize("suffix", [".tif", ".png", ".jpg"])
def test_the_longest_name_that_the_file_system_has(tmp_path, suffix):
    """The temporary name is no longer than the file's own."""
    for length in (240, 255):
        path = tmp_path / ("n" * (length - len(suffix)) + suffix)
        check_destination(path)
        write(path, noise((6, 7), "uint8"), "YX")
        assert [each.name for each in tmp_path.iterdir()] == [path.name]
        path.unlink()


def test_names_that_cannot_be_written_are_refused_before(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "dangling.png").symlink_to(tmp_path / "nowhere" / "there.png")
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    before = sorted(tmp_path.iterdir())
    for name, words in [
        (252 * "n" + ".png", "too long a name"),
        (300 * "d" + "/a.png", "too long a name|does not exist"),
        ("file/a.png", "is a file and no folder"),
        ("file/b/a.png", "is a file and no folder"),
        ("dangling.png", "link to a file that is not there"),
        ("loop.png", "link|cannot be written"),
        ("a\0b.png", "cannot be written"),
    ]:
        with pytest.raises(FileError, match=words) as raised:
            check_destination(tmp_path / name, overwrite=True)
        assert str(raised.value).endswith(".")
    assert sorted(tmp_path.iterdir()) == before


def test_a_folder_that_is_read_only(tmp_path):
    import os

    folder = tmp_path / "folder"
    folder.mkdir()
    folder.chmod(0o500)
    try:
        if os.access(folder, os.W_OK):
            pytest.skip("the administrator may write anywhere")
        with pytest.raises(FileError, match="cannot be written to"):
            check_destination(folder / "a.png")
    finally:
        folder.chmod(0o700)


def test_an_error_while_cleaning_up_hides_nothing(tmp_path):
    """A path that leads through a file fails in writing, and in taking the temporary file away."""
    (tmp_path / "file").touch()
    with pytest.raises(FileError, match="cannot be written"):
        write(tmp_path / "file" / "a.png", noise((6, 7), "uint8"), "YX")


def test_a_source_whose_name_is_not_utf8_can_be_read_and_named(tmp_path):
    import os

    path = tmp_path / os.fsdecode(b"caf\xe9.png")
    data = noise((6, 7), "uint8")
    write(path, data, "YX", description=str(path))
    np.testing.assert_array_equal(read(path).data, data)


# --- photographs


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("channels", [1, 3])
def test_pngs_are_upright(tmp_path, orientation, dtype, channels):
    """The orientation lies in a chunk eXIf, which is put into a file that was written without."""
    import zlib

    shape = (6, 9, 3) if channels == 3 else (6, 9)
    stored = noise(shape, dtype)
    write(tmp_path / "a.png", stored, "YXS" if channels == 3 else "YX")
    exif = Image.Exif()
    exif[0x0112] = orientation
    body = b"eXIf" + exif.tobytes().removeprefix(b"Exif\0\0")
    chunk = (len(body) - 4).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")
    raw = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(raw[:33] + chunk + raw[33:])
    turned = {
        1: stored,
        2: stored[:, ::-1],
        3: stored[::-1, ::-1],
        4: stored[::-1],
        5: stored.swapaxes(0, 1),
        6: np.rot90(stored, -1),
        7: stored[::-1, ::-1].swapaxes(0, 1),
        8: np.rot90(stored, 1),
    }
    np.testing.assert_array_equal(read(tmp_path / "a.png").data, turned[orientation])


@pytest.mark.parametrize("form", ["EPS", "TIFF", "GIF", "BMP"])
def test_what_is_no_png_is_not_opened_as_something_else(tmp_path, form):
    """Pillow hands some formats to other programs."""
    Image.fromarray(noise((6, 7), "uint8")).save(tmp_path / "a.png", format=form)
    with pytest.raises(FileError, match="cannot be read"):
        read(tmp_path / "a.png")


def test_a_long_description_in_a_jpeg(tmp_path):
    write(tmp_path / "a.jpg", noise((6, 7), "uint8"), "YX", description=100_000 * "long ")
    assert read(tmp_path / "a.jpg").data.shape == (6, 7)
