"""Parts of planes made of cuts around them are those of the whole planes, wherever they lie."""

from functools import reduce
from operator import add

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from napari_gifnet.backend import Backend
from napari_gifnet.fuser import Wanted
from napari_gifnet.fusers import open_fuser
from napari_gifnet.lazy.areas import Areas, joined
from napari_gifnet.locality import locality_of

CPU = Backend("cpu", "float32", 48)


def planes(height, width, count=2):
    """Noise at all scales, in [0, 1]."""
    rng = np.random.default_rng(3)
    made = []
    for _ in range(count):
        noise = sum(
            gaussian_filter(rng.standard_normal((height, width)), s) * s for s in (0.5, 3, 12)
        )
        made.append(((noise - noise.min()) / np.ptp(noise)).astype(np.float32))
    return made


def parts(areas, locality, halo):
    for key in areas.keys:
        yield key, areas.cut((), key, halo, locality.alignment, 0)


def place(areas, key):
    i, j = key
    return slice(*areas.rows[i : i + 2]), slice(*areas.columns[j : j + 2])


@pytest.mark.parametrize(
    ("sides", "cuts"),
    [
        ((130, 61), ((0, 50), (0, 33))),
        ((96, 64), ((0, 3, 8, 64), (0, 40))),
        ((75, 70), ((0, 72), (0, 40, 41))),
    ],
)
def test_gifnet_in_parts(random_model, sides, cuts):
    fuser, locality = open_fuser(random_model, CPU), locality_of(random_model, 2)
    stack = planes(*sides)
    areas = Areas(*([*c, side] for c, side in zip(cuts, sides, strict=True)))
    before = behind = None
    for known in (None, "before"):
        found = [
            fuser.measure_part(
                [p[cut.rows, cut.columns] for p in stack], cut.part, known and before
            )
            for _, cut in parts(areas, locality, locality.measure_halo)
        ]
        moments = [reduce(add, each) for each in zip(*found, strict=True)]
        before, behind = (moments, behind) if known is None else (before, moments)
    statistics = fuser.gather_statistics(lambda: [stack], 1)
    expected = [statistics.block0_mm, statistics.block0_dp, statistics.block1]
    np.testing.assert_allclose(
        [m.numbers for m in (*before, *behind)], expected, rtol=1e-5, atol=1e-7
    )
    (whole,) = fuser.fuse_planes([stack], 1)
    for key, cut in parts(areas, locality, locality.halo):
        cuts_of = [p[cut.rows, cut.columns] for p in stack]
        made = fuser.fuse_part(cuts_of, cut.part, statistics).plane
        np.testing.assert_allclose(made, whole.plane[place(areas, key)], atol=5e-6)


def test_gifnets_halo_is_not_too_large(random_model):
    """One window less around a part shows."""
    fuser, locality = open_fuser(random_model, CPU), locality_of(random_model, 2)
    stack = planes(128, 128)
    (whole,) = fuser.fuse_planes([stack], 1)
    statistics = fuser.gather_statistics(lambda: [stack], 1)
    areas = Areas([0, 64, 128], [0, 64, 128])
    cut = areas.cut((), (1, 1), locality.halo - locality.alignment, locality.alignment, 0)
    made = fuser.fuse_part([p[cut.rows, cut.columns] for p in stack], cut.part, statistics).plane
    assert np.abs(made - whole.plane[64:, 64:]).max() > 1e-5


@pytest.mark.parametrize("model", ["mean", "maximum", "pyramid"])
@pytest.mark.parametrize("corner", [200, 217])
def test_rules_in_parts(model, corner):
    fuser, locality = open_fuser(model, CPU), locality_of(model, 2)
    stack = planes(420, 391)
    (whole,) = fuser.fuse_planes([stack], 1)
    areas = Areas([0, corner, 231, 420], [0, corner, 391])
    for key, cut in parts(areas, locality, locality.halo):
        made = fuser.fuse_part([p[cut.rows, cut.columns] for p in stack], cut.part, None).plane
        np.testing.assert_allclose(made, whole.plane[place(areas, key)], atol=1e-6)
    if locality.halo:
        assert cut.rows.start > 0


def test_bands_in_parts(random_bands):
    """Of rows alone, so that the planes may be narrow."""
    fuser, locality = open_fuser(random_bands, CPU), locality_of(random_bands, 2)
    stack = planes(700, 64)
    wanted = Wanted(indexed=True)
    (whole,) = fuser.fuse_planes([stack], 1, wanted=wanted)
    areas = Areas([0, 331, 340, 700], [0, 50, 64])
    for key, cut in parts(areas, locality, locality.halo):
        made = fuser.fuse_part([p[cut.rows, cut.columns] for p in stack], cut.part, None, wanted)
        np.testing.assert_allclose(made.plane, whole.plane[place(areas, key)], atol=1e-5)
        np.testing.assert_allclose(made.index, whole.index[place(areas, key)], atol=1e-4)
    assert cut.rows.start > 0


def test_small_chunks_are_computed_together():
    assert joined((10,) * 60, 256) == [0, 250, 500, 600]
    assert joined((1024, 1024, 7), 1024) == [0, 1024, 2048, 2055]
    areas = Areas([0, 250, 500], [0, 300])
    found = {at: (area, sides) for at, area, sides in areas.of_chunks((100, 150, 250), (300,))}
    assert found[1, 0] == ((0, 0), np.s_[100:250, 0:300])
    assert found[2, 0] == ((1, 0), np.s_[0:250, 0:300])


def test_a_part_takes_no_gradient_and_no_batch(random_model):
    fuser = open_fuser(random_model, CPU)
    (moments, _) = fuser.measure_part(planes(32, 32), np.s_[0:32, 0:32])
    assert isinstance(moments.mean, np.float64)
    assert not torch.is_tensor(moments.variance)
