"""What is computed of a graph's tasks, on whichever worker: a part of a plane at a time.

What all tasks of a graph share is sent to a worker once, as one task's result.
"""

from __future__ import annotations

import pickle
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce
from importlib.metadata import version
from operator import add
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from napari_gifnet.backend import Backend
from napari_gifnet.errors import OptionError
from napari_gifnet.fuser import Fused, Fuser
from napari_gifnet.fusers import PairFuser, open_fuser, require_index, wanted_of
from napari_gifnet.planes.histograms import histogram, matched
from napari_gifnet.planes.image import Index, Plane
from napari_gifnet.planes.job import Job
from napari_gifnet.planes.ranges import Policy, Range, combine, from_unit
from napari_gifnet.planes.tasks import radiometric_base

from .areas import Cut
from .freed_memory import use_freed_memory_again
from .gpu_lock import gpu_lock
from .methods import Method

if TYPE_CHECKING:
    from napari_gifnet.engine import Statistics
    from napari_gifnet.engine.moments import Moments

_ONE_AT_A_TIME = threading.Lock()
"""A fuser uses all cores; several at once would only take more memory."""


@dataclass(frozen=True, eq=False)
class Shared:
    """What the tasks of one graph share.

    Attributes
    ----------
    job : Job
        Without its values, which the graph holds.
    method : Method
    backend : Backend
    statistics : Statistics, mapping or None
        Such as were gathered before, of all planes or of each by its index.
    with_index : bool
        Whether the index is asked for.
    """

    job: Job
    method: Method
    backend: Backend
    statistics: Statistics | Mapping[Index, Statistics] | None
    with_index: bool

    def __reduce__(self) -> Any:
        """Travel with the version of the package, and be unpacked where it is the same."""
        return _Sealed, (package_version(), pickle.dumps(tuple(vars(self).values())))

    def opened(self) -> Shared:
        """Return it as it is; see `_Sealed`."""
        return self


class _Sealed:
    """What tasks share, on its way to another process or there."""

    def __init__(self, made_by: str, packed: bytes) -> None:
        self._made_by, self._packed = made_by, packed

    def __reduce__(self) -> Any:
        return _Sealed, (self._made_by, self._packed)

    def opened(self) -> Shared:
        """Return what is inside.

        Raises
        ------
        OptionError
            This process has another version of the package, or other weights.
        """
        if self._made_by != package_version():
            raise OptionError(
                f"A worker has napari-gifnet {package_version()}, and the computer that sent the "
                f"work {self._made_by}: install one version on both."
            )
        return _opened(self._packed)


@lru_cache(maxsize=2)
def _opened(packed: bytes) -> Shared:
    shared = Shared(*pickle.loads(packed))
    shared.method.check()
    return shared


def package_version() -> str:
    """Return the version that is installed here."""
    return version("napari-gifnet")


def hand_over(shared: Shared | _Sealed) -> Shared | _Sealed:
    """Be the task whose result each worker gets once."""
    return shared


def facts_of(method: Method, backend: Backend) -> tuple[dict[str, Any], bool]:
    """Return the facts of the fuser that this process makes, and whether it normalizes."""
    method.check()
    with _ONE_AT_A_TIME:
        fuser = _last_fuser(method.model, backend)
        return dict(fuser.facts), fuser.normalizes


def find_ranges(found: list[np.ndarray], ranges: RangesOf) -> list[Range]:
    """Return the range of each input; `found` stands for all values of each measured image."""
    return ranges.of(found)


@dataclass(frozen=True, eq=False)
class RangesOf:
    """How the ranges of a job's inputs follow of what was found.

    Attributes
    ----------
    known : list of (low, high) or int
        Of each input, or the place of its measured image.
    images : list of (dtype, policy, label)
        Of the measured images.
    """

    known: list[Range | int]
    images: list[tuple[np.dtype, Policy, str]]

    def of(self, found: list[np.ndarray]) -> list[Range]:
        """Return a range for each input; raise ImageError where no value is finite."""
        measured = [
            combine([values], *image) for values, image in zip(found, self.images, strict=True)
        ]
        return [measured[each] if isinstance(each, int) else each for each in self.known]


def measure_part(
    shared: Shared | _Sealed,
    cut: Cut,
    parts: list[Any],
    ranges: list[Range] | None,
    before: list[Moments] | None = None,
) -> list[Moments]:
    """Return the moments of a part, before block 0 or, with those of the plane, before block 1."""
    shared = shared.opened()
    job, planes = _planes(shared, cut, parts, ranges)
    with _ONE_AT_A_TIME:
        fuser = _last_fuser(shared.method.model, shared.backend)
        with gpu_lock(fuser.facts["device"]):
            return cast("PairFuser", fuser).measure_part(job.lumas(planes), cut.part, before)


def add_moments(parts: list[list[Moments]]) -> list[Moments]:
    """Return the moments of several parts together."""
    return [reduce(add, each) for each in zip(*parts, strict=True)]


def gathered(before: list[Moments], behind: list[Moments]) -> Statistics:
    """Return the statistics of a plane of its moments before block 0 and before block 1."""
    from napari_gifnet.engine.moments import Statistics

    of_mm, of_dp, of_active = (moments.numbers for moments in (*before, *behind))
    return Statistics(of_mm, of_dp, of_active)


def fuse_part(
    shared: Shared | _Sealed,
    cut: Cut,
    parts: list[Any],
    ranges: list[Range] | None,
    statistics: Statistics | None,
) -> Any:
    """Return a part of a plane of the result; with the index, both."""
    shared = shared.opened()
    job, planes = _planes(shared, cut, parts, ranges)
    fused = _fused(shared, job, cut, planes, statistics)
    if not cut.whole:
        planes = [_cropped(plane, cut.part) for plane in planes]
    made = from_unit(job.picture(fused.plane, planes, fused.index), job.dtype)
    return (made, fused.index) if shared.with_index else made


