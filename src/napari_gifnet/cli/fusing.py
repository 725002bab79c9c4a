"""``gifnet fuse`` and ``gifnet enhance``."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from napari_gifnet import __version__
from napari_gifnet.backend import Backend
from napari_gifnet.errors import ImageError, OptionError
from napari_gifnet.files.formats import (
    ImageFile,
    check_destination,
    check_format,
    find_format,
    read,
    write,
)
from napari_gifnet.files.image_file import written_text
from napari_gifnet.files.matching import check_pixel_sizes
from napari_gifnet.files.two_grids import place_pair
from napari_gifnet.fusers import open_fuser, require_index
from napari_gifnet.fusion import run
from napari_gifnet.models import DEFAULT_MODEL, STACK_MODEL
from napari_gifnet.planes.image import format_sides
from napari_gifnet.planes.job import Job, resolve
from napari_gifnet.planes.request import Request, request_of_arrays, request_of_stack
from napari_gifnet.planes.tasks import PANSHARPENING

from .console import note, progress_bar
from .options import (
    Color,
    ColorPolicy,
    DeviceName,
    DtypeName,
    Grid,
    GridChoice,
    HeightMap,
    IntensityPolicy,
    Interpolation,
    InterpolationName,
    ModelForCount,
    ModelName,
    NoData,
    NormalizationOf,
    Output,
    Overwrite,
    OwnColor,
    OwnColorPolicy,
    OwnIntensityPolicy,
    Precision,
    StackAxis,
    TaskName,
    TileSize,
    parse_intensity,
    parse_tile_size,
)
from .stacking import check_height, open_stack, write_height

if TYPE_CHECKING:
    from napari_gifnet.grids.world_grid import WorldGrid

ASPECT_TOLERANCE = 0.02
"""Bands whose sides are in another ratio than the panchromatic plane's show another area."""


def fuse(
    images: Annotated[
        list[Path],
        typer.Argument(
            metavar="A... B",
            help="Two registered images: TIFF, PNG, JPEG, NIfTI, NRRD, MetaImage, or the folder of a "
            "DICOM series. A is the modality side (infrared, PET, "
            "near focus, over-exposed …), B the detail side (visible, MRI, far focus, "
            "under-exposed …). Pansharpening takes several A: a file for each band. Or many "
            "planes of one scene: a file for each, or one TIFF that holds them.",
            show_default=False,
        ),
    ],
    output: Output,
    task: TaskName = None,
    intensity: IntensityPolicy = None,
    color: ColorPolicy = Color.auto,
    dtype: DtypeName = None,
    nodata: NoData = None,
    height: HeightMap = None,
    axis: StackAxis = None,
    overwrite: Overwrite = False,
    model: ModelForCount = None,
    device: DeviceName = "auto",
    precision: Precision = "auto",
    tile_size: TileSize = "auto",
    normalization: NormalizationOf = "plane",
    grid: Grid = GridChoice.auto,
    interpolation: Interpolation = InterpolationName.linear,
) -> None:
    """Fuse two registered images, or many planes, into one.

    Stacks (multi-page TIFF) are fused plane by plane, or with one plane; their axes are matched by
    the names that the files give them. Where both files say where their pixels lie, on two grids,
    one image is resampled onto the grid of the other. Images in colour give a result in colour.
    What was done is printed, and kept in the file.

    \b
    Examples:
      gifnet fuse infrared.png visible.png --task infrared_visible -o fused.png
      gifnet fuse pet.nii.gz mri.nii.gz --task pet_mri -o fused.nii.gz
      gifnet fuse near.jpg far.jpg --task multi_focus --dtype uint16 -o sharp.png
      gifnet fuse ct.tif mri.tif --intensity=-100,300 --intensity minmax -o f.tif
      gifnet fuse b1.tif b2.tif b3.tif pan.tif --task pansharpening -o ms.tif
      gifnet fuse plane*.tif --task multi_focus -o flat.tif --height height.tif
      gifnet fuse bracket*.jpg --task multi_exposure -o even.jpg
    """
    check_destination(output, overwrite, images)
    backend = Backend(device, precision, parse_tile_size(tile_size))
    if len(images) == 1 or (len(images) > 2 and task != PANSHARPENING.name):
        options = {"intensity": parse_intensity(intensity), "color": color.value}
        options |= {"task": task, "dtype": dtype or find_format(output).dtypes[0]}
        _fuse_stack(images, output, height, axis, overwrite, nodata, model, backend, options)
        return
    for option, value in (("--height", height), ("--axis", axis)):
        if value is not None:
            raise OptionError(
                f"{option} is of a stack: expected one file that holds it, or more than two images."
            )
    a, b = open_images(images, task, nodata)
    bands_in_color = task == PANSHARPENING.name and a.in_color
    if task == PANSHARPENING.name:
        a = bands_onto(a, b)
    names = images[0].name, images[-1].name
    pair = place_pair(a, b, names, grid=grid.value, interpolation=interpolation.value, task=task)
    job = resolve(
        Request(
            pair.inputs,
            task=task,
            intensity=parse_intensity(intensity),
            color=color.value,
            dtype=dtype or find_format(output).dtypes[0],
            normalization=normalization,
        )
    )
    axes = f"{pair.axes}S" if job.chroma else pair.axes
    if bands_in_color:
        axes = axes.replace("C", "") + "S"
    check_format(output, axes, job.dtype)
    fused, made_how = carry_out(job, model, backend)
    if bands_in_color:
        fused = np.moveaxis(fused, -3, -1)
    sources = ", ".join(path.name for path in images[:-1])
    made_how = "; ".join([*pair.notes, made_how])
    _store(output, fused, axes, pair.like, f"{sources} and {images[-1].name}", made_how)


