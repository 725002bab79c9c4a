"""The one planner: a request becomes a job, and nobody resolves anything after it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any, Literal, cast

import numpy as np

from napari_gifnet.errors import ImageError, OptionError

from .color import choose_chroma, mix_by_value, mix_chroma, to_rgb
from .image import (
    SMALLEST_SIDE,
    ImagePlanes,
    Index,
    Plane,
    broadcast,
    common_leading,
    format_sides,
)
from .ranges import (
    Policy,
    Range,
    join_ranges,
    measure_range,
    names_each,
    range_without_looking,
    result_dtype,
    split_intensity,
)
from .request import Request
from .stack import Lumas, ManyPlanes
from .tasks import PANSHARPENING, Task, find_task, pansharpen_band

Normalization = Literal["plane", "stack"]
NORMALIZATIONS = ("plane", "stack")

SAMPLED = 16
"""Planes of a stack that its normalization is measured on, at most."""


@dataclass(frozen=True, eq=False)
class Job:
    """One resolved request: every option decided, nothing computed yet.

    Attributes
    ----------
    inputs : tuple of ImagePlanes
        Broadcast against each other, with their ranges; one for an enhancement.
    task : Task or None
        The preset.
    chroma : tuple of int
        Which inputs give the result its colour; () for a gray result.
    weighed : tuple of int
        Those of them in the colours of a colormap, which are weighed by their values.
    one_range : bool
        All inputs have the range that holds those of all.
    dtype : numpy.dtype
        Of the result.
    normalization : {"plane", "stack"}
        What the network's normalisations measure.
    alpha : bool
        The result has an alpha channel behind its colours.
    """

    inputs: tuple[ImagePlanes, ...]
    task: Task | None
    chroma: tuple[int, ...]
    weighed: tuple[int, ...]
    one_range: bool
    dtype: np.dtype
    normalization: Normalization
    alpha: bool

    @property
    def leading(self) -> tuple[int, ...]:
        """The shape of the stack; () for a single plane."""
        return self.inputs[0].leading

    @property
    def sides(self) -> tuple[int, int]:
        """Height and width of the planes, in pixels."""
        return self.inputs[0].sides

    @property
    def count(self) -> int:
        """The number of planes of the result."""
        return int(np.prod(self.leading, dtype=int))

    @property
    def channels(self) -> tuple[int, ...]:
        """The length of the result's colour axis; () for a gray result."""
        return (3 + self.alpha,) if self.chroma else ()

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the result."""
        return self.leading + self.sides + self.channels

    @property
    def lazy(self) -> bool:
        """Whether an input is read when it is computed."""
        return any(image.lazy for image in self.inputs)

    @property
    def enhances(self) -> bool:
        """Whether there is one image, which is fused with itself."""
        return len(self.inputs) == 1

    @property
    def task_name(self) -> str | None:
        """The preset's name, if there is one."""
        return self.task.name if self.task else None

    @property
    def ranges(self) -> list[Range | Policy]:
        """What becomes 0 and 1 of each input; a policy where that is still to be measured."""
        return [image.range for image in self.inputs]

    @property
    def is_measured(self) -> bool:
        """Whether all ranges are numbers."""
        return not any(isinstance(limits, str) for limits in self.ranges)

    def with_ranges(self, ranges: Sequence[Range]) -> Job:
        """Return the job with numbers for its ranges; of one range for all, those that hold all."""
        if self.one_range:
            ranges = [reduce(join_ranges, ranges)] * len(ranges)
        inputs = zip(self.inputs, ranges, strict=True)
        return replace(self, inputs=tuple(replace(image, range=limits) for image, limits in inputs))

    def measured(self) -> Job:
        """Return the job with the ranges measured that depend on the values; lazy ones are read.

        Raises
        ------
        ImageError
            An input has no finite value.
        """
        if self.is_measured:
            return self
        found: dict[tuple[int, Policy], Range] = {}  # planes of one stack are measured together
        ranges = []
        for image in self.inputs:
            limits = image.range
            if isinstance(limits, str):
                key = (id(image.measured), limits)
                if key not in found:
                    values = image.measured.compute() if image.lazy else image.measured
                    found[key] = measure_range(values, limits, image.label, plane_axes(image))
                limits = found[key]
            ranges.append(limits)
        return self.with_ranges(ranges)

    def planes(self, index: Index, parts: Sequence[Any] | None = None) -> Sequence[Plane]:
        """Return the planes of all inputs at a place of the stack.

        Parameters
        ----------
        index : tuple of int
        parts : sequence of array, optional
            What the inputs' ``part(index)`` gave, computed.
        """
        if parts is None and len(self.inputs) > 2:
            return ManyPlanes(self.inputs, index)
        given = parts or [None] * len(self.inputs)
        return tuple(
            image.plane(index, part) for image, part in zip(self.inputs, given, strict=True)
        )

    def lumas(self, planes: Sequence[Plane]) -> Sequence[np.ndarray]:
        """Return what a fuser makes one plane of: a luma (Y, X) of each input."""
        return Lumas(planes) if len(planes) > 2 else tuple(plane.luma for plane in planes)

    def picture(
        self, fused: np.ndarray, planes: Sequence[Plane], place: np.ndarray | None = None
    ) -> np.ndarray:
        """Return a plane of the result: colour, alpha and invalid pixels put back.

        Parameters
        ----------
        fused : array (Y, X)
            float32 in [0, 1], of the lumas of `planes`.
        planes : sequence of Plane
            One of each input.
        place : array (Y, X), optional
            Which input a pixel comes from, between two where both have a share: its colour, too.

        Returns
        -------
        array (Y, X), (Y, X, 3) or (Y, X, 4)
            float32 in [0, 1], NaN where an input is invalid; there alpha is 0.
        """
        picture = fused
        if self.task == PANSHARPENING:
            picture = pansharpen_band(fused, planes[0].luma)
        invalid = None
        for plane in planes:
            if plane.invalid is not None:
                invalid = plane.invalid if invalid is None else invalid | plane.invalid
        if self.chroma:
            picture = to_rgb(picture, self._colors(planes, place))
        if invalid is not None:
            hidden = invalid[..., None] if self.chroma else invalid
            picture = np.where(hidden, np.float32(np.nan), picture)
        if self.chroma and self.alpha:
            alpha = planes[0].alpha
            alpha = np.ones(fused.shape, np.float32) if alpha is None else alpha
            if invalid is not None:
                alpha = np.where(invalid, np.float32(0), alpha)
            picture = np.concatenate([picture, alpha[..., None]], axis=-1)
        return picture

    def _colors(self, planes: Sequence[Plane], place: np.ndarray | None) -> np.ndarray:
        """Return the result's chroma (Y, X, 2): mixed by strength, or of where each pixel is from."""
        if place is None or not self.colors_by_place:
            chromas = [planes[i].chroma for i in self.chroma if i not in self.weighed]
            if self.weighed:
                weighed = [planes[i] for i in self.weighed]
                values = cast("list[np.ndarray]", [plane.value for plane in weighed])
                colors = cast("list[np.ndarray]", [plane.chroma for plane in weighed])
                each = (plane.luma if plane.value is None else plane.value for plane in planes)
                chromas.append(mix_by_value(colors, values, reduce(np.add, each)))
            return reduce(mix_chroma, cast("list[np.ndarray]", chromas))
        mixed = np.zeros((*place.shape, 2), np.float32)
        for i, plane in enumerate(planes):
            share = np.maximum(0, 1 - np.abs(place - i))
            mixed += share[..., None] * cast("np.ndarray", plane.chroma)
        return mixed

    @property
    def colors_by_place(self) -> bool:
        """Whether a pixel's colour is that of the input it comes from, where a fuser tells."""
        return 1 < len(self.inputs) == len(self.chroma)

    def summary(self, before: Sequence[str] = (), after: Sequence[str] = ()) -> str:
        """Return one line for people: sizes, ranges and the colour rule.

        Parameters
        ----------
        before, after : sequence of str
            What the caller knows besides: of grids, and of what follows.
        """
        planes = f"{self.count} plane{'s' * (self.count != 1)} of {format_sides(self.sides)}"
        return "; ".join(
            [planes, *before, *self._describe_ranges(), self._describe_color(), *after]
        )

    def _describe_ranges(self) -> list[str]:
        words = {"percentile": "0.1st to 99.9th percentile"}
        count = len(self.inputs)
        alike = self.one_range or (count > 2 and len(set(self.ranges)) == 1)
        if alike and self.is_measured:
            all_of = "both" if count == 2 else f"all {count}"
            return ["{} {:g} to {:g}".format(all_of, *self.ranges[0])]
        return [
            f"{image.name} {words.get(image.range, 'minimum to maximum')}"
            if isinstance(image.range, str)
            else "{} {:g} to {:g}".format(image.name, *image.range)
            for image in self.inputs
        ]

    def _describe_color(self) -> str:
        names = [self.inputs[place].name for place in self.chroma]
        if len(names) > 3:
            return f"colours of {len(names)} images"
        if len(names) > 1:
            return f"colours of {' and '.join(names)} by their strength"
        return f"colour of {names[0]}" if names else "gray"


