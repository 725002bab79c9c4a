"""Layers in, a layer out: with napari's own layers, and its viewer's model without a window."""

import threading
from functools import partial

import dask.array as da
import numpy as np
import pytest
import zarr
from napari.components import ViewerModel
from napari.layers import Image, Labels, Points, Shapes

from napari_gifnet import Cancelled, enhance, fuse
from napari_gifnet.backend import Backend
from napari_gifnet.errors import DeviceError, ImageError, OptionError
from napari_gifnet.files.samples import load_sample
from napari_gifnet.fusers import open_fuser
from napari_gifnet.grids.world_grid import WorldGrid
from napari_gifnet.planes.color import chroma, luma, to_rgb
from napari_gifnet.viewer.layers.current import Current, visible_box
from napari_gifnet.viewer.layers.job import LayerOptions, plan_layers
from napari_gifnet.viewer.layers.run import enhance_layer, fuse_layers, run_plan

pytestmark = pytest.mark.filterwarnings("ignore:Non-orthogonal slicing")

HEIGHT, WIDTH, DEPTH = 13, 18, 4
CLOSE = {"rtol": 0, "atol": 1e-5}


@pytest.fixture(scope="module")
def options(random_model):
    return {"model": random_model, "device": "cpu", "precision": "float32"}


@pytest.fixture(scope="module")
def fused(options):
    return partial(fuse_layers, **options)


@pytest.fixture(scope="module")
def reference(options):
    """`fuse` of arrays, whose ranges are given."""
    return partial(fuse, normalization="stack", **options)


def scene(*shape, seed=0, dtype=np.float32):
    """A random image; floats are in [0, 1]."""
    rng = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "f":
        return rng.random(shape).astype(dtype)
    return rng.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def layer(*shape, name="A", seed=1, dtype=np.float32, rgb=False, **kwargs):
    kwargs = {"contrast_limits": (0, 1)} | kwargs if np.dtype(dtype).kind == "f" else kwargs
    return Image(scene(*shape, seed=seed, dtype=dtype), name=name, rgb=rgb, **kwargs)


def pair(*shape, **kwargs):
    return layer(*shape, **kwargs), layer(*shape, name="B", seed=2, **kwargs)


def plan(a, b=None, dims=None, view=None, **kwargs):
    current = None
    if dims is not None:
        current = Current(tuple(dims.point), tuple(dims.units), tuple(dims.order), view)
    return plan_layers(a, b, LayerOptions(**kwargs), current=current)


def world(image: Image, index):
    return WorldGrid.from_layer(image).to_world(index)


# --- the result


def test_the_result_is_that_of_the_arrays(fused, reference):
    a, b = pair(HEIGHT, WIDTH)
    result = fused(a, b)
    np.testing.assert_allclose(
        result.data, reference(a.data, b.data, intensity=((0, 1), (0, 1))), **CLOSE
    )
    assert np.ptp(result.data) > 0.1  # else nothing below would mean much
    assert result.data.dtype == np.float32
    assert result.name == "A + B (GIFNet)"
    assert list(result.contrast_limits) == [0, 1]
    assert result.colormap.name == "gray"


def test_enhancing(options):
    a = layer(HEIGHT, WIDTH, scale=(2, 3), units="mm")
    result = enhance_layer(a, **options)
    expected = enhance(a.data, intensity=(0, 1), **options)
    np.testing.assert_allclose(result.data, expected, **CLOSE)
    assert result.name == "A enhanced (GIFNet)"
    np.testing.assert_array_equal(result.scale, (2, 3))


def test_sources_are_left_alone(fused):
    a, b = pair(HEIGHT, WIDTH, metadata={"napari_gifnet": {"task": "pet_mri"}})
    before = a.data.copy()
    result = fused(a, b)
    np.testing.assert_array_equal(a.data, before)
    assert a.metadata == b.metadata == {"napari_gifnet": {"task": "pet_mri"}}
    assert result.metadata["napari_gifnet"]["inputs"][0]["layer"] == "A"


# --- geometry

TILT = np.array([[0.9, 0.1, 4.0], [-0.2, 1.1, -3.0], [0, 0, 1.0]])


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("scale", (2.5, 0.5)),
        ("scale", (-1, 2)),
        ("translate", (10, -20.5)),
        ("rotate", 30),
        ("shear", (0.2,)),
        ("affine", TILT),
        ("units", ("mm", "um")),
        ("axis_labels", ("row", "column")),
    ],
)
@pytest.mark.parametrize("leading", [(), (2,)])
def test_each_attribute_of_the_geometry_is_on_the_result(options, attribute, value, leading):
    if leading:
        value = {
            "scale": lambda v: (7, *v),
            "translate": lambda v: (7, *v),
            "rotate": lambda v: (0, 0, v),
            "shear": lambda v: (0, 0, *v),
            "affine": lambda v: np.block([[1, np.zeros((1, 3))], [np.zeros((3, 1)), v]]),
            "units": lambda v: ("s", *v),
            "axis_labels": lambda v: ("t", *v),
        }[attribute](value)
    a = layer(*leading, HEIGHT, WIDTH, **{attribute: value})
    result = enhance_layer(a, **options)
    got, wanted = getattr(result, attribute), getattr(a, attribute)
    if attribute in ("units", "axis_labels"):
        assert got == wanted
    else:
        np.testing.assert_allclose(np.asarray(got), np.asarray(wanted), atol=1e-12)
    np.testing.assert_allclose(result.extent.world, a.extent.world, atol=1e-9)


