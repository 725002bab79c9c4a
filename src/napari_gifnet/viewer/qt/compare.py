"""Numbers beside the picture: how a result and a simple method's measure up on one plane."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_gifnet.baselines import BASELINES
from napari_gifnet.errors import ImageError
from napari_gifnet.metrics import evaluate
from napari_gifnet.planes.color import luma
from napari_gifnet.planes.ranges import to_unit
from napari_gifnet.viewer.layers.job import ORDERS, LayerPlan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

Table = dict[str, dict[str, float]]


def compare(
    plan: LayerPlan,
    fused: Any,
    ranges: Sequence[Sequence[float]],
    step: Sequence[int],
    baseline: str,
) -> Table:
    """Measure one plane of a result, and of what a baseline makes of the same two planes.

    Parameters
    ----------
    plan : LayerPlan
        Of the run that made the result.
    fused : array
        The result, as run_plan returned it.
    ranges : pair of (low, high)
        What became 0 and 1 of the two layers.
    step : sequence of int
        The plane's place along the axes of the result; those of its rows and columns do not count.
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
    region, index = [], []
    for axis, part in enumerate(plan.region):
        at = int(np.clip(step[axis], 0, part.stop - part.start - 1))
        whole = axis in plan.axes
        region.append(part if whole else slice(part.start + at, part.start + at + 1))
        index.append(slice(None) if whole else at)
    one = replace(plan, region=tuple(region), lazy=False)
    order: Any = ORDERS[plan.options.interpolation]
    a, b = (
        _plane(source, one, (limits[0], limits[1]), order)
        for source, limits in zip((plan.a, plan.b), ranges, strict=True)
    )
    result = np.asarray(fused[tuple(index)], np.float32)
    if plan.chroma != "none":
        result = luma(result[..., :3])
    if plan.axes[0] > plan.axes[1]:
        result = result.T
    covered = np.isfinite(a) & np.isfinite(b) & np.isfinite(result)
    a, b, result = (np.where(covered, x, 0).astype(np.float32) for x in (a, b, result))
    plain = BASELINES[baseline](a, b, intensity="dtype", color="gray", rgb=False)
    return {"GIFNet": evaluate(a, b, result), baseline: evaluate(a, b, np.clip(plain, 0, 1))}


def _plane(source: Any, plan: LayerPlan, limits: tuple[float, float], order: Any) -> NDArray:
    values, _ = source.on(plan.grid, plan.region, plan.axes, limits, order, False)
    values = np.asarray(values, np.float32)
    unit = values if source.adjusted else to_unit(values, limits)
    unit = unit.reshape(unit.shape[-3:] if source.in_color else unit.shape[-2:])
    return luma(unit[..., :3]) if source.in_color else unit


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
