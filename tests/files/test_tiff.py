"""TIFF files of others: what their samples, tags and units mean."""

import warnings

import numpy as np
import pytest
import tifffile

from napari_gifnet.files.formats import FileError, Length, read, write

RNG = np.random.default_rng(0)
PICTURE = RNG.integers(0, 256, (6, 9, 3), np.uint8)


def read_written(path, data, **options):
    tifffile.imwrite(path, data, **options)
    return read(path)


def test_cmyk_is_paper_less_ink(tmp_path):
    inks = np.zeros((6, 9, 4), np.uint8)
    inks[0, :4] = [(255, 0, 0, 0), (0, 255, 0, 0), (0, 0, 255, 0), (0, 0, 0, 255)]
    inks[1, 0] = (51, 0, 102, 51)
    back = read_written(tmp_path / "a.tif", inks, photometric="separated")
    assert back.axes == "YXS"
    assert back.data[0, :5].tolist() == [
        [0, 255, 255],
        [255, 0, 255],
        [255, 255, 0],
        [0, 0, 0],
        [255, 255, 255],
    ]
    assert back.data[1, 0].tolist() == [163, 204, 122]


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_ycbcr_that_is_not_jpeg(tmp_path, compression):
    from PIL import Image

    other = np.asarray(Image.fromarray(PICTURE).convert("YCbCr"))
    back = read_written(
        tmp_path / "a.tif", other, photometric="ycbcr", compression=compression, subsampling=(1, 1)
    )
    assert back.axes == "YXS"
    assert np.abs(back.data.astype(int) - PICTURE).max() <= 2


def test_ycbcr_in_jpeg_comes_as_it_went(tmp_path):
    smooth = np.stack([np.add.outer(np.arange(32), np.arange(32) * k) for k in (1, 2, 3)], -1)
    back = read_written(
        tmp_path / "a.tif",
        np.uint8(smooth),
        photometric="rgb",
        compression="jpeg",
        compressionargs={"level": 95},
    )
    assert np.abs(back.data.astype(int) - smooth).mean() < 2


@pytest.mark.parametrize(
    ("photometric", "words"),
    [("cielab", r"L\*a\*b\*"), ("icclab", r"L\*a\*b\*"), ("cfa", "mosaic")],
)
def test_samples_that_would_be_taken_for_others(tmp_path, photometric, words):
    data = PICTURE if "lab" in photometric else PICTURE[..., 0]
    with pytest.raises(FileError, match=words):
        read_written(tmp_path / "a.tif", data, photometric=photometric)


def test_the_smallest_is_white(tmp_path):
    plane = PICTURE[..., 0]
    back = read_written(tmp_path / "a.tif", plane, photometric="miniswhite")
    np.testing.assert_array_equal(back.data, 255 - plane)
    with pytest.raises(FileError, match="smallest is white"):
        read_written(tmp_path / "a.tif", plane / 255.0, photometric="miniswhite")


@pytest.mark.parametrize("photometric", [0, 1])
def test_four_bits_are_black_to_white(tmp_path, photometric):
    from PIL import Image

    plane = np.arange(16, dtype=np.uint8).reshape(2, 8).repeat(4, 0)
    pixels = np.uint8(plane[:, ::2] << 4 | plane[:, 1::2])
    tags = [
        *((256, 3, 8), (257, 3, 8), (258, 3, 4), (259, 3, 1), (262, 3, photometric)),
        *((273, 4, 128), (277, 3, 1), (278, 3, 8), (279, 4, pixels.size)),
    ]
    entries = b"".join(
        code.to_bytes(2, "little")
        + kind.to_bytes(2, "little")
        + (1).to_bytes(4, "little")
        + value.to_bytes(4, "little")
        for code, kind, value in tags
    )
    header = b"II*\0" + (8).to_bytes(4, "little") + len(tags).to_bytes(2, "little")
    blob = (header + entries + bytes(4)).ljust(128, b"\0")
    (tmp_path / "a.tif").write_bytes(blob + pixels.tobytes())
    back = read(tmp_path / "a.tif").data
    np.testing.assert_array_equal(back, plane * 17 if photometric else 255 - plane * 17)
    np.testing.assert_array_equal(back, np.asarray(Image.open(tmp_path / "a.tif").convert("L")))