def test_layers_on_one_grid_are_not_resampled(fused, reference):
    a = layer(HEIGHT, WIDTH, scale=(0.5, 0.25), translate=(3, 4), units="mm")
    b = layer(HEIGHT, WIDTH, name="B", scale=(500, 250), translate=(3e3, 4e3), units="um")
    result = fused(a, b)
    assert not any(each["resampled"] for each in result.metadata["napari_gifnet"]["inputs"])
    assert result.units == a.units
    expected = reference(a.data, b.data, intensity=((0, 1), (0, 1)))
    np.testing.assert_allclose(result.data, expected, **CLOSE)


def test_a_turned_layer_is_turned_back(fused, reference):
    a, b = pair(HEIGHT, HEIGHT)
    turned = Image(
        np.rot90(b.data).copy(),
        name="B",
        contrast_limits=(0, 1),
        affine=[[0, 1, 0], [-1, 0, HEIGHT - 1], [0, 0, 1]],
    )
    result = fused(a, turned)
    assert result.metadata["napari_gifnet"]["inputs"][1]["resampled"]
    expected = reference(a.data, b.data, intensity=((0, 1), (0, 1)))
    np.testing.assert_allclose(result.data, expected, **CLOSE)


def hot_spot(result: Image) -> np.ndarray:
    """Return where in the world the colour of a layer shown in red is."""
    strength = chroma(np.nan_to_num(np.asarray(result.data)[..., :3]))[..., 1]
    index = np.argwhere(strength > strength.max() / 2)
    return world(result, np.average(index, axis=0, weights=strength[tuple(index.T)]))


def pet_in_red(shape, spot, **kwargs):
    """A blob of one voxel, blurred by a scanner, as an image of counts shown in red."""
    distance = np.indices(shape) - np.reshape(spot, (-1, 1, 1, 1)[: len(shape) + 1])
    data = (4000 * np.exp(-(distance**2).sum(axis=0) / 3)).astype(np.uint16)
    return Image(data, name="PET", contrast_limits=(0, 4095), colormap="red", **kwargs)


@pytest.mark.parametrize(
    ("geometry", "factor"),
    [
        ({"scale": (6, 2, 2.5), "translate": (-3, 5, 4), "units": "mm"}, 1),
        ({"scale": (6e3, 2e3, 2.5e3), "translate": (-3e3, 5e3, 4e3), "units": "um"}, 1e-3),
        ({"scale": (6, 2, 2), "translate": (-3, 17, 18), "rotate": (0, 0, 40), "units": "mm"}, 1),
    ],
    ids=["anisotropic", "micrometres", "turned"],
)
def test_what_is_hot_stays_where_it_is_in_the_world(fused, geometry, factor):
    pet = pet_in_red((5, 12, 11), (2, 6, 5), **geometry)
    mri = layer(8, 40, 44, name="MRI", scale=(3, 1, 1), units="mm")
    result = fused(pet, mri, task="pet_mri", color="displayed")
    assert result.data.shape == (8, 40, 44, 4)  # the finer grid; not all of it is covered
    assert result.units == mri.units
    expected = world(pet, (2, 6, 5)) * factor
    assert (np.abs(hot_spot(result) - expected) < mri.scale).all()


def test_hot_spots_of_the_phantom(fused):
    images = [
        Image(
            image.data,
            name=image.name,
            scale=image.scale,
            translate=image.translate,
            units=image.units,
        )
        for image in load_sample("pet_mri")
    ]
    pet, mri = images
    pet.colormap, pet.contrast_limits = "red", (0, int(pet.data.max()))
    facts = load_sample("pet_mri")[0].facts
    lesion = np.array(facts["lesions"][0]["position"])
    radius = facts["lesions"][0]["diameter"]
    result = fused(
        pet,
        mri,
        model="mean",  # random weights may make a picture so bright that its colour is clipped
        task="pet_mri",
        color="displayed",
        extent=(lesion - [0.4, radius, radius], lesion + [0.4, radius, radius]),
    )
    np.testing.assert_array_equal(result.scale, mri.scale)
    assert result.data.shape[0] == 1
    assert np.abs(hot_spot(result) - lesion).max() < 1.0  # a voxel of the MRI


def test_no_overlap_gives_both_extents():
    a = layer(HEIGHT, WIDTH, units="mm")
    b = layer(HEIGHT, WIDTH, name="B", translate=(100, 0), units="mm")
    with pytest.raises(ImageError, match=r"'A' spans axis .*-0.5 to 12.5 mm.*99.5 to 112.5 mm"):
        plan(a, b)


@pytest.mark.parametrize(
    ("grid", "task", "shape"),
    [
        ("a", None, (10, 10)),
        ("b", None, (20, 20)),
        ("finer", None, (20, 20)),
        ("auto", None, (20, 20)),
        ("auto", "pet_mri", (20, 20)),
        ("auto", "infrared_visible", (20, 20)),
        ("auto", "multi_focus", (20, 20)),
        ("a", "pet_mri", (10, 10)),
    ],
)
def test_whose_grid_it_is(grid, task, shape):
    a = layer(10, 10, scale=(2, 2), translate=(0.5, 0.5))
    b = layer(20, 20, name="B")
    assert plan(a, b, grid=grid, task=task).shape == shape


