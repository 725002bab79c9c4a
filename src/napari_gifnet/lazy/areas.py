"""Where the parts of a plane lie that are computed at once, and the cuts around them: integers only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, product

from napari_gifnet.locality import Locality
from napari_gifnet.planes.arrays import is_dask
from napari_gifnet.planes.job import Job

Lengths = tuple[int, ...]
"""Of chunks along an axis, in pixels."""

SIDE = 2048
"""Pixels of a chunk of what came in no chunks, since it is resampled."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A part of a plane, and the cut of the plane that it is made of.

    Attributes
    ----------
    index : tuple of int
        Of the plane in the stack.
    rows, columns : slice
        The cut, in pixels of the plane.
    part : (slice, slice)
        The part, in pixels of the cut.
    whole : bool
        Whether the part is all of the plane.
    """

    index: tuple[int, ...]
    rows: slice
    columns: slice
    part: tuple[slice, slice]
    whole: bool

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the part."""
        rows, columns = (side.stop - side.start for side in self.part)
        return rows, columns


def joined(chunks: Sequence[int], least: int) -> list[int]:
    """Return the cut points of parts that are whole chunks, together of up to `least` pixels.

    Small chunks are computed together, since each needs pixels around it; larger ones are by
    themselves.

    Examples
    --------
    >>> joined((100, 100, 100, 100, 100), 256)
    [0, 200, 400, 500]
    >>> joined((300, 300, 20, 20), 256)
    [0, 300, 600, 640]
    """
    points, start, stop = [0], 0, 0
    for chunk in chunks:
        if stop > start and stop + chunk - start > least:
            points.append(stop)
            start = stop
        stop += chunk
    return [*points, stop]


@dataclass(frozen=True)
class Areas:
    """The parts of a plane that are computed at once.

    Parameters
    ----------
    rows, columns : sequence of int
        Cut points, from 0 to the end of the plane.
    """

    rows: Sequence[int]
    columns: Sequence[int]

    @property
    def keys(self) -> Iterator[tuple[int, int]]:
        """Row and column of each part among the parts."""
        return product(range(len(self.rows) - 1), range(len(self.columns) - 1))

    @property
    def count(self) -> int:
        """How many there are."""
        return (len(self.rows) - 1) * (len(self.columns) - 1)

    def cut(
        self, index: tuple[int, ...], key: tuple[int, int], halo: int, alignment: int, margin: int
    ) -> Cut:
        """Return a part, with `margin` pixels more on each side, in a cut with `halo` around it."""
        sides, parts = [], []
        for points, at in zip((self.rows, self.columns), key, strict=True):
            start = max(0, points[at] - margin)
            stop = min(points[-1], points[at + 1] + margin)
            first = max(0, (start - halo) // alignment * alignment)
            last = min(points[-1], -(-(stop + halo) // alignment) * alignment)
            sides.append(slice(first, last))
            parts.append(slice(start - first, stop - first))
        rows, columns = sides
        return Cut(index, rows, columns, (parts[0], parts[1]), self.count == 1)

    def of_chunks(
        self, rows: Sequence[int], columns: Sequence[int]
    ) -> Iterator[tuple[tuple[int, int], tuple[int, int], tuple[slice, slice]]]:
        """Yield of each chunk its key, that of the part which holds it, and where it lies in that."""
        for (i, of_rows), (j, of_columns) in product(
            enumerate(_within(self.rows, rows)), enumerate(_within(self.columns, columns))
        ):
            yield (i, j), (of_rows[0], of_columns[0]), (of_rows[1], of_columns[1])


def areas_of(rows: Sequence[int], columns: Sequence[int], locality: Locality) -> Areas:
    """Return the parts that planes in chunks of such lengths are computed in."""
    if locality.halo is None:
        return Areas([0, sum(rows)], [0, sum(columns)])
    return Areas(joined(rows, locality.side), joined(columns, locality.side))


def chunks_of(job: Job, by_plane: bool) -> tuple[tuple[Lengths, ...], Lengths, Lengths]:
    """Return the chunks that came in: along each leading axis of a job, rows and columns.

    They are those of the first input that has any along an axis; where all that are lazy are
    resampled, some that fit into memory.
    """
    leading: list[Lengths | None] = [None] * len(job.leading)
    rows = columns = None
    for image in job.inputs:
        if not is_dask(image.values):
            continue
        own = len(image.own_leading)
        if rows is None:
            rows, columns = image.values.chunks[own : own + 2]
        for axis, lengths in enumerate(image.values.chunks[:own], len(leading) - own):
            if leading[axis] is None and sum(lengths) == job.leading[axis]:
                leading[axis] = lengths
    if rows is None or columns is None:
        rows, columns = (_divided(side) for side in job.sides)
    each = [
        (1,) * n if by_plane or lengths is None else lengths
        for n, lengths in zip(job.leading, leading, strict=True)
    ]
    return tuple(each), rows, columns


def _divided(side: int) -> Lengths:
    return tuple(min(SIDE, side - start) for start in range(0, side, SIDE))


def _within(points: Sequence[int], chunks: Sequence[int]) -> Iterator[tuple[int, slice]]:
    """Yield which part holds each chunk, and where in it."""
    start = 0
    parts = enumerate(pairwise(points))
    at, (first, last) = next(parts)
    for chunk in chunks:
        if start >= last:
            at, (first, last) = next(parts)
        yield at, slice(start - first, start - first + chunk)
        start += chunk
