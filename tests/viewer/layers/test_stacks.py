"""Stacks of layers: one layer and its axis, or several layers, with napari's own layers."""

import shlex
from functools import partial

import dask.array as da
import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image
from napari.layers._source import layer_source
from typer.testing import CliRunner

from napari_gifnet import Cancelled, fuse_stack
from napari_gifnet.cli import app
from napari_gifnet.errors import ImageError, OptionError
from napari_gifnet.files.formats import Length, read, write
from napari_gifnet.files.samples import load_depth
from napari_gifnet.grids.world_grid import WorldGrid
from napari_gifnet.viewer import fuse_stack_layers
from napari_gifnet.viewer.layers.current import Current
from napari_gifnet.viewer.layers.job import LayerOptions, plan_stack
from napari_gifnet.viewer.layers.recipes import as_command, as_python
from napari_gifnet.viewer.layers.run import run_plan
from napari_gifnet.viewer.layers.samples import focus_stack
from napari_gifnet.viewer.layers.stacks import stack_axes

DEPTH, HEIGHT, WIDTH = 5, 24, 31
EXACT = {"device": "cpu", "precision": "float32"}


@pytest.fixture(scope="module")
def options(random_bands):
    return {"model": random_bands, **EXACT}


@pytest.fixture(scope="module")
def fused(options):
    return partial(fuse_stack_layers, **options)


@pytest.fixture(scope="module")
def reference(options):
    return partial(fuse_stack, intensity=(0, 1), **options)


def scene(*shape, seed=0):
    return np.random.default_rng(seed).random(shape, np.float32)


def stack(*shape, name="stack", seed=0, **kwargs):
    kwargs = {"contrast_limits": (0, 1)} | kwargs
    return Image(scene(*(shape or (DEPTH, HEIGHT, WIDTH)), seed=seed), name=name, **kwargs)


PLACE = {
    "scale": (20, 2, 3),
    "translate": (100, -4, 5),
    "units": ("um", "nm", "nm"),
    "axis_labels": ("z", "y", "x"),
}


# --- one layer


def test_one_layer_is_the_stack_of_the_array(fused, reference):
    layer = stack(**PLACE)
    result, height = fused(layer, axis="z", return_index=True)
    plane, index = reference(layer.data, 0, return_index=True)
    np.testing.assert_array_equal(result.data, plane)
    np.testing.assert_allclose(height.data, 100 + 20 * index, rtol=1e-6)
    for made in (result, height):
        np.testing.assert_array_equal(made.scale, (2, 3))
        np.testing.assert_array_equal(made.translate, (-4, 5))
        assert made.axis_labels == ("y", "x")
        assert [f"{unit:~}" for unit in made.units] == ["nm", "nm"]
    assert result.name == "stack fused (GIFNet)"
    assert height.name == "stack fused (GIFNet): height (µm)"
    assert tuple(height.contrast_limits) == (100, 180)
    assert height.metadata["napari_gifnet"]["index"] == {
        "axis": "z",
        "unit": "µm",
        "start": 100.0,
        "step": 20.0,
        "title": "height (µm)",
    }


def test_a_height_without_unit_is_a_number_of_planes(fused, reference):
    layer = stack()
    _, height = fused(layer, return_index=True)
    _, index = reference(layer.data, 0, return_index=True)
    np.testing.assert_allclose(height.data, index)
    assert height.name.endswith(": plane index")


@pytest.mark.parametrize("axis", ["z", 1, -3])
def test_an_axis_in_the_middle_stays_as_one_voxel(fused, reference, axis):
    """Else time would be taken for depth: napari aligns the last axes of layers."""
    layer = stack(
        2,
        DEPTH,
        HEIGHT,
        WIDTH,
        scale=(1, 10, 2, 2),
        axis_labels=("t", "z", "y", "x"),
        units=("s", "um", "um", "um"),
    )
    result, height = fused(layer, axis=axis, return_index=True)
    plane, index = reference(layer.data, 1, return_index=True)
    np.testing.assert_array_equal(result.data[:, 0], plane)
    np.testing.assert_allclose(height.data[:, 0], 10 * index, rtol=1e-6)
    assert result.axis_labels == ("t", "z", "y", "x")
    grids = [WorldGrid.from_layer(each) for each in (layer, result, height)]
    for each in grids[1:]:
        np.testing.assert_allclose(each.extent, grids[0].extent)

    viewer = ViewerModel()
    viewer.add_layer(layer)
    viewer.dims.set_point((0, 1), (1, 30))
    part = fused(layer, axis=axis, viewer=viewer, extent="slice")
    assert part.data.shape == (1, 1, HEIGHT, WIDTH)
    np.testing.assert_array_equal(part.data[0], result.data[1])