def test_outside_of_the_overlap_there_is_nothing(fused):
    a, b = pair(HEIGHT, WIDTH)
    b.translate = (0, 6)
    result = fused(a, b)
    missing = np.isnan(result.data)
    assert missing[:, :6].all()
    assert not missing[:, 6:].any()

    a.colormap = "red"
    result = fused(a, b, color="displayed")
    assert result.rgb
    alpha = result.data[..., 3]  # napari draws NaN in colour as black
    np.testing.assert_array_equal(alpha, np.broadcast_to(np.arange(WIDTH) >= 6, alpha.shape))


# --- dimensions


def test_a_stack_with_a_plane(fused, reference):
    a = layer(DEPTH, HEIGHT, WIDTH, scale=(5, 1, 1), units=("s", "mm", "mm"))
    b = layer(HEIGHT, WIDTH, name="B", units="mm")
    expected = reference(a.data, b.data, intensity=((0, 1), (0, 1)))
    result = fused(a, b)
    np.testing.assert_allclose(result.data, expected, **CLOSE)
    np.testing.assert_array_equal(result.scale, a.scale)
    assert result.units == a.units

    swapped = fused(b, a)
    assert swapped.data.shape == a.data.shape
    np.testing.assert_array_equal(swapped.scale, a.scale)


@pytest.mark.parametrize("moved", [0, 0.5])
def test_a_time_series_with_a_volume(fused, reference, moved):
    a = layer(2, DEPTH, HEIGHT, WIDTH, axis_labels=tuple("tzyx"))
    b = layer(DEPTH, HEIGHT, WIDTH, name="B", translate=(0, moved, 0))
    result = fused(a, b)
    assert result.data.shape == a.data.shape
    assert result.axis_labels == tuple("tzyx")
    values = b.data if not moved else (b.data + np.roll(b.data, 1, axis=1)) / 2
    expected = reference(a.data, values, intensity=((0, 1), (0, 1)))
    if not moved:
        np.testing.assert_allclose(result.data, expected, **CLOSE)
    assert np.isfinite(result.data).all()


def test_planes_are_those_on_display(fused, reference):
    viewer = ViewerModel()
    a = viewer.add_layer(layer(HEIGHT, 6, WIDTH))
    b = viewer.add_layer(layer(HEIGHT, 6, WIDTH, name="B", seed=2))
    viewer.dims.order = (1, 2, 0)
    result = fused(a, b, viewer=viewer)
    displayed = [image.data.transpose(1, 2, 0) for image in (a, b)]
    expected = reference(*displayed, intensity=((0, 1), (0, 1)))
    assert result.data.shape == a.data.shape
    np.testing.assert_allclose(result.data.transpose(1, 2, 0), expected, **CLOSE)

    without_viewer = fused(a, b, axes=(2, -3))
    np.testing.assert_array_equal(without_viewer.data, result.data)


def test_planes_along_an_axis_that_one_layer_lacks(fused, reference):
    a, b = layer(HEIGHT, 6, WIDTH), layer(6, WIDTH, name="B")
    result = fused(a, b, axes=(0, 2))
    b_as_stack = np.broadcast_to(b.data, a.data.shape)
    planes = [np.moveaxis(data, 1, 0) for data in (a.data, b_as_stack)]
    expected = reference(*planes, intensity=((0, 1), (0, 1)))
    np.testing.assert_allclose(np.moveaxis(result.data, 1, 0), expected, **CLOSE)


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2)])
def test_the_current_slice(fused, reference, order):
    viewer = ViewerModel()
    a = viewer.add_layer(layer(8, 9, WIDTH, scale=(3, 2, 1), translate=(10, 0, 0)))
    b = viewer.add_layer(
        layer(8, 9, WIDTH, name="B", seed=2, scale=(3, 2, 1), translate=a.translate)
    )
    viewer.dims.order = order
    viewer.dims.set_current_step(order[0], 5)
    result = fused(a, b, extent="slice", viewer=viewer)
    shape = [8, 9, WIDTH]
    shape[order[0]] = 1
    assert result.data.shape == tuple(shape)
    whole = fused(a, b, viewer=viewer)
    np.testing.assert_allclose(
        result.data.squeeze(), whole.data.take(5, order[0]), rtol=0, atol=1e-6
    )
    alone = fused(a, b, extent="slice", viewer=viewer, normalization="plane")
    planes = [image.data.take(5, order[0]) for image in (a, b)]
    expected = reference(*planes, intensity=((0, 1), (0, 1)))
    np.testing.assert_allclose(alone.data.squeeze(), expected, **CLOSE)
    at = np.zeros(3)
    at[order[0]] = 5
    np.testing.assert_allclose(world(result, (0, 0, 0)), world(a, at))


def test_a_slice_beyond_one_of_the_layers():
    viewer = ViewerModel()
    a = viewer.add_layer(layer(8, HEIGHT, WIDTH))
    b = viewer.add_layer(layer(8, HEIGHT, WIDTH, name="B", translate=(4, 0, 0)))
    viewer.dims.set_current_step(0, 1)
    with pytest.raises(ImageError, match=r"outside of 'B'.*where the layers overlap"):
        plan(a, b, viewer.dims, extent="slice")
    with pytest.raises(OptionError, match="add viewer=viewer"):
        plan(a, b, extent="slice")


