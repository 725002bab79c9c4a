"""Arrays of xarray in and out: names, coordinates and attributes are kept."""

import subprocess
import sys

import dask.array as da
import numpy as np
import pytest
import xarray as xr
import zarr

from napari_gifnet import enhance, fuse, fuse_stack
from napari_gifnet.errors import ImageError, OptionError

MEAN = {"model": "mean"}
HEIGHT, WIDTH, TIMES = 12, 15, 4


def values(*shape, seed=0):
    return np.random.default_rng(seed).random(shape, np.float32)


def image(*dims, seed=0, name=None, **attrs):
    """An image whose axes have coordinates in steps of their own."""
    sizes = {"y": HEIGHT, "x": WIDTH, "time": TIMES, "z": 3, "band": 3, "rgb": 3}
    coords = {
        "y": 50 - 0.5 * np.arange(HEIGHT),
        "x": 7 + 0.25 * np.arange(WIDTH),
        "time": np.datetime64("2020-01-01", "ns") + np.arange(TIMES) * np.timedelta64(1, "D"),
    }
    return xr.DataArray(
        values(*(sizes[dim] for dim in dims), seed=seed),
        dims=dims,
        coords={dim: coords[dim] for dim in dims if dim in coords} | {"crs": 0},
        name=name,
        attrs=attrs,
    )


def test_names_coordinates_and_attributes_are_kept():
    a = image("time", "y", "x", sensor="A", place="here", units="K", shared=1)
    b = image("y", "x", seed=1, sensor="B", shared=1, station="s")
    a = a.assign_coords(exposure=("time", np.arange(TIMES)), area=(("y", "x"), b.values))
    fused = fuse(a, b, intensity="dtype", **MEAN)
    assert isinstance(fused, xr.DataArray)
    assert fused.dims == ("time", "y", "x")
    assert fused.name == "fused"
    np.testing.assert_array_equal(fused.values, fuse(a.values, b.values, intensity="dtype", **MEAN))
    assert set(fused.coords) == set(a.coords)
    for name, coordinate in a.coords.items():
        xr.testing.assert_identical(fused.coords[name].variable, coordinate.variable)
    kept = dict(fused.attrs)
    made = kept.pop("napari_gifnet")
    assert kept == {"place": "here", "shared": 1, "station": "s"}  # not K, and neither sensor
    assert made.startswith("napari-gifnet ")
    assert f"{TIMES} planes of 12×15 pixels" in made
    assert made.endswith("model mean")
    assert fused.sel(time="2020-01-02").equals(fused[1])


def test_axes_are_matched_by_their_names():
    a, b = image("y", "x", "time"), image("time", "y", "x", seed=1)
    fused = fuse(a, b, **MEAN)
    assert fused.dims == ("y", "x", "time")
    expected = fuse(np.moveaxis(a.values, -1, 0), b.values, **MEAN)
    np.testing.assert_array_equal(fused.transpose("time", "y", "x").values, expected)

    turned = fuse(a, b.transpose("x", "time", "y"), **MEAN)
    xr.testing.assert_allclose(turned, fused)

    z, t = image("z", "y", "x"), image("time", "y", "x", seed=1)
    both = fuse(z, t, **MEAN)
    assert set(both.dims) == {"z", "time", "y", "x"}
    expected = fuse(z.values[1], t.values[2], intensity="dtype", **MEAN)
    np.testing.assert_allclose(both.isel(z=1, time=2).transpose("y", "x"), expected, atol=1e-6)


def test_an_array_without_names_lies_as_the_other():
    a = image("y", "x", "time")
    other = values(HEIGHT, WIDTH, TIMES, seed=1)
    expected = fuse(a, xr.DataArray(other, dims=a.dims), **MEAN)
    xr.testing.assert_equal(fuse(a, other, **MEAN), expected)
    plane = fuse(values(5, HEIGHT, WIDTH), image("y", "x"), **MEAN)
    assert plane.dims == ("dim_0", "y", "x")


