"""What the panels of the widget are made of: choices with their texts, labels that wrap, a scroll area."""

from __future__ import annotations

from magicgui.widgets import ComboBox, Label
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFrame, QScrollArea, QSizePolicy, QWidget

COLORS = {
    "Automatic": "auto",
    "Of A": "a",
    "Of B": "b",
    "Gray": "gray",
    "As displayed (colormaps)": "displayed",
}
INTENSITIES = {
    "Contrast limits": "layer",
    "Full range of the data type": "dtype",
    "Minimum to maximum": "minmax",
    "Percentiles (0.1 to 99.9)": "percentile",
}
GRIDS = {"Automatic": "auto", "Of A": "a", "Of B": "b", "The finer one": "finer"}
EXTENTS = {"Whole layers": "all", "Current slice": "slice", "Current view": "view"}
INTERPOLATIONS = {"Linear": "linear", "Cubic": "cubic"}
NORMALIZATIONS = {"Of the whole stack": "stack", "Of each plane": "plane"}
COMPUTING = {"Automatic": "auto", "All at once": "now", "Each as it is looked at": "lazily"}


def choice(label: str, choices: dict[str, str], tooltip: str) -> ComboBox:
    """A box of choices, shown by their keys."""
    return ComboBox(label=label, choices=list(choices.items()), tooltip=tooltip)


def scrolled(content: QWidget, widest: int) -> QScrollArea:
    """Put a widget into an area that scrolls where the window is too low for it."""
    area = QScrollArea()
    area.setWidget(content)
    area.setWidgetResizable(True)
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.setMinimumWidth(widest + area.verticalScrollBar().sizeHint().width() + 48)
    return area


def wrapped() -> Label:
    """A label that wraps within the dock."""
    label = Label(value="")
    label.native.setWordWrap(True)
    # a long text is to wrap within the dock, not to widen it
    label.native.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
    return label


def write(label: Label, text: str) -> None:
    """Show a text, and as much of it as it takes: Qt's layouts forget the lines of a wrapped label."""
    label.value = text[:1].upper() + text[1:]
    native = label.native
    native.setMinimumHeight(native.heightForWidth(max(native.width(), 150)) if text else 0)


def bytes_text(count: float) -> str:
    """A size in words: "12 MB"."""
    for unit in ("kB", "MB"):
        count /= 1000
        if count < 1000:
            return f"{count:.0f} {unit}"
    return f"{count / 1000:.1f} GB"


def duration_text(seconds: float) -> str:
    """A duration in words: "4.2 s"."""
    if seconds < 90:
        return f"{max(seconds, 0.1):.0f} s" if seconds >= 10 else f"{max(seconds, 0.1):.1f} s"
    return f"{seconds / 60:.0f} min"
