"""The current slice, fused as one scrolls or changes a setting, in a layer that comes and goes."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject, QTimer, Signal

from napari_gifnet.errors import GIFNetError
from napari_gifnet.fuser import Fuser
from napari_gifnet.fusers import open_fuser
from napari_gifnet.planes.image import SMALLEST_SIDE
from napari_gifnet.viewer.layers.extent import needs_view
from napari_gifnet.viewer.layers.job import LayerJob
from napari_gifnet.viewer.layers.run import LayerResult, run_plan

from .background import BackgroundRun
from .layer_choice import watch_view
from .probe import learn
from .runs import bare

if TYPE_CHECKING:
    import napari

NAME = "GIFNet preview"

PATIENCE_S = 1.0
"""Seconds that a preview may take; larger planes are shown at a fraction of their resolution."""

LIVE_S = 0.4
"""Seconds below which a preview is quick enough to be shown as one scrolls, not only after it."""

PAUSE_MS = 100
"""Without a change, before a preview that is not quick, or of what is in view, is computed."""

_WORTH = 200**2
"""Pixels that a preview has at least; fewer show nothing of a picture."""


@dataclass(frozen=True)
class Wanted:
    """What is to be previewed.

    Attributes
    ----------
    plan : LayerJob
        Of the current slice.
    pixels : float
        How many are fused in `PATIENCE_S`.
    remarks : tuple of str
        What a user should know.
    """

    plan: LayerJob
    pixels: float
    remarks: tuple[str, ...] = ()


class Preview(QObject):
    """Keeps a preview layer up to date while it is on.

    One preview is computed at a time, in a thread. Where one takes long, a change makes it stale and
    it is dropped; where it is quick, it is shown and the next one follows, so that one sees the
    slices go by.

    Parameters
    ----------
    viewer : napari.Viewer
    wanted : callable
        Gives what is to be previewed; it may raise `GIFNetError`.
    parent : QObject

    Signals
    -------
    said(text)
        What is shown, or why nothing is.
    removed()
        The user removed the layer: the preview is off.
    """

    said = Signal(str)
    removed = Signal()

    def __init__(
        self, viewer: napari.Viewer, wanted: Callable[[], Wanted], parent: QObject
    ) -> None:
        super().__init__(parent)
        self.on = False
        self.layer: Any = None
        self._viewer, self._wanted = viewer, wanted
        self._run: BackgroundRun | None = None
        self._factor = 1
        self._live = False
        self._stale = False
        self._quicker = False
        self._moves = False
        self._remarks: tuple[str, ...] = ()
        self._fuser: tuple[Any, Fuser] | None = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._start)
        viewer.dims.events.point.connect(self.refresh)
        viewer.dims.events.order.connect(self.refresh)
        viewer.layers.events.removed.connect(self._on_removed)
        watch_view(viewer, self._on_view)

    def start(self) -> None:
        """Show a preview from now on."""
        self.on = True
        if self._run is None:
            self._timer.start(0)
        else:
            self.refresh()

    def stop(self) -> None:
        """Drop what is in the making, take the layer away, give back the device's memory."""
        self.on = False
        self._timer.stop()
        if self._run is not None:
            self._run.cancel()
        self._clear()
        if self._fuser is not None:
            self._fuser[1].release()
            self._fuser = None

    def disconnect_from_viewer(self) -> None:
        """For a widget that is being closed: no more previews, and no more of the viewer's events."""
        self.on = False
        self._viewer.dims.events.point.disconnect(self.refresh)
        self._viewer.dims.events.order.disconnect(self.refresh)
        self._viewer.layers.events.removed.disconnect(self._on_removed)
        watch_view(self._viewer, self._on_view, on=False)
        if self._run is not None:
            self._run.abandon()

    def refresh(self, event: Any = None) -> None:
        """Something has changed: what is shown is not what is wanted."""
        if not self.on:
            return
        if self._run is not None:
            self._stale = True
            if not self._live:
                self._run.cancel()
        elif self._live:
            self._timer.start(0)
        else:
            self._timer.start(PAUSE_MS)

    def _on_view(self, event: Any = None) -> None:
        """One pans or zooms: what is in view is fused once that has paused."""
        if not self.on or not self._moves:
            return
        if self._run is not None:
            self._stale = True
            self._run.cancel()
        else:
            self._timer.start(PAUSE_MS)

    def _clear(self) -> None:
        layer, self.layer = self.layer, None
        if layer is not None and layer in self._viewer.layers:
            self._viewer.layers.remove(layer)

    def _start(self) -> None:
        if not self.on or self._run is not None:
            return  # once the stale one has ended, it comes back here
        try:
            wanted = self._wanted()
        except GIFNetError:  # the line before a run says why
            self._moves = True  # the layers may come into view
            self._clear()
            self.said.emit("")
            return
        self._factor, plan = coarsened(wanted.plan, wanted.pixels)
        share = plan.pixels / max(wanted.pixels, 1)
        self._live, self._remarks = share * PATIENCE_S < LIVE_S, wanted.remarks
        self._stale = self._quicker = False
        self._moves = needs_view(plan.options.extent)
        run = self._run = BackgroundRun(plan, self._compute)
        run.succeeded.connect(self._on_result)
        run.failed.connect(self.said)
        run.ended.connect(self._on_ended)
        run.start()

    def _compute(self, plan: LayerJob, progress: Any) -> LayerResult:
        """In the thread: run a plan on a fuser that is kept from one preview to the next."""
        key = (plan.model, plan.backend)
        if self._fuser is None or self._fuser[0] != key:
            self._fuser = (key, open_fuser(*key, progress))
        start = time.perf_counter()
        result = run_plan(without_files(plan), progress, self._fuser[1], gather=False)
        self._quicker = learn(plan, time.perf_counter() - start)
        return result

    def _on_result(self, result: LayerResult) -> None:
        if not self.on:
            return
        kwargs = result.kwargs | {"name": NAME, "metadata": {"napari_gifnet": {"preview": True}}}
        if self.layer is not None and _fits(self.layer, result):
            self._move(self.layer, result)
        else:
            self._replace(result.data, kwargs)
        record = result.kwargs["metadata"]["napari_gifnet"]
        self.said.emit(self._describe(record))

    def _describe(self, record: dict[str, Any]) -> str:
        """Say which model is shown, at which resolution, and where it is not what Fuse will give."""
        plan = self._run.plan if self._run is not None else None
        at = f" at 1/{self._factor} of the resolution" if self._factor > 1 else ""
        differs = plan is not None and plan.normalization != record["parameters"]["normalization"]
        model = Path(str(record["model"])).name
        what = "the current slice"
        if plan is not None and any(source.levels > 1 for source in plan.sources):
            levels = plan.options.level
            levels = levels if isinstance(levels, (list, tuple)) else [levels]
            which = " and ".join(map(str, dict.fromkeys(levels)))
            what = f"what is in view, of level{'s' * (len(set(levels)) > 1)} {which},"
        text = f"The preview shows {what} by {model}{at}" + (
            ", normalized by itself: Fuse measures the whole stack." if differs else "."
        )
        if self._factor > 1 and record["model"] != "gifnet-bands":
            text += " The model gifnet-bands shows it whole, as you scroll."
        return " ".join([text, *self._remarks])

    def _move(self, layer: Any, result: LayerResult) -> None:
        layer.data = result.data
        for name in ("scale", "translate", "rotate", "shear", "affine"):
            wanted = result.kwargs[name]
            current = getattr(layer, name)
            current = current.affine_matrix if name == "affine" else current
            if not np.array_equal(current, wanted):
                setattr(layer, name, wanted)

    def _replace(self, data: Any, kwargs: dict[str, Any]) -> None:
        layers = self._viewer.layers
        selected = set(layers.selection)
        old, self.layer = self.layer, None
        if old is not None and old in layers:
            selected.discard(old)
            layers.remove(old)
        self.layer = bare(self._viewer.add_image(data, **kwargs))
        layers.selection = selected  # a preview is looked at, not worked on

    def _on_ended(self) -> None:
        run, self._run = self._run, None
        if self.on and (self._stale or (run is not None and run.cancelled)):
            self._timer.start(0 if self._live and not self._moves else PAUSE_MS)
        elif self.on and self._quicker and self._can_be_finer():
            self._timer.start(0)

    def _can_be_finer(self) -> bool:
        """Whether by what is known now a preview may have more of the resolution."""
        try:
            wanted = self._wanted()
        except GIFNetError:
            return False
        return coarsened(wanted.plan, wanted.pixels)[0] < self._factor

    def _on_removed(self, event: Any) -> None:
        if self.layer is not None and event.value is self.layer:
            self.layer = None
            self.stop()
            self.removed.emit()