@pytest.mark.parametrize(
    ("dims", "labels", "in_color"),
    [
        (("y", "x", "rgb"), None, True),
        (("rgb", "y", "x"), None, True),
        (("y", "x", "band"), None, True),
        (("band", "y", "x"), None, False),
        (("band", "y", "x"), [1, 2, 3], False),
        (("band", "y", "x"), ["red", "green", "blue"], True),
        (("band", "y", "x"), ["R", "G", "B"], True),
        (("band", "y", "x"), ["red", "green", "nir"], False),
        (("z", "y", "x"), None, False),
        (("y", "x", "z"), None, False),
    ],
)
def test_only_what_is_clearly_colour_is_colour(dims, labels, in_color):
    a = image(*dims)
    other = next(dim for dim in dims if dim not in "yx")
    if labels:
        a = a.assign_coords({other: labels})
    made = enhance(a, intensity=(0, 1), **MEAN)
    assert made.dims == dims
    if labels:
        assert made[other].values.tolist() == labels
    last = a.transpose("y", "x", other) if in_color else a.transpose(other, "y", "x")
    expected = enhance(last.values, rgb=in_color, intensity=(0, 1), **MEAN)
    np.testing.assert_array_equal(made.transpose(*last.dims).values, expected)
    stack = enhance(a, rgb=False, intensity=(0, 1), **MEAN)
    assert stack.dims == dims


def test_colour_of_one_of_two():
    gray, colors = image("time", "y", "x"), image("rgb", "y", "x", seed=1)
    fused = fuse(gray, colors, **MEAN)
    assert fused.dims == ("time", "y", "x", "rgb")
    expected = fuse(gray.values, np.moveaxis(colors.values, 0, -1), **MEAN)
    np.testing.assert_array_equal(fused.values, expected)
    assert fuse(colors, gray.isel(time=0), color="gray", **MEAN).dims == ("y", "x")
    alpha = xr.DataArray(values(HEIGHT, WIDTH, 4), dims=("y", "x", "rgba"))
    assert enhance(alpha.assign_coords(rgba=list("RGBA")), **MEAN)["rgba"].values.tolist() == list(
        "RGB"
    )


def test_bands_to_be_sharpened_stay_bands():
    bands = image("band", "y", "x").assign_coords(band=["red", "green", "blue"])
    sharp = fuse(bands, image("y", "x", seed=1), task="pansharpening", **MEAN)
    assert sharp.dims == ("band", "y", "x")
    assert sharp.band.values.tolist() == ["red", "green", "blue"]


def test_axes_without_names():
    a = xr.DataArray(values(HEIGHT, WIDTH, 3))
    made = enhance(a, **MEAN)
    assert made.dims == a.dims
    np.testing.assert_array_equal(made.values, enhance(a.values, **MEAN))
    assert enhance(xr.DataArray(values(HEIGHT, WIDTH)), **MEAN).shape == (HEIGHT, WIDTH)


@pytest.mark.parametrize("axis", ["time", -1])
def test_stacks_lose_the_axis_of_their_planes(random_bands, axis):
    stack = image("z", "y", "x", "time", place="here")
    options = {"model": random_bands, "precision": "float32", "return_index": True}
    flat, index = fuse_stack(stack, axis, **options)
    expected = fuse_stack(np.moveaxis(stack.values, -1, 1), 1, **options)
    for made, values_of_it in zip((flat, index), expected, strict=True):
        assert made.dims == ("z", "y", "x")
        assert "time" not in made.coords
        np.testing.assert_array_equal(made.values, values_of_it)
        np.testing.assert_array_equal(made.x, stack.x)
        assert made.attrs["place"] == "here"
    assert index.name == "index"
    with pytest.raises(
        OptionError, match="axis='y' is none of an array with the axes z, y, x, time"
    ):
        fuse_stack(stack, "y", **MEAN)
    with pytest.raises(OptionError, match="axis='time' is none of a stack"):
        fuse_stack(stack.values, "time", **MEAN)


