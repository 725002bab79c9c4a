"""Exact fusion of a plane of any size, in tiles.

GIFNet is local but for three pairs of numbers: the mean and deviation that each of its revised
layer norms takes over the whole map. So a plane is fused in three passes over tiles aligned to the
attention windows: statistics of block 0, statistics of block 1, output. Each stage is computed on
its tile and the halo that the next stage needs; where the image ends, and only there, maps are
reflect-padded as the whole image's would be.

What an earlier pass computed is kept as far as the memory budget goes. Beyond it, what block 0 gave
goes to a file on the disk, and the rest is computed again: the result is the same.

Planes of a stack may share their statistics instead: those of all, or some, of its planes together.
Then a plane is fused in one pass, and what does not change from plane to plane does not flicker.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise
from operator import add
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from napari_gifnet.network.attention import DIM, WINDOW

from .folded import FoldedGIFNet, Moments, Padding
from .spill_file import Scratch
from .tile_cache import Key, Shelf
from .tile_threads import crew

SHIFT = WINDOW // 2
DECODER_HALO = 4  # four 3×3 convolutions
ENCODER_HALO = 3
DEPTHWISE_HALO = 2

T = TypeVar("T")


@dataclass(frozen=True)
class Region:
    """A rectangle of pixels, half-open: rows [top, bottom), columns [left, right)."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def height(self) -> int:
        """Rows."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """Columns."""
        return self.right - self.left

    def grown(self, halo: int, bounds: Region) -> Region:
        """With `halo` more pixels on each side, as far as `bounds` has them."""
        return Region(
            max(self.top - halo, bounds.top),
            min(self.bottom + halo, bounds.bottom),
            max(self.left - halo, bounds.left),
            min(self.right + halo, bounds.right),
        )

    def clipped(self, bounds: Region) -> Region:
        """The part of it within `bounds`."""
        return self.grown(0, bounds)

    def lacking(self, halo: int, bounds: Region) -> Padding:
        """The part of the halo that lies beyond `bounds`: left, right, top, bottom."""
        return (
            max(0, halo - (self.left - bounds.left)),
            max(0, halo - (bounds.right - self.right)),
            max(0, halo - (self.top - bounds.top)),
            max(0, halo - (bounds.bottom - self.bottom)),
        )

    def within(self, other: Region) -> tuple[slice, slice]:
        """Slices that cut it out of an array that covers `other`."""
        return (
            slice(self.top - other.top, self.bottom - other.top),
            slice(self.left - other.left, self.right - other.left),
        )

    def snapped(self, bounds: Region) -> Region:
        """Grown to whole windows of the shifted block, whose borders lie at 4, 12, 20 …"""

        def down(x: int) -> int:
            return (x - SHIFT) // WINDOW * WINDOW + SHIFT

        def up(x: int) -> int:
            return -((SHIFT - x) // WINDOW) * WINDOW + SHIFT

        return Region(down(self.top), up(self.bottom), down(self.left), up(self.right)).clipped(
            bounds
        )

    def windows(self, shift: int, bounds: Region) -> Padding:
        """Padding that completes the windows where the map ends."""
        left = shift if self.left == bounds.left else 0
        top = shift if self.top == bounds.top else 0
        return left, -(self.width + left) % WINDOW, top, -(self.height + top) % WINDOW


def partition(length: int, tile: int) -> list[int]:
    """Cut points that divide `length` evenly into tiles of at most `tile`, at multiples of 8."""
    windows = -(-length // WINDOW)
    # a last tile of half a window would be too thin for its reflect padding
    parts = min(-(-windows // max(tile // WINDOW, 2)), max(windows // 2, 1))
    cuts = [round(i * windows / parts) * WINDOW for i in range(parts)]
    return [*cuts, length]


@dataclass(frozen=True)
class Statistics:
    """What the three live layer norms see of a plane, or of several planes together.

    Attributes
    ----------
    block0_mm, block0_dp, block1 : (mean, variance)
    """

    block0_mm: tuple[float, float]
    block0_dp: tuple[float, float]
    block1: tuple[float, float]


class TiledFusion:
    """The fusion of one pair of planes (or of a batch of pairs of one size).

    Parameters
    ----------
    network : FoldedGIFNet
    a, b : ndarray or Tensor
        Planes (H, W), or batches of them (N, H, W), in [0, 1]; H, W ≥ 5. Slices of them are read, so
        that they may be memory-mapped.
    tile : int
        Side of a tile in pixels.
    memory : float
        Bytes that may be spent on keeping maps between the passes.
    statistics : Statistics, optional
        To be used in place of the plane's own, which are then not gathered.
    disk : bool
        On a CPU, use a temporary file for maps beyond `memory`, if the disk has room.
    """

    def __init__(
        self,
        network: FoldedGIFNet,
        a: np.ndarray | Tensor,
        b: np.ndarray | Tensor,
        tile: int,
        memory: float,
        statistics: Statistics | None = None,
        disk: bool = True,
    ) -> None:
        self.network, self.a, self.b, self.statistics = network, a, b, statistics
        height, width = a.shape[-2:]
        self.image = Region(0, height, 0, width)
        self.padded = Region(0, height + -height % 4, 0, width + -width % 4)
        self.rows = partition(self.padded.height, tile)
        self.columns = partition(self.padded.width, tile)
        batch = a.shape[0] if a.ndim == 3 else 1
        map_bytes = batch * DIM * self.padded.height * self.padded.width * network.dtype.itemsize
        on_disk = disk and network.device.type == "cpu" and map_bytes > memory
        self.scratch_bytes = map_bytes if on_disk and statistics is None else 0
        self.scratch: Scratch | None = None
        # block 1 first: its input costs the most to make again
        for_streams = memory if self.scratch_bytes else max(memory - map_bytes, 0)
        self.streams = Shelf(for_streams, "first")
        # In one piece where it fits: tiles among temporaries would leave the heap full of holes.
        size = (batch, self.padded.height, self.padded.width, DIM)
        self.whole = (
            torch.empty(size, dtype=network.dtype, device=network.device)
            if map_bytes <= memory and statistics is None
            else None
        )
        self.interacted = Shelf(max(memory, 0), "latest")
        self.band = self._band(batch, tile, memory, map_bytes)

    def _band(self, batch: int, tile: int, memory: float, map_bytes: float) -> int:
        """How many columns of tiles are walked down together: three rows of them fit the memory."""
        across = len(self.columns) - 1
        if map_bytes <= memory:
            return across
        tile_bytes = batch * DIM * tile * tile * self.network.dtype.itemsize
        return int(min(across, max(2, memory / (3.5 * tile_bytes) - 2)))

    def tiles(self) -> Iterator[Key]:
        """Walk over the tiles: row by row within bands of columns."""
        across = len(self.columns) - 1
        for start in range(0, across, self.band):
            for i in range(len(self.rows) - 1):
                for j in range(start, min(start + self.band, across)):
                    yield i, j

    @property
    def work(self) -> int:
        """Steps that `run` makes: tiles times passes."""
        passes = 3 if self.statistics is None else 1
        return passes * (len(self.rows) - 1) * (len(self.columns) - 1)

    def gather_first(self, step: Callable[[], None] = lambda: None) -> tuple[Moments, Moments]:
        """First pass: moments of both streams before block 0."""

        def moments(key: Key) -> tuple[Moments, Moments]:
            streams = self._core(self.streams.get(key, self._embed), key)
            mm, dp = streams.split(DIM, dim=3)
            return Moments.of(mm), Moments.of(dp)

        return reduce(
            lambda sums, each: (sums[0] + each[0], sums[1] + each[1]), self._each(moments, step)
        )

    def gather_second(
        self, first: tuple[Moments, Moments], step: Callable[[], None] = lambda: None
    ) -> Moments:
        """Second pass: moments of the active stream before block 1."""
        self._take_first(*first)

        def moments(key: Key) -> Moments:
            if self.whole is not None:
                x = self._first_block(key)
                self.whole[(slice(None), *self.tile(key).within(self.padded))] = x
            elif self.scratch is not None:
                x = self._first_block(key)
                self.scratch.put(key, x)
            else:
                x = self.interacted.get(key, self._interacted)
            self.streams.drop(key)
            return Moments.of(x)

        return reduce(add, self._each(moments, step))

    def _take_first(self, of_mm: Moments, of_dp: Moments) -> None:
        self.ready0 = (self.network.block0_mm.ready(of_mm), self.network.block0_dp.ready(of_dp))

    def run(self, out: np.ndarray | Tensor, step: Callable[[], None] = lambda: None) -> None:
        """Fuse into `out`, float32 of the planes' shape; `step` is called after each tile and pass."""
        if not self.scratch_bytes:
            self._run(out, step)
            return
        with closing(Scratch(self.scratch_bytes)) as self.scratch:
            self._run(out, step)

    def _run(self, out: np.ndarray | Tensor, step: Callable[[], None]) -> None:
        if self.statistics is None:
            second = self.gather_second(self.gather_first(step), step)
        else:
            known = self.statistics
            *first, second = (
                Moments.known(*pair, self.network.device)
                for pair in (known.block0_mm, known.block0_dp, known.block1)
            )
            self._take_first(*first)
        self.streams.capacity = 0  # from here on, streams are only made to be used at once
        self.ready1 = self.network.block1.ready(second)

        def put(key: Key) -> None:
            region = self.tile(key).clipped(self.image)
            fused = self._decode(region)
            rows, columns = region.within(self.image)
            out[..., rows, columns] = (
                fused if isinstance(out, Tensor) else fused.cpu().numpy()
            ).reshape(*out.shape[:-2], region.height, region.width)

        for _ in self._each(put, step):
            pass

    def _each(self, make: Callable[[Key], T], step: Callable[[], None]) -> Iterator[T]:
        """Yield what `make` gives of each tile, in order.

        Take it up at once: small tensors that stay among the temporary maps keep the C library from
        using the maps' memory again, which cost 3 MB a tile.
        """
        tiles = list(self.tiles())
        with crew(self.network.device, len(tiles), self.side) as map_tiles:
            for result in map_tiles(make, tiles):
                step()
                yield result

    def tile(self, key: Key) -> Region:
        """The region of a tile, within the padded map."""
        i, j = key
        return Region(*self.rows[i : i + 2], *self.columns[j : j + 2])

    @property
    def side(self) -> int:
        """Of the largest tile, in pixels."""
        return max(y - x for cuts in (self.rows, self.columns) for x, y in pairwise(cuts))

    def _core(self, x: Tensor, key: Key) -> Tensor:
        """Cut a tile out of a map that has the depthwise convolution's halo around it."""
        tile = self.tile(key)
        rows, columns = tile.within(tile.grown(DEPTHWISE_HALO, self.padded))
        return x[:, rows, columns]

    def _planes(self, region: Region) -> Tensor:
        """Both planes on a region, (N, H, W, 2) float32."""
        rows, columns = region.within(self.image)
        planes = []
        for plane in (self.a, self.b):
            part = plane[..., rows, columns]
            if not isinstance(part, Tensor):
                part = torch.from_numpy(np.ascontiguousarray(part, dtype=np.float32))
            planes.append(part.to(self.network.device, torch.float32))
        return torch.stack(planes, -1).reshape(-1, region.height, region.width, 2)

    def _features(self, region: Region) -> Tensor:
        """Encoder features on a region of the image."""
        paddings = [region.grown(h, self.image).lacking(1, self.image) for h in (2, 1, 0)]
        return self.network.encode(self._planes(region.grown(ENCODER_HALO, self.image)), paddings)

    def _padded_features(self, region: Region) -> Tensor:
        """Encoder features on a region of the padded map: beyond the image, its reflection."""
        image = self.image
        beyond = max(0, region.bottom - image.bottom), max(0, region.right - image.right)
        if not any(beyond):
            return self._features(region)
        # the reflection may reach further back than the region itself
        inside = Region(
            min(region.top, image.bottom - 1 - beyond[0]),
            min(region.bottom, image.bottom),
            min(region.left, image.right - 1 - beyond[1]),
            min(region.right, image.right),
        )
        features = self._features(inside).permute(0, 3, 1, 2)
        padded = functional.pad(features, (0, beyond[1], 0, beyond[0]), mode="reflect")
        rows, columns = region.within(Region(inside.top, region.bottom, inside.left, region.right))
        return padded.permute(0, 2, 3, 1)[:, rows, columns]

    def _embed(self, key: Key) -> Tensor:
        """Both streams on a tile and the depthwise convolution's halo."""
        region = self.tile(key).grown(DEPTHWISE_HALO, self.padded)
        features = self._padded_features(region.grown(1, self.padded))
        return self.network.embed(features, region.lacking(1, self.padded))

    def _first_block(self, key: Key) -> Tensor:
        """The active stream behind block 0, on a tile."""
        tile = self.tile(key)
        return self.network.first_block(
            self.streams.get(key, self._embed),
            self.ready0,
            core=tile.within(tile.grown(DEPTHWISE_HALO, self.padded)),
            border=tile.lacking(DEPTHWISE_HALO, self.padded),
            windows=tile.windows(0, self.padded),
        )

    def _interacted(self, key: Key) -> Tensor:
        """What `_first_block` gave of a tile: from the disk, or made again."""
        kept = self.scratch.get(key) if self.scratch is not None else None
        return self._first_block(key) if kept is None else kept

    def _assembled(self, region: Region) -> Tensor:
        """The active stream behind block 0, on any region."""
        if self.whole is not None:
            return self.whole[(slice(None), *region.within(self.padded))]
        keys = [
            (i, j)
            for i, (top, bottom) in enumerate(pairwise(self.rows))
            if top < region.bottom and bottom > region.top
            for j, (left, right) in enumerate(pairwise(self.columns))
            if left < region.right and right > region.left
        ]
        whole = None
        for key in keys:
            part, tile = self.interacted.get(key, self._interacted), self.tile(key)
            if whole is None:
                whole = part.new_empty(len(part), region.height, region.width, DIM)
            shared = tile.clipped(region)
            rows, columns = shared.within(region)
            whole[:, rows, columns] = part[(slice(None), *shared.within(tile))]
        assert whole is not None
        return whole

    def _decode(self, region: Region) -> Tensor:
        """The fused plane on a region of the image."""
        merged = region.grown(DECODER_HALO, self.image)
        needed = merged.grown(1, self.padded)
        core = needed.snapped(self.padded)
        around = core.grown(DEPTHWISE_HALO, self.padded)
        interacted = self.network.second_block(
            self._assembled(around),
            self.ready1,
            core=core.within(around),
            border=core.lacking(DEPTHWISE_HALO, self.padded),
            windows=core.windows(SHIFT, self.padded),
        )
        rows, columns = needed.within(core)
        return self.network.decode(
            self._features(merged),
            interacted[:, rows, columns],
            merged.lacking(1, self.padded),
            [region.grown(h, self.image).lacking(1, self.image) for h in (3, 2, 1, 0)],
        )
