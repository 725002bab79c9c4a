"""The job of layers carried out by the workers of a cluster. No Qt."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from napari_gifnet.fusion import GATHERING
from napari_gifnet.lazy import fuse_lazily
from napari_gifnet.lazy.cluster import compute_on, measure_on, open_cluster, worker_facts
from napari_gifnet.progress import Progress, Reporting, share_of

from .record import describe_run
from .run import LayerResult, as_layers

if TYPE_CHECKING:
    from distributed import Client

    from .job import LayerJob


def run_plan_on(
    scheduler: str, plan: LayerJob, progress: Progress | bool | None = None
) -> LayerResult:
    """Carry out the job of layers on a cluster, as `run_plan` does here.

    Parameters
    ----------
    scheduler : str
        The address of a running scheduler, ``"tcp://host:8786"``.
    plan : LayerJob
        Not a lazy one.
    progress : callable or bool, optional
        ``progress(done, total)`` of the parts that are measured and of the chunks; what it raises
        stops the run, and nothing of it stays on the cluster.

    Raises
    ------
    GIFNetError
        As for `run_plan`; the scheduler does not answer, or a worker has another version.
    """
    with Reporting(progress) as report:
        report(0, 1)
        with open_cluster(scheduler) as client:
            return _run(client, plan, report)


def _run(client: Client, plan: LayerJob, report: Progress) -> LayerResult:
    started, model, backend = time.perf_counter(), plan.model, plan.backend
    facts, normalizes = worker_facts(client, model, backend)
    statistics = None
    of_stack = normalizes and plan.normalization == "stack"
    if of_stack or not plan.job.is_measured:
        ranges, statistics = measure_on(
            client, plan.stack, model, backend, of_stack, share_of(report, 0, GATHERING)
        )
        plan = plan if ranges is None else plan.with_ranges(ranges[: len(plan.sources)])
        report = share_of(report, GATHERING, 1 - GATHERING)
    with_index = plan.stacked and plan.options.return_index
    made: Any = fuse_lazily(plan.own_planes, model, backend, statistics, with_index)
    results = compute_on(client, list(made) if with_index else [made], report)
    data, index = results if with_index else (results[0], None)
    normalization = "plane" if statistics is None else "stack"
    seconds = time.perf_counter() - started
    return as_layers(plan, data, index, describe_run(plan, facts, normalization, (), seconds))
