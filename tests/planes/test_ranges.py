import tracemalloc

import numpy as np
import pytest

from napari_gifnet.errors import ImageError, OptionError
from napari_gifnet.planes.ranges import (
    fill_invalid,
    from_unit,
    measure_range,
    range_without_looking,
    result_dtype,
    split_intensity,
    to_unit,
)


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        (bool, (0, 1)),
        (np.uint8, (0, 255)),
        (np.int16, (-32768, 32767)),
        (np.uint16, (0, 65535)),
        (np.float32, (0, 1)),
    ],
)
def test_dtype_is_the_full_range_of_the_type(dtype, expected):
    assert range_without_looking(np.dtype(dtype), "dtype") == expected


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (np.array([3, 200], np.uint8), (0, 255)),
        (np.array([False, True]), (0, 1)),
        (np.array([0.2, 0.7]), (0, 1)),
        (np.array([0.2, 1.5]), (0.2, 1.5)),
        (np.array([-1000.0, 0.5]), (-1000, 0.5)),
        (np.array([np.nan, 0.2, np.inf, 0.7]), (0, 1)),
        (np.array([np.nan, 7.0, -np.inf, 9.0], np.float32), (7, 9)),
        (np.array([100, 4000], np.uint16), (100, 4000)),
        (np.array([100, 4000], ">u2"), (100, 4000)),
        (np.array([-5, 5], np.int8), (-5, 5)),
    ],
)
def test_auto(image, expected):
    known = range_without_looking(image.dtype, "auto")
    assert (known or measure_range(image, "auto", "a")) == pytest.approx(expected)


def test_minmax_is_over_the_finite_values_of_the_whole_stack():
    stack = np.zeros((3, 5, 5))
    stack[0, 0, 0], stack[2, 4, 4], stack[1, 1, 1] = -2, 8, np.nan
    assert measure_range(stack, "minmax", "a") == (-2, 8)
    assert measure_range(stack.transpose(2, 0, 1)[:, ::-1], "minmax", "a") == (-2, 8)


def test_percentile_ignores_rare_outliers_and_nan():
    image = np.random.default_rng(0).random(100_000)
    image[:5], image[5:10] = 1e6, np.nan
    low, high = measure_range(image, "percentile", "a")
    assert low == pytest.approx(0.001, abs=3e-4)
    assert high == pytest.approx(0.999, abs=3e-4)


def test_percentile_of_a_large_image_comes_from_a_sample():
    image = np.random.default_rng(0).integers(0, 4000, 20_000_000, np.uint16)
    assert measure_range(image, "percentile", "a") == pytest.approx((4, 3996), abs=2)


def test_percentile_of_a_nearly_constant_image_falls_back_on_its_extremes():
    image = np.zeros((100, 100))
    image[3, 4] = 50
    assert measure_range(image, "percentile", "a") == (0, 50)


def test_memory_mapped_image_is_not_read_into_memory(tmp_path):
    image = np.lib.format.open_memmap(tmp_path / "a.npy", "w+", np.float32, (40, 512, 512))
    image[7, 8, 9], image[1, 2, 3] = 5, -3
    tracemalloc.start()
    assert measure_range(image, "minmax", "a") == (-3, 5)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < image.nbytes / 4


@pytest.mark.parametrize("intensity", ["auto", "minmax", "percentile"])
def test_nothing_finite(intensity):
    with pytest.raises(ImageError, match="b has no finite pixel"):
        measure_range(np.full((5, 5), np.nan), intensity, "b")


def test_range_wider_than_a_float():
    with pytest.raises(ImageError, match="intensity="):
        measure_range(np.array([-1.7e308, 1.7e308]), "minmax", "a")


@pytest.mark.parametrize(
    "nonsense",
    ["max", 3, None, (1, 1), (2, 1), (0, np.nan), (0, np.inf), (1, 2, 3), ("minmax", "max")],
)
def test_intensity_nonsense(nonsense):
    with pytest.raises(OptionError, match="expected one of 'auto', 'dtype'"):
        split_intensity(nonsense, 2, [None, None])


def test_two_numbers_are_one_range_and_anything_else_a_pair():
    def split(intensity, count=2):
        return split_intensity(intensity, count, [None] * count)

    assert split([0, 10]) == [(0, 10), (0, 10)]
    assert split(([0, 10], (5, np.float32(6)))) == [(0, 10), (5, 6)]
    assert split(("dtype", (5, 6))) == ["dtype", (5, 6)]
    assert split("minmax") == ["minmax", "minmax"]
    assert split(("dtype", (5, 6), "auto"), 3) == ["dtype", (5, 6), "auto"]


