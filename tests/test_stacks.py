"""Stacks: statistics shared by their planes, and what stands still standing still."""

import dask.array as da
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from napari_gifnet import enhance, fuse
from napari_gifnet.errors import OptionError
from napari_gifnet.planes.job import SAMPLED, sampled_indices

SIDES = 64, 128
STILL = np.s_[:, :, :24]
"""Further from what moves than the network sees."""


def texture(rng, scale):
    noise = gaussian_filter(rng.standard_normal(SIDES), scale)
    return 0.42 + 0.13 * noise / noise.std()


@pytest.fixture(scope="module")
def drifting():
    """A disc that grows, drifts and brightens over two still textures, in ten planes."""
    rng = np.random.default_rng(0)
    still_a, still_b = texture(rng, 4), texture(rng, 2)
    y, x = np.mgrid[: SIDES[0], : SIDES[1]]
    a, b = [], []
    for t in np.linspace(0, 1, 10):
        distance = np.hypot(y - 32, x - (88 + 12 * t)) - (4 + 18 * t)
        disc = 1 / (1 + np.exp(distance / 1.5))
        a.append(still_a * (1 - disc) + (0.5 + 0.5 * t) * disc)
        b.append(still_b * (1 - 0.8 * t * disc))
    a, b = (np.clip(stack, 0, 1).astype(np.float32) for stack in (a, b))
    assert max(np.ptp(stack[STILL].mean((1, 2))) for stack in (a, b)) < 1e-6
    return a, b


def flicker(stack):
    """Range over the planes of the mean brightness of what stands still, in gray levels of 255."""
    return 255 * np.ptp(stack[STILL].mean((1, 2)))


def test_statistics_of_the_stack_keep_what_stands_still_from_flickering(drifting):
    a, b = drifting
    each = fuse(a, b, intensity="dtype")
    together = fuse(a, b, intensity="dtype", normalization="stack")
    assert flicker(together) < 0.1  # of a gray level; below 1/255 is asked for
    assert flicker(each) > 1  # else there would be no need for them
    assert np.abs(np.diff(together[STILL], axis=0)).max() < 1e-4


def test_one_plane_has_the_same_statistics_either_way(drifting):
    a, b = (stack[4] for stack in drifting)
    np.testing.assert_allclose(fuse(a, b, normalization="stack"), fuse(a, b), atol=1e-6)
    twins = np.stack([a] * 3), np.stack([b] * 3)
    np.testing.assert_allclose(fuse(*twins, normalization="stack"), fuse(*twins), atol=1e-5)


@pytest.mark.parametrize("tile", [None, 32])
def test_the_tiles_of_a_stack_do_not_show(drifting, random_model, tile):
    a, b = (stack[:3] for stack in drifting)
    options = {"model": random_model, "intensity": "dtype", "normalization": "stack"}
    options["precision"] = "float32"  # bfloat16 rounds by how many threads share a tile
    np.testing.assert_allclose(
        fuse(a, b, tile_size=tile, **options), fuse(a, b, tile_size=64, **options), atol=1e-5
    )


def test_the_statistics_are_those_of_the_planes_together(drifting, random_model):
    """Planes side by side in one map have the same moments, but for the seam between them."""
    a, b = (np.stack([stack[0, :, :64], stack[9, :, 64:]]) for stack in drifting)
    together = fuse(a, b, model=random_model, intensity="dtype", normalization="stack")
    joined = fuse(*(np.hstack(list(x)) for x in (a, b)), model=random_model, intensity="dtype")
    each = fuse(a, b, model=random_model, intensity="dtype")
    far_from_the_seam = np.s_[:, :24]
    with_stack, with_plane = (
        np.abs(x[0][far_from_the_seam] - joined[far_from_the_seam]).max() for x in (together, each)
    )
    assert with_stack < 0.3 * with_plane


def test_a_lazy_stack_has_the_statistics_of_the_stack(drifting, random_model):
    a, b = (stack[:4] for stack in drifting)
    options = {"model": random_model, "intensity": "dtype", "normalization": "stack"}
    lazy = fuse(da.from_array(a, chunks=(1, 64, 64)), b, **options)
    np.testing.assert_allclose(lazy[2].compute(), fuse(a, b, **options)[2], atol=1e-6)
    single = enhance(da.from_array(a, chunks=(2, -1, -1)), **options)
    np.testing.assert_allclose(single.compute(), enhance(a, **options), atol=1e-6)


def test_progress_goes_from_nothing_to_all_once(drifting, random_model):
    seen = []
    fuse(
        *(stack[:3] for stack in drifting),
        model=random_model,
        normalization="stack",
        progress=lambda done, total: seen.append(done / total),
    )
    assert seen == sorted(seen)
    assert seen[0] == 0
    assert seen[-1] == 1


def test_the_planes_that_are_measured_are_spread_over_the_stack():
    assert sampled_indices((5,)) == [(0,), (1,), (2,), (3,), (4,)]
    chosen = sampled_indices((10, 100))
    assert len(chosen) == SAMPLED
    assert (chosen[0], chosen[-1]) == ((0, 0), (9, 99))


def test_other_statistics_are_refused():
    with pytest.raises(OptionError, match="expected 'plane' or 'stack'"):
        fuse(np.zeros((8, 8)), np.zeros((8, 8)), normalization="image")
