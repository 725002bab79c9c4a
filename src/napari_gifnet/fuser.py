"""What makes one plane of several: the protocol, and what is asked of it and given back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from .progress import Progress

if TYPE_CHECKING:
    from .engine import Statistics

Part = tuple[slice, slice]
"""Rows and columns of a cut of planes."""

Stack = Sequence[np.ndarray]
"""The planes (Y, X) in [0, 1] that one plane is made of; one alone is enhanced."""


@dataclass(frozen=True)
class Wanted:
    """What is asked of a fuser beside the planes.

    Attributes
    ----------
    task : str, optional
        The name of the preset.
    indexed : bool
        Whether to tell where among the planes a pixel comes from; of a fuser that indexes.
    """

    task: str | None = None
    indexed: bool = False


class Fuser(Protocol):
    """Makes one plane of several, for any number of places of a stack.

    Attributes
    ----------
    normalizes : bool
        It has statistics that planes of a stack may share.
    indexes : bool
        It tells which of its planes a pixel comes from.
    notes : list of str
        What was done about a lack of memory, a sentence each.
    summary : str
        Which method, with which weights, where it runs and why.
    facts : dict
        The same as plain values, for the record of a result.
    """

    normalizes: bool
    indexes: bool

    @property
    def notes(self) -> list[str]: ...

    @property
    def summary(self) -> str: ...

    @property
    def facts(self) -> dict[str, Any]: ...

    def fuse_planes(
        self,
        stacks: Iterable[Stack],
        count: int,
        progress: Progress | None = None,
        statistics: Statistics | None = None,
        wanted: Wanted = Wanted(),
    ) -> Iterator[Fused]:
        """Yield what each of `count` stacks is fused to."""

    def gather_statistics(
        self, stacks: Callable[[], Iterable[Stack]], count: int, progress: Progress | None = None
    ) -> Statistics:
        """Return the statistics that several stacks share."""

    def fuse_part(
        self,
        stack: Stack,
        part: Part,
        statistics: Statistics | None,
        wanted: Wanted = Wanted(),
    ) -> Fused:
        """Return a part of what a stack of cuts is fused to; `Locality` says how they are cut."""

    def release(self) -> None:
        """Give the device's memory back; the fuser can still be used."""


@dataclass(frozen=True)
class Fused:
    """A fused plane (Y, X), float32 in [0, 1]; if wanted, each pixel's position among the planes."""

    plane: np.ndarray
    index: np.ndarray | None = None
