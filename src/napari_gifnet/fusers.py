"""The fusers: models on their engines, rules without a network; and each by its name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from .backend import Backend
from .baselines import BASELINES, Rule
from .checkpoints import BANDS
from .errors import OptionError
from .fuser import Fused, Fuser, Part, Stack, Wanted
from .models import Model, load_model
from .planes.job import Job, sampled_indices
from .progress import Progress, share_of

if TYPE_CHECKING:
    from .engine import Statistics
    from .engine.moments import Moments
    from .network import GIFNet
    from .network.bands import GIFNetBands


class _ModelFuser:
    """A model's weights on an engine, as words and as facts."""

    model: Model
    engine: Any

    @property
    def notes(self) -> list[str]:
        """What was done about a lack of memory."""
        return self.engine.notes

    @property
    def summary(self) -> str:
        """The weights, the precision, the device and why it."""
        engine, model = self.engine, self.model
        return (
            f"model {model.name} ({model.sha256[:8]}); "
            f"{engine.precision} on {engine.device} ({engine.device_reason})"
        )

    @property
    def facts(self) -> dict[str, Any]:
        """The same as plain values."""
        engine = self.engine
        return {
            "model": self.model.name,
            "sha256": self.model.sha256,
            "device": str(engine.device),
            "device_reason": engine.device_reason,
            "precision": engine.precision,
            "tile_size": engine.tile_size,
        }

    def release(self) -> None:
        """Give the device's memory back."""
        self.engine.release()


class PairFuser(_ModelFuser):
    """The exact engine of GIFNet, which takes two planes; more go by pairs in a balanced tree.

    Parameters
    ----------
    model : Model
    backend : Backend
    """

    normalizes = True
    indexes = False

    def __init__(self, model: Model, backend: Backend) -> None:
        from .engine import GIFNetEngine

        self.model = model
        self.engine = GIFNetEngine(cast("GIFNet", model.network), backend)

    def fuse_planes(
        self,
        stacks: Iterable[Stack],
        count: int,
        progress: Progress | None = None,
        statistics: Statistics | None = None,
        wanted: Wanted = Wanted(),  # noqa: B008
    ) -> Iterator[Fused]:
        """Yield the fused plane of each stack."""
        stacks = iter(stacks)
        first = next(stacks, None)
        if first is None:
            return
        stacks = chain([first], stacks)
        if len(first) > 2:
            yield from self._by_pairs(stacks, count, progress or (lambda done, total: None))
            return
        for plane in self.engine.fuse_planes(_pairs(stacks), count, progress, statistics):
            yield Fused(plane)

    def _by_pairs(self, stacks: Iterable[Stack], count: int, report: Progress) -> Iterator[Fused]:
        for done, planes in enumerate(stacks):
            level, behind, fusions = list(planes), 0, len(planes) - 1
            while len(level) > 1:
                pairs = list(zip(level[::2], level[1::2], strict=False))
                start = (done + behind / fusions) / count
                part = share_of(report, start, len(pairs) / fusions / count)
                made = list(self.engine.fuse_planes(pairs, len(pairs), part))
                level = made + level[2 * len(pairs) :]
                behind += len(pairs)
            yield Fused(level[0])

    def gather_statistics(
        self, stacks: Callable[[], Iterable[Stack]], count: int, progress: Progress | None = None
    ) -> Statistics:
        """Return the statistics of several pairs together."""
        return self.engine.gather_statistics(lambda: _pairs(stacks()), count, progress)

    def fuse_part(
        self,
        stack: Stack,
        part: Part,
        statistics: Statistics | None,
        wanted: Wanted = Wanted(),  # noqa: B008
    ) -> Fused:
        """Return a part of what a pair of cuts is fused to."""
        a, b = stack[0], stack[-1]
        return Fused(self.engine.fuse_part(a, b, _region(part), statistics))

    def measure_part(
        self, stack: Stack, part: Part, before: Sequence[Moments] | None = None
    ) -> list[Moments]:
        """Return the moments of a part before block 0, or with those of the plane before block 1."""
        known = None if before is None else tuple(moments.numbers for moments in before)
        return self.engine.measure_part(stack[0], stack[-1], _region(part), known)


def _region(part: Part) -> Any:
    from .engine.tiling import Region

    rows, columns = part
    return Region(rows.start, rows.stop, columns.start, columns.stop)


