"""Which levels of multiscale layers a run takes, and what of them is too large for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_gifnet.errors import ImageError, OptionError
from napari_gifnet.planes.arrays import as_array
from napari_gifnet.planes.image import ImagePlanes
from napari_gifnet.planes.job import Job
from napari_gifnet.pyramid import LEVELS

from .extent import needs_view

if TYPE_CHECKING:
    from napari.layers import Image

    from napari_gifnet.grids.world_grid import WorldGrid

    from .options import LayerOptions
    from .source import Source

PLANE_LIMIT_BYTES = 1e9
"""Size of one plane of a result up to which it is computed of layers that are not in memory."""

MEASURED_PIXELS = 2**24
"""Pixels of a plane up to which its statistics are gathered for the sake of a part of it."""

ALIGNMENT = 2**LEVELS
"""Of the corners of what is fused of a slide, in pixels: a pixel of the coarsest level of a pyramid."""

RANGE_PIXELS = 2**20
"""Pixels that a level has at least, if any has, of which a preview measures what is black and white."""


def choose_levels(layers: Sequence[Image], options: LayerOptions) -> tuple[int, ...]:
    """Return the level of each layer that the options ask for, 0 of those that have but one.

    Raises
    ------
    OptionError
        `level` is not understood.
    """
    level = options.level
    if isinstance(level, str) and level == "auto":
        shown = needs_view(options.extent)
        return tuple(int(layer.data_level) if shown else 0 for layer in layers)
    if isinstance(level, (list, tuple)) and len(level) == len(layers):
        return tuple(map(int, level))
    if isinstance(level, (int, np.integer)) and not isinstance(level, bool):
        several = any(layer.multiscale for layer in layers)
        return tuple(int(level) if layer.multiscale or not several else 0 for layer in layers)
    raise OptionError(f"level={level!r} is not understood: expected a number from 0 on, or 'auto'.")


def measures_too_much(layers: Sequence[Image], grid: WorldGrid, region: tuple[slice, ...]) -> bool:
    """Whether statistics of all planes are not to be gathered, since a part of a slide is fused."""
    part = any(each.stop - each.start < n for each, n in zip(region, grid.shape, strict=True))
    slide = any(layer.multiscale for layer in layers)
    return part and slide and int(np.prod(grid.shape, dtype=int)) > MEASURED_PIXELS


def check_size(job: Job, sources: Sequence[Source]) -> None:
    """Raise ImageError if a plane of a result is too large to be computed unasked.

    Parameters
    ----------
    job : Job
    sources : sequence of Source
    """
    size = job.dtype.itemsize * int(np.prod([*job.sides, *job.channels], dtype=int))
    if not job.lazy or size <= PLANE_LIMIT_BYTES:
        return
    verb = "enhance" if job.enhances else "fuse"
    paths = [
        str(source.facts["path"] or f"{letter}.ome.zarr")
        for source, letter in zip(sources, "ab", strict=False)
    ]
    raise ImageError(
        f"A plane of the result takes {size / 1e9:.1f} GB: choose the current view or a box as its "
        f"region, or a coarser level; a shell makes all of it in parts, gifnet {verb} "
        f"{' '.join(paths)} -o out.ome.zarr; lazy=False (computed all at once) makes it in memory."
    )


def aligned(region: tuple[slice, ...], axes: tuple[int, int]) -> tuple[slice, ...]:
    """Return a region whose planes begin where the coarse levels of every model have a pixel.

    What is fused of it changes then but at its borders as one pans.
    """
    return tuple(
        slice(side.start // ALIGNMENT * ALIGNMENT, side.stop) if axis in axes else side
        for axis, side in enumerate(region)
    )


def measured_coarsely(job: Job, layers: Sequence[Image]) -> Job:
    """Return a job that finds ranges of values in a coarse level of each multiscale layer.

    Parameters
    ----------
    job : Job
        Of these layers, each an input.
    layers : sequence of napari.layers.Image
    """
    inputs = map(_measured_coarsely, job.inputs, layers)
    return job if len(layers) != len(job.inputs) else replace(job, inputs=tuple(inputs))


def _measured_coarsely(image: ImagePlanes, layer: Image) -> ImagePlanes:
    if not layer.multiscale:
        return image
    levels: list[Any] = list(layer.data)
    enough = [level for level in levels if np.prod(level.shape[: layer.ndim]) >= RANGE_PIXELS]
    values = as_array((enough or levels)[-1], repr(layer.name))
    return replace(image, measured=values[..., :3] if image.rgb else values)
