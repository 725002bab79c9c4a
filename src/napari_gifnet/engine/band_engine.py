"""The band network on planes of any size and number: in tiles, a few planes at a time.

Everything the network does is local: a pixel of the result depends on pixels at most `HALO` away. So a
tile is computed with that much around it, cut out of the planes, and agrees with the whole. Within a
tile, planes that do not fit into memory together are taken in turn, twice: once to learn what all of
them have, once to weigh each against it.
"""

from __future__ import annotations

import gc
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import Tensor

from napari_gifnet.backend import Backend
from napari_gifnet.errors import DeviceError
from napari_gifnet.network.bands import ALIGNMENT, HALO, TASKS, GIFNetBands, padded
from napari_gifnet.progress import Progress

from .device import Device, choose_device, choose_precision, free_memory, is_out_of_memory
from .tile_threads import open_tile_threads, own_cores
from .tiling import Region

CPU_TILE_SIZE = 1024
GPU_TILE_SIZE = 4096
SMALLEST_TILE_SIZE = 64

PIXELS_AT_ONCE = 2.5e6
"""Of all planes that a CPU encodes together; each takes some 200 bytes."""

PIXELS_OF_A_CORE = 0.5e6
"""Stacks of no more pixels, planes together, are fused on one core each."""

Planes = Sequence[np.ndarray]


@dataclass(frozen=True)
class Fused:
    """A result and, if asked for, where it comes from, (H, W) float32 each."""

    plane: np.ndarray  # in [0, 1]
    index: np.ndarray | None = None  # position among the planes


@dataclass(frozen=True)
class _Wanted:
    """What is asked for of each stack; without a part, all of it."""

    task: str | None
    part: Region | None
    indexed: bool


