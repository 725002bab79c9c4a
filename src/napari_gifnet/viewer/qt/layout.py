"""How the form is laid out: rows with labels of one width, groups that collapse, texts that wrap."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from qtpy.QtCore import QSize, Qt, QTimer
from qtpy.QtGui import QIcon, QResizeEvent
from qtpy.QtWidgets import (
    QFrame,
    QGridLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)
from superqt import QCollapsible

UNLIMITED = 16_777_215
"""Qt's largest height."""

_LONGEST_WORD = 24

_TITLE = (
    "QPushButton { text-align: left; border: none; outline: none; background: transparent;"
    " padding: 3px 0px; font-weight: bold; }"
    "QPushButton:focus { text-decoration: underline; }"
)
"""Of a group: napari paints a button that is checked as one that is active."""


class LabelColumn:
    """Labels of one width, however many rows of however many panels they stand before.

    Parameters
    ----------
    texts : iterable of str
        All that may stand there, so that the width does not change with the task.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self._texts = tuple(texts)
        self._labels: list[QLabel] = []

    def label(self, text: str) -> QLabel:
        """Return a new label."""
        label = QLabel(text)
        label.setTextFormat(Qt.TextFormat.PlainText)
        self._labels.append(label)
        return label

    def fit(self) -> None:
        """Give all labels the width of the longest text in the font they have now."""
        for label in self._labels:
            label.ensurePolished()
        if not self._labels:
            return
        texts = {*self._texts, *(label.text() for label in self._labels)}
        probe = self._labels[0]
        metrics = probe.fontMetrics()
        frame = probe.sizeHint().width() - metrics.horizontalAdvance(probe.text())
        widest = max(metrics.horizontalAdvance(text) for text in texts) + max(frame, 0) + 4
        for label in self._labels:
            label.setFixedWidth(widest)


class Rows(QWidget):
    """Controls below each other, those that have a label behind it."""

    def __init__(self, column: LabelColumn) -> None:
        super().__init__()
        self._column = column
        self._labels: dict[QWidget, QLabel] = {}
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setVerticalSpacing(4)
        self._grid.setColumnStretch(1, 1)

    def add(self, control: Any, label: str = "") -> Any:
        """Add a control and return it; without a label it takes the whole width."""
        row = self._grid.rowCount()
        if not label:
            self._grid.addWidget(control, row, 0, 1, 2)
            return control
        text = self._column.label(label)
        text.setToolTip(control.toolTip())
        text.setBuddy(control)
        top = Qt.AlignmentFlag.AlignTop
        aligned = top if control.sizeHint().height() > 60 else Qt.AlignmentFlag.AlignVCenter
        self._grid.addWidget(text, row, 0, aligned)
        self._grid.addWidget(control, row, 1)
        self._labels[control] = text
        return control

    def show_row(self, control: QWidget, on: bool) -> None:
        """Show or hide a control with its label."""
        control.setVisible(on)
        if control in self._labels:
            self._labels[control].setVisible(on)

    def rename(self, control: QWidget, label: str) -> None:
        """Give a control another label."""
        self._labels[control].setText(label)

    def label_of(self, control: QWidget) -> str:
        """Return the label of a control."""
        return str(self._labels[control].text())


class Group(QCollapsible):
    """A group of controls below a title that opens and closes it.

    Parameters
    ----------
    title : str
    content : QWidget
    tooltip : str
    """

    def __init__(self, title: str, content: QWidget, tooltip: str) -> None:
        # Its arrow is a letter of the title, which has the theme's colour.
        super().__init__(title, expandedIcon=QIcon(), collapsedIcon=QIcon())
        self._title = title
        self.toggleButton().setStyleSheet(_TITLE)
        self.setDuration(0)
        self.setFrameShape(QFrame.Shape.NoFrame)
        # as it comes it could be squeezed when its content grows
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.layout().setContentsMargins(0, 0, 0, 0)
        self.layout().setSpacing(2)
        self.setContent(content)
        content.setMaximumHeight(0)
        self.toggleButton().setToolTip(tooltip)
        self.toggled.connect(self._on_toggled)
        self._on_toggled(False)

    @property
    def value(self) -> bool:
        """Whether it is open."""
        return bool(self.isExpanded())

    @value.setter
    def value(self, value: bool) -> None:
        if value:
            self.expand(animate=False)
        else:
            self.collapse(animate=False)

    def _on_toggled(self, is_open: bool) -> None:
        self.setText(f"{'▾' if is_open else '▸'}  {self._title}")
        self.content().setVisible(is_open)
        self.content().setMaximumHeight(UNLIMITED if is_open else 0)


class Text(QLabel):
    """A text that wraps within the dock and is never wider than it."""

    def __init__(self, lines: int | None = None) -> None:
        super().__init__()
        self._value, self._lines, self._fixed = "", lines, -1
        self.setWordWrap(True)
        self.setAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(0)
        self._timer.timeout.connect(self._fit)
        self._fit()

    @property
    def value(self) -> str:
        """The text."""
        return self._value

    @value.setter
    def value(self, text: str) -> None:
        self._value = text
        self.setText(breakable(self._value))
        if self.parent() is not None:  # alone it would be a window
            self.setVisible(bool(text) or self._lines is not None)
        self._fit()

    def hasHeightForWidth(self) -> bool:
        """Have the height that was set: layouts keep that of a former text."""
        return False

    def sizeHint(self) -> QSize:
        """Return the height that was set."""
        return QSize(super().sizeHint().width(), max(self._fixed, 0))

    def minimumSizeHint(self) -> QSize:
        """Return the height that was set, and any width."""
        return QSize(0, max(self._fixed, 0))

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Take the height that the text has at this width: Qt's layouts forget it."""
        super().resizeEvent(event)
        self._timer.start()  # a request for another layout is lost while one is made

    def _fit(self) -> None:
        """Take the height of the text at the width that there is."""
        self.setMinimumHeight(0)  # Qt's answer is never less than that
        needed = self.heightForWidth(max(self.width(), 150)) if self._value else 0
        self._fixed = max(needed, (self._lines or 0) * self.fontMetrics().lineSpacing())
        self.setFixedHeight(self._fixed)
        if (around := self.parentWidget()) is not None and around.layout() is not None:
            around.layout().activate()  # else what is below is painted over it once


def breakable(text: str) -> str:
    """Return a text that can be wrapped within words that are longer than a line, names of files say."""

    def split(word: re.Match[str]) -> str:
        return "\u200b".join(re.findall(r".{1,12}", word.group()))

    return re.sub(rf"\S{{{_LONGEST_WORD},}}", split, text)


class Scroller(QScrollArea):
    """An area that scrolls downwards where the window is too low for its content."""

    def __init__(self, content: QWidget) -> None:
        super().__init__()
        self.setWidget(content)
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)


def column_of(*widgets: QWidget, spacing: int = 4) -> QWidget:
    """Return widgets below each other."""
    box = QWidget()
    layout = QVBoxLayout(box)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(spacing)
    for widget in widgets:
        layout.addWidget(widget)
    return box


def button(text: str, tooltip: str, pressed: Callable[[], Any]) -> QPushButton:
    """Return a push button that is no wider than the dock, however long its text."""
    made = QPushButton(text)
    made.setToolTip(tooltip)
    made.clicked.connect(lambda _=False: pressed())
    made.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    return made
