"""Layers saved, opened again, and picked up as before."""

import json
import warnings

import numpy as np
import pytest
import tifffile
from napari.components import ViewerModel
from napari.layers import Image
from npe2 import PluginManager
from PIL import Image as Picture

from napari_gifnet.errors import GIFNetError, MissingDependencyError, OptionError
from napari_gifnet.files.formats import FileError, read
from napari_gifnet.viewer import enhance_layer, fuse_layers, fuse_stack_layers, save_layer
from napari_gifnet.viewer.layers.pickup import pick_up, read_record
from napari_gifnet.viewer.layers.recipes import as_python
from napari_gifnet.viewer.layers.writer import write_ome_tiff

pytestmark = pytest.mark.filterwarnings(
    "ignore:Non-orthogonal slicing", "ignore:.*colours of 8 bits"
)

PLUGIN = "napari-gifnet"
PLACE = ("scale", "translate", "rotate", "shear")
NEEDS = {".ome.zarr": "zarr", ".nii": "nibabel", ".nii.gz": "nibabel", ".ome.tif": "tifffile"}
FORMATS = list(NEEDS)


@pytest.fixture(scope="module", autouse=True)
def plugins():
    """Those that napari finds when a window opens, of which this is the model without one."""
    PluginManager.instance().discover()


@pytest.fixture(params=FORMATS)
def suffix(request):
    pytest.importorskip(NEEDS[request.param])
    return request.param


@pytest.fixture
def viewer():
    """PET and MRI of 5×41×37 voxels, and a photograph in colour."""
    rng = np.random.default_rng(0)
    viewer = ViewerModel()
    place = {
        "scale": (3.1, 0.7, 0.5),
        "translate": (-7, 0.1, 33.3),
        "units": "mm",
        "axis_labels": ("z", "y", "x"),
    }
    viewer.add_image(rng.random((5, 41, 37)), name="PET", colormap="hot", **place)
    viewer.add_image(rng.random((5, 41, 37)), name="MRI", **place)
    viewer.add_image(rng.integers(0, 256, (41, 37, 3), np.uint8), name="photo", rgb=True)
    return viewer


def open_again(viewer, path):
    return viewer.open(path, plugin=PLUGIN)[0]


def assert_same_place(layer, other):
    for name in PLACE:
        np.testing.assert_array_equal(getattr(layer, name), getattr(other, name), name)
    np.testing.assert_array_equal(layer.affine.affine_matrix, other.affine.affine_matrix)
    assert layer.units == other.units
    assert layer.axis_labels == other.axis_labels


MADE = {
    "gray": lambda layers: fuse_layers(layers["PET"], layers["MRI"], model="pyramid", color="gray"),
    "slice": lambda layers: fuse_layers(
        layers["PET"], layers["MRI"], model="pyramid", extent=np.s_[2:3, :, 4:]
    ),
    "plane": lambda layers: fuse_stack_layers(layers["PET"], axis="z", model="pyramid"),
}


@pytest.mark.parametrize("kind", MADE)
def test_a_result_saved_and_opened_again_is_the_same_and_picked_up(viewer, tmp_path, suffix, kind):
    result = MADE[kind](viewer.layers)
    viewer.add_layer(result)
    viewer.layers.selection = {result}
    path = tmp_path / f"saved{suffix}"
    (written,) = viewer.layers.save(str(path), selected=True, plugin=PLUGIN)
    assert written == str(path)
    assert [each.name for each in tmp_path.iterdir()] == [path.name]
    viewer.layers.remove(result)

    layer = open_again(viewer, path)
    assert_same_place(layer, result)
    values = result.data
    if result.rgb and suffix.startswith(".nii"):  # whose colours have 8 bits
        values = np.rint(values * np.float32(255))
    else:
        np.testing.assert_allclose(layer.contrast_limits, result.contrast_limits)
    np.testing.assert_array_equal(np.asarray(layer.data), values)
    record = layer.metadata["napari_gifnet"]
    assert record == json.loads(json.dumps(result.metadata["napari_gifnet"]))
    found = pick_up(layer, viewer.layers)
    assert found.why_not is None, found.why_not
    exec(as_python(found.record), {"viewer": viewer})
    np.testing.assert_array_equal(viewer.layers[-1].data, result.data)


def test_the_network_gives_the_same_bits_from_a_saved_result(viewer, tmp_path):
    result = fuse_layers(
        viewer.layers["PET"],
        viewer.layers["MRI"],
        task="pet_mri",
        precision="float32",
        device="cpu",
    )
    assert result.rgb
    layer = open_again(viewer, save_layer(result, tmp_path / "saved.ome.tif", "uint8"))
    assert layer.rgb
    assert layer.data.dtype == np.uint8
    np.testing.assert_array_equal(layer.data, np.rint(result.data * np.float32(255)).astype("u1"))
    assert_same_place(layer, result)
    exec(as_python(read_record(layer)), {"viewer": viewer})
    np.testing.assert_array_equal(viewer.layers[-1].data, result.data)


