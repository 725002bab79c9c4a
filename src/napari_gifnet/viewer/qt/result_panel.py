"""The last part of the form: a result's recipe, ways to look at it, another method beside it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import napari
from napari.utils.notifications import show_error, show_info
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QApplication, QHBoxLayout, QVBoxLayout, QWidget

from napari_gifnet.baselines import BASELINES
from napari_gifnet.errors import GIFNetError
from napari_gifnet.viewer.layers.job import LayerJob
from napari_gifnet.viewer.layers.pickup import pick_up
from napari_gifnet.viewer.layers.recipes import as_command, as_python, why_no_command

from .comparing import Comparing
from .controls import Choice, Share
from .figures_table import FiguresTable
from .grid_mode import GridMode
from .layer_choice import record_of
from .layout import LabelColumn, Rows, Text, button
from .runs import remembered_plan
from .texts import shortened
from .wipe import Wipe

METHODS = {
    "pyramid": "Laplacian pyramid",
    "mean": "mean of both",
    "maximum": "maximum of both",
    "mertens": "exposure fusion (Mertens)",
}
COMMAND = (
    "The command line that makes the result again, from the files that the layers were opened from."
)
COMPARE = "Show what the other method makes of this plane beside the result, and measure both."


class ResultPanel(QWidget):
    """The part of the form that is about a result: the last one, or the one that is selected.

    Parameters
    ----------
    viewer : napari.Viewer
    column : LabelColumn
        Of the form.

    Attributes
    ----------
    layer : napari.layers.Image or None
        The result.

    Signals
    -------
    taken()
        The panel is about another result, or about none.
    """

    taken = Signal()

    def __init__(self, viewer: napari.Viewer, column: LabelColumn) -> None:
        super().__init__()
        self.layer: Any = None
        self._viewer = viewer
        self._plan: LayerJob | None = None
        self._trouble = ""
        self._wipe: Wipe | None = None
        self._grid = GridMode(viewer)
        self.rows = Rows(column)
        self.name = Text()
        self.copy_python = button(
            "Copy as Python",
            "Code for napari's console that makes the result again, from the layers.",
            lambda: self._copy(as_python),
        )
        self.copy_command = button("Copy as command", COMMAND, lambda: self._copy(as_command))
        copies = QWidget()
        row = QHBoxLayout(copies)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.copy_python)
        row.addWidget(self.copy_command)
        self.rows.add(self.name)
        self.rows.add(copies)
        self.look = self.rows.add(
            Choice(tooltip="How to look at the result and what it was made of."), "Show"
        )
        self.line = self.rows.add(
            Share(0.5, "Left of it the source as the network saw it, right of it the result."),
            "Line",
        )
        self.method = self.rows.add(
            Choice(
                [(METHODS[name], name) for name in METHODS if name in BASELINES],
                "A method without a network, to see whether the network helps.",
            ),
            "Beside",
        )
        self.compare_button = self.rows.add(button("Compare", COMPARE, self._on_compare))
        self.trouble = Text()
        self.table = FiguresTable()
        self.copy_table = button(
            "Copy figures", "Copy the figures, for a spreadsheet.", self._on_copy_table
        )
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        for part in (self.rows, self.trouble, self.table, self.copy_table):
            layout.addWidget(part)
        self.copy_table.setVisible(False)
        self.trouble.setVisible(False)
        self.rows.show_row(self.line, False)
        self.comparing = Comparing(viewer, self)
        self.comparing.arrived.connect(self._on_arrived)
        self.comparing.ended.connect(self._fit_compare)
        self.comparing.removed.connect(self._on_picture_removed)
        self.look.changed.connect(self._on_look)
        self.line.changed.connect(self._on_line)

    @property
    def controls(self) -> list[QWidget]:
        """From top to bottom."""
        return [
            self.copy_python,
            self.copy_command,
            self.look,
            self.line,
            self.method,
            self.compare_button,
            self.copy_table,
        ]

    def take(self, layer: napari.layers.Image) -> None:
        """Be about this result from now on."""
        if layer is self.layer:
            return
        self.leave()
        record = record_of(layer)
        self.layer = layer
        self._plan, self._trouble = self._find_plan(layer)
        self.trouble.value = self._trouble
        self.look.set_choices(_looks(self._plan))
        self.follow_name()
        reason = why_no_command(record)
        self.copy_command.setEnabled(reason is None)
        self.copy_command.setToolTip(
            COMMAND if reason is None else f"There is no command: {reason}."
        )
        self._fit_compare()
        self.taken.emit()

    def _find_plan(self, layer: Any) -> tuple[LayerJob | None, str]:
        """Return the job that made a result, or why it is not to be had."""
        if record_of(layer).get("output") == "index":
            return None, "This is the height map of a stack: select the fused layer to compare it."
        known = remembered_plan(layer)
        if known is not None:
            return known, ""
        picked_up = pick_up(layer, self._viewer.layers)
        if picked_up is None:
            return None, "It says nothing of how it was made."
        return picked_up.plan, picked_up.why_not or ""

    def forget(self) -> None:
        """The result is gone, and with it what could be done with it."""
        if self.layer is None:
            return
        self.leave()
        self.layer = self._plan = None
        self.taken.emit()

    def leave(self) -> None:
        """Leave nothing behind in the viewer: no wipe, no picture, no grid that was not there."""
        if self.look.choices:
            self.look.value = "layers"
        self.comparing.stop()
        self.table.clear()
        self.copy_table.setVisible(False)

    def follow_name(self) -> None:
        """Say what the result is called now."""
        if self.layer is not None:
            self.name.value = shortened(self.layer.name)
            self.name.setToolTip(self.layer.name)

    def _fit_compare(self) -> None:
        reason = self._trouble
        if not reason and (self._plan is None or self._plan.enhances):
            reason = "Of one layer that was enhanced there is nothing to compare with."
        busy = self.comparing.busy
        self.compare_button.setEnabled(not reason and not busy)
        self.compare_button.setToolTip(reason or ("Measuring …" if busy else COMPARE))
        self.method.setEnabled(not reason)
        if self._plan is not None and self._plan.enhances:
            self.trouble.value = f"Compare: {reason[0].lower()}{reason[1:]}"

    def _copy(self, recipe: Callable[[dict[str, Any]], str]) -> None:
        try:
            text = recipe(record_of(self.layer))
        except GIFNetError as error:
            show_error(str(error))
            return
        QApplication.clipboard().setText(text)
        show_info("Copied to the clipboard.")

    def _on_look(self, look: str) -> None:
        if self._wipe is not None:
            self._wipe.remove()
            self._wipe = None
        self._grid.give_back()
        if look != "grid":
            self.comparing.stop()
        self.rows.show_row(self.line, look in ("a", "b"))
        if look == "grid":
            self._grid.take(side_by_side=True)
        elif look in ("a", "b") and self._plan is not None:
            self._grid.take(side_by_side=False)
            side: Literal["a", "b"] = "a" if look == "a" else "b"
            self._wipe = Wipe(
                self._viewer, self._plan, side, self.line.value, self._on_picture_removed
            )

    def _on_line(self, position: float) -> None:
        if self._wipe is not None:
            self._wipe.move(position)

    def _on_picture_removed(self) -> None:
        self.look.value = "layers"

    def _on_compare(self) -> None:
        if self._plan is None or self.layer is None:
            return
        model = Path(str(record_of(self.layer).get("model", "GIFNet"))).name
        self.comparing.start(self._plan, self.layer, self.method.value, model)
        self._fit_compare()

    def _on_arrived(self) -> None:
        comparison = self.comparing.comparison
        if comparison is not None:
            self.table.show_comparison(comparison)
            self.copy_table.setVisible(True)
            if self.look.value != "grid":
                self.look.value = "grid"
            else:
                self._on_look("grid")  # one cell more

    def _on_copy_table(self) -> None:
        text = self.comparing.as_text()
        if text:
            QApplication.clipboard().setText(text)
            show_info("Copied to the clipboard.")


def _looks(plan: LayerJob | None) -> list[tuple[str, str]]:
    """Return the ways to look at a result of a plan."""
    looks = [("The layers as they are", "layers"), ("Side by side", "grid")]
    if plan is None or plan.stacked:
        return looks
    names = [source.name for source in plan.sources]
    wipes = zip(names, "ab" if len(names) == 2 else "a", strict=True)
    return looks + [(f"Wipe between {name} and the result", side) for name, side in wipes]
