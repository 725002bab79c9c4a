"""Two image files side by side: their axes by letter, and whether their pixels are of one size."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from napari_gifnet.errors import ImageError

from .image_file import ImageFile
from .lengths import convert

__all__ = ["align_axes", "check_pixel_sizes"]

_UNNAMED = "IQ"
"""The letters of axes of which a file does not say what they are."""

_SIZE_TOLERANCE = 0.005
"""Headers round their numbers; over 1000 pixels this is 5."""


def align_axes(
    first: ImageFile, second: ImageFile, names: tuple[str, str] = ("A", "B")
) -> tuple[ImageFile, ImageFile]:
    """Bring the axes in front of the planes of two images under each other, by their letters.

    An axis that a file does not name goes with whichever the other image has in its place. What
    only one of the two has, all planes of the other share.

    Parameters
    ----------
    first, second : ImageFile
    names : pair of str
        What an error calls them.

    Returns
    -------
    pair of ImageFile
        Their arrays broadcast against each other as numpy has it.

    Raises
    ------
    ImageError
        It is not clear which axis goes with which, or their lengths differ.
    """
    first, second = _without_single(first, second.leading), _without_single(second, first.leading)
    if not (first.leading and second.leading) or first.leading == second.leading:
        _check_lengths(first, second, names)
        return first, second
    for image, name in ((first, names[0]), (second, names[1])):
        if len(set(image.leading)) < len(image.leading):
            raise ImageError(
                f"{name} has axes {image.axes}, of which some cannot be told apart: expected each "
                "letter once; save it with named axes."
            )
    first, second = _name_unnamed(first, second)
    ours, theirs = set(first.leading), set(second.leading)
    if ours - theirs and theirs - ours:
        raise ImageError(
            f"{names[0]} is a stack along {_words(first)} and {names[1]} along {_words(second)}: "
            "expected the same axes, or one plane for a whole stack."
        )
    order = max(first.leading, second.leading, key=len)
    first, second = _in_order(first, order), _in_order(second, order)
    _check_lengths(first, second, names)
    return first, second


def check_pixel_sizes(
    first: ImageFile, second: ImageFile, names: tuple[str, str] = ("A", "B")
) -> None:
    """Raise ImageError if two images of one shape say that they show areas of different sizes.

    Inches are left out: they are the resolution of a print, which says nothing about the scene.
    """
    for axis in "TZYX":
        if axis not in first.spacing or axis not in second.spacing:
            continue
        ours, theirs = first.spacing[axis], second.spacing[axis]
        other = convert(theirs, ours.unit)
        lengths = [image.data.shape[image.axes.index(axis)] for image in (first, second)]
        if "inch" in (ours.unit, theirs.unit) or other is None or lengths[0] != lengths[1]:
            continue
        if abs(other - ours.value) > _SIZE_TOLERANCE * max(other, ours.value):
            raise ImageError(
                f"{names[0]} has {ours.value:.6g} {ours.unit} between its pixels along {axis}, "
                f"{names[1]} {theirs.value:.6g} {theirs.unit}: expected images on the same grid; "
                "correct the one that is wrong, or let gifnet fuse --grid resample one onto the other's."
            )


def _without_single(image: ImageFile, kept: str) -> ImageFile:
    """Return the image without axes of length 1 that the other does not have."""
    gone = [
        place
        for place, axis in enumerate(image.leading)
        if image.data.shape[place] == 1 and axis not in kept
    ]
    axes = "".join(axis for place, axis in enumerate(image.axes) if place not in gone)
    return replace(image, data=np.squeeze(image.data, tuple(gone)), axes=axes) if gone else image


def _name_unnamed(first: ImageFile, second: ImageFile) -> tuple[ImageFile, ImageFile]:
    """Give axes that one file does not name the letters of those of the other, where they fit."""
    ours = [axis for axis in first.leading if axis not in second.leading]
    theirs = [axis for axis in second.leading if axis not in first.leading]
    for mine, other in zip(ours, theirs, strict=False) if len(ours) == len(theirs) else ():
        if mine in _UNNAMED:
            first = replace(first, axes=first.axes.replace(mine, other))
        elif other in _UNNAMED:
            second = replace(second, axes=second.axes.replace(other, mine))
    return first, second


def _in_order(image: ImageFile, order: str) -> ImageFile:
    own = image.leading
    places = [own.index(axis) for axis in order if axis in own]
    data = image.data.transpose([*places, *range(len(own), image.data.ndim)])
    for place, axis in enumerate(order):
        if axis not in own:
            data = np.expand_dims(data, place)
    return replace(image, data=data, axes=order + image.axes[len(own) :])


def _check_lengths(first: ImageFile, second: ImageFile, names: tuple[str, str]) -> None:
    for place, axis in enumerate(first.leading if second.leading else ""):
        ours, theirs = first.data.shape[place], second.data.shape[place]
        if ours != theirs and 1 not in (ours, theirs):
            raise ImageError(
                f"{names[0]} has {ours} planes along {axis}, {names[1]} {theirs}: expected stacks of "
                "the same length, or one plane for a whole stack."
            )


def _words(image: ImageFile) -> str:
    return " and ".join(image.leading)