def test_planes_that_are_not_the_last_axes(fused, reference):
    layer = stack(HEIGHT, DEPTH, WIDTH)
    result = fused(layer, axis=1)
    np.testing.assert_array_equal(result.data[:, 0], reference(np.moveaxis(layer.data, 1, 0), 0))
    viewer = ViewerModel()
    viewer.add_layer(stack(2, DEPTH, HEIGHT, WIDTH))
    viewer.dims.order = (0, 1, 3, 2)
    turned = fused(viewer.layers[0], axis=1, viewer=viewer)
    expected = reference(viewer.layers[0].data.swapaxes(2, 3), 1)
    np.testing.assert_array_equal(turned.data[:, 0], expected.swapaxes(1, 2))


def test_the_slice_does_not_depend_on_where_the_slider_of_the_stack_is(options):
    viewer = ViewerModel()
    layer = viewer.add_layer(stack(**PLACE))
    viewer.add_layer(stack(9, 9, 9, name="other", scale=(900, 1, 1), units="um"))
    viewer.dims.set_point(0, 5000)
    current = Current.of(viewer)
    plan = plan_stack(layer, LayerOptions(axis="z", extent="slice"), current=current)
    assert plan.job.count == 1
    assert len(plan.job.inputs) == DEPTH
    assert plan.plane_shown(current) == plan.region


def test_in_colour(fused, reference):
    data = scene(DEPTH, HEIGHT, WIDTH, 3)
    result = fused(Image(data, rgb=True, name="colour"), axis=0)
    assert result.rgb
    np.testing.assert_array_equal(result.data, reference(data, 0))
    green = stack(colormap="green")
    assert not fused(green).rgb
    assert fused(green, color="displayed").rgb


def test_multiscale_and_turned(fused, reference):
    levels = [scene(DEPTH, 48, 62), scene(DEPTH, HEIGHT, WIDTH, seed=1)]
    layer = Image(levels, multiscale=True, contrast_limits=(0, 1), rotate=20, scale=(9, 1, 1))
    result = fused(layer, axis=0, level=1)
    np.testing.assert_array_equal(result.data, reference(levels[1], 0))
    edges = [WorldGrid.from_layer(each).extent for each in (layer, result)]
    np.testing.assert_allclose(edges[0][:, 1:], edges[1])


@pytest.mark.filterwarnings("ignore:Non-orthogonal slicing")
def test_a_sheared_axis_stays(fused):
    """The planes of a light sheet lie beside each other; what is fused of them is as thick as they."""
    layer = stack(shear=(0.5, 0, 0))
    result = fused(layer, axis=0)
    assert result.data.shape == (1, HEIGHT, WIDTH)
    centre = (np.array(layer.data.shape) - 1) / 2
    np.testing.assert_allclose(
        WorldGrid.from_layer(result).to_world((0, *centre[1:])),
        WorldGrid.from_layer(layer).to_world(centre),
    )


def test_dask(fused, options):
    layer = stack(2, DEPTH, HEIGHT, WIDTH)
    lazy = Image(da.from_array(layer.data, chunks=(1, 1, HEIGHT, WIDTH)), contrast_limits=(0, 1))
    result, height = fused(lazy, axis=1, return_index=True)
    assert type(result.data).__module__.startswith("dask")
    expected, index = fused(layer, axis=1, return_index=True)
    np.testing.assert_array_equal(np.asarray(result.data), expected.data)
    np.testing.assert_array_equal(np.asarray(height.data), index.data)
    flat = Image(lazy.data[0], contrast_limits=(0, 1))
    np.testing.assert_array_equal(fused(flat, axis=0).data, expected.data[0, 0])


# --- several layers


def test_several_layers_are_the_stack(fused, reference):
    layers = [stack(HEIGHT, WIDTH, name=f"plane {k}", seed=k, scale=(2, 2)) for k in range(4)]
    result, index = fused(layers, return_index=True)
    plane, place = reference(np.stack([layer.data for layer in layers]), return_index=True)
    np.testing.assert_array_equal(result.data, plane)
    np.testing.assert_array_equal(index.data, place)
    np.testing.assert_array_equal(result.scale, (2, 2))
    assert result.name == "plane 0 + 3 more (GIFNet)"
    assert index.name == "plane 0 + 3 more (GIFNet): layer index"


