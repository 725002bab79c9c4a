"""Two layers in one picture, to judge whether they lie on each other: squares of both, or a wipe."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject, QTimer

from napari_gifnet.errors import GIFNetError
from napari_gifnet.viewer.layers.job import LayerJob

from .layer_choice import watch
from .preview import coarsened
from .runs import bare
from .wipe import as_seen

if TYPE_CHECKING:
    import napari
    from numpy.typing import NDArray

SQUARES = 8
"""Along the longer side."""

MOST_PIXELS = 1.5e6
"""Of the picture; a larger one is shown at a fraction of its resolution."""

_PLACE = ("scale", "translate", "rotate", "shear")


class PairOverlay(QObject):
    """A layer over the viewer's that shows both images of a pair; it follows the sliders and them.

    Parameters
    ----------
    viewer : napari.Viewer
    layers : (Image, Image)
    make_plan : callable
        Returns the `LayerJob` of the slice that is shown; it may raise `GIFNetError`.
    look : {"checkerboard", "wipe"}
    position : float
        Of the wipe's line, 0 to 1.
    when_gone : callable
        Called when the layer was taken away by a user, or cannot be drawn any more.
    """

    def __init__(
        self,
        viewer: napari.Viewer,
        layers: tuple[Any, Any],
        make_plan: Callable[[], LayerJob],
        look: str,
        position: float,
        when_gone: Callable[[], None],
    ) -> None:
        super().__init__()
        self.layer: Any = None
        self._viewer, self.layers, self._make_plan = viewer, layers, make_plan
        self._look, self._position, self._when_gone = look, position, when_gone
        self._pictures: tuple[Any, Any] | None = None
        self._axes = (0, 1)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(0)
        self._timer.timeout.connect(self._draw)
        viewer.dims.events.point.connect(self._later)
        viewer.dims.events.order.connect(self._later)
        viewer.layers.events.removed.connect(self._on_removed)
        for layer in layers:
            watch(layer, self._later)
        self._draw()

    def move(self, position: float) -> None:
        """Put the wipe's line elsewhere."""
        self._position = position
        if self.layer is not None and self._pictures is not None:
            self.layer.data = self._composed()

    def remove(self) -> None:
        """Take the layer away, and listen no more."""
        self._timer.stop()
        self._viewer.dims.events.point.disconnect(self._later)
        self._viewer.dims.events.order.disconnect(self._later)
        self._viewer.layers.events.removed.disconnect(self._on_removed)
        for layer in self.layers:
            watch(layer, self._later, on=False)
        layer, self.layer = self.layer, None
        if layer is not None and layer in self._viewer.layers:
            self._viewer.layers.remove(layer)

    def _later(self, event: Any = None) -> None:
        self._timer.start()

    def _on_removed(self, event: Any) -> None:
        if event.value is self.layer:
            self.layer = None
            self._when_gone()
        elif event.value in self.layers:
            self._when_gone()

    def _draw(self) -> None:
        try:
            _, plan = coarsened(self._make_plan(), MOST_PIXELS)
        except GIFNetError:
            QTimer.singleShot(0, self._when_gone)
            return
        part = plan.region
        self._axes = plan.axes
        self._pictures = as_seen(plan, 0, part), as_seen(plan, len(plan.sources) - 1, part)
        place = plan.grid.crop(part).layer_kwargs()
        if self.layer is not None and self._fits(place):
            self.layer.data = self._composed()
            for name in (*_PLACE, "affine"):
                now = getattr(self.layer, name)
                now = now.affine_matrix if name == "affine" else now
                if not np.array_equal(now, place[name]):
                    setattr(self.layer, name, place[name])
            return
        self._add(place, [source.name for source in plan.sources])

    def _fits(self, place: dict[str, Any]) -> bool:
        same = tuple(map(str, self.layer.units)) == tuple(map(str, place["units"]))
        assert self._pictures is not None
        return same and self.layer.data.ndim == self._pictures[0].ndim

    def _add(self, place: dict[str, Any], names: list[str]) -> None:
        layers = self._viewer.layers
        selected = set(layers.selection)
        old, self.layer = self.layer, None
        if old is not None and old in layers:
            layers.remove(old)
        selected.discard(old)
        self.layer = bare(
            self._viewer.add_image(
                self._composed(),
                name=" | ".join(names),
                rgb=True,
                metadata={"napari_gifnet": {"preview": True}},
                **place,
            )
        )
        layers.selection = selected  # it is looked at, not worked on

    def _composed(self) -> NDArray[np.float32]:
        """Return the first image where the pattern says so, the second one elsewhere."""
        assert self._pictures is not None
        one, other = self._pictures
        rows, columns = self._axes
        shape = one.shape[:-1]
        where = np.indices((shape[rows], shape[columns]), sparse=True)
        if self._look == "wipe":
            first = where[1] < round(self._position * shape[columns])
            first = np.broadcast_to(first, (shape[rows], shape[columns]))
        else:
            side = max(max(shape[rows], shape[columns]) / SQUARES, 1)
            first = (where[0] // side + where[1] // side) % 2 == 0
        first = first if rows < columns else first.T
        lengths = [n if axis in self._axes else 1 for axis, n in enumerate(shape)]
        return np.where(first.reshape(lengths)[..., None], one, other)