def _pairs(stacks: Iterable[Stack]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    return ((planes[0], planes[-1]) for planes in stacks)


class BandFuser(_ModelFuser):
    """The engine of the band network, which takes any number of planes.

    Parameters
    ----------
    model : Model
    backend : Backend
    """

    normalizes = False
    indexes = True

    def __init__(self, model: Model, backend: Backend) -> None:
        from .engine.band_engine import BandEngine

        self.model = model
        self.engine = BandEngine(cast("GIFNetBands", model.network), backend)

    def fuse_planes(
        self,
        stacks: Iterable[Stack],
        count: int,
        progress: Progress | None = None,
        statistics: Any = None,
        wanted: Wanted = Wanted(),  # noqa: B008
    ) -> Iterator[Fused]:
        """Yield the fused plane of each stack, and where it comes from if that is wanted."""
        task, indexed = wanted.task, wanted.indexed
        for fused in self.engine.fuse_planes(stacks, count, progress, task, indexed=indexed):
            yield Fused(fused.plane, fused.index)

    def fuse_part(
        self,
        stack: Stack,
        part: Part,
        statistics: Any,
        wanted: Wanted = Wanted(),  # noqa: B008
    ) -> Fused:
        """Return a part of what a stack of cuts is fused to, and where it comes from if that is wanted."""
        made = self.engine.fuse_planes([stack], 1, None, wanted.task, _region(part), wanted.indexed)
        (fused,) = made
        return Fused(fused.plane, fused.index)

    def gather_statistics(self, stacks: Any, count: int, progress: Any = None) -> Statistics:
        """Raise: there are none, see `normalizes`."""
        raise TypeError("the band network has no statistics to gather")


class RuleFuser:
    """A method without a network: one rule for all planes, on the processor.

    Parameters
    ----------
    name : str
        In `BASELINES`.
    rule : callable
        Makes one plane (Y, X) in [0, 1] of several.
    """

    normalizes = False
    indexes = False

    def __init__(self, name: str, rule: Rule) -> None:
        self.name, self.rule = name, rule
        self.notes: list[str] = []

    @property
    def summary(self) -> str:
        """The name of the method."""
        return f"{self.name}, without a network"

    @property
    def facts(self) -> dict[str, Any]:
        """The method, in the places of a model's facts."""
        reason = "the method needs no other"
        return {
            "model": self.name,
            "sha256": None,
            "device": "cpu",
            "device_reason": reason,
            "precision": "float32",
            "tile_size": None,
        }

    def fuse_planes(
        self,
        stacks: Iterable[Stack],
        count: int,
        progress: Progress | None = None,
        statistics: Any = None,
        wanted: Wanted = Wanted(),  # noqa: B008
    ) -> Iterator[Fused]:
        """Yield the fused plane of each stack."""
        report = progress or (lambda done, total: None)
        for done, planes in enumerate(stacks):
            report(done, count)
            yield Fused(np.clip(self.rule(*planes), 0, 1))
        report(count, count)

    def fuse_part(
        self,
        stack: Stack,
        part: Part,
        statistics: Any,
        wanted: Wanted = Wanted(),  # noqa: B008
    ) -> Fused:
        """Return a part of what a stack of cuts is fused to."""
        return Fused(np.clip(self.rule(*stack)[part], 0, 1))

    def gather_statistics(
        self, stacks: Any, count: int, progress: Progress | None = None
    ) -> Statistics:
        """Raise: a rule has none, see `normalizes`."""
        raise TypeError(f"{self.name} has no statistics to gather")

    def release(self) -> None:
        """There is nothing to give back."""


def open_fuser(
    model: str | Path | Model | None = None,
    backend: Backend | None = None,
    progress: Progress | None = None,
) -> Fuser:
    """Make a model or a method without a network ready to run; torch is imported for the former.

    Parameters
    ----------
    model : str, Path or Model, optional
        What `napari_gifnet.load_model` takes, the default model if it is left out, or the name of a
        baseline: "mean", "maximum", "pyramid" or "mertens".
    backend : Backend, optional
        The device, the precision and the memory to use.
    progress : callable, optional
        ``progress(done, total)`` in bytes, while a model is downloaded.

    Returns
    -------
    Fuser
        Ready for `napari_gifnet.fusion.run`.

    Raises
    ------
    OptionError, CheckpointError, DownloadError, DeviceError, MissingDependencyError
        It cannot be used; the message says why.

    Examples
    --------
    >>> open_fuser("maximum").summary
    'maximum, without a network'
    """
    backend = backend or Backend()
    if isinstance(model, str) and model in BASELINES:
        return RuleFuser(model, BASELINES[model])
    loaded = find_model(model, progress)
    return (BandFuser if loaded.architecture == BANDS else PairFuser)(loaded, backend)


def wanted_of(job: Job, fuser: Fuser, with_index: bool = False) -> Wanted:
    """Return what a job asks of a fuser; `with_index` if the result's index is kept."""
    return Wanted(job.task_name, fuser.indexes and (with_index or job.colors_by_place))


def require_index(fuser: Fuser) -> None:
    """Raise OptionError if a fuser does not tell which plane a pixel comes from."""
    if not fuser.indexes:
        raise OptionError(
            f"return_index=True is not to be had of {fuser.facts['model']!r}: expected a model that "
            "weighs planes, model='gifnet-bands'."
        )


def find_model(model: str | Path | Model | None, progress: Progress | None = None) -> Model:
    """Load a model; None is the default one."""
    return load_model(progress=progress) if model is None else load_model(model, progress=progress)


def check_method(model: str | Path | Model | None) -> None:
    """Raise what `open_fuser` would raise of a model or method, without making it ready to run."""
    if not (isinstance(model, str) and model in BASELINES):
        find_model(model)


def gather_normalization(job: Job, fuser: Fuser, progress: Progress | None = None) -> Statistics:
    """Return the statistics that the planes of a job's stack share, from planes spread over it.

    Parameters
    ----------
    job : Job
        Its ranges measured.
    fuser : Fuser
        One that normalizes.
    progress : callable, optional
    """
    indices = sampled_indices(job.leading)

    def stacks() -> Iterator[Stack]:
        for index in indices:
            yield job.lumas(job.planes(index))

    return fuser.gather_statistics(stacks, len(indices), progress)
