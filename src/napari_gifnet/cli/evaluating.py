"""``gifnet evaluate``: fused images judged by numbers, one pair or folders of them."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NamedTuple, cast

import numpy as np
import typer

from napari_gifnet.backend import Backend
from napari_gifnet.baselines import BASELINES
from napari_gifnet.errors import ImageError, OptionError
from napari_gifnet.files.formats import FORMATS, FileError, ImageFile, read
from napari_gifnet.files.matching import align_axes, check_pixel_sizes
from napari_gifnet.files.pairing import pair_folders
from napari_gifnet.fuser import Fuser
from napari_gifnet.fusers import open_fuser
from napari_gifnet.fusion import run
from napari_gifnet.models import list_models
from napari_gifnet.planes.image import ImagePlanes
from napari_gifnet.planes.job import Job, resolve
from napari_gifnet.planes.ranges import Range, range_without_looking, to_unit
from napari_gifnet.planes.request import request_of_arrays

from .console import note, progress_bar
from .options import (
    DeviceName,
    IntensityPolicy,
    Precision,
    TaskName,
    TileSize,
    parse_intensity,
    parse_tile_size,
)
from .preparing import open_images


class TableFormat(StrEnum):
    """How the table is written."""

    text = "text"
    csv = "csv"
    markdown = "markdown"


class Scene(NamedTuple):
    """The files of one scene."""

    name: str
    a: Path
    b: Path
    fused: Path | None = None


@dataclass(frozen=True)
class Row:
    """The scores of one fused plane."""

    image: str
    method: str
    scores: dict[str, float]


def evaluate(
    a: Annotated[
        Path,
        typer.Argument(metavar="A", help="The modality side: an image, or a folder of images."),
    ],
    b: Annotated[Path, typer.Argument(metavar="B", help="The detail side, likewise.")],
    fused: Annotated[
        Path | None,
        typer.Argument(
            metavar="FUSED",
            help="What was made of them, by any program; images of folders are matched by their "
            "places in them and their names, whatever the suffixes.",
            show_default=False,
        ),
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(
            metavar="METHOD",
            help="Fuse A and B by this method and judge the result; may be repeated: mean, "
            "maximum, pyramid, mertens, a model that `gifnet models` lists, or the path of a "
            "checkpoint.",
            show_default=False,
            autocompletion=lambda: [*BASELINES, *(model.name for model in list_models())],
        ),
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            metavar="METRIC",
            help="Only this one; may be repeated: EI, AG, SF, EN, SD, MI, SSIM, VIF, SCD, Qabf.",
            show_default="all",
        ),
    ] = None,
    form: Annotated[
        TableFormat, typer.Option("--format", help="How the table is written.")
    ] = TableFormat.text,
    task: TaskName = None,
    intensity: IntensityPolicy = None,
    device: DeviceName = "auto",
    precision: Precision = "auto",
    tile_size: TileSize = "auto",
) -> None:
    """Judge fused images by the metrics of the fusion literature.

    Of colour the luma is judged. For folders, and for stacks plane by plane, the mean and the
    standard deviation (of a sample, n − 1) are added. Intensity and task are those of the fusion
    that is judged.

    EI (edge intensity), AG (average gradient), SF (spatial frequency), EN (entropy) and SD
    (standard deviation) reward sharpness and noise alike; MI (mutual information), SSIM
    (structural similarity), VIF (visual information fidelity) and Qabf (share of the edges of A
    and B) reward faithfulness to A and B; SCD (sum of the correlations of differences) rewards
    what each contributes. Higher is better, and no single one suffices.

    \b
    Examples:
      gifnet evaluate infrared.png visible.png fused.png
      gifnet evaluate near.png far.png --method gifnet --method pyramid
      gifnet evaluate infrared/ visible/ fused/ --format csv > scores.csv
      gifnet evaluate pet/ mri/ --task pet_mri --method gifnet --format markdown
    """
    if fused is None and not method:
        raise OptionError("Nothing to judge: expected FUSED, or a --method that makes it.")
    scenes = find_scenes(a, b, fused)
    options = {"task": task, "intensity": parse_intensity(intensity)}
    backend = Backend(device, precision, parse_tile_size(tile_size))
    fusers = {name: _find_fuser(name, backend) for name in dict.fromkeys(method or ())}
    made = (fused.name if fused.is_dir() else fused.stem) if fused else ""
    rows: list[Row] = []
    with progress_bar("Judging") as report:
        for done, scene in enumerate(scenes):
            report(done, len(scenes))
            try:
                rows += _judge(scene, made, fusers, options, metric)
            except ImageError as error:
                raise ImageError(f"{scene.name}: {error}") from error
    typer.echo(format_table(rows + summarise(rows), form), nl=False)


def find_scenes(a: Path, b: Path, fused: Path | None) -> list[Scene]:
    """Match the images of folders by their places and names; three files are one scene."""
    given = [path for path in (a, b, fused) if path is not None]
    if not any(path.is_dir() for path in given):
        return [Scene(a.stem, a, b, fused)]
    for path in given:
        if not path.is_dir():
            raise FileError(f"{path} is no folder: expected only folders, or only images.")
    scenes, alone = pair_folders(given, FORMATS)
    if alone:
        note(f"left out, since not in every folder: {', '.join(alone)}.")
    return [Scene(name, *images) for name, images in scenes.items()]


def _find_fuser(name: str, backend: Backend) -> Fuser:
    known = [*BASELINES, *(model.name for model in list_models())]
    if name not in known and not Path(name).expanduser().is_file():
        raise OptionError(
            f"There is no method {name!r}: expected one of {', '.join(known)}, or the path of a "
            "checkpoint."
        )
    with progress_bar("Loading the model") as report:
        return open_fuser(name, backend, report)


def _job_of(a: ImageFile, b: ImageFile, options: dict[str, Any]) -> Job:
    """Return the job of a scene in gray: of colour the luma is judged."""
    rgb = a.in_color, b.in_color
    request = request_of_arrays((a.data, b.data), ("A", "B"), rgb, color="gray", **options)
    return resolve(request).measured()


def _judge(
    scene: Scene,
    made: str,
    fusers: dict[str, Fuser],
    options: dict[str, Any],
    metrics: list[str] | None,
) -> Iterator[Row]:
    """Yield a row for each plane and method; `made` is the name of that of the files."""
    from napari_gifnet.metrics import evaluate as score

    a, b = open_images([scene.a, scene.b], None)
    names = scene.a.name, scene.b.name
    check_pixel_sizes(a, b, names)
    a, b = align_axes(a, b, names)
    job = _job_of(a, b, options)
    results: dict[str, np.ndarray] = {}
    if scene.fused is not None:
        results[made] = _read_fused(scene.fused, job)
    results |= {name: run(job, fuser) for name, fuser in fusers.items()}
    for index in np.ndindex(job.leading):
        image = f"{scene.name}[{','.join(map(str, index))}]" if index else scene.name
        plane_a, plane_b = (_judged_plane(each, index) for each in job.inputs)
        for name, result in results.items():
            yield Row(image, name, score(plane_a, plane_b, result[index], metrics))


def _read_fused(path: Path, job: Job) -> np.ndarray:
    fused = read(path)
    planes = fused.data.shape[:-1] if fused.in_color else fused.data.shape
    if planes != job.leading + job.sides:
        raise ImageError(
            f"{path} has planes of shape {planes}, but A and B {job.leading + job.sides}: "
            "expected what was fused of them."
        )
    if fused.data.dtype.kind == "f" and not (fused.data.min() >= 0 and fused.data.max() <= 1):
        raise ImageError(
            f"{path} has values from {fused.data.min():g} to {fused.data.max():g}: expected floats "
            "within 0 and 1, or integers; scale it."
        )
    return fused.data


def _judged_plane(image: ImagePlanes, index: tuple[int, ...]) -> np.ndarray:
    """Return a plane with black and white at the limits of its dtype; integers stay integers."""
    plane = image.part(index)
    limits = cast("Range", image.range)
    is_whole = not np.ma.is_masked(plane)
    if (
        plane.dtype.kind in "iu"
        and is_whole
        and limits == range_without_looking(plane.dtype, "dtype")
    ):
        return plane
    return to_unit(plane, limits)


def summarise(rows: Sequence[Row]) -> list[Row]:
    """Return the mean and the standard deviation of each method, if there are several images."""
    by_method: dict[str, list[Row]] = {}
    for row in rows:
        by_method.setdefault(row.method, []).append(row)
    if not any(len(group) > 1 for group in by_method.values()):
        return []
    measures: dict[str, Callable[[list[float]], Any]] = {
        "mean": np.mean,
        "SD": lambda values: np.std(values, ddof=1),
    }
    return [
        Row(
            title,
            method,
            {name: float(measure([row.scores[name] for row in group])) for name in group[0].scores},
        )
        for title, measure in measures.items()
        for method, group in by_method.items()
    ]


def format_table(rows: Sequence[Row], form: TableFormat) -> str:
    """Return the rows as a table: aligned text, CSV in full precision, or Markdown."""
    header = ["image", "method", *rows[0].scores]
    digits = "{:.10g}" if form is TableFormat.csv else "{:#.4g}"
    cells = [
        [row.image, row.method, *(digits.format(score) for score in row.scores.values())]
        for row in rows
    ]
    if form is TableFormat.csv:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([header, *cells])
        return text.getvalue()
    widths = [max(map(len, column)) for column in zip(header, *cells, strict=True)]
    aligned = ["<", "<", *">" * (len(header) - 2)]
    lines = [
        [f"{cell:{side}{width}}" for cell, side, width in zip(line, aligned, widths, strict=True)]
        for line in [header, *cells]
    ]
    if form is TableFormat.text:
        return "".join("  ".join(line) + "\n" for line in lines)
    rule = [
        "-" * (width - 1) + (":" if side == ">" else "-")
        for side, width in zip(aligned, widths, strict=True)
    ]
    return "".join(f"| {' | '.join(line)} |\n" for line in [lines[0], rule, *lines[1:]])