def test_the_height_map_keeps_its_heights_and_colours(viewer, tmp_path, suffix):
    _, height = fuse_stack_layers(viewer.layers["PET"], axis=0, return_index=True)
    layer = open_again(viewer, save_layer(height, tmp_path / f"height{suffix}"))
    assert layer.colormap.name == "viridis"
    np.testing.assert_array_equal(np.asarray(layer.data), height.data)
    np.testing.assert_allclose(layer.contrast_limits, height.contrast_limits)
    assert read_record(layer)["output"] == "index"


@pytest.mark.parametrize(
    "place",
    [
        {"rotate": (30, 0, 0), "scale": (2, 1, 1)},
        {"rotate": (90, 0, 90), "scale": (2, 1, 0.5)},
        {"scale": (2, -1, 1), "units": "um"},
        {"shear": (0.2, 0, 0.1), "translate": (1, 2, 3)},
        {"affine": np.diag([1, 2, -3, 1.0]) + np.eye(4, k=1) * 0.1, "units": "cm"},
        {"axis_labels": ("focus", "lambda", "row"), "units": ("degree", "nm", "nm")},
    ],
)
def test_every_place_that_a_layer_can_have_comes_back(tmp_path, suffix, place):
    data = np.random.default_rng(1).random((3, 12, 17)).astype(np.float32)
    layer = Image(data, name="turned", gamma=0.6, **place)
    path = tmp_path / f"turned{suffix}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what other programs do not see
        save_layer(layer, path)
        again = open_again(ViewerModel(), path)
    assert_same_place(again, layer)
    np.testing.assert_array_equal(np.asarray(again.data), data)
    assert again.gamma == 0.6
    assert "napari_gifnet" not in again.metadata


def test_a_turn_that_other_programs_do_not_see_is_told(tmp_path):
    layer = Image(np.eye(20), rotate=30, name="turned")
    with pytest.warns(UserWarning, match=r"turned.ome.tif: TIFF has no place for the turn"):
        save_layer(layer, tmp_path / "turned.ome.tif")


@pytest.mark.parametrize("axes", ["tcz", "zt", "czt", "abcd"])
def test_axes_keep_their_order(tmp_path, suffix, axes):
    data = np.random.default_rng(2).random((*range(2, 2 + len(axes)), 9, 11)).astype(np.float32)
    layer = Image(data, axis_labels=(*axes, "y", "x"), scale=range(1, data.ndim + 1))
    path = tmp_path / f"axes{suffix}"
    if len(axes) == 4 and suffix != ".ome.tif":
        with pytest.raises(FileError, match="has the axes"):
            save_layer(layer, path)
        assert list(tmp_path.iterdir()) == []
        return
    again = open_again(ViewerModel(), save_layer(layer, path))
    assert_same_place(again, layer)
    np.testing.assert_array_equal(np.asarray(again.data), data)


@pytest.mark.parametrize(
    ("dtype", "channels"), [("uint8", 3), ("uint8", 4), ("uint16", 3), ("float32", 4)]
)
def test_colours_and_alpha(tmp_path, suffix, channels, dtype):
    data = np.random.default_rng(3).random((2, 33, 35, channels))
    data = data.astype(dtype) if dtype == "float32" else (data * np.iinfo(dtype).max).astype(dtype)
    layer = Image(data, rgb=True, scale=(2, 1, 1), units="um", axis_labels=("z", "y", "x"))
    path = tmp_path / f"colours{suffix}"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        save_layer(layer, path)
    said = " ".join(str(each.message) for each in caught)
    again = open_again(ViewerModel(), path)
    assert again.rgb
    assert_same_place(again, layer)
    if suffix != ".ome.tif" and channels == 4:
        assert "without the alpha channel" in said
        data = data[..., :3]
    if suffix.startswith(".nii") and dtype != "uint8":
        assert "colours of 8 bits" in said
        assert again.data.dtype == np.uint8
    else:
        np.testing.assert_array_equal(np.asarray(again.data), data)


