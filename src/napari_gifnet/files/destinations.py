"""Names of files to be written: checked before the work, given when a file is complete."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from .image_file import FileError, full_suffix

__all__ = [
    "NoRoomError",
    "cannot_write",
    "check_destination",
    "check_replaceable",
    "complete_file",
    "make_folder",
]

_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}


class NoRoomError(FileError):
    """A file cannot be written since its disk is full."""


def check_destination(
    path: Path,
    overwrite: bool = False,
    sources: Sequence[Path] = (),
    *,
    replaces_folder: bool = False,
) -> None:
    """Raise FileError, before any work is done, if a file of that name cannot be written.

    Parameters
    ----------
    path : Path
    overwrite : bool
        Whether a file of that name may be replaced.
    sources : sequence of Path
        The files that are read, none of which is replaced.
    replaces_folder : bool
        What is written is a folder, and the one that is there is of its kind.
    """
    check_replaceable(path, overwrite, sources, replaces_folder=replaces_folder)
    folder = path.parent
    if not folder.is_dir():
        above = next((part for part in (folder, *folder.parents) if part.exists()), folder)
        if above.exists() and not above.is_dir():
            raise FileError(f"{above} is a file and no folder: choose another name.")
        raise FileError(f"The folder {folder} does not exist: make it first.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise FileError(f"The folder {folder} cannot be written to: choose another.")
    try:
        _check_name(path)
    except (OSError, ValueError) as error:
        raise cannot_write(path, error) from error


def check_replaceable(
    path: Path,
    overwrite: bool = False,
    sources: Sequence[Path] = (),
    *,
    replaces_folder: bool = False,
) -> None:
    """Raise FileError if what is under a name must stay there; nothing is touched to find out."""
    try:
        there = os.path.lexists(path)
        if path.is_dir() and not replaces_folder:
            raise FileError(f"{path} is a folder: expected the name of a file.")
        if there:
            os.lstat(path)
    except (OSError, ValueError) as error:
        raise cannot_write(path, error) from error
    if there and not path.exists():
        raise FileError(f"{path} is a link to a file that is not there: choose another name.")
    if there and any(source.exists() and path.samefile(source) for source in sources):
        raise FileError(f"{path} is one of the images that are read: choose another name.")
    if there and not (path.is_dir() if replaces_folder else path.is_file()):
        raise FileError(f"{path} is no ordinary file: choose another name.")
    if there and not overwrite:
        raise FileError(f"{path} exists already: choose another name, or add --overwrite.")


def make_folder(path: Path) -> None:
    """Make a folder, and those it lies in, unless it is there; raise FileError if that fails."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise FileError(
            f"The folder {path} cannot be made: {reason}; choose another place."
        ) from error


@contextmanager
def complete_file(path: Path) -> Iterator[Path]:
    """Yield a name beside `path`, and move the file or folder written there to it if all went well.

    The temporary name is short, whatever the length of the other, and ends in the same suffix.
    """
    temporary, former = _temporary_name(path), _temporary_name(path)
    try:
        yield temporary
        if temporary.is_dir() and path.is_dir():
            path.replace(former)  # a folder takes the place of none that holds something
        temporary.replace(path)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        if former.is_dir() and not path.exists():
            former.replace(path)
        for left in (temporary, former):
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
            with contextlib.suppress(OSError):
                left.unlink(missing_ok=True)


def _check_name(path: Path) -> None:
    """Make a file of that name, or where there is one a file beside it, and take it away again."""
    name = _temporary_name(path) if os.path.lexists(path) else path
    made = os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    try:
        os.close(made)
    finally:
        name.unlink()


def _temporary_name(path: Path) -> Path:
    return path.with_name(f".{os.getpid():x}{secrets.token_hex(3)}{full_suffix(path)}")


def cannot_write(path: Path, error: Exception) -> FileError:
    """Return what to raise of a file that could not be written."""
    number = getattr(error, "errno", None)
    if number == errno.ENAMETOOLONG:
        return FileError(f"{path.name} is too long a name for a file here: choose a shorter one.")
    # NumPy's error of a file that takes no more has neither a number nor a reason
    full = number in _FULL or (isinstance(error, OSError) and number is None)
    reason = getattr(error, "strerror", None) or (
        "there is no space for all of it" if full else str(error)
    )
    return (NoRoomError if full else FileError)(f"{path} cannot be written: {reason}.")