def test_the_view(fused):
    """The box that the viewer shows, along the displayed axes of every plane."""
    viewer = ViewerModel()
    a = viewer.add_layer(layer(DEPTH, 20, 30, scale=(1, 2, 2), units="mm"))
    b = viewer.add_layer(layer(DEPTH, 20, 30, name="B", scale=(1, 2, 2), units="mm"))
    a.corner_pixels = np.array([[0, 3, 5], [0, 10, 19]])
    result = fused(a, b, extent="view", viewer=viewer)
    assert result.data.shape == (DEPTH, 8, 15)
    np.testing.assert_allclose(world(result, (0, 0, 0)), world(a, (0, 3, 5)))

    view = ((0, 5.0, 9.0), (0, 21.0, 39.0))  # edges of voxels, in mm
    assert plan(a, b, viewer.dims, view, extent="view").region[1:] == (slice(3, 11), slice(5, 20))
    viewer.dims.set_current_step(0, 2)
    both = plan(a, b, viewer.dims, view, extent=("slice", "view"))
    assert both.region == (slice(2, 3), slice(3, 11), slice(5, 20))


def test_the_view_of_a_multiscale_layer():
    viewer = ViewerModel()
    levels = [np.zeros((40, 60)), np.zeros((20, 30))]
    a = viewer.add_image(levels, multiscale=True, scale=(0.1, 0.1), units="mm")
    a.data_level = 1
    a.corner_pixels = np.array([[2, 3], [9, 12]])
    view = low, high = visible_box(viewer.dims.units, a)
    np.testing.assert_allclose(low, (0.35, 0.55))
    np.testing.assert_allclose(high, (1.95, 2.55))
    shown = plan(a, dims=viewer.dims, view=view, extent="view")
    assert shown.region == (slice(2, 10), slice(3, 13))
    assert shown.options.level == 1
    assert plan(a, dims=viewer.dims, view=view, extent="slice").options.level == 0
    finest = plan(a, dims=viewer.dims, view=view, extent="view", level=0)
    assert finest.region == (slice(4, 20), slice(6, 26))
    b = viewer.add_layer(layer(4, 6, name="B", units="mm"))  # of which napari knows more
    b.corner_pixels = np.array([[1, 1], [1, 1]])
    assert visible_box(viewer.dims.units, a, b) == ((0.5, 0.5), (1.5, 1.5))


def test_the_view_where_a_layer_is_in_other_units_than_the_viewer():
    viewer = ViewerModel()
    a = viewer.add_layer(layer(20, 30, units="mm"))
    b = viewer.add_layer(layer(20, 30, name="B", scale=(1000, 1000), units="um"))
    viewer.layers.units = ("um", "um")
    b.corner_pixels = np.array([[2, 3], [9, 12]])
    view = visible_box(viewer.dims.units, a, b)
    assert view == ((1500, 2500), (9500, 12500))
    region = plan(a, b, viewer.dims, view, extent="view").region
    assert region == (slice(2, 10), slice(3, 13))
    with pytest.raises(OptionError, match=r"visible of 'A', in mm, .* viewer that shows µm"):
        visible_box(viewer.dims.units, a)


def test_a_shapes_layer(fused):
    a, b = pair(DEPTH, 20, 30, scale=(4, 0.5, 0.5), units="mm")
    corners = np.array([[2.0, 3], [2, 9], [6, 9], [6, 3]])
    shapes = Shapes([corners, corners + 100], scale=(1000, 1000), units="um")
    shapes.selected_data = {0}
    result = fused(a, b, extent=shapes)
    assert result.data.shape == (DEPTH, 9, 13)
    np.testing.assert_allclose(world(result, (0, 0, 0)), (0, 2, 3))
    with pytest.raises(OptionError, match="draw a shape"):
        plan(a, b, extent=Shapes(name="empty"))


def test_a_region_is_cut_out_of_the_whole(fused):
    """Ranges are of the layer, not of the region: a preview has the look of the whole."""
    a, b = pair(DEPTH, 20, 30)
    parts = fused(a, b, intensity="minmax", extent=np.s_[1:2, 3:15, 4:])
    limits = [[float(image.data.min()), float(image.data.max())] for image in (a, b)]
    assert [each["range"] for each in parts.metadata["napari_gifnet"]["inputs"]] == limits
    assert parts.data.shape == (1, 12, 26)
    same = fused(a, b, intensity="minmax", extent=((1, 3, 4), (1, 14, 29)))
    np.testing.assert_array_equal(same.data, parts.data)
    np.testing.assert_array_equal(same.translate, (1, 3, 4))


@pytest.mark.parametrize("level", [0, 1])
def test_multiscale(fused, reference, level):
    levels = [scene(24, 36, seed=1), scene(12, 18, seed=2)]
    a = Image(levels, multiscale=True, name="A", contrast_limits=(0, 1), scale=(2, 2))
    b = Image(levels[::-1][1 - level], name="B", contrast_limits=(0, 1), scale=(2, 2))
    b.scale = np.multiply(2, np.divide(levels[0].shape, b.data.shape))
    b.translate = (b.scale - 2) / 2
    result = fused(a, b, level=level)
    expected = reference(levels[level], b.data, intensity=((0, 1), (0, 1)))
    np.testing.assert_allclose(result.data, expected, **CLOSE)
    edges = [WorldGrid.from_layer(image).extent for image in (result, a)]
    np.testing.assert_allclose(*edges)
    with pytest.raises(OptionError, match="no level 2: expected one of 0 to 1"):
        plan(a, b, level=2)


