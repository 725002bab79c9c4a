"""What the weights that ship do to pictures, as a user would notice it.

Thresholds say what is tolerable, not what some weights reach. A level is 1/255.
"""

from functools import cache
from itertools import cycle, product

import numpy as np
import pytest
from scipy.ndimage import (
    gaussian_filter,
    map_coordinates,
    maximum_filter,
    minimum_filter,
    uniform_filter,
)
from skimage import data, io
from skimage.color import rgb2ycbcr
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from napari_gifnet import enhance, fuse
from napari_gifnet.files.samples import load_sample
from napari_gifnet.metrics import average_gradient

LEVEL = 1 / 255


@pytest.fixture(params=["gifnet", "gifnet-bands"])
def model(request):
    return request.param


def luma(picture):
    gray = picture @ [0.299, 0.587, 0.114] if picture.ndim == 3 else picture
    return (gray / 255).astype(np.float32)


def photograph(name, top, left, side):
    return getattr(data, name)()[top : top + side, left : left + side]


# -- exposures: what one side lost comes from the other -----------------------------------------


def is_clipped(plane):
    return (plane >= 250 * LEVEL) | (plane <= 5 * LEVEL)


def is_lost(plane, other):
    """Where a plane is clipped and the other has detail, itself well away from both ends.

    8 levels of local deviation are far above noise. 10 levels from black and 25 from white the other
    one is not nearly clipped, too, so that black or white cannot be the right answer.
    """
    mean = uniform_filter(other, 7)
    deviation = np.sqrt(np.maximum(uniform_filter(other**2, 7) - mean**2, 0))
    well_exposed = (other >= 10 * LEVEL) & (other <= 230 * LEVEL)
    return is_clipped(plane) & well_exposed & (deviation > 8 * LEVEL)


def detail_correlation(x, y, where):
    x, y = ((plane - gaussian_filter(plane, 3))[where] for plane in (x, y))
    return np.corrcoef(x, y)[0, 1]


@cache
def made_exposures(model, name, top, left, stops):
    """Truth, over-exposed, under-exposed and fused; the truth is the photograph as it is."""
    truth = luma(photograph(name, top, left, 160))
    over, under = (
        np.round(np.clip(truth**2.2 * 2.0**stop, 0, 1) ** (1 / 2.2) * 255).astype(np.uint8)
        for stop in (stops[0], -stops[1])
    )
    fused = fuse(over, under, task="multi_exposure", model=model)
    return truth, luma(over), luma(under), fused


MADE_EXPOSURES = pytest.mark.parametrize(
    "made",
    [
        (name, top, left, stops)
        for name, top, left in (("astronaut", 40, 150), ("coffee", 120, 160), ("chelsea", 40, 100))
        for stops in ((2, 2), (2.3, 1.5))
    ],
    ids=lambda made: f"{made[0]}-{made[3][0]}-{made[3][1]}",
)


@MADE_EXPOSURES
def test_what_over_exposure_lost_comes_back(model, made):
    """Black is not asked about: what is black two stops under is nearly black in truth."""
    truth, over, under, fused = made_exposures(model, *made)
    lost = is_lost(over, under)
    assert lost.sum() > 1000
    assert is_clipped(fused)[lost].mean() < 0.01
    of_fused = detail_correlation(fused, truth, lost)
    assert of_fused > detail_correlation(over, truth, lost)
    assert of_fused > 0.8  # two thirds of the detail's energy


@MADE_EXPOSURES
def test_two_exposures_come_nearer_to_the_truth_than_either_and_their_mean(model, made):
    truth, over, under, fused = made_exposures(model, *made)
    others = {"over": over, "under": under, "mean": (over + under) / 2}
    psnr = {
        name: peak_signal_noise_ratio(truth, plane, data_range=1) for name, plane in others.items()
    }
    assert peak_signal_noise_ratio(truth, fused, data_range=1) > max(psnr.values()), psnr


def check_that_lost_parts_come_back(model, over, under, part):
    """On a part of two pictures, in which each side is clipped somewhere."""
    over, under = over[part], under[part]
    fused = fuse(over, under, task="multi_exposure", color="gray", model=model)
    over, under = luma(over), luma(under)
    for plane, other in ((over, under), (under, over)):
        lost = is_lost(plane, other)
        assert lost.sum() > 200
        assert is_clipped(fused)[lost].mean() < 0.02  # a rim of glare, perhaps
        of_fused = detail_correlation(fused, other, lost)
        assert of_fused > detail_correlation(plane, other, lost)
        assert of_fused > 0.7  # half of the detail's energy


