"""Folders side by side: which of their images belong together."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

from .image_file import FileError

__all__ = ["Matches", "pair_folders"]


class Matches(NamedTuple):
    """The images that belong together, and those that are alone.

    Attributes
    ----------
    scenes : dict
        From the name of a scene, such as "street/0001", to its files, one of each folder.
    alone : list of str
        The names that are not in every folder.
    """

    scenes: dict[str, tuple[Path, ...]]
    alone: list[str]


def pair_folders(folders: Sequence[Path], suffixes: Collection[str]) -> Matches:
    """Match the images of several folders by their places in them and their names.

    Subfolders are part of a name, suffixes are not: ``a/day/1.png`` goes with ``b/day/1.tif``, and
    with nothing of ``b/night``. What begins with a dot is left out.

    Parameters
    ----------
    folders : sequence of Path
    suffixes : collection of str
        Those of images, in lower case, as ".png".

    Returns
    -------
    Matches
        Sorted by name.

    Raises
    ------
    FileError
        There is no such folder, two of its files have one name, or nothing belongs together.
    """
    found = [_images_by_name(folder, suffixes) for folder in folders]
    shared = sorted(set.intersection(*map(set, found)))
    if not shared:
        raise FileError(
            f"{', '.join(map(str, folders))} have no images of the same name (the suffix aside)."
        )
    alone = sorted(set.union(*map(set, found)) - set(shared))
    return Matches({name: tuple(images[name] for images in found) for name in shared}, alone)


def _images_by_name(folder: Path, suffixes: Collection[str]) -> dict[str, Path]:
    if not folder.is_dir():
        raise FileError(f"There is no folder {folder}: expected one that holds images.")
    images: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if path.suffix.lower() not in suffixes or any(part[0] == "." for part in inside.parts):
            continue
        if not path.is_file():
            continue
        name = inside.with_suffix("").as_posix()
        if name in images:
            raise FileError(f"{images[name]} and {path} have one name: expected one image a scene.")
        images[name] = path
    return images