TURNED = {
    1: lambda p: p,
    2: lambda p: p[:, ::-1],
    3: lambda p: p[::-1, ::-1],
    4: lambda p: p[::-1],
    5: lambda p: p.swapaxes(0, 1),
    6: lambda p: np.rot90(p, 1),
    7: lambda p: p[::-1, ::-1].swapaxes(0, 1),
    8: lambda p: np.rot90(p, -1),
}
"""How an upright picture is stored under each orientation."""


@pytest.mark.parametrize("orientation", TURNED)
@pytest.mark.parametrize("shape", ["colour", "gray", "stack"])
def test_orientation(tmp_path, orientation, shape):
    upright = PICTURE if shape == "colour" else PICTURE[..., 0]
    stored = np.ascontiguousarray(TURNED[orientation](upright))
    sizes = (50, 20) if orientation < 5 else (20, 50)  # pixels per cm along the stored X and Y
    back = read_written(
        tmp_path / "a.tif",
        np.stack([stored, stored]) if shape == "stack" else stored,
        photometric="rgb" if shape == "colour" else "minisblack",
        extratags=[(274, "H", 1, orientation, True)],
        resolution=sizes,
        resolutionunit="CENTIMETER",
    )
    data = back.data[1] if shape == "stack" else back.data
    np.testing.assert_array_equal(data, upright)
    assert back.spacing == {
        "X": (pytest.approx(0.02), "cm"),
        "Y": (pytest.approx(0.05), "cm"),
    }


@pytest.mark.parametrize(
    ("extras", "kept"),
    [
        (("unspecified",), [0, 1, 2, 3]),
        (("unassalpha",), [0, 1, 2]),
        (("assocalpha",), [0, 1, 2]),
        (("unspecified", "unspecified"), [0, 1, 2, 3, 4]),
        (("unspecified", "unassalpha"), [0, 1, 2, 3]),
    ],
)
@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_only_what_is_called_alpha_is_dropped(tmp_path, extras, kept, planar):
    bands = RNG.integers(0, 256, (3 + len(extras), 6, 9), np.uint8)
    back = read_written(
        tmp_path / "a.tif",
        bands if planar == "separate" else np.ascontiguousarray(np.moveaxis(bands, 0, -1)),
        photometric="rgb",
        planarconfig=planar,
        extrasamples=extras,
    )
    if len(kept) == 3:
        assert back.axes == "YXS"
        np.testing.assert_array_equal(back.data, np.moveaxis(bands[kept], 0, -1))
    else:
        assert back.axes == "CYX"
        np.testing.assert_array_equal(back.data, bands[kept])


def test_gray_with_alpha(tmp_path):
    data = RNG.integers(0, 256, (6, 9, 2), np.uint8)
    back = read_written(
        tmp_path / "a.tif",
        data,
        photometric="minisblack",
        planarconfig="contig",
        extrasamples=["unassalpha"],
    )
    assert back.axes == "YX"
    np.testing.assert_array_equal(back.data, data[..., 0])


# --- missing pixels


@pytest.mark.parametrize(
    ("dtype", "noted", "value"),
    [
        ("float32", "-9999", -9999),
        ("float32", "0", 0),
        ("float64", " -9999 ", -9999),
        ("float32", "-3.4028234663852886e+38", np.finfo(np.float32).min),
        ("int16", "-9999", -9999),
        ("uint8", "0", 0),
        ("uint16", "65535", 65535),
    ],
)
def test_nodata_of_gdal(tmp_path, dtype, noted, value):
    data = RNG.integers(1, 100, (6, 9)).astype(dtype)
    whole = data.copy()
    data[2, 3:5] = value
    back = read_written(tmp_path / "a.tif", data, extratags=[(42113, "s", 0, noted, True)]).data
    assert back.dtype == dtype
    missing = np.zeros((6, 9), bool)
    missing[2, 3:5] = True
    if data.dtype.kind == "f":
        np.testing.assert_array_equal(np.isnan(back), missing)
    else:
        np.testing.assert_array_equal(np.ma.getmaskarray(back), missing)
    np.testing.assert_array_equal(np.ma.getdata(back)[~missing], whole[~missing])


