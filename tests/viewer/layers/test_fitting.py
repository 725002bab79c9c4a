"""Layers that lack a scale: they are told by what they cover, and fitted."""

import numpy as np
import pytest
from napari.layers import Image, Labels

from napari_gifnet.errors import ImageError
from napari_gifnet.grids.world_grid import WorldGrid
from napari_gifnet.viewer import fit_extent, fuse_stack_layers
from napari_gifnet.viewer.layers.job import LayerOptions, plan_layers


def layer(*shape, name="layer", rgb=False, **kwargs):
    return Image(np.zeros((*shape, 3) if rgb else shape, np.uint8), name=name, rgb=rgb, **kwargs)


def fit(one, other, **options):
    for name, value in fit_extent(one, other, **options).items():
        setattr(one, name, value)


@pytest.mark.parametrize("thermal_first", [True, False])
def test_a_camera_of_fewer_pixels(thermal_first):
    thermal, photo = layer(24, 32, name="thermal"), layer(48, 64, name="photo", rgb=True)
    layers = (thermal, photo) if thermal_first else (photo, thermal)
    plan = plan_layers(*layers, LayerOptions(task="infrared_visible"))
    assert "thermal covers 25 % of photo; is a scale missing?" in plan.summary
    places = plan.missing_scale.layer, plan.missing_scale.onto
    assert [layers[place].name for place in places] == ["thermal", "photo"]
    fit(thermal, photo)
    extents = [WorldGrid.from_layer(each).extent for each in layers]
    np.testing.assert_array_equal(*extents)
    plan = plan_layers(*layers, LayerOptions(task="infrared_visible"))
    assert plan.missing_scale is None
    assert plan.notes == ()
    assert plan.grid.shape == (48, 64)


@pytest.mark.parametrize(
    ("kwargs", "shape"),
    [
        ({"translate": (10, 20)}, (24, 32)),  # a part of the picture
        ({"scale": (2, 2), "translate": (0.5, 0.5)}, (24, 32)),
        ({}, (48, 64)),
        ({}, (48, 63)),
    ],
)
def test_layers_that_lie_where_they_should(kwargs, shape):
    plan = plan_layers(layer(*shape, **kwargs), layer(48, 64, name="photo"))
    assert plan.missing_scale is None


def test_a_layer_without_pixel_size_beside_one_in_mm():
    pet = layer(20, 20, name="PET")
    mri = layer(100, 100, name="MRI", scale=(2, 2), units="mm")
    plan = plan_layers(pet, mri)
    assert plan.missing_scale.layer == 0
    assert any(note.startswith("PET covers 1 % of MRI") for note in plan.notes)
    fit(pet, mri)
    np.testing.assert_array_equal(pet.scale, (10, 10))
    assert pet.units == mri.units
    assert plan_layers(pet, mri).notes == ()


def test_a_turned_picture_and_a_stack():
    photo = layer(40, 60, scale=(0.5, 0.5), translate=(7, 8), rotate=30, units="um")
    stack = layer(5, 20, 30, scale=(3, 1, 1))
    fit(stack, photo)
    corners = stack.data_to_world((4, -0.5, -0.5)), photo.data_to_world((-0.5, -0.5))
    np.testing.assert_allclose(corners[0][1:], corners[1])
    np.testing.assert_allclose(corners[0][0], 12)
    wide = layer(9, 40, 60, scale=(2, 0.1, 0.1), units="mm")
    fit(stack, wide)
    np.testing.assert_allclose(stack.scale, (3, 0.2, 0.2))


def test_several_layers():
    layers = [layer(20, 30, name="one"), layer(20, 30, name="two"), layer(10, 15, name="three")]
    result = fuse_stack_layers(layers, model="mean")
    assert result.metadata["napari_gifnet"]["notes"] == [
        "three covers 25 % of one; is a scale missing?"
    ]


def test_other_layers():
    with pytest.raises(ImageError, match="Labels layer"):
        fit_extent(Labels(np.zeros((9, 9), int)), layer(9, 9))