# --- lazily


class Counted:
    """A dask array that notes which of its planes are computed."""

    def __init__(self, data):
        self.computed = []
        self.array = da.from_array(data, chunks=(1, *data.shape[1:])).map_blocks(
            self.note, dtype=data.dtype, meta=data[:0]
        )

    def note(self, block, block_info=None):
        self.computed.append(block_info[0]["chunk-location"][0])
        return block


@pytest.mark.parametrize("moved", [0, 0.5])
def test_dask_stays_lazy(fused, options, moved):
    fused = partial(fused, normalization="plane")
    a, b = pair(DEPTH, HEIGHT, WIDTH)
    b.translate = (0, moved, 0)
    counted = Counted(a.data)
    lazy = Image(counted.array, name="A", contrast_limits=(0, 1))
    counted.computed.clear()
    result = run_plan(plan(lazy, b, normalization="plane", **options))
    assert type(result.data).__module__.startswith("dask")
    assert counted.computed == []
    np.asarray(result.data[2])
    assert counted.computed == [2]
    counted.computed.clear()
    Image(result.data, **result.kwargs)
    assert set(counted.computed) <= {0}  # the plane that napari shows first, if it is not kept

    expected = fused(a, b)
    np.testing.assert_allclose(np.asarray(result.data), expected.data, **CLOSE)
    np.testing.assert_allclose(fused(lazy, b, lazy=False).data, expected.data, **CLOSE)


def test_lazy_planes_share_what_was_gathered_in_the_run(fused, options):
    a, b = pair(DEPTH, HEIGHT, WIDTH)
    counted = Counted(a.data)
    lazy = Image(counted.array, name="A", contrast_limits=(0, 1))
    result = run_plan(plan(lazy, b, **options))
    assert sorted(set(counted.computed)) == [0, 1, 2, 3]
    counted.computed.clear()
    plane = np.asarray(result.data[2])
    assert counted.computed == [2]
    np.testing.assert_array_equal(plane, fused(a, b).data[2])


def test_only_the_slice_is_computed(fused):
    counted = Counted(scene(DEPTH, HEIGHT, WIDTH))
    lazy = Image(counted.array, name="A", contrast_limits=(0, 1))
    counted.computed.clear()
    b = layer(HEIGHT, WIDTH, name="B")
    result = fused(lazy, b, extent=np.s_[1:2, :, :], normalization="plane")
    assert isinstance(result.data, np.ndarray)  # there is nothing to scroll through
    assert counted.computed == [1]


def test_zarr_is_lazy(fused):
    a, b = pair(DEPTH, HEIGHT, WIDTH)
    stored = Image(zarr.array(a.data, chunks=(1, HEIGHT, WIDTH)), contrast_limits=(0, 1))
    result = fused(stored, b, intensity="minmax")
    assert type(result.data).__module__.startswith("dask")
    expected = fused(a, b, intensity="minmax")
    np.testing.assert_allclose(np.asarray(result.data), expected.data, **CLOSE)


def test_lazily_in_colour(fused):
    a = layer(DEPTH, HEIGHT, WIDTH, 4, dtype=np.uint8, rgb=True)
    b = layer(DEPTH, HEIGHT, WIDTH, name="B", colormap="green", translate=(0, 2, 0))
    options = {"color": "displayed", "axes": (2, 1)}
    expected = fused(a, b, **options)
    result = fused(a, b, lazy=True, **options)
    assert expected.data.shape == (DEPTH, HEIGHT, WIDTH, 4)
    np.testing.assert_allclose(np.asarray(result.data), expected.data, **CLOSE)


# --- intensity


def test_contrast_limits_are_the_range(fused, reference):
    a = layer(HEIGHT, WIDTH, dtype=np.uint16, contrast_limits=(0, 4095))
    a.data = a.data >> 4
    ct = Image(
        scene(HEIGHT, WIDTH) * 2000 - 1000, name="CT", contrast_limits=(-100, 300), scale=(1, 1)
    )
    result = fused(a, ct)
    expected = reference(a.data, ct.data, intensity=((0, 4095), (-100, 300)))
    np.testing.assert_allclose(result.data, expected, **CLOSE)


@pytest.mark.parametrize("intensity", ["dtype", "minmax", "percentile", "auto", (100, 900)])
def test_ranges_are_of_the_values_before_resampling(fused, intensity):
    a = layer(HEIGHT, WIDTH)
    b = layer(HEIGHT, WIDTH, name="B", dtype=np.uint16, scale=(1.5, 1.5))
    b.data = b.data >> 6
    result = fused(a, b, intensity=("layer", intensity))
    expected = {
        "dtype": [0, 65535],
        "minmax": [b.data.min(), b.data.max()],
        "auto": [b.data.min(), b.data.max()],
        "percentile": np.percentile(b.data, (0.1, 99.9)),
    }.get(intensity, intensity)
    np.testing.assert_allclose(result.metadata["napari_gifnet"]["inputs"][1]["range"], expected)