def test_layer_is_the_range_that_a_viewer_shows():
    assert split_intensity("layer", 2, [(0, 9), (1, 5)]) == [(0, 9), (1, 5)]
    with pytest.raises(OptionError, match="intensity='layer' is not understood"):
        split_intensity("layer", 1, [None])


def test_masked_values_take_no_part():
    image = np.ma.array([[1, 2], [3, 99]], mask=[[0, 0], [0, 1]], dtype=np.uint16)
    assert measure_range(image, "minmax", "a") == (1, 3)
    np.testing.assert_array_equal(np.isnan(to_unit(image, (0, 99))), image.mask)


@pytest.mark.parametrize("dtype", ["u1", ">u2", "<i2", "u4", "i8", ">f4", "f2", "f8"])
def test_to_unit_maps_and_clips(dtype):
    unit = to_unit(np.array([[0, 10, 20], [35, 60, 100]]).astype(dtype), (10, 60))
    assert unit.dtype == np.float32
    assert unit.dtype.isnative
    np.testing.assert_allclose(unit, [[0, 0, 0.2], [0.5, 1, 1]], atol=1e-7)


def test_to_unit_of_8_bits_is_division_by_255():
    values = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(to_unit(values, (0, 255)), values.astype(np.float32) / 255)


def test_to_unit_keeps_small_differences_of_large_numbers():
    values = 2_000_000_000 + np.arange(5)
    np.testing.assert_allclose(to_unit(values, (2e9, 2e9 + 4)), [0, 0.25, 0.5, 0.75, 1])


def test_to_unit_of_extreme_floats():
    values = np.array([-3.4e38, 0, 3.4e38, np.inf, -np.inf, np.nan], np.float32)
    nan = np.nan
    unit = to_unit(values, (-3.4e38, 3.4e38))
    np.testing.assert_allclose(unit, [0, 0.5, 1, nan, nan, nan], atol=1e-7)
    np.testing.assert_allclose(to_unit(values, (0, 1e-30)), [0, 0, 1, nan, nan, nan])


def test_to_unit_of_a_constant_is_zero():
    np.testing.assert_array_equal(to_unit(np.full((5, 5), 7.0), (7.0, 7.0)), np.zeros((5, 5)))


def test_to_unit_leaves_its_input_alone():
    values = np.array([1, 2, np.inf], np.float32)
    to_unit(values, (1, 2))
    np.testing.assert_array_equal(values, [1, 2, np.inf])


def test_fill_invalid_takes_the_nearest_pixel():
    plane = np.tile(np.arange(6, dtype=np.float32), (5, 1))
    holed = plane.copy()
    holed[:, :2] = np.nan
    filled, invalid = fill_invalid(holed)
    np.testing.assert_array_equal(filled, np.maximum(plane, 2))
    np.testing.assert_array_equal(invalid, plane < 2)


def test_fill_invalid_does_nothing_to_a_whole_plane():
    plane = np.ones((5, 5), np.float32)
    filled, invalid = fill_invalid(plane)
    assert filled is plane
    assert invalid is None


def test_fill_invalid_of_an_empty_plane_is_zero():
    filled, invalid = fill_invalid(np.full((5, 5), np.nan, np.float32))
    assert not filled.any()
    assert invalid is not None
    assert invalid.all()


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16", "uint32", "int32"])
def test_from_unit_scales_and_rounds(dtype):
    dtype = np.dtype(dtype)
    largest = np.iinfo(dtype).max
    unit = np.array([0, 0.25, 1, 1.1, -0.1, np.nan], np.float32)
    expected = [0, round(largest / 4), largest, largest, 0, 0]
    np.testing.assert_array_equal(from_unit(unit, dtype), expected)
    assert from_unit(unit, dtype).dtype == dtype


def test_from_unit_gives_8_bit_values_back():
    values = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(from_unit(to_unit(values, (0, 255)), np.dtype("u1")), values)


def test_result_dtype():
    assert result_dtype(None) == np.float32
    assert result_dtype("uint16") == np.uint16
    assert result_dtype(float) == np.float64


@pytest.mark.parametrize("nonsense", [bool, complex, int, "uint64", "image", object, "U3"])
def test_result_dtype_nonsense(nonsense):
    with pytest.raises(OptionError, match="such as uint8 or uint16"):
        result_dtype(nonsense)
