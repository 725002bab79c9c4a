"""``gifnet fuse`` and ``gifnet enhance``: their options, and where they lead."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from napari_gifnet.backend import Backend
from napari_gifnet.errors import OptionError
from napari_gifnet.files.image_file import written_text
from napari_gifnet.models import DEFAULT_MODEL, STACK_MODEL

from .aligning import AlignFirst
from .batch import Batch, Ways
from .case import Settings
from .console import progress_bar
from .folders import Cases, cases_of_enhancement, cases_of_fusion
from .making import LateFuser, make
from .options import (
    Color,
    ColorPolicy,
    DeviceName,
    DryRun,
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
    Pairs,
    Precision,
    ReportFile,
    Resume,
    StackAxis,
    Suffix,
    TaskName,
    TileSize,
    parse_intensity,
    parse_suffix,
    parse_tile_size,
)
from .preparing import check_settings
from .workers import SchedulerAddress, WorkerCount, open_workers


def fuse(
    output: Output,
    images: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="A... B",
            help="Two registered images: TIFF, PNG, JPEG, NIfTI, NRRD, MetaImage, or the folder of a "
            "DICOM series. A is the modality side (infrared, PET, "
            "near focus, over-exposed …), B the detail side (visible, MRI, far focus, "
            "under-exposed …). Pansharpening takes several A: a file for each band. Or many "
            "planes of one scene: a file for each, one TIFF that holds them, a folder or a pattern "
            "in quotes. Or two folders, whose images go together by their names.",
            show_default=False,
        ),
    ] = None,
    task: TaskName = None,
    intensity: IntensityPolicy = None,
    color: ColorPolicy = Color.auto,
    dtype: DtypeName = None,
    nodata: NoData = None,
    align: AlignFirst = None,
    height: HeightMap = None,
    axis: StackAxis = None,
    overwrite: Overwrite = False,
    model: ModelForCount = None,
    pairs: Pairs = None,
    suffix: Suffix = None,
    dry_run: DryRun = False,
    resume: Resume = False,
    report: ReportFile = None,
    device: DeviceName = "auto",
    precision: Precision = "auto",
    tile_size: TileSize = "auto",
    normalization: NormalizationOf = "plane",
    grid: Grid = GridChoice.auto,
    interpolation: Interpolation = InterpolationName.linear,
    scheduler: SchedulerAddress = None,
    workers: WorkerCount = None,
) -> None:
    """Fuse two registered images, many planes, or folders of them.

    Stacks (multi-page TIFF) are fused plane by plane, or with one plane; their axes are matched by
    the names that the files give them. Where both files say where their pixels lie, on two grids,
    one image is resampled onto the grid of the other. Images in colour give a result in colour.
    What was done is printed, and kept in the file.

    Of folders each result is made once, whatever befalls the others; a run that was stopped goes on
    with --resume. If any failed, the exit code is 1.

    \b
    Examples:
      gifnet fuse infrared.png visible.png --task infrared_visible -o fused.png
      gifnet fuse pet.nii.gz mri.nii.gz --task pet_mri -o fused.nii.gz
      gifnet fuse near.jpg far.jpg --task multi_focus --dtype uint16 -o sharp.png
      gifnet fuse ct.tif mri.tif --intensity=-100,300 --intensity minmax -o f.tif
      gifnet fuse b1.tif b2.tif b3.tif pan.tif --task pansharpening -o ms.tif
      gifnet fuse plane*.tif --task multi_focus -o flat.tif --height height.tif
      gifnet fuse infrared.png visible.png --align similarity -o fused.png
      gifnet fuse plane*.jpg --task multi_focus --align similarity -o flat.jpg
      gifnet fuse planes/ --task multi_focus -o flat.tif
      gifnet fuse infrared/ visible/ -o fused/ --report report.json
      gifnet fuse --pairs pairs.csv -o fused/ --suffix .png --resume
    """
    cases = cases_of_fusion(images or [], output, task, pairs, parse_suffix(suffix), height)
    if cases.kind != "stack" or (height is not None and cases.folder is not None):
        for option, value in (("--height", height), ("--axis", axis)):
            if value is not None:
                raise OptionError(
                    f"{option} is of a stack: expected one file that holds it, or more than two images."
                )
    settings = Settings(
        kind=cases.kind,
        model=model or (STACK_MODEL if cases.kind == "stack" else DEFAULT_MODEL),
        task=task,
        intensity=parse_intensity(intensity),
        color=color.value,
        dtype=dtype,
        normalization="plane" if cases.kind == "stack" else normalization,
        nodata=nodata,
        axis=axis,
        grid=grid.value,
        interpolation=interpolation.value,
        align=align.value if align else None,
    )
    backend = Backend(device, precision, parse_tile_size(tile_size))
    with open_workers(scheduler, workers) as client:
        fuser = LateFuser(settings.model, backend, client)
        _make(cases, settings, fuser, Ways(overwrite, resume, dry_run, report))


def enhance(
    image: Annotated[
        Path,
        typer.Argument(
            metavar="IMAGE",
            help="An image, as for gifnet fuse, or a folder of them.",
            show_default=False,
        ),
    ],
    output: Output,
    intensity: OwnIntensityPolicy = None,
    color: OwnColorPolicy = OwnColor.auto,
    dtype: DtypeName = None,
    nodata: NoData = None,
    overwrite: Overwrite = False,
    model: ModelName = DEFAULT_MODEL,
    suffix: Suffix = None,
    dry_run: DryRun = False,
    resume: Resume = False,
    report: ReportFile = None,
    device: DeviceName = "auto",
    precision: Precision = "auto",
    tile_size: TileSize = "auto",
    normalization: NormalizationOf = "plane",
    scheduler: SchedulerAddress = None,
    workers: WorkerCount = None,
) -> None:
    """Sharpen one image, or each of a folder: fuse it with itself.

    \b
    Examples:
      gifnet enhance photograph.jpg -o sharp.jpg
      gifnet enhance stack.tif --intensity 0,4095 -o sharp.tif
      gifnet enhance photographs/ -o sharp/ --resume
    """
    settings = Settings(
        kind="image",
        model=model,
        intensity=parse_intensity(intensity),
        color=color.value,
        dtype=dtype,
        normalization=normalization,
        nodata=nodata,
    )
    backend = Backend(device, precision, parse_tile_size(tile_size))
    cases = cases_of_enhancement(image, output, parse_suffix(suffix))
    with open_workers(scheduler, workers) as client:
        fuser = LateFuser(settings.model, backend, client)
        _make(cases, settings, fuser, Ways(overwrite, resume, dry_run, report))


def _make(cases: Cases, settings: Settings, fuser: LateFuser, ways: Ways) -> None:
    """Make one result, or all of a folder."""
    if cases.folder is not None:
        check_settings(settings)
        Batch(cases.each, cases.folder, settings, fuser, ways).go()
        return
    for option, value in (("--resume", ways.resume), ("--report", ways.report)):
        if value:
            raise OptionError(f"{option} is of folders: there is one result; leave it out.")
    (case,) = cases.each
    if ways.dry_run:
        Batch([case], case.output.parent, settings, fuser, ways).go()
        return
    case = replace(case, overwrite=ways.overwrite)
    with progress_bar("Reading") as bar:
        _, sentences = make(case, settings, fuser, bar)
    for sentence in sentences:
        typer.echo(written_text(sentence))
