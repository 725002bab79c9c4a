"""What somebody asks for, before anything of it is resolved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from napari_gifnet.errors import ImageError, OptionError

from .color import Appearance
from .image import ImagePlanes, open_image


@dataclass(frozen=True, eq=False)
class Request:
    """What somebody asks for, before anything of it is resolved.

    Attributes
    ----------
    inputs : tuple of ImagePlanes
        One is to be enhanced, several are to be fused.
    task, intensity, color, dtype, normalization
        As for `napari_gifnet.fuse`; for inputs that a viewer shows, `intensity` may be ``"layer"``
        and `color` ``"displayed"``.
    alpha : bool
        Whether a result in colour gets an alpha channel.
    """

    inputs: tuple[ImagePlanes, ...]
    task: str | None = None
    intensity: Any = "auto"
    color: str = "auto"
    dtype: DTypeLike | None = None
    normalization: str = "plane"
    alpha: bool = False

    def in_colors(self, place: int, colors: np.ndarray) -> Request:
        """Return the request with a gray input in the colours of a colormap, (n, 3) in [0, 1]."""
        inputs = list(self.inputs)
        inputs[place] = replace(inputs[place], appearance=Appearance(colors=colors))
        return replace(self, inputs=tuple(inputs))


def request_of_arrays(
    images: Sequence[Any], names: Sequence[str], rgb: Any = None, **options: Any
) -> Request:
    """Return the request of `fuse` and `enhance`, whose options are described there.

    Raises
    ------
    ImageError, OptionError
        An image is none that can be fused, or `rgb` is not understood.
    """
    several = isinstance(rgb, (tuple, list))
    if several and (len(images) == 1 or len(rgb) != len(images)):
        expected = "one value for one image" if len(images) == 1 else f"{len(images)} values"
        raise OptionError(f"rgb={rgb!r} is not understood: expected {expected}.")
    each = rgb if several else [rgb] * len(images)
    inputs = [
        open_image(image, is_rgb, name)
        for image, is_rgb, name in zip(images, each, names, strict=True)
    ]
    return Request(tuple(inputs), **options)


def request_of_stack(
    stack: Any, axis: int, rgb: bool | None = None, name: str = "the stack", **options: Any
) -> Request:
    """Return the request of `fuse_stack`: the planes along one axis of an array, each an input.

    Parameters
    ----------
    stack : array (..., Y, X) or, in colour, (..., Y, X, 3 | 4)
    axis : int
        Along which the planes lie; none of those of a plane.

    Raises
    ------
    ImageError, OptionError
        The array is none that can be fused, or has no such axis.
    """
    if isinstance(stack, (list, tuple)):
        stack = _stacked(stack, name)
    if isinstance(rgb, (list, tuple)):
        raise OptionError(f"rgb={rgb!r} is not understood: expected one value for one stack.")
    whole = open_image(stack, rgb, name)
    values, leading = whole.values, whole.own_leading
    within = isinstance(axis, int) and not isinstance(axis, bool) and -values.ndim <= axis
    place = axis % values.ndim if within and axis < values.ndim else values.ndim
    if not leading:
        raise ImageError(
            f"{name} of shape {tuple(values.shape)} is one plane: expected a stack, (planes, Y, X)."
        )
    if place >= len(leading):
        raise OptionError(
            f"axis={axis!r} is none of a stack of shape {tuple(values.shape)}: expected one of "
            f"0 to {len(leading) - 1}, those in front of Y and X."
        )
    order = [place, *(i for i in range(values.ndim) if i != place)]
    planes = values.transpose(order)
    inputs = [
        ImagePlanes(
            planes[k], f"plane {k}", whole.rgb, leading[:place] + leading[place + 1 :], planes
        )
        for k in range(planes.shape[0])
    ]
    return Request(tuple(inputs), **options)


def check_index(return_index: bool, task: str | None) -> None:
    """Raise OptionError if there is no index of such planes: of exposures all have a share."""
    if return_index and task == "multi_exposure":
        raise OptionError(
            "return_index=True is of focus planes: of exposures every plane has a share of a pixel; "
            "leave it out."
        )


def _stacked(planes: Sequence[Any], name: str) -> Any:
    """Return a list of planes as one array; those of unequal size are refused."""
    images = [open_image(plane, None, f"plane {k} of {name}") for k, plane in enumerate(planes)]
    if not images:
        raise ImageError(f"{name} is empty: expected at least one plane.")
    first = images[0].values
    for k, image in enumerate(images):
        if image.values.shape != first.shape:
            raise ImageError(
                f"Plane {k} of {name} has shape {tuple(image.values.shape)}, plane 0 "
                f"{tuple(first.shape)}: expected planes of one size; crop or align them first."
            )
    if any(image.lazy for image in images):
        import dask.array as da

        return da.stack([da.asarray(image.values) for image in images])
    masked = any(isinstance(image.values, np.ma.MaskedArray) for image in images)
    return (np.ma.stack if masked else np.stack)([image.values for image in images])