def test_several_layers_on_grids_of_their_own(fused):
    fine = stack(HEIGHT, WIDTH, name="fine", units="mm")
    coarse = stack(12, 16, name="coarse", seed=1, scale=(2, 2), translate=(0.5, 0.5), units="mm")
    micro = stack(HEIGHT, WIDTH, name="micro", seed=2, scale=(1e3, 1e3), units="um")
    plan = plan_stack([coarse, fine, micro])
    assert plan.grid.name == "fine"
    assert "coarse resampled onto the grid of fine" in plan.summary
    result = fused([coarse, fine, micro])
    assert result.data.shape == (HEIGHT, WIDTH)
    record = result.metadata["napari_gifnet"]
    assert [each["resampled"] for each in record["inputs"]] == [True, False, False]
    assert fused([coarse, fine, micro], grid=0).data.shape == (12, 16)


def test_several_stacks(fused, reference):
    layers = [stack(2, HEIGHT, WIDTH, seed=k) for k in range(3)]
    plane = fused([*layers, stack(HEIGHT, WIDTH, seed=9)])
    many = [*(layer.data for layer in layers), np.stack([scene(HEIGHT, WIDTH, seed=9)] * 2)]
    np.testing.assert_array_equal(plane.data, reference(np.stack(many)))


def test_what_the_layers_do_not_cover_is_nothing(fused):
    layers = [stack(HEIGHT, WIDTH), stack(HEIGHT, WIDTH, seed=1), stack(HEIGHT, WIDTH, seed=2)]
    layers[2].translate = (0, 7)
    result, index = fused(layers, return_index=True)
    for made in (result, index):
        np.testing.assert_array_equal(np.isnan(made.data[0]), np.arange(WIDTH) < 7)


# --- made again, refused, cancelled


@pytest.mark.parametrize(
    "extra",
    [
        {"axis": "z"},
        {"axis": 0, "return_index": True, "intensity": "percentile"},
        {"axis": 1, "task": None},
        {"axis": 0, "task": "multi_exposure", "extent": np.s_[:, 3:20, :], "color": "displayed"},
    ],
)
def test_python_makes_the_same_bits(extra):
    viewer = ViewerModel()
    layer = viewer.add_layer(stack(colormap="magma", **PLACE))
    made = fuse_stack_layers(layer, **EXACT, **extra)
    made = made if isinstance(made, tuple) else (made,)
    record = made[0].metadata["napari_gifnet"]
    layer.contrast_limits, layer.colormap = (0.2, 0.3), "gray"
    exec(as_python(record), {"viewer": viewer})
    again = viewer.layers[1:]
    assert len(again) == len(made)
    for one, other in zip(again, made, strict=True):
        np.testing.assert_array_equal(one.data, other.data)
        np.testing.assert_array_equal(one.extent.world, other.extent.world)
        assert one.name == other.name
    with pytest.raises(OptionError, match=r"was not opened from a file|more axes than"):
        as_command(record)


def test_python_of_several_layers():
    viewer = ViewerModel()
    for k in range(3):
        viewer.add_layer(stack(HEIGHT - k, WIDTH, name=f"plane {k}", seed=k))
    viewer.layers[1].translate = (1, 0)
    result = fuse_stack_layers(list(viewer.layers), task="multi_exposure", **EXACT)
    exec(as_python(result.metadata["napari_gifnet"]), {"viewer": viewer})
    np.testing.assert_array_equal(viewer.layers[-1].data, result.data)


def test_the_command_makes_the_stack_of_a_file(tmp_path, monkeypatch):
    data = scene(DEPTH, HEIGHT, WIDTH)
    spacing = {"Z": Length(0.5, "µm"), "Y": Length(0.25, "µm"), "X": Length(0.25, "µm")}
    write(tmp_path / "s.tif", data, "ZYX", spacing=spacing)
    with layer_source(path=str(tmp_path / "s.tif")):
        layer = Image(data, contrast_limits=(0.1, 0.9), scale=(0.5, 0.25, 0.25), units="um")
    result, height = fuse_stack_layers(layer, axis=0, return_index=True, **EXACT)
    _, *arguments = shlex.split(as_command(height.metadata["napari_gifnet"]))
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    np.testing.assert_allclose(read(tmp_path / "fused.tif").data, result.data, atol=1e-6)
    np.testing.assert_allclose(read(tmp_path / "height.tif").data, height.data, atol=1e-6)