def test_two_exposures_share_one_range(fused):
    a, b = pair(HEIGHT, WIDTH, dtype=np.uint8)
    a.contrast_limits, b.contrast_limits = (40, 255), (0, 90)

    def ranges(**options):
        inputs = fused(a, b, **options).metadata["napari_gifnet"]["inputs"]
        return [each["range"] for each in inputs]

    assert ranges(task="multi_exposure") == [[0, 255], [0, 255]]
    assert ranges() == [[40, 255], [0, 90]]
    assert ranges(task="multi_exposure", intensity=("layer", "layer")) == [[40, 255], [0, 90]]
    assert "both 0 to 255" in plan(a, b, task="multi_exposure").summary


def test_holes_stay_holes_and_nothing_else_changes(fused):
    a, b = pair(HEIGHT, WIDTH)
    b.data[:, -3:] = np.nan
    result = fused(a, b, intensity="minmax")
    np.testing.assert_array_equal(np.isnan(result.data), np.isnan(b.data))
    b.data = np.full_like(b.data, np.nan)
    with pytest.raises(ImageError, match="'B' has no finite pixel"):
        fused(a, b)


def test_a_constant_layer(fused):
    a, b = layer(HEIGHT, WIDTH), Image(np.full((HEIGHT, WIDTH), 7.0), name="B")
    assert np.isfinite(fused(a, b, intensity="minmax").data).all()


def test_gamma(fused, reference):
    a, b = pair(HEIGHT, WIDTH)
    a.gamma, a.contrast_limits = 0.5, (0.25, 0.75)
    shown = np.sqrt(np.clip(a.data * 2 - 0.5, 0, 1))
    expected = reference(shown, b.data, intensity=((0, 1), (0, 1)))
    np.testing.assert_allclose(fused(a, b, gamma=True).data, expected, **CLOSE)
    assert np.abs(fused(a, b).data - expected).max() > 0.01


# --- colour


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_colour_with_gray(fused, reference, dtype):
    a = layer(HEIGHT, WIDTH)
    b = layer(HEIGHT, WIDTH, 3, name="B", dtype=dtype, rgb=True)
    result = fused(a, b, task="infrared_visible")
    limits = (0, 255) if dtype is np.uint8 else (0, 1)
    expected = reference(
        a.data, b.data, task="infrared_visible", intensity=((0, 1), limits), rgb=(False, True)
    )
    assert result.rgb
    np.testing.assert_allclose(result.data, expected, **CLOSE)
    assert not fused(a, b, color="gray").rgb


def test_colour_with_colour(fused, reference):
    a, b = pair(HEIGHT, WIDTH, 3, dtype=np.uint8, rgb=True)
    for color in ("auto", "a", "b", "gray"):
        expected = reference(a.data, b.data, color=color)
        np.testing.assert_allclose(fused(a, b, color=color).data, expected, **CLOSE)


def test_alpha_is_kept_from_a(fused):
    a, b = pair(HEIGHT, WIDTH, 4, dtype=np.uint8, rgb=True)
    result = fused(a, b)
    np.testing.assert_allclose(result.data[..., 3], a.data[..., 3] / 255, atol=1e-6)
    opaque = Image(a.data[..., :3], rgb=True)
    np.testing.assert_allclose(result.data[..., :3], fused(opaque, b).data, **CLOSE)
    assert fused(opaque, b).data.shape == (HEIGHT, WIDTH, 3)
    assert fused(a, b, color="gray").data.shape == (HEIGHT, WIDTH)


def test_a_narrow_image_is_no_colour(fused):
    a, b = pair(HEIGHT, WIDTH, 4)
    assert fused(a, b, axes=(0, 1)).data.shape == (HEIGHT, WIDTH, 4)


@pytest.mark.parametrize(
    ("colormap", "rgb"), [("hot", True), ("red", True), ("gray", False), ("gray_r", False)]
)
def test_displayed_colours(fused, reference, colormap, rgb):
    a, b = pair(HEIGHT, WIDTH)
    a.colormap, a.contrast_limits = colormap, (0.2, 0.6)
    result = fused(a, b, task="pet_mri", color="displayed")
    shown = a.colormap.map(np.clip((a.data - 0.2) / 0.4, 0, 1).ravel())[:, :3]
    shown = shown.reshape(HEIGHT, WIDTH, 3).astype(np.float32)
    shown = shown if rgb else shown[..., 0]
    expected = reference(shown, b.data, intensity=((0, 1), (0, 1)), rgb=(rgb, False))
    assert result.rgb == rgb
    if rgb:  # as strong as the value's share
        value = np.clip((a.data - 0.2) / 0.4, 0, 1)
        share = value / (value + b.data)
        gray = reference(luma(shown), b.data, intensity=((0, 1), (0, 1)))
        expected = to_rgb(gray, share[..., None] * chroma(shown))
    np.testing.assert_allclose(result.data, expected, atol=1e-3)  # a table of 1024 colours


def test_pansharpening(fused, reference):
    bands = layer(
        4, 10, 12, name="MS", scale=(1, 4, 4), translate=(0, 1.5, 1.5), units=("pixel", "m", "m")
    )
    pan = layer(40, 48, name="PAN", units="m")
    result = fused(bands, pan, task="pansharpening")
    assert result.data.shape == (4, 40, 48)
    np.testing.assert_allclose(result.scale, (1, 1, 1))
    assert result.units == bands.units
    assert not np.isnan(result.data).any()
    for band, original in zip(result.data, bands.data, strict=True):
        assert abs(band.mean() - original.mean()) < 0.05  # each keeps its radiometry
    colors = layer(10, 12, 3, name="RGB", dtype=np.uint8, rgb=True)
    with pytest.raises(ImageError, match="'RGB' is in colour"):
        plan(colors, pan, task="pansharpening")


