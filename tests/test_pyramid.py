"""The one pyramid: it gives back what it got, shifts nothing, and is the same in both libraries."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_gifnet import fuse
from napari_gifnet.pyramid import collapse, decompose, expand, fuse_strongest, reduce


def rough(shape, seed=0):
    return np.random.default_rng(seed).random(shape)


def ramp(side=256):
    return np.tile(np.linspace(0, 255, side), (side, 1))


@settings(max_examples=40, deadline=None)
@given(st.tuples(st.integers(5, 150), st.integers(5, 150)))
def test_bands_and_base_add_up_to_the_plane(shape):
    plane = rough(shape)
    bands = decompose(plane)
    assert len(bands) == 6
    assert [len(band) for band in bands[:3]] == [shape[0], -(-shape[0] // 2), -(-shape[0] // 4)]
    np.testing.assert_allclose(collapse(bands), plane, atol=1e-12)


def test_a_ramp_comes_back_as_itself():
    fused = fuse_strongest(ramp(), ramp())
    np.testing.assert_allclose(fused[100, [0, 64, 128, 192, 255]], [0, 64, 128, 192, 255])
    again = fuse(ramp(), ramp(), model="pyramid", intensity=(0, 255))
    np.testing.assert_allclose(again * 255, ramp(), atol=1e-3)


@pytest.mark.parametrize("transposed", [False, True])
def test_the_base_alone_is_a_ramp_that_has_not_moved(transposed):
    plane = np.tile(np.arange(1024.0), (64, 1))  # what is mirrored at the ends reaches 124 pixels
    *details, base = decompose(plane.T if transposed else plane)
    smooth = collapse([0 * band for band in details] + [base])
    row = smooth[:, 32] if transposed else smooth[32]
    np.testing.assert_allclose(row[128:896], np.arange(128, 896), atol=1e-9)


def test_reduced_and_expanded_pixels_lie_where_they_were():
    y, x = np.indices((65, 81)).astype(float)
    inside = np.s_[2:-2, 2:-2]
    for plane in (y, x):
        np.testing.assert_allclose(reduce(plane)[inside], plane[::2, ::2][inside])
        np.testing.assert_allclose(expand(plane[::2, ::2], plane.shape)[inside], plane[inside])
    dot = np.zeros((33, 33))
    dot[16, 16] = 1
    spread = expand(reduce(dot), dot.shape)
    np.testing.assert_allclose(spread, spread[::-1, ::-1])
    np.testing.assert_allclose(reduce(dot)[6:11, 8], np.array([0, 1, 6, 1, 0]) / 16 * 0.375)


def test_beyond_the_border_the_plane_is_mirrored():
    """Taken from a plane that shows the mirror images, the middle is the same."""
    plane = rough((48, 31))
    mirrored = np.pad(plane, 16, mode="reflect")
    np.testing.assert_allclose(reduce(mirrored)[8:32, 8:24], reduce(plane))
    smaller = reduce(plane)
    around = reduce(np.pad(plane, 4, mode="reflect"))[1:-1, 1:-1]
    np.testing.assert_allclose(around[1:-1, 1:-1], smaller)
    np.testing.assert_allclose(expand(around, (52, 35))[2:-2, 2:-2], expand(smaller, plane.shape))


@settings(max_examples=20, deadline=None)
@given(st.tuples(st.integers(5, 70), st.integers(5, 70)))
def test_tensors_have_the_values_of_arrays(shape):
    planes = rough((2, 3, *shape)).astype(np.float32)
    for array, tensor in zip(decompose(planes), decompose(torch.from_numpy(planes)), strict=True):
        np.testing.assert_allclose(tensor.numpy(), array, atol=1e-6)
    a, b = planes
    fused = fuse_strongest(torch.from_numpy(a), torch.from_numpy(b))
    np.testing.assert_allclose(fused.numpy(), fuse_strongest(a, b), atol=1e-6)


def test_gradients_reach_the_planes():
    plane = torch.rand(1, 1, 13, 18, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: tuple(decompose(x, 2)), plane)
