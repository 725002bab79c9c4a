"""Numbers beside the picture: how a result and a simple method's measure up on one plane."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from napari_gifnet.errors import ImageError
from napari_gifnet.fusers import open_fuser
from napari_gifnet.metrics import evaluate
from napari_gifnet.planes.color import luma
from napari_gifnet.viewer.layers.extent import Region
from napari_gifnet.viewer.layers.job import LayerJob

Table = dict[str, dict[str, float]]


def compare(plan: LayerJob, fused: Any, part: Region, baseline: str) -> Table:
    """Measure one plane of a result, and of what a baseline makes of the same two planes.

    Parameters
    ----------
    plan : LayerJob
        Of the run that made the result, its ranges measured.
    fused : array
        The result, as run_plan returned it.
    part : tuple of slice
        The plane, in voxels of the plan's grid.
    baseline : str
        A name in `napari_gifnet.baselines.BASELINES`.

    Returns
    -------
    dict of dict
        For "GIFNet" and for the baseline, the metrics by their short names. Pixels that one of
        the layers does not cover count as black in all pictures.
    """
    if plan.enhances:
        raise ImageError("There is one layer: expected a fusion of two to compare.")
    job = plan.on(plan.grid, part).job
    planes = job.planes((0,) * len(job.leading))
    index = [
        slice(None) if axis in plan.axes else one.start - whole.start
        for axis, (one, whole) in enumerate(zip(part, plan.region, strict=True))
    ]
    result = np.asarray(fused[tuple(index)], np.float32)
    if plan.job.chroma:
        result = luma(result[..., :3])
    if plan.axes[0] > plan.axes[1]:
        result = result.T
    covered = np.isfinite(result)
    a, b = (np.where(covered, x, np.float32(0)) for x in job.lumas(planes))
    result = np.where(covered, result, np.float32(0))
    (plain,) = open_fuser(baseline).fuse_planes([(a, b)], 1)
    return {"GIFNet": evaluate(a, b, result), baseline: evaluate(a, b, plain.plane)}


def as_text(table: Mapping[str, Mapping[str, float]]) -> str:
    """Return a table as tab-separated text, which spreadsheets take."""
    names = list(table)
    metrics = table[names[0]]
    rows = [["", *names]] + [[m, *(f"{table[n][m]:.3f}" for n in names)] for m in metrics]
    return "\n".join("\t".join(row) for row in rows)


def as_html(table: Mapping[str, Mapping[str, float]]) -> str:
    """Return a table for a label."""
    names = list(table)
    head = "<tr><th></th>" + "".join(f"<th align=right>&nbsp;{n}</th>" for n in names) + "</tr>"
    rows = "".join(
        f"<tr><td>{m}</td>"
        + "".join(f"<td align=right>&nbsp;{table[n][m]:.3f}</td>" for n in names)
        + "</tr>"
        for m in table[names[0]]
    )
    return f"<table>{head}{rows}</table>"
