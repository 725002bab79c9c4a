"""Two layers that sample one ramp of the world give that ramp, however their voxels lie."""

import dask.array as da
import numpy as np
import pytest
import xarray
import zarr
from napari.layers import Image
from napari.utils.transforms import CompositeAffine
from scipy import ndimage

from napari_gifnet.viewer import fuse_layers

pytestmark = pytest.mark.filterwarnings("ignore:Non-orthogonal slicing")

SIDE = 16
"""Of the cube that the layers fill, in millimetres."""

PER_MILLIMETRE = {"millimeter": 1, "micrometer": 1e3, "nanometer": 1e6}

HOLDERS = {
    "numpy": lambda values, hidden: values,
    "masked": lambda values, hidden: np.ma.array(np.where(hidden, -9, values), mask=hidden),
    "NaN": lambda values, hidden: np.where(hidden, np.nan, values),
    "dask": lambda values, hidden: da.from_array(values, chunks=10),
    "dask, masked": lambda values, hidden: da.from_array(
        np.ma.array(np.where(hidden, -9, values), mask=hidden), chunks=10
    ),
    "zarr": lambda values, hidden: zarr.array(values, chunks=(5,) * values.ndim),
    "xarray": lambda values, hidden: xarray.DataArray(values),
    "xarray of dask": lambda values, hidden: xarray.DataArray(da.from_array(values, chunks=10)),
}

OFTEN = [0.3, 0.2, 0.15, 0.07, 0.07, 0.07, 0.07, 0.07]
"""How often each of them is tried; what is lazy takes longer."""


@pytest.mark.parametrize("seed", range(300))
def test_a_ramp_of_the_world_stays_what_it_is(seed):
    rng = np.random.default_rng(seed)
    dimensions = {0: (2, 3), 1: (3, 2), 2: (2, 2)}.get(seed % 10, (3, 3))
    slope = rng.uniform(-1, 1, 3)
    if min(dimensions) == 2:
        slope[0] = 0  # a plane says nothing about depth
    (a, hidden_a), (b, hidden_b) = (random_layer(rng, ndim, slope) for ndim in dimensions)
    ramps = [ramp_of(a, slope), ramp_of(b, slope)]
    low, high = min(r.min() for r in ramps), max(r.max() for r in ramps)
    grid = str(rng.choice(["a", "b", "finer"]))
    if a.ndim != b.ndim:
        grid = "a" if a.ndim == 3 else "b"  # a plane is no grid for a stack that is turned
    interpolation = str(rng.choice(["linear", "cubic"]))
    axes = tuple(rng.permutation(max(dimensions) if grid != "b" else b.ndim)[:2].tolist())

    fused = fuse_layers(
        a,
        b,
        model="mean",
        intensity=(low, high),
        grid=grid,
        interpolation=interpolation,
        axes=axes,
    )
    unit = np.asarray(fused.data)
    sure = np.ones(unit.shape, bool)
    for layer, hidden in ((a, hidden_a), (b, hidden_b)):
        outside, deep = coverage(layer, hidden, fused, 2 if interpolation == "cubic" else 0)
        assert np.isnan(unit[outside]).all()
        sure &= deep
    assert sure.any()
    expected = (ramp_of(fused, slope) - low) / (high - low)
    np.testing.assert_allclose(unit[sure], expected[sure], rtol=0, atol=0.001)


def random_layer(rng, ndim, slope):
    """Return a layer that samples the ramp, and which of its voxels are hidden."""
    steps = rng.uniform(0.8, 1.3, ndim)
    shape = np.clip(SIDE * rng.uniform(0.8, 1.2) / steps, 13, 16).astype(int)
    unit, per_mm = [("mm", 1), ("um", 1e3), ("nm", 1e6)][rng.integers(3)]
    turned, affine = {}, np.eye(ndim + 1)
    match rng.choice(["plain", "flip", "rotation", "shear", "affine"]):
        case "flip":
            steps = steps * rng.choice([-1, 1], ndim)
        case "rotation":
            turned["rotate"] = rng.uniform(-180, 180) if ndim == 2 else rng.uniform(-40, 40, 3)
        case "shear":
            turned["shear"] = rng.uniform(-0.3, 0.3, ndim * (ndim - 1) // 2)
        case "affine":
            affine[:-1, :-1] += rng.uniform(-0.2, 0.2, (ndim, ndim))
    physical = CompositeAffine(scale=steps * per_mm, translate=np.zeros(ndim), **turned)
    middle = np.linalg.solve(affine[:-1, :-1], (SIDE / 2 + rng.uniform(-1, 1, ndim)) * per_mm)
    physical.translate = middle - physical((shape - 1) / 2)
    world = affine @ physical.affine_matrix

    at = np.moveaxis(np.indices(shape), 0, -1) @ world[:-1, :-1].T + world[:-1, -1]
    values = (at @ slope[-ndim:] / per_mm).astype(rng.choice([np.float32, np.float64]))
    hidden = np.zeros(values.shape, bool)
    hidden[tuple(slice(c, c + rng.integers(1, 4)) for c in rng.integers(0, 5, ndim))] = True
    holder = rng.choice(list(HOLDERS), p=OFTEN)
    layer = Image(
        HOLDERS[holder](values, hidden),
        scale=steps * per_mm,
        translate=physical.translate,
        affine=affine,
        units=unit,
        contrast_limits=(0, 1),
        **turned,
    )
    return layer, hidden if holder in ("masked", "NaN", "dask, masked") else np.zeros_like(hidden)


def ramp_of(layer, slope):
    """Return the ramp at the voxels of a layer."""
    world = indices(layer) @ matrix_of(layer)[0].T + matrix_of(layer)[1]
    return world / per_millimetre(layer) @ slope[-layer.ndim :]


def coverage(layer, hidden, on, reach):
    """Return which voxels of `on` lie outside of a layer, and which so deep in it that all is known."""
    matrix, offset = matrix_of(on)
    world = (indices(on) @ matrix.T + offset)[..., -layer.ndim :]
    factor = per_millimetre(layer) / per_millimetre(on)[-layer.ndim :]
    own, origin = matrix_of(layer)
    at = np.linalg.solve(own, (world * factor - origin)[..., None])[..., 0]
    last = np.array(hidden.shape) - 1
    outside = ((at < -0.52) | (at > last + 0.52)).any(axis=-1)
    if layer.ndim == on.ndim and at.shape[:-1] == hidden.shape and np.allclose(at, indices(layer)):
        return outside, ~hidden
    steps = np.linalg.norm(np.linalg.solve(own, matrix[-layer.ndim :] * factor[:, None]), axis=1)
    blur = np.sqrt(np.maximum(steps**2 - 1, 0) / (8 * np.log(2)))
    reach = reach + np.ceil(3 * blur)
    deep = ((at >= reach) & (at <= last - reach)).all(axis=-1)
    sides = (2 * reach + 3).astype(int)
    near = ndimage.maximum_filter(hidden, sides)
    nearest = np.rint(at).astype(int).clip(0, last)
    return outside, deep & ~near[tuple(np.moveaxis(nearest, -1, 0))]


def indices(layer):
    return np.stack(np.indices(layer.data.shape), axis=-1).astype(float)


def matrix_of(layer):
    """Return napari's own map from indices to the world: a matrix and an offset."""
    n = layer.ndim
    origin = np.array(layer.data_to_world(np.zeros(n)))
    return np.array([layer.data_to_world(unit) - origin for unit in np.eye(n)]).T, origin


def per_millimetre(layer):
    return np.array([PER_MILLIMETRE[str(unit)] for unit in layer.units])