class BandEngine:
    """Fuses stacks of planes with the band network.

    Parameters
    ----------
    network : GIFNetBands
    backend : Backend
        Its memory is not used: what is in memory beside the planes is a tile's.

    Attributes
    ----------
    device : torch.device
    device_reason : str
        Why it is computed there.
    precision : str
        In which the features are computed; bands and weights are float32 always.
    tile_size : int or None
        Of the last run, after what memory allowed.
    notes : list of str
        What was done about a lack of memory, a sentence each.

    Raises
    ------
    DeviceError
        The device is not there.
    """

    def __init__(self, network: GIFNetBands, backend: Backend = Backend()) -> None:  # noqa: B008
        self.network, self.backend = network, backend
        self.notes: list[str] = []
        self._map_strips: Callable[[Callable, Iterable], Iterable] = map
        self._move(choose_device(backend.device))

    def _move(self, device: Device) -> None:
        self.device, self.device_reason = device.torch, device.reason
        self._dtype = choose_precision(self.backend.precision, device.torch)
        self.precision = str(self._dtype).removeprefix("torch.")
        self.tile_size: int | None = (
            (CPU_TILE_SIZE if device.is_cpu else GPU_TILE_SIZE)
            if self.backend.tile_size == "auto"
            else self.backend.tile_size
        )
        self._placed = deepcopy(self.network).to(device.torch)
        self._placed.map_strips = self._each_strip

    def _each_strip(self, make: Callable[[Any], Any], strips: Iterable[Any]) -> Iterable[Any]:
        """Work on strips in the precision of the run, which is each thread's own."""

        def reduced(strip: Any) -> Any:
            with self._reduced():
                return make(strip)

        return self._map_strips(reduced, strips)

    def fuse_planes(
        self,
        stacks: Iterable[Planes],
        count: int,
        progress: Progress | None = None,
        task: str | None = None,
        part: Region | None = None,
        indexed: bool = False,
    ) -> Iterator[Fused]:
        """Yield what each stack of planes is fused to.

        Parameters
        ----------
        stacks : iterable of sequences of array (H, W)
            In [0, 1], finite; of each, a slice of a few planes is asked for at a time.
        count : int
            How many stacks there are.
        progress : callable, optional
            Called with the steps done and all steps: tiles, planes and stacks together.
        task : str, optional
            The preset that the planes are an example of; what is none of the network's is ignored.
        part : Region, optional
            Of the planes, what is wanted of the result; the pixels around it are only looked at.
        indexed : bool
            Whether the index is wanted, too.

        Raises
        ------
        DeviceError
            The device failed, or its memory and the computer's did not suffice.
        """
        report = progress or (lambda done, total: None)
        wanted = _Wanted(task if task in TASKS else None, part, indexed)
        self._move(choose_device(self.backend.device))

        def step(done: int, share: float) -> None:
            report(round(1e4 * (done + share)), round(1e4 * count))

        own_cores()  # before threads take a share of them
        first, stacks = _peeked(stacks)
        small = first is not None and _pixels(first) <= PIXELS_OF_A_CORE
        if count > 1 and small and part is None:
            yield from self._side_by_side(stacks, count, wanted, step)
            return
        strips = max(1, self.tile_size or max(first[0].shape)) if first else 1
        with open_tile_threads(self.device, strips) as map_strips:
            self._map_strips = map_strips
            try:
                for done, planes in enumerate(stacks):
                    step(done, 0)
                    yield self._recovering(planes, wanted, partial(step, done))
            finally:
                self._map_strips = map

    def _side_by_side(
        self,
        stacks: Iterable[Planes],
        count: int,
        wanted: _Wanted,
        step: Callable[[int, float], None],
    ) -> Iterator[Fused]:
        """Fuse small stacks, each on one core; of those that fail the reason is found alone."""

        def attempt(planes: Planes) -> tuple[Planes, Fused | None]:
            try:
                return planes, self._fuse(planes, wanted, lambda share: None)
            except (RuntimeError, MemoryError):
                return planes, None

        with open_tile_threads(self.device, count) as map_stacks:
            step(0, 0)
            for done, (planes, fused) in enumerate(map_stacks(attempt, stacks)):
                if fused is None:
                    fused = self._recovering(planes, wanted, partial(step, done))
                step(done + 1, 0)
                yield fused

    def _recovering(self, planes: Planes, wanted: _Wanted, step: Callable[[float], None]) -> Fused:
        """Fuse one stack, in smaller and smaller tiles where memory runs out."""
        side = max(planes[0].shape)
        while True:
            try:
                return self._fuse(planes, wanted, step)
            except (RuntimeError, MemoryError) as error:
                reason = str(error).strip().split("\n")[0] or type(error).__name__
                if not is_out_of_memory(error):
                    raise DeviceError(
                        f"The computation failed on {self.device} ({reason}): try again with "
                        "device='cpu'."
                    ) from error
            gc.collect()
            free_memory(self.device)
            self._shrink(side, reason)

    def _shrink(self, side: int, reason: str) -> None:
        present, name = min(self.tile_size or side, side), self.device
        if present > SMALLEST_TILE_SIZE:
            self.tile_size = max(SMALLEST_TILE_SIZE, present // 2)
            note = f"Memory ran out on {name}: going on with tiles of {self.tile_size} pixels."
        elif name.type != "cpu":
            self._move(Device(torch.device("cpu"), f"the memory of {name} did not suffice"))
            note = f"Memory ran out on {name} even with the smallest tiles: going on on the CPU."
        else:
            raise DeviceError(
                f"There is not enough memory for planes of this size ({reason}): close other "
                "programs, or fuse a part of the image."
            )
        self.notes.append(note)
        warnings.warn(note, RuntimeWarning, stacklevel=2)

    def _fuse(self, planes: Planes, wanted: _Wanted, step: Callable[[float], None]) -> Fused:
        height, width = planes[0].shape
        whole = Region(0, height, 0, width)
        inner = wanted.part or whole
        made = [
            np.empty((inner.height, inner.width), np.float32) for _ in range(1 + wanted.indexed)
        ]
        tiles = list(_tiles(_aligned(inner, whole), self.tile_size))
        for done, tile in enumerate(tiles):

            def part(share: float, done: int = done) -> None:
                step((done + share) / len(tiles))

            around = tile.grown(HALO, whole)
            of_region = self._fuse_region(planes, around, wanted.task, part)
            tile = tile.clipped(inner)
            rows, columns = tile.within(around)
            for out, values in zip(made, of_region, strict=False):
                out[tile.within(inner)] = values[0, 0, rows, columns].cpu().numpy()
        np.clip(made[0], 0, 1, out=made[0])
        return Fused(*made)

    def _fuse_region(
        self, planes: Planes, region: Region, task: str | None, part: Callable[[float], None]
    ) -> tuple[Tensor, Tensor]:
        """Return the fused plane and its index on a region, (1, 1, h, w)."""
        network, count = self._placed, len(planes)
        at_once = max(1, int(PIXELS_AT_ONCE / (region.height * region.width)))
        if self.device.type != "cpu":
            at_once = count
        groups = [range(i, min(i + at_once, count)) for i in range(0, count, at_once)]
        steps, stepped = 2 * len(groups), 0

        def advance() -> None:
            nonlocal stepped
            stepped += 1
            part(stepped / steps)

        with torch.inference_mode(), self._reduced():
            encoded = summary = None
            for group in groups:
                encoded = network.encode(self._cut(planes, group, region))
                summary = network.summarise(encoded, summary)
                advance()
            sums = None
            assert summary is not None
            for group in groups:
                if len(groups) > 1 or encoded is None:
                    encoded = network.encode(self._cut(planes, group, region))
                sums = network.weigh(encoded, summary, group.start, task, sums)
                advance()
            assert sums is not None
            made = network.finish(sums, summary)
        return made.plane.float(), made.index.float()

    def _cut(self, planes: Planes, group: range, region: Region) -> Tensor:
        """Return planes on a region, (1, P, h, w), mirrored where the image ends."""
        rows, columns = slice(region.top, region.bottom), slice(region.left, region.right)
        parts = np.stack([planes[i][rows, columns] for i in group]).astype(np.float32, copy=False)
        return padded(torch.from_numpy(parts)[None].to(self.device))

    def _reduced(self) -> AbstractContextManager:
        if self._dtype == torch.float32:
            return nullcontext()
        return torch.autocast(self.device.type, self._dtype)

    def release(self) -> None:
        """Give the device's memory back; the engine can still be used."""
        free_memory(self.device)


def _pixels(planes: Planes) -> int:
    """Of all planes together."""
    return len(planes) * planes[0].size


def _peeked(stacks: Iterable[Planes]) -> tuple[Planes | None, Iterable[Planes]]:
    """Return the first of several stacks, and all of them."""
    following = iter(stacks)
    first = next(following, None)
    return first, () if first is None else chain([first], following)


def _tiles(whole: Region, tile_size: int | None) -> Iterator[Region]:
    """Cut a region into tiles whose corners are multiples of `ALIGNMENT`."""
    if tile_size is None:
        yield whole
        return
    step = max(ALIGNMENT, tile_size // ALIGNMENT * ALIGNMENT)
    for top in range(whole.top, whole.bottom, step):
        for left in range(whole.left, whole.right, step):
            yield Region(top, min(top + step, whole.bottom), left, min(left + step, whole.right))


def _aligned(region: Region, whole: Region) -> Region:
    """Grow a region to corners at multiples of `ALIGNMENT`, as far as the whole has them."""
    return Region(
        region.top // ALIGNMENT * ALIGNMENT,
        -(-region.bottom // ALIGNMENT) * ALIGNMENT,
        region.left // ALIGNMENT * ALIGNMENT,
        -(-region.right // ALIGNMENT) * ALIGNMENT,
    ).clipped(whole)
