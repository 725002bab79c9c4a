"""World grids against napari's own layers."""

import subprocess
import sys

import numpy as np
import pytest
from napari.layers import Image

from napari_gifnet.errors import ImageError, OptionError
from napari_gifnet.grids.pairs import (
    common_grid,
    finest_grid,
    index_map,
    overlap,
    same_grid,
    unit_note,
)
from napari_gifnet.grids.units import unit_factor
from napari_gifnet.grids.world_grid import WorldGrid

pytestmark = pytest.mark.filterwarnings("ignore:Non-orthogonal slicing")

TILT = np.array(
    [[0.9, 0.1, 0.0, 4.0], [-0.2, 1.1, 0.05, -3.0], [0.0, 0.1, 1.2, 7.0], [0.0, 0.0, 0.0, 1.0]]
)

GEOMETRIES = {
    "plain": {},
    "scale": {"scale": (2.5, 0.5, 0.25)},
    "flipped": {"scale": (1, -2, 3)},
    "translate": {"translate": (10, -20, 30.5)},
    "rotate": {"rotate": (10, 20, 30)},
    "shear": {"shear": (0.1, 0.2, 0.3)},
    "lower shear": {"shear": [[1, 0, 0], [0.2, 1, 0], [0.1, 0.3, 1]]},
    "affine": {"affine": TILT},
    "units": {"units": ("s", "um", "mm"), "scale": (0.1, 2, 2)},
    "labels": {"axis_labels": ("t", "row", "column")},
    "all": {
        "scale": (3, 0.5, 0.7),
        "translate": (1, 2, 3),
        "rotate": (40, -20, 5),
        "shear": (0.2, -0.1, 0.05),
        "affine": TILT,
        "units": "um",
        "axis_labels": ("z", "y", "x"),
    },
}


def image(shape=(6, 7, 8), name="image", **kwargs) -> Image:
    return Image(np.zeros(shape, np.uint8), name=name, **kwargs)


def grid(shape=(6, 7, 8), name="image", **kwargs) -> WorldGrid:
    return WorldGrid.from_layer(image(shape, name, **kwargs))


@pytest.fixture(params=GEOMETRIES)
def layer(request) -> Image:
    return image(**GEOMETRIES[request.param])


def test_voxels_lie_where_napari_puts_them(layer):
    g = WorldGrid.from_layer(layer)
    index = np.array([1.5, 0, 7])
    np.testing.assert_allclose(g.to_world(index), layer.data_to_world(index))
    np.testing.assert_allclose(g.to_index(layer.data_to_world(index)), index, atol=1e-9)
    np.testing.assert_allclose(g.extent, layer._extent_augmented.world)


def test_a_new_layer_gets_every_attribute(layer):
    new = Image(np.zeros((6, 7, 8)), **WorldGrid.from_layer(layer).layer_kwargs())
    for attribute in ("scale", "translate", "rotate", "shear", "affine"):
        got, wanted = (np.asarray(getattr(x, attribute)) for x in (new, layer))
        np.testing.assert_allclose(got, wanted, atol=1e-12, err_msg=attribute)
    assert new.units == layer.units
    assert new.axis_labels == layer.axis_labels


def test_a_new_layer_is_independent_of_the_old_one():
    layer = image(**GEOMETRIES["all"])
    g = WorldGrid.from_layer(layer)
    before = g.matrix.copy()
    new = Image(np.zeros((6, 7, 8)), **g.layer_kwargs())
    layer.scale, layer.affine = (9, 9, 9), np.eye(4)
    np.testing.assert_array_equal(WorldGrid.from_layer(new).matrix, before)


def test_color_channels_are_no_axis():
    g = WorldGrid.from_layer(
        Image(np.zeros((5, 40, 50, 3), np.uint8), rgb=True, scale=(2, 1, 1), units="mm")
    )
    assert g.shape == (5, 40, 50)
    assert g.units == ("millimeter",) * 3


@pytest.mark.parametrize("level", [0, 1, 2, -1])
def test_levels_fill_the_same_part_of_the_world(level):
    levels = [np.zeros(shape) for shape in [(100, 64, 80), (100, 32, 40), (50, 16, 20)]]
    layer = Image(levels, multiscale=True, **GEOMETRIES["all"])
    g = WorldGrid.from_layer(layer, level)
    assert g.shape == levels[level].shape
    alone = Image(levels[level], **g.layer_kwargs())
    np.testing.assert_allclose(alone._extent_augmented.world, layer._extent_augmented.world)


def test_a_level_that_is_not_there():
    with pytest.raises(OptionError, match="no level 1: expected one of 0 to 0"):
        WorldGrid.from_layer(image(), 1)


