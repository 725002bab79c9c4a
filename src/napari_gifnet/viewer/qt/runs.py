"""The runs that go on in a viewer, whether a dock is open or not; each adds its own layers."""

from __future__ import annotations

import functools
import time
import weakref
from typing import TYPE_CHECKING, Any

from napari.layers import Image
from napari.utils.notifications import show_error
from qtpy.QtCore import QObject, Signal

from napari_gifnet.viewer.layers.job import LayerJob
from napari_gifnet.viewer.layers.run import LayerResult
from napari_gifnet.viewer.layers.run_on_cluster import run_plan_on

from .background import BackgroundRun
from .settings import scheduler_address
from .texts import duration_text, shortened

if TYPE_CHECKING:
    import napari

_RUNS: list[ViewerRun] = []

_PLANS: weakref.WeakKeyDictionary[Any, LayerJob] = weakref.WeakKeyDictionary()
"""What the results of this session were made by."""


class ViewerRun(QObject):
    """A run whose result becomes a layer of a viewer.

    Parameters
    ----------
    viewer : napari.Viewer
    plan : LayerJob

    Attributes
    ----------
    layer : napari.layers.Image or None
        The result, once it is there.
    share : float
        How much of the run is done, 0 to 1.

    Signals
    -------
    progressed()
        `share` is new.
    ended()
        Always the last one; `sentence` says how it ended.
    """

    progressed = Signal()
    ended = Signal()

    opening = "Loading the model …"
    """What is said before there is any progress."""

    cancelled_sentence = "Cancelled; nothing was added."

    def __init__(self, viewer: napari.Viewer, plan: Any) -> None:
        super().__init__()
        self.viewer, self.plan = bare(viewer), plan
        self.layer: Any = None
        self.share = 0.0
        self.sentence = ""
        self._started = time.monotonic()
        self._run = self._background(plan)
        self._run.progressed.connect(self._on_progressed)
        self._run.succeeded.connect(self._on_succeeded)
        self._run.failed.connect(self._on_failed)
        self._run.ended.connect(self._on_ended)

    def _background(self, plan: Any) -> BackgroundRun:
        return BackgroundRun(plan, title=f"GIFNet: {plan.name}")

    @property
    def title(self) -> str:
        """What it is, for people."""
        return self._run.title

    @property
    def cancelled(self) -> bool:
        """Whether it was told to stop."""
        return self._run.cancelled

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.monotonic() - self._started

    @property
    def seconds_left(self) -> float | None:
        """About how long it still takes; None where nothing tells yet."""
        if not self.share or self.seconds < 1:
            return None
        return self.seconds / self.share * (1 - self.share)

    def start(self) -> None:
        """Start the thread; the run is kept until it has ended."""
        _RUNS.append(self)
        self._run.start()

    def cancel(self) -> None:
        """Stop at the next tile; nothing is added."""
        self._run.cancel()

    def _on_progressed(self, done: int, total: int) -> None:
        self.share = done / max(total, 1)
        self.progressed.emit()

    def _on_succeeded(self, result: LayerResult) -> None:
        if result.index is not None:
            self.viewer.add_image(result.index.data, **result.index.kwargs)
        self.layer = add_result(self.viewer, result, self.plan)
        notes = result.kwargs["metadata"]["napari_gifnet"].get("notes", [])
        added = f"Added {shortened(self.layer.name)!r} after {duration_text(self.seconds)}."
        self.sentence = "\n".join([added, *notes])

    def _on_failed(self, sentence: str) -> None:
        self.sentence = sentence
        show_error(sentence)

    def _on_ended(self) -> None:
        if self.cancelled and self.layer is None:
            self.sentence = self.cancelled_sentence
        if self in _RUNS:
            _RUNS.remove(self)
        self.ended.emit()


class ClusterRun(ViewerRun):
    """A run that the workers of a cluster carry out.

    Parameters
    ----------
    viewer : napari.Viewer
    plan : LayerJob
    scheduler : str
        The address.
    """

    cancelled_sentence = "Cancelled; nothing was added, and nothing is left on the cluster."

    def __init__(self, viewer: napari.Viewer, plan: Any, scheduler: str) -> None:
        self._scheduler = scheduler
        super().__init__(viewer, plan)
        self.opening = f"Connecting to {scheduler} …"

    def _background(self, plan: Any) -> BackgroundRun:
        work = functools.partial(run_plan_on, self._scheduler)
        return BackgroundRun(plan, work, title=f"GIFNet: {plan.name} on {self._scheduler}")


class Runs(QObject):
    """Tells every dock of the runs that are started, by whomever.

    Signals
    -------
    started(run)
        A `ViewerRun`, before its thread begins.
    """

    started = Signal(object)


@functools.cache
def runs() -> Runs:
    """Return the one that tells."""
    return Runs()


def start_run(viewer: napari.Viewer, plan: Any, kind: type[ViewerRun] | None = None) -> ViewerRun:
    """Carry out a plan in the background and add the result to a viewer.

    Parameters
    ----------
    viewer : napari.Viewer
    plan : LayerJob, or what a run of another kind carries out
    kind : type, optional
        Of the run: a fusion by default, on the cluster that napari's preferences name, if any.
    """
    address = None if kind else cluster_of(plan)
    run = (kind or ViewerRun)(viewer, plan) if not address else ClusterRun(viewer, plan, address)
    runs().started.emit(run)
    run.start()
    return run


def cluster_of(plan: LayerJob) -> str | None:
    """Return the address of the cluster that is to carry out a plan, None if it is this computer.

    What is computed when it is looked at is computed here.
    """
    return None if plan.lazy else scheduler_address()


def run_in(viewer: napari.Viewer) -> ViewerRun | None:
    """Return the run that goes on in a viewer, the latest of several."""
    runs = [run for run in _RUNS if run.viewer is bare(viewer)]
    return runs[-1] if runs else None


def add_result(viewer: napari.Viewer, result: LayerResult, plan: LayerJob) -> Any:
    """Add a result as a new layer, and return it; napari numbers a name that is taken."""
    layer = Image(result.data, **result.kwargs)
    remember_plan(layer, plan)  # before anyone hears of the layer
    viewer.add_layer(layer)
    return layer


def remember_plan(layer: Any, plan: LayerJob) -> None:
    """Keep what a layer was made by, its ranges measured, for as long as the layer is there."""
    record = layer.metadata["napari_gifnet"]
    ranges = [(low, high) for low, high in (each["range"] for each in record["inputs"])]
    _PLANS[bare(layer)] = plan.with_ranges(ranges)


def remembered_plan(layer: Any) -> LayerJob | None:
    """Return what a layer was made by in this session, None of all others."""
    return _PLANS.get(bare(layer))


def bare(thing: Any) -> Any:
    """Return what one of napari's proxies stands for: plugins get a new one with every question."""
    return getattr(thing, "__wrapped__", thing)