# --- before and during the run


def test_the_line_before_the_run():
    pet = pet_in_red((5, 12, 11), (2, 6, 5), scale=(6, 2, 2.5), units="mm")
    mri = layer(8, 20, 24, name="MRI", scale=(3, 1, 1), dtype=np.uint8, units="mm")
    p = plan(pet, mri, task="pet_mri", color="displayed", interpolation="cubic")
    assert p.summary == (
        "8 planes of 20×24 pixels; PET resampled onto the grid of MRI, cubic; "
        "PET 0 to 4095; MRI 0 to 255; colour of PET"
    )
    assert (p.job.count, p.pixels) == (8, 8 * 20 * 24)
    assert plan(mri, intensity="minmax").summary == (
        "8 planes of 20×24 pixels; MRI minimum to maximum; gray"
    )
    other = layer(8, 20, 24, name="other", scale=(3, 1, 1))
    assert "is in mm and 'other' in pixel" in plan(mri, other).summary
    assert "each plane is computed when you come to it" in plan(mri, other, lazy=True).summary


def test_slices_that_are_shown_thick_are_told():
    viewer = ViewerModel()
    a = viewer.add_layer(layer(8, HEIGHT, WIDTH))
    b = viewer.add_layer(layer(8, HEIGHT, WIDTH, name="B", seed=2))
    viewer.dims.thickness = (3, 0, 0)
    a.projection_mode = b.projection_mode = "none"

    def notes(*layers):
        return plan_layers(*layers, LayerOptions(), current=Current.of(viewer)).notes

    assert notes(a, b) == ()
    b.projection_mode = "mean"
    assert notes(a, b) == ("B is shown as the mean over thick slices, and fused plane by plane",)
    assert notes(b, None) == notes(a, b)
    viewer.dims.thickness = (0, 0, 0)
    assert notes(a, b) == ()


def test_a_plan_needs_the_layers_no_more(fused, options):
    a, b = pair(HEIGHT, WIDTH)
    a.colormap = "hot"
    expected = fused(a, b, color="displayed").data
    p = plan(a, b, color="displayed", **options)
    a.contrast_limits, a.gamma, a.colormap, a.scale, a.name = (0, 9), 3, "blue", (5, 5), "other"
    a.data, b.data = np.zeros((7, 8)), np.zeros((7, 8))
    results = []
    thread = threading.Thread(target=lambda: results.append(run_plan(p)))
    thread.start()
    thread.join()
    np.testing.assert_array_equal(results[0].data, expected)
    assert results[0].kwargs["name"] == "A + B (GIFNet)"


def test_a_run_can_be_cancelled(fused):
    calls = []

    def cancel(done, total):
        calls.append((done, total))
        if len(calls) > 3:
            raise Cancelled

    with pytest.raises(Cancelled):
        fused(*pair(DEPTH, HEIGHT, WIDTH), progress=cancel)
    assert calls[0] == (0, 1)
    assert len(calls) == 4


def test_a_fuser_at_hand_is_used(options):
    fuser = open_fuser(options["model"], Backend("cpu", "float32", 32))
    fuser.notes.append("of an earlier run")
    result = run_plan(plan(*pair(HEIGHT, WIDTH), **options), fuser=fuser)
    record = result.kwargs["metadata"]["napari_gifnet"]
    assert record["tile_size"] == 32
    assert record["notes"] == []


# --- what cannot be fused


def test_other_layers_are_refused():
    a = layer(HEIGHT, WIDTH)
    labels = Labels(np.ones((HEIGHT, WIDTH), int), name="cells")
    for pair_ in ((a, labels), (labels, a), (labels, None)):
        with pytest.raises(ImageError, match=r"'cells' is a Labels layer.*Convert to Image"):
            plan(*pair_)
    with pytest.raises(ImageError, match="'dots' is a Points layer: expected an Image layer"):
        plan(a, Points(name="dots"))
    with pytest.raises(ImageError, match="'Labels' is a Labels layer"):
        fuse_layers(Labels(np.ones((9, 9), int)), a, viewer=ViewerModel(), extent="view")


@pytest.mark.parametrize("dtype", [np.complex64, object])
def test_values_that_are_no_intensities_are_refused(dtype):
    a, b = pair(HEIGHT, WIDTH)
    b._data = b.data.astype(dtype)  # napari itself shows none
    with pytest.raises(ImageError, match=f"'B' has dtype {np.dtype(dtype)}: expected booleans"):
        plan(a, b)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"task": "sewing"}, "task='sewing' is unknown"),
        ({"color": "puce"}, "color='puce' is not understood"),
        ({"color": "a"}, "which is gray"),
        ({"intensity": "loud"}, "'layer', which is the contrast limits"),
        ({"intensity": ("layer", (3, 1))}, r"intensity=\(3, 1\) is not understood"),
        ({"grid": "c"}, "grid='c' is unknown"),
        ({"interpolation": "nearest"}, "expected 'linear' or 'cubic'"),
        ({"extent": "half"}, "extent='half' is not understood"),
        ({"extent": ((5, 5), (1, 1))}, "is not understood"),
        ({"extent": np.s_[0:5]}, "is not understood"),
        ({"extent": np.s_[20:, :]}, "is no part of 'A'"),
        ({"extent": ((50, 0), (60, 9))}, "region lies outside of 'A'"),
        ({"axes": (0, 0)}, r"axes=\(0, 0\) are not two of the 2 axes"),
        ({"level": 1}, "no level 1"),
        ({"precision": "half"}, "precision='half' is unknown"),
        ({"device": "abacus"}, "device='abacus' is unknown"),
    ],
)
def test_options_that_are_not_understood(options, sentence):
    with pytest.raises(OptionError if "outside" not in sentence else ImageError, match=sentence):
        plan(*pair(HEIGHT, WIDTH), **options)