def test_a_crop_leaves_voxels_in_place(layer):
    g = WorldGrid.from_layer(layer)
    part = g.crop((slice(2, 5), 3, slice(None, None, 2)))
    assert part.shape == (3, 1, 4)
    index = np.array([[0, 0, 0], [2, 0, 3]])
    np.testing.assert_allclose(part.to_world(index), g.to_world(index * [1, 1, 2] + [2, 3, 0]))
    new = Image(np.zeros(part.shape), **part.layer_kwargs())
    np.testing.assert_allclose(new.data_to_world((1, 0, 2)), g.to_world((3, 3, 4)))


@pytest.mark.parametrize("region", [(slice(3, 3), 0, 0), (6, 0, 0), (slice(7, 9), 0, 0)])
def test_an_empty_crop(region):
    with pytest.raises(ImageError, match=r"holds no voxel of 'image', whose shape is \(6, 7, 8\)"):
        grid().crop(region)


def test_same_grid_looks_at_every_attribute(layer):
    g = WorldGrid.from_layer(layer)
    assert same_grid(g, WorldGrid.from_layer(image(**g.layer_kwargs())))
    plain = same_grid(g, grid())
    assert plain == np.allclose(g.matrix, np.eye(4))


@pytest.mark.parametrize(
    ("other", "same"),
    [
        ({"scale": (1, 1, 1.0001)}, True),
        ({"scale": (1, 1, 1.01)}, False),
        ({"translate": (0, 0.005, 0)}, True),
        ({"translate": (0, 0.1, 0)}, False),
        ({"rotate": (1, 0, 0)}, False),
        ({"shape": (6, 7, 9)}, False),
    ],
)
def test_same_grid_within_a_hundredth_of_a_voxel(other, same):
    assert same_grid(grid(), grid(**other)) is same


def test_a_small_error_of_the_scale_adds_up():
    assert not same_grid(grid((4, 2048, 2048)), grid((4, 2048, 2048), scale=(1, 1.0001, 1.0001)))


def test_millimetres_and_micrometres():
    mm = grid(scale=(2, 1, 1), translate=(1, 0, 0), units="mm")
    um = grid(scale=(2000, 1000, 1000), translate=(1000, 0, 0), units="um")
    assert same_grid(mm, um)
    assert not same_grid(mm, grid(scale=(2, 1, 1), translate=(1, 0, 0), units="um"))
    assert unit_note(mm, um) is None
    np.testing.assert_allclose(mm.to_index([5000, 1000, 2000], um.units), [2, 1, 2])


def test_units_that_have_nothing_in_common_are_taken_for_each_other():
    bare, mm = grid(name="photo"), grid(name="scan", units="mm", axis_labels=("z", "y", "x"))
    assert same_grid(bare, mm)
    assert "'photo' is in pixel and 'scan' in mm" in str(unit_note(bare, mm))
    assert same_grid(mm, grid(units="s"))
    assert unit_note(bare, grid()) is None


def test_a_plane_and_a_stack_share_a_grid():
    plane, stack = grid((7, 8), scale=(2, 3)), grid(scale=(5, 2, 3))
    assert same_grid(plane, stack)
    assert same_grid(stack, plane)
    assert not same_grid(grid((7, 8), scale=(2, 2)), stack)


def test_overlap():
    a = grid((10, 10), scale=(2, 2))
    assert overlap(a, a) == 1
    assert overlap(a, grid((10, 10), scale=(2, 2), translate=(10, 0))) == 0.5
    assert overlap(a, grid((1, 1), translate=(4, 4))) == pytest.approx(0.01)
    assert overlap(a, grid((30, 10, 10), scale=(9, 2, 2))) == 1
    turned = grid((100, 100), rotate=45, scale=(0.1, 0.1), translate=(10, 5))
    assert overlap(a, turned) == pytest.approx(100 / 400, abs=0.05)


def test_turned_strips_whose_bounding_boxes_meet_but_not_they():
    strip = {"shape": (3, 100), "rotate": 45}
    assert overlap(grid(**strip), grid(**strip, translate=(-30, 0))) == 0


def test_no_overlap_is_an_error_that_names_both_extents():
    a = grid((11, 11), "MRI", units="mm", axis_labels=("y", "x"))
    b = grid((11, 11), "PET", units="um", axis_labels=("y", "x"), translate=(50_000, 0))
    with pytest.raises(ImageError) as error:
        common_grid(a, b)
    assert "'MRI' spans axis y: -0.5 to 10.5 mm, axis x: -0.5 to 10.5 mm" in str(error.value)
    assert "'PET' spans axis y: 49999.5 to 50010.5 µm" in str(error.value)


