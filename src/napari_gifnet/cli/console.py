"""What the commands share in talking to people: lines, errors, a progress bar."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import typer
from typer.core import TyperGroup

from napari_gifnet.errors import GIFNetError

USER_ERROR = 2
INTERRUPTED = 130


class Commands(TyperGroup):
    """A group of commands whose errors and warnings are a sentence each, on standard error."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command asked for."""
        with warnings.catch_warnings():
            warnings.showwarning = lambda message, *_, **__: note(str(message))
            try:
                return super().invoke(ctx)
            except GIFNetError as error:
                note(str(error))
                raise typer.Exit(USER_ERROR) from error
            except KeyboardInterrupt:
                note("stopped.")
                raise typer.Exit(INTERRUPTED) from None


def note(sentence: str) -> None:
    """Print a sentence on standard error."""
    typer.echo(f"gifnet: {sentence}", err=True)


@contextmanager
def progress_bar(title: str) -> Iterator[Callable[[int, int], None]]:
    """Draw a bar on a terminal while the block runs; yield ``report(done, total)`` that moves it."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda done, total: None
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("elapsed,"),
        TimeRemainingColumn(),
        TextColumn("left"),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total or None)
