"""Exact fusion of a plane of any size, in tiles.

GIFNet is local but for three pairs of numbers: the mean and deviation that each of its revised
layer norms takes over the whole map. So a plane is fused in three passes over its tiles, each of
which returns what the next one needs::

    measure_block0 ──> moments of both streams before block 0, and their maps as far as memory goes
    measure_block1 ──> moments of the active stream before block 1, and its map in a `MapStore`
    write_output   ──> the fused plane

Every stage is computed on its tile and the halo that the next stage needs (`tiling`). What an
earlier pass computed is kept as far as the memory budget goes, or in a file, and the rest is
computed again (`map_store`): the result is the same.

Planes of a stack may share their statistics instead: those of all, or some, of its planes together.
Then a plane is fused in the last pass alone, and what does not change from plane to plane does not
flicker.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, reduce
from operator import add
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from napari_gifnet.network.attention import DIM

from .folded import FoldedGIFNet
from .folded_block import NormalizedBlock
from .map_store import InMemory, MapStore, OnDisk, Recomputed, Storage
from .moments import Moments, Statistics
from .tile_cache import TileCache
from .tile_threads import open_tile_threads
from .tiling import DECODER_HALO, DEPTHWISE_HALO, ENCODER_HALO, SHIFT, Key, Region, Tiling

T = TypeVar("T")
Step = Callable[[], None]
"""Called after each tile of each pass."""

Block0 = tuple[NormalizedBlock, NormalizedBlock]
"""Of the multi-modal and of the digital-photography stream."""


def no_step() -> None:
    """Report nothing."""


@dataclass(frozen=True)
class PlanePair:
    """Two planes, or a batch of pairs of one size, with all that the passes need to know of them.

    Parameters
    ----------
    network : FoldedGIFNet
    a, b : ndarray or Tensor
        Planes (H, W), or batches of them (N, H, W), in [0, 1]; H, W ≥ 5. Slices of them are read, so
        that they may be memory-mapped.
    tiling : Tiling
    storage : Storage
    part : Region
        What is measured and written of the planes; what lies around it is only looked at.
    """

    network: FoldedGIFNet
    a: np.ndarray | Tensor
    b: np.ndarray | Tensor
    tiling: Tiling
    storage: Storage
    part: Region

    @cached_property
    def measured(self) -> Region:
        """The part as the padded map has it: with the border where the image ends."""
        part, image, padded = self.part, self.tiling.image, self.tiling.padded
        bottom = padded.bottom if part.bottom == image.bottom else part.bottom
        right = padded.right if part.right == image.right else part.right
        return Region(part.top, bottom, part.left, right)

    @cached_property
    def keys(self) -> list[Key]:
        """The tiles that have pixels in the part, in the order of the walk."""
        touching = set(self.tiling.touching(self.measured))
        return [key for key in self.tiling.walk(self.storage.band) if key in touching]

    @property
    def batch(self) -> int:
        """How many pairs there are."""
        return self.a.shape[0] if self.a.ndim == 3 else 1

    def each_tile(self, make: Callable[[Key], T], step: Step) -> Iterator[T]:
        """Yield what `make` gives of each tile, in order.

        Take it up at once: small tensors that stay among the temporary maps keep the C library from
        using the maps' memory again, which cost 3 MB a tile.
        """
        keys, device = self.keys, self.network.device
        with open_tile_threads(device, len(keys), self.tiling.side) as map_tiles:
            for result in map_tiles(make, keys):
                step()
                yield result

    def planes(self, region: Region) -> Tensor:
        """Both planes on a region of the image, (N, H, W, 2) float32."""
        rows, columns = region.within(self.tiling.image)
        planes = []
        for plane in (self.a, self.b):
            part = plane[..., rows, columns]
            if not isinstance(part, Tensor):
                part = torch.from_numpy(np.ascontiguousarray(part, dtype=np.float32))
            planes.append(part.to(self.network.device, torch.float32))
        return torch.stack(planes, -1).reshape(-1, region.height, region.width, 2)

    def features(self, region: Region) -> Tensor:
        """Features of the encoder on a region of the image."""
        image = self.tiling.image
        paddings = [region.grown(h, image).lacking(1, image) for h in (2, 1, 0)]
        return self.network.encode(self.planes(region.grown(ENCODER_HALO, image)), paddings)

    def padded_features(self, region: Region) -> Tensor:
        """Features on a region of the padded map: beyond the image, their reflection."""
        image = self.tiling.image
        inside = region.before_reflection(image)
        if inside == region:
            return self.features(region)
        beyond = (0, region.right - inside.right, 0, region.bottom - inside.bottom)
        padded = functional.pad(
            self.features(inside).permute(0, 3, 1, 2), beyond, mode="reflect"
        ).permute(0, 2, 3, 1)
        rows, columns = region.within(Region(inside.top, region.bottom, inside.left, region.right))
        return padded[:, rows, columns]

    def embed(self, key: Key) -> Tensor:
        """Both streams before block 0, on a tile and the halo of the depthwise convolution."""
        padded = self.tiling.padded
        region = self.tiling.tile(key).grown(DEPTHWISE_HALO, padded)
        features = self.padded_features(region.grown(1, padded))
        return self.network.embed(features, region.lacking(1, padded))

    def run_block0(self, streams: Tensor, key: Key, block0: Block0) -> Tensor:
        """The active stream behind block 0 on a tile, of what `embed` gave."""
        tile, padded = self.tiling.tile(key), self.tiling.padded
        return self.network.first_block(
            streams,
            block0,
            core=tile.within(tile.grown(DEPTHWISE_HALO, padded)),
            border=tile.lacking(DEPTHWISE_HALO, padded),
            windows=tile.windows(0, padded),
        )

    def decode(self, region: Region, store: MapStore, block1: NormalizedBlock) -> Tensor:
        """The fused plane on a region of the image, (N, H, W) float32."""
        image, padded = self.tiling.image, self.tiling.padded
        merged = region.grown(DECODER_HALO, image)
        needed = merged.grown(1, padded)
        core = needed.snapped(padded)
        around = core.grown(DEPTHWISE_HALO, padded)
        interacted = self.network.second_block(
            store.on(around),
            block1,
            core=core.within(around),
            border=core.lacking(DEPTHWISE_HALO, padded),
            windows=core.windows(SHIFT, padded),
        )
        rows, columns = needed.within(core)
        return self.network.decode(
            self.features(merged),
            interacted[:, rows, columns],
            merged.lacking(1, padded),
            [region.grown(h, image).lacking(1, image) for h in (3, 2, 1, 0)],
        )


def prepare(
    network: FoldedGIFNet,
    a: np.ndarray | Tensor,
    b: np.ndarray | Tensor,
    tile_size: int | None,
    memory: float,
    *,
    statistics_known: bool = False,
    disk: bool = True,
    part: Region | None = None,
) -> PlanePair:
    """Divide planes into tiles, and choose where their maps are kept.

    Parameters
    ----------
    network, a, b
        As of `PlanePair`.
    tile_size : int or None
        Side of a tile in pixels; None for a plane in one piece.
    memory : float
        Bytes that may be spent on keeping maps between the passes.
    statistics_known : bool
        Whether the last pass is the only one.
    disk : bool
        On a CPU, use a temporary file for maps beyond `memory`, if the disk has room.
    part : Region, optional
        Of the planes, what is measured and written; all by default.
    """
    height, width = a.shape[-2:]
    tiling = Tiling(height, width, tile_size)
    storage = Storage.choose(
        tiling,
        a.shape[0] if a.ndim == 3 else 1,
        network.dtype,
        memory,
        kept=not statistics_known,
        disk=disk and network.device.type == "cpu",
    )
    return PlanePair(network, a, b, tiling, storage, part or tiling.image)


def measure_block0(
    pair: PlanePair, step: Step = no_step, kept: bool = True
) -> tuple[tuple[Moments, Moments], TileCache]:
    """Carry out the first pass.

    Parameters
    ----------
    pair : PlanePair
    step : callable
    kept : bool
        Whether a second pass over the same planes follows.

    Returns
    -------
    moments : (Moments, Moments)
        Of the multi-modal and of the digital-photography stream before block 0.
    streams : TileCache
        Both streams on those tiles that memory holds.
    """
    streams = TileCache(pair.storage.for_streams if kept else 0, "first")

    def measure(key: Key) -> tuple[Moments, Moments]:
        tile = pair.tiling.tile(key)
        measured = tile.clipped(pair.measured)
        rows, columns = measured.within(tile.grown(DEPTHWISE_HALO, pair.tiling.padded))
        mm, dp = streams.get(key, pair.embed)[:, rows, columns].split(DIM, dim=3)
        return Moments.of(mm), Moments.of(dp)

    moments = reduce(
        lambda sums, each: (sums[0] + each[0], sums[1] + each[1]), pair.each_tile(measure, step)
    )
    return moments, streams


def normalize_block0(network: FoldedGIFNet, moments: tuple[Moments, Moments]) -> Block0:
    """Fold the statistics before block 0 into it."""
    of_mm, of_dp = moments
    return network.block0_mm.normalized(of_mm), network.block0_dp.normalized(of_dp)


def open_map_store(pair: PlanePair, block0: Block0) -> MapStore:
    """Open what keeps the map behind block 0, as `Storage.choose` chose."""
    storage, tiling = pair.storage, pair.tiling
    if storage.kind == "memory":
        return InMemory(tiling, pair.batch, pair.network.dtype, pair.network.device)

    def make(key: Key) -> Tensor:
        return pair.run_block0(pair.embed(key), key, block0)

    if storage.kind == "disk":
        return OnDisk(tiling, make, storage.for_map, storage.size)
    return Recomputed(tiling, make, storage.for_map)


def measure_block1(
    pair: PlanePair,
    block0: Block0,
    streams: TileCache,
    store: MapStore | None = None,
    step: Step = no_step,
) -> Moments:
    """Carry out the second pass: return the moments of the active stream before block 1.

    Parameters
    ----------
    pair : PlanePair
    block0 : (NormalizedBlock, NormalizedBlock)
    streams : TileCache
        What the first pass kept; it is empty afterwards.
    store : MapStore, optional
        Where the map behind block 0 is written for the last pass.
    """

    def measure(key: Key) -> Moments:
        x = pair.run_block0(streams.get(key, pair.embed), key, block0)
        streams.drop(key)
        if store is not None:
            store.put(key, x)
        tile = pair.tiling.tile(key)
        return Moments.of(x[(slice(None), *tile.clipped(pair.measured).within(tile))])

    return reduce(add, pair.each_tile(measure, step))


def write_output(
    pair: PlanePair,
    store: MapStore,
    block1: NormalizedBlock,
    out: np.ndarray | Tensor,
    step: Step = no_step,
) -> None:
    """Carry out the last pass: write the fused planes into `out`, float32 of the part's shape."""

    def write(key: Key) -> None:
        region = pair.tiling.tile(key).clipped(pair.part)
        if not (region.height > 0 and region.width > 0):
            return  # the tile has nothing but padding of it
        fused = pair.decode(region, store, block1)
        rows, columns = region.within(pair.part)
        out[..., rows, columns] = (
            fused if isinstance(out, Tensor) else fused.cpu().numpy()
        ).reshape(*out.shape[:-2], region.height, region.width)

    for _ in pair.each_tile(write, step):
        pass