def test_what_is_saved_as_integers(tmp_path):
    floats = Image(np.linspace(-1, 3, 200).reshape(10, 20), name="f", contrast_limits=(0, 2))
    with pytest.warns(UserWarning, match=r"f.ome.tif has 0 to 2, the contrast limits of 'f', as 0"):
        save_layer(floats, tmp_path / "f.ome.tif", "uint16")
    expected = np.rint(np.clip(floats.data / 2, 0, 1) * 65535)
    np.testing.assert_array_equal(read(tmp_path / "f.ome.tif").data, expected)
    gray = Image(np.arange(200, dtype=np.uint8).reshape(10, 20))
    save_layer(gray, tmp_path / "g.ome.tif", np.uint16)
    np.testing.assert_array_equal(read(tmp_path / "g.ome.tif").data, gray.data)
    color = Image(np.full((10, 20, 3), 255, np.uint8), rgb=True)
    save_layer(color, tmp_path / "c.ome.tif", "uint16")
    assert read(tmp_path / "c.ome.tif").data.min() == 65535
    with pytest.raises(OptionError, match="dtype='int7' is unknown: expected uint8, uint16"):
        save_layer(gray, tmp_path / "h.ome.tif", "int7")
    with pytest.raises(FileError, match="PNG holds uint8 or uint16, not float32"):
        save_layer(gray, tmp_path / "h.png", "float32")


@pytest.mark.filterwarnings("ignore:.*pixel size")
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("in_color", [False, True])
def test_a_result_is_saved_as_png(viewer, tmp_path, bits, in_color):
    options = {"task": "pet_mri"} if in_color else {"color": "gray"}
    result = fuse_layers(
        viewer.layers["PET"], viewer.layers["MRI"], extent=np.s_[2:3, :, :], model="mean", **options
    )
    assert result.rgb == in_color
    path = save_layer(result, tmp_path / "saved.png", f"uint{bits}")
    written = read(path).data
    assert written.dtype == f"uint{bits}"
    expected = np.rint(result.data[0] * np.float32(2**bits - 1))
    np.testing.assert_array_equal(written, expected)
    (opened,) = viewer.open(path, plugin="napari")
    assert read_record(opened)["model"] == "mean"  # from the file
    exec(as_python(read_record(opened)), {"viewer": viewer})
    np.testing.assert_array_equal(viewer.layers[-1].data, result.data)


def test_a_stack_is_no_png(viewer, tmp_path):
    with pytest.raises(FileError, match="holds one plane"):
        save_layer(viewer.layers["PET"], tmp_path / "stack.png")
    assert list(tmp_path.iterdir()) == []


def test_napari_itself_opens_the_file_and_its_making_is_found(viewer, tmp_path):
    result = MADE["gray"](viewer.layers)
    path = save_layer(result, tmp_path / "saved.ome.tif")
    (opened,) = viewer.open(path, plugin="napari")
    found = pick_up(opened, viewer.layers)
    exec(as_python(found.record), {"viewer": viewer})
    np.testing.assert_array_equal(viewer.layers[-1].data, result.data)


def test_lazy_and_multiscale_layers_are_saved_plane_by_plane(tmp_path, suffix):
    import dask.array as da

    data = np.random.default_rng(4).random((6, 90, 80)).astype(np.float32)
    at_once = []

    def look(block):
        at_once.append(block.shape)
        return block

    fine = da.from_array(data, chunks=(1, 90, 80)).map_blocks(look, dtype=data.dtype, meta=data)
    layer = Image([fine, fine[:, ::2, ::2]], multiscale=True, contrast_limits=(0, 1), name="lazy")
    at_once.clear()
    path = tmp_path / f"lazy{suffix}"
    save_layer(layer, path, "uint16" if suffix != ".nii" else None)
    assert set(at_once) == {(1, 90, 80)}
    assert len(at_once) == 6
    again = open_again(ViewerModel(), path)
    expected = data if suffix == ".nii" else np.rint(data.astype(np.float64) * 65535)
    np.testing.assert_allclose(np.asarray(again.data), expected, atol=1)


def test_a_file_gives_way_only_to_a_complete_one(tmp_path):
    import dask.array as da

    path = tmp_path / "result.ome.tif"
    save_layer(Image(np.ones((3, 20, 20), np.float32)), path)
    before = path.read_bytes()

    def fail(block, block_info=None):
        raise OSError(28, "No space left on device")

    broken = da.zeros((3, 20, 20), chunks=(1, 20, 20)).map_blocks(fail, meta=np.zeros((0, 0, 0)))
    layer = Image(np.zeros((3, 20, 20)))
    _, attributes, _ = layer.as_layer_data_tuple()
    with pytest.raises(GIFNetError, match="cannot be written: No space left on device"):
        write_ome_tiff(str(path), broken, attributes)
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == [path.name]
    save_layer(layer, path)
    assert not read(path).data.any()
    with pytest.raises(FileError, match="does not exist: make it first"):
        save_layer(layer, tmp_path / "none" / "result.ome.tif")


@pytest.mark.parametrize(
    ("end", "package", "extra"), [(".nii.gz", "nibabel", "medical"), (".ome.zarr", "zarr", "zarr")]
)
def test_without_the_extra_a_sentence_says_what_to_install(
    viewer, tmp_path, monkeypatch, end, package, extra
):
    monkeypatch.setitem(__import__("sys").modules, package, None)
    with pytest.raises(MissingDependencyError, match=rf"pip install 'napari-gifnet\[{extra}\]'"):
        viewer.layers.save(str(tmp_path / f"a{end}"), selected=True, plugin=PLUGIN)
    assert list(tmp_path.iterdir()) == []