def test_planes_that_are_too_small():
    a, b = pair(HEIGHT, WIDTH)
    with pytest.raises(ImageError, match="3×18 pixels: expected at least 5×5"):
        plan(a, b, extent=np.s_[:3, :])


def test_a_task_is_of_two_layers():
    with pytest.raises(OptionError, match="is of two images"):
        plan(layer(HEIGHT, WIDTH), task="pet_mri")


def test_a_device_that_is_not_there(fused):
    with pytest.raises(DeviceError):
        fused(*pair(HEIGHT, WIDTH), device="xpu")


def test_options_are_those_of_the_plan():
    p = plan(*pair(HEIGHT, WIDTH), tile_size=64, memory=100)
    assert p.options == LayerOptions(tile_size=64, memory=100, level=0)
    assert p.backend == Backend(tile_size=64, memory=100e6)
    assert (p.grid_choice, p.axes) == ("finer", (0, 1))


# --- one normalization


@pytest.mark.parametrize("lazily", [False, True], ids=["numpy", "zarr"])
def test_statistics_are_gathered_once_and_kept(options, lazily):
    a, b = pair(DEPTH, HEIGHT, WIDTH)
    if lazily:
        a = Image(zarr.array(a.data, chunks=(1, HEIGHT, WIDTH)), name="A", contrast_limits=(0, 1))
    fuser = open_fuser(options["model"], Backend("cpu", "float32"))
    gathered = []
    gather = fuser.engine.gather_statistics
    fuser.engine.gather_statistics = lambda *args: gathered.append(1) or gather(*args)
    part = np.s_[2:3, :, :]

    def run(gathering=True, **others):
        result = run_plan(plan(a, b, **options, **others), fuser=fuser, gather=gathering)
        return result, result.kwargs["metadata"]["napari_gifnet"]["parameters"]["normalization"]

    before, own = run(gathering=False, extent=part)
    assert (own, gathered) == ("plane", [])  # a preview before anything was gathered
    whole, of_stack = run()
    assert (of_stack, gathered) == ("stack", [1])
    preview, kept = run(gathering=False, extent=part)
    sliced, _ = run(extent=part)
    assert (kept, gathered) == ("stack", [1])
    for result in (preview, sliced):
        np.testing.assert_allclose(
            np.asarray(result.data)[0], np.asarray(whole.data)[2], rtol=0, atol=1e-6
        )
    assert np.abs(np.asarray(before.data) - np.asarray(preview.data)).max() > 1e-4
    a.contrast_limits = (0, 0.5)
    assert run()[1] == "stack"
    assert gathered == [1, 1]  # another range, other statistics


def test_statistics_go_with_their_layers(options):
    from napari_gifnet.viewer.layers import kept

    a, b = pair(DEPTH, HEIGHT, WIDTH)
    fuser = open_fuser(options["model"], Backend("cpu", "float32"))
    run_plan(plan(a, b, **options), fuser=fuser)
    p = plan(a, b, **options)
    assert kept.kept_statistics(p, fuser) is not None
    kept.forget_statistics()
    assert kept.kept_statistics(p, fuser) is None


def test_the_memory_budget_reaches_lazy_planes(options, monkeypatch):
    from napari_gifnet.lazy import tasks as lazy

    asked = []
    make = lazy.open_fuser
    monkeypatch.setattr(lazy, "open_fuser", lambda *args: asked.append(args[1]) or make(*args))
    lazy._last_fuser.cache_clear()
    result = run_plan(plan(*pair(DEPTH, HEIGHT, WIDTH), lazy=True, memory=50, **options))
    np.asarray(result.data[1])
    assert [backend.memory for backend in asked] == [50e6]


def test_rgb_floats_are_fused_as_they_are_shown(fused, reference):
    """napari shows RGB as it is, whatever its contrast limits say."""
    a = layer(HEIGHT, WIDTH)
    b = Image(scene(HEIGHT, WIDTH, 3, seed=2) / 3, name="B", rgb=True)
    b.contrast_limits = (0, 0.33)
    result = fused(a, b, color="b")
    expected = reference(a.data, b.data, intensity=(0, 1), color="b")
    np.testing.assert_allclose(result.data, expected, **CLOSE)


@pytest.mark.parametrize("bad", [np.zeros((9, 9)), None, "scan.tif"])
def test_what_is_no_layer_is_told_what_is_expected(bad):
    with pytest.raises(ImageError, match=r"was given: expected a napari Image layer"):
        fuse_layers(bad, layer(HEIGHT, WIDTH))


def test_a_wrong_option_is_pythons_own_error():
    with pytest.raises(
        TypeError, match=r"fuse_layers\(\) got an unexpected keyword argument 'tile'"
    ):
        fuse_layers(*pair(HEIGHT, WIDTH), tile=3)