@pytest.mark.parametrize("noted", ["nan", "-9999", "1e300", "none", ""])
def test_nodata_that_is_nowhere(tmp_path, noted):
    plane = PICTURE[..., 0]
    back = read_written(tmp_path / "a.tif", plane, extratags=[(42113, "s", 0, noted, True)]).data
    assert not isinstance(back, np.ma.MaskedArray)
    np.testing.assert_array_equal(back, plane)


def test_nodata_asked_for(tmp_path):
    plane = PICTURE[..., 0].copy()
    plane[0, 0] = 7
    for name in ("a.tif", "a.png"):
        write(tmp_path / name, plane, "YX")
        back = read(tmp_path / name, nodata=7).data
        np.testing.assert_array_equal(np.ma.getmaskarray(back), plane == 7)
    color = PICTURE.copy()
    color[0, 0], color[0, 1] = 0, (0, 9, 9)
    write(tmp_path / "c.tif", color, "YXS")
    assert np.argwhere(np.ma.getmaskarray(read(tmp_path / "c.tif", nodata=0).data)).tolist() == [
        [0, 0, channel] for channel in range(3)
    ]


# --- units


def test_no_resolution_is_no_spacing(tmp_path):
    plane = PICTURE[..., 0]
    tifffile.imwrite(tmp_path / "a.tif", plane)
    assert read(tmp_path / "a.tif").spacing == {}
    raw = bytearray((tmp_path / "a.tif").read_bytes())
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        places = {tag.code: tag.offset for tag in tiff.pages[0].tags}
    for code, other in [(282, 65001), (283, 65002), (296, 65003)]:
        raw[places[code] : places[code] + 2] = other.to_bytes(2, "little")
    (tmp_path / "b.tif").write_bytes(raw)
    assert read(tmp_path / "b.tif").spacing == {}


@pytest.mark.parametrize("resolutionunit", ["NONE", "INCH", "CENTIMETER"])
def test_resolution_has_a_unit_or_is_none(tmp_path, resolutionunit):
    back = read_written(
        tmp_path / "a.tif", PICTURE[..., 0], resolution=(4, 2), resolutionunit=resolutionunit
    )
    unit = {"NONE": None, "INCH": "inch", "CENTIMETER": "cm"}[resolutionunit]
    expected = {"X": (0.25, unit), "Y": (0.5, unit)} if unit else {}
    assert back.spacing == expected


def imagej(path, **metadata):
    tifffile.imwrite(
        path,
        np.zeros((2, 3, 6, 9), np.uint8),
        imagej=True,
        resolution=(4, 2),
        metadata={"axes": "TZYX", **metadata},
    )
    return read(path).spacing


def test_units_of_imagej(tmp_path):
    path = tmp_path / "a.tif"
    assert imagej(path, unit="\\u00b5m", spacing=3) == {
        "X": (0.25, "µm"),
        "Y": (0.5, "µm"),
        "Z": (3, "µm"),
    }
    assert imagej(path, unit="nm", yunit="micron", zunit="mm", spacing=3) == {
        "X": (0.25, "nm"),
        "Y": (0.5, "µm"),
        "Z": (3, "mm"),
    }
    assert imagej(path, unit="um", finterval=250, tunit="msec")["T"] == (250, "ms")
    assert imagej(path, unit="pixel", spacing=3) == {}
    assert imagej(path) == {}


def test_units_of_ome(tmp_path):
    sizes = {"X": (0.25, "nm"), "Y": (0.5, "µm"), "Z": (3.0, "mm"), "T": (250.0, "ms")}
    metadata = {"axes": "TZYX"}
    for axis, (size, unit) in sizes.items():
        name = "TimeIncrement" if axis == "T" else f"PhysicalSize{axis}"
        metadata |= {name: size, f"{name}Unit": unit}
    data = np.zeros((2, 3, 6, 9), np.uint8)
    assert read_written(tmp_path / "a.ome.tif", data, metadata=metadata).spacing == sizes