@pytest.mark.parametrize(
    ("layers", "options", "sentence"),
    [
        (stack(HEIGHT, WIDTH), {}, "'stack' is one plane: expected a layer with a stack"),
        (stack(), {"axis": "depth"}, "axis='depth' does not tell .* expected one of '-3', '-2'"),
        (stack(), {"axis": 3}, "its place, 0 to 2"),
        (stack(), {"axis": True}, "axis=True does not tell"),
        (stack(2, 5, 9, 9), {}, "axis=None does not tell"),
        (stack(), {"axis": 1, "axes": (1, 2)}, "hold the axis '-2' along which"),
        ([stack(), stack()], {"axis": 0}, "axis=0 is of a stack in one layer, and 2 layers"),
        ([stack(9, 9), stack(9, 9)], {"grid": 2}, "the place of a layer, 0 to 1"),
        ([stack(9, 9), stack(9, 9)], {"grid": "a"}, "grid='a' is unknown"),
        ([], {}, "No layer was given"),
        (stack(), {"task": "multi_exposure", "return_index": True}, "is of focus planes"),
        (stack(), {"model": "mean", "return_index": True}, "not to be had of 'mean'"),
        (stack(), {"task": "pansharpening"}, "of two images"),
        (np.zeros((3, 9, 9)), {}, "expected a napari Image layer"),
    ],
)
def test_what_is_no_stack_is_said(layers, options, sentence):
    with pytest.raises((OptionError, ImageError), match=sentence):
        fuse_stack_layers(layers, **options)


def test_layers_that_do_not_overlap():
    away = stack(HEIGHT, WIDTH, name="away", translate=(500, 0))
    with pytest.raises(ImageError, match=r"do not overlap: 'stack' .* 'away'"):
        fuse_stack_layers([stack(HEIGHT, WIDTH), stack(HEIGHT, WIDTH), away])


def test_one_plane_is_enhanced(options):
    layer = stack(1, HEIGHT, WIDTH)
    assert fuse_stack_layers(layer, **options).data.shape == (HEIGHT, WIDTH)


def test_a_run_can_be_stopped(options):
    def stop(done, total):
        raise Cancelled

    with pytest.raises(Cancelled):
        fuse_stack_layers(stack(), progress=stop, **options)


def test_axes_to_choose_from():
    assert stack_axes(stack(HEIGHT, WIDTH)) == []
    assert stack_axes(stack(**PLACE))[0] == ("z", 0)
    named = stack(2, 5, 9, 9, axis_labels=("z", "t", "y", "x"))
    assert stack_axes(named)[:2] == [("z", 0), ("t", 1)]
    assert [place for _, place in stack_axes(stack(2, 5, 9, 9))] == [1, 0, 2, 3]


def test_a_plane_of_a_result_is_found(options):
    viewer = ViewerModel()
    layer = viewer.add_layer(stack(3, DEPTH, HEIGHT, WIDTH))
    viewer.dims.set_current_step(0, 2)
    current = Current.of(viewer)
    for axis in (0, 1):
        plan = plan_stack(layer, LayerOptions(axis=axis, **options), current=current)
        result = run_plan(plan)
        part = plan.plane_shown(current)
        plane = plan.plane_of(result.data, part)
        alone = run_plan(plan.on(plan.grid, part))
        np.testing.assert_array_equal(plane, alone.data.squeeze())


def test_the_line_before_the_run():
    assert plan_stack(stack(**PLACE)).summary == (
        "1 plane of 24×31 pixels; each of 5 planes along axis z; all 5 0 to 1; gray"
    )
    both = [stack(9, 8), stack(9, 8, contrast_limits=(0, 2))]
    summary = plan_stack(both, LayerOptions(task="multi_exposure")).summary
    assert summary == "1 plane of 9×8 pixels; same grid; both 0 to 2; gray"


def test_a_coarse_preview_shows_the_same(fused):
    """The planes are resampled onto larger pixels, each from its own place along the axis."""
    layer = stack(3, 40, 60, **PLACE)
    ramp = np.linspace(0, 0.5, 60, dtype=np.float32)
    layer.data = np.array([0, 0.1, 0.5], np.float32)[:, None, None] + np.tile(ramp, (3, 40, 1))
    plan = plan_stack(layer, LayerOptions(axis=0, model="mean"))
    grid = plan.grid.coarser(2, plan.axes)
    coarse = plan.on(grid, tuple(slice(0, n) for n in grid.shape))
    result = run_plan(coarse)
    assert result.data.shape == (20, 30)
    np.testing.assert_array_equal(result.kwargs["scale"], (4, 6))
    whole = run_plan(plan).data.reshape(20, 2, 30, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(result.data[:, 3:-3], whole[:, 3:-3], atol=1e-5)


def test_the_sample_of_microfossils_gives_its_relief():
    """Heights in µm of the stack that ships, near what is known of its depth."""
    (data, kwargs, _), *_ = focus_stack()
    layer = Image(data, **kwargs)
    _, height = fuse_stack_layers(layer, axis="z", return_index=True)
    assert height.name.endswith("height (µm)")
    np.testing.assert_array_equal(height.scale, (2, 2))
    known = 20 * load_depth("focus_stack")
    assert np.corrcoef(height.data.ravel(), known.ravel())[0, 1] > 0.6