@pytest.mark.parametrize(("choice", "name"), [("a", "PET"), ("b", "MRI"), ("finer", "MRI")])
def test_whose_grid(choice, name):
    pet = grid((20, 20, 20), "PET", scale=(2.5, 2.5, 2.5), units="mm")
    mri = grid((50, 50, 50), "MRI", scale=(1000, 1000, 1000), units="um")
    assert common_grid(pet, mri, choice).name == name


def test_finer_with_a_tie_and_across_dimensions():
    assert common_grid(grid(name="a"), grid(name="b", rotate=(3, 0, 0)), "finer").name == "a"
    coarse = grid((6, 7), "plane", scale=(2, 2))
    assert common_grid(coarse, grid(name="stack"), "finer").name == "stack"
    assert common_grid(
        grid(name="stack"), grid((9, 9), "plane", scale=(0.5, 0.5)), "finer"
    ).name == ("plane")


def test_finer_is_of_the_pixels_in_the_planes():
    thick = grid((9, 40, 40), "thick", scale=(6, 1, 1), units="mm")
    cubes = grid((30, 20, 20), "cubes", scale=(2000, 2000, 2000), units="um")
    assert common_grid(cubes, thick, "finer").name == "thick"  # though its voxels are larger
    assert common_grid(cubes, thick, "finer", (0, 2)).name == "cubes"
    plane = grid((80, 80), "plane", scale=(0.5, 0.5), units="mm")
    assert finest_grid([cubes, plane, thick]) == 1
    assert finest_grid([cubes, plane, thick], (-3, -1)) == 1
    turned = grid((20, 20, 20), "turned", rotate=(0, 20, 0))
    assert common_grid(plane, turned, "finer").name == "turned"  # the plane cannot be its grid


def test_an_axis_is_left_out():
    stack = grid(
        (4, 7, 8), scale=(5, 2, 3), translate=(1, 2, 3), rotate=30, units=("s", "mm", "um")
    )
    plane = stack.without_leading_axis()
    assert (plane.shape, plane.units) == ((7, 8), ("millimeter", "micrometer"))
    np.testing.assert_allclose(plane.to_world((3, 5)), stack.to_world((0, 3, 5))[1:])
    with pytest.raises(ImageError, match="turned or sheared"):
        grid((4, 7, 8), rotate=(20, 0, 0)).without_leading_axis()


def test_other_voxels_in_the_same_place():
    coarse = grid((4, 6), scale=(3, 2), translate=(1, 1), rotate=20)
    fine = coarse.with_shape((12, 6))
    np.testing.assert_allclose(fine.extent, coarse.extent)
    np.testing.assert_allclose(fine.coarser(3, (0,)).matrix, coarse.matrix)


def test_an_unknown_choice():
    with pytest.raises(OptionError, match="grid='c' is unknown: expected 'a', 'b' or 'finer'"):
        common_grid(grid(), grid(), "c")


def test_a_plane_takes_the_leading_axes_of_a_stack():
    plane = grid((7, 8), scale=(2, 3), units="mm", axis_labels=("y", "x"))
    stack = grid(
        (5, 6, 30, 30),
        scale=(0.5, 4, 1, 1),
        translate=(0, 100, 0, 0),
        units=("s", "um", "mm", "mm"),
        axis_labels=("t", "z", "y", "x"),
    )
    g = common_grid(plane, stack)
    assert g.shape == (5, 6, 7, 8)
    assert g.units == ("second", "micrometer", "millimeter", "millimeter")
    assert g.axis_labels == ("t", "z", "y", "x")
    np.testing.assert_allclose(g.to_world((2, 3, 4, 5)), [1, 112, 8, 15])


def test_a_plane_is_no_grid_for_a_stack_that_is_turned_out_of_it():
    plane, stack = grid((7, 8), "plane"), grid(name="stack", rotate=(0, 20, 0))
    with pytest.raises(ImageError, match="fuse on the grid of 'stack' instead"):
        common_grid(plane, stack)
    assert common_grid(plane, stack, "b").shape == stack.shape


def test_index_map_agrees_with_napari():
    a, b = (
        image(**GEOMETRIES["all"]),
        image((4, 5, 6), scale=(2, 1, 3), rotate=(5, 6, 7), units="um"),
    )
    matrix, offset = index_map(WorldGrid.from_layer(a), WorldGrid.from_layer(b))
    index = np.array([2, 5, 1])
    np.testing.assert_allclose(matrix @ index + offset, b.world_to_data(a.data_to_world(index)))


