"""The pictures that training samples are cut from: registered pairs, and photographs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_gifnet.errors import ImageError
from napari_gifnet.files.formats import FORMATS, read
from napari_gifnet.files.pairing import pair_folders
from napari_gifnet.planes.ranges import measure_range, to_unit

Plane = np.ndarray

LUMA = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True)
class Scenes:
    """The pictures that patches are cut from, as uint8: pairs of planes, and photographs (Y, X, 3)."""

    pairs: Sequence[tuple[Plane, Plane]]
    photographs: Sequence[Plane]


def read_picture(path: Path, longest: int | None = None) -> Plane:
    """Read a picture as uint8 (Y, X) or (Y, X, 3), reduced so that no side exceeds `longest`.

    Other dtypes than uint8 are scaled as `fuse` scales them: floats within [0, 1] as they are, all else
    from the least of its values to the greatest. Pixels that are not finite are black.
    """
    from PIL import Image

    file = read(path)
    if file.axes.removesuffix("S") != "YX":
        raise ImageError(
            f"{path} is a stack of axes {file.axes}: expected pictures of one plane to train on."
        )
    unit = to_unit(file.data, measure_range(file.data, "auto", str(path)))
    picture = np.round(np.nan_to_num(unit) * 255).astype(np.uint8)
    if longest and max(picture.shape[:2]) > longest:
        image = Image.fromarray(picture)
        image.thumbnail((longest, longest), Image.Resampling.LANCZOS)
        picture = np.asarray(image)
    return picture


def luma(picture: Plane) -> Plane:
    """(Y, X) or (Y, X, 3) uint8 → float32 (Y, X) in [0, 1]."""
    plane = picture.astype(np.float32)
    return (plane @ LUMA if plane.ndim == 3 else plane) / 255


def pictures_in(folder: Path) -> list[Path]:
    """Return the pictures in a folder and below, in a fixed order."""
    if not folder.is_dir():
        raise ImageError(f"There is no folder {folder}; expected one that holds pictures.")
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in FORMATS)


def load_scenes(
    pairs: Path | None = None,
    photographs: Sequence[Path] = (),
    *,
    hold_out: int = 10,
    held_out: bool = False,
) -> Scenes:
    """Read a training set into memory.

    Parameters
    ----------
    pairs : Path, optional
        A folder with subfolders ``a`` and ``b``: registered pairs under the same names, in the same
        subfolders of the two if there are any. Where there is ``b_highres``, its pictures serve as
        photographs too.
    photographs : sequence of Path
        Folders of photographs. Without any, the pairs' detail sides stand in for them.
    hold_out : int
        One scene in so many is kept aside for validation.
    held_out : bool
        Return those kept aside, rather than the others.

    Raises
    ------
    ImageError
        There is nothing to train on, a pair differs in size, or a file is a stack.
    FileError
        A folder is missing, two pictures have the same name, or a file cannot be read.
    """

    def kept(paths: list) -> list:
        return [p for i, p in enumerate(paths) if (i % hold_out == hold_out - 1) == held_out]

    planes, pictures = [], []
    if pairs is not None:
        matches = pair_folders([pairs / "a", pairs / "b"], FORMATS)
        for name, paths in kept([*matches.scenes.items()]):
            a, b = (np.round(luma(read_picture(p)) * 255).astype(np.uint8) for p in paths)
            if a.shape != b.shape:
                raise ImageError(
                    f"The pair {name!r} has sizes {a.shape} and {b.shape}; "
                    "expected the same size: register the two first."
                )
            planes.append((a, b))
        if (pairs / "b_highres").is_dir():
            pictures += [read_picture(p, 800) for p in kept(pictures_in(pairs / "b_highres"))]
    for folder in photographs:
        pictures += [read_picture(p, 1000) for p in kept(pictures_in(folder))]
    if not pictures:
        pictures = [b for _, b in planes]
    pictures = [p if p.ndim == 3 else np.stack([p] * 3, -1) for p in pictures]
    if not planes and not pictures:
        raise ImageError("There is nothing to train on: expected pairs or photographs, found none.")
    return Scenes(planes, pictures)