@pytest.mark.parametrize("part", [np.s_[:192, 192:384], np.s_[132:, 192:384], np.s_[:, :]], ids=str)
def test_neither_clipping_of_the_sample_survives(model, part):
    over, under = (image.data for image in load_sample("multi_exposure"))
    check_that_lost_parts_come_back(model, over, under, part)


@pytest.mark.shared
@pytest.mark.parametrize(
    "part", [np.s_[:192, 256:448], np.s_[384:576, 512:704], np.s_[:, :]], ids=str
)
def test_neither_clipping_of_the_authors_example_survives(shared, model, part):
    folder = shared / "data" / "gifnet_examples" / "multi_exposure"
    check_that_lost_parts_come_back(model, *(io.imread(folder / f"{s}.jpg") for s in "ab"), part)


# -- PET and MRI --------------------------------------------------------------------------------


@cache
def phantom_slice(model, z):
    """PET and MRI in [0, 1] at the world's z, fused, the world's y and x, and SUV."""
    pet, mri = load_sample("pet_mri")
    index = round((z - mri.translate[0]) / mri.scale[0])
    voxels = np.indices((1, *mri.data.shape[1:])).reshape(3, -1).T + [index, 0, 0]
    world = voxels * mri.scale + mri.translate
    places = ((world - pet.translate) / pet.scale).T
    uptake = map_coordinates(pet.data.astype(np.float32), places, order=1)
    uptake = uptake.reshape(mri.data.shape[1:])
    a, b = uptake / np.float32(pet.data.max()), luma(mri.data[index])
    _, y, x = world.T.reshape(3, *uptake.shape)
    return a, b, fuse(a, b, task="pet_mri", model=model), y, x, uptake / 100


def check_that_contrast_survives(model, z, high, low):
    """Regions as bright as one another in MRI must differ in the result, as in PET.

    Half of what the plain mean of the two shows, which is itself half of what PET shows.
    """
    a, b, fused, *_ = phantom_slice(model, z)
    assert min(high.sum(), low.sum()) > 50

    def contrast(plane):
        return plane[high].mean() - plane[low].mean()

    assert abs(contrast(b)) < 3 * LEVEL
    assert contrast(fused) > contrast((a + b) / 2) / 2


@pytest.mark.parametrize("lesion", [0, 1])
def test_a_lesion_stands_out_from_gray_matter_as_bright_in_mri(model, lesion):
    facts = load_sample("pet_mri")[0].facts["lesions"][lesion]
    z, y0, x0 = facts["position"]
    _, mri, _, y, x, suv = phantom_slice(model, z)
    distance = np.hypot(y - y0, x - x0)
    hot = distance <= facts["diameter"] / 2
    alike = np.abs(mri - np.median(mri[hot])) < 8 * LEVEL
    gray_matter = (suv > 3) & (suv < 4.5)
    check_that_contrast_survives(model, z, hot, alike & gray_matter & (distance > 20))


def test_the_lobe_of_low_uptake_stands_out_from_the_other_side(model):
    _, mri, _, y, x, suv = phantom_slice(model, 32.0)
    right, left = ((np.abs(y - 42) < 14) & (np.abs(x - middle) < 14) for middle in (-44, 44))
    gray_matter = np.abs(mri - np.median(mri[right & (suv > 3.5)])) < 10 * LEVEL
    inside = gray_matter & (suv > 1)
    check_that_contrast_survives(model, 32.0, right & inside, left & inside)


def is_air(a, b, at_most):
    """Where nothing within 5 pixels is brighter."""
    return maximum_filter(np.maximum(a, b), 11) <= at_most


@pytest.mark.parametrize("z", [12.0, 37.0, 32.0])
def test_air_around_the_phantom_stays_air(model, z):
    a, b, fused, *_ = phantom_slice(model, z)
    air = is_air(a, b, 3 * LEVEL)  # PET has its noise of counting there
    assert air.sum() > 1000
    assert (fused - np.maximum(a, b))[air].max() <= 2 * LEVEL
    assert (np.minimum(a, b) - fused)[air].max() <= 2 * LEVEL


