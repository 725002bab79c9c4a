"""Stacks of layers: which axis the planes lie along, each plane as an input, and the height map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from napari_gifnet.errors import ImageError, OptionError
from napari_gifnet.grids.pairs import check_overlap, finest_grid
from napari_gifnet.grids.units import UNITLESS, short_name
from napari_gifnet.grids.world_grid import WorldGrid
from napari_gifnet.planes.image import ImagePlanes

from .extent import Region
from .source import Source, check_layer

if TYPE_CHECKING:
    from napari.layers import Image


def stack_axes(layer: Image) -> list[tuple[str, int]]:
    """Return the axes along which the planes of a stack can lie: label and place, the likely first.

    Parameters
    ----------
    layer : napari.layers.Image

    Returns
    -------
    list of (str, int)
        Empty for a plane. First the axis labelled z, if there is one, else the one in front of the
        last two; the last two come last.
    """
    if layer.ndim < 3:
        return []
    labels = [str(label) for label in layer.axis_labels]
    usual = [i for i, label in enumerate(labels) if label.lower() == "z"] or [layer.ndim - 3]
    places = dict.fromkeys([usual[0], *range(layer.ndim)])
    return [(labels[i], i) for i in places]


def find_axis(layer: Image, axis: int | str | None) -> int:
    """Return the place of a layer's axis, by its place or its label.

    Parameters
    ----------
    layer : napari.layers.Image
    axis : int, str or None
        None is the axis labelled z, or the only one there is in front of a plane's.

    Raises
    ------
    ImageError
        The layer is one plane.
    OptionError
        It has no such axis, or which one it is must be said.
    """
    check_layer(layer)
    labels = [str(label) for label in layer.axis_labels]
    if layer.ndim < 3:
        raise ImageError(
            f"{layer.name!r} is one plane: expected a layer with a stack of planes, or several "
            "layers."
        )
    if axis is None:
        named = [i for i, label in enumerate(labels) if label.lower() == "z"]
        if named or layer.ndim == 3:
            return named[0] if named else 0
    elif isinstance(axis, str) and labels.count(axis) == 1:
        return labels.index(axis)
    elif (
        isinstance(axis, (int, np.integer))
        and not isinstance(axis, bool)
        and -layer.ndim <= axis < layer.ndim
    ):
        return int(axis) % layer.ndim
    raise OptionError(
        f"axis={axis!r} does not tell along which axis the planes of {layer.name!r} lie: expected "
        f"one of {', '.join(map(repr, labels))}, or its place, 0 to {layer.ndim - 1}."
    )


def axes_of_planes(
    grid: WorldGrid, axis: int, axes: tuple[int, int] | None, order: Sequence[int]
) -> tuple[int, int]:
    """Return the axes of the planes of a stack: those asked for, else the last on display but one.

    Parameters
    ----------
    grid : WorldGrid
    axis : int
        Along which the planes lie.
    axes : (rows, columns), optional
        As asked for, checked.
    order : sequence of int
        The axes of the grid, the displayed ones last.

    Raises
    ------
    OptionError
        The planes would lie along one of their own axes.
    """
    if axes is not None:
        if axis in axes:
            raise OptionError(
                f"axes={axes!r} hold the axis {grid.axis_labels[axis]!r} along which the planes lie: "
                "expected two others."
            )
        return axes
    rows, columns = [each for each in order if each != axis][-2:]
    return rows, columns


def grid_of_stack(grids: Sequence[WorldGrid], choice: Any, axes: tuple[int, int]) -> WorldGrid:
    """Return the grid on which several layers are fused.

    Parameters
    ----------
    grids : sequence of WorldGrid
    choice : "finer" or int
        The place of the layer whose grid it is; "finer" is that of the smallest pixels.
    axes : (rows, columns)
        Of the planes.

    Raises
    ------
    ImageError
        A layer does not overlap with it.
    OptionError
        There is no such choice.
    """
    if choice == "finer":
        choice = finest_grid(grids, axes)
    whole = isinstance(choice, (int, np.integer)) and not isinstance(choice, bool)
    if not whole or not 0 <= choice < len(grids):
        raise OptionError(
            f"grid={choice!r} is unknown: expected 'finer', or the place of a layer, 0 to "
            f"{len(grids) - 1}."
        )
    target = grids[choice]
    for other in grids:
        target = target.with_leading_axes_of(other)
    for other in grids:
        if other is not grids[choice]:
            check_overlap(target, other, grids[choice], other)
    return target


def stands_by_itself(grid: WorldGrid) -> bool:
    """Whether the first axis of a grid can be left out of it."""
    try:
        grid.without_leading_axis()
    except ImageError:
        return False
    return True


def planes_along(
    source: Source,
    axis: int,
    grid: WorldGrid,
    region: Region,
    axes: tuple[int, int],
    order: Literal[1, 3],
) -> list[ImagePlanes]:
    """Return the planes of a layer along an axis, each as an input of its own.

    Parameters
    ----------
    source : Source
    axis : int
        Of the grid; there it has one voxel, which is as thick as the stack.
    grid : WorldGrid
    region : tuple of slice
        In voxels of `grid`.
    axes, order : see `Source.planes_on`
        Of the planes, and of the interpolation.
    """
    count = source.grid.shape[axis]
    unfolded = grid.with_shape([*grid.shape[:axis], count, *grid.shape[axis + 1 :]])
    inputs = []
    for k in range(count):
        part = list(region)
        part[axis] = slice(k, k + 1)
        inputs.append(source.planes_on(unfolded, tuple(part), axes, order))
    measured = inputs[0].measured  # one object: the stack is measured once
    return [
        replace(image, name=f"plane {k} of {source.name}", measured=measured)
        for k, image in enumerate(inputs)
    ]


def describe_index(grid: WorldGrid, axis: int | None) -> dict[str, Any]:
    """Return what the index of a stack means: its name, axis and unit, and how to get there.

    Parameters
    ----------
    grid : WorldGrid
        Of the stack.
    axis : int or None
        Of `grid`, along which the planes lie; None for a stack of several layers.

    Returns
    -------
    dict
        ``start`` and ``step``, with which the index becomes a position in the world; ``unit``,
        "plane" or "layer" where it is a number of these, counted from 0; ``axis``, its label;
        ``title`` for people.
    """
    if axis is None:
        return {"axis": None, "unit": "layer", "start": 0.0, "step": 1.0, "title": "layer index"}
    label, unit = grid.axis_labels[axis], grid.units[axis]
    start, step = float(grid.matrix[axis, -1]), float(grid.matrix[axis, axis])
    if step == 0:  # the axis is turned away from its own
        start, step = 0.0, float(np.linalg.norm(grid.matrix[:-1, axis]))
    placed = (start, step) != (0.0, 1.0)
    if unit in UNITLESS and not placed:
        return {"axis": label, "unit": "plane", "start": 0.0, "step": 1.0, "title": "plane index"}
    short = short_name(unit)
    return {
        "axis": label,
        "unit": short,
        "start": start,
        "step": step,
        "title": f"height ({short})",
    }