def _fused(
    shared: Shared,
    job: Job,
    cut: Cut,
    planes: Sequence[Plane],
    statistics: Statistics | None,
) -> Fused:
    lumas, known = job.lumas(planes), shared.statistics
    statistics = statistics or (known.get(cut.index) if isinstance(known, Mapping) else known)
    with _ONE_AT_A_TIME:
        fuser = _last_fuser(shared.method.model, shared.backend)
        if shared.with_index:
            require_index(fuser)
        wanted = wanted_of(job, fuser, shared.with_index)
        with gpu_lock(fuser.facts["device"]):
            if not cut.whole:
                return fuser.fuse_part(lumas, cut.part, statistics, wanted)
            (fused,) = fuser.fuse_planes([lumas], 1, None, statistics, wanted)
            return fused


@dataclass(frozen=True, eq=False)
class FusedBand:
    """A part of a fused band before it gets its radiometry back, which the whole band decides.

    Attributes
    ----------
    plane : array
        With a pixel more on each side, as far as the band has it.
    inner : (slice, slice)
        The part itself.
    invalid : array of bool or None
    histograms : array (2, 3, bins)
        Of the fused band's base and of the band as it was.
    """

    plane: np.ndarray
    inner: tuple[slice, slice]
    invalid: np.ndarray | None
    histograms: np.ndarray


@dataclass(frozen=True, eq=False, slots=True)
class Inner:
    """Where a part lies in itself with `BASE_HALO` pixels around."""

    sides: tuple[slice, slice]

    @classmethod
    def of(cls, cut: Cut, inside: Cut) -> Inner:
        """Return where the part of one cut lies in the part of another, larger one."""
        sides = []
        for outer, inner, larger, smaller in (
            (cut.rows, inside.rows, cut.part[0], inside.part[0]),
            (cut.columns, inside.columns, cut.part[1], inside.part[1]),
        ):
            start = inner.start + smaller.start - outer.start - larger.start
            sides.append(slice(start, start + smaller.stop - smaller.start))
        return cls((sides[0], sides[1]))


def fuse_band(
    shared: Shared | _Sealed,
    cut: Cut,
    inner: Inner,
    parts: list[Any],
    ranges: list[Range] | None,
    statistics: Statistics | None,
) -> FusedBand:
    """Return a part of a fused band; `inner` is that of the cut's part which counts."""
    shared = shared.opened()
    job, planes = _planes(shared, cut, parts, ranges)
    fused = _fused(shared, job, cut, planes, statistics).plane
    own = [_cropped(_cropped(plane, cut.part), inner.sides) for plane in planes]
    base = radiometric_base(fused)[inner.sides]
    masks = [plane.invalid for plane in own if plane.invalid is not None]
    return FusedBand(
        fused,
        inner.sides,
        reduce(np.logical_or, masks) if masks else None,
        np.stack([histogram(base), histogram(own[0].luma)]),
    )


def histograms_of(band: FusedBand) -> np.ndarray:
    """Return the histograms of a part."""
    return band.histograms


def sharpen_band(shared: Shared | _Sealed, band: FusedBand, histograms: np.ndarray) -> np.ndarray:
    """Return a part of a band with its radiometry, of the histograms of the whole band."""
    base = radiometric_base(band.plane)[band.inner]
    fused = band.plane[band.inner]
    sharpened = np.clip(matched(base, *histograms) + (fused - base), 0, 1).astype(np.float32)
    if band.invalid is not None:
        sharpened[band.invalid] = np.nan
    return from_unit(sharpened, shared.opened().job.dtype)


@dataclass(frozen=True, eq=False, slots=True)
class Chosen:
    """What a chunk takes of the parts it lies in: one of each plane that it holds.

    Attributes
    ----------
    sides : (slice, slice)
        Where in the part.
    leading : tuple of int
        How many planes, along each axis.
    of : int or None
        Which, where a part is several arrays.
    """

    sides: tuple[slice, slice]
    leading: tuple[int, ...]
    of: int | None


def choose(parts: list[Any], chosen: Chosen) -> np.ndarray:
    """Return a chunk of the result."""
    planes = [part if chosen.of is None else part[chosen.of] for part in parts]
    if len(planes) == 1:
        own = planes[0][chosen.sides]
        whole = own.shape == planes[0].shape
        own = own if whole else own.copy()  # a view would keep the part in memory
        return own.reshape(chosen.leading + own.shape)
    stack = np.stack([plane[chosen.sides] for plane in planes])
    return stack.reshape(chosen.leading + stack.shape[1:])


def _planes(
    shared: Shared, cut: Cut, parts: list[Any], ranges: list[Range] | None
) -> tuple[Job, Sequence[Plane]]:
    job = shared.job if ranges is None else shared.job.with_ranges(ranges)
    planes = [
        image.cut(cut.rows, cut.columns).plane(cut.index, part)
        for image, part in zip(job.inputs, parts, strict=True)
    ]
    return job, tuple(planes)


def _cropped(plane: Plane, part: tuple[slice, slice]) -> Plane:
    return Plane(*(None if each is None else each[part] for each in plane))  # type: ignore[arg-type]


@lru_cache(maxsize=1)
def _last_fuser(model: Any, backend: Backend) -> Fuser:
    use_freed_memory_again()
    return open_fuser(model, backend)