def test_a_grid_for_scripts():
    g = WorldGrid((6, 7, 8))
    assert same_grid(g, grid())
    assert (g.name, g.units, g.axis_labels) == ("image", ("pixel",) * 3, ("-3", "-2", "-1"))
    g = WorldGrid([6, 7, 8], scale=2.5, translate=(1, 2, 3), units="mm", name="PET")
    assert same_grid(g, grid(scale=(2.5,) * 3, translate=(1, 2, 3), units="mm"))
    assert repr(g) == (
        "<WorldGrid 'PET' of 6×7×8 voxels, axis -3: -0.25 to 14.75 mm, axis -2: 0.75 to 18.25 mm, "
        "axis -1: 1.75 to 21.75 mm>"
    )


@pytest.mark.parametrize(
    "geometry",
    [
        {"rotate": 30},
        {"rotate": (10, 20, 30)},
        {"rotate": [[0, -1], [1, 0]]},
        {"shear": (0.1, 0.2, 0.3), "scale": (3, -2, 1)},
        {"affine": TILT, "rotate": 5.0},
    ],
)
def test_a_script_places_it_as_napari_does(geometry):
    g, layer = WorldGrid((6, 7, 8), **geometry), image(**geometry)
    np.testing.assert_allclose(g.to_world((1, 2, 3)), layer.data_to_world((1, 2, 3)))
    new = Image(np.zeros(g.shape), **g.layer_kwargs())
    np.testing.assert_allclose(new.data_to_world((1, 2, 3)), layer.data_to_world((1, 2, 3)))


def test_a_grid_is_independent_of_what_it_was_made_from():
    scale = np.ones(2)
    g = WorldGrid((5, 5), scale=scale)
    scale[:] = 7
    np.testing.assert_array_equal(g.to_world((1, 1)), (1, 1))


@pytest.mark.parametrize(
    ("geometry", "words"),
    [
        ({"shape": ()}, r"has shape \(\)"),
        ({"shape": 5}, "has shape 5: expected one whole number"),
        ({"shape": (5, 0)}, "has shape"),
        ({"shape": (5, 2.5)}, "has shape"),
        ({"scale": (1, 1, 1)}, r"has 2 axes and scale of shape \(3,\): expected one number, or"),
        ({"scale": (1, 0)}, "voxels without extent"),
        ({"scale": np.nan}, "scale nan: expected finite numbers"),
        ({"translate": (0, np.inf)}, "translate .*: expected finite numbers"),
        ({"translate": "left"}, "translate 'left': expected finite numbers"),
        ({"rotate": np.ones((2, 2))}, "voxels without extent: .*can be undone"),
        ({"rotate": (1, 2, 3)}, r"has 2 axes and rotate of shape \(3,\)"),
        ({"shear": (1, 2, 3)}, "has 2 axes and 3 values of shear: expected 1"),
        ({"affine": np.eye(2)}, r"affine of shape \(2, 2\): expected a matrix of 3×3"),
        ({"affine": [[1, 0, 0], [0, 1, 0], [1, 0, 1]]}, "last row"),
        ({"units": ("mm",)}, "has 2 axes and units"),
        ({"units": "parsnip"}, "unit 'parsnip', which nobody knows"),
        ({"axis_labels": "xyz"}, "has 2 axes and axis_labels"),
    ],
)
def test_numbers_that_are_no_place(geometry, words):
    with pytest.raises(ImageError, match=words) as error:
        WorldGrid(**{"shape": (5, 6), "name": "scan", **geometry})
    assert "'scan'" in str(error.value)


@pytest.mark.parametrize(
    ("unit", "into", "factor"),
    [
        ("mm", "millimeter", 1),
        ("um", "nm", 1000),
        ("μm", "mm", 0.001),
        ("µm", "micron", 1),
        ("Å", "nm", 0.1),
        ("inch", "mm", 25.4),
        ("ms", "second", 0.001),
        ("mile", "m", 1609.344),
        ("px", "pixel", 1),
        ("s", "mm", None),
        ("pixel", "mm", None),
        ("parsnip", "mm", None),
    ],
)
def test_units_are_those_of_pint(unit, into, factor):
    assert unit_factor(unit, into) == (None if factor is None else pytest.approx(factor, rel=1e-12))


def test_units_are_known_without_napari():
    """pint comes with napari; a command line that resamples does without."""
    code = (
        "import sys; sys.modules['pint'] = None; from napari_gifnet import WorldGrid\n"
        "print(WorldGrid((2, 2), units='mm').to_index((1000, 0), ('um', 'um')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[1. 0.]\n"
