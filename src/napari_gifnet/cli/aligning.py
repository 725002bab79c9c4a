"""``gifnet align``, and the alignment of what other commands fuse."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from napari_gifnet import __version__
from napari_gifnet.errors import OptionError
from napari_gifnet.files import destinations
from napari_gifnet.files.formats import (
    ImageFile,
    check_destination,
    check_format,
    find_format,
    read,
    write,
)
from napari_gifnet.files.image_file import written_text

from .console import progress_bar
from .options import NoData, Overwrite

if TYPE_CHECKING:
    from napari_gifnet.alignment.result import Alignment
    from napari_gifnet.grids.world_grid import WorldGrid
    from napari_gifnet.planes.request import Request
    from napari_gifnet.progress import Progress


class Transform(StrEnum):
    """What an image may do to lie on another one."""

    shift = "shift"
    rigid = "rigid"
    similarity = "similarity"
    affine = "affine"


TransformName = Annotated[
    Transform,
    typer.Option(help="What MOVING may do: shift; turn, too; be magnified, too; be sheared, too."),
]
AlignFirst = Annotated[
    Transform | None,
    typer.Option(
        "--align",
        help="Lay A on B first, or the planes of a stack on each other: rigid for two images, "
        "similarity for planes that a lens was refocused between.",
        show_default=False,
    ),
]


def align(
    fixed: Annotated[Path, typer.Argument(metavar="FIXED", help="It stays.", show_default=False)],
    moving: Annotated[
        Path, typer.Argument(metavar="MOVING", help="It is laid on FIXED.", show_default=False)
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="OUT",
            help="MOVING on the grid of FIXED; its name says the format.",
            show_default=False,
        ),
    ] = None,
    transform: TransformName = Transform.rigid,
    save: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write the transform: .tfm for ITK's format, else a text matrix."
        ),
    ] = None,
    load: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Use a transform that was saved; nothing is searched."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Move the image although that cannot be trusted.")
    ] = False,
    nodata: NoData = None,
    overwrite: Overwrite = False,
) -> None:
    """Lay one image on another: planes or volumes, of one modality or of two.

    The sizes of pixels are those of the files, if both have some. Where the result cannot be trusted,
    a sentence says so, and nothing is written.

    \b
    Examples:
      gifnet align visible.png infrared.png -o moved.png --transform similarity
      gifnet align mri.tif pet.tif -o pet_on_mri.tif --save pet_to_mri.txt
      gifnet align mri.tif ct.tif -o ct_on_mri.tif --load pet_to_mri.txt
    """
    if output is None and save is None:
        raise OptionError("There is nothing to write: give -o OUT, --save FILE, or both.")
    sources = [fixed, moving, *([load] if load else [])]
    if output is not None:
        check_destination(output, overwrite, sources)
    if save is not None:
        destinations.check_destination(save, overwrite, sources)
    first, second = read(fixed, nodata=nodata), read(moving, nodata=nodata)
    if output is not None:
        as_it_is = second.data.dtype.kind in "iu"
        dtype = second.data.dtype if as_it_is else np.dtype(find_format(output).dtypes[0])
        check_format(output, second.axes, dtype)
    if load is not None:
        found = load_transform(load, first, second)
    else:
        with progress_bar("Aligning") as report:
            found = find(first, second, transform.value, report)
    check_trust(found, force)
    if output is not None:
        aligned = placed(first, second, found)
        description = (
            f"napari-gifnet {__version__}, {moving.name} on {fixed.name}: {describe(found)}"
        )
        values = np.ma.filled(aligned.data, 0) if np.ma.isMA(aligned.data) else aligned.data
        write(output, values, aligned.axes, like=aligned, description=description)
        typer.echo(written_text(f"{output}: {describe(found)}"))
    if save is not None:
        found.save(save)
        typer.echo(written_text(f"{save}: {describe(found)}"))


def align_onto(a: ImageFile, b: ImageFile, transform: str) -> tuple[ImageFile, str]:
    """Return A laid on B, on the grid of B, and what was done in words.

    Raises
    ------
    AlignmentError
        That cannot be trusted.
    """
    found = find(b, a, transform)
    check_trust(found, False)
    return placed(b, a, found), f"A laid on B, {describe(found)}"


def align_stack(request: Request, transform: str) -> tuple[Request, str]:
    """Return the request of a stack with its planes laid on each other, and what was done in words."""
    from napari_gifnet.alignment.stack import align_request

    request, found = align_request(request, transform, lambda done, total: None)
    sides = request.inputs[0].sides
    farthest = max(each.farthest(sides) for each in found.values())
    reference = next(iter(found.values())).reference
    said = f"planes laid on plane {reference}, from up to {farthest:.1f} pixels off"
    return request, said


def find(
    fixed: ImageFile, moving: ImageFile, transform: str, report: Progress | None = None
) -> Alignment:
    """Return where one image file belongs on another."""
    from napari_gifnet.alignment.run import align as align_images

    return align_images(
        fixed.data,
        moving.data,
        *grids_of(fixed, moving),
        transform=transform,
        rgb=(fixed.in_color, moving.in_color),
        progress=report,
    )


def load_transform(path: Path, fixed: ImageFile, moving: ImageFile) -> Alignment:
    """Return what a file says of where one image belongs on another."""
    from napari_gifnet.alignment.result import Alignment
    from napari_gifnet.alignment.run import describe as describe_movement

    _, grid = grids_of(fixed, moving)
    found = Alignment.load(path, grid.units)
    movement = describe_movement(found.matrix_for(grid.ndim, grid.units), grid)
    return replace(found, movement=movement)


def check_trust(found: Alignment, force: bool) -> None:
    """Raise AlignmentError where an alignment is not trusted, unless it is forced."""
    from napari_gifnet.errors import AlignmentError

    if not found.trusted and not force:
        raise AlignmentError(
            f"{found.reason.rstrip('.')}: nothing was moved; gifnet align --force moves it all the same."
        )


def describe(found: Alignment) -> str:
    """Return how far an image was moved, and why that is right, in words."""
    reason = found.reason.rstrip(".")
    return f"moved by {found.movement}; {reason[0].lower()}{reason[1:]}"


def placed(fixed: ImageFile, moving: ImageFile, found: Alignment) -> ImageFile:
    """Return an image where it belongs, on the grid of another; missing pixels are NaN or masked."""
    from napari_gifnet.grids.interpolation import computed
    from napari_gifnet.grids.resample import resample

    target, source = grids_of(fixed, moving)
    like = fixed.grid
    if target.ndim > source.ndim:  # a plane on a volume: on its planes
        n = source.ndim
        affine = np.eye(n + 1)
        affine[:-1] = target.matrix[-1 - n : -1, -1 - n :]
        target = type(target)(target.shape[-n:], affine=affine, units=target.units[-n:])
        like = None
    source = found.place(source)
    target = target.with_leading_axes_of(source)
    values = computed(resample(moving.data, source, target))
    spacing = {axis: n for axis, n in moving.spacing.items() if axis not in fixed.axes}
    spacing |= {axis: n for axis, n in fixed.spacing.items() if axis in moving.axes}
    return replace(
        moving,
        data=in_dtype(values, moving.data.dtype),
        spacing=spacing,
        grid=None if like is None else target,
        orientation=None if like is None else fixed.orientation,
        tags=fixed.tags,
    )


def in_dtype(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Return resampled values in the dtype that they come from; missing integers are masked."""
    if dtype.kind not in "iub":
        return values
    missing = np.isnan(values)
    limits = np.iinfo(dtype) if dtype.kind != "b" else None
    low, high = (limits.min, limits.max) if limits else (0, 1)
    whole = np.rint(np.where(missing, 0, values).astype(np.float64)).clip(low, high).astype(dtype)
    return np.ma.masked_array(whole, missing) if missing.any() else whole


