"""Work in the background of a viewer: started, watched, cancelled, and never in the GUI's way."""

from __future__ import annotations

import atexit
import functools
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from napari.qt.threading import FunctionWorker, create_worker
from napari.utils import progress as ActivityBar
from qtpy.QtCore import QObject, Signal

from napari_gifnet.errors import Cancelled, GIFNetError
from napari_gifnet.viewer.layers.run import run_plan

INTERVAL = 0.05
"""Seconds between two progress messages to the GUI thread."""

_STEPS = 1000


class BackgroundRun(QObject):
    """One run of a plan in a thread of its own.

    Parameters
    ----------
    plan : LayerJob, or what `work` takes
    work : callable
        Called there as ``work(plan, progress=…)``.
    title : str, optional
        With one, napari knows of the run: it asks before it closes, stops the run then, and shows a
        bar of that title in its activity dock.

    Signals
    -------
    progressed(done, total)
        Of the engine's steps, at most every 50 ms.
    succeeded(result)
        What `work` returned: a `LayerResult` where it is a fusion.
    failed(sentence)
        What went wrong, for a user.
    ended()
        Always the last one; after a cancel the only one.
    """

    progressed = Signal(int, int)
    succeeded = Signal(object)
    failed = Signal(str)
    ended = Signal()

    def __init__(self, plan: Any, work: Callable[..., Any] = run_plan, title: str = "") -> None:
        super().__init__()
        self.plan = plan
        self.title = title
        self._cancelled = threading.Event()
        self._last_message = 0.0
        self._bar: Any = None
        # A plain function: a generator's worker would swallow RuntimeErrors, torch's above all.
        self._work = Work(title, functools.partial(work, plan, progress=self._progress))
        if title:
            self._worker = create_worker(self._work, _start_thread=False, _ignore_errors=True)
        else:
            self._worker = FunctionWorker(self._work)
        self._worker.returned.connect(self._on_returned)
        self._worker.errored.connect(self._on_errored)
        self._worker.finished.connect(self._on_finished)

    def start(self) -> None:
        """Start the thread."""
        wait_at_exit()
        if self.title:
            self._bar = ActivityBar(total=_STEPS, desc=self.title)
            self.progressed.connect(self._on_progressed)
        self._worker.start()

    @property
    def cancelled(self) -> bool:
        """Whether it was told to stop, by us or by napari, which closes."""
        return self._cancelled.is_set() or self._worker.abort_requested

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
        if self.cancelled:
            raise Cancelled
        now = time.monotonic()
        if now - self._last_message > INTERVAL or done == total:
            self._last_message = now
            self.progressed.emit(done, total)

    def _on_progressed(self, done: int, total: int) -> None:
        if self._bar is not None:
            self._bar.update(round(_STEPS * done / max(total, 1)) - self._bar.n)

    def _on_returned(self, result: Any) -> None:
        if not self.cancelled:
            self.succeeded.emit(result)

    def _on_errored(self, error: Exception) -> None:
        if not isinstance(error, Cancelled):
            self.failed.emit(describe(error))

    def _on_finished(self) -> None:
        self._work.forget()
        if self._bar is not None:
            self._bar.close()
            self._bar = None
        self.ended.emit()


class Work:
    """What a worker does, under a title: napari shows it when it asks whether to close.

    Napari keeps its workers for good, so that this is told to forget what it holds.
    """

    def __init__(self, title: str, work: Callable[[], Any]) -> None:
        self._title = title
        self._work: Callable[[], Any] | None = work

    def __call__(self) -> Any:
        assert self._work is not None
        return self._work()

    def __str__(self) -> str:
        return self._title

    def forget(self) -> None:
        """Let go of the images."""
        self._work = None


@functools.cache
def wait_at_exit() -> None:
    """Let threads end before the interpreter does: one that tells a deleted Qt object aborts it."""
    atexit.register(FunctionWorker.await_workers)


def describe(error: Exception) -> str:
    """Return one sentence for a user."""
    if isinstance(error, GIFNetError):
        return str(error)
    return f"GIFNet failed ({type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''})."