def test_by_its_name_a_file_is_an_ome_tiff_of_this_plugin(viewer, tmp_path):
    result = MADE["gray"](viewer.layers)
    viewer.add_layer(result)
    viewer.layers.selection = {result}
    viewer.layers.save(str(tmp_path / "saved.ome.tif"), selected=True)
    with tifffile.TiffFile(tmp_path / "saved.ome.tif") as tiff:
        assert tiff.is_ome
        assert 'PhysicalSizeX="0.5"' in tiff.ome_metadata
        assert tiff.series[0].dtype == np.float32
    viewer.layers.save(str(tmp_path / "plain.tif"), selected=True)  # napari's own, as ever
    assert read(tmp_path / "plain.tif").data.dtype == np.float32


def test_a_size_that_was_set_in_the_file_since_is_taken(tmp_path):
    layer = Image(np.random.default_rng(5).random((4, 20, 30)), scale=(2, 1, 1), units="um")
    path = save_layer(layer, tmp_path / "a.ome.tif")
    xml = tifffile.tiffcomment(path)
    tifffile.tiffcomment(path, xml.replace('PhysicalSizeX="1.0"', 'PhysicalSizeX="7.5"').encode())
    again = open_again(ViewerModel(), path)
    np.testing.assert_allclose(again.scale, [2, 1, 7.5])


@pytest.mark.parametrize(
    "spoil",
    ["", '"place": 3', '"shape": [1]', '"axes": null', '"looks": 1', '"place": {"scale": 0}'],
)
def test_a_description_may_say_anything(tmp_path, spoil):
    path = save_layer(Image(np.eye(30), scale=(2, 3)), tmp_path / "a.ome.tif")
    text = '{"napari_gifnet_layer": 1, ' + spoil + "}"
    tifffile.imwrite(path, np.eye(30), ome=True, metadata={"axes": "YX", "Description": text})
    np.testing.assert_array_equal(open_again(ViewerModel(), path).scale, [1, 1])


def test_enhanced_photographs_are_saved_too(viewer, tmp_path):
    result = enhance_layer(viewer.layers["photo"], model="gifnet", precision="float32")
    path = save_layer(result, tmp_path / "a.png")
    assert read(path).data.dtype == np.uint8
    with Picture.open(path) as picture:
        assert "saved by napari-gifnet" in picture.info["Description"]


@pytest.mark.parametrize("axes", [(), (2, 2, 2, 2)])
def test_a_name_may_have_any_characters(tmp_path, suffix, axes):
    if axes and suffix != ".ome.tif":
        pytest.skip("it has fewer axes")
    name = 'a<b>&"c"\n{"d": \u2603}\ud83d \x07'
    layer = Image(np.zeros((*axes, 9, 11), np.uint8), name=name, scale=[2] * (len(axes) + 2))
    record = {"inputs": [{"layer": name}]}
    layer.metadata["napari_gifnet"] = record
    again = open_again(ViewerModel(), save_layer(layer, tmp_path / f"a{suffix}"))
    assert again.metadata["napari_gifnet"] == record
    assert_same_place(again, layer)


def test_a_folder_that_a_layer_reads_is_not_replaced(tmp_path):
    pytest.importorskip("zarr")
    data = np.random.default_rng(6).random((3, 20, 30)).astype(np.float32)
    path = save_layer(Image(data), tmp_path / "a.ome.zarr")
    layer = open_again(ViewerModel(), path)
    with pytest.raises(FileError, match="is read from it as it is shown; choose another name"):
        save_layer(layer, path, "uint8")
    np.testing.assert_array_equal(np.asarray(layer.data), data)
    save_layer(
        Image(data, contrast_limits=(0, 1)), path, "uint8"
    )  # of others the folder may be replaced
    assert read(path).data.dtype == np.uint8


def test_a_lazy_result_that_fails_is_not_computed_twice(tmp_path):
    import dask.array as da

    tried = []

    def fail(block):
        tried.append(block)
        raise OptionError("no such model.")

    empty = np.zeros((0, 0, 0), np.float32)
    lazy = da.zeros((2, 20, 20), chunks=(1, 20, 20), dtype=np.float32).map_blocks(fail, meta=empty)
    layer = Image(np.zeros((2, 20, 20), np.float32))
    _, attributes, _ = layer.as_layer_data_tuple()
    with pytest.raises(OptionError, match="no such model"):
        write_ome_tiff(str(tmp_path / "a.ome.tif"), lazy, attributes)
    assert len(tried) == 1
    assert list(tmp_path.iterdir()) == []
