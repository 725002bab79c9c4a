"""The foot of the dock, which does not scroll: how a run goes, Fuse and Cancel at one place."""

from __future__ import annotations

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QKeySequence, QShortcut
from qtpy.QtWidgets import QFrame, QHBoxLayout, QProgressBar, QVBoxLayout, QWidget

from .layout import Text, button

_STEPS = 1000


class Footer(QWidget):
    """Status, progress, and the two buttons at the bottom of the dock.

    Signals
    -------
    run_wanted(), cancel_wanted()
    """

    run_wanted = Signal()
    cancel_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.status = Text()
        self.status.setVisible(False)
        self.progress = QProgressBar()
        self.progress.setRange(0, _STEPS)
        self.progress.setTextVisible(False)
        self.progress.setMaximumHeight(10)
        self.progress.setVisible(False)
        self.run_button = button("Fuse", "", self.run_wanted.emit)
        self.cancel_button = button(
            "Cancel", "Stop; nothing is added (Esc, within this dock).", self.cancel_wanted.emit
        )
        line = QFrame()
        line.setFrameShape(QFrame.Shape.HLine)
        buttons = QHBoxLayout()
        buttons.addWidget(self.run_button, 2)
        buttons.addWidget(self.cancel_button, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 0, 8, 8)
        layout.setSpacing(5)
        for part in (line, self.status, self.progress):
            layout.addWidget(part)
        layout.addLayout(buttons)
        self.show_idle(False)

    def listen_in(self, dock: QWidget) -> None:
        """Take the shortcuts of a dock: Ctrl+Return (⌘ on a Mac) and Esc."""
        self.shortcuts = []
        for keys, wanted in (("Ctrl+Return", self.run_button), ("Esc", self.cancel_button)):
            shortcut = QShortcut(QKeySequence(keys), dock)
            shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            shortcut.activated.connect(wanted.click)
            self.shortcuts.append(shortcut)

    def say(self, verb: str) -> None:
        """Name what the button does: "Fuse" or "Enhance"."""
        self.run_button.setText(verb)

    def show_idle(self, ready: bool, reason: str = "") -> None:
        """No run goes on; one can be started, or a reason says why not."""
        self.progress.setVisible(False)
        self.run_button.setEnabled(ready)
        self.run_button.setToolTip(
            "Add the result as a new layer (Ctrl+Return, within this dock)."
            if ready
            else reason or "Choose image layers first."
        )
        self.cancel_button.setEnabled(False)

    def show_run(self, share: float, cancelled: bool = False) -> None:
        """A run goes on."""
        self.progress.setVisible(True)
        self.progress.setValue(round(_STEPS * share))
        self.run_button.setEnabled(False)
        self.run_button.setToolTip("A run goes on: wait, or cancel it.")
        self.cancel_button.setEnabled(not cancelled)

    @property
    def buttons(self) -> list[QWidget]:
        """From left to right."""
        return [self.run_button, self.cancel_button]
