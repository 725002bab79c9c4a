"""The engine: planes in, fused planes out, whatever the device and its memory."""

from __future__ import annotations

import gc
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TypeVar

import numpy as np
import torch

from napari_gifnet.backend import Backend
from napari_gifnet.errors import DeviceError
from napari_gifnet.network import GIFNet

from .device import (
    Device,
    choose_device,
    choose_precision,
    free_memory,
    is_out_of_memory,
    memory_budget,
)
from .folded import FoldedGIFNet, Moments
from .passes import Statistics, TiledFusion

Progress = Callable[[int, int], None]
T = TypeVar("T")

CPU_TILE_SIZE = 128
"""Maps of this side fit a processor's last cache; see docs/performance.md."""

GPU_TILE_SIZE = 1024
SMALLEST_TILE_SIZE = 32


class GIFNetEngine:
    """Runs a network on pairs of planes.

    Parameters
    ----------
    network : GIFNet
        With its weights loaded.
    backend : Backend
        Where and how it is computed.

    Attributes
    ----------
    device : torch.device
    device_reason : str
        Why this device.
    precision : str
        The one used.
    tile_size : int or None
        Side of the tiles in pixels; None where a plane is computed in one piece.
    notes : list of str
        What was done about a lack of memory, a sentence each.

    Raises
    ------
    DeviceError
        The device is not there.
    """

    def __init__(
        self,
        network: GIFNet,
        backend: Backend = Backend(),  # noqa: B008 (it is frozen)
    ) -> None:
        self.network, self.backend = network, backend
        self.memory = backend.memory
        self.notes: list[str] = []
        self._move(choose_device(backend.device))

    def _move(self, device: Device) -> None:
        self.device, self.device_reason = device.torch, device.reason
        dtype = choose_precision(self.backend.precision, device.torch)
        self.precision = str(dtype).removeprefix("torch.")
        asked = self.backend.tile_size
        self.tile_size: int | None = (
            (CPU_TILE_SIZE if device.is_cpu else GPU_TILE_SIZE) if asked == "auto" else asked
        )
        self.folded = FoldedGIFNet(self.network, device.torch, dtype)

    def fuse_planes(
        self,
        stacks: Iterable[tuple[np.ndarray, np.ndarray]],
        count: int,
        progress: Progress | None = None,
        statistics: Statistics | None = None,
    ) -> Iterator[np.ndarray]:
        """Yield the fused plane of each pair, (H, W) float32 in [0, 1].

        Parameters
        ----------
        stacks : iterable of (a, b)
            Planes (H, W) in [0, 1], finite, H and W ≥ 5. Slices of them are read as float32.
        count : int
            How many pairs there are.
        progress : callable, optional
            Called with the steps done and all steps: tiles, passes and planes together. What it
            raises stops the run.
        statistics : Statistics, optional
            What `gather_statistics` returned, for all planes; by default each plane has its own.

        Raises
        ------
        DeviceError
            The device failed, or its memory and the computer's did not suffice.
        """
        transfers = self._transfers()
        waiting: deque[Callable[[], np.ndarray]] = deque()
        for done, (a, b) in enumerate(stacks):
            waiting.append(self._fuse_plane(a, b, done, count, progress, statistics))
            # a GPU works on this plane while the one before is brought home
            if len(waiting) > transfers:
                yield waiting.popleft()()
        while waiting:
            yield waiting.popleft()()

    def _transfers(self) -> int:
        return 1 if self.device.type == "cuda" else 0

    def _fuse_plane(
        self,
        a: np.ndarray,
        b: np.ndarray,
        done: int,
        count: int,
        progress: Progress | None,
        statistics: Statistics | None,
    ) -> Callable[[], np.ndarray]:
        """Start on a plane; what is returned waits for the result. Recovers from lack of memory."""
        return self._recovering(
            max(a.shape), lambda: self._attempt(a, b, done, count, progress, statistics)
        )

    def _recovering(self, side: int, attempt: Callable[[], T]) -> T:
        """Try, with less and less memory; planes have sides of up to `side` pixels."""
        while True:
            try:
                return attempt()
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise DeviceError(
                        f"The computation failed on {self.device} ({_first_line(error)}): "
                        "try again with device='cpu'."
                    ) from error
                reason = _first_line(error)
            gc.collect()  # what the failed attempt's traceback may still hold
            free_memory(self.device)
            self._shrink(side, reason)

    def gather_statistics(
        self,
        stacks: Callable[[], Iterable[tuple[np.ndarray, np.ndarray]]],
        count: int,
        progress: Progress | None = None,
    ) -> Statistics:
        """Return the statistics of several pairs of planes together, for `fuse_planes`.

        Parameters
        ----------
        stacks : callable
            Gives the pairs of planes (H, W) in [0, 1], once for each of the two passes.
        count : int
            How many pairs there are.
        progress : callable, optional
            Called with the planes done and all, each counted in both of the passes.
        """

        def pooled(start: int, gather: Callable[[TiledFusion], list[Moments]]) -> list[Moments]:
            sums: list[Moments] = []
            for done, (a, b) in enumerate(stacks(), start):
                if progress:
                    progress(done, 2 * count)
                attempt = partial(self._gather, gather, a, b)
                each = self._recovering(max(a.shape), attempt)
                sums = [x + y for x, y in zip(sums, each, strict=True)] if sums else each
            return sums

        with torch.inference_mode():
            first = [m.numbers for m in pooled(0, lambda fusion: list(fusion.gather_first()))]

            def second(fusion: TiledFusion) -> list[Moments]:
                of_mm, of_dp = (Moments.known(*pair, self.device) for pair in first)
                return [fusion.gather_second((of_mm, of_dp))]

            (last,) = pooled(count, second)
        of_mm, of_dp = first
        return Statistics(of_mm, of_dp, last.numbers)

    def _gather(
        self, gather: Callable[[TiledFusion], list[Moments]], a: np.ndarray, b: np.ndarray
    ) -> list[Moments]:
        return [Moments(m.mean.cpu(), m.variance.cpu(), m.count) for m in gather(self._tiled(a, b))]

    def _tiled(
        self, a: np.ndarray, b: np.ndarray, statistics: Statistics | None = None
    ) -> TiledFusion:
        memory = memory_budget(self.device) if self.memory is None else self.memory
        return TiledFusion(self.folded, a, b, self.tile_size or max(a.shape), memory, statistics)

    def _attempt(
        self,
        a: np.ndarray,
        b: np.ndarray,
        done: int,
        count: int,
        progress: Progress | None,
        statistics: Statistics | None,
    ) -> Callable[[], np.ndarray]:
        with torch.inference_mode():
            fusion = self._tiled(a, b, statistics)
            steps, step = fusion.work, 0

            def count_step() -> None:
                nonlocal step
                step += 1
                if progress:
                    progress(done * steps + step, count * steps)

            if progress:
                progress(done * steps, count * steps)
            if self.device.type != "cuda":
                fused = np.empty(a.shape, np.float32)
                fusion.run(fused, count_step)
                return lambda: fused

            on_device = torch.empty(a.shape, dtype=torch.float32, device=self.device)
            fusion.run(on_device, count_step)
            home = torch.empty(a.shape, dtype=torch.float32, pin_memory=True)
            home.copy_(on_device, non_blocking=True)
            arrived = torch.cuda.Event()
            arrived.record()

        def wait() -> np.ndarray:
            arrived.synchronize()
            return home.numpy()

        return wait

    def _shrink(self, side: int, reason: str) -> None:
        """Make the next attempt smaller, and say so; raise where nothing smaller is left."""
        present = min(self.tile_size or side, side)
        if present > SMALLEST_TILE_SIZE and self.memory != 0:
            self.tile_size = max(SMALLEST_TILE_SIZE, present // 2)
            self.memory = 0 if self.tile_size <= 2 * SMALLEST_TILE_SIZE else self.memory
            self._say(
                f"Memory ran out on {self.device}: going on with tiles of {self.tile_size} pixels."
            )
        elif self.device.type != "cpu":
            before = self.device
            self.memory = None
            self._move(Device(torch.device("cpu"), f"the memory of {before} did not suffice"))
            self._say(
                f"Memory ran out on {before} even with the smallest tiles: going on on the CPU."
            )
        else:
            raise DeviceError(
                f"There is not enough memory for planes of this size ({reason}): "
                "close other programs, or fuse a part of the image."
            )

    def _say(self, note: str) -> None:
        self.notes.append(note)
        warnings.warn(note, RuntimeWarning, stacklevel=2)

    def release(self) -> None:
        """Give the device's memory back; the engine can still be used."""
        free_memory(self.device)


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n")[0] or type(error).__name__
