"""Which device a run would use, why, and how long it would take: found out in the background."""

from __future__ import annotations

import threading
import time

from napari.qt.threading import FunctionWorker
from qtpy.QtCore import QObject, Signal

from napari_gifnet.backend import Backend
from napari_gifnet.checkpoints import BANDS, GIFNET
from napari_gifnet.errors import GIFNetError
from napari_gifnet.fusers import open_fuser
from napari_gifnet.models import list_models
from napari_gifnet.viewer.layers.job import LayerJob

from .background import describe, wait_at_exit

SIDES = {GIFNET: 192, BANDS: 512}
"""Of the planes that a device is timed with, by the architecture, in pixels."""

_SPEEDS: dict[tuple[str, str], float] = {}
"""Pixels a second of two planes, by the name of the device and the architecture."""

_MEASURING = threading.Lock()


class DeviceProbe(QObject):
    """Looks at a device without holding up the GUI thread: torch takes seconds to import.

    Signals
    -------
    found()
        `sentence` is new, and `expected_seconds` may know more.
    """

    found = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.name = "auto"
        self.sentence = ""
        self._worker: FunctionWorker | None = None

    def start(self, name: str) -> None:
        """Look at the device of that name."""
        self.name, self.sentence = name, "Looking for the device …"
        self._worker = FunctionWorker(probe, name)
        self._worker.returned.connect(self._on_found)
        self._worker.errored.connect(self._on_failed)
        wait_at_exit()
        self._worker.start()

    def _on_failed(self, error: Exception) -> None:
        self._on_found((self.name, f"{self.name} cannot be used: {describe(error)}"))

    def _on_found(self, answer: tuple[str, str]) -> None:
        name, sentence = answer
        if name == self.name:
            self.sentence = sentence
            self.found.emit()


def probe(name: str) -> tuple[str, str]:
    """Return the name and a sentence on that device; time it once with the models at hand."""
    from napari_gifnet.engine.device import choose_device

    try:
        device = choose_device(name)
    except GIFNetError as error:
        return name, str(error)
    with _MEASURING:  # two at once would time each other
        for info in list_models():
            if info.shipped and (name, info.architecture) not in _SPEEDS:
                _SPEEDS[name, info.architecture] = measure_speed(info.name, name, info.architecture)
    return name, f"Runs on {str(device.torch).upper()}: {device.reason}."


def measure_speed(model: str, device: str, architecture: str) -> float:
    """Return how many pixels a second a model makes of two planes."""
    import numpy as np

    side = SIDES[architecture]
    fuser = open_fuser(model, Backend(device=device))
    plane = np.linspace(0, 1, side * side, dtype=np.float32).reshape(side, side)
    seconds = []
    for _ in range(2):
        start = time.perf_counter()
        list(fuser.fuse_planes([(plane, plane)], 1))
        seconds.append(time.perf_counter() - start)
    fuser.release()
    return plane.size / min(seconds)


def architecture_of(model: str) -> str | None:
    """Return the architecture of a model in the list; of a file nobody knows it before it is read."""
    found = [info.architecture for info in list_models() if info.name == model]
    return found[0] if found else None


def speed(model: str, device: str) -> float | None:
    """Return the pixels a second of two planes, None where nobody has timed them."""
    return _SPEEDS.get((device, architecture_of(model) or ""))


def learn(plan: LayerJob, seconds: float) -> bool:
    """Take over the speed that a run had, if that is more than was known; return whether it is.

    The probe runs while napari starts, when a computer has other things to do.
    """
    model, device = str(plan.model), plan.backend.device
    known, seen = speed(model, device), cost(plan, model) / seconds
    if known is None or seen <= known:
        return False
    _SPEEDS[device, architecture_of(model) or ""] = seen
    return True


def expected_seconds(plan: LayerJob, model: str, device: str) -> float | None:
    """Return how long a run takes with a model, or None where nobody has timed it."""
    known = speed(model, device)
    return None if known is None else cost(plan, model) / known


def cost(plan: LayerJob, model: str) -> float:
    """Return the work of a run, as so many pixels made of two planes."""
    images = len(plan.job.inputs)
    share = images / 2 if architecture_of(model) == BANDS else images - 1
    return plan.pixels * max(share, 1)


def affordable_pixels(plan: LayerJob, model: str, device: str, seconds: float) -> float:
    """Return how many pixels of a plan's planes are fused in so many seconds, as far as is known."""
    known = speed(model, device) or SIDES[GIFNET] ** 2
    return seconds * known * plan.pixels / cost(plan, model)
