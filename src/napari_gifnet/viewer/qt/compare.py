"""A result beside what a simple method makes of the same plane: the picture, and figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_gifnet.errors import ImageError
from napari_gifnet.fusers import open_fuser
from napari_gifnet.fusion import run
from napari_gifnet.metrics import evaluate
from napari_gifnet.planes.color import luma
from napari_gifnet.viewer.layers.extent import Region
from napari_gifnet.viewer.layers.job import LayerJob


@dataclass(frozen=True)
class Figure:
    """What a metric is called, and what it means to someone who looks at pictures."""

    name: str
    meaning: str


OF_THE_PICTURE = {
    "EI": Figure("Edge intensity", "how strong its edges are"),
    "AG": Figure("Average gradient", "how much fine detail it shows"),
    "SF": Figure("Spatial frequency", "how much changes from pixel to pixel"),
    "EN": Figure("Entropy", "how evenly it uses the gray levels, in bits"),
    "SD": Figure("Contrast", "standard deviation of its gray levels"),
}
OF_BOTH_SOURCES = {
    "MI": Figure("Mutual information", "what its values tell of the sources', in bits"),
    "SSIM": Figure("Structural similarity", "how alike it is to both, 1 is equal"),
    "VIF": Figure("Visual information", "how much one sees of both, 1 is all"),
    "SCD": Figure("Contributions", "how well it holds what each adds to the other"),
    "Qabf": Figure("Edges kept", "share of the sources' edges that it has, 1 is all"),
}
SECTIONS = {
    "Sharpness and contrast, noise as well": OF_THE_PICTURE,
    "Faithfulness to the two sources": OF_BOTH_SOURCES,
}
"""The figures by what they are about; of all of them higher is better, and none suffices alone."""

Table = dict[str, dict[str, float]]


@dataclass(frozen=True)
class Comparison:
    """One plane of a result, and what another method makes of it.

    Attributes
    ----------
    table : dict of dict
        For the result and for the method, by their names: figures by their short names, those that
        the plane is large enough for.
    picture : array
        What the method makes of the plane, in the grid's axes.
    place : dict
        Where it lies: arguments of ``napari.layers.Image``.
    left_out : tuple of str
        Short names of the figures that such a plane cannot give.
    """

    table: Table
    picture: NDArray[np.float32]
    place: dict[str, Any]
    left_out: tuple[str, ...]


def compare(plan: LayerJob, fused: Any, part: Region, method: str, name: str) -> Comparison:
    """Measure one plane of a result, and of what a simple method makes of the same images.

    Parameters
    ----------
    plan : LayerJob
        Of the run that made the result, its ranges measured.
    fused : array
        The result, as run_plan returned it.
    part : tuple of slice
        The plane, in voxels of the plan's grid.
    method : str
        A name in `napari_gifnet.baselines.BASELINES`.
    name : str
        Of the model that made the result.

    Returns
    -------
    Comparison
        Pixels that one of the layers does not cover count as black in all pictures.
    """
    if plan.enhances:
        raise ImageError("There is one layer: expected a fusion of two to compare.")
    here = plan.on(plan.grid, part)
    job = here.own_planes
    in_color = bool(job.chroma)
    picture = np.moveaxis(
        run(job, open_fuser(method)), (-3, -2) if in_color else (-2, -1), plan.axes
    )
    if plan.drops_axis:
        picture = picture[0]
    result = _luma(plan.plane_of(fused, part), plan)
    other = _luma(here.plane_of(picture, part), plan)
    covered = np.isfinite(result) & np.isfinite(other)
    lumas = job.lumas(job.planes((0,) * len(job.leading)))
    sources = [np.where(covered, plane, np.float32(0)) for plane in lumas]
    pictures = {name: result, method: other}
    table: Table = {label: {} for label in pictures}
    left_out = []
    for figure in (*OF_THE_PICTURE, *OF_BOTH_SOURCES):
        try:
            for label, plane in pictures.items():
                table[label][figure] = _measure(figure, sources, np.where(covered, plane, 0))
        except ImageError:
            left_out.append(figure)
            for values in table.values():
                values.pop(figure, None)
    place = here.result_grid.layer_kwargs()
    return Comparison(table, picture, {**place, "rgb": in_color}, tuple(left_out))


def _measure(figure: str, sources: list[NDArray], plane: NDArray) -> float:
    plane = np.clip(plane, 0, 1).astype(np.float32)
    if figure in OF_BOTH_SOURCES and len(sources) != 2:
        raise ImageError("This figure is of two sources.")
    return evaluate(sources[0], sources[-1], plane, [figure])[figure]


def _luma(plane: Any, plan: LayerJob) -> NDArray[np.float32]:
    values = np.asarray(plane, np.float32)
    return luma(values[..., :3]) if plan.job.chroma else values


def as_text(table: Mapping[str, Mapping[str, float]]) -> str:
    """Return a table as tab-separated text, which spreadsheets take."""
    names = list(table)
    figures = table[names[0]]
    rows = [["", *names]] + [[m, *(f"{table[n][m]:.3f}" for n in names)] for m in figures]
    return "\n".join("\t".join(row) for row in rows)
