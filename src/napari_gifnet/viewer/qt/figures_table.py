"""The figures of a comparison, each with its name and what it means."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QGridLayout, QLabel, QWidget

from .compare import SECTIONS, Comparison
from .layout import Text

HINT = "Higher is better; no figure suffices alone."


class FiguresTable(QWidget):
    """A table of names, meanings and numbers; the better one of a row is bold."""

    def __init__(self) -> None:
        super().__init__()
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(6)
        self._grid.setVerticalSpacing(1)
        self._grid.setColumnStretch(0, 1)
        self.setVisible(False)

    def clear(self) -> None:
        """Show nothing."""
        while item := self._grid.takeAt(0):
            item.widget().deleteLater()
        self.setVisible(False)

    def show_comparison(self, comparison: Comparison) -> None:
        """Show the figures that there are, and say which ones the plane is too small for."""
        self.clear()
        names = list(comparison.table)
        row = 0
        for section, figures in SECTIONS.items():
            shown = [short for short in figures if short in comparison.table[names[0]]]
            if not shown:
                continue
            self._add_wide(section, row, len(names)).setStyleSheet("font-weight: bold")
            row += 1
            for column, name in enumerate(names, 1):
                self._add_number(name, row, column)
            row += 1
            for short in shown:
                numbers = [comparison.table[name][short] for name in names]
                figure = figures[short]
                label = QLabel(figure.name)
                label.setToolTip(f"{figure.name}: {figure.meaning}. {HINT}")
                self._grid.addWidget(label, row, 0)
                for column, number in enumerate(numbers, 1):
                    cell = self._add_number(f"{number:.3f}", row, column)
                    if number == max(numbers) != min(numbers):
                        cell.setStyleSheet("font-weight: bold")
                meaning = self._add_wide(f"{short}: {figure.meaning}", row + 1, len(names))
                meaning.setContentsMargins(8, 0, 0, 3)
                row += 2
        hint = HINT
        if comparison.left_out:
            hint += f" Not to be had of this plane: {', '.join(comparison.left_out)}."
        self._add_wide(hint, row, len(names))
        self.setVisible(True)

    def _add_wide(self, text: str, row: int, columns: int) -> Text:
        label = Text()
        self._grid.addWidget(label, row, 0, 1, 1 + columns)
        label.value = text
        return label

    def _add_number(self, text: str, row: int, column: int) -> QLabel:
        label = QLabel(text)
        label.setTextFormat(Qt.TextFormat.PlainText)
        self._grid.addWidget(label, row, column, Qt.AlignmentFlag.AlignRight)
        return label