@pytest.mark.parametrize("name", ["a.tif", "a.ome.tif"])
def test_each_size_keeps_its_unit(tmp_path, name):
    spacing = {
        "T": Length(250, "ms"),
        "Z": Length(0.3, "µm"),
        "Y": Length(65, "nm"),
        "X": Length(65, "nm"),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write(tmp_path / name, np.zeros((2, 3, 6, 9), np.float32), "TZYX", spacing=spacing)
    back = read(tmp_path / name).spacing
    scale = {"ms": 1e-3, "s": 1, "µm": 1e3, "nm": 1}
    for axis, (value, unit) in spacing.items():
        got, got_unit = back[axis]
        assert got * scale[got_unit] == pytest.approx(value * scale[unit])


@pytest.mark.parametrize("name", ["a.tif", "a.ome.tif", "plain.tif", "a.png"])
@pytest.mark.parametrize(
    ("size", "held"),
    [
        ((0.5, "μm"), True),
        ((2.0, "Å"), True),
        ((1e-10, "m"), True),
        ((0.0, "µm"), False),
        ((-1.0, "µm"), False),
        ((np.nan, "µm"), False),
        ((np.inf, "µm"), False),
        ((1.0, "fürlong"), False),
        ((1.0, "\udce9"), False),
        ((1e-300, "m"), False),
        ((1e300, "km"), False),
    ],
)
def test_sizes_never_cost_the_pixels(tmp_path, name, size, held):
    """What can be held is the same length when it is read; what cannot is said in a sentence."""
    axes = {"plain.tif": "CZYX", "a.png": "YX"}.get(name, "ZYX")
    dtype = "uint8" if name == "a.png" else "float32"
    data = RNG.integers(0, 9, (2, 3, 6, 9)[4 - len(axes) :]).astype(dtype)
    spacing = {axis: Length(*size) for axis in "YX"}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        write(tmp_path / name, data, axes, spacing=spacing)
    back = read(tmp_path / name)
    np.testing.assert_array_equal(back.data, data)
    metres = {"m": 1, "cm": 1e-2, "mm": 1e-3, "µm": 1e-6, "μm": 1e-6, "nm": 1e-9, "Å": 1e-10}
    if held and name != "a.png":
        assert not caught
        value, unit = back.spacing["X"]
        assert value * metres[unit] == pytest.approx(size[0] * metres[size[1]], rel=1e-5)
    elif name != "a.ome.tif" or size[0] not in (1e-300, 1e300):
        assert back.spacing == {}
        (warning,) = caught
        words = str(warning.message)
        assert words.endswith(".")
        assert "without the pixel size along Y, the pixel size along X" in words


@pytest.mark.parametrize("name", ["a.tif", "a.ome.tif", "plain.tif", "a.png", "a.jpg"])
def test_descriptions_never_cost_the_pixels(tmp_path, name):
    axes = "YX" if name.endswith(("png", "jpg")) else {"plain.tif": "CZYX"}.get(name, "ZYX")
    data = np.zeros((2, 3, 6, 9)[4 - len(axes) :], "uint8" if axes == "YX" else "float32")
    description = "from caf\udce9.png, \ud800, a\0b, \x1b[1m, α–ω, 脳, 🧠, " + 70_000 * "x"
    write(tmp_path / name, data, axes, description=description)
    np.testing.assert_array_equal(read(tmp_path / name).data, data)
    if name == "a.tif":
        with tifffile.TiffFile(tmp_path / name) as tiff:
            assert "from caf\\xe9.png" in tiff.imagej_metadata["Info"]


@pytest.mark.parametrize("axes", ["QYX", "IYX", "QQYX", "IZYX", "PYX", "CZYX", "ZTYX"])
@pytest.mark.parametrize("name", ["a.tif", "a.ome.tif"])
def test_axes_never_cost_the_pixels(tmp_path, axes, name):
    data = RNG.random((2, 3, 6, 9)[4 - len(axes) :], np.float32)
    write(tmp_path / name, data, axes, spacing={axis: Length(1, "mm") for axis in "YX"})
    back = read(tmp_path / name)
    assert back.axes == axes
    np.testing.assert_array_equal(back.data, data)
