"""Which layers are fused in the colours of their colormaps, and what the colour then says."""

import numpy as np
import pytest
from napari.layers import Image

from napari_gifnet.planes.color import chroma
from napari_gifnet.viewer import enhance_layer, fuse_layers
from napari_gifnet.viewer.layers.job import LayerOptions, plan_layers
from napari_gifnet.viewer.layers.samples import pet_mri

HEIGHT, WIDTH = 12, 17


def layer(name, colormap="gray", rgb=False, seed=0):
    shape = (HEIGHT, WIDTH, 3) if rgb else (HEIGHT, WIDTH)
    data = np.random.default_rng(seed).integers(0, 255, shape, np.uint8)
    looks = {} if rgb else {"colormap": colormap, "contrast_limits": (0, 255)}
    return Image(data, name=name, rgb=rgb, **looks)


@pytest.mark.parametrize(
    ("a", "b", "task", "colored"),
    [
        (("PET", "hot"), ("MRI",), "pet_mri", [True, False]),
        (("PET", "hot"), ("MRI", "cyan"), "pet_mri", [True, False]),
        (("CT",), ("MRI", "cyan"), "pet_mri", [False, True]),
        (("nuclei", "blue"), ("actin", "green"), None, [True, True]),
        (("PET", "hot"), ("MRI",), None, [True, False]),
        (("shades", "gray_r"), ("MRI",), None, [False, False]),
        (("infrared", "inferno"), ("visible",), None, [False, False]),
        (("FLIR0123", "inferno"), ("street",), None, [False, False]),
        (("a", "inferno"), ("photo", None, True), None, [False, False]),
        (("GFP", "green"), ("histology", None, True), None, [True, False]),
        (("infrared", "inferno"), ("photo", None, True), "infrared_visible", [False, False]),
        (("nir", "hot"), ("visible",), "nir_visible", [False, False]),
        (("near", "green"), ("far", "green"), "multi_focus", [False, False]),
    ],
)
def test_what_is_in_colour_by_default(a, b, task, colored):
    plan = plan_layers(layer(*a), layer(*b), LayerOptions(task=task))
    applied = [source.appearance is not None for source in plan.sources]
    assert applied == colored
    assert plan.job.weighed == tuple(np.flatnonzero(colored))


def test_a_named_layer_is_fused_in_its_colours():
    a, b = layer("infrared", "inferno"), layer("visible", "green")
    for color, colored in (("a", (0,)), ("b", (1,)), ("gray", ()), ("displayed", (0, 1))):
        plan = plan_layers(a, b, LayerOptions(task="infrared_visible", color=color))
        assert plan.job.chroma == colored


def test_one_layer_is_enhanced_in_gray():
    assert not enhance_layer(layer("GFP", "green"), model="mean").rgb


def test_colours_of_channels_lie_where_their_light_is():
    """Two dyes, each in its own half: the colour of each is whole there."""
    left, right = np.zeros((HEIGHT, WIDTH)), np.zeros((HEIGHT, WIDTH))
    left[:, :8], right[:, 8:] = 1, 1
    a = Image(left, colormap="red", contrast_limits=(0, 1), name="a")
    b = Image(right, colormap="green", contrast_limits=(0, 1), name="b")
    fused = fuse_layers(a, b, model="maximum").data
    np.testing.assert_allclose(fused[:, :8], np.broadcast_to([1, 0, 0], (HEIGHT, 8, 3)), atol=2e-3)
    np.testing.assert_allclose(fused[:, 8:], np.broadcast_to([0, 1, 0], (HEIGHT, 9, 3)), atol=2e-3)


@pytest.mark.parametrize("colormap", ["blue", "red", "green"])
def test_the_weight_is_that_of_the_value_not_of_the_colormaps_luma(colormap):
    """Blue is dark: it is to be seen as well as green is."""
    value = np.full((HEIGHT, WIDTH), 0.6)
    a = Image(value, colormap=colormap, contrast_limits=(0, 1), name="a")
    b = Image(value / 2, contrast_limits=(0, 1), name="b")
    mixed = chroma(fuse_layers(a, b, model="mean").data)
    whole = chroma(a.colormap.map(np.array([0.6]))[:, :3])
    np.testing.assert_allclose(mixed, np.broadcast_to(2 / 3 * whole, mixed.shape), atol=2e-3)


def test_little_uptake_does_not_paint_the_head():
    """The phantom as its sample is shown: gray where PET is low, in colour where it is hot."""
    (mri, mri_kwargs, _), (pet, pet_kwargs, _) = pet_mri()
    pet, mri = Image(pet, **pet_kwargs), Image(mri, **mri_kwargs)
    lesion = pet.metadata["napari_gifnet"]["lesions"][0]["position"][0]
    extent = ((lesion, -200, -200), (lesion, 200, 200))
    options = {"task": "pet_mri", "extent": extent, "model": "mean"}
    fused = fuse_layers(pet, mri, **options).data[0]
    plan = plan_layers(pet, mri, LayerOptions(**options)).measured()
    uptake, anatomy = plan.job.planes((0,))
    strength = np.linalg.norm(chroma(np.nan_to_num(fused[..., :3])), axis=-1)
    low = (uptake.luma < 0.15) & (anatomy.luma > 0.3)
    hot = uptake.luma > 0.7
    assert low.sum() > 5000
    assert np.mean(np.linalg.norm(uptake.chroma[low], axis=-1)) > 0.1  # of "hot" in full
    assert np.mean(strength[low]) < 0.03
    assert np.median(strength[hot]) > 0.15
