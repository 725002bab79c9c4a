"""What users hold becomes an array, and nothing is read before it is looked at."""

import subprocess
import sys
from pathlib import Path

import dask.array as da
import h5py
import numpy as np
import pytest
import tensorstore
import torch
import xarray
import zarr
from napari.components import ViewerModel
from napari.layers import Image
from PIL import Image as Pillow

from napari_gifnet.errors import ImageError
from napari_gifnet.grids.resample import Resampled, resample
from napari_gifnet.grids.world_grid import WorldGrid
from napari_gifnet.planes.arrays import as_array, is_dask

pytestmark = pytest.mark.filterwarnings(
    "ignore:Non-orthogonal slicing", "ignore:the matrix subclass"
)

VALUES = np.random.default_rng(0).integers(0, 60_000, (4, 20, 30)).astype(np.uint16)


class Slices:
    """The least that a reader of microscope files gives: no __array__, no chunks."""

    shape, dtype, ndim = VALUES.shape, VALUES.dtype, 3

    def __init__(self) -> None:
        self.read = 0

    def __getitem__(self, index):
        part = VALUES[index]
        self.read += part.size
        return part


class Holder:
    def __array__(self, dtype=None, copy=None):
        return VALUES.astype(dtype or VALUES.dtype)


def stored_in_h5(path: Path) -> h5py.Dataset:
    return h5py.File(path / "x.h5", "w").create_dataset("x", data=VALUES, chunks=(1, 10, 15))


def tensorstore_of(path: Path) -> tensorstore.TensorStore:
    spec = {"driver": "zarr", "kvstore": {"driver": "file", "path": str(path)}}
    store = tensorstore.open(
        spec, create=True, dtype=VALUES.dtype.name, shape=VALUES.shape, chunk_layout=None
    ).result()
    store[...] = VALUES
    return store


def xarray_of_a_file(path: Path) -> xarray.DataArray:
    """A variable of an open netCDF file, not read yet."""
    xarray.Dataset({"x": (("z", "y", "x"), VALUES.astype(np.int32))}).to_netcdf(
        path / "x.nc", engine="scipy"
    )
    return xarray.open_dataset(path / "x.nc", engine="scipy")["x"]