def coarsened(plan: LayerJob, pixels: float) -> tuple[int, LayerJob]:
    """Return a plan of about so many pixels at most, and how many times as long its voxels are."""
    largest = min(plan.job.sides) // SMALLEST_SIDE
    factor = min(math.ceil(math.sqrt(plan.pixels / max(pixels, _WORTH))), largest)
    if factor <= 1:
        return 1, plan
    region = list(plan.region)
    grid = plan.grid.coarser(factor, plan.axes)
    for axis in plan.axes:
        part = region[axis]
        stop = min(math.ceil(part.stop / factor), grid.shape[axis])
        region[axis] = slice(min(part.start // factor, stop - 1), stop)
    return factor, plan.on(grid, tuple(region))


def without_files(plan: LayerJob) -> LayerJob:
    """Return a plan that does not know the files of its layers: a run would read and compare them."""
    sources = (replace(each, facts={**each.facts, "path": None}) for each in plan.sources)
    return replace(plan, sources=tuple(sources))


def _fits(layer: Any, result: LayerResult) -> bool:
    """Whether a layer can take over a result, rather than be replaced."""
    return (
        layer.rgb == result.kwargs["rgb"]
        and layer.data.ndim == result.data.ndim
        and tuple(str(unit) for unit in layer.units) == tuple(result.kwargs["units"])
    )