def _fuse_stack(
    images: list[Path],
    output: Path,
    height: Path | None,
    axis: str | None,
    overwrite: bool,
    nodata: float | None,
    model: str | None,
    backend: Backend,
    options: dict[str, Any],
) -> None:
    stack = open_stack([read(path, nodata=nodata) for path in images], images, axis)
    if height is not None:
        check_height(height, overwrite, [*images, output], stack.axes)
        if options["task"] == "multi_exposure":
            raise OptionError("--height is of focus planes: of exposures every plane has a share.")
    request = request_of_stack(stack.image.data, stack.axis, stack.image.in_color, **options)
    job = resolve(request)
    axes = f"{stack.axes}S" if job.chroma else stack.axes
    check_format(output, axes, job.dtype)
    index = None if height is None else np.empty(job.leading + job.sides, np.float32)
    fused, made_how = carry_out(job, model or STACK_MODEL, backend, index)
    spacing = {a: length for a, length in stack.image.spacing.items() if a in stack.axes}
    sources = images[0].name if len(images) == 1 else f"{images[0].name} … {images[-1].name}"
    _store(output, fused, axes, replace(stack.image, spacing=spacing), sources, made_how)
    if height is not None and index is not None:
        typer.echo(written_text(f"{height}: {write_height(height, index, stack)}"))


def enhance(
    image: Annotated[
        Path,
        typer.Argument(metavar="IMAGE", help="TIFF, PNG, JPEG, NIfTI, NRRD …", show_default=False),
    ],
    output: Output,
    intensity: OwnIntensityPolicy = None,
    color: OwnColorPolicy = OwnColor.auto,
    dtype: DtypeName = None,
    nodata: NoData = None,
    overwrite: Overwrite = False,
    model: ModelName = DEFAULT_MODEL,
    device: DeviceName = "auto",
    precision: Precision = "auto",
    tile_size: TileSize = "auto",
    normalization: NormalizationOf = "plane",
) -> None:
    """Sharpen one image: fuse it with itself.

    \b
    Examples:
      gifnet enhance photograph.jpg -o sharp.jpg
      gifnet enhance stack.tif --intensity 0,4095 -o sharp.tif
    """
    check_destination(output, overwrite, [image])
    opened = read(image, nodata=nodata)
    job = resolve(
        request_of_arrays(
            (opened.data,),
            ("the image",),
            opened.in_color,
            intensity=parse_intensity(intensity),
            color=color.value,
            dtype=dtype or find_format(output).dtypes[0],
            normalization=normalization,
        )
    )
    axes = opened.axes.removesuffix("S") + "S" * bool(job.chroma)
    check_format(output, axes, job.dtype)
    enhanced, made_how = carry_out(
        job, model, Backend(device, precision, parse_tile_size(tile_size))
    )
    _store(output, enhanced, axes, opened, image.name, made_how)


