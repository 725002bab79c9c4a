"""One task a GPU at a time, also among the processes of a computer."""

from __future__ import annotations

import os
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

WAIT_S = 0.01
"""Between two attempts, where the system cannot wake a process that waits."""


@contextmanager
def gpu_lock(device: str) -> Iterator[None]:
    """Have a device to oneself while the block runs; of a processor there is enough for all.

    The lock is a file's, so that the system takes it back from a process that dies.

    Parameters
    ----------
    device : str
        As torch names it: ``"cpu"``, ``"cuda:0"``.
    """
    if device == "cpu":
        yield
        return
    user = os.environ.get("USER") or os.environ.get("USERNAME") or "user"
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")  # which the first one is, for this process
    name = re.sub(r"\W+", "-", f"napari-gifnet-{user}-{device}-{visible}")
    with Path(tempfile.gettempdir(), f"{name}.lock").open("a+b") as file:
        _lock(file)
        try:
            yield
        finally:
            _unlock(file)


def _lock(file: IO[bytes]) -> None:
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        while True:
            try:
                file.seek(0)
                return msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
            except OSError:
                time.sleep(WAIT_S)
    fcntl.flock(file, fcntl.LOCK_EX)
    return None


def _unlock(file: IO[bytes]) -> None:
    try:
        import fcntl
    except ImportError:
        import msvcrt

        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)  # type: ignore[attr-defined]
        return
    fcntl.flock(file, fcntl.LOCK_UN)
