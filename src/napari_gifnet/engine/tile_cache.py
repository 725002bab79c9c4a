"""Maps of tiles in memory, within a budget, whichever thread asks for them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from threading import Lock
from typing import Literal

from torch import Tensor

from .spill_file import in_own_pages
from .tiling import Key


class TileCache:
    """Maps of tiles, kept up to a number of bytes; the others are made anew.

    Several threads may ask at once; one that asks for a map in the making waits for it.

    Parameters
    ----------
    capacity : float
        Bytes.
    keep : {"latest", "first"}
        Which are kept of too many: those used last or, for a walk that comes back to its start, the
        first.
    """

    def __init__(self, capacity: float, keep: Literal["latest", "first"]) -> None:
        self.capacity, self.keep = capacity, keep
        self.maps: OrderedDict[Key, Future[Tensor]] = OrderedDict()
        self.size = 0
        self.lock = Lock()

    def get(self, key: Key, make: Callable[[Key], Tensor]) -> Tensor:
        """Return the map of `key`, made now if it is not there."""
        with self.lock:
            kept = self.maps.get(key)
            if kept is None:
                making = self.maps[key] = Future[Tensor]()
            else:
                self.maps.move_to_end(key)
        if kept is not None:
            return kept.result()
        try:
            made = _kept(make(key)) if self.capacity else make(key)
        except BaseException as error:
            making.set_exception(error)
            self.drop(key)
            raise
        with self.lock:
            making.set_result(made)
            if self.maps.get(key) is making:
                self.size += made.nbytes
                if self.keep == "first" and self.size > self.capacity:
                    self._forget(key)
            for oldest in [k for k, future in self.maps.items() if future.done()]:
                if self.size <= self.capacity:
                    break
                self._forget(oldest)
        return made

    def drop(self, key: Key) -> None:
        """Forget a map if it is there."""
        with self.lock:
            if key in self.maps:
                self._forget(key)

    def _forget(self, key: Key) -> None:
        gone = self.maps.pop(key)
        if gone.done() and gone.exception() is None:
            self.size -= gone.result().nbytes


def _kept(x: Tensor) -> Tensor:
    """A map to be kept; on a CPU a copy in pages of its own."""
    return x if x.device.type != "cpu" else in_own_pages(x.shape, x.dtype).copy_(x)
