"""Several tiles at once on a CPU: threads that each have a share of its cores.

One tile over all cores keeps them waiting for each other at the end of every small product; a tile
a core does not.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Lock, Thread
from typing import Any

import torch

PIXELS_AT_ONCE = 16 * 128**2
"""Pixels in the making at a time, at most; each takes some 4 kB of temporary maps."""

_SETTING = Lock()
"""Held while the number of cores that torch gives to new threads is not the user's."""


@contextmanager
def open_tile_threads(
    device: torch.device, tiles: int, side: int = 1
) -> Iterator[Callable[..., Iterator[Any]]]:
    """Give a `map` that keeps its order, and on a CPU works on several items at a time.

    Parameters
    ----------
    device : torch.device
    tiles : int
        How many there are.
    side : int
        Of the largest tile, in pixels; the default is for what takes no memory to speak of.

    Yields
    ------
    callable
        Called as `map` is, with one iterable; of an endless one it takes items as they are needed.
    """
    cores = own_cores() if device.type == "cpu" else 1
    workers = min(cores, tiles, max(1, PIXELS_AT_ONCE // side**2))
    if workers == 1:
        yield map
        return
    pool = ThreadPoolExecutor(workers, "gifnet", _take_share, (cores // workers,))

    def map_tiles(make: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        begun: deque[Future] = deque()
        for item in items:
            begun.append(pool.submit(torch.inference_mode()(make), item))
            if len(begun) > 2 * workers:
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()

    try:
        yield map_tiles
    finally:
        pool.shutdown(cancel_futures=True)


def own_cores() -> int:
    """Return how many cores torch uses for this thread.

    A thread takes over the process's number when it first asks, and keeps it. So it must not ask
    while another run is giving a share to its workers.
    """
    with _SETTING:
        return torch.get_num_threads()


def _take_share(share: int) -> None:
    """Let torch use `share` cores in this new thread, and as many as before in those to come."""
    if not torch.backends.openmp.is_available():
        return  # torch's own pool is one for all threads
    with _SETTING:
        of_process = torch.get_num_threads()  # this thread is new: it takes over the process's
        torch.set_num_threads(share)  # for this thread, but remembered for the threads to come
        restoring = Thread(target=torch.set_num_threads, args=(of_process,))
        restoring.start()
        restoring.join()