def resolve(request: Request) -> Job:
    """Decide everything that a request leaves open; quick, whatever the size of the images.

    Parameters
    ----------
    request : Request
        The images, and the options as they were given.

    Returns
    -------
    Job
        Ready to be run; ranges that depend on the values are still to be measured.

    Raises
    ------
    ImageError
        The images cannot be fused as given.
    OptionError
        An option is not understood.

    Examples
    --------
    >>> from napari_gifnet.planes.request import request_of_arrays
    >>> images = np.zeros((3, 8, 9), np.uint8), np.zeros((8, 9, 3), np.uint8)
    >>> job = resolve(request_of_arrays(images, ("a", "b")))
    >>> job.shape, job.summary()
    ((3, 8, 9, 3), '3 planes of 8×9 pixels; a 0 to 255; b 0 to 255; colour of b')
    """
    inputs, count = request.inputs, len(request.inputs)
    task = find_task(request.task)
    if task == PANSHARPENING and count > 2:
        raise OptionError(
            f"task='pansharpening' is of two images, bands and a panchromatic one, and {count} were "
            "given: stack the bands, (bands, Y, X)."
        )
    if task and count == 1:
        raise OptionError(f"task={task.name!r} is of two images: expected none to enhance one.")
    dtype = result_dtype(request.dtype)
    for image in inputs:
        _check_sides(image)
    leading = common_leading(inputs)
    if request.normalization not in NORMALIZATIONS:
        raise OptionError(
            f"normalization={request.normalization!r} is not understood: expected 'plane' or "
            "'stack'."
        )
    if task == PANSHARPENING:
        _check_bands(inputs)
    chroma = choose_chroma(
        request.color,
        [image.in_color for image in inputs],
        task.color if task else "auto",
        all(image.shown is not None for image in inputs),
    )
    weighed = tuple(place for place in chroma if count > 1 and inputs[place].in_color_map)
    policies = split_intensity(request.intensity, count, [image.shown for image in inputs])
    ranges = [
        policy if looked is None else looked
        for policy, looked in (
            (policy, range_without_looking(image.dtype, policy))
            for image, policy in zip(inputs, policies, strict=True)
        )
    ]
    one_range = bool(
        task
        and task.one_range
        and len({image.dtype for image in inputs}) == 1
        and not names_each(request.intensity, count)
    )
    alpha = request.alpha and bool(chroma)
    each_its_own = task == PANSHARPENING or np.prod(leading, dtype=int) == 1
    job = Job(
        inputs=tuple(
            replace(
                broadcast(image, leading),
                range=limits,
                with_chroma=place in chroma,
                with_alpha=alpha and place == 0,
            )
            for place, (image, limits) in enumerate(zip(inputs, ranges, strict=True))
        ),
        task=task,
        chroma=chroma,
        weighed=weighed,
        one_range=one_range,
        dtype=dtype,
        normalization="plane" if each_its_own else cast("Normalization", request.normalization),
        alpha=alpha,
    )
    return job.with_ranges(cast("list[Range]", job.ranges)) if job.is_measured else job


