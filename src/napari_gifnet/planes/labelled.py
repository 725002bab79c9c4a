"""Arrays of xarray in and out: axes are matched by their names, and coordinates are kept.

What comes in as an array with names becomes a plain one with planes last, and the result gets the
names, the coordinates and the attributes back. xarray is imported for no other arrays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_gifnet.errors import ImageError, OptionError

from .arrays import as_array

if TYPE_CHECKING:
    from .job import Job

ROWS = ("y", "lat", "latitude", "row", "rows")
COLUMNS = ("x", "lon", "longitude", "col", "cols", "column", "columns")
COLORS = ("rgb", "rgba", "color", "colour")
"""Names of axes that hold red, green and blue and nothing else."""

CHANNELS = ("band", "bands", "c", "channel", "channels", "s", "sample", "samples")
"""Names of axes that hold colours if they lie behind the planes, or if their labels say so."""

OF_VALUES = {
    "units",
    "standard_name",
    "cell_methods",
    "scale_factor",
    "add_offset",
    "valid_min",
    "valid_max",
    "valid_range",
    "actual_range",
    "_FillValue",
    "missing_value",
    "flag_values",
    "flag_meanings",
}
"""Attributes that tell of the values of an image, which the result does not have."""

PROVENANCE = "napari_gifnet"
"""The attribute that tells how a result was made."""

_STEP_TOLERANCE = 0.01
"""Of a step between coordinates: what two ways of computing them may differ by."""


@dataclass(frozen=True, eq=False)
class _Layout:
    """An array with names, and what its axes are.

    Attributes
    ----------
    array : xarray.DataArray
    label : str
        What messages call it.
    planes : pair of str
        The axes of rows and columns.
    color : str or None
    """

    array: Any
    label: str
    planes: tuple[str, str]
    color: str | None

    @property
    def leading(self) -> list[str]:
        """The axes in front of the planes, in the array's order."""
        return [dim for dim in self.array.dims if dim not in (*self.planes, self.color)]

    @property
    def order(self) -> list[str]:
        """The axes with the planes behind the others, and the colours last."""
        return [*self.leading, *self.planes, *([self.color] if self.color else [])]


@dataclass(frozen=True, eq=False)
class Labels:
    """Images without names, and what gives their result the names back.

    Attributes
    ----------
    images : tuple of array
        With planes last, as the planner takes them.
    rgb : bool, None or a list of these
        Whether the last axis of an image is colour.
    layouts : tuple
        Of those images that have names.
    leading : list of str
        The axes of the result in front of its planes.
    """

    images: tuple[Any, ...]
    rgb: Any
    layouts: tuple[_Layout, ...] = ()
    leading: tuple[str, ...] = ()

    def axis_of(self, axis: Any) -> Any:
        """Return where an axis, given by its name or its place, lies among those in front."""
        if not self.layouts:
            return axis
        (layout,) = self.layouts
        dims = list(layout.array.dims)
        if isinstance(axis, int) and not isinstance(axis, bool) and -len(dims) <= axis < len(dims):
            axis = dims[axis]
        if axis not in layout.leading:
            raise OptionError(
                f"axis={axis!r} is none of an array with the axes {', '.join(map(str, dims))}: "
                f"expected {' or '.join(map(repr, layout.leading)) or 'one in front of its planes'}."
            )
        return layout.leading.index(axis)

    def without(self, axis: int) -> Labels:
        """Return the labels of what one plane is made of along an axis."""
        if not self.layouts:
            return self
        (layout,) = self.layouts
        gone = layout.leading[axis]
        one = replace(layout, array=layout.array.isel({gone: 0}, drop=True))
        return replace(self, layouts=(one,), leading=tuple(one.leading))

    def restore(self, result: Any, job: Job, model: Any = None) -> Any:
        """Return a result with names, coordinates and attributes, if an image had some.

        Parameters
        ----------
        result : array, or pair of arrays
            What the job gave; the second is of planes without colour.
        job : Job
        model : str, Path or Model, optional
        """
        if not self.layouts:
            return result
        if isinstance(result, tuple):
            fused, index = result
            return self._named(fused, job, model), self._named(index, job, model, "index")
        return self._named(result, job, model)

    def _named(self, values: Any, job: Job, model: Any, name: str | None = None) -> Any:
        import xarray

        in_color = bool(job.channels) and name is None
        template = max(self.layouts, key=lambda layout: layout.array.ndim)
        colors = [layout for layout in self.layouts if layout.color] if in_color else []
        color = colors[0].color if colors else "rgb"
        dims = [*self.leading, *template.planes, *([color] if in_color else [])]
        dims = [*(f"dim_{i}" for i in range(values.ndim - len(dims))), *dims]
        named = xarray.DataArray(values, dims=dims)
        for layout in (template, *self.layouts):
            named = _with_coordinates(named, layout)
        wanted = [dim for dim in template.array.dims if dim in dims]
        named = named.transpose(*(dim for dim in dims if dim not in (*wanted, color)), *wanted, ...)
        named.name = name or ("enhanced" if job.enhances else "fused")
        if job.enhances and name is None and template.array.name is not None:
            named.name = template.array.name
        named.attrs = _common_attributes([layout.array.attrs for layout in self.layouts])
        named.attrs[PROVENANCE] = _provenance(job, model)
        return named