HOLDERS = {
    "numpy": (lambda path: VALUES, False),
    "memmap": (lambda path: np.lib.format.open_memmap(saved(path), "r"), False),
    "masked": (lambda path: np.ma.array(VALUES, mask=VALUES > 50_000), False),
    "list": (lambda path: VALUES.tolist(), False),
    "__array__": (lambda path: Holder(), False),
    "torch": (lambda path: torch.tensor(VALUES.astype(np.float32), requires_grad=True), False),
    "torch, bfloat16": (lambda path: torch.tensor(VALUES // 256).bfloat16(), False),
    "xarray": (lambda path: xarray.DataArray(VALUES, dims=("z", "y", "x")), False),
    "xarray of dask": (
        lambda path: xarray.DataArray(da.from_array(VALUES, chunks=(1, 20, 30))),
        True,
    ),
    "xarray of a file": (xarray_of_a_file, True),
    "dask": (lambda path: da.from_array(VALUES, chunks=(2, 20, 30)), True),
    "dask, masked": (lambda path: da.ma.masked_greater(da.from_array(VALUES), 50_000), True),
    "zarr": (lambda path: zarr.array(VALUES, chunks=(1, 10, 15)), True),
    "h5py": (stored_in_h5, True),
    "tensorstore": (tensorstore_of, True),
    "tensorstore, cut": (lambda path: tensorstore_of(path)[1:, 2:], True),
    "what slices": (lambda path: Slices(), True),
}


def saved(path: Path) -> Path:
    np.save(path / "x.npy", VALUES)
    return path / "x.npy"


@pytest.mark.parametrize("holder", HOLDERS)
def test_it_becomes_an_array(holder, tmp_path):
    make, lazy = HOLDERS[holder]
    array = as_array(make(tmp_path), "a")
    assert is_dask(array) == lazy
    if not lazy:
        assert type(array) is (np.ma.MaskedArray if holder == "masked" else np.ndarray)
    expected = {
        "tensorstore, cut": VALUES[1:, 2:],
        "torch, bfloat16": VALUES // 256,
    }.get(holder, VALUES)
    computed = array.compute() if lazy else array
    assert np.ma.isMaskedArray(computed) == ("masked" in holder)
    np.testing.assert_array_equal(computed, expected)
    if lazy:
        np.testing.assert_array_equal(array[1, 3:9].compute(), expected[1, 3:9])


@pytest.mark.parametrize("rotate", [(0, 0, 0), (20, 10, 5)])
@pytest.mark.parametrize("holder", HOLDERS)
def test_it_can_be_resampled(holder, rotate, tmp_path):
    array = as_array(HOLDERS[holder][0](tmp_path), "a")
    source = WorldGrid.from_layer(Image(np.zeros(array.shape)))
    target = WorldGrid.from_layer(
        Image(np.zeros((3, 12, 13)), rotate=rotate, scale=(1.1, 0.8, 0.9), translate=(0.3, 5, 6))
    )
    values = array.compute() if is_dask(array) else array
    expected = resample(values, source, target)
    assert np.isfinite(expected).mean() > 0.1
    view = Resampled(array, source, target)
    np.testing.assert_allclose(view[...], expected, atol=0.01)
    whole = resample(array, source, target)
    assert is_dask(whole) == is_dask(array)
    np.testing.assert_allclose(whole[1], expected[1], atol=0.01)


def test_no_more_is_read_than_is_looked_at():
    slices = Slices()
    array = as_array(slices, "a")
    assert (array.chunks, slices.read) == (((1,) * 4, (20,), (30,)), 0)
    array[2].compute()
    assert slices.read == 20 * 30
    assert as_array(zarr.array(VALUES, chunks=(1, 10, 15)), "a").chunksize == (1, 10, 15)


def test_subclasses_become_plain_arrays():
    assert type(as_array(np.asmatrix(np.eye(4)), "a")) is np.ndarray


class Own(Image):
    """A plugin's kind of layer."""


MISTAKES = {
    "layer": (
        lambda: Image(np.eye(8)),
        "a is a napari layer: use napari_gifnet.viewer.fuse_layers",
    ),
    "own layer": (lambda: Own(np.eye(8)), "a is a napari layer"),
    "levels": (
        lambda: Image([np.eye(64), np.eye(32)], multiscale=True).data,
        r"a has several levels: choose one, for instance a\[0\]",
    ),
    "viewer": (ViewerModel, "a is a ViewerModel of napari, no array: pass the data of one"),
    "path": (lambda: "x.tif", "a is the path 'x.tif': read it first, or use `gifnet fuse`"),
    "Path": (lambda: Path("x.tif"), "a is the path 'x.tif'"),
    "None": (lambda: None, "a is None: expected an array of numbers"),
    "paths": (lambda: ["x.tif", "y.tif"], "a has dtype <U5: .*; read the images first"),
    "ragged": (lambda: [[1, 2], [3]], "a is a list of rows of different lengths, 1 to 2, and they"),
    "arrays of two shapes": (
        lambda: [np.eye(3), np.eye(4)],
        r"a is a list of arrays of different shapes, \(3, 3\), \(4, 4\), and they",
    ),
    "layer data": (
        lambda: (np.eye(5), {}, "image"),
        "a is a tuple of dict, ndarray, str, and they",
    ),
    "layers": (lambda: [Image(np.eye(8))] * 2, "a has dtype object"),
    "objects": (lambda: np.array([[1, None]] * 2), "a has dtype object: .*a.astype.float"),
    "complex": (lambda: np.eye(5) + 1j, r"a has dtype complex128: .*magnitude, abs\(a\)"),
    "complex, stored": (lambda: zarr.array(np.eye(5) + 1j), "a has dtype complex128"),
    "text": (lambda: np.array([["a"]]), "a has dtype <U1"),
    "times": (lambda: np.zeros((5, 5), "M8[s]"), "a has dtype datetime64"),
    "fields": (lambda: np.zeros((5, 5), "u1,u1"), r"a has dtype .*fields, for instance a\['f0'\]"),
    "group": (lambda: zarr.group(), "a is a Group of zarr, no array: choose one of its arrays"),
    "dataset": (
        lambda: xarray.Dataset({"x": (("y", "x"), np.eye(5))}),
        "a is a Dataset of xarray, no array: choose one of its variables",
    ),
    "generator": (lambda: (x for x in np.eye(5)), "a is a generator .*numpy.stack"),
    "dict": (lambda: {"a": np.eye(5)}, "a is a dict of builtins, no array: pass one image"),
    "palette": (lambda: Pillow.new("P", (8, 8)), r"mode 'P': convert it, a.convert\(\"RGB\"\)"),
    "network": (lambda: torch.nn.Identity(), "a is of type Identity: expected an array of numbers"),
    "a function": (lambda: np.sum, "a has dtype object"),
    "unknown chunks": (
        lambda: (lambda x: x[x > 0.5])(da.random.random((8, 8))),
        r"a is a dask array of unknown shape: call its compute_chunk_sizes\(\) first",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_first_mistakes_are_told_what_to_do(mistake):
    make, words = MISTAKES[mistake]
    with pytest.raises(ImageError, match=words) as error:
        as_array(make(), "a")
    assert str(error.value).count("\n") == 0
    assert str(error.value).endswith(".")
    assert not str(error.value).endswith("..")


def test_pictures_of_pillow():
    assert as_array(Pillow.new("RGB", (8, 6)), "a").shape == (6, 8, 3)
    assert as_array(Pillow.new("I;16", (8, 6)), "a").dtype == np.uint16


def test_nothing_is_imported_for_it():
    code = (
        "import sys, numpy; from napari_gifnet.planes.arrays import as_array; "
        "as_array(numpy.eye(5), 'a'); print({'dask', 'torch', 'xarray', 'zarr'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