def grids_of(first: ImageFile, second: ImageFile) -> tuple[WorldGrid, WorldGrid]:
    """Return the grids of two image files: their own, or in pixels where one has none."""
    from napari_gifnet.grids.units import is_unit, unit_factor
    from napari_gifnet.grids.world_grid import WorldGrid

    if first.grid is not None and second.grid is not None:
        return first.grid, second.grid
    letters = [image.axes.removesuffix("S") for image in (first, second)]
    grids: list[WorldGrid] = []
    for image, own in zip((first, second), letters, strict=True):
        scale, units = [], []
        for axis in own:
            lengths = [each.spacing.get(axis) for each in (first, second)]
            mine = image.spacing.get(axis)
            both = [length for length in lengths if length is not None and is_unit(length.unit)]
            known = len(both) == 2 and unit_factor(both[0].unit, both[1].unit) is not None
            alone = axis not in letters[0] or axis not in letters[1]
            if mine is not None and is_unit(mine.unit) and (known or alone):
                scale.append(mine.value)
                units.append(mine.unit)
            else:
                scale.append(1.0)
                units.append("pixel")
        shape = image.data.shape[: len(own)]
        grids.append(
            WorldGrid(shape, scale=scale, units=units, name="MOVING" if grids else "FIXED")
        )
    return grids[0], grids[1]


__all__ = ["AlignFirst", "align", "align_onto", "align_stack", "in_dtype"]
