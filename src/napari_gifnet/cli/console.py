"""What the commands share in talking to people: lines, errors, a progress bar."""

from __future__ import annotations

import inspect
import logging
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import typer
from typer.core import TyperGroup

from napari_gifnet.errors import GIFNetError
from napari_gifnet.files.image_file import written_text

USER_ERROR = 2
INTERRUPTED = 130

_ENDLESS = 10_000
"""Columns of a table that goes into a file."""


_OPTION = re.compile(
    r"\b(tile_size|normalization|intensity|color|dtype|device|precision|task|model|metrics?|recipe"
    r"|seed|steps|align|transform|side|batch|rate|scheduler|workers)"
    r"=('[^']*'|\"[^\"]*\"|\([^)]*\)|[\w+-]+(?:\.\d+)?)"
)


class Commands(TyperGroup):
    """A group of commands whose errors and warnings are a sentence each, on standard error."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command asked for."""
        logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # our errors say what matters
        with warnings.catch_warnings():
            warnings.showwarning = lambda message, *_, **__: note(
                in_words_of_the_shell(str(message))
            )
            try:
                return super().invoke(ctx)
            except GIFNetError as error:
                note(in_words_of_the_shell(str(error)))
                raise typer.Exit(USER_ERROR) from error
            except KeyboardInterrupt:
                note("stopped.")
                raise typer.Exit(INTERRUPTED) from None


def note(sentence: str) -> None:
    """Print a sentence on standard error."""
    typer.echo(written_text(f"gifnet: {sentence}"), err=True)


def in_words_of_the_shell(sentence: str) -> str:
    """Return a sentence of the library with its options as the shell spells them.

    Examples
    --------
    >>> in_words_of_the_shell("tile_size=3 is not understood: expected 'auto' or None.")
    '--tile-size 3 is not understood: expected auto or none.'
    """
    option = _OPTION.sub(
        lambda found: f"--{found[1].replace('_', '-')} {_as_typed(found[2])}",
        sentence,
    )
    if option == sentence:
        return sentence
    option = re.sub(r"'([\w:.-]*)'", r"\1", option).replace("(low, high)", "LOW,HIGH")
    option = re.sub(r"\bNone\b", "none", option)
    return re.sub(r"\bof ([ab])\b", lambda found: f"of {found[1].upper()}", option)


def _as_typed(value: str) -> str:
    return value.strip("()'\"").replace(", ", ",")


def help_text(command: Callable[..., Any]) -> str:
    """Return a command's description; terminals break its paragraphs where they are full."""
    paragraphs = (inspect.getdoc(command) or "").split("\n\n")
    return "\n\n".join(
        text if text.startswith("\b") else " ".join(text.split()) for text in paragraphs
    )


class ProgressBar:
    """What moves a bar on a terminal, as ``bar(done, total)``, and says what is being done.

    Parameters
    ----------
    move, name : callable, optional
        ``move(done, total)`` and ``name(title)``; nothing is drawn without.
    """

    def __init__(
        self,
        move: Callable[[int, int], None] | None = None,
        name: Callable[[str], None] | None = None,
    ) -> None:
        self._move, self._name = move, name

    def __call__(self, done: int, total: int) -> None:
        if self._move is not None:
            self._move(done, total)

    def set_title(self, title: str) -> None:
        """Say what is being done now."""
        if self._name is not None:
            self._name(written_text(title))


@contextmanager
def progress_bar(title: str) -> Iterator[ProgressBar]:
    """Draw a bar on a terminal while the block runs; yield what moves it."""
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
        yield ProgressBar()
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
    with Progress(*columns, console=console, transient=True) as drawn:
        task = drawn.add_task(title, total=None)
        yield ProgressBar(
            lambda done, total: drawn.update(task, completed=done, total=total or None),
            lambda text: drawn.update(task, description=text),
        )


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table: as wide as a terminal, or as its lines are long where there is none."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    if not console.is_terminal:
        console = Console(width=_ENDLESS, no_color=True)
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for title in header:
        table.add_column(title, overflow="fold")
    for row in rows:
        table.add_row(*(Text(written_text(cell)) for cell in row))
    console.print(table)
