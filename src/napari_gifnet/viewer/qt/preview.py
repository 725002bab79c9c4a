"""The current slice, fused as one scrolls or changes a setting, in a layer that comes and goes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject, QTimer, Signal

from napari_gifnet.errors import GIFNetError
from napari_gifnet.fusers import Fuser, open_fuser
from napari_gifnet.planes.image import SMALLEST_SIDE
from napari_gifnet.viewer.layers.job import LayerJob
from napari_gifnet.viewer.layers.run import LayerResult, run_plan

from .background import BackgroundRun

if TYPE_CHECKING:
    import napari

NAME = "GIFNet preview"

_PAUSE = 100
"""Milliseconds without a change before a preview is computed."""

_WORTH = 200**2
"""Pixels that a preview has at least; fewer show nothing of a picture."""


class Preview(QObject):
    """Keeps a preview layer up to date while it is on.

    One preview is computed at a time, in a thread; a change makes the one in the making stale,
    and it is dropped.

    Parameters
    ----------
    viewer : napari.Viewer
    plan : callable
        Gives the `LayerJob` of the current slice; it may raise `GIFNetError`.
    affordable : callable
        Gives the pixels that a preview may have. Larger planes are fused at a fraction of their
        resolution.
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
        self,
        viewer: napari.Viewer,
        plan: Callable[[], LayerJob],
        affordable: Callable[[], float],
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self.on = False
        self.layer: Any = None
        self._viewer, self._plan, self._affordable = viewer, plan, affordable
        self._run: BackgroundRun | None = None
        self._factor = 1
        self._fuser: tuple[Any, Fuser] | None = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_PAUSE)
        self._timer.timeout.connect(self._start)
        viewer.dims.events.point.connect(self.refresh)
        viewer.dims.events.order.connect(self.refresh)
        viewer.layers.events.removed.connect(self._on_removed)

    def start(self) -> None:
        """Show a preview from now on."""
        self.on = True
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

    def _clear(self) -> None:
        layer, self.layer = self.layer, None
        if layer is not None and layer in self._viewer.layers:
            self._viewer.layers.remove(layer)

    def disconnect_from_viewer(self) -> None:
        """For a widget that is being closed: no more previews, and no more of the viewer's events."""
        self.on = False
        self._viewer.dims.events.point.disconnect(self.refresh)
        self._viewer.dims.events.order.disconnect(self.refresh)
        self._viewer.layers.events.removed.disconnect(self._on_removed)
        if self._run is not None:
            self._run.abandon()

    def refresh(self, event: Any = None) -> None:
        """Something has changed: what is in the making is stale."""
        if not self.on:
            return
        if self._run is not None:
            self._run.cancel()
        self._timer.start()

    def _start(self) -> None:
        if not self.on or self._run is not None:
            return  # once the stale one has ended, it comes back here
        try:
            plan = self._plan()
        except GIFNetError:  # the line before a run says why
            self._clear()
            self.said.emit("")
            return
        self._factor, plan = coarsened(plan, self._affordable())
        run = self._run = BackgroundRun(plan, self._compute)
        run.succeeded.connect(self._on_result)
        run.failed.connect(self.said)
        run.ended.connect(self._on_ended)
        run.start()

    def _compute(self, plan: LayerJob, progress: Any) -> LayerResult:
        """In the thread: run a plan on a fuser that is kept from one preview to the next."""
        key = (plan.options.model, plan.backend)
        if self._fuser is None or self._fuser[0] != key:
            self._fuser = (key, open_fuser(*key, progress))
        return run_plan(plan, progress, self._fuser[1], gather=False)

    def _on_result(self, result: LayerResult) -> None:
        if not self.on:
            return
        kwargs = result.kwargs | {"name": NAME, "metadata": {"napari_gifnet": {"preview": True}}}
        if self.layer is not None and _fits(self.layer, result):
            self._move(self.layer, result)
        else:
            self._replace(result.data, kwargs)
        at = f" at 1/{self._factor} of the resolution" if self._factor > 1 else ""
        record = result.kwargs["metadata"]["napari_gifnet"]
        plan = self._run.plan if self._run is not None else None
        differs = plan is not None and plan.normalization != record["parameters"]["normalization"]
        self.said.emit(
            f"The preview shows the current slice{at}"
            + (", normalized by itself: Fuse measures the whole stack." if differs else ".")
        )

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
        self.layer = self._viewer.add_image(data, **kwargs)
        layers.selection = selected  # a preview is looked at, not worked on

    def _on_ended(self) -> None:
        stale = self._run is not None and self._run.cancelled
        self._run = None
        if self.on and stale:
            self._timer.start()

    def _on_removed(self, event: Any) -> None:
        if self.layer is not None and event.value == self.layer:
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


def _fits(layer: Any, result: LayerResult) -> bool:
    """Whether a layer can take over a result, rather than be replaced."""
    return (
        layer.rgb == result.kwargs["rgb"]
        and layer.data.ndim == result.data.ndim
        and tuple(str(unit) for unit in layer.units) == tuple(result.kwargs["units"])
    )
