"""Values stay where they are in the world, whatever the two grids are."""

import dask.array as da
import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from napari.layers import Image

from napari_gifnet.errors import ImageError, OptionError
from napari_gifnet.grids import resample as resampling
from napari_gifnet.grids.resample import resample
from napari_gifnet.grids.world_grid import WorldGrid

pytestmark = pytest.mark.filterwarnings("ignore:Non-orthogonal slicing")


def grid(shape, **kwargs) -> WorldGrid:
    return WorldGrid.from_layer(Image(np.zeros(shape, np.uint8), rgb=False, **kwargs))


def ramp(g: WorldGrid) -> np.ndarray:
    """A linear function of the world, which every interpolation reproduces."""
    at = g.to_world(np.stack(np.indices(g.shape), axis=-1))
    return at @ np.arange(1, g.ndim + 1) + 5


TARGETS = {
    "anisotropic": {"scale": (0.7, 1.9, 3.3), "translate": (20, 30, 10)},
    "flipped": {"scale": (-1, 1.1, 1), "translate": (40, 20, 20)},
    "in-plane rotation": {"rotate": 30, "translate": (20, 20, 35)},
    "rotation": {"rotate": (20, -30, 40), "translate": (25, 30, 25)},
    "shear": {"shear": (0.3, -0.2, 0.1), "translate": (20, 20, 20)},
    "micrometres": {"scale": (900, 1500, 800), "translate": (2e4, 2e4, 2e4), "units": "um"},
    "affine": {
        "affine": np.array([[0, 1.2, 0, 25], [-1, 0, 0.1, 45], [0.1, 0, 1, 20], [0, 0, 0, 1]])
    },
}


@pytest.mark.parametrize("order", [1, 3])
@pytest.mark.parametrize("target", TARGETS)
def test_values_stay_where_they_are_in_the_world(target, order):
    source = grid((70, 80, 75), units="mm")
    onto = grid((17, 15, 11), **{"units": "mm", **TARGETS[target]})
    factor = 1e-3 if target == "micrometres" else 1
    at = onto.to_world(np.stack(np.indices(onto.shape), axis=-1)) * factor
    deep = ((at > 15) & (at < np.array(source.shape) - 16)).all(axis=-1)
    assert deep.mean() > 0.5
    values = resample(ramp(source), source, onto, order=order)
    assert values.dtype == np.float32
    np.testing.assert_allclose(values[deep], (at @ [1, 2, 3] + 5)[deep], rtol=1e-5)


@st.composite
def geometries(draw, ndim: int) -> dict:
    number = st.floats(-1, 1, width=32)
    rotation, _ = np.linalg.qr(
        draw(arrays(float, (ndim, ndim), elements=number)) + 2 * np.eye(ndim)
    )
    return {
        "scale": 3 ** draw(arrays(float, ndim, elements=number)),
        "translate": 50 * draw(arrays(float, ndim, elements=number)),
        "rotate": rotation,
        "shear": 0.3 * draw(arrays(float, ndim * (ndim - 1) // 2, elements=number)),
    }


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.data(), st.sampled_from([2, 3]), st.sampled_from([1, 3]))
def test_a_point_source_stays_in_place(data, ndim, order):
    source = Image(np.zeros((29,) * ndim), **data.draw(geometries(ndim)))
    place = data.draw(arrays(int, ndim, elements=st.integers(9, 19)))
    values = np.zeros((29,) * ndim)
    values[tuple(place)] = 1
    world = np.array(source.data_to_world(place))

    target = Image(np.zeros((31,) * ndim), **data.draw(geometries(ndim)))
    beside = data.draw(arrays(float, ndim, elements=st.floats(-0.5, 0.5, width=32)))
    target.translate = target.translate + world - target.data_to_world(15 + beside)
    grids = WorldGrid.from_layer(source), WorldGrid.from_layer(target)
    weight = np.nan_to_num(resample(values, *grids, order=order)).clip(min=0)
    weight[weight < weight.max() / 4] = 0
    center = [np.average(index, weights=weight) for index in np.indices(weight.shape)]
    assert np.abs(np.array(center) - target.world_to_data(world)).max() < 0.5


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.data(), st.sampled_from([2, 3]), st.sampled_from([1, 3]))
def test_a_constant_stays_constant(data, ndim, order):
    source = grid((13,) * ndim, **data.draw(geometries(ndim)))
    target = grid((9,) * ndim, **data.draw(geometries(ndim)))
    values = resample(np.full((13,) * ndim, 7, np.uint8), source, target, order=order)
    index = source.to_index(target.to_world(np.stack(np.indices(target.shape), axis=-1)))
    inside = ((index > -0.5) & (index < 12.5)).all(axis=-1)
    sure = (np.abs(np.abs(index - 6) - 6.5) > 0.02).all(axis=-1)
    np.testing.assert_array_equal(np.isfinite(values)[sure], inside[sure])
    np.testing.assert_allclose(values[np.isfinite(values)], 7, rtol=1e-5)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.float32, bool])