def plane_axes(image: ImagePlanes) -> int:
    """Return how many axes of what an image's range is measured of stand before a plane's."""
    return image.measured.ndim - (3 if image.rgb else 2)


def sampled_indices(leading: tuple[int, ...]) -> list[Index]:
    """Return the planes of a stack that its normalization is measured on, spread over it."""
    indices = list(np.ndindex(leading))
    count = len(indices)
    chosen = np.linspace(0, count - 1, min(count, SAMPLED)).round().astype(int)
    return [indices[i] for i in np.unique(chosen)]


def _check_sides(image: ImagePlanes) -> None:
    if min(image.sides) < SMALLEST_SIDE:
        raise ImageError(
            f"{image.label} has planes of {format_sides(image.sides)}: expected at least "
            f"{SMALLEST_SIDE}×{SMALLEST_SIDE}; choose a larger region, or put the axes that are not Y "
            "and X in front."
        )


def _check_bands(inputs: Sequence[ImagePlanes]) -> None:
    for image in inputs:
        if image.in_color:
            raise ImageError(
                f"{image.label} is in colour: pansharpening expects bands in front, (..., bands, Y, "
                "X), and a gray panchromatic plane, not as displayed; np.moveaxis(image, -1, 0) "
                "moves the bands of an array."
            )
