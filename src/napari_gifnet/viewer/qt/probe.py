"""Which device a run would use, why, and how fast it is: found out in the background."""

from __future__ import annotations

import time

from napari.qt.threading import FunctionWorker
from qtpy.QtCore import QObject, Signal

from napari_gifnet.backend import Backend
from napari_gifnet.errors import GIFNetError
from napari_gifnet.fusers import open_fuser
from napari_gifnet.models import list_models

from .background import describe, wait_at_exit

SIDE = 192
"""Of the plane that a device is timed with, in pixels."""

_SPEEDS: dict[str, float] = {}  # pixels a second, by the name of the device


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
        self._worker.errored.connect(
            lambda error: self._on_found((name, f"{name} cannot be used: {describe(error)}"))
        )
        wait_at_exit()
        self._worker.start()

    def _on_found(self, answer: tuple[str, str]) -> None:
        name, sentence = answer
        if name == self.name:
            self.sentence = sentence
            self.found.emit()


def probe(name: str) -> tuple[str, str]:
    """Return the name and a sentence on that device; time it once if the model is at hand."""
    import numpy as np

    from napari_gifnet.engine.device import choose_device

    try:
        device = choose_device(name)
    except GIFNetError as error:
        return name, str(error)
    default = list_models()[0]
    if name not in _SPEEDS and default.shipped:
        fuser = open_fuser(default.name, Backend(device=name))
        plane = np.linspace(0, 1, SIDE * SIDE, dtype=np.float32).reshape(SIDE, SIDE)
        seconds = []
        for _ in range(2):
            start = time.perf_counter()
            list(fuser.fuse_planes([(plane, plane)], 1))
            seconds.append(time.perf_counter() - start)
        _SPEEDS[name] = plane.size / min(seconds)
    return name, f"Runs on {str(device.torch).upper()}: {device.reason}."


def expected_seconds(pixels: int, name: str) -> float | None:
    """Return how long a run over so many pixels takes, or None where nobody has timed the device."""
    return pixels / _SPEEDS[name] if name in _SPEEDS else None


def expected_pixels(seconds: float, name: str) -> float:
    """Return how many pixels are fused in so many seconds, as far as is known."""
    return seconds * _SPEEDS.get(name, SIDE**2)
