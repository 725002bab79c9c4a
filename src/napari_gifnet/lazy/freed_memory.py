"""Freed memory that is used again, on workers that dask starts."""

from __future__ import annotations

import ctypes
import os
from functools import cache

M_MMAP_THRESHOLD = -3
"""Of glibc's ``mallopt``."""

LARGEST_KEPT = 32 << 20
"""Bytes; what glibc comes to by itself when large blocks are freed, and the most it accepts."""


@cache
def use_freed_memory_again() -> bool:
    """Let glibc give freed blocks out again; return whether that needed saying.

    Dask starts its workers with ``MALLOC_TRIM_THRESHOLD_``, and glibc no longer adapts itself where any
    such variable is set: every array of 128 kB or more is mapped anew and cleared page by page. On the
    small maps of a network that takes longer than the network does.
    """
    if "MALLOC_TRIM_THRESHOLD_" not in os.environ or "MALLOC_MMAP_THRESHOLD_" in os.environ:
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # no glibc
        return False
    return bool(mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT))