NO_LABELS = Labels((), None)
"""Of images without names."""


def is_labelled(image: Any) -> bool:
    """Return whether an image is a DataArray of xarray; xarray is not imported for it."""
    return any(base.__module__ == "xarray.core.dataarray" for base in type(image).__mro__)


def read_labels(
    images: Sequence[Any], names: Sequence[str], rgb: Any = None, task: str | None = None
) -> Labels:
    """Take the names off images, their axes brought under each other by them.

    Parameters
    ----------
    images : sequence of array
        Those without names are taken as they are, or as one with names of the same shape is.
    names : sequence of str
        What messages call them.
    rgb : bool, None or one for each
        As for `napari_gifnet.fuse`.
    task : str, optional
        The preset; bands to be sharpened are no colours.

    Raises
    ------
    ImageError
        Their planes have other names, or other coordinates.
    """
    if not any(map(is_labelled, images)):
        return Labels(tuple(images), rgb)
    several = isinstance(rgb, (tuple, list))
    asked = list(rgb) if several and len(rgb) == len(images) else [rgb] * len(images)
    layouts = {
        place: _lay_out(image, name, asked[place], task == "pansharpening")
        for place, (image, name) in enumerate(zip(images, names, strict=True))
        if is_labelled(image)
    }
    known = list(layouts.values())
    for layout in known[1:]:
        _check_match(known[0], layout)
    leading = _join_axes(known)
    laid_out = []
    for place, image in enumerate(images):
        if place in layouts:
            asked[place] = bool(layouts[place].color)
            laid_out.append(_laid_out(layouts[place], leading))
        else:
            laid_out.append(_as_its_neighbours(image, names[place], known))
    colors = rgb if several and len(rgb) != len(images) else asked
    if len(images) == 1 and not several:
        colors = asked[0]
    return Labels(tuple(laid_out), colors, tuple(known), tuple(leading))


def read_stack_labels(stack: Any, axis: Any, rgb: Any = None) -> tuple[Labels, Any, Any, Any]:
    """Take the names off a stack, or a list of planes.

    Returns
    -------
    labels : Labels
        Of the result.
    stack, axis, rgb
        As `request_of_stack` takes them.
    """
    if isinstance(stack, (list, tuple)):
        if not any(map(is_labelled, stack)):
            return Labels(tuple(stack), rgb), stack, axis, rgb
        labels = read_labels(stack, [f"plane {k} of the stack" for k in range(len(stack))], rgb)
        return labels, list(labels.images), axis, labels.rgb[0]
    labels = read_labels((stack,), ("the stack",), rgb)
    place = labels.axis_of(axis)
    return labels.without(place), labels.images[0], place, labels.rgb


def _lay_out(array: Any, label: str, rgb: bool | None, bands: bool) -> _Layout:
    """Find out which axes are rows, columns and colours: by their names, else by their places."""
    dims = list(array.dims)
    rows = [dim for dim in dims if str(dim).lower() in ROWS]
    columns = [dim for dim in dims if str(dim).lower() in COLUMNS]
    by_name = len(rows) == 1 and len(columns) == 1
    color = _find_color(array, dims, by_name, bands) if rgb is not False else None
    if rgb and color is None and len(dims) > 2 and array.sizes[dims[-1]] in (3, 4):
        color = dims[-1]
    rest = [dim for dim in dims if dim != color]
    if not by_name and len(rest) < 2:
        raise ImageError(
            f"{label} has the axes {', '.join(map(str, dims))}: expected rows and columns among them."
        )
    planes = (rows[0], columns[0]) if by_name and color not in (*rows, *columns) else rest[-2:]
    return _Layout(array, label, tuple(planes), color)


def _find_color(array: Any, dims: list[Any], by_name: bool, bands: bool) -> Any:
    """Return the axis that is clearly colour; None if there is none."""
    for place, dim in enumerate(dims):
        name, size = str(dim).lower(), array.sizes[dim]
        if len(dims) < 3 or size not in (3, 4):
            continue
        if name in COLORS:
            return dim
        behind = place == len(dims) - 1
        nameless = not by_name and name not in (*ROWS, *COLUMNS)
        if behind and (name in CHANNELS or nameless):
            return dim
        if name in CHANNELS and not bands and _spell_colors(array, dim):
            return dim
    return None


