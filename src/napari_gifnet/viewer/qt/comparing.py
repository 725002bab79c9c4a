"""A comparison that goes on: computed in the background, its picture in a layer that follows the slider."""

from __future__ import annotations

from typing import Any

import napari
from napari.qt.threading import FunctionWorker
from napari.utils.notifications import show_error
from qtpy.QtCore import QObject, QTimer, Signal

from napari_gifnet.viewer.layers.current import Current
from napari_gifnet.viewer.layers.job import LayerJob

from .background import describe, wait_at_exit
from .compare import Comparison, as_text, compare
from .runs import bare

_PAUSE_MS = 300
"""Without a change, before another plane is compared."""


class Comparing(QObject):
    """Compares the plane that is looked at, until it is stopped.

    Parameters
    ----------
    viewer : napari.Viewer
    parent : QObject

    Attributes
    ----------
    comparison : Comparison or None
        The last one.

    Signals
    -------
    arrived()
        `comparison` is of another plane.
    ended()
        A computation has ended, well or not.
    removed()
        The user took the picture away.
    """

    arrived = Signal()
    ended = Signal()
    removed = Signal()

    def __init__(self, viewer: napari.Viewer, parent: QObject) -> None:
        super().__init__(parent)
        self.comparison: Comparison | None = None
        self._viewer = viewer
        self._wanted: tuple[LayerJob, Any, str, str] | None = None
        self._measured: tuple[LayerJob, Any, str, str] | None = None
        self._layer: Any = None
        self._part: Any = None
        self._worker: FunctionWorker | None = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_PAUSE_MS)
        self._timer.timeout.connect(self._compute)
        viewer.dims.events.point.connect(self._on_moved)
        viewer.layers.events.removed.connect(self._on_removed)

    @property
    def busy(self) -> bool:
        """Whether a plane is being measured."""
        return self._worker is not None

    def start(self, plan: LayerJob, layer: Any, method: str, model: str) -> None:
        """Compare from now on, this result with this method."""
        self._wanted, self._part = (plan, layer, method, model), None
        self._compute()

    def stop(self) -> None:
        """Take the picture away; what is being measured is dropped."""
        self._wanted, self.comparison, self._part = None, None, None
        self._timer.stop()
        self._clear()

    def disconnect_from_viewer(self) -> None:
        """For a widget that is being closed."""
        self._wanted = None
        self._viewer.dims.events.point.disconnect(self._on_moved)
        self._viewer.layers.events.removed.disconnect(self._on_removed)

    def as_text(self) -> str:
        """Return the figures for a spreadsheet; nothing where there are none."""
        return as_text(self.comparison.table) if self.comparison is not None else ""

    def _compute(self) -> None:
        if self._wanted is None or self._worker is not None:
            return
        plan, layer, method, model = self._measured = self._wanted
        part = plan.plane_shown(Current.of(self._viewer))
        if part == self._part:
            return
        self._part = part
        self._worker = FunctionWorker(compare, plan, layer.data, part, method, model)
        self._worker.returned.connect(self._on_compared)
        self._worker.errored.connect(self._on_failed)
        self._worker.finished.connect(self._on_finished)
        wait_at_exit()
        self._worker.start()

    def _on_compared(self, comparison: Comparison) -> None:
        if self._wanted is None or self._measured is not self._wanted:
            return  # another result, or another method, has been asked for since
        self.comparison = comparison
        _, layer, method, _ = self._wanted
        name = f"{method} beside {layer.name}"
        self._clear()
        selected = set(self._viewer.layers.selection)
        self._layer = bare(
            self._viewer.add_image(
                comparison.picture,
                name=name,
                contrast_limits=(0, 1),
                metadata={"napari_gifnet": {"preview": True}},
                **comparison.place,
            )
        )
        self._viewer.layers.selection = selected
        self.arrived.emit()

    def _on_failed(self, error: Exception) -> None:
        if self._measured is self._wanted:
            show_error(describe(error))

    def _on_finished(self) -> None:
        self._worker = None
        self.ended.emit()
        self._timer.start()  # the slider may have moved meanwhile

    def _on_moved(self, event: Any = None) -> None:
        if self._wanted is not None:
            self._timer.start()

    def _on_removed(self, event: Any) -> None:
        if self._layer is not None and event.value is self._layer:
            self._layer = None
            self._wanted = None
            self.removed.emit()

    def _clear(self) -> None:
        layer, self._layer = self._layer, None
        if layer is not None and layer in self._viewer.layers:
            self._viewer.layers.remove(layer)
