"""The options that several commands share, and how their texts become the library's values."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from napari_gifnet.backend import PRECISIONS
from napari_gifnet.errors import OptionError
from napari_gifnet.files.formats import find_format
from napari_gifnet.models import list_models
from napari_gifnet.planes.tasks import TASKS

RUNNING = "How it is run"
FOLDERS = "Folders of images"


class Color(StrEnum):
    """Whose colour the result gets."""

    auto = "auto"
    a = "a"
    b = "b"
    gray = "gray"


class OwnColor(StrEnum):
    """Whether the result keeps the image's colour."""

    auto = "auto"
    gray = "gray"


Output = Annotated[
    Path,
    typer.Option(
        "--output",
        "-o",
        metavar="OUT",
        help="The file to write: .tif, .png or .jpg; its name says the format. Of many images, the "
        "folder of the results.",
        show_default=False,
    ),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace OUT if it is there.")]
Suffix = Annotated[
    str | None,
    typer.Option(
        metavar="SUFFIX",
        help="What the names of the results end in, which says their format: .tif, .png …",
        show_default="that of the first image of each; .png for JPEG",
        rich_help_panel=FOLDERS,
    ),
]
Pairs = Annotated[
    Path | None,
    typer.Option(
        metavar="CSV",
        help="A table of the pairs, with the columns a and b, and name for that of the result. Paths "
        "are relative to the table, or to two folders if these are given.",
        rich_help_panel=FOLDERS,
    ),
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Tell what would be made of what, and touch nothing.",
        rich_help_panel=FOLDERS,
    ),
]
Resume = Annotated[
    bool,
    typer.Option(
        "--resume",
        help="Leave results alone that are there already, made of the same images with the same "
        "options.",
        rich_help_panel=FOLDERS,
    ),
]
ReportFile = Annotated[
    Path | None,
    typer.Option(
        "--report",
        metavar="JSON",
        help="Write what became of each image, and how long it took, into this file.",
        rich_help_panel=FOLDERS,
    ),
]
TaskName = Annotated[
    str | None,
    typer.Option(
        metavar="TASK",
        help=f"What the two images are; a preset for intensity and colour: {', '.join(TASKS)}.",
        autocompletion=lambda: list(TASKS),
    ),
]
ModelName = Annotated[
    str,
    typer.Option(
        metavar="MODEL",
        help="A name that `gifnet models` lists, or the path of a checkpoint.",
        autocompletion=lambda: [model.name for model in list_models()],
    ),
]
ModelForCount = Annotated[
    str | None,
    typer.Option(
        metavar="MODEL",
        help="A name that `gifnet models` lists, a method without a network (mean, maximum, pyramid, "
        "mertens), or the path of a checkpoint.",
        show_default="gifnet for two images, gifnet-bands for more",
        autocompletion=lambda: [model.name for model in list_models()],
    ),
]
HeightMap = Annotated[
    Path | None,
    typer.Option(
        metavar="TIFF",
        help="Of focus planes: where along the axis each pixel comes from, as a second file.",
    ),
]
StackAxis = Annotated[
    str | None,
    typer.Option(
        metavar="LETTER",
        help="Of one file that holds a stack: the axis along which its planes lie.",
        show_default="Z, or the only one",
    ),
]
_POLICIES = (
    "How values become black to white: dtype (all of an integer type), minmax, percentile (0.1 to "
    "99.9), LOW,HIGH, or auto: as dtype for 8 bits and for floats within 0 and 1, else as minmax."
)
IntensityPolicy = Annotated[
    list[str] | None,
    typer.Option(
        metavar="POLICY",
        help=f"{_POLICIES} Given twice: for A, then for B.",
        show_default="auto",
    ),
]
OwnIntensityPolicy = Annotated[
    list[str] | None, typer.Option(metavar="POLICY", help=_POLICIES, show_default="auto")
]
ColorPolicy = Annotated[
    Color,
    typer.Option(
        help="Whose colour the result gets: auto takes that of whichever image has some, "
        "unless the task prefers one."
    ),
]
OwnColorPolicy = Annotated[OwnColor, typer.Option(help="Keep the image's colour, or drop it.")]
DtypeName = Annotated[
    str | None,
    typer.Option(
        metavar="DTYPE",
        help="What OUT holds: float32 in [0, 1], or uint8 or uint16 at full scale.",
        show_default="float32 for TIFF, uint8 for PNG and JPEG",
    ),
]
NoData = Annotated[
    float | None,
    typer.Option(
        metavar="VALUE",
        help="Pixels of this value are missing, as in scenes that do not fill their frame.",
        show_default="what a TIFF says of itself",
    ),
]
DeviceName = Annotated[
    str,
    typer.Option(
        metavar="DEVICE",
        help="auto, cpu, cuda, cuda:1, mps or xpu.",
        rich_help_panel=RUNNING,
    ),
]
Precision = Annotated[
    str,
    typer.Option(
        metavar="PRECISION",
        help=f"{', '.join(PRECISIONS[:-1])} or {PRECISIONS[-1]}.",
        rich_help_panel=RUNNING,
    ),
]
TileSize = Annotated[
    str,
    typer.Option(
        metavar="SIDE",
        help="Side of the tiles in pixels, auto, or none for all in one piece. It changes memory "
        "and speed, not the result.",
        rich_help_panel=RUNNING,
    ),
]

NormalizationOf = Annotated[
    str,
    typer.Option(
        metavar="OF",
        help="What the network normalises by: plane, as published, or stack, which keeps what "
        "stands still in a stack from flickering.",
        rich_help_panel=RUNNING,
    ),
]


def parse_intensity(texts: list[str] | None) -> Any:
    """Return ``intensity`` as the library takes it.

    Examples
    --------
    >>> parse_intensity(["percentile", "0,4095"])
    ('percentile', (0.0, 4095.0))
    """
    if not texts:
        return "auto"
    if len(texts) > 2:
        raise OptionError(
            f"--intensity was given {len(texts)} times: expected one for both images, or one for "
            "A and another for B."
        )
    policies = [_parse_policy(text) for text in texts]
    return policies[0] if len(policies) == 1 else tuple(policies)


def _parse_policy(text: str) -> Any:
    try:
        return tuple(float(number) for number in text.split(","))
    except ValueError:
        return text


def parse_suffix(text: str | None) -> str | None:
    """Return how the names of results end, checked, with the dot.

    Examples
    --------
    >>> parse_suffix("PNG"), parse_suffix(".ome.tif")
    ('.png', '.ome.tif')
    """
    if text is None:
        return None
    suffix = f".{text.lstrip('.').lower()}"
    if suffix.strip(".") and suffix.isprintable() and not {"/", "\\"} & set(suffix):
        find_format(Path(f"result{suffix}"))
        return suffix
    raise OptionError(f"--suffix {text} is not understood: expected .tif or another of a format.")


def parse_tile_size(text: str) -> Any:
    """Return ``tile_size`` as the library takes it.

    Examples
    --------
    >>> parse_tile_size("256"), parse_tile_size("none"), parse_tile_size("auto")
    (256, None, 'auto')
    """
    if text == "none":
        return None
    return int(text) if text.isdecimal() else text
