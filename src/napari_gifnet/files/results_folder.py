"""A folder of results that several runs may fill: who makes which, and which of them are finished.

Each result is made in a folder of its own inside the hidden folder ``.gifnet``, and moved to its
place when it is complete. What it was made of is written down just before that, so that whatever
moment a run is stopped at, a record without its result, and never the opposite, may be left.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from napari_gifnet.errors import unreadable

from .destinations import cannot_write, make_folder
from .image_file import FileError, written_text

__all__ = ["ResultsFolder", "identity"]

HIDDEN = ".gifnet"
"""Holds the records, the claims, and what is not complete."""

_BLOCK_BYTES = 1 << 20


class ResultsFolder:
    """The results of a command that makes many.

    Parameters
    ----------
    path : Path
        It is made when a run begins.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._hidden = path / HIDDEN

    @contextmanager
    def claim(self, output: Path) -> Iterator[bool]:
        """Have a result to oneself during the block; yield False if another run has it.

        The system takes a claim back when a process ends, however that comes about.
        """
        from filelock import FileLock, Timeout

        make_folder(self._hidden)
        lock = FileLock(self._file_of(output, ".lock"))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            yield False
            return
        except OSError as error:
            raise FileError(
                f"{output} cannot be claimed: {error.strerror}; choose another place."
            ) from error
        try:
            yield True
        finally:
            lock.release()

    @contextmanager
    def workshop(self, output: Path) -> Iterator[Path]:
        """Yield an empty folder to make a result in, and take it away after the block."""
        folder = self._file_of(output, ".part")
        shutil.rmtree(folder, ignore_errors=True)
        make_folder(folder)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def begin(self) -> None:
        """Make the folder, and take away what runs that were killed have left in it."""
        make_folder(self._hidden)
        self.sweep()

    def sweep(self) -> None:
        """Take away what is not complete and belongs to no run any more."""
        from filelock import FileLock, Timeout

        for folder in self._hidden.glob("*.part"):
            lock = FileLock(folder.with_suffix(".lock"))
            with suppress(Timeout, OSError):
                lock.acquire(timeout=0)
                try:
                    shutil.rmtree(folder, ignore_errors=True)
                finally:
                    lock.release()

    def publish(self, made: Path, output: Path, record: dict[str, Any], overwrite: bool) -> None:
        """Write down what a complete result was made of, and move it to its place.

        Parameters
        ----------
        made : Path
            The result, inside its workshop.
        output : Path
            Its place.
        record : dict
            Plain values, of which `identities` of the inputs and `settings` say what it is made of.
        overwrite : bool
            Whether what is in the place may be replaced.
        """
        if os.path.lexists(output) and not overwrite:
            raise FileError(f"{output} exists already: choose another place, or add --overwrite.")
        text = json.dumps(record | {"result": identity(made)}, indent=1)
        draft = made.with_name("record.json")
        make_folder(output.parent)
        try:
            draft.write_text(text, encoding="utf-8")
            draft.replace(self._file_of(output, ".json"))
            if output.is_dir():
                output.rename(made.with_name(f"{made.name}.old"))
            made.replace(output)
        except OSError as error:
            raise cannot_write(output, error) from error

    def record(self, output: Path) -> dict[str, Any]:
        """Return what was written down about a result; nothing, if nothing can be read."""
        try:
            found = json.loads(self._file_of(output, ".json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def find_difference(
        self, output: Path, inputs: Sequence[Path], settings: Mapping[str, Any]
    ) -> str | None:
        """Return why a result that is there is not the one that is asked for; None if it is.

        Parameters
        ----------
        output : Path
        inputs : sequence of Path
        settings : mapping
            Plain values, as they were written down.
        """
        record = self.record(output)
        if not record:
            return "it is not known what it was made of"
        if not _is_same(output, record.get("result")):
            return "it was changed since it was made"
        if record.get("settings") != dict(settings):
            return "it was made with other options"
        known = record.get("identities")
        if not isinstance(known, list) or len(known) != len(inputs):
            return "it was made of other images"
        for path, then in zip(inputs, known, strict=True):
            if not _is_same(path, then):
                return f"{path} is not what it was when the result was made"
        return None

    def _file_of(self, output: Path, suffix: str) -> Path:
        inside = output.relative_to(self.path).as_posix()
        name = hashlib.sha256(os.fsencode(inside)).hexdigest()[:16]
        return self._hidden / f"{name}{suffix}"


def identity(path: Path) -> dict[str, Any]:
    """Return what tells whether a file, or a folder that is one image, is still the same."""
    try:
        stat = path.stat()
        digest = hashlib.sha256()
        if path.is_dir():
            for file in sorted(each for each in path.rglob("*") if each.is_file()):
                about = file.stat()
                line = f"{file.relative_to(path)} {about.st_size} {about.st_mtime_ns}\n"
                digest.update(written_text(line).encode())
        else:
            with path.open("rb") as opened:
                while block := opened.read(_BLOCK_BYTES):
                    digest.update(block)
    except OSError as error:
        raise FileError(unreadable(path, error.strerror)) from error
    return {"size": stat.st_size, "modified": stat.st_mtime_ns, "sha256": digest.hexdigest()}


def _is_same(path: Path, then: Any) -> bool:
    """Whether a file is what it was: by its size and time, or where these differ by its bytes."""
    if not isinstance(then, dict):
        return False
    try:
        stat = path.stat()
        if not path.is_dir() and stat.st_size != then.get("size"):
            return False
        if not path.is_dir() and stat.st_mtime_ns == then.get("modified"):
            return True
        return identity(path)["sha256"] == then.get("sha256")
    except (OSError, FileError):
        return False
