"""A result is picked up again from its metadata alone."""

import json

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Points

from napari_gifnet.errors import OptionError
from napari_gifnet.viewer import enhance_layer, fuse_layers, fuse_stack_layers
from napari_gifnet.viewer.layers.current import Current
from napari_gifnet.viewer.layers.pickup import pick_up, read_record
from napari_gifnet.viewer.layers.recipes import as_python
from napari_gifnet.viewer.layers.run import run_plan
from napari_gifnet.viewer.layers.samples import infrared_visible

HEIGHT, WIDTH = 14, 19
EXACT = {"device": "cpu", "precision": "float32"}


@pytest.fixture
def viewer():
    rng = np.random.default_rng(0)
    viewer = ViewerModel()
    place = {"scale": (3, 0.5, 0.5), "units": "mm"}
    viewer.add_image(rng.random((4, HEIGHT, WIDTH)), name="PET", colormap="hot", **place)
    viewer.add_image(rng.random((4, HEIGHT, WIDTH)), name="MRI", gamma=0.5, **place)
    viewer.add_image(rng.random((30, 25)), name="plane", scale=(0.3, 0.4), units="mm")
    return viewer


MADE = {
    "pair": lambda layers: fuse_layers(layers["PET"], layers["MRI"], task="pet_mri", **EXACT),
    "grids": lambda layers: fuse_layers(
        layers["plane"], layers["MRI"], gamma=True, interpolation="cubic", model="pyramid"
    ),
    "part": lambda layers: fuse_layers(
        layers["PET"], layers["MRI"], extent=np.s_[1:3, :9, 2:], axes=(2, 1), model="mean"
    ),
    "one": lambda layers: enhance_layer(layers["PET"], color="displayed", **EXACT),
    "stack": lambda layers: fuse_stack_layers(layers["PET"], axis=0, **EXACT),
    "several": lambda layers: fuse_stack_layers([layers["PET"], layers["MRI"]], **EXACT),
}


@pytest.mark.parametrize("kind", MADE)
def test_the_job_of_a_result_is_found_again(viewer, kind):
    result = MADE[kind](viewer.layers)
    as_stored = json.dumps(result.metadata["napari_gifnet"])
    stored = Image(result.data, rgb=result.rgb, name="opened again", scale=result.scale)
    for name in ("translate", "rotate", "shear", "affine", "units"):
        setattr(stored, name, getattr(result, name))
    stored.metadata["napari_gifnet"] = json.loads(as_stored)
    viewer.add_layer(stored)
    pet = viewer.layers["PET"]
    pet.colormap, pet.contrast_limits = "blue", (0.4, 0.5)  # how it looks now does not matter
    viewer.layers["MRI"].gamma = 3

    found = pick_up(stored, viewer.layers)
    assert found.why_not is None
    assert set(found.names) <= {"PET", "MRI", "plane"}
    assert found.plan.job.is_measured
    np.testing.assert_array_equal(np.asarray(run_plan(found.plan).data), result.data)
    part = found.plan.plane_shown(Current.of(viewer))
    assert found.plan.plane_of(result.data, part).shape[:2] == found.plan.job.sides
    exec(as_python(found.record), {"viewer": viewer})
    np.testing.assert_array_equal(viewer.layers[-1].data, result.data)


def test_layers_at_the_levels_that_are_shown_are_found_again():
    viewer = ViewerModel()
    levels = [np.random.default_rng(side).random((side, side)) for side in (64, 32, 16)]
    a = viewer.add_image(levels, multiscale=True, name="a")
    b = viewer.add_image(levels[:2], multiscale=True, name="b")
    a.data_level, b.data_level = 2, 1
    viewer.scene.camera.center, viewer.scene.camera.zoom = (0, 32, 32), 20
    result = viewer.add_layer(fuse_layers(a, b, viewer=viewer, extent="view", model="mean"))
    assert result.metadata["napari_gifnet"]["parameters"]["level"] == [2, 1]
    assert result.data.shape == (21, 16)  # of b's level: 40 × 30 of its finest, and what is cut
    found = pick_up(result, viewer.layers)
    np.testing.assert_array_equal(np.asarray(run_plan(found.plan).data), result.data)
    exec(as_python(found.record), {"viewer": viewer})
    np.testing.assert_array_equal(viewer.layers[-1].data, result.data)
    with pytest.raises(OptionError, match="level='coarse' is not understood"):
        fuse_layers(a, b, level="coarse")


