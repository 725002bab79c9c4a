"""Many planes in the shell: files of a plane each, or the planes of one file, into one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from napari_gifnet.errors import ImageError, OptionError
from napari_gifnet.files.formats import check_destination, check_format, write
from napari_gifnet.files.image_file import ImageFile
from napari_gifnet.files.lengths import Length
from napari_gifnet.files.matching import check_pixel_sizes

PLANES = "P"
"""Stands for the axis of files that are a plane each."""


@dataclass(frozen=True, eq=False)
class Stack:
    """Planes to be fused, and what the result keeps of them.

    Attributes
    ----------
    image : ImageFile
        Of all planes.
    axis : int
        Of `image.data`, along which the planes lie.
    """

    image: ImageFile
    axis: int

    @property
    def axes(self) -> str:
        """The letters of the result's axes, without colour."""
        axes = self.image.axes.removesuffix("S")
        return axes[: self.axis] + axes[self.axis + 1 :]

    @property
    def step(self) -> Length | None:
        """How far the planes lie apart, if the file says so."""
        return self.image.spacing.get(self.image.axes[self.axis])


def open_stack(images: list[ImageFile], paths: list[Path], axis: str | None) -> Stack:
    """Make a stack of files of one plane each, or of one file with several.

    Parameters
    ----------
    images : list of ImageFile
    paths : list of Path
        For messages.
    axis : str, optional
        The letter of the axis along which the planes of a single file lie: Z if it is not given, or
        the only one there is.

    Raises
    ------
    ImageError
        The files do not make a stack.
    OptionError
        There is no such axis, or which it is must be said.
    """
    if len(images) == 1:
        return _of_one_file(images[0], paths[0], axis)
    first = images[0]
    for path, image in zip(paths, images, strict=True):
        if image.data.shape != first.data.shape or image.axes != first.axes:
            raise ImageError(
                f"{path} has shape {image.data.shape}, {paths[0]} {first.data.shape}: expected "
                "planes of one size; crop or align them first."
            )
        check_pixel_sizes(first, image, (paths[0].name, path.name))
    masked = any(np.ma.isMaskedArray(image.data) for image in images)
    data = (np.ma.stack if masked else np.stack)([image.data for image in images])
    return Stack(replace(first, data=data, axes=PLANES + first.axes), 0)


def _of_one_file(image: ImageFile, path: Path, axis: str | None) -> Stack:
    letters = image.leading
    if not letters:
        raise OptionError(
            f"{path} holds one plane: expected two images or more, or a stack; gifnet enhance "
            "sharpens one."
        )
    chosen = axis.upper() if axis else "Z" if "Z" in letters else letters
    if len(chosen) > 1:
        raise OptionError(
            f"{path} has the axes {image.axes}: say with --axis along which the planes lie, "
            f"{' or '.join(letters)}."
        )
    if chosen not in letters:
        raise OptionError(
            f"--axis {axis} is none of {path}, which has the axes {image.axes}: expected "
            f"{' or '.join(letters)}."
        )
    return Stack(image, image.axes.index(chosen))


def check_height(path: Path, overwrite: bool, sources: list[Path], axes: str) -> None:
    """Raise FileError, before any work is done, if the height map cannot be written there."""
    check_destination(path, overwrite, sources)
    check_format(path, axes, np.dtype(np.float32))


def write_height(path: Path, index: np.ndarray, stack: Stack) -> str:
    """Write where along the axis each pixel comes from; return in words what it is.

    In the unit of the axis, from its first plane on, or in planes where the file has no unit.
    """
    step = stack.step
    if step is None:
        values, said = index, "height in planes, counted from 0"
    else:
        values = index * np.float32(step.value)
        said = f"height in {step.unit}, from the first plane on"
    spacing = {a: length for a, length in stack.image.spacing.items() if a in stack.axes}
    write(path, values, stack.axes, spacing=spacing, description=f"napari-gifnet: {said}")
    return said