@pytest.mark.parametrize("order", [1, 3])
def test_onto_its_own_grid_nothing_changes(dtype, order):
    values = np.random.default_rng(0).integers(0, 200, (4, 20, 30)).astype(dtype)
    g = grid(values.shape, scale=(5, 0.3, 0.1), rotate=(10, 20, 30), translate=(3, 2, 1))
    result = resample(values, g, g, order=order)
    np.testing.assert_array_equal(result, values)
    assert not np.shares_memory(result, values)


def test_a_shift_by_whole_voxels_is_exact():
    values = np.random.default_rng(0).random((6, 7), np.float32)
    result = resample(values, grid((6, 7)), grid((6, 7), translate=(2, -1)), order=3)
    np.testing.assert_array_equal(result[:4, 1:], values[2:, :6])
    assert np.isnan(result[4:]).all()
    assert np.isnan(result[:, 0]).all()


def test_voxels_reach_half_a_step_and_no_further():
    source, target = grid((3, 3), scale=(2, 2), translate=(2, 2)), grid((9, 9))
    expected = np.zeros((9, 9), bool)
    expected[1:8, 1:8] = True  # 2 − 1 to 6 + 1
    result = resample(np.ones((3, 3)), source, target)
    np.testing.assert_array_equal(np.isfinite(result), expected)


def test_no_overlap_is_all_nan():
    assert np.isnan(resample(np.ones((3, 3)), grid((3, 3)), grid((4, 4), translate=(9, 0)))).all()


@pytest.mark.parametrize("order", [1, 3])
@pytest.mark.parametrize("rotate", [0, 25])
def test_bad_voxels_leave_their_neighbours_alone(order, rotate):
    source = grid((40, 40), rotate=rotate)
    target = grid((30, 30), rotate=rotate / 2, translate=(4.3, 9.4), scale=(0.9, 0.9))
    values = ramp(source)
    clean = resample(values, source, target, order=order)
    values[20:23, 15:17] = [np.nan, np.inf]
    values[:, 30] = -np.inf
    result = resample(values, source, target, order=order)

    index = source.to_index(target.to_world(np.stack(np.indices(target.shape), axis=-1)))
    whole = np.rint(index).astype(int).clip(0, 39)
    bad = ~np.isfinite(values[tuple(np.moveaxis(whole, -1, 0))])
    bad &= np.isfinite(clean)
    lost = np.isnan(result) & np.isfinite(clean)
    assert 0.5 * bad.sum() < lost.sum() < 2 * bad.sum()
    away = np.abs(index[..., 1] - 30) > 6
    away &= (np.abs(index - [21, 15.5]) > 6).any(axis=-1)
    kept = np.isfinite(result) & away
    np.testing.assert_allclose(result[kept], clean[kept], atol=0.01)
    near = np.isfinite(result) & ~away
    np.testing.assert_allclose(result[near], clean[near], atol=2)


