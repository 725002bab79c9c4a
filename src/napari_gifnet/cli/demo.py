"""``gifnet demo``: the MRI + PET sample, fused and shown, or written where there is no display."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from napari_gifnet.backend import Backend
from napari_gifnet.files.formats import Length, make_folder, write
from napari_gifnet.files.samples import SampleImage, load_sample
from napari_gifnet.models import DEFAULT_MODEL
from napari_gifnet.planes.job import resolve
from napari_gifnet.planes.request import request_of_arrays

from .console import note, progress_bar
from .making import LateFuser, carry_out
from .options import DeviceName, ModelName, Precision, TileSize, parse_tile_size

FOLDER = Path("gifnet-demo")
NAMES = ("gifnet-demo.png", "gifnet-demo.tif")
ZOOM = 2
"""Of the picture: a slice is small on a screen."""

PATIENCE = 60
"""Seconds for Qt to find a display, which may be at the other end of a broken connection."""

_OPEN_A_CONTEXT = """
import sys
from qtpy.QtGui import QGuiApplication, QOpenGLContext
app = QGuiApplication(sys.argv)
sys.exit(not QOpenGLContext().create())
"""


def demo(
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            help="Write a picture and a TIFF into this folder and open no window.",
            show_default=f"a window, or {FOLDER}/ where there is no display",
        ),
    ] = None,
    slices: Annotated[
        int,
        typer.Option(
            min=1,
            metavar="COUNT",
            help="How many slices, around a lesion. All 142 take minutes without a GPU.",
        ),
    ] = 24,
    model: ModelName = DEFAULT_MODEL,
    device: DeviceName = "auto",
    precision: Precision = "auto",
    tile_size: TileSize = "auto",
) -> None:
    """See it at work: fuse a brain's PET with its MRI and show all three in napari, with the dock.

    The sample ships with the package: a phantom with two lesions, at 1 mm in MRI and at 2.5 mm in
    PET, which is resampled to the MRI's grid. Without a display, a picture and a TIFF are written.

    \b
    Examples:
      gifnet demo
      gifnet demo --output pictures
      gifnet demo --slices 142 --device cuda
    """
    if output is None:
        trouble = find_trouble_with_windows()
        if trouble:
            note(f"{trouble}: the result will be written into {FOLDER}.")
            output = FOLDER
    if output is not None:
        make_folder(output)
    backend = Backend(device, precision, parse_tile_size(tile_size))
    if output is None:
        _open_napari(slices, model, backend)
        return
    uptake, anatomy, grid, shown = load_slices(slices)
    request = request_of_arrays((uptake, anatomy), ("PET", "MRI"), task="pet_mri", dtype=np.uint8)
    request = request.in_colors(0, heat(np.linspace(0, 1, 256, dtype=np.float32)))
    with progress_bar("Loading the model") as bar:
        made = carry_out(resolve(request), LateFuser(model, backend), bar)
    fused, made_how = made.image, made.summary
    typer.echo(made_how)
    _write(output, heat(uptake), anatomy, fused, grid, shown, made_how)


def find_trouble_with_windows() -> str | None:
    """Return why napari cannot open a window here, None if it can."""
    if find_spec("napari") is None:
        return "napari is not installed"
    if sys.platform == "linux" and not any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY"))):
        return "There is no display"
    # Qt ends the whole process where it finds no display, so another one tries
    command = [sys.executable, "-c", _OPEN_A_CONTEXT]
    try:
        subprocess.run(command, capture_output=True, check=True, timeout=PATIENCE)
    except subprocess.SubprocessError:
        return "Qt cannot open a window with OpenGL here"
    return None


def load_slices(count: int) -> tuple[np.ndarray, np.ndarray, Any, int]:
    """Return PET and MRI on one grid, that grid, and the slice through a lesion.

    Parameters
    ----------
    count : int
        How many slices, around the lesion.

    Returns
    -------
    pet : array (count, Y, X)
        float32 in [0, 1].
    mri : array (count, Y, X)
        uint8.
    grid : WorldGrid
    lesion : int
        Its slice among them.
    """
    from napari_gifnet.grids.resample import resample

    pet, mri = load_sample("pet_mri")
    slab, lesion = find_slab(pet, mri, count)
    grid = _grid(mri).crop([slab, slice(None), slice(None)])
    uptake = np.nan_to_num(resample(pet.data, _grid(pet), grid))  # none outside of its field
    return uptake / pet.data.max(), mri.data[slab], grid, lesion


def find_slab(pet: SampleImage, mri: SampleImage, count: int) -> tuple[slice, int]:
    """Return so many slices of the MRI around the first lesion, and its place among them."""
    height = pet.facts["lesions"][0]["position"][0]
    lesion = round((height - mri.translate[0]) / mri.scale[0])
    count = min(count, len(mri.data))
    start = min(max(lesion - count // 2, 0), len(mri.data) - count)
    return slice(start, start + count), lesion - start


def heat(unit: np.ndarray) -> np.ndarray:
    """Colour values in [0, 1] from black over red and yellow to white: (...) → (..., 3)."""
    return np.clip(3 * unit[..., None] - np.arange(3, dtype=np.float32), 0, 1)


def _grid(image: SampleImage) -> Any:
    from napari_gifnet.grids.world_grid import WorldGrid

    return WorldGrid(
        image.data.shape,
        scale=image.scale,
        translate=image.translate,
        units=image.units,
        axis_labels=image.axis_labels,
        name=image.name,
    )


def _open_napari(count: int, model: str, backend: Backend) -> None:
    """Show PET over MRI on one side, the result on the other and the dock, until the window is closed."""
    import napari
    from napari.layers import Image

    from napari_gifnet.viewer.layers.job import LayerOptions, plan_layers
    from napari_gifnet.viewer.layers.run import run_plan
    from napari_gifnet.viewer.layers.samples import pet_mri

    emission, anatomy = load_sample("pet_mri")
    slab, _ = find_slab(emission, anatomy, count)
    mri, pet = (Image(data, **options) for data, options, _ in pet_mri())
    options = LayerOptions(
        task="pet_mri",
        model=model,
        extent=(slab, slice(None), slice(None)),
        device=backend.device,
        precision=backend.precision,
        tile_size=backend.tile_size,
    )
    plan = plan_layers(pet, mri, options)
    with progress_bar("Fusing PET with MRI") as report:
        result = run_plan(plan, report)
    fused = Image(result.data, **result.kwargs)
    record = fused.metadata["napari_gifnet"]
    typer.echo(f"{plan.summary}; model {record['model']}; {record['seconds']:.1f} s")

    viewer = napari.Viewer(title="gifnet demo: PET over MRI, and both fused")
    for layer in (mri, pet, fused):
        viewer.add_layer(layer)
    grid_view = getattr(viewer, "canvas", viewer).grid  # viewer.grid before napari 0.9
    grid_view.stride, grid_view.shape = 2, (1, 2)
    grid_view.enabled = True
    viewer.window.add_plugin_dock_widget("napari-gifnet", "GIFNet Fusion")
    viewer.layers.selection = {fused}
    viewer.reset_view()
    lesion = pet.metadata["napari_gifnet"]["lesions"][0]
    viewer.dims.set_point(0, lesion["position"][0])
    napari.run()


def _write(
    folder: Path,
    in_heat: np.ndarray,
    anatomy: np.ndarray,
    fused: np.ndarray,
    grid: Any,
    shown: int,
    made_how: str,
) -> None:
    picture, stack = (folder / name for name in NAMES)
    gray = np.stack([anatomy[shown]] * 3, axis=-1)
    row = np.hstack([gray, np.uint8(255 * in_heat[shown]), fused[shown]])
    enlarged = row.repeat(ZOOM, axis=0).repeat(ZOOM, axis=1)
    write(picture, enlarged, "YXS", description=f"MRI, PET, fused; {made_how}")
    spacing = {
        axis: Length(float(size), unit)
        for axis, size, unit in zip("ZYX", grid.scale, grid.units, strict=True)
    }
    write(stack, fused, "ZYXS", spacing=spacing, description=made_how)
    typer.echo(f"{picture}: MRI, PET and both fused; {stack}: all {len(fused)} slices.")
