"""Offers to fit a layer that seems to lack a scale onto the extent of the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.utils.notifications import show_error
from qtpy.QtWidgets import QPushButton

from napari_gifnet.errors import GIFNetError
from napari_gifnet.viewer.layers.fitting import fit_extent
from napari_gifnet.viewer.layers.job import LayerJob

if TYPE_CHECKING:
    from .layers_panel import LayersPanel


class FitButton(QPushButton):
    """There only while a plan says that a scale may be missing.

    Parameters
    ----------
    layers : LayersPanel
        Of the same form.
    """

    def __init__(self, layers: LayersPanel) -> None:
        super().__init__("Fit their extents")
        self._layers = layers
        self._plan: LayerJob | None = None
        self.setToolTip("Set the scale of the layer that has none.")
        self.clicked.connect(self._on_clicked)
        self.setVisible(False)

    def offer(self, plan: LayerJob | None) -> None:
        """Show the button if the plan misses a scale, hide it else."""
        missing = None if plan is None else plan.missing_scale
        self._plan = plan
        self.setVisible(missing is not None)
        if missing is not None and plan is not None:
            layer, onto = plan.sources[missing.layer].name, plan.sources[missing.onto].name
            self.setToolTip(f"Set the scale of {layer!r} so that it fills the extent of {onto!r}.")

    def _on_clicked(self) -> None:
        plan = self._plan
        if plan is None or plan.missing_scale is None:
            return
        chosen, missing = self._layers.layers, plan.missing_scale
        layer, onto = chosen[missing.layer], chosen[missing.onto]
        rows, columns = (axis - plan.grid.ndim for axis in plan.axes)
        try:
            place = fit_extent(layer, onto, (rows, columns))
        except GIFNetError as error:
            show_error(str(error))
            return
        for name, value in place.items():
            setattr(layer, name, value)