def _spell_colors(array: Any, dim: Any) -> bool:
    """Whether the labels along an axis are red, green and blue, and perhaps alpha."""
    if dim not in array.coords:
        return False
    labels = [str(label).lower() for label in np.ravel(array.coords[dim].values)]
    initials = "".join(label[:1] for label in labels)
    words = {"r", "g", "b", "a", "red", "green", "blue", "alpha"}
    return initials in ("rgb", "rgba") and set(labels) <= words


def _check_match(first: _Layout, second: _Layout) -> None:
    if first.planes != second.planes:
        ours, theirs = (" and ".join(map(str, each.planes)) for each in (first, second))
        raise ImageError(
            f"{first.label} has its planes along {ours}, {second.label} along {theirs}: expected the "
            "same names; rename those of one."
        )
    shared = [dim for dim in first.array.dims if dim in second.order and dim != first.color]
    for dim in shared:
        if dim in first.array.indexes and dim in second.array.indexes:
            _check_coordinates(first, second, dim)


def _check_coordinates(first: _Layout, second: _Layout, dim: Any) -> None:
    ours, theirs = (np.asarray(each.array.indexes[dim]) for each in (first, second))
    if len(ours) != len(theirs):
        return  # what is said of shapes is said of these too
    if ours.dtype.kind in "iuf" and theirs.dtype.kind in "iuf" and len(ours) > 1:
        step = np.abs(np.diff(ours.astype(float))).min()
        same = np.abs(ours.astype(float) - theirs).max() <= _STEP_TOLERANCE * step
    else:
        same = bool((ours == theirs).all())
    if not same:
        raise ImageError(
            f"{first.label} and {second.label} have other coordinates along {dim}: expected images on "
            f"the same grid; bring one onto the other's, {second.label}.interp_like({first.label})."
        )


def _join_axes(layouts: Sequence[_Layout]) -> list[Any]:
    """Return the axes in front of the planes of all: those that some lack go to the front."""
    longest = max(layouts, key=lambda layout: len(layout.leading))
    leading = longest.leading
    for layout in layouts:
        leading = [dim for dim in layout.leading if dim not in leading] + leading
    return leading


def _laid_out(layout: _Layout, leading: Sequence[Any]) -> Any:
    """Return an array with its axes in order, and of length 1 where it has none."""
    values = as_array(layout.array, layout.label)
    dims = list(layout.array.dims)
    own = [dim for dim in leading if dim in dims]
    order = [*own, *layout.order[len(own) :]]
    values = values.transpose([dims.index(dim) for dim in order])
    first = leading.index(own[0]) if own else len(leading)
    lacking = [None if dim not in dims else slice(None) for dim in leading[first:]]
    return values[tuple(lacking)] if None in lacking else values


def _as_its_neighbours(image: Any, name: str, layouts: Sequence[_Layout]) -> Any:
    """Return an array without names in the order of one that has some, if it has its shape."""
    image = as_array(image, name)
    for layout in layouts:
        if image.shape == layout.array.shape:
            dims = list(layout.array.dims)
            return image.transpose([dims.index(dim) for dim in layout.order])
    return image


def _with_coordinates(named: Any, layout: _Layout) -> Any:
    """Return an array with those coordinates of another that it does not have yet."""
    source = layout.array
    for dim in source.dims:
        if dim not in named.dims:
            source = source.isel({dim: 0}, drop=True)
        elif source.sizes[dim] != named.sizes[dim]:  # of RGBA, or of a single plane for all
            fits = dim == layout.color
            source = source.isel({dim: slice(3) if fits else 0}, drop=True)
    if not named.coords:
        return named.assign_coords(source.coords)
    new = {name: each for name, each in source.coords.items() if name not in named.coords}
    return named.assign_coords(new) if new else named


def _common_attributes(each: Sequence[dict[Any, Any]]) -> dict[Any, Any]:
    """Return the attributes on which all agree that have them, without those of values."""
    kept: dict[Any, Any] = {}
    for attributes in each:
        for name, value in attributes.items():
            if name in OF_VALUES:
                continue
            if all(np.array_equal(others.get(name, value), value) for others in each):
                kept[name] = value
    return kept


def _provenance(job: Job, model: Any) -> str:
    from importlib.metadata import version

    name = getattr(model, "name", model) or "gifnet"
    return f"napari-gifnet {version('napari-gifnet')}: {job.summary()}; model {name}"
