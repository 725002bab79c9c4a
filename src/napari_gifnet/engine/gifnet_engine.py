"""The engine: planes in, fused planes out, whatever the device and its memory."""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial

import numpy as np
import torch

from napari_gifnet.backend import Backend
from napari_gifnet.network import GIFNet
from napari_gifnet.progress import Progress, Reporting

from .device import choose_device, free_memory
from .moments import Moments, Statistics
from .passes import PlanePair, measure_block0, measure_block1, normalize_block0
from .run import Run
from .tile_cache import TileCache
from .tile_threads import own_cores
from .tiling import Region

Pair = tuple[np.ndarray, np.ndarray]
Numbers = tuple[float, float]
"""Mean and variance."""


def _before_block0(pair: PlanePair) -> list[Moments]:
    moments, _ = measure_block0(pair, kept=False)
    return list(moments)


def _before_block1(of_mm: Numbers, of_dp: Numbers, pair: PlanePair) -> list[Moments]:
    device = pair.network.device
    known = Moments.known(*of_mm, device), Moments.known(*of_dp, device)
    block0 = normalize_block0(pair.network, known)
    return [measure_block1(pair, block0, TileCache(0, "first"))]


class GIFNetEngine:
    """Runs a network on pairs of planes.

    A run that lacks memory goes on with smaller tiles, and at last on the CPU. The next run begins
    anew as `backend` wishes.

    Parameters
    ----------
    network : GIFNet
        With its weights loaded.
    backend : Backend
        Where it is computed, in which precision, and in how much memory.

    Attributes
    ----------
    device : torch.device
        Where the last run was computed, or where the first will be.
    device_reason : str
        Why there, in words fit for a user.
    precision : str
        Of that run: ``"float32"``, ``"bfloat16"`` or ``"float16"``.
    tile_size : int or None
        Side of that run's tiles in pixels; None for a plane in one piece.
    notes : list of str
        What was done about a lack of memory in all runs, a sentence each.

    Raises
    ------
    DeviceError
        The device is not there, or fails.

    Examples
    --------
    >>> import numpy as np
    >>> from napari_gifnet.network import GIFNet
    >>> engine = GIFNetEngine(GIFNet(), Backend(device="cpu", tile_size=32))
    >>> planes = np.zeros((2, 16, 16), np.float32)
    >>> [fused] = engine.fuse_planes([planes], count=1)
    >>> fused.shape, engine.device_reason
    ((16, 16), 'asked for')
    """

    def __init__(
        self,
        network: GIFNet,
        backend: Backend = Backend(),  # noqa: B008 (it is frozen)
    ) -> None:
        own_cores()
        self.network, self.backend = network, backend
        self.notes: list[str] = []
        self._first = self._last = Run.begin(
            network, backend, choose_device(backend.device), self._note
        )

    @property
    def device(self) -> torch.device:
        """Where the last run was computed."""
        return self._last.device.torch

    @property
    def device_reason(self) -> str:
        """Why it was computed there."""
        return self._last.device.reason

    @property
    def precision(self) -> str:
        """The precision of the last run."""
        return str(self._last.folded.dtype).removeprefix("torch.")

    @property
    def tile_size(self) -> int | None:
        """Side of the last run's tiles in pixels; None for a plane in one piece."""
        return self._last.tile_size

    def fuse_planes(
        self,
        stacks: Iterable[Pair],
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
            raises stops the run and comes out as it is.
        statistics : Statistics, optional
            What `gather_statistics` returned, for all planes; by default each plane has its own.

        Raises
        ------
        DeviceError
            The device failed, or its memory and the computer's did not suffice.
        """
        run = self._begin()
        waiting: deque[Callable[[], np.ndarray]] = deque()
        with Reporting(progress) as report:

            def report_plane(done: int, steps: int, step: int) -> None:
                report(done * steps + step, count * steps)

            for done, (a, b) in enumerate(stacks):
                waiting.append(run.fuse(a, b, statistics, done, report_plane))
                # a GPU works on this plane while the one before is brought home
                if len(waiting) > run.transfers:
                    yield waiting.popleft()()
            while waiting:
                yield waiting.popleft()()

    def gather_statistics(
        self,
        stacks: Callable[[], Iterable[Pair]],
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
            Called with the planes done and all, each counted in both of the passes. What it raises
            stops the run and comes out as it is.

        Raises
        ------
        DeviceError
            As for `fuse_planes`.
        """
        run = self._begin()
        with Reporting(progress) as report, torch.inference_mode():

            def pooled(start: int, measure: Callable[[PlanePair], list[Moments]]) -> list[Moments]:
                sums: list[Moments] = []
                for done, (a, b) in enumerate(stacks(), start):
                    report(done, 2 * count)
                    each = run.measure(a, b, measure)
                    sums = [x + y for x, y in zip(sums, each, strict=True)] if sums else each
                return sums

            of_mm, of_dp = (moments.numbers for moments in pooled(0, _before_block0))
            (of_active,) = pooled(count, partial(_before_block1, of_mm, of_dp))
            return Statistics(of_mm, of_dp, of_active.numbers)

    def measure_part(
        self,
        a: np.ndarray,
        b: np.ndarray,
        part: Region,
        block0: tuple[Numbers, Numbers] | None = None,
    ) -> list[Moments]:
        """Return the moments of a part of a pair, to be added to those of its other parts.

        Parameters
        ----------
        a, b : array (H, W)
            A cut of the planes, whose corner lies at multiples of `tiling.WINDOW` of theirs, with
            `tiling.MEASURE_HALO` pixels around the part as far as the planes have them.
        part : Region
            Of the cut.
        block0 : ((mean, variance), (mean, variance)), optional
            Of both streams of the planes before block 0, for the moments before block 1; without
            them, those before block 0 are returned.

        Raises
        ------
        DeviceError
            As for `fuse_planes`.
        """
        measure = _before_block0 if block0 is None else partial(_before_block1, *block0)
        return [moments.plain() for moments in self._begin().measure(a, b, measure, part)]

    def fuse_part(
        self, a: np.ndarray, b: np.ndarray, part: Region, statistics: Statistics
    ) -> np.ndarray:
        """Return a part of a fused plane, whose statistics are known, (h, w) float32 in [0, 1].

        Parameters
        ----------
        a, b : array (H, W)
            A cut of the planes as for `measure_part`, with `tiling.FUSE_HALO` pixels around.
        part : Region
            Of the cut.
        statistics : Statistics
            Of the whole planes.

        Raises
        ------
        DeviceError
            As for `fuse_planes`.
        """
        return self._begin().fuse(a, b, statistics, 0, lambda *steps: None, part)()

    def _begin(self) -> Run:
        """Begin a run as the backend wishes, whatever became of the one before."""
        own_cores()
        self._last = self._first.again()
        return self._last

    def _note(self, sentence: str) -> None:
        self.notes.append(sentence)
        warnings.warn(sentence, RuntimeWarning, stacklevel=2)

    def release(self) -> None:
        """Give the device's memory back; the engine can still be used."""
        free_memory(self._first.device.torch)
