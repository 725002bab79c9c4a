"""What the widget offers once there is a result: its recipe, ways to look at it, and numbers."""

# magicgui resolves annotations at run time, so they are not postponed here.

from collections.abc import Callable
from typing import Any

import napari
from magicgui.widgets import ComboBox, Container, FloatSlider, PushButton
from napari.qt.threading import FunctionWorker
from napari.utils.notifications import show_error, show_info
from qtpy.QtWidgets import QApplication

from napari_gifnet.baselines import BASELINES
from napari_gifnet.errors import GIFNetError
from napari_gifnet.viewer.layers.current import Current
from napari_gifnet.viewer.layers.job import LayerJob
from napari_gifnet.viewer.layers.recipes import as_command, as_python, why_no_command

from .background import describe
from .compare import Table, as_html, as_text, compare
from .form import choice, wrapped, write
from .wipe import Wipe

LOOKS = {
    "The layers as they are": "layers",
    "Side by side": "grid",
    "Wipe between A and the result": "a",
    "Wipe between B and the result": "b",
}


COMMAND = "The command line that makes the result again, from the files that both layers were opened from."
METRICS = (
    "EI, edge intensity; AG, average gradient; SF, spatial frequency; EN, entropy; SD, standard "
    "deviation: sharpness, contrast and noise. MI, mutual information; SSIM, structural similarity; "
    "VIF, visual information fidelity; Qabf, share of the edges: faithfulness to A and B. SCD, sum of "
    "the correlations of differences: what each contributes. Higher is better, none suffices alone."
)


class ResultPanel(Container):
    """The part of the widget that is about the last result; hidden while there is none.

    Parameters
    ----------
    viewer : napari.Viewer

    Attributes
    ----------
    layer : napari.layers.Image or None
        The last result.
    """

    def __init__(self, viewer: napari.Viewer) -> None:
        self.viewer = viewer
        self.layer: Any = None
        self._plan: LayerJob | None = None
        self._wipe: Wipe | None = None
        self._numbers: Table | None = None
        self.copy_python = PushButton(
            text="Copy as Python",
            tooltip="Code for napari's console that makes the result again, from the layers.",
        )
        self.copy_command = PushButton(
            text="Copy as command",
            tooltip=COMMAND,
        )
        self.look = choice("Show", LOOKS, "How to look at the result and what it was made of.")
        self.line = FloatSlider(
            label="Line",
            min=0,
            max=1,
            value=0.5,
            visible=False,
            tooltip="Left of it the source as the network saw it, right of it the result.",
        )
        self.baseline = ComboBox(
            label="Compare with",
            choices=list(BASELINES),
            value="pyramid",
            tooltip="A method without a network: the mean or the maximum of each two pixels, a "
            "Laplacian pyramid (the stronger detail at each scale), or exposure fusion after Mertens. "
            "It fuses the current slice, and both results are measured.",
        )
        self.compare_button = PushButton(
            text="Compare", tooltip="Metrics of the result beside those of a simple method."
        )
        self.table = wrapped()
        self.table.tooltip = METRICS
        self.copy_table = PushButton(
            text="Copy table", visible=False, tooltip="Copy the metrics, for a spreadsheet."
        )
        copies = Container(
            widgets=[self.copy_python, self.copy_command], layout="horizontal", labels=False
        )
        super().__init__(
            widgets=[
                copies,
                self.look,
                self.line,
                self.baseline,
                self.compare_button,
                self.table,
                self.copy_table,
            ],
            visible=False,
        )
        self.copy_python.changed.connect(lambda: self._copy(as_python))
        self.copy_command.changed.connect(lambda: self._copy(as_command))
        self.look.changed.connect(self._on_look)
        self.line.changed.connect(self._on_line)
        self.compare_button.changed.connect(self._on_compare)
        self.copy_table.changed.connect(self._on_copy_table)

    def take(self, layer: napari.layers.Image, plan: LayerJob) -> None:
        """Be about this result from now on."""
        record = layer.metadata["napari_gifnet"]
        ranges = [(low, high) for low, high in (each["range"] for each in record["inputs"])]
        self.layer, self._plan, self._numbers = layer, plan.with_ranges(ranges), None
        self.table.value, self.copy_table.visible = "", False
        self.compare_button.enabled = self.baseline.enabled = not plan.enhances
        reason = why_no_command(record)
        self.copy_command.enabled = reason is None
        self.copy_command.tooltip = COMMAND if reason is None else f"There is no command: {reason}."
        self.visible = True

    def forget(self) -> None:
        """The result is gone, and with it what could be done with it."""
        self.look.value = "layers"
        self.layer = self._plan = None
        self.visible = False

    def _copy(self, recipe: Callable[[dict[str, Any]], str]) -> None:
        try:
            text = recipe(self.layer.metadata["napari_gifnet"])
        except GIFNetError as error:
            show_error(str(error))
            return
        QApplication.clipboard().setText(text)
        show_info("Copied to the clipboard.")

    def _on_look(self, look: str) -> None:
        self.viewer.canvas.grid.enabled = look == "grid"
        if self._wipe is not None:
            self._wipe.remove()
            self._wipe = None
        self.line.visible = look in ("a", "b")
        if look in ("a", "b") and self._plan is not None:
            self._wipe = Wipe(
                self.viewer,
                self._plan,
                look,  # type: ignore[arg-type]
                self.line.value,
                lambda: setattr(self.look, "value", "layers"),
            )

    def _on_line(self, position: float) -> None:
        if self._wipe is not None:
            self._wipe.move(position)

    def _on_compare(self) -> None:
        plan = self._plan
        if plan is None:
            return
        self.compare_button.enabled = False
        part = plan.plane_shown(Current.of(self.viewer))
        worker = FunctionWorker(compare, plan, self.layer.data, part, self.baseline.value)
        worker.returned.connect(self._on_compared)
        worker.errored.connect(lambda error: show_error(describe(error)))
        worker.finished.connect(lambda: setattr(self.compare_button, "enabled", True))
        worker.start()

    def _on_compared(self, numbers: Table) -> None:
        self._numbers = numbers
        write(self.table, as_html(numbers))
        self.copy_table.visible = True

    def _on_copy_table(self) -> None:
        if self._numbers is not None:
            QApplication.clipboard().setText(as_text(self._numbers))
