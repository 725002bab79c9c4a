"""The statistics of stacks, gathered once for layers and their options, and kept."""

from __future__ import annotations

import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from napari_gifnet.fuser import Fuser
from napari_gifnet.fusers import gather_normalization
from napari_gifnet.progress import Progress

if TYPE_CHECKING:
    from napari_gifnet.engine import Statistics

    from .job import LayerJob

MOST = 8
"""Pairs of layers and their options that statistics are kept of: some numbers each."""

_LOCK = threading.Lock()
_KEPT: OrderedDict[Any, tuple[tuple[Callable[[], Any], ...], Statistics]] = OrderedDict()


def kept_statistics(plan: LayerJob, fuser: Fuser) -> Statistics | None:
    """Return the statistics of a plan's stack if they were gathered before, else None."""
    with _LOCK:
        references, statistics = _KEPT.get(_key(plan, fuser), ((), None))
        gone = any(reference() is None for reference in references)
        return None if gone else statistics


def gather_and_keep(plan: LayerJob, fuser: Fuser, progress: Progress | None = None) -> Statistics:
    """Gather the statistics of a plan's stack, its ranges measured, and keep them."""
    statistics = gather_normalization(plan.stack, fuser, progress)
    references = tuple(_reference(source.owner) for source in plan.sources)
    with _LOCK:
        _KEPT[_key(plan, fuser)] = references, statistics
        while len(_KEPT) > MOST:
            _KEPT.popitem(last=False)
    return statistics


def forget_statistics() -> None:
    """Forget all: the values of a layer have changed in their place."""
    with _LOCK:
        _KEPT.clear()


def _key(plan: LayerJob, fuser: Fuser) -> Any:
    """What the statistics depend on: the values, where they lie, how they are seen, the network."""
    facts = fuser.facts
    return (
        tuple(
            (id(source.owner), source.grid.matrix.tobytes(), image.range, _looks(image.appearance))
            for source, image in zip(plan.sources, plan.stack.inputs, strict=True)
        ),
        (plan.stack_grid.shape, plan.stack_grid.matrix.tobytes(), plan.axes, plan.order),
        (facts["sha256"], facts["device"], facts["precision"]),
    )


def _reference(owner: Any) -> Callable[[], Any]:
    """Return what gives an object as long as it is there, without keeping it if that can be helped."""
    try:
        return weakref.ref(owner)
    except TypeError:
        return lambda: owner


def _looks(appearance: Any) -> Any:
    if appearance is None:
        return None
    colors = None if appearance.colors is None else appearance.colors.tobytes()
    return appearance.gamma, colors
