"""The controls of the form: each has a `value`, a signal `changed`, and a tooltip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtGui import QPaintEvent, QWheelEvent
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QSlider,
    QSpinBox,
    QStyle,
    QStyleOptionComboBox,
    QStylePainter,
    QWidget,
)

FEWEST_LETTERS = 9
"""Of a box's text that must have room; the box does not grow with a longer one."""

_STEPS = 1000


class Choice(QComboBox):
    """A box of choices whose texts are elided where they are long, the tooltip says them whole.

    Parameters
    ----------
    choices : sequence of (text, value)
    tooltip : str
        What the choice is for.
    """

    changed = Signal(object)

    def __init__(self, choices: Sequence[tuple[str, Any]] = (), tooltip: str = "") -> None:
        super().__init__()
        self._values: list[Any] = []
        self._tooltip = tooltip
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(FEWEST_LETTERS)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)  # the wheel is to scroll the form
        self.set_choices(choices)
        self.currentIndexChanged.connect(self._on_index)

    @property
    def value(self) -> Any:
        """What is chosen; None where there is nothing to choose."""
        index = self.currentIndex()
        return self._values[index] if 0 <= index < len(self._values) else None

    @value.setter
    def value(self, value: Any) -> None:
        if value not in self._values:
            raise ValueError(f"{value!r} is none of the choices {self._values!r}.")
        self.setCurrentIndex(self._values.index(value))

    def set_quietly(self, value: Any) -> None:
        """Choose a value and tell nobody: another change is to follow."""
        with QSignalBlocker(self):
            self.value = value
        self._tell()

    @property
    def choices(self) -> list[Any]:
        """The values to choose from."""
        return list(self._values)

    def set_choices(self, choices: Sequence[tuple[str, Any]]) -> None:
        """Offer other choices; what is chosen stays chosen if it is among them, else the first is."""
        before = self.value
        with QSignalBlocker(self):
            self.clear()
            self._values = [value for _, value in choices]
            for place, (text, _) in enumerate(choices):
                self.addItem(text)
                self.setItemData(place, text, Qt.ItemDataRole.ToolTipRole)
            if before is not None and before in self._values:
                self.setCurrentIndex(self._values.index(before))
        self._tell()
        if self.value != before and not self.signalsBlocked():
            self.changed.emit(self.value)

    def set_texts(self, texts: Mapping[Any, str]) -> None:
        """Say the same choices in other words."""
        for place, value in enumerate(self._values):
            if value in texts and texts[value] != self.itemText(place):
                self.setItemText(place, texts[value])
                self.setItemData(place, texts[value], Qt.ItemDataRole.ToolTipRole)
        self._tell()

    def set_tooltip(self, tooltip: str) -> None:
        """Say what the choice is for."""
        self._tooltip = tooltip
        self._tell()

    def _on_index(self, _: int) -> None:
        self._tell()
        self.changed.emit(self.value)

    def _tell(self) -> None:
        self.setToolTip("\n".join(filter(None, (self.currentText(), self._tooltip))))

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Scroll the form, unless the box was clicked."""
        if self.hasFocus():
            super().wheelEvent(event)
        else:
            event.ignore()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the box, its text elided in the middle: names of layers differ at both ends."""
        painter, option = QStylePainter(self), QStyleOptionComboBox()
        self.initStyleOption(option)
        painter.drawComplexControl(QStyle.ComplexControl.CC_ComboBox, option)
        field = self.style().subControlRect(
            QStyle.ComplexControl.CC_ComboBox,
            option,
            QStyle.SubControl.SC_ComboBoxEditField,
            self,
        )
        option.currentText = self.fontMetrics().elidedText(
            option.currentText, Qt.TextElideMode.ElideMiddle, field.width() - 4
        )
        painter.drawControl(QStyle.ControlElement.CE_ComboBoxLabel, option)


class Tick(QCheckBox):
    """Something to tick."""

    changed = Signal(bool)

    def __init__(self, text: str, tooltip: str) -> None:
        super().__init__(text)
        self.setToolTip(tooltip)
        self.toggled.connect(self.changed)

    @property
    def value(self) -> bool:
        """Whether it is ticked."""
        return self.isChecked()

    @value.setter
    def value(self, value: bool) -> None:
        self.setChecked(bool(value))


