"""What the files of a case become: a job, once they are read and matched."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_gifnet.errors import ImageError, OptionError
from napari_gifnet.files.formats import ImageFile, find_format, read
from napari_gifnet.files.matching import check_pixel_sizes
from napari_gifnet.files.two_grids import place_pair
from napari_gifnet.planes.image import format_sides
from napari_gifnet.planes.job import Job, resolve
from napari_gifnet.planes.request import Request, request_of_arrays, request_of_stack
from napari_gifnet.planes.tasks import PANSHARPENING

from .aligning import align_onto, align_stack, in_dtype
from .case import Case, Kind, Settings
from .stacking import Stack, check_height, open_stack

if TYPE_CHECKING:
    from napari_gifnet.grids.world_grid import WorldGrid

ASPECT_TOLERANCE = 0.02
"""Bands whose sides are in another ratio than the panchromatic plane's show another area."""


@dataclass(frozen=True)
class Prepared:
    """A job, and what its result keeps of the files it comes from.

    Attributes
    ----------
    job : Job
    axes : str
        The letters of the result's axes.
    like : ImageFile
        On whose grid the result lies, with the spacing of its axes.
    sources : str
        The names of the files, for people.
    notes : tuple of str
        What was done to the images beforehand, in words.
    bands_in_color : bool
        The bands of the result are red, green and blue.
    stack : Stack or None
        The planes that become one.
    """

    job: Job
    axes: str
    like: ImageFile
    sources: str
    notes: tuple[str, ...] = ()
    bands_in_color: bool = False
    stack: Stack | None = None


def prepare(case: Case, settings: Settings) -> Prepared:
    """Read the files of a case and plan what is made of them."""
    return _PREPARATIONS[settings.kind](case, settings)


def check_settings(settings: Settings) -> None:
    """Raise OptionError, before any image is read, if a setting is not understood."""
    count = {"image": 1, "pair": 2, "stack": 3}[settings.kind]
    in_color = settings.task != PANSHARPENING.name
    tiny = np.zeros((8, 8, 3) if in_color else (8, 8), np.uint8)
    request = request_of_arrays(
        [tiny] * count,
        "ABC"[:count],
        [in_color] * count if count > 1 else in_color,
        task=settings.task,
        intensity=settings.intensity,
        color=settings.color if in_color else "auto",
        dtype=settings.dtype,
        normalization=settings.normalization,
    )
    resolve(request)


def _dtype(case: Case, settings: Settings) -> str:
    return settings.dtype or find_format(case.output).dtypes[0]


def _prepare_image(case: Case, settings: Settings) -> Prepared:
    (path,) = case.inputs
    opened = read(path, nodata=settings.nodata)
    request = request_of_arrays(
        (opened.data,),
        ("the image",),
        opened.in_color,
        intensity=settings.intensity,
        color=settings.color,
        dtype=_dtype(case, settings),
        normalization=settings.normalization,
    )
    job = resolve(request)
    axes = opened.axes.removesuffix("S") + "S" * bool(job.chroma)
    return Prepared(job, axes, opened, path.name)


def _prepare_pair(case: Case, settings: Settings) -> Prepared:
    paths = list(case.inputs)
    a, b = open_images(paths, settings.task, settings.nodata)
    bands_in_color = settings.task == PANSHARPENING.name and a.in_color
    notes: list[str] = []
    if settings.align:
        a, note = align_onto(a, b, settings.align)
        notes.append(note)
    if settings.task == PANSHARPENING.name:
        sides = a.sides
        a = bands_onto(a, b)
        if a.sides != sides:
            notes.append(f"bands resampled from {format_sides(sides)}")
    pair = place_pair(
        a,
        b,
        (paths[0].name, paths[-1].name),
        grid=settings.grid,
        interpolation=settings.interpolation,
        task=settings.task,
    )
    request = Request(
        pair.inputs,
        task=settings.task,
        intensity=settings.intensity,
        color=settings.color,
        dtype=_dtype(case, settings),
        normalization=settings.normalization,
    )
    job = resolve(request)
    axes = pair.axes + "S" * bool(job.chroma)
    if bands_in_color:
        axes = axes.replace("C", "") + "S"
    sources = f"{', '.join(path.name for path in paths[:-1])} and {paths[-1].name}"
    return Prepared(job, axes, pair.like, sources, (*notes, *pair.notes), bands_in_color)


def _prepare_stack(case: Case, settings: Settings) -> Prepared:
    paths = list(case.inputs)
    stack = open_stack([read(path, nodata=settings.nodata) for path in paths], paths, settings.axis)
    if case.height is not None:
        check_height(case.height, case.overwrite, [*paths, case.output], stack.axes)
        if settings.task == "multi_exposure":
            raise OptionError(
                "--height is of focus planes: of exposures every plane has a share; leave it out."
            )
    request = request_of_stack(
        stack.image.data,
        stack.axis,
        stack.image.in_color,
        task=settings.task,
        intensity=settings.intensity,
        color=settings.color,
        dtype=_dtype(case, settings),
    )
    job, notes = resolve(request), []
    if settings.align:
        request, note = align_stack(request, settings.align)
        job, notes = resolve(request), [note]
    axes = f"{stack.axes}S" if job.chroma else stack.axes
    spacing = {a: length for a, length in stack.image.spacing.items() if a in stack.axes}
    sources = paths[0].name if len(paths) == 1 else f"{paths[0].name} … {paths[-1].name}"
    return Prepared(
        job, axes, replace(stack.image, spacing=spacing), sources, tuple(notes), stack=stack
    )


_PREPARATIONS: dict[Kind, Callable[[Case, Settings], Prepared]] = {
    "image": _prepare_image,
    "pair": _prepare_pair,
    "stack": _prepare_stack,
}


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
        data = in_dtype(data, bands.data.dtype)
    return ImageFile(data, bands.axes, pan.spacing)


def _grid_of(shape: tuple[int, ...], steps: tuple[float, float]) -> WorldGrid:
    """Return the grid of a stack of planes whose pixels are so long and begin at one corner."""
    from napari_gifnet.grids.world_grid import WorldGrid

    scale = np.ones(len(shape))
    scale[-2:] = steps
    return WorldGrid(shape, scale=scale, translate=(scale - 1) / 2)