def fuse_pair(
    pair: PlanePair,
    out: np.ndarray | Tensor,
    statistics: Statistics | None = None,
    step: Step = no_step,
) -> None:
    """Carry out all passes that are needed.

    Parameters
    ----------
    pair : PlanePair
    out : ndarray or Tensor
        Float32 of the shape of the pair's part, is written to.
    statistics : Statistics, optional
        To be used in place of the planes' own, which are then not measured.
    step : callable
        Is called `count_steps` times.
    """
    network = pair.network
    if statistics is not None:
        of_mm, of_dp, of_dp1 = (
            Moments.known(*numbers, network.device)
            for numbers in (statistics.block0_mm, statistics.block0_dp, statistics.block1)
        )
        block0 = normalize_block0(network, (of_mm, of_dp))
        with open_map_store(pair, block0) as store:
            write_output(pair, store, network.block1.normalized(of_dp1), out, step)
        return
    moments, streams = measure_block0(pair, step)
    block0 = normalize_block0(network, moments)
    with open_map_store(pair, block0) as store:
        block1 = network.block1.normalized(measure_block1(pair, block0, streams, store, step))
        write_output(pair, store, block1, out, step)


def count_steps(pair: PlanePair, statistics: Statistics | None = None) -> int:
    """Return how many steps `fuse_pair` makes: tiles times passes."""
    return len(pair.keys) * (3 if statistics is None else 1)
