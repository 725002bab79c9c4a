"""What a command is to make: the files of each result, and what all are made with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Kind = Literal["image", "pair", "stack"]
"""What the files of a case are: one to enhance, A and B (or bands and B), or planes of a scene."""


@dataclass(frozen=True)
class Case:
    """The files of one result.

    Attributes
    ----------
    name : str
        What a table calls it.
    inputs : tuple of Path
    output : Path
    height : Path, optional
        Where the height map of focus planes goes.
    overwrite : bool
        Whether files that are there may be replaced.
    trouble : str, optional
        Why it cannot be begun, a sentence.
    """

    name: str
    inputs: tuple[Path, ...]
    output: Path
    height: Path | None = None
    overwrite: bool = False
    trouble: str | None = None


@dataclass(frozen=True)
class Settings:
    """What the results of a command are made with; all of it has a share in their values.

    Attributes
    ----------
    kind : {"image", "pair", "stack"}
        What the files of each case are.
    model : str
        As `napari_gifnet.fuse` takes it.
    task, intensity, color, dtype, normalization
        As for `napari_gifnet.fuse`; without a dtype, that which the output's format prefers.
    nodata : float, optional
        The value of missing pixels.
    axis : str, optional
        The letter of the axis along which the planes of a stack in one file lie.
    grid, interpolation : str
        Of a pair on two grids, as for `napari_gifnet.files.two_grids.place_pair`.
    align : str, optional
        The transform by which A is laid on B, or the planes of a stack on each other, beforehand.
    """

    kind: Kind
    model: str
    task: str | None = None
    intensity: Any = "auto"
    color: str = "auto"
    dtype: str | None = None
    normalization: str = "plane"
    nodata: float | None = None
    axis: str | None = None
    grid: str = "auto"
    interpolation: str = "linear"
    align: str | None = None