@pytest.mark.shared
def test_air_around_every_head_stays_air(shared, model):
    """Of each a quarter, from another corner each time: they show the same."""
    paths = sorted((shared / "data" / "harvard_pet" / "a").iterdir())
    assert len(paths) == 24
    halves = slice(None, 128), slice(128, None)
    corners = cycle(product(halves, halves))
    for path, corner in zip(paths, corners, strict=False):
        a, b = (io.imread(path.parents[1] / side / path.name)[corner] for side in "ab")
        fused = fuse(a, b, task="pet_mri", model=model)
        air = is_air(luma(a), luma(b), 0)
        assert air.sum() > 1000, path.name
        assert fused[air].max() <= 2 * LEVEL, path.name


# -- enhance ------------------------------------------------------------------------------------

PHOTOGRAPHS = pytest.mark.parametrize(
    ("name", "top", "left"),
    [
        ("camera", 150, 180),
        ("astronaut", 40, 150),
        ("coffee", 120, 160),
        ("grass", 100, 100),  # gifnet-bands was trained on this one alone, gifnet on the others
    ],
)


@PHOTOGRAPHS
@pytest.mark.parametrize("sigma", [0.6, 0.8, 1.0])
def test_enhancing_sharpens_a_blurred_picture_without_leaving_the_original(
    model, name, top, left, sigma
):
    original = luma(photograph(name, top, left, 128))
    blurred = gaussian_filter(original, sigma)
    sharpened = enhance(blurred, model=model)
    assert average_gradient(sharpened) > average_gradient(blurred)
    before, after = (
        np.array(
            [
                peak_signal_noise_ratio(original, plane, data_range=1),
                structural_similarity(original, plane, data_range=1),
            ]
        )
        for plane in (blurred, sharpened)
    )
    assert (after > before).all(), f"PSNR, SSIM: {before} before, {after} after"


@PHOTOGRAPHS
def test_enhancing_a_sharp_picture_makes_no_halos(model, name, top, left):
    """Five levels, two percent of the range: about the least step that is seen at an edge."""
    original = luma(photograph(name, top, left, 128))
    enhanced = enhance(original, model=model)
    beyond = np.maximum(
        enhanced - maximum_filter(original, 5), minimum_filter(original, 5) - enhanced
    )
    assert np.percentile(beyond, 99) < 5 * LEVEL


# -- what no picture should show ----------------------------------------------------------------


@pytest.mark.parametrize("color_first", [True, False])
@pytest.mark.parametrize(
    ("name", "top", "left"), [("chelsea", 40, 100), ("astronaut", 40, 150), ("coffee", 120, 160)]
)
def test_a_gray_partner_does_not_shift_the_colours(model, name, top, left, color_first):
    """The partner is like a near-infrared picture: the red channel, blurred.

    Red is at its end in much of the coffee: any brighter luma, the maximum's too, leaves RGB there.
    """
    picture = photograph(name, top, left, 128)
    gray = gaussian_filter(picture[..., 0], 2)
    fused = fuse(
        *((picture, gray) if color_first else (gray, picture)), dtype=np.uint8, model=model
    )
    shift = (rgb2ycbcr(fused) - rgb2ycbcr(picture))[..., 1:] / 224  # full range to 1
    within = ((fused > 0) & (fused < 255)).all(-1)  # elsewhere the colour is too strong for RGB
    assert within.mean() > 0.5
    assert np.abs(shift[within]).max() <= 2 * LEVEL
    if name != "coffee":
        assert np.abs(shift.mean((0, 1))).max() <= 2 * LEVEL


def smooth_pairs():
    y, x = np.mgrid[:128, :128] / 127
    bump = np.exp(-((x - 0.5) ** 2 + (y - 0.4) ** 2) / 0.1)
    return {
        "across": (0.2 + 0.6 * x, 0.2 + 0.6 * y),
        "opposite": (0.1 + 0.8 * x, 0.9 - 0.8 * x),
        "flat": (np.full_like(x, 0.5), 0.2 + 0.6 * x),
        "bump": (0.2 + 0.3 * (x + y), 0.15 + 0.7 * bump),
    }


@pytest.mark.parametrize("name", ["across", "opposite", "flat", "bump"])
def test_smooth_gradients_show_no_windows(model, name):
    """Steps at every eighth pixel, where windows meet, are like the others.

    A quarter of a level on average is half the error of rounding to eight bits.
    """
    fused = fuse(*smooth_pairs()[name], model=model)
    for axis in (0, 1):
        steps = np.abs(np.diff(fused, axis=axis)).mean(1 - axis)[8:120]
        by_place = steps.reshape(-1, 8).mean(0)
        assert by_place.max() - np.median(by_place) < 0.25 * LEVEL