def open_images(
    paths: list[Path], task: str | None, nodata: float | None = None
) -> tuple[ImageFile, ImageFile]:
    """Read A and B, the last; more than two are bands and a panchromatic image."""
    if len(paths) < 2 or (len(paths) > 2 and task != PANSHARPENING.name):
        raise OptionError(
            f"{len(paths)} images were given: expected two, A and B, or with --task "
            f"{PANSHARPENING.name} the bands and then the panchromatic image."
        )
    *parts, b = (read(path, nodata=nodata) for path in paths)
    if task == PANSHARPENING.name:
        for path, part in zip(paths, parts, strict=False):
            check_pixel_sizes(part, b, (path.name, paths[-1].name))
    if len(parts) == 1:
        return parts[0], b
    for path, part in zip(paths, parts, strict=False):
        if part.data.shape != parts[0].data.shape or part.axes != "YX":
            raise ImageError(
                f"{path} has shape {part.data.shape}, {paths[0]} {parts[0].data.shape}: expected "
                "gray bands of one size, a plane each."
            )
        check_pixel_sizes(parts[0], part, (paths[0].name, path.name))
    stack = np.ma.stack if any(np.ma.is_masked(part.data) for part in parts) else np.stack
    return ImageFile(stack([part.data for part in parts]), "CYX", parts[0].spacing), b


def bands_onto(bands: ImageFile, pan: ImageFile) -> ImageFile:
    """Return the bands in front of the planes, resampled to the panchromatic image.

    Missing pixels stay missing, and spoil no others.
    """
    if bands.in_color:
        axes = bands.axes.replace("YXS", "CYX")
        bands = replace(bands, data=np.moveaxis(bands.data, -1, -3), axes=axes)
    sides, wanted = bands.sides, pan.sides
    ratio_y, ratio_x = np.divide(wanted, sides)
    if sides == wanted or abs(ratio_y / ratio_x - 1) > ASPECT_TOLERANCE:
        return bands
    from napari_gifnet.grids.resample import resample

    leading = bands.data.shape[:-2]
    source = _grid_of(leading + sides, (1.0, 1.0))
    target = _grid_of(leading + wanted, (1 / ratio_y, 1 / ratio_x))
    data = resample(bands.data, source, target, order=3)
    if bands.data.dtype.kind in "iu":
        missing = np.isnan(data)
        limits = np.iinfo(bands.data.dtype)
        whole = np.rint(np.where(missing, 0, data).astype(np.float64)).clip(limits.min, limits.max)
        data = whole.astype(bands.data.dtype)
        data = np.ma.masked_array(data, missing) if missing.any() else data
    note(f"the bands were resampled from {format_sides(sides)} to those of B.")
    return ImageFile(data, bands.axes, pan.spacing)


def _grid_of(shape: tuple[int, ...], steps: tuple[float, float]) -> WorldGrid:
    """Return the grid of a stack of planes whose pixels are so long and begin at one corner."""
    from napari_gifnet.grids.world_grid import WorldGrid

    scale = np.ones(len(shape))
    scale[-2:] = steps
    return WorldGrid(shape, scale=scale, translate=(scale - 1) / 2)


def carry_out(
    job: Job, model: str | None, backend: Backend, index: np.ndarray | None = None
) -> tuple[np.ndarray, str]:
    """Return the fused image and how it was made, in words; `index` is filled as `run` does."""
    with progress_bar("Loading the model") as report:
        fuser = open_fuser(model, backend, report)
    if index is not None:
        require_index(fuser)
    start, job = time.perf_counter(), job.measured()
    with progress_bar(f"Fusing on {fuser.facts['device']}") as report:
        fused = run(job, fuser, report, index=index)
    seconds = time.perf_counter() - start
    return fused, "; ".join([job.summary(), fuser.summary, f"{seconds:.1f} s"])


def _store(
    output: Path, image: np.ndarray, axes: str, like: ImageFile, sources: str, made_how: str
) -> None:
    description = f"napari-gifnet {__version__}, from {sources}: {made_how}"
    write(output, image, axes, like=like, description=description)
    typer.echo(written_text(f"{output}: {made_how}"))
