"""A lazy result written into a stored array part by part, so that a run that ended early goes on."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_gifnet.backend import Backend
from napari_gifnet.errors import OptionError
from napari_gifnet.planes.image import Index
from napari_gifnet.planes.job import Job
from napari_gifnet.progress import Progress, share_of

from .areas import areas_of, chunks_of
from .graph import fuse_lazily, locality_of_job, measure_lazily
from .methods import Method
from .tasks import package_version

if TYPE_CHECKING:
    from distributed import Client

    from napari_gifnet.models import Model

AT_ONCE = 8
"""Parts that are computed together in this process: neighbours share what they read."""

MEASURING = 0.4
"""The share of a run that its passes over the whole images make up, for its progress."""


class Record:
    """What a run has done so far, in a file beside its result: a line of JSON for each thing done.

    Parameters
    ----------
    path : Path
    made_of : dict
        What the run is made of; a record of another run is refused.

    Attributes
    ----------
    done : set of int
        The parts that are written.

    Raises
    ------
    OptionError
        There is a record of another run.
    """

    def __init__(self, path: Path, made_of: dict[str, Any]) -> None:
        self.path, self.done = path, set[int]()
        self.facts: dict[str, Any] = {}
        made_of = json.loads(json.dumps(made_of))
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        for line in lines:
            try:
                entry = json.loads(line)
            except ValueError:
                continue  # the line that was being written
            if "part" in entry:
                self.done.add(entry["part"])
            else:
                self.facts |= entry
        if self.facts and self.facts.get("made_of") != made_of:
            raise OptionError(
                f"{path} belongs to a run on other images or with other options, which ended early: "
                "repeat that, or remove its unfinished result."
            )
        if not self.facts:
            self.note({"made_of": made_of})

    def note(self, entry: dict[str, Any]) -> None:
        """Write a line that outlasts a crash."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")
            file.flush()
            os.fsync(file.fileno())
        if "part" in entry:
            self.done.add(entry["part"])
        else:
            self.facts |= entry


def store_result(
    job: Job,
    model: str | Path | Model | None,
    backend: Backend,
    target: Any,
    record: Path,
    made_of: dict[str, Any],
    client: Client | None = None,
    progress: Progress | None = None,
) -> Job:
    """Write the result of a job into an array, part by part; parts that a record names are there.

    Parameters
    ----------
    job : Job
        With lazy inputs.
    model, backend
        As for `fuse_lazily`.
    target : array of the result's shape and dtype
        Takes values by slices, from several processes at once where there is a client; parts are
        whole chunks of the inputs, which should be whole chunks of its own.
    record : Path
        A file that is written during the run, and read by the next one.
    made_of : dict
        What tells this run from others: the images and the options, fit for JSON.
    client : distributed.Client, optional
        By default the parts are computed in this process.
    progress : callable, optional
        ``progress(done, total)``; what it raises stops the run, which can go on later.

    Returns
    -------
    Job
        With its ranges.

    Raises
    ------
    GIFNetError
        As for `fusion.run`; the record is of another run.
    """
    report = progress or (lambda done, total: None)
    method = Method.of(model)
    facts = {"version": package_version(), "sha256": method.sha256, "summary": method.summary}
    kept = Record(record, facts | made_of)
    run = _here if client is None else _on_cluster(client)
    job, statistics = _measured(job, model, backend, kept, run, share_of(report, 0, MEASURING))

    result = fuse_lazily(job, model, backend, statistics=statistics or None)
    _, rows, columns = chunks_of(job, by_plane=False)
    areas = areas_of(rows, columns, locality_of_job(job, method))
    own = len(job.leading)
    sides = (tuple(np.diff(points).tolist()) for points in (areas.rows, areas.columns))
    result = result.rechunk(dict(zip((own, own + 1), sides, strict=True)))
    parts = list(_parts(result))
    missing = [number for number in range(len(parts)) if number not in kept.done]
    from dask import delayed

    put = delayed(_put, pure=False)
    storing = {number: put(parts[number][1], target, parts[number][0]) for number in missing}
    numbers = {promise.key: number for number, promise in storing.items()}
    behind = len(parts) - len(missing)
    part = share_of(report, MEASURING, 1 - MEASURING)
    run(
        list(storing.values()),
        lambda key, _: kept.note({"part": numbers[key]}) if key in numbers else None,
        lambda done, total: part(behind + done, len(parts)),
    )
    report(1, 1)
    return job


Take = Callable[[Any, Any], None]


def _here(wanted: Sequence[Any], take: Take, report: Progress) -> None:
    import dask

    done = 0
    report(0, len(wanted))
    for start in range(0, len(wanted), AT_ONCE):
        some = wanted[start : start + AT_ONCE]
        for promise, value in zip(some, dask.compute(*some, scheduler="threads"), strict=True):
            take(promise.key, value)
        done += len(some)
        report(done, len(wanted))


def _on_cluster(client: Client) -> Callable[[list[Any], Take, Progress], None]:
    from .cluster import run_on

    return lambda wanted, take, report: run_on(client, wanted, take, report)


def _measured(
    job: Job, model: Any, backend: Backend, kept: Record, run: Any, report: Progress
) -> tuple[Job, dict[Index, Any]]:
    """Return the job with its ranges, and the statistics of its planes, from the record if it can."""
    if "statistics" not in kept.facts:
        ranges, statistics = measure_lazily(job, model, backend)
        promises = [*([] if ranges is None else [ranges]), *statistics.values()]
        found: dict[Any, Any] = {}
        if promises:
            run(promises, found.__setitem__, report)
        kept.note(
            {
                "ranges": None if ranges is None else found[ranges.key],
                "statistics": [
                    [list(index), *_numbers(found[promise.key])]
                    for index, promise in statistics.items()
                ],
            }
        )
    if kept.facts["ranges"] is not None:
        job = job.with_ranges([(low, high) for low, high in kept.facts["ranges"]])
    if not kept.facts["statistics"]:
        return job, {}
    from napari_gifnet.engine import Statistics

    return job, {
        tuple(index): Statistics(*((mean, variance) for mean, variance in numbers))
        for index, *numbers in kept.facts["statistics"]
    }


def _numbers(statistics: Any) -> list[list[float]]:
    return [
        [float(number) for number in pair]
        for pair in (statistics.block0_mm, statistics.block0_dp, statistics.block1)
    ]


def _parts(result: Any) -> Iterator[tuple[tuple[slice, ...], Any]]:
    """Yield where each chunk lies, and the chunk as a promise."""
    chunks = result.to_delayed(optimize_graph=False)
    points = [np.cumsum([0, *lengths]) for lengths in result.chunks]
    for at in np.ndindex(chunks.shape):
        box = (slice(int(p[i]), int(p[i + 1])) for p, i in zip(points, at, strict=True))
        yield tuple(box), chunks[at]


def _put(values: np.ndarray, target: Any, box: tuple[slice, ...]) -> None:
    target[box] = values
