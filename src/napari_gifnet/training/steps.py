"""The steps of a run, whatever it trains: a row of losses each, and checkpoints that it goes on from."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch

from napari_gifnet.errors import OptionError

from .loss_table import loss_table

Report = Callable[[int, int, dict[str, float]], None]
"""Called as ``progress(step, steps, losses)`` after each step; what it raises stops the run."""


class Steps(Protocol):
    """A run in progress."""

    step: int

    @property
    def total(self) -> int:
        """Steps of the whole run."""

    def update(self) -> dict[str, float]:
        """Make one step; return its losses."""

    def save(self, path: Path) -> None:
        """Write all that the run needs to go on."""


def take_steps(
    trainer: Steps,
    output: Path,
    names: Sequence[str],
    *,
    save_every: int,
    stop_at: int | None,
    progress: Report | None,
    saved: Callable[[], None] = lambda: None,
) -> None:
    """Go on with a run to its end, or to the step to stop at.

    Parameters
    ----------
    trainer : Steps
    output : Path
        Folder for ``checkpoint.pt`` and ``losses.csv``.
    names : sequence of str
        Of the losses.
    save_every : int
        Steps between two checkpoints.
    stop_at : int, optional
    progress : callable, optional
    saved : callable
        What is done after each checkpoint.
    """
    start, end = time.perf_counter(), min(stop_at or trainer.total, trainer.total)
    with loss_table(output / "losses.csv", names, trainer.step) as table:
        while trainer.step < end:
            parts = trainer.update()
            table.add(trainer.step, time.perf_counter() - start, parts)
            if trainer.step % save_every == 0 or trainer.step == end:
                table.flush()
                trainer.save(output / "checkpoint.pt")
                saved()
            if progress:
                progress(trainer.step, trainer.total, parts)


def write_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write a checkpoint in one move, so that an interrupted run leaves the former one."""
    half_made = path.with_suffix(".part")
    torch.save(dict(state), half_made)
    half_made.replace(path)


def runs_to_go_on_with(
    path: Path, state: Mapping[str, Any], described: Mapping[str, Any], weights: str
) -> list[dict[str, Any]]:
    """Return the runs that a checkpoint tells of, the last of which is the described one.

    Parameters
    ----------
    path : Path
        Of the checkpoint.
    state : mapping
        What it holds.
    described : mapping
        The run that is to go on.
    weights : str
        Under which name it holds the weights that are trained.

    Raises
    ------
    OptionError
        It is of a run with other options, or of none that can go on.
    """
    runs = json.loads(state.get("runs", "[]"))
    if not runs or weights not in state:
        raise OptionError(
            f"{path} is not of a run that can go on: expected one of this version, or another folder."
        )
    for name, value in described.items():
        if runs[-1].get(name, value) != value:
            raise OptionError(
                f"{path} is of a run with {name}={runs[-1][name]!r}, not {value!r}: expected the "
                "same options, or another folder."
            )
    return runs
