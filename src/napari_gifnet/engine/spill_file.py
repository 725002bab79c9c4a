"""Maps in a file where memory does not hold them: reading takes less time than computing again."""

from __future__ import annotations

import os
from mmap import mmap
from pathlib import Path
from shutil import disk_usage
from tempfile import TemporaryFile, gettempdir
from threading import Lock

import torch
from torch import Tensor

from .tiling import Key

FREE_SHARE = 0.5
"""The share of the free disk space that a file may take at most."""


def spill_folder() -> Path:
    """Where large temporary files go: on Linux not ``/tmp``, which often lies in memory."""
    named = any(os.environ.get(name) for name in ("TMPDIR", "TEMP", "TMP"))
    large = Path("/var/tmp")
    return large if not named and os.access(large, os.W_OK) else Path(gettempdir())


class SpillFile:
    """Maps of tiles in one nameless file, which is gone once it is closed. Threads may share it.

    Parameters
    ----------
    size : int
        Bytes that all maps will take. Nothing is kept if the disk has no ample room for them.
    """

    def __init__(self, size: int) -> None:
        self._places: dict[Key, tuple[int, torch.Size, torch.dtype]] = {}
        self._end = 0
        self._lock = Lock()
        folder = spill_folder()
        try:
            roomy = disk_usage(folder).free * FREE_SHARE >= size
            self._file = TemporaryFile(buffering=0, dir=folder) if roomy else None  # noqa: SIM115
        except OSError:
            self._file = None

    def put(self, key: Key, x: Tensor) -> None:
        """Keep a map, unless the disk is full."""
        with self._lock:
            if self._file is None:
                return
            left = _bytes(x.contiguous())
            try:
                self._file.seek(self._end)
                while left:
                    left = left[self._file.write(left) :]
            except OSError:
                return
            self._places[key] = self._end, x.shape, x.dtype
            self._end += x.nbytes

    def get(self, key: Key) -> Tensor | None:
        """Return a map that was kept, or None."""
        with self._lock:
            if self._file is None or key not in self._places:
                return None
            place, shape, dtype = self._places[key]
            x = in_own_pages(shape, dtype)
            try:
                self._file.seek(place)
                whole = self._file.readinto(_bytes(x)) == x.nbytes
            except OSError:
                return None
            return x if whole else None

    def close(self) -> None:
        """Give the disk space back."""
        with self._lock:
            if self._file is not None:
                self._file.close()
            self._file = None


def in_own_pages(shape: torch.Size, dtype: torch.dtype) -> Tensor:
    """Return an empty tensor on the CPU; among temporaries it would leave the heap full of holes."""
    return torch.frombuffer(mmap(-1, shape.numel() * dtype.itemsize), dtype=dtype).view(shape)


def _bytes(x: Tensor) -> memoryview:
    return memoryview(x.view(torch.uint8).numpy()).cast("B")
