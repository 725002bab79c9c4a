"""A fusion in the background of a viewer: started, watched, cancelled, and never in the GUI's way."""

from __future__ import annotations

import atexit
import functools
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from napari.qt.threading import FunctionWorker
from qtpy.QtCore import QObject, Signal

from napari_gifnet.errors import Cancelled, GIFNetError
from napari_gifnet.viewer.layers.job import LayerJob
from napari_gifnet.viewer.layers.run import LayerResult, run_plan

if TYPE_CHECKING:
    import napari

INTERVAL = 0.05
"""Seconds between two progress messages to the GUI thread."""


class BackgroundRun(QObject):
    """One run of a plan in a thread of its own.

    Parameters
    ----------
    plan : LayerJob
    work : callable
        Called there as ``work(plan, progress=…)``.

    Signals
    -------
    progressed(done, total)
        Of the engine's steps, at most every 50 ms.
    succeeded(result)
        A `LayerResult`.
    failed(sentence)
        What went wrong, for a user.
    ended()
        Always the last one; after a cancel the only one.
    """

    progressed = Signal(int, int)
    succeeded = Signal(object)
    failed = Signal(str)
    ended = Signal()

    def __init__(self, plan: LayerJob, work: Callable[..., LayerResult] = run_plan) -> None:
        super().__init__()
        self.plan = plan
        self._cancelled = threading.Event()
        self._last_message = 0.0
        # A plain function: a generator's worker would swallow RuntimeErrors, torch's above all.
        self._worker = FunctionWorker(work, plan, progress=self._progress)
        self._worker.returned.connect(self._on_returned)
        self._worker.errored.connect(self._on_errored)
        self._worker.finished.connect(self.ended)

    def start(self) -> None:
        """Start the thread."""
        wait_at_exit()
        self._worker.start()

    @property
    def cancelled(self) -> bool:
        """Whether it was told to stop."""
        return self._cancelled.is_set()

    def cancel(self) -> None:
        """Stop at the next tile; nothing is added."""
        self._cancelled.set()

    def abandon(self) -> None:
        """Stop, and tell nobody: whoever listened is gone."""
        self.cancel()
        self.blockSignals(True)
        for signal in (self.progressed, self.succeeded, self.failed, self.ended):
            with suppress(TypeError):  # nobody listened
                signal.disconnect()  # what is on its way across threads, too

    def _progress(self, done: int, total: int) -> None:
        if self._cancelled.is_set():
            raise Cancelled
        now = time.monotonic()
        if now - self._last_message > INTERVAL or done == total:
            self._last_message = now
            self.progressed.emit(done, total)

    def _on_returned(self, result: LayerResult) -> None:
        if not self._cancelled.is_set():
            self.succeeded.emit(result)

    def _on_errored(self, error: Exception) -> None:
        if not isinstance(error, Cancelled):
            self.failed.emit(describe(error))


@functools.cache
def wait_at_exit() -> None:
    """Let threads end before the interpreter does: one that tells a deleted Qt object aborts it."""
    atexit.register(FunctionWorker.await_workers)


def describe(error: Exception) -> str:
    """Return one sentence for a user."""
    if isinstance(error, GIFNetError):
        return str(error)
    return f"GIFNet failed ({type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''})."


def add_result(viewer: napari.Viewer, result: LayerResult) -> Any:
    """Add a result as a new layer; napari numbers a name that is taken."""
    return viewer.add_image(result.data, **result.kwargs)
