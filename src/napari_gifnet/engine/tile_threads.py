"""Several tiles at once on a CPU: threads that each have a share of its cores.

One tile over all cores keeps them waiting for each other at the end of every small product; a tile
a core does not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Lock, Thread
from typing import Any

import torch

MOST_PIXELS = 16 * 128**2
"""Pixels in the making at a time; each takes some 4 kB of temporary maps."""


@contextmanager
def crew(device: torch.device, tiles: int, tile: int) -> Iterator[Callable[..., Iterator[Any]]]:
    """Give a `map` that keeps its order, and on a CPU works on several items at a time.

    Parameters
    ----------
    device : torch.device
    tiles, tile : int
        How many there are, and their side in pixels.
    """
    cores = torch.get_num_threads() if device.type == "cpu" else 1
    workers = min(cores, tiles, max(1, MOST_PIXELS // tile**2))
    if workers == 1:
        yield map
        return
    pool = ThreadPoolExecutor(workers, "gifnet", _take_share, (cores // workers, cores))
    try:
        yield lambda make, items: pool.map(torch.inference_mode()(make), items)
    finally:
        pool.shutdown(cancel_futures=True)


_SETTING = Lock()


def _take_share(share: int, cores: int) -> None:
    """Let torch use `share` cores in this thread, and `cores` in the threads that others start."""
    if not torch.backends.openmp.is_available():
        return  # torch's own pool is one for all threads
    torch.get_num_threads()  # a thread takes over the process's number when it first asks
    with _SETTING:
        torch.set_num_threads(share)  # of this thread, but remembered for the threads to come
        restoring = Thread(target=torch.set_num_threads, args=(cores,))
        restoring.start()
        restoring.join()