def test_color():
    values = np.random.default_rng(0).integers(0, 255, (20, 20, 3)).astype(np.uint8)
    source, target = grid((20, 20)), grid((25, 25), rotate=20, scale=(0.8, 0.8), translate=(3, 3))
    result = resample(values, source, target)
    assert result.shape == (25, 25, 3)
    for channel in range(3):
        alone = resample(values[..., channel], source, target)
        np.testing.assert_array_equal(result[..., channel], alone)


def test_a_level_lies_where_its_layer_does():
    fine = np.random.default_rng(0).random((64, 64))
    coarse = fine.reshape(16, 4, 16, 4).mean(axis=(1, 3))
    layer = Image([fine, coarse], multiscale=True, scale=(0.5, 0.5), translate=(3, 4))
    levels = [WorldGrid.from_layer(layer, level) for level in (0, 1)]
    blurred = resample(fine, levels[0], levels[1])
    shifts = [(0, 0), (1, 0), (-1, 0), (0, 1), (0, -1)]
    match = [np.corrcoef(blurred.ravel(), np.roll(coarse, s, (0, 1)).ravel())[0, 1] for s in shifts]
    assert match[0] > 0.8 > 0.3 > max(match[1:])


def test_fine_stripes_do_not_alias():
    stripes = np.tile([0.0, 1.0], (60, 60))
    for target in (grid((20, 40), scale=(3, 3)), grid((15, 15), scale=(3, 3), rotate=10)):
        result = resample(stripes, grid((60, 120)), target)[2:-2, 4:-4]
        assert np.nanmax(np.abs(result - 0.5)) < 0.1


def test_the_cubic_spline_is_closer_to_a_smooth_function():
    wave = np.sin(np.arange(60) / 1.5) * np.cos(np.arange(50)[:, None] / 2)
    for target in (
        grid((40, 40), translate=(4.5, 4.5)),
        grid((20, 20), translate=(15, 10), rotate=40),
    ):
        at = target.to_world(np.stack(np.indices(target.shape), axis=-1))
        truth = np.sin(at[..., 1] / 1.5) * np.cos(at[..., 0] / 2)
        linear, cubic = (
            np.abs(resample(wave, grid(wave.shape), target, order=order) - truth).max()
            for order in (1, 3)
        )
        assert cubic < 0.02 < linear


def test_a_plane_for_a_stack():
    values = np.random.default_rng(0).random((10, 10))
    plane, stack = grid((10, 10)), grid((5, 4, 6, 6), translate=(7, 8, 2, 3))
    result = resample(values, plane, stack)
    assert result.shape == (1, 1, 6, 6)
    np.testing.assert_allclose(result[0, 0], values[2:8, 3:9], rtol=1e-6)


def test_a_plane_for_a_turned_stack():
    plane = grid((40, 40))
    stack = grid((5, 6, 6), rotate=(0, 20, 10), translate=(0, 15, 15))
    at = stack.to_world(np.stack(np.indices(stack.shape), axis=-1))
    result = resample(ramp(plane), plane, stack)
    assert result.shape == (5, 6, 6)
    np.testing.assert_allclose(result, at[..., 1:] @ [1, 2] + 5, rtol=1e-5)


def test_each_time_of_a_stack_by_itself():
    values = np.random.default_rng(0).random((3, 12, 13, 14))
    source = grid(values.shape, scale=(10, 1, 1, 1))
    target = grid((3, 5, 6, 7), scale=(10, 1, 1, 1), rotate=(10, 0, 0), translate=(0, 4, 4, 4))
    result = resample(values, source, target)
    for t in range(3):
        alone = resample(
            values[t], grid((12, 13, 14)), grid((5, 6, 7), rotate=(10, 0, 0), translate=(4, 4, 4))
        )
        np.testing.assert_allclose(result[t], alone, rtol=1e-5)


