"""What the dock shows where there is no image: what it is for, and a button for each sample."""

from __future__ import annotations

from collections.abc import Callable

import napari
from napari.utils.notifications import show_error
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_gifnet.errors import GIFNetError
from napari_gifnet.files.samples import Sample, list_samples

from .layout import Text, button

PLUGIN = "napari-gifnet"

WORDS = (
    "Fuse two images of one scene into one that shows what both show, or a stack of focus planes or "
    "exposures into one picture.\n\nOpen your images, or drop them onto the canvas; Align lays them on "
    "each other where they do not yet. Or try a sample:"
)


class Greeting(QWidget):
    """A text and buttons that open the samples that ship.

    Parameters
    ----------
    viewer : napari.Viewer
    opened : callable
        Called with the task of a sample and its layers once it is open.
    """

    def __init__(
        self, viewer: napari.Viewer, opened: Callable[[str, list[napari.layers.Layer]], None]
    ) -> None:
        super().__init__()
        self._viewer, self._opened = viewer, opened
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 4, 0, 0)
        layout.setSpacing(6)
        words = Text()
        words.value = WORDS
        layout.addWidget(words)
        self.buttons = {}
        for sample in list_samples():
            if sample.shipped:
                made = button(
                    sample.title,
                    f"Open the sample “{sample.title}”.",
                    lambda s=sample: self._open(s),
                )
                self.buttons[sample.key] = made
                layout.addWidget(made)
        layout.addStretch()

    def _open(self, sample: Sample) -> None:
        try:
            layers = self._viewer.open_sample(PLUGIN, sample.key)
        except GIFNetError as error:
            show_error(str(error))
            return
        self._opened(sample.task, layers)
