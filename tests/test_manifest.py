"""The plugin as napari finds it, and the package as it is installed."""

import subprocess
import sys
import venv
from importlib import import_module
from pathlib import Path

import pytest
from npe2 import PluginManifest

ROOT = Path(__file__).parents[1]
TASKS = ["pet_mri", "infrared_visible", "multi_focus", "multi_exposure"]


@pytest.fixture(scope="module")
def manifest():
    return PluginManifest.from_distribution("napari-gifnet")


def test_every_command_leads_to_a_callable(manifest):
    for command in manifest.contributions.commands:
        module, name = command.python_name.split(":")
        assert callable(getattr(import_module(module), name)), command.id


def test_every_menu_is_one_that_plugins_may_add_to(manifest):
    from napari._app_model.constants import MenuId

    known = {str(menu) for menu in MenuId.contributables()}
    menus = set(manifest.contributions.menus)
    assert menus >= {"napari/layers/filter", "napari/layers/project"}
    assert menus <= known


def test_titles_do_not_name_the_plugin_which_napari_adds(manifest):
    for command in manifest.contributions.commands:
        assert "(GIFNet)" not in command.title


def test_samples_are_contributed_under_their_tasks_names_and_a_stack(manifest):
    keys = [sample.key for sample in manifest.contributions.sample_data]
    assert keys[:5] == [*TASKS, "focus_stack"]
    assert sorted(keys[5:]) == sorted(
        f"gifnet_{task}" for task in [*TASKS, "nir_visible", "pansharpening"]
    )
    ids = {command.id for command in manifest.contributions.commands}
    assert not ids & {f"napari-gifnet.{key}" for key in keys}  # they share a namespace


def test_the_preferences_have_the_defaults_of_the_widget(manifest):
    properties = manifest.contributions.configurations["defaults"].properties
    assert {key: value.default for key, value in properties.items()} == {
        "model": "gifnet",
        "device": "auto",
        "precision": "auto",
        "memory": 0,
        "scheduler": "",
    }


def test_each_format_is_written_as_it_is_and_with_8_and_16_bit(manifest):
    offered = {each.display_name: each for each in manifest.contributions.writers}
    assert set(offered) == {
        f"{name}{depth}"
        for name in ("OME-TIFF", "OME-Zarr", "NIfTI", "PNG")
        for depth in ("", ", 8 bit", ", 16 bit")
    } - {"PNG"}
    for name, writer in offered.items():
        assert writer.layer_types == ["image"]
        assert writer.filename_extensions, name
        assert writer.command.removeprefix("napari-gifnet.write_")[:3] in name.lower().replace(
            "-", "_"
        )


def test_a_name_says_which_writer_is_meant(manifest):
    """What napari writes under a name without an end, or .tif, it writes as ever."""
    from npe2 import PluginManager

    plugins = PluginManager()
    for name in ("napari", "napari-gifnet"):
        plugins.register(PluginManifest.from_distribution(name))
    for name, command in {
        "a.ome.tif": "napari-gifnet.write_ome_tiff",
        "a.ome.zarr": "napari-gifnet.write_ome_zarr",
        "a.nii.gz": "napari-gifnet.write_nifti",
        "a.nii": "napari-gifnet.write_nifti",
        "a.tif": "napari.write_image",
        "a": "napari.write_image",
    }.items():
        writer, _ = plugins.get_writer(name, ["image"])
        assert writer.command == command, name


def test_the_wheel_holds_manifest_samples_and_weights(tmp_path):
    """Built and installed into an empty environment, as a user's pip does it."""
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation",
         "-w", tmp_path, ROOT],
        check=True,
    )  # fmt: skip
    (wheel,) = tmp_path.glob("*.whl")
    venv.create(tmp_path / "empty", with_pip=True)
    python = next((tmp_path / "empty").glob("[bS]*/python*"))
    subprocess.run([python, "-m", "pip", "install", "-q", "--no-deps", wheel], check=True)
    listing = subprocess.run(
        [python, "-c",
         "from importlib.metadata import files, entry_points\n"
         "print(*[f for f in files('napari-gifnet')], sep='\\n')\n"
         "print(entry_points(group='napari.manifest')['napari-gifnet'].value)"],
        check=True, capture_output=True, text=True, cwd=tmp_path,
    ).stdout  # fmt: skip
    assert "napari_gifnet:napari.yaml" in listing
    for name in ("napari.yaml", "py.typed", "sample_data/pet.tif", "sample_data/README.md"):
        assert f"napari_gifnet/{name}" in listing
    source = ROOT / "src" / "napari_gifnet"
    for folder in ("weights", "sample_data"):
        for path in (source / folder).iterdir():
            if path.is_file():
                assert path.relative_to(source.parent).as_posix() in listing
    sizes = [p.stat().st_size for p in (source / "sample_data").iterdir()]
    assert sum(sizes) < 5e6
    assert wheel.stat().st_size < 10e6


def test_the_top_level_links_lead_into_the_package():
    for name in ("napari.yaml", "sample_data"):
        assert (ROOT / name).resolve() == (ROOT / "src" / "napari_gifnet" / name).resolve()
