"""Two image files to be fused: pixel by pixel where they share a grid, else one on the other's."""

from __future__ import annotations

from dataclasses import dataclass, replace

from napari_gifnet.errors import ImageError
from napari_gifnet.planes.image import ImagePlanes, format_sides, open_image
from napari_gifnet.planes.tasks import PANSHARPENING

from .image_file import ImageFile
from .kept_tags import differ_on_the_ground
from .matching import align_axes, check_pixel_sizes
from .orientation import SPATIAL

__all__ = ["FilePair", "on_two_grids", "place_pair"]


@dataclass(frozen=True, eq=False)
class FilePair:
    """Two images side by side, and what their result keeps of them.

    Attributes
    ----------
    inputs : pair of ImagePlanes
        Their planes on one grid.
    axes : str
        The letters of the result's axes, without colour.
    like : ImageFile
        The one on whose grid the result lies, with the spacing of both.
    notes : tuple of str
        What was done about their grids, in words.
    """

    inputs: tuple[ImagePlanes, ImagePlanes]
    axes: str
    like: ImageFile
    notes: tuple[str, ...] = ()


def on_two_grids(a: ImageFile, b: ImageFile) -> bool:
    """Whether both images say where their pixels lie, and it is not the same place."""
    from napari_gifnet.grids.pairs import same_grid

    return a.grid is not None and b.grid is not None and not same_grid(a.grid, b.grid)


def place_pair(
    a: ImageFile,
    b: ImageFile,
    names: tuple[str, str],
    *,
    grid: str = "auto",
    interpolation: str = "linear",
    task: str | None = None,
) -> FilePair:
    """Bring two images onto one grid.

    Parameters
    ----------
    a, b : ImageFile
        The bands of pansharpening are on the panchromatic image's grid already.
    names : pair of str
        Of the files.
    grid : {"auto", "a", "b", "finer"}
        Whose grid the result is on, where they differ: as for `napari_gifnet.viewer.fuse_layers`.
    interpolation : {"linear", "cubic"}
        Of the image that is brought onto the other's grid.
    task : str, optional
        The preset.

    Raises
    ------
    ImageError
        They do not overlap, or their axes do not fit each other.
    OptionError
        `grid` or `interpolation` is not understood.
    """
    if task != PANSHARPENING.name and on_two_grids(a, b):
        if grid == "auto" and not (a.says_where or b.says_where):
            _check_sizes(a, b, names)
        return _resampled(a, b, names, grid, interpolation, task)
    note = _missing_place(a, b, names)
    if task != PANSHARPENING.name:
        check_pixel_sizes(a, b, names)
    first, second = align_axes(a, b, names)
    inputs = (
        open_image(first.data, first.in_color, "A"),
        open_image(second.data, second.in_color, "B"),
    )
    other, like = sorted((a, b), key=lambda image: image.grid.ndim if image.grid else 0)
    notes = [note] if note else []
    if differ_on_the_ground(a.tags, b.tags):
        notes.append("A and B lie elsewhere on the ground by their tags and are taken as aligned")
    longer = max(first.axes.removesuffix("S"), second.axes.removesuffix("S"), key=len)
    spacing = first.spacing | second.spacing
    tags = {**other.tags, **like.tags}
    like = replace(like, spacing=spacing, tags=tags, profile=_profile(like, other))
    return FilePair(inputs, longer, like, tuple(notes))


def _profile(like: ImageFile, other: ImageFile) -> bytes | None:
    """Return the profile of the image in colour; of two, or none, that on whose grid the result is."""
    in_color = [image for image in (like, other) if image.in_color] or [like]
    return in_color[0].profile


def _check_sizes(a: ImageFile, b: ImageFile, names: tuple[str, str]) -> None:
    """Refuse images of one shape that have sizes of pixels only, and not the same ones.

    One of the headers is wrong, more likely than not.
    """
    count = sum(axis in a.axes for axis in SPATIAL)
    shapes = [image.data.shape[: len(image.axes.removesuffix("S"))][-count:] for image in (a, b)]
    if shapes[0] == shapes[1]:
        check_pixel_sizes(a, b, names)


def _missing_place(a: ImageFile, b: ImageFile, names: tuple[str, str]) -> str | None:
    """Return a sentence on an image without a place beside one that has one; refuse what differs."""
    for image, other, letter, name, placed in ((a, b, "A", *names), (b, a, "B", *names[::-1])):
        if image.grid is not None or other.grid is None:
            continue
        if image.sides != other.sides:
            raise ImageError(
                f"{name} ({letter}) does not say where its pixels lie, and has planes of "
                f"{format_sides(image.sides)} where {placed} has {format_sides(other.sides)}: "
                "expected images on the same grid, or files that both have sizes of pixels."
            )
        if other.says_where:
            return f"{letter} does not say where it lies and is taken to lie as the other"
    return None


def _resampled(
    a: ImageFile,
    b: ImageFile,
    names: tuple[str, str],
    choice: str,
    interpolation: str,
    task: str | None,
) -> FilePair:
    from napari_gifnet.placed import (
        PlacedImage,
        choose_grid,
        describe_grids,
        interpolation_order,
    )

    order = interpolation_order(interpolation)
    _check_axes(a, b, names)
    assert a.grid is not None and b.grid is not None  # noqa: PT018
    first = PlacedImage("A", a.data, a.grid, a.in_color, None, None)
    second = PlacedImage("B", b.data, b.grid, b.in_color, None, None)
    grid, is_first, note = choose_grid(first.grid, second.grid, choice, task)
    like, other = (a, b) if is_first else (b, a)
    region = tuple(slice(0, n) for n in grid.shape)
    axes = grid.ndim - 2, grid.ndim - 1
    inputs = (
        first.planes_on(grid, region, axes, order),
        second.planes_on(grid, region, axes, order),
    )
    notes = [describe_grids((first, second), grid, interpolation)]
    if note:
        notes.append(note)
    own, others = like.axes.removesuffix("S"), other.axes.removesuffix("S")
    letters = max(own, others, key=len)
    spacing = {axis: n for axis, n in (other.spacing | like.spacing).items() if axis in letters}
    like = replace(like, grid=grid, spacing=spacing, profile=_profile(like, other))
    return FilePair(inputs, letters, like, tuple(notes))


def _check_axes(a: ImageFile, b: ImageFile, names: tuple[str, str]) -> None:
    """Raise ImageError unless the axes are the same ones, or one image has some more in front."""
    own, others = a.axes.removesuffix("S"), b.axes.removesuffix("S")
    if not (own.endswith(others) or others.endswith(own)):
        raise ImageError(
            f"{names[0]} has the axes {own} and {names[1]} {others}, on two grids: expected the same "
            "axes in the same order, or one plane or volume for a whole stack."
        )
    for axis in set(own) & set(others) - set(SPATIAL):
        ours, theirs = (image.data.shape[image.axes.index(axis)] for image in (a, b))
        if ours != theirs:
            raise ImageError(
                f"{names[0]} has {ours} planes along {axis}, {names[1]} {theirs}: expected stacks of "
                "the same length, or one volume for a whole stack."
            )
