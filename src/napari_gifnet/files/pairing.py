"""Folders of images: which of their images belong together, and in which order planes come."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from napari_gifnet.errors import unreadable

from .dicom import is_dicom
from .image_file import FileError

__all__ = [
    "Matches",
    "expand_pattern",
    "is_one_image",
    "is_pattern",
    "known_suffix",
    "natural_order",
    "pair_folders",
    "planes_in",
]


DICOM = ".dcm"
"""The suffix of the files of a series, whose folder is one image."""


class Matches(NamedTuple):
    """The images that belong together, and those that are alone.

    Attributes
    ----------
    scenes : dict
        From the name of a scene, such as "street/0001", to its files, one of each folder.
    alone : dict
        From the names that are not in every folder to the files that there are.
    """

    scenes: dict[str, tuple[Path, ...]]
    alone: dict[str, tuple[Path, ...]]


def pair_folders(
    folders: Sequence[Path], suffixes: Collection[str], *, without: Path | None = None
) -> Matches:
    """Match the images of several folders by their places in them and their names.

    Subfolders are part of a name, suffixes are not: ``a/day/1.png`` goes with ``b/day/1.tif``, and
    with nothing of ``b/night``. A subfolder that is one image, as a DICOM series, is one by its name.
    What begins with a dot is left out.

    Parameters
    ----------
    folders : sequence of Path
        One alone has all its images by name.
    suffixes : collection of str
        Those of images, in lower case, as ".png".
    without : Path, optional
        A folder whose images are left out, where it lies in one of the others.

    Returns
    -------
    Matches
        Sorted by name.

    Raises
    ------
    FileError
        There is no such folder, two of its files have one name, or nothing belongs together.
    """
    found = [_images_by_name(folder, suffixes, without) for folder in folders]
    shared = sorted(set.intersection(*map(set, found)))
    if not shared:
        named = ", ".join(map(str, folders))
        raise FileError(
            f"{named} has no images: expected files that end in {', '.join(suffixes)}."
            if len(folders) == 1
            else f"{named} have no images of the same name (the suffix aside): give what belongs "
            "together one name, or say the pairs in a table."
        )
    alone = sorted(set.union(*map(set, found)) - set(shared))
    return Matches(
        {name: tuple(images[name] for images in found) for name in shared},
        {name: tuple(images[name] for images in found if name in images) for name in alone},
    )


def planes_in(folder: Path, suffixes: Collection[str]) -> list[Path]:
    """Return the images that lie in a folder itself, in natural order."""
    try:
        files = [path for path in folder.iterdir() if path.is_file()]
    except OSError as error:
        raise FileError(unreadable(folder, error.strerror)) from error
    return natural_order(
        path for path in files if known_suffix(path, suffixes) and path.name[0] != "."
    )


def is_pattern(path: Path) -> bool:
    """Whether a path has ``*``, ``?`` or ``[`` in it, and is not the name of anything."""
    return any(sign in str(path) for sign in "*?[") and not path.exists()


def expand_pattern(pattern: Path, suffixes: Collection[str]) -> list[Path]:
    """Return the images whose paths fit a pattern such as ``planes/*.tif``, in natural order.

    Raises
    ------
    FileError
        There is none.
    """
    start = Path(pattern.anchor)
    try:
        fitting = list(start.glob(str(pattern.relative_to(pattern.anchor))))
    except (OSError, ValueError, NotImplementedError) as error:
        raise FileError(
            f"{pattern} is no pattern of file names ({error}): expected one as planes/*.tif."
        ) from error
    planes = natural_order(path for path in fitting if known_suffix(path, suffixes))
    if not planes:
        raise FileError(f"No images fit the pattern {pattern}: expected names as in planes/*.tif.")
    return planes


def known_suffix(path: Path, suffixes: Collection[str]) -> str | None:
    """Return how a name ends, as one of the suffixes; None if it ends in none of them.

    Examples
    --------
    >>> known_suffix(Path("brain.NII.GZ"), [".gz", ".nii.gz"])
    '.nii.gz'
    """
    name = path.name.lower()
    ends = (suffix for suffix in suffixes if name.endswith(suffix) and name != suffix)
    return max(ends, key=len, default=None)


def natural_order(paths: Iterable[Path]) -> list[Path]:
    """Sort paths as people do: numbers in names by their values.

    Examples
    --------
    >>> [path.name for path in natural_order(map(Path, ["p10.png", "p9.png", "a.png"]))]
    ['a.png', 'p9.png', 'p10.png']
    """

    def key(path: Path) -> tuple[list[tuple[int, int, str]], str]:
        parts = re.split(r"(\d+)", str(path).lower())
        numbered = [
            (1, int(part), "") if place % 2 else (0, 0, part) for place, part in enumerate(parts)
        ]
        return numbered, str(path)

    return sorted(paths, key=key)


def is_one_image(folder: Path, suffixes: Collection[str]) -> bool:
    """Whether a folder is one image: a Zarr, or the files of a DICOM series."""
    if (known_suffix(folder, suffixes) or "").endswith(".zarr"):
        return True
    if DICOM not in suffixes:
        return False
    try:
        files = sorted(path for path in folder.iterdir() if path.is_file() and path.name[0] != ".")
        known = [known_suffix(path, suffixes) for path in files]
        if any(known):
            return set(filter(None, known)) == {DICOM}
        return any(is_dicom(path) for path in files[:3])
    except OSError:
        return False


def _images_by_name(
    folder: Path, suffixes: Collection[str], without: Path | None
) -> dict[str, Path]:
    if not folder.is_dir():
        raise FileError(f"There is no folder {folder}: expected one that holds images.")
    images: dict[str, Path] = {}
    for path in _images_within(folder, suffixes, without.resolve() if without else None):
        inside = path.relative_to(folder).as_posix()
        suffix = known_suffix(path, suffixes) or ""
        name = inside.removesuffix(inside[len(inside) - len(suffix) :])
        if name in images:
            raise FileError(f"{images[name]} and {path} have one name: expected one image a scene.")
        images[name] = path
    return images


def _images_within(folder: Path, suffixes: Collection[str], without: Path | None) -> Iterator[Path]:
    """Yield the images of a folder and its subfolders, but not of those behind links."""
    try:
        within = sorted(folder.iterdir())
    except OSError as error:
        raise FileError(unreadable(folder, error.strerror)) from error
    for path in within:
        if path.name[0] == ".":
            continue
        if path.is_dir():
            if is_one_image(path, suffixes):
                yield path
            elif not path.is_symlink() and path.resolve() != without:
                yield from _images_within(path, suffixes, without)
        elif path.is_file() and known_suffix(path, suffixes):
            yield path
