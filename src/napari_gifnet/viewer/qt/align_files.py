"""Transforms that leave the form: into files, back from them, and onto further layers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import napari
from napari.utils.notifications import show_error
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QVBoxLayout, QWidget

from napari_gifnet.errors import GIFNetError
from napari_gifnet.viewer.layers.align_job import Outcome, load_onto
from napari_gifnet.viewer.layers.moves import history_of

from .layout import button

TO_FILES = "Matrix as text (*.txt);;ITK transform (*.tfm)"
FROM_FILES = "Transforms (*.txt *.tfm *.mat *.csv);;All files (*)"


class AlignFiles(QWidget):
    """Saves how the moving layer was moved, moves it by a file, moves others as it was moved.

    Parameters
    ----------
    viewer : napari.Viewer
    pair : callable
        Returns the layers (fixed, moving), None where there are no two.
    say : callable
        Told the `Outcome` of each.
    """

    def __init__(
        self,
        viewer: napari.Viewer,
        pair: Callable[[], tuple[Any, Any] | None],
        say: Callable[[Outcome], None],
    ) -> None:
        super().__init__()
        self._viewer, self._pair, self._say = viewer, pair, say
        self.save_button = button("Save …", "", self._on_save)
        self.load_button = button(
            "Load …", "Move the moving image by a transform from a file.", self._on_load
        )
        self.others_button = button("Move the selected layers, too", "", self._on_others)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(beside(self.save_button, self.load_button))
        layout.addWidget(self.others_button)

    @property
    def controls(self) -> list[QWidget]:
        """From top to bottom."""
        return [self.save_button, self.load_button, self.others_button]

    def fit(self, busy: bool) -> None:
        """Enable what can be done."""
        pair = self._pair()
        aligned = pair is not None and history_of(self._viewer).transform_of(pair[1]) is not None
        name = "" if pair is None else repr(pair[1].name)
        others = self._others() if aligned and not busy else []
        self.save_button.setEnabled(aligned)
        self.save_button.setToolTip(
            f"Save how {name} was moved: a matrix as text, or ITK's .tfm."
            if aligned
            else "Align the images first."
        )
        self.load_button.setEnabled(pair is not None and not busy)
        self.others_button.setEnabled(bool(others))
        self.others_button.setToolTip(
            f"Move {', '.join(repr(layer.name) for layer in others)} as {name} was moved."
            if others
            else "Align the images, then select in napari's list what is to follow the one that moved."
        )

    def save_to(self, path: str | Path) -> None:
        """Write how the moving layer was moved; a suffix ``.tfm`` asks for ITK's format."""
        pair = self._pair()
        found = None if pair is None else history_of(self._viewer).transform_of(pair[1])
        if pair is None or found is None:
            return
        found.save(path)
        self._say(Outcome(f"Saved to {Path(path).name} how {pair[1].name!r} was moved."))

    def load_from(self, path: str | Path) -> None:
        """Move the moving layer by a transform from a file."""
        pair = self._pair()
        if pair is not None:
            self._say(load_onto(Path(path), pair[1], history_of(self._viewer)))

    def move_others(self) -> None:
        """Move the layers that are selected in napari as the moving one was moved."""
        pair, others = self._pair(), self._others()
        history = history_of(self._viewer)
        found = None if pair is None else history.transform_of(pair[1])
        if found is not None and others:
            history.move(found, others)
            names = ", ".join(repr(layer.name) for layer in others)
            self._say(Outcome(f"{names} moved along."))

    def _others(self) -> list[Any]:
        """Layers that are selected in napari and could follow the moving one."""
        selected, own = self._viewer.layers.selection, self._pair() or ()
        return [each for each in self._viewer.layers if each in selected and each not in own]

    def _on_save(self) -> None:
        path, kind = QFileDialog.getSaveFileName(self, "Save the transform", "", TO_FILES)
        if path and not Path(path).suffix:
            path += ".tfm" if "tfm" in kind else ".txt"
        if path:
            self._try(self.save_to, path)

    def _on_load(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "A transform", "", FROM_FILES)
        if path:
            self._try(self.load_from, path)

    def _on_others(self) -> None:
        self._try(self.move_others)

    def _try(self, act: Callable[..., None], *given: Any) -> None:
        try:
            act(*given)
        except GIFNetError as error:
            self._say(Outcome(str(error)))
            show_error(str(error))


def beside(*controls: QWidget) -> QWidget:
    """Return controls beside each other."""
    box = QWidget()
    row = QHBoxLayout(box)
    row.setContentsMargins(0, 0, 0, 0)
    for control in controls:
        row.addWidget(control, 1)
    return box
