"""Lazy results on several processes or computers, with dask's distributed scheduler."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_gifnet.errors import DeviceError, MissingDependencyError, OptionError
from napari_gifnet.progress import Progress

from .graph import measure_lazily
from .methods import Method
from .tasks import facts_of, package_version

if TYPE_CHECKING:
    from pathlib import Path

    from distributed import Client

    from napari_gifnet.backend import Backend
    from napari_gifnet.engine import Statistics
    from napari_gifnet.models import Model
    from napari_gifnet.planes.job import Job
    from napari_gifnet.planes.ranges import Range

CONNECT_S = 10.0
"""How long a scheduler may take to answer."""

LOOK_S = 0.05
"""Between two looks at what has been done."""

STEPS = ("gifnet-moments", "gifnet-range")
"""Layers whose tasks are counted beside the chunks of the result."""


@contextmanager
def open_cluster(scheduler: str | None = None, workers: int | None = None) -> Iterator[Client]:
    """Connect to a cluster, or start one of processes on this computer, while the block runs.

    Parameters
    ----------
    scheduler : str, optional
        The address of a running scheduler, ``"tcp://host:8786"``.
    workers : int, optional
        How many processes to start, if there is no scheduler; they share the cores.

    Yields
    ------
    distributed.Client
        Its workers have this version of the package.

    Raises
    ------
    MissingDependencyError
        dask's distributed scheduler is not installed.
    OptionError
        The scheduler does not answer, or a worker has another version of the package.
    """
    if scheduler is not None and workers is not None:
        raise OptionError(
            f"scheduler={scheduler!r} and workers={workers!r} were both given: expected the address "
            "of a cluster, or how many processes to start on this computer."
        )
    try:
        import dask
        import distributed
    except ImportError as error:
        raise MissingDependencyError(
            "A cluster needs dask's distributed scheduler, which is not installed: "
            "pip install 'napari-gifnet[dask]'."
        ) from error
    if scheduler is not None:
        try:
            client = distributed.Client(scheduler, timeout=CONNECT_S, set_as_default=False)
        except (OSError, ValueError) as error:
            raise OptionError(
                f"scheduler={scheduler!r} does not answer: expected the address of a running dask "
                "scheduler, such as tcp://host:8786."
            ) from error
        with client:
            check_workers(client)
            yield client
        return
    count = 1 if workers is None else workers
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise OptionError(f"workers={workers!r} is not understood: expected a number from 1 on.")
    cores = max(1, (os.cpu_count() or 1) // count)
    names = ("OMP", "MKL", "OPENBLAS")
    shares = {f"distributed.nanny.pre-spawn-environ.{name}_NUM_THREADS": cores for name in names}
    with (
        dask.config.set(shares),
        distributed.LocalCluster(
            n_workers=count, threads_per_worker=1, dashboard_address=":0"
        ) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        yield client


def check_workers(client: Client) -> None:
    """Raise OptionError if a worker has another version of the package, or none.

    Workers that join later say so themselves when they are given their first task.
    """
    own = package_version()
    found = client.run(version, "napari-gifnet", on_error="return")
    if not found:
        raise OptionError(
            f"The scheduler at {client.scheduler.address} has no workers: start some with "
            "`dask worker`, with napari-gifnet installed."
        )
    for worker, theirs in found.items():
        if isinstance(theirs, PackageNotFoundError):
            raise OptionError(
                f"The worker at {worker} has no napari-gifnet: install {own} there, as here."
            )
        if theirs != own:
            raise OptionError(
                f"The worker at {worker} has napari-gifnet {theirs}, and this computer {own}: "
                "install one version on both."
            )


def compute_on(
    client: Client, arrays: Sequence[Any], progress: Progress | None = None
) -> list[np.ndarray]:
    """Compute lazy results on a cluster.

    Parameters
    ----------
    client : distributed.Client
        From `open_cluster`.
    arrays : sequence of dask.array.Array
        What `fuse_lazily` returned.
    progress : callable, optional
        ``progress(done, total)`` of the parts that are measured and of the chunks. What it raises
        stops the run: nothing of it stays on the cluster, but for what its workers are in the midst
        of.

    Returns
    -------
    list of array
        In memory.

    Raises
    ------
    GIFNetError
        As where the results are computed here.
    DeviceError
        Workers died of a task, one after the other.
    """
    results = [np.empty(array.shape, array.dtype) for array in arrays]
    places: dict[str, tuple[np.ndarray, tuple[slice, ...]]] = {}
    wanted: list[Any] = []
    for array, result in zip(arrays, results, strict=True):
        chunks = array.to_delayed(optimize_graph=False)
        points = [np.cumsum([0, *lengths]) for lengths in array.chunks]
        for at in np.ndindex(chunks.shape):
            box = tuple(slice(p[i], p[i + 1]) for p, i in zip(points, at, strict=True))
            places[chunks[at].key] = result, box
            wanted.append(chunks[at])
    wanted += _steps_of(arrays[0].__dask_graph__())

    def take(key: Any, value: Any) -> None:
        if key in places:
            result, box = places.pop(key)
            result[box] = value

    run_on(client, wanted, take, progress)
    return results


def measure_on(
    client: Client,
    job: Job,
    model: str | Path | Model | None,
    backend: Backend,
    of_stack: bool,
    progress: Progress | None = None,
) -> tuple[list[Range] | None, Statistics | None]:
    """Find on a cluster what a result depends on of whole images.

    Parameters
    ----------
    client : distributed.Client
        From `open_cluster`.
    job, model, backend
        As for `fuse_lazily`.
    of_stack : bool
        Whether the statistics that all planes share are wanted.
    progress : callable, optional
        As for `compute_on`, which says also what is raised.

    Returns
    -------
    ranges : list of (low, high), or None
        For `Job.with_ranges`; None where the job has them.
    statistics : Statistics or None
    """
    ranges, by_plane = measure_lazily(job, model, backend)
    shared = next(iter(by_plane.values()), None) if of_stack else None
    promises = [promise for promise in (ranges, shared) if promise is not None]
    if not promises:
        return None, None
    found: dict[Any, Any] = {}
    keys = {promise.key for promise in promises}
    steps = [step for step in _steps_of(promises[-1].dask) if step.key not in keys]
    run_on(
        client,
        promises + steps,
        lambda key, value: found.update({key: value} if key in keys else {}),
        progress,
    )
    return (
        None if ranges is None else found[ranges.key],
        None if shared is None else found[shared.key],
    )


def worker_facts(
    client: Client, model: str | Path | Model | None, backend: Backend
) -> tuple[dict[str, Any], bool]:
    """Return the facts of the fuser that a worker makes, with where that is, and whether it normalizes."""
    facts, normalizes = client.submit(facts_of, Method.of(model), backend, pure=False).result()
    count = len(client.nthreads())
    where = f"{count} worker{'s' * (count != 1)} of {client.scheduler.address}"
    return facts | {"device_reason": f"on {where}"}, normalizes


def _steps_of(graph: Any) -> list[Any]:
    """Return the tasks of a graph that are counted beside the chunks of the result."""
    from dask.delayed import Delayed

    return [
        Delayed(key, graph, layer=name)
        for name, layer in graph.layers.items()
        if name.startswith(STEPS)
        for key in layer
        if isinstance(key, tuple) and "-level" not in key[0]
    ]


def run_on(
    client: Client,
    wanted: list[Any],
    take: Callable[[Any, Any], None],
    progress: Progress | None = None,
) -> None:
    """Compute promises on a cluster, and take each as it comes.

    Parameters
    ----------
    client : distributed.Client
    wanted : list of Delayed
    take : callable
        Is given the key of each and its value.
    progress : callable, optional
        As for `compute_on`, which says also what is raised.
    """
    import dask
    from distributed import KilledWorker, as_completed

    report = progress or (lambda done, total: None)
    total, done = len(wanted), 0
    report(0, total)
    with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 TB"}):
        futures = client.compute(wanted, optimize_graph=False)
    try:
        completed = as_completed(futures, loop=client.loop)
        while done < total:
            batch = completed.next_batch(block=False)
            for future in batch:
                take(future.key, future.result())
                future.release()
            done += len(batch)
            report(done, total)
            if not batch:
                time.sleep(LOOK_S)
    except KilledWorker as error:
        raise DeviceError(
            f"Workers died one after the other of one task ({error.last_worker.address} the last): "
            "give each more memory, or make smaller chunks."
        ) from error
    finally:
        # not client.cancel: the scheduler fails on tasks that others depend on and nobody asked for
        for future in futures:
            future.release()
