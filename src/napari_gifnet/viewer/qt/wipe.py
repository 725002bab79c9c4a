"""A wipe: one of the sources laid over a part of the result, up to a line that can be moved."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from napari_gifnet.planes.color import to_rgb
from napari_gifnet.viewer.layers.current import Current
from napari_gifnet.viewer.layers.job import LayerJob

from .runs import bare

if TYPE_CHECKING:
    from collections.abc import Callable

    import napari
    from numpy.typing import NDArray

    from napari_gifnet.viewer.layers.extent import Region


class Wipe:
    """Shows a source, as the network saw it, left of a line, and the result right of it.

    A layer of its own lies over the viewer's; no other layer is touched. It shows the plane that
    the sliders are at and follows them.

    Parameters
    ----------
    viewer : napari.Viewer
    plan : LayerJob
        Of the run that made the result, its ranges measured.
    side : {"a", "b"}
        Which source.
    position : float
        Of the line, 0 (only the result) to 1 (only the source).
    when_gone : callable
        Called when a user takes the layer away.
    """

    def __init__(
        self,
        viewer: napari.Viewer,
        plan: LayerJob,
        side: Literal["a", "b"],
        position: float,
        when_gone: Callable[[], None] = lambda: None,
    ) -> None:
        self._viewer, self._plan, self._position = viewer, plan, position
        self._when_gone = when_gone
        self._place = 0 if side == "a" else len(plan.sources) - 1
        self._part: tuple[slice, ...] = ()
        self.layer: Any = None
        self._draw()
        viewer.dims.events.point.connect(self._draw)
        viewer.layers.events.removed.connect(self._on_removed)

    def move(self, position: float) -> None:
        """Put the line elsewhere."""
        self._position = position
        if self.layer is not None:
            self.layer.data[..., 3] = self._opacity(self.layer.data.shape[:-1])
            self.layer.refresh()

    def remove(self) -> None:
        """Take the layer away."""
        self._viewer.dims.events.point.disconnect(self._draw)
        self._viewer.layers.events.removed.disconnect(self._on_removed)
        layer, self.layer = self.layer, None
        if layer is not None and layer in self._viewer.layers:
            self._viewer.layers.remove(layer)

    def _on_removed(self, event: Any) -> None:
        if self.layer is not None and event.value is self.layer:
            self.layer = None
            self._when_gone()

    def _draw(self, event: Any = None) -> None:
        plan = self._plan
        part = plan.plane_shown(Current.of(self._viewer))
        if part == self._part:
            return
        self._part = part
        picture = as_seen(plan, self._place, part)
        channels = np.ones((*picture.shape[:-1], 4), np.float32)
        channels[..., :3] = picture
        channels[..., 3] = self._opacity(picture.shape[:-1])
        place = plan.grid.crop(part).layer_kwargs()
        if self.layer is not None:
            self.layer.data = channels
            self.layer.translate = place["translate"]
            return
        selected = set(self._viewer.layers.selection)
        self.layer = bare(
            self._viewer.add_image(
                channels,
                name=f"{plan.sources[self._place].name} | {plan.name}",
                rgb=True,
                metadata={"napari_gifnet": {"preview": True}},
                **place,
            )
        )
        self._viewer.layers.selection = selected

    def _opacity(self, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """1 left of the line, 0 right of it."""
        columns = shape[self._plan.axes[1]]
        along = np.arange(columns) < round(self._position * columns)
        axes = [1] * len(shape)
        axes[self._plan.axes[1]] = columns
        return np.broadcast_to(along.astype(np.float32).reshape(axes), shape)


def as_seen(plan: LayerJob, place: int, part: Region) -> NDArray[np.float32]:
    """Return an input as the network saw it on one plane, (…, 3) in [0, 1], in the grid's axes."""
    job = plan.on(plan.grid, part).job
    image = replace(job.inputs[place], with_chroma=True)
    plane = image.plane((0,) * len(job.leading))
    if plane.chroma is None:
        picture = np.repeat(plane.luma[..., None], 3, axis=-1)
    else:
        picture = to_rgb(plane.luma, plane.chroma)
    if plane.invalid is not None:
        picture = np.where(plane.invalid[..., None], np.float32(0), picture)
    picture = picture[(None,) * len(job.leading)]
    return np.moveaxis(picture, (-3, -2), plan.axes)
