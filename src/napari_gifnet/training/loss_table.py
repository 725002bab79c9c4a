"""The losses of a run's steps in a CSV file, each step once, however often the run was interrupted."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

DIGITS = 5


class LossTable:
    """An open table; `add` writes a row, `flush` brings the rows to the disk."""

    def __init__(self, file: Any, names: Sequence[str]) -> None:
        self._file = file
        self._writer = csv.DictWriter(file, ["step", "seconds", "loss", *names], restval="")
        self._writer.writeheader()

    def add(self, step: int, seconds: float, losses: Mapping[str, float]) -> None:
        """Write the losses of a step."""
        rounded = {name: round(value, DIGITS) for name, value in losses.items()}
        self._writer.writerow({"step": step, "seconds": round(seconds, 2)} | rounded)

    def flush(self) -> None:
        """Bring the rows to the disk."""
        self._file.flush()

    def keep(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write rows that were there before."""
        self._writer.writerows(rows)


@contextmanager
def loss_table(path: Path, names: Sequence[str], reached: int) -> Iterator[LossTable]:
    """Open the table of a run that has reached a step; rows of later ones are made again.

    Parameters
    ----------
    path : Path
        Of the CSV file.
    names : sequence of str
        Of the losses beside their sum.
    reached : int
        The step of the checkpoint that the run goes on from; 0 for a new run.
    """
    rows: list[Mapping[str, Any]] = []
    if reached and path.is_file():
        with path.open(newline="") as file:
            rows = [row for row in csv.DictReader(file) if int(row["step"]) <= reached]
    with path.open("w", newline="") as file:
        table = LossTable(file, names)
        table.keep(rows)
        yield table
