"""Which results a command makes of the paths it is given: of files, folders, patterns, a table."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_gifnet.errors import OptionError, unreadable
from napari_gifnet.files.formats import FORMATS, FileError
from napari_gifnet.files.pairing import (
    expand_pattern,
    is_one_image,
    is_pattern,
    known_suffix,
    pair_folders,
    planes_in,
)
from napari_gifnet.planes.tasks import PANSHARPENING

from .case import Case, Kind

LOSSY = (".jpg", ".jpeg")
"""Results of such files are written as PNG, unless something else is asked for."""


@dataclass(frozen=True)
class Cases:
    """What a command is to make.

    Attributes
    ----------
    each : list of Case
    kind : {"image", "pair", "stack"}
    folder : Path or None
        Where the results go if there may be many; None for one result.
    """

    each: list[Case]
    kind: Kind
    folder: Path | None = None


def cases_of_fusion(
    paths: Sequence[Path],
    output: Path,
    task: str | None,
    pairs: Path | None = None,
    suffix: str | None = None,
    height: Path | None = None,
) -> Cases:
    """Find out what ``gifnet fuse`` is to make.

    Parameters
    ----------
    paths : sequence of Path
        Images, folders of them, or patterns.
    output : Path
        A file for one result, a folder for many.
    task : str, optional
    pairs : Path, optional
        A table with the columns a and b, and name if results are to be called otherwise than a.
    suffix : str, optional
        Of the results in a folder.
    height : Path, optional
        Of one stack.

    Raises
    ------
    FileError, OptionError
        It does not come out; the message says why.
    """
    bands = task == PANSHARPENING.name
    if pairs is not None:
        folder = _folder_for_many(output, [pairs, *paths])
        return Cases(_of_table(pairs, paths, folder, suffix), "pair", folder)
    if not paths:
        raise OptionError("No images were given: expected two, folders of them, or --pairs.")
    folders = [path for path in paths if is_folder_of_images(path)]
    if len(paths) == 1 and (folders or is_pattern(paths[0])):
        if not folders or known_suffix(output, FORMATS):
            _refuse_suffix(suffix)
            planes = _planes_of(paths[0], [path for path in (output, height) if path])
            case = Case(output.name, tuple(planes), output, height)
            return Cases([case], "pair" if bands else "stack")
        folder = _folder_for_many(output, paths)
        return Cases(_of_folders_of_planes(paths[0], folder, suffix), "stack", folder)
    if not folders:
        _refuse_suffix(suffix)
        images = [
            image
            for path in paths
            for image in (expand_pattern(path, FORMATS) if is_pattern(path) else [path])
        ]
        return Cases([Case(output.name, tuple(images), output, height)], _kind_of(images, bands))
    for path in paths:
        if path not in folders:
            raise FileError(f"{path} is no folder: expected only folders, or only images.")
    folder = _folder_for_many(output, paths)
    return Cases(_of_folders(paths, folder, suffix), _kind_of(paths, bands), folder)


def cases_of_enhancement(path: Path, output: Path, suffix: str | None = None) -> Cases:
    """Find out what ``gifnet enhance`` is to make of an image, or of a folder of them."""
    if not is_folder_of_images(path):
        _refuse_suffix(suffix)
        return Cases([Case(output.name, (path,), output)], "image")
    folder = _folder_for_many(output, [path])
    return Cases(_of_folders([path], folder, suffix), "image", folder)


def is_folder_of_images(path: Path) -> bool:
    """Whether a path is a folder that is not one image itself."""
    return path.is_dir() and not is_one_image(path, FORMATS)


def _kind_of(images: Sequence[Path], bands: bool) -> Kind:
    return "stack" if len(images) == 1 or (len(images) > 2 and not bands) else "pair"


def _planes_of(path: Path, made: Sequence[Path]) -> list[Path]:
    """Return the images of a folder or a pattern, without what a run before made of them."""
    found = expand_pattern(path, FORMATS) if is_pattern(path) else planes_in(path, FORMATS)
    results = [each.resolve() for each in made]
    planes = [plane for plane in found if plane.resolve() not in results]
    if not planes:
        raise FileError(f"{path} has no images: expected files that end in {', '.join(FORMATS)}.")
    return planes


def _folder_for_many(output: Path, read: Sequence[Path]) -> Path:
    """Return the folder of the results; raise FileError if it cannot be one."""
    if output.exists() and not output.is_dir():
        raise FileError(f"{output} is a file: expected a folder for the results of many images.")
    if known_suffix(output, FORMATS) and not output.exists():
        raise FileError(
            f"{output} is the name of a file: expected that of a folder for the results of many images."
        )
    for path in read:
        if output.exists() and path.exists() and output.samefile(path):
            raise FileError(f"{output} is a folder that is read: choose another for the results.")
    return output


def _of_folders(paths: Sequence[Path], folder: Path, suffix: str | None) -> list[Case]:
    scenes, alone = pair_folders(paths, FORMATS, without=folder)
    cases = {
        name: Case(name, images, _output(folder, name, images, suffix))
        for name, images in scenes.items()
    }
    for name, images in alone.items():
        missing = [str(path) for path in paths if not any(path in i.parents for i in images)]
        cases[name] = Case(
            name,
            images,
            _output(folder, name, images, suffix),
            trouble=f"{images[0]} has no partner: there is no image of its name in "
            f"{' and '.join(missing)}.",
        )
    return [cases[name] for name in sorted(cases)]


def _of_folders_of_planes(path: Path, folder: Path, suffix: str | None) -> list[Case]:
    within = sorted(
        each
        for each in path.iterdir()
        if is_folder_of_images(each) and each.name[0] != "." and each.resolve() != folder.resolve()
    )
    stacks = {each.name: tuple(planes_in(each, FORMATS)) for each in within}
    cases = [
        Case(name, planes, _output(folder, name, planes, suffix))
        for name, planes in stacks.items()
        if planes
    ]
    if cases:
        return cases
    planes = planes_in(path, FORMATS)
    raise FileError(
        f"{path} holds {len(planes)} images and no folders of planes: expected the name of a file, "
        f"as {folder}.tif, to fuse them into one."
        if planes
        else f"{path} has no images: expected files that end in {', '.join(FORMATS)}."
    )


def _of_table(table: Path, bases: Sequence[Path], folder: Path, suffix: str | None) -> list[Case]:
    if len(bases) not in (0, 2):
        raise OptionError(
            f"--pairs {table} came with {len(bases)} paths: expected none, for names that are "
            "relative to the table, or two folders."
        )
    base_a, base_b = bases or (table.parent, table.parent)
    cases: dict[str, Case] = {}
    for number, row in _rows_of(table):
        a, b = base_a / row["a"], base_b / row["b"]
        name = row.get("name") or _stem(a)
        own_suffix = known_suffix(Path(name), FORMATS)
        name = name[: -len(own_suffix)] if own_suffix else name
        if name in cases:
            raise FileError(
                f"Row {number} of {table} makes {name}, as another does: expected names that differ, "
                "in a column called name."
            )
        trouble = None
        if not (row["a"] and row["b"]):
            trouble = f"Row {number} of {table} names one image: expected a and b."
        elif Path(name).is_absolute() or ".." in Path(name).parts:
            trouble = f"Row {number} of {table} makes {name}, which lies outside of {folder}."
        safe = name if trouble is None else f"row {number}"
        output = _output(folder, safe, (a, b), suffix or own_suffix)
        cases[name] = Case(safe, (a, b), output, trouble=trouble)
    return list(cases.values())


def _rows_of(table: Path) -> list[tuple[int, dict[str, str]]]:
    """Return the rows by the names of their columns, each with the number of its line."""
    try:
        text = table.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text in UTF-8"
        raise FileError(unreadable(table, reason)) from error
    header = text.partition("\n")[0]
    delimiter = max(",;\t", key=header.count)
    reader = csv.reader(text.splitlines(), delimiter=delimiter)
    lines = [(reader.line_num, [cell.strip() for cell in line]) for line in reader if any(line)]
    names = [name.lower() for name in lines[0][1]] if lines else []
    if not {"a", "b"} <= set(names):
        raise FileError(
            f"{table} begins with {header.strip()!r}: expected a first line that names the columns a "
            "and b, and perhaps name."
        )
    if len(lines) == 1:
        raise FileError(f"{table} names no images: expected a line for each pair.")
    padding = [""] * len(names)
    return [
        (number, dict(zip(names, [*line, *padding], strict=False))) for number, line in lines[1:]
    ]


def _stem(path: Path) -> str:
    suffix = known_suffix(path, FORMATS)
    return path.name[: -len(suffix)] if suffix else path.stem


def _output(folder: Path, name: str, images: Sequence[Path], suffix: str | None) -> Path:
    return folder / f"{name}{suffix or _suffix_like(images)}"


def _suffix_like(images: Sequence[Path]) -> str:
    """Return the suffix of the first image whose format can be written, and loses nothing."""
    suffixes = [known_suffix(image, FORMATS) for image in images]
    for suffix in suffixes:
        if suffix and FORMATS[suffix].dtypes:
            return ".png" if suffix in LOSSY else suffix
    return ".tif"


def _refuse_suffix(suffix: str | None) -> None:
    if suffix is not None:
        raise OptionError(
            "--suffix is of many results: the name of one says its format; leave it out."
        )
