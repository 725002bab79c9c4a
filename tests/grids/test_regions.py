"""Regions against what napari's viewer shows (its model, without a window)."""

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Shapes

from napari_gifnet.errors import ImageError
from napari_gifnet.grids.regions import box_around, displayed_axes, plane_at
from napari_gifnet.grids.world_grid import WorldGrid


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (2, 1, 0), (1, 2, 0)])
@pytest.mark.parametrize("steps", [1, 4])
def test_the_plane_on_display(order, steps):
    values = np.random.default_rng(0).random((5, 6, 7))
    viewer = ViewerModel()
    layer = viewer.add_image(values, scale=(3, 2, 0.5), translate=(7, -3, 1), units="mm")
    viewer.add_image(values, scale=(3e3, 2e3, 500), translate=(7e3, -3e3, 1e3), units="um")
    viewer.dims.order = order
    viewer.dims.set_current_step(order[0], steps)

    axes = displayed_axes(viewer.dims.order, layer.ndim)
    grid = WorldGrid.from_layer(layer)
    region = plane_at(grid, viewer.dims.point, axes, viewer.dims.units)
    assert region[order[0]] == slice(steps, steps + 1)
    shown = np.asarray(layer._slice.image.raw)
    np.testing.assert_array_equal(values[region].transpose(order)[0], shown)


def test_a_layer_of_fewer_dimensions():
    viewer = ViewerModel()
    viewer.add_image(np.zeros((4, 5, 6, 7)))
    plane = viewer.add_image(np.arange(42.0).reshape(6, 7))
    for order in [(0, 1, 2, 3), (1, 0, 3, 2)]:
        viewer.dims.order = order
        axes = displayed_axes(order, 2)
        assert axes == tuple(plane._slice_input.displayed)
        assert plane_at(WorldGrid.from_layer(plane), viewer.dims.point, axes) == (slice(None),) * 2


def test_a_slice_beyond_the_layer():
    g = WorldGrid.from_layer(Image(np.zeros((4, 5, 6)), name="PET", units="mm"))
    with pytest.raises(ImageError, match=r"outside of 'PET'.*move the slider"):
        plane_at(g, (9, 0, 0), (1, 2))


def test_the_box_around_a_shape():
    grid = WorldGrid.from_layer(
        Image(np.zeros((9, 40, 50)), scale=(4, 0.5, 0.5), translate=(0, 10, 0), units="mm")
    )
    shapes = Shapes(
        np.array([[3.0, 1], [3, 6], [8, 6], [8, 1]]), scale=(1000, 1000), translate=(1e4, 0)
    )
    corners = [shapes.data_to_world(vertex) for vertex in shapes.data[0]]
    assert box_around(grid, corners, (1, 2), ("um", "um")) == (
        slice(None),
        slice(6, 17),
        slice(2, 13),
    )


def test_a_box_is_cut_at_the_edges_and_holds_one_voxel_at_least():
    grid = WorldGrid.from_layer(Image(np.zeros((40, 50))))
    assert box_around(grid, [(-9, 20.2), (99, 20.3)], (0, 1)) == (slice(0, 40), slice(20, 21))
    assert box_around(grid, [(-0.5, -0.5), (9.5, 9.5)], (0, 1)) == (slice(0, 10),) * 2
    with pytest.raises(ImageError, match="region lies outside"):
        box_around(grid, [(50, 0), (60, 9)], (0, 1))


def test_a_box_in_a_turned_layer():
    layer = Image(np.zeros((40, 50)), rotate=90)
    at = [layer.data_to_world(index) for index in [(10, 20), (15, 30)]]
    assert box_around(WorldGrid.from_layer(layer), at, (0, 1)) == (slice(10, 16), slice(20, 31))


@pytest.mark.parametrize("z", [5, 12, 19])
def test_a_viewer_in_millimetres_beside_a_grid_in_micrometres(z):
    viewer = ViewerModel()
    viewer.add_image(np.zeros((20, 8, 9)), scale=(2, 1, 1), translate=(3, 0, 0), units="mm")
    other = Image(np.zeros((20, 8, 9)), scale=(2e3, 1e3, 1e3), translate=(3e3, 0, 0), units="um")
    viewer.dims.set_current_step(0, z)
    whole = (slice(0, 20), slice(0, 8), slice(0, 9))
    at = plane_at(
        WorldGrid.from_layer(other), viewer.dims.point, (1, 2), viewer.dims.units, within=whole
    )
    assert at == (slice(z, z + 1), slice(0, 8), slice(0, 9))


def test_a_plane_within_a_region_is_the_nearest():
    grid = WorldGrid((20, 8, 9), scale=(2, 1, 1))
    region = (slice(5, 12), slice(2, 6), slice(None))
    planes = {0: 5, 12: 6, 23: 11, 90: 11}  # world coordinate: slice
    for point, z in planes.items():
        at = plane_at(grid, (point, 0, 0), (1, 2), within=region)
        assert at == (slice(z, z + 1), slice(2, 6), slice(None))
