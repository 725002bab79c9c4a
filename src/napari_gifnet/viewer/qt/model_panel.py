"""The second part of the form: the model, in plain sight with the time that each would take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_gifnet.models import DEFAULT_MODEL, STACK_MODEL, list_models

from .controls import Choice, FileField, Tick
from .layout import LabelColumn, Rows
from .settings import FROM_FILE
from .texts import duration_text

KINDS = "Checkpoints (*.safetensors *.pt *.pth *.model)"


class ModelPanel(QWidget):
    """Chooses the model, and whether to see what it would do as one scrolls.

    Parameters
    ----------
    column : LabelColumn
        Of the form.

    Signals
    -------
    changed()
        Another model was chosen.
    """

    changed = Signal()

    def __init__(self, column: LabelColumn) -> None:
        super().__init__()
        self._for_pairs: Any = None
        self.rows = Rows(column)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.rows)
        names = [info.name for info in list_models()]
        self.model = self.rows.add(
            Choice(
                [(name, name) for name in (*names, FROM_FILE)],
                "\n".join(f"{info.name}: {info.summary}" for info in list_models()),
            ),
            "Model",
        )
        self.model_file = self.rows.add(
            FileField(
                "A checkpoint", KINDS, "A checkpoint: safetensors, or a state dict of PyTorch."
            ),
            "Checkpoint",
        )
        self.preview = self.rows.add(
            Tick(
                "Preview while scrolling",
                "Fuse the slice you look at as you scroll or change a setting, in a layer that goes "
                "when you untick this.",
            )
        )
        self.model.changed.connect(self._on_model)
        self.model_file.changed.connect(lambda _: self.changed.emit())
        self.rows.show_row(self.model_file, False)

    @property
    def controls(self) -> list[QWidget]:
        """From top to bottom."""
        return [self.model, self.model_file.line, self.model_file.button, self.preview]

    @property
    def chosen(self) -> str:
        """The model as `LayerOptions` takes it."""
        return str(self.model_file.value if self.model.value == FROM_FILE else self.model.value)

    def fit_task(self, stacks: bool) -> None:
        """Choose the default model of stacks for a stack, and what was chosen before after it."""
        if stacks and self._for_pairs is None:
            self._for_pairs = self.model.value
            if self.model.value == DEFAULT_MODEL:
                self.model.value = STACK_MODEL
        elif not stacks and self._for_pairs is not None:
            self.model.value, self._for_pairs = self._for_pairs, None

    @property
    def for_pairs(self) -> Any:
        """The model that is chosen for pairs, which is the one to remember."""
        return self.model.value if self._for_pairs is None else self._for_pairs

    def show_times(self, seconds: Callable[[str], float | None]) -> None:
        """Say beside each model how long it would take, where that is known."""
        texts = {}
        for info in list_models():
            expected = seconds(info.name)
            time = "" if expected is None else f" · {duration_text(expected)}"
            texts[info.name] = info.name + time
        self.model.set_texts(texts)

    def _on_model(self) -> None:
        self.rows.show_row(self.model_file, self.model.value == FROM_FILE)
        self.changed.emit()
