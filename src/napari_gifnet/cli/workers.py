"""Workers that a command computes on: processes of this computer, or a cluster's."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from napari_gifnet.backend import Backend
from napari_gifnet.planes.job import Job

from .console import ProgressBar
from .options import RUNNING

if TYPE_CHECKING:
    from distributed import Client

SchedulerAddress = Annotated[
    str | None,
    typer.Option(
        "--scheduler",
        metavar="ADDRESS",
        help="Compute on the workers of a running dask scheduler, tcp://host:8786.",
        rich_help_panel=RUNNING,
    ),
]
WorkerCount = Annotated[
    int | None,
    typer.Option(
        "--workers",
        metavar="N",
        help="Compute in N processes of this computer, which share its cores.",
        rich_help_panel=RUNNING,
    ),
]


@contextmanager
def open_workers(scheduler: str | None, workers: int | None) -> Iterator[Client | None]:
    """Have the workers that are asked for while the block runs; None where there are none."""
    if scheduler is None and workers is None:
        yield None
        return
    from napari_gifnet.lazy.cluster import open_cluster

    with open_cluster(scheduler, workers) as client:
        yield client


def carry_out_on(
    client: Client,
    job: Job,
    model: str | None,
    backend: Backend,
    bar: ProgressBar,
    index: np.ndarray | None = None,
) -> tuple[np.ndarray, str, float]:
    """Return what a job makes on workers, how in words, and how long it took in seconds.

    `index` is filled as `fusion.run` does.
    """
    from napari_gifnet.lazy import fuse_lazily
    from napari_gifnet.lazy.cluster import compute_on
    from napari_gifnet.lazy.methods import Method

    method, count = Method.of(model), len(client.nthreads())
    where = f"{count} worker{'s' * (count != 1)} of {client.scheduler.address}"
    bar.set_title(f"Fusing on {count} worker{'s' * (count != 1)}")
    start, job = time.perf_counter(), job.measured()
    made = fuse_lazily(job, model, backend, with_index=index is not None)
    results = compute_on(client, [made] if index is None else list(made), bar)
    if index is not None:
        index[...] = results[1]
    seconds = time.perf_counter() - start
    return results[0], "; ".join([job.summary(), f"{method.summary} on {where}"]), seconds
