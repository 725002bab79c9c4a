"""Images of OME-Zarr, and what an independent validator says of ours."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from napari_gifnet.errors import MissingDependencyError
from napari_gifnet.files.formats import (
    FileError,
    ImageFile,
    Length,
    check_destination,
    is_image_folder,
    read,
    write,
)
from napari_gifnet.grids.world_grid import WorldGrid

zarr = pytest.importorskip("zarr", minversion="3")
yaozarrs = pytest.importorskip("yaozarrs")


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def image():
    data = np.random.default_rng(0).random((2, 3, 150, 131), np.float32)
    data[0, 0, :9] = np.nan
    grid = WorldGrid(
        data.shape, scale=(1, 3, 2, 2), translate=(0, 1, 2, 3), units=("pixel", "um", "um", "um")
    )
    spacing = {"T": Length(0.5, "s")} | {
        a: Length(n, "µm") for a, n in zip("ZYX", (3, 2, 2), strict=True)
    }
    return ImageFile(data, "TZYX", spacing, grid)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_what_is_written_is_valid_and_comes_back(image, version):
    write("a.ome.zarr", image.data, "TZYX", like=image, description="made by é", ome_zarr=version)
    yaozarrs.validate_zarr_store("a.ome.zarr")
    found = read("a.ome.zarr")
    assert (found.axes, found.spacing, found.tags) == ("TZYX", image.spacing, {"OME-Zarr": version})
    np.testing.assert_array_equal(found.data, image.data)
    np.testing.assert_allclose(found.grid.matrix, image.grid.matrix)
    write("b.zarr", image.data, "TZYX", like=found)  # in the version of its source
    assert read("b.zarr").tags == {"OME-Zarr": version}


def test_the_validator_finds_faults(image):
    write("a.zarr", image.data, "TZYX", like=image)
    metadata = Path("a.zarr/zarr.json")
    broken = json.loads(metadata.read_text())
    broken["attributes"]["ome"]["multiscales"][0]["datasets"][1]["path"] = "gone"
    metadata.write_text(json.dumps(broken))
    with pytest.raises(ValueError, match="gone"):
        yaozarrs.validate_zarr_store("a.zarr")


def test_the_pyramid_halves_the_planes_and_stays_in_place(image):
    write("a.zarr", image.data, "TZYX", like=image, description="how")
    group = zarr.open_group("a.zarr", mode="r")
    described = group.attrs["ome"]["multiscales"][0]
    assert described["metadata"]["description"] == "how"
    shapes = [group[each["path"]].shape for each in described["datasets"]]
    assert shapes == [(2, 3, 150, 131), (2, 3, 75, 66), (2, 3, 38, 33)]
    coarse = group["1"][1, 2]
    np.testing.assert_allclose(coarse[3, 5], image.data[1, 2, 6:8, 10:12].mean(), rtol=1e-6)
    assert np.isnan(group["1"][0, 0, :4]).all()
    assert np.isfinite(group["1"][0, 0, 4]).all()  # half of it is there
    scale, move = described["datasets"][2]["coordinateTransformations"]
    assert scale["scale"] == [0.5, 3, 8, 8]
    assert move["translation"] == [0, 1, 2 + 1.5 * 2, 3 + 1.5 * 2]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_colours_are_channels_of_their_own_colours(dtype):
    top = 1 if dtype == np.float32 else np.iinfo(dtype).max
    colors = (np.random.default_rng(0).random((40, 50, 3)) * top).astype(dtype)
    write("c.zarr", colors, "YXS")
    yaozarrs.validate_zarr_store("c.zarr")
    found = read("c.zarr")
    assert found.axes == "YXS"
    np.testing.assert_array_equal(found.data, colors)
    write("bands.zarr", np.moveaxis(colors, -1, 0), "CYX")
    assert read("bands.zarr").axes == "CYX"


def test_nothing_is_read_before_it_is_looked_at(image, monkeypatch):
    write("a.zarr", image.data, "TZYX", like=image)
    assert type(read("a.zarr").data).__module__.startswith("dask")
    for name in ("dask", "dask.array"):
        monkeypatch.setitem(sys.modules, name, None)
    found = read("a.zarr")
    assert isinstance(found.data, np.ndarray)
    np.testing.assert_array_equal(found.data, image.data)


def test_a_turned_volume_is_written_without_its_turn():
    grid = WorldGrid((4, 5, 6), rotate=30, units="mm", name="oblique")
    spacing = {axis: Length(1, "mm") for axis in "ZYX"}
    like = ImageFile(np.zeros(grid.shape, np.uint8), "ZYX", spacing, grid)
    with pytest.warns(UserWarning, match="without the turn of its axes, which it cannot hold"):
        write("a.zarr", like.data, "ZYX", like=like)


def test_an_image_of_another_program_whose_axes_and_transformations_are_its_own():
    group = zarr.create_group("other.zarr", zarr_format=2)
    values = np.arange(2 * 5 * 6, dtype=np.uint16).reshape(2, 5, 6)
    group.create_array("full", shape=values.shape, dtype=values.dtype, chunks=(1, 5, 6))[...] = (
        values
    )
    axes = [{"name": "c", "type": "channel"}, {"name": "y", "type": "space", "unit": "nanometer"}]
    axes.append({"name": "x", "type": "space", "unit": "nanometer"})
    own = [{"type": "scale", "scale": [1, 2, 3]}, {"type": "translation", "translation": [0, 4, 6]}]
    whole = [{"type": "scale", "scale": [1, 10, 10]}]
    multiscales = {"version": "0.4", "axes": axes, "coordinateTransformations": whole}
    multiscales["datasets"] = [{"path": "full", "coordinateTransformations": own}]
    group.attrs["multiscales"] = [multiscales]
    found = read("other.zarr")
    assert (found.axes, found.spacing["X"]) == ("CYX", Length(30, "nm"))
    np.testing.assert_allclose(found.grid.to_world((0, 0, 0)), [0, 40, 60])
    assert (np.asarray(read("other.zarr", nodata=7).data.mask) == (values == 7)).all()


def attributes(**found):
    group = zarr.create_group("a.zarr", zarr_format=3)
    group.attrs.update(found)


@pytest.mark.parametrize(
    ("found", "complaint"),
    [
        ({"ome": {"version": "0.5", "plate": {}}}, "is a plate of images: name one of them"),
        (
            {"multiscales": [{"version": "0.2", "axes": []}]},
            "is of OME-Zarr 0.2: expected 0.5 or 0.4",
        ),
        ({"ome": {}}, "is no OME-Zarr image: its metadata have no multiscales"),
    ],
)
def test_what_is_no_image_is_refused(found, complaint):
    attributes(**found)
    with pytest.raises(FileError, match=complaint):
        read("a.zarr")


def test_folders_that_are_no_zarr():
    Path("b.zarr").mkdir()
    with pytest.raises(FileError, match="has no metadata of zarr"):
        read("b.zarr")
    with pytest.raises(FileError, match="there is no such folder"):
        read("gone.zarr")
    write("c.zarr", np.zeros((8, 8)), "YX")
    assert is_image_folder(Path("c.zarr"))
    assert is_image_folder(Path("c.zarr").rename("unnamed"))
    assert read("unnamed").data.shape == (8, 8)
    assert not is_image_folder(Path())


def test_a_result_replaces_a_zarr_only_when_asked_and_no_other_folder():
    write("a.zarr", np.zeros((8, 8)), "YX")
    with pytest.raises(FileError, match=r"exists already: .* --overwrite"):
        check_destination(Path("a.zarr"))
    check_destination(Path("a.zarr"), overwrite=True)
    with pytest.raises(FileError, match="one of the images that are read"):
        check_destination(Path("a.zarr"), True, [Path("a.zarr")])
    write("a.zarr", np.ones((8, 8)), "YX")
    assert (np.asarray(read("a.zarr").data) == 1).all()
    Path("thesis.zarr").mkdir()
    Path("thesis.zarr/chapter.txt").write_text("I")
    with pytest.raises(FileError, match="is a folder: expected the name of a file"):
        check_destination(Path("thesis.zarr"), overwrite=True)
    assert sorted(path.name for path in Path().iterdir()) == ["a.zarr", "thesis.zarr"]


def test_a_run_that_fails_leaves_the_former_result(monkeypatch):
    write("a.zarr", np.zeros((8, 8)), "YX")

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(zarr.Group, "create_array", full)
        with pytest.raises(FileError, match=r"a.zarr cannot be written: No space left"):
            write("a.zarr", np.ones((8, 8)), "YX")
    assert [path.name for path in Path().iterdir()] == ["a.zarr"]
    assert not np.asarray(read("a.zarr").data).any()


def test_without_the_package_a_sentence_says_what_to_install(monkeypatch):
    write("a.zarr", np.zeros((8, 8)), "YX")
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'napari-gifnet\[zarr\]'"):
        read("a.zarr")
