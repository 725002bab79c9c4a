"""Files at random, whole and damaged: an image, or a sentence."""

import warnings

import numpy as np
import PIL.Image
import pytest
import tifffile

from napari_gifnet.files.formats import FileError, ImageFile, read, write

FILES = 500
SHARDS = 10
"""Parts, so that a failure is found again quickly."""


def values(rng, shape, dtype):
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return rng.random(shape) < 0.5
    if dtype.kind == "f":
        return rng.normal(0, 10.0 ** rng.integers(-3, 4), shape).astype(dtype)
    if dtype.kind == "c":
        return (rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(dtype)
    limits = np.iinfo(dtype)
    return rng.integers(limits.min, limits.max, shape, dtype, endpoint=True)


def random_tiff(rng, path):
    """Write a TIFF of random kind; return (data as stored, photometric, samples, orientation)."""
    height, width = rng.integers(5, 49, 2)
    photometric = rng.choice(
        ["minisblack", "miniswhite", "rgb", "palette", "separated", "ycbcr", "cielab", "cfa"],
        p=[0.3, 0.1, 0.25, 0.05, 0.1, 0.1, 0.05, 0.05],
    )
    usual = ["uint8"] if rng.random() < 0.5 else ["uint16", "float32"]
    dtype = rng.choice(
        [*usual, "int8", "int16", "uint32", "float16", "float64", "bool", "complex64"]
    )
    samples = {"rgb": 3, "separated": 4, "ycbcr": 3, "cielab": 3}.get(photometric, 1)
    extras = (
        int(rng.choice([0, 1, 2], p=[0.6, 0.3, 0.1])) if photometric in ("rgb", "separated") else 0
    )
    leading = tuple(rng.integers(2, 4, rng.choice([0, 1, 2], p=[0.6, 0.3, 0.1])))
    shape = leading + (height, width)
    options = {"photometric": photometric}
    if samples > 1:
        planar = rng.choice(["contig", "separate"])
        shape = (
            (*leading, height, width, samples + extras)
            if planar == "contig"
            else (*leading, samples + extras, height, width)
        )
        options["planarconfig"] = planar
        if extras:
            options["extrasamples"] = list(rng.choice(["unspecified", "unassalpha"], extras))
    if photometric in ("palette", "ycbcr", "cielab"):
        dtype = "uint8"
    if photometric == "palette":
        options["colormap"] = values(rng, (3, 256), "uint16")
    if photometric == "ycbcr":
        options["subsampling"] = (1, 1)
    if rng.random() < 0.3:
        options["compression"] = rng.choice(["zlib", "lzw", "packbits", "zstd"])
    if rng.random() < 0.2:
        options["tile"] = (16, 32)
    if rng.random() < 0.3:
        options["byteorder"] = ">"
    kind = rng.random()
    if kind < 0.15:
        options["ome"] = True
    elif kind < 0.3 and dtype in ("uint8", "uint16", "float32"):
        options["imagej"] = True
        options.pop("byteorder", None)
    orientation = int(rng.integers(1, 9)) if rng.random() < 0.3 else 1
    options["extratags"] = [(274, "H", 1, orientation, True)] if orientation > 1 else []
    if rng.random() < 0.2:
        nodata = rng.choice(["0", "-9999", "nan", "1e400", "none", "255"])
        options["extratags"].append((42113, "s", 0, nodata, True))
    if rng.random() < 0.3:
        options["resolution"] = tuple(10.0 ** rng.integers(-3, 5, 2))
    tifffile.imwrite(path, values(rng, shape, dtype), **options)
    sides = (width, height) if orientation > 4 else (height, width)
    return sides, dtype


def random_photograph(rng, path):
    mode = rng.choice(["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I;16"])
    height, width = rng.integers(5, 49, 2)
    exif = PIL.Image.Exif()
    orientation = int(rng.integers(1, 9))
    exif[0x0112] = orientation
    sides = (width, height) if orientation > 4 else (height, width)
    if mode == "I;16":
        image = PIL.Image.fromarray(values(rng, (height, width), "uint16"))
    else:
        image = PIL.Image.fromarray(values(rng, (height, width, 3), "uint8")).convert(mode)
    if path.suffix == ".jpg" and mode not in ("L", "RGB", "CMYK", "YCbCr"):
        image = image.convert("RGB")
    if path.suffix == ".png" and mode in ("CMYK", "YCbCr"):
        image = image.convert("RGB")
    image.save(path, exif=exif)
    return sides, None


def damage(rng, path):
    """Cut a file short, or change some of its bytes, mostly where its header is."""
    raw = bytearray(path.read_bytes())
    if rng.random() < 0.4:
        raw = raw[: rng.integers(0, len(raw))]
    else:
        reach = 400 if rng.random() < 0.7 else len(raw)
        for place in rng.integers(0, min(reach, len(raw)), rng.integers(1, 6)):
            raw[place] = rng.integers(0, 256)
    path.write_bytes(raw)


def assert_is_image(image: ImageFile):
    data, axes = image.data, image.axes
    assert data.ndim == len(axes)
    assert axes.removesuffix("S").endswith("YX")
    assert "S" not in axes[:-1]
    assert data.dtype.kind in "biuf"
    assert data.size > 0
    if image.in_color:
        assert data.shape[-1] == 3
    assert set(image.spacing) <= set(axes)
    for value, unit in image.spacing.values():
        assert np.isfinite(value)
        assert value > 0
        assert unit
    np.asarray(data).tobytes()  # it is all there


def make_file(folder, number):
    """Write a file at random; return its path, its sides when read, its dtype, and the generator."""
    for attempt in range(100):
        rng = np.random.default_rng([16, number, attempt])
        suffix = rng.choice([".tif", ".ome.tif", ".png", ".jpg"], p=[0.6, 0.1, 0.15, 0.15])
        path = folder / f"{number}{suffix}"
        make = random_tiff if suffix.endswith("tif") else random_photograph
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                sides, dtype = make(rng, path)
        except Exception:  # tifffile and Pillow do not write everything
            continue
        return path, sides, dtype, rng
    raise AssertionError(number)


@pytest.mark.parametrize("shard", range(SHARDS))
@pytest.mark.filterwarnings("default")
def test_random_files(tmp_path, shard):
    for number in range(shard, FILES, SHARDS):
        path, sides, dtype, rng = make_file(tmp_path, number)
        damaged = rng.random() < 0.5
        if damaged:
            damage(rng, path)
        nodata = rng.choice([0.0, -9999, 255, np.nan]) if rng.random() < 0.3 else None
        image, refusal = None, ""
        try:
            image = read(path, nodata=nodata)
        except FileError as error:
            refusal = str(error)
        if image is None:
            assert path.name in refusal, number
            assert refusal.endswith("."), refusal
            assert not refusal.endswith(".."), refusal
            assert "\n" not in refusal
            continue
        assert_is_image(image)
        if not damaged:
            assert image.sides == sides, number
            if dtype is not None and image.data.dtype != dtype:  # a palette
                assert (str(dtype), image.data.dtype.name) == ("uint8", "uint16"), number


def test_most_random_files_are_read(tmp_path):
    """The test above would pass, too, if all were refused."""
    read_well = 0
    for number in range(100):
        rng = np.random.default_rng([17, number])
        path = tmp_path / f"{number}.tif"
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                random_tiff(rng, path)
            read(path)
        except Exception:
            continue
        read_well += 1
    assert read_well > 50


@pytest.mark.parametrize("shard", range(4))
def test_what_is_written_is_read(tmp_path, shard):
    for number in range(shard, 80, 4):
        rng = np.random.default_rng([18, number])
        dtype = rng.choice(["float32", "float64", "uint8", "uint16", "int16", "uint32"])
        axes = rng.choice(["YX", "ZYX", "TZYX", "CYX", "YXS", "ZYXS", "ZTYX", "IYX"])
        sides = dict(zip("YX", rng.integers(5, 49, 2), strict=True))
        shape = [sides.get(axis, 3 if axis == "S" else rng.integers(2, 4)) for axis in axes]
        data = values(rng, shape, dtype)
        path = tmp_path / f"{number}{rng.choice(['.tif', '.ome.tif'])}"
        write(path, data, axes)
        back = read(path)
        assert back.axes == axes, number
        np.testing.assert_array_equal(back.data, data)