def test_a_list_of_planes():
    stack = image("time", "y", "x")
    flat = fuse_stack([plane for plane in stack], **MEAN)  # noqa: C416
    assert flat.dims == ("y", "x")
    np.testing.assert_array_equal(flat.values, fuse_stack(stack.values, **MEAN))
    np.testing.assert_array_equal(flat.y, stack.y)


def test_what_is_lazy_stays_so(tmp_path):
    a, b = image("time", "y", "x"), image("time", "y", "x", seed=1)
    expected = fuse(a, b, **MEAN)
    chunked = fuse(a.chunk(time=1), b, **MEAN)
    assert isinstance(chunked.data, da.Array)
    xr.testing.assert_allclose(chunked.compute(), expected)

    xr.Dataset({"a": a, "b": b.assign_attrs(units="K")}).to_netcdf(
        tmp_path / "x.nc", engine="scipy"
    )
    with xr.open_dataset(tmp_path / "x.nc", engine="scipy") as opened:
        made = fuse(opened["a"], opened["b"], **MEAN)
        assert isinstance(made.data, da.Array)
        xr.testing.assert_allclose(made.compute(), expected)
        made.to_netcdf(tmp_path / "made.nc", engine="scipy")
    with xr.open_dataset(tmp_path / "made.nc", engine="scipy") as again:
        assert again["fused"].attrs["napari_gifnet"].endswith("model mean")
        np.testing.assert_array_equal(again["fused"].y, a.y)


def test_zarr_arrays_are_read_plane_by_plane(tmp_path):
    """A plane that is not asked for is not read: its chunk holds no data."""
    stack = values(TIMES, HEIGHT, WIDTH)
    stored = zarr.create_array(tmp_path / "a.zarr", data=stack, chunks=(1, HEIGHT, WIDTH))
    (tmp_path / "a.zarr" / "c" / "3" / "0" / "0").write_bytes(b"unreadable")
    fused = fuse(stored, stack, intensity=(0, 1), **MEAN)
    assert isinstance(fused, da.Array)
    np.testing.assert_allclose(fused[:3].compute(), stack[:3], atol=1e-6)
    flat = fuse_stack(stored, intensity=(0, 1), **MEAN)
    with pytest.raises(Exception, match=r"(?i)zstd|decompress|unreadable|frame"):
        flat.compute()


def test_zarr_without_dask_says_what_to_install():
    code = """
import sys
sys.modules["dask"] = sys.modules["dask.array"] = None
import zarr, numpy
from napari_gifnet import fuse
try:
    fuse(zarr.array(numpy.eye(8)), numpy.eye(8), model="mean")
except ImportError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(
        "a is of type Array and would be read plane by plane, for which dask"
    )
    assert "pip install 'napari-gifnet[dask]'" in done.stdout
    assert done.stdout.count("\n") == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda b: b.rename(y="lat", x="lon"), "its planes along y and x, b along lat and lon"),
        (lambda b: b.assign_coords(x=b.x + 0.1), "other coordinates along x: expected images on"),
        (lambda b: b.assign_coords(time=b.time + np.timedelta64(1, "h")), "coordinates along time"),
        (lambda b: b.isel(x=slice(5, None)), "have planes of 12×15 pixels and b of 12×10 pixels"),
        (lambda b: b.isel(y=0, x=0), "expected rows and columns among them"),
    ],
)
def test_what_does_not_belong_together(change, words):
    a, b = image("time", "y", "x"), image("time", "y", "x", seed=1)
    with pytest.raises(ImageError, match=words.replace("have", "ha.*")):
        fuse(a, change(b), **MEAN)


def test_coordinates_that_were_rounded_are_the_same():
    a, b = image("y", "x"), image("y", "x", seed=1)
    b = b.assign_coords(x=b.x.astype(np.float32) * np.float32(1 + 1e-6))
    np.testing.assert_array_equal(fuse(a, b, **MEAN).x, a.x)
