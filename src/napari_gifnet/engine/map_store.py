"""Where the map between the two blocks is kept from one pass to the next.

The statistics of block 1 need all of the map behind block 0, and the output needs it once more.
Whether it stays in memory, goes through a file, or is computed again is chosen once for a plane, in
`Storage.choose`; what reads and writes it sees a `MapStore`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from napari_gifnet.network.attention import DIM

from .spill_file import SpillFile
from .tile_cache import TileCache
from .tiling import Key, Region, Tiling

Make = Callable[[Key], Tensor]
"""Computes the map behind block 0 on a tile."""


class MapStore(ABC):
    """The map behind block 0, (N, H, W, C), written tile by tile and read on any region.

    Several threads may use it at once. Close it when the plane is done.
    """

    @abstractmethod
    def put(self, key: Key, x: Tensor) -> None:
        """Keep the map of a tile, if there is room."""

    @abstractmethod
    def on(self, region: Region) -> Tensor:
        """Return the map on a region; not to be written to."""

    def close(self) -> None:  # noqa: B027 (memory is given back without being asked)
        """Give the room back."""

    def __enter__(self) -> MapStore:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class InMemory(MapStore):
    """All of the map in one piece: tiles among temporaries would leave the heap full of holes."""

    def __init__(self, tiling: Tiling, batch: int, dtype: torch.dtype, device: torch.device):
        self.tiling = tiling
        size = (batch, tiling.padded.height, tiling.padded.width, DIM)
        self.whole = torch.empty(size, dtype=dtype, device=device)

    def put(self, key: Key, x: Tensor) -> None:
        """Keep the map of a tile."""
        self.whole[(slice(None), *self.tiling.tile(key).within(self.tiling.padded))] = x

    def on(self, region: Region) -> Tensor:
        """Return the map on a region."""
        return self.whole[(slice(None), *region.within(self.tiling.padded))]


class Recomputed(MapStore):
    """As many tiles as fit into memory; the others are computed again when they are read.

    Parameters
    ----------
    tiling : Tiling
    make : callable
        Computes the map of a tile.
    capacity : float
        Bytes in which the tiles used last are kept.
    """

    def __init__(self, tiling: Tiling, make: Make, capacity: float) -> None:
        self.tiling, self.compute = tiling, make
        self.cache = TileCache(capacity, "latest")

    def make(self, key: Key) -> Tensor:
        """Return the map of a tile that is not in memory."""
        return self.compute(key)

    def put(self, key: Key, x: Tensor) -> None:
        """Keep the map of a tile as long as others have not been used since."""
        self.cache.get(key, lambda _: x)

    def on(self, region: Region) -> Tensor:
        """Return the map on a region, put together of its tiles."""
        whole = None
        for key in self.tiling.touching(region):
            part, tile = self.cache.get(key, self.make), self.tiling.tile(key)
            if whole is None:
                whole = part.new_empty(len(part), region.height, region.width, DIM)
            shared = tile.clipped(region)
            rows, columns = shared.within(region)
            whole[:, rows, columns] = part[(slice(None), *shared.within(tile))]
        assert whole is not None
        return whole


class OnDisk(Recomputed):
    """All tiles in a temporary file, as far as the disk has room, and those used last in memory.

    Parameters
    ----------
    tiling, make, capacity
        As for `Recomputed`, for what the disk does not hold.
    size : int
        Bytes of the whole map.
    """

    def __init__(self, tiling: Tiling, make: Make, capacity: float, size: int) -> None:
        super().__init__(tiling, make, capacity)
        self.file = SpillFile(size)

    def put(self, key: Key, x: Tensor) -> None:
        """Write the map of a tile, unless the disk is full."""
        self.file.put(key, x)

    def make(self, key: Key) -> Tensor:
        """Read the map of a tile, or compute it again where the disk did not hold it."""
        kept = self.file.get(key)
        return self.compute(key) if kept is None else kept

    def close(self) -> None:
        """Give the disk space back."""
        self.file.close()


@dataclass(frozen=True)
class Storage:
    """How the memory for maps is spent on a plane.

    Attributes
    ----------
    kind : {"memory", "disk", "computed"}
        Where the map behind block 0 is kept between the passes.
    for_map : float
        Bytes in which tiles of it are kept, if they are not all in memory.
    for_streams : float
        Bytes in which the input of block 0 is kept between the first pass and the second.
    size : int
        Bytes of the whole map behind block 0.
    band : int
        How many columns of tiles are walked down together.
    """

    kind: Literal["memory", "disk", "computed"]
    for_map: float
    for_streams: float
    size: int
    band: int

    @classmethod
    def choose(
        cls,
        tiling: Tiling,
        batch: int,
        dtype: torch.dtype,
        memory: float,
        *,
        kept: bool,
        disk: bool,
    ) -> Storage:
        """Choose for a plane.

        Parameters
        ----------
        tiling : Tiling
        batch : int
            How many planes are computed together.
        dtype : torch.dtype
            Of the maps.
        memory : float
            Bytes that may be spent.
        kept : bool
            Whether there is a pass that writes the map before it is read.
        disk : bool
            Whether a temporary file may be used.
        """
        size = batch * DIM * tiling.padded.height * tiling.padded.width * dtype.itemsize
        fits = size <= memory
        kind: Literal["memory", "disk", "computed"] = (
            "computed" if not kept else "memory" if fits else "disk" if disk else "computed"
        )
        # the map behind block 0 first: it costs the most to compute again
        for_streams = memory if kind == "disk" else max(memory - size, 0)
        band = tiling.across
        if not fits:  # three rows of tiles in a band do
            tile_bytes = batch * DIM * tiling.side**2 * dtype.itemsize
            band = int(min(tiling.across, max(2, memory / (3.5 * tile_bytes) - 2)))
        return cls(kind, max(memory, 0), for_streams, size, band)