@pytest.mark.parametrize("order", [1, 3])
@pytest.mark.parametrize("rotate", [(0, 0, 0), (20, 0, 0), (20, 10, 5)])
def test_a_part_is_that_part_of_the_whole(rotate, order):
    values = np.random.default_rng(0).random((30, 60, 60))
    source = grid(values.shape, scale=(2, 1, 1))
    target = grid((20, 30, 30), rotate=rotate, scale=(2.3, 1.7, 0.6), translate=(7, 4, 9))
    region = (slice(4, 5), slice(3, 20), slice(10, 30))
    part = resample(values, source, target.crop(region), order=order)
    whole = resample(values, source, target, order=order)
    np.testing.assert_allclose(part, whole[region], atol=1e-4)


@pytest.mark.parametrize("shape", [(20, 31, 32), (1, 1, 300, 40)])
def test_large_results_are_made_in_slabs(shape, monkeypatch):
    values = np.random.default_rng(0).random((30, 60, 60, 3))
    geometry = {"rotate": 20, "translate": (10, 10), "scale": (0.1, 1)}
    source, target = grid((30, 60, 60)), grid(shape, **geometry)
    whole = resample(values, source, target)
    monkeypatch.setattr(resampling, "_SLAB", 2500)
    np.testing.assert_allclose(resample(values, source, target), whole, atol=1e-5)


@pytest.mark.parametrize("rotate", [(0, 0, 0), (20, 10, 5)])
def test_dask_computes_what_is_looked_at(rotate):
    computed = []

    def load(block_info=None):
        computed.append(block_info[None]["chunk-location"])
        return np.random.default_rng(computed[-1][0]).random((1, 40, 40))

    lazy = da.map_blocks(load, chunks=((1,) * 60, 40, 40), dtype=float, meta=np.empty((0, 0, 0)))
    source = grid(lazy.shape)
    target = grid((20, 30, 30), scale=(0.5, 1.1, 1.1), rotate=rotate, translate=(20.25, 3, 3))
    result = resample(lazy, source, target)
    assert (result.shape, result.dtype, result.numblocks) == (target.shape, np.float32, (20, 1, 1))
    assert computed == []
    plane = result[4].compute()
    if not any(rotate):
        assert {index for index, *_ in computed} == {22, 23}
    assert len(computed) < 60
    eager = resample(lazy.compute(), source, target)
    np.testing.assert_allclose(plane, eager[4], atol=1e-6)
    np.testing.assert_allclose(result.compute(), eager, atol=1e-6)


def test_dask_in_color_and_beyond_the_source():
    values = np.random.default_rng(0).integers(0, 255, (4, 20, 20, 3)).astype(np.uint8)
    target = grid((9, 15, 15), translate=(-2, 2.5, 2.5))
    eager = resample(values, grid((4, 20, 20)), target)
    lazy = resample(da.from_array(values), grid((4, 20, 20)), target)
    np.testing.assert_array_equal(lazy.compute(), eager)
    assert np.isnan(eager[[0, 1, 6, 7, 8]]).all()


@pytest.mark.parametrize("order", [1, 3])
def test_of_a_zarr_array_no_more_is_read_than_needed(tmp_path, order):
    values = np.random.default_rng(0).random((4, 20, 20))
    stored = zarr.create_array(tmp_path / "stack.zarr", data=values, chunks=(1, 20, 20))
    for plane in "013":
        (tmp_path / "stack.zarr" / "c" / plane / "0" / "0").write_bytes(b"unreadable")
    target = grid((1, 30, 30), translate=(2, 1, 1), scale=(1, 0.5, 0.5))
    result = resample(stored, grid((4, 20, 20)), target, order=order)
    np.testing.assert_allclose(result, resample(values, grid((4, 20, 20)), target, order=order))


def test_data_of_another_grid():
    with pytest.raises(ImageError, match=r"shape \(5, 5\) do not fit the grid .* \(4, 4\)"):
        resample(np.zeros((5, 5)), grid((4, 4)), grid((4, 4)))


def test_an_unknown_order():
    with pytest.raises(OptionError, match="order 2 is unknown"):
        resample(np.zeros((4, 4)), grid((4, 4)), grid((4, 4)), order=2)