def test_the_heights_of_a_stack_are_picked_up_too(viewer):
    _, height = fuse_stack_layers(viewer.layers["PET"], axis=0, return_index=True, **EXACT)
    found = pick_up(height, viewer.layers)
    assert found.plan.options.return_index
    np.testing.assert_array_equal(run_plan(found.plan).index.data, height.data)


def test_what_is_no_result():
    (visible, kwargs, _), _ = infrared_visible()
    for layer in (
        Image(visible, **kwargs),
        Points(),
        Image(np.zeros((9, 9)), metadata={"napari_gifnet": {"preview": True}}),
        Image(np.zeros((9, 9)), metadata={"napari_gifnet": "text"}),
        Image(np.zeros((9, 9)), metadata={"napari_gifnet": {"inputs": [], "parameters": {}}}),
    ):
        assert read_record(layer) is None
        assert pick_up(layer, []) is None


@pytest.mark.parametrize(
    "spoil",
    [
        lambda record: record.pop("parameters"),
        lambda record: record["parameters"].pop("region"),
        lambda record: record["parameters"].update(region="all"),
        lambda record: record["parameters"].update(axes=None),
        lambda record: record.update(versions=3),
        lambda record: record["inputs"][0].pop("range"),
        lambda record: record["inputs"][0].update(range=["low", "high"]),
        lambda record: record.update(inputs="PET"),
        lambda record: record.update(grid_shape=7),
        lambda record: record["inputs"][0].update(shape=None),
    ],
)
def test_a_record_from_a_file_may_say_anything(viewer, spoil):
    result = fuse_layers(viewer.layers["PET"], viewer.layers["MRI"], model="mean")
    spoil(result.metadata["napari_gifnet"])
    assert pick_up(result, viewer.layers) is None


def test_no_record_puts_lines_into_the_code(viewer):
    result = fuse_layers(viewer.layers["PET"], viewer.layers["MRI"], model="mean")
    record = result.metadata["napari_gifnet"]
    bad = "x\nraise SystemExit"
    record["versions"]["napari"] = record["sha256"] = record["function"] = bad
    record["inputs"][0]["path"] = record["inputs"][0]["layer"] = record["inputs"][1]["path"] = bad
    record["parameters"]["task"] = record["parameters"]["device"] = bad
    lines = as_python(record).splitlines()
    assert not any(line.strip().startswith("raise") for line in lines)
    assert "from napari_gifnet.viewer import fuse_layers" in lines


def test_sources_that_are_gone_moved_or_others(viewer):
    result = viewer.add_layer(MADE["pair"](viewer.layers))
    pet = viewer.layers["PET"]

    def why_not():
        found = pick_up(result, viewer.layers)
        assert (found.plan is None) == (found.why_not is not None)
        assert as_python(found.record)
        return found.why_not

    assert why_not() is None
    pet.translate = (0, 1, 0)
    assert "would put it now" in why_not() or "does not lie" in why_not()
    pet.translate = (0, 0, 0)
    pet.name = "renamed"
    assert "'PET', which it was made of, is not among the layers" in why_not()
    pet.name = "PET"
    pet.data = pet.data[:, :-1]
    assert "'PET' is not what it was made of: expected a layer of 4×14×19" in why_not()
    viewer.layers.remove(pet)
    assert "'PET', which it was made of" in why_not()


def test_a_colormap_that_nobody_knows(viewer):
    result = MADE["pair"](viewer.layers)
    result.metadata["napari_gifnet"]["inputs"][0]["colormap"] = "[unnamed colormap 7]"
    assert "is not known here" in pick_up(result, viewer.layers).why_not
