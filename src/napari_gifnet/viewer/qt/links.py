"""Connections to a viewer's events, to be cut when the widget goes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any


class Links:
    """Remembers what was connected, so that all of it can be undone at once.

    It is no object of Qt's: it can still be asked while a widget is destroyed, whose own methods
    are not called any more.
    """

    def __init__(self) -> None:
        self._undo: list[Callable[[], Any]] = []

    def add(self, event: Any, callback: Callable[..., Any]) -> None:
        """Connect a callback to an event of napari's."""
        event.connect(callback)
        self.on_cut(lambda: event.disconnect(callback))

    def on_cut(self, undo: Callable[[], Any]) -> None:
        """Do something more when the links are cut."""
        self._undo.append(undo)

    def cut(self, *_: Any) -> None:
        """Disconnect everything; a second time nothing happens."""
        while self._undo:
            with suppress(ValueError, TypeError, RuntimeError):  # gone already
                self._undo.pop()()
