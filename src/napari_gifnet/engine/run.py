"""One run of the engine: attempts at planes, smaller ones where memory runs out."""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import torch

from napari_gifnet.backend import Backend
from napari_gifnet.errors import DeviceError
from napari_gifnet.network import GIFNet

from .device import (
    Device,
    choose_precision,
    free_memory,
    is_out_of_memory,
    memory_budget,
    start_transfer,
)
from .folded import FoldedGIFNet
from .moments import Moments, Statistics
from .passes import PlanePair, count_steps, fuse_pair, prepare
from .tiling import Region

T = TypeVar("T")

CPU_TILE_SIZE = 128
"""Pixels: maps of this side fit a processor's last cache; see docs/performance.md."""

GPU_TILE_SIZE = 1024
SMALLEST_TILE_SIZE = 32
"""Pixels: for a lack of memory, tiles are not made smaller than this."""

Report = Callable[[int, int, int], None]
"""Called with the planes done, the steps of a plane and the step within the present one."""


@dataclass
class Run:
    """What a run uses at present; it begins as the backend wishes and shrinks as it must.

    Attributes
    ----------
    network : GIFNet
    backend : Backend
    note : callable
        Is told in a sentence what was done about a lack of memory.
    device : Device
    folded : FoldedGIFNet
        On the device, in the precision of the run.
    tile_size : int or None
    memory : float or None
        As of `Backend`.
    """

    network: GIFNet
    backend: Backend
    note: Callable[[str], None]
    device: Device
    folded: FoldedGIFNet
    tile_size: int | None
    memory: float | None

    @classmethod
    def begin(
        cls, network: GIFNet, backend: Backend, device: Device, note: Callable[[str], None]
    ) -> Run:
        """Place the network on a device.

        Raises
        ------
        DeviceError
            The device fails.
        """
        dtype = choose_precision(backend.precision, device.torch)
        try:
            folded = FoldedGIFNet(network, device.torch, dtype)
        except (RuntimeError, MemoryError) as error:
            raise _failed(device, error) from error
        tile_size = backend.tile_size
        if tile_size == "auto":
            tile_size = CPU_TILE_SIZE if device.is_cpu else GPU_TILE_SIZE
        return cls(network, backend, note, device, folded, tile_size, backend.memory)

    def again(self) -> Run:
        """Return another run that begins where this one stands."""
        return replace(self)

    @property
    def transfers(self) -> int:
        """How many planes may be on their way home while the next one is computed."""
        return 1 if self.device.torch.type == "cuda" else 0

    def fuse(
        self,
        a: np.ndarray,
        b: np.ndarray,
        statistics: Statistics | None,
        done: int,
        report: Report,
        part: Region | None = None,
    ) -> Callable[[], np.ndarray]:
        """Start on a plane or a part, `done` being behind; what is returned waits for the result."""
        shape = a.shape if part is None else (part.height, part.width)

        def attempt() -> Callable[[], np.ndarray]:
            pair = self._prepare(a, b, statistics is not None, part)
            steps, step = count_steps(pair, statistics), 0

            def count_step() -> None:
                nonlocal step
                step += 1
                report(done, steps, step)

            report(done, steps, 0)
            if not self.transfers:
                fused = np.empty(shape, np.float32)
                fuse_pair(pair, fused, statistics, count_step)
                return lambda: fused
            on_device = torch.empty(shape, dtype=torch.float32, device=self.device.torch)
            fuse_pair(pair, on_device, statistics, count_step)
            return start_transfer(on_device)

        return self._recovering(max(a.shape), attempt)

    def measure(
        self,
        a: np.ndarray,
        b: np.ndarray,
        measure: Callable[[PlanePair], list[Moments]],
        part: Region | None = None,
    ) -> list[Moments]:
        """Return moments of a plane or a part, in the computer's own memory."""

        def attempt() -> list[Moments]:
            pair = self._prepare(a, b, statistics_known=False, part=part)
            return [moments.cpu() for moments in measure(pair)]

        return self._recovering(max(a.shape), attempt)

    def _prepare(
        self, a: np.ndarray, b: np.ndarray, statistics_known: bool, part: Region | None
    ) -> PlanePair:
        memory = memory_budget(self.device.torch) if self.memory is None else self.memory
        known = statistics_known
        return prepare(self.folded, a, b, self.tile_size, memory, statistics_known=known, part=part)

    def _recovering(self, side: int, attempt: Callable[[], T]) -> T:
        """Try, with less and less memory; planes have sides of up to `side` pixels."""
        while True:
            try:
                with torch.inference_mode():
                    return attempt()
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise _failed(self.device, error) from error
                reason = _first_line(error)
            gc.collect()  # what the failed attempt's traceback may still hold
            free_memory(self.device.torch)
            self._shrink(side, reason)

    def _shrink(self, side: int, reason: str) -> None:
        """Make the next attempt smaller, and say so; raise where nothing smaller is left."""
        present, name = min(self.tile_size or side, side), self.device.torch
        if present > SMALLEST_TILE_SIZE and self.memory != 0:
            self.tile_size = max(SMALLEST_TILE_SIZE, present // 2)
            if self.tile_size <= 2 * SMALLEST_TILE_SIZE:
                self.memory = 0
            self.note(f"Memory ran out on {name}: going on with tiles of {self.tile_size} pixels.")
        elif not self.device.is_cpu:
            cpu = Device(torch.device("cpu"), f"the memory of {name} did not suffice")
            begun = Run.begin(self.network, replace(self.backend, memory=None), cpu, self.note)
            self.device, self.folded = cpu, begun.folded
            self.tile_size, self.memory = begun.tile_size, begun.memory
            self.note(
                f"Memory ran out on {name} even with the smallest tiles: going on on the CPU."
            )
        else:
            raise DeviceError(
                f"There is not enough memory for planes of this size ({reason}): "
                "close other programs, or fuse a part of the image."
            )


def _failed(device: Device, error: BaseException) -> DeviceError:
    return DeviceError(
        f"The computation failed on {device.torch} ({_first_line(error)}): "
        "try again with device='cpu'."
    )


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n")[0] or type(error).__name__