class Number(QSpinBox):
    """A whole number from 0 on, or "auto"."""

    changed = Signal(object)

    def __init__(self, tooltip: str) -> None:
        super().__init__()
        self.setToolTip(tooltip)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setRange(-1, 0)
        self.setSpecialValueText("Automatic")
        self.setValue(-1)
        self.valueChanged.connect(lambda _: self.changed.emit(self.value))

    @property
    def value(self) -> int | str:
        """The number, or "auto"."""
        number = QSpinBox.value(self)
        return "auto" if number < 0 else number

    @value.setter
    def value(self, value: int | str) -> None:
        self.setValue(-1 if value == "auto" else int(value))

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Scroll the form, unless the field was clicked."""
        if self.hasFocus():
            super().wheelEvent(event)
        else:
            event.ignore()


class Share(QSlider):
    """A number from 0 to 1."""

    changed = Signal(float)

    def __init__(self, value: float, tooltip: str) -> None:
        super().__init__(Qt.Orientation.Horizontal)
        self.setToolTip(tooltip)
        self.setRange(0, _STEPS)
        self.setValue(round(value * _STEPS))
        self.valueChanged.connect(lambda steps: self.changed.emit(steps / _STEPS))

    @property
    def value(self) -> float:
        """The number."""
        return QSlider.value(self) / _STEPS

    @value.setter
    def value(self, value: float) -> None:
        self.setValue(round(value * _STEPS))


class FileField(QWidget):
    """The path of a file, to type or to look for.

    Parameters
    ----------
    title : str
        Of the dialog.
    kinds : str
        Qt's filter of names: "Checkpoints (*.safetensors *.pt)".
    tooltip : str
    """

    changed = Signal(str)

    def __init__(self, title: str, kinds: str, tooltip: str) -> None:
        super().__init__()
        self._title, self._kinds = title, kinds
        self.line = QLineEdit()
        self.line.editingFinished.connect(lambda: self.changed.emit(self.value))
        self.button = QPushButton("Browse …")
        self.button.clicked.connect(self._on_browse)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.line, 1)
        row.addWidget(self.button)
        for part in (self, self.line, self.button):
            part.setToolTip(tooltip)
        self.setFocusProxy(self.line)

    @property
    def value(self) -> str:
        """The path, as it was typed."""
        return str(self.line.text())

    @value.setter
    def value(self, path: str | Path) -> None:
        if str(path) != self.value:
            self.line.setText(str(path))
            self.line.setCursorPosition(0)
            self.changed.emit(self.value)

    def _on_browse(self) -> None:
        folder = str(Path(self.value).parent) if self.value else ""
        path, _ = QFileDialog.getOpenFileName(self, self._title, folder, self._kinds)
        if path:
            self.value = path


class ManyChoices(QListWidget):
    """Choices of which several can be ticked, in the order in which they stand."""

    changed = Signal(object)

    ROWS_SHOWN = 5

    def __init__(self, tooltip: str) -> None:
        super().__init__()
        self._values: list[Any] = []
        self.setToolTip(tooltip)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.itemChanged.connect(lambda _: self.changed.emit(self.value))

    @property
    def value(self) -> list[Any]:
        """Those that are ticked."""
        return [
            value
            for place, value in enumerate(self._values)
            if self.item(place).checkState() == Qt.CheckState.Checked
        ]

    @value.setter
    def value(self, values: Sequence[Any]) -> None:
        before = self.value
        with QSignalBlocker(self):
            for place, value in enumerate(self._values):
                on = value in values
                self.item(place).setCheckState(
                    Qt.CheckState.Checked if on else Qt.CheckState.Unchecked
                )
        if self.value != before:
            self.changed.emit(self.value)

    @property
    def choices(self) -> list[Any]:
        """The values to choose from."""
        return list(self._values)

    def set_choices(self, choices: Sequence[tuple[str, Any]]) -> None:
        """Offer other choices; those that are ticked stay so if they are among them."""
        before = self.value
        with QSignalBlocker(self):
            self.clear()
            self._values = [value for _, value in choices]
            for text, value in choices:
                item = QListWidgetItem(text)
                item.setToolTip(text)
                item.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsUserCheckable)
                ticked = value in before
                item.setCheckState(Qt.CheckState.Checked if ticked else Qt.CheckState.Unchecked)
                self.addItem(item)
        rows = min(max(len(choices), 2), self.ROWS_SHOWN)
        self.setFixedHeight(rows * max(self.sizeHintForRow(0), 18) + 2 * self.frameWidth() + 2)
        if self.value != before:
            self.changed.emit(self.value)
