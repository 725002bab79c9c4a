"""Whether a pair of layers looks misaligned: found out in the background, remembered for each pair."""

from __future__ import annotations

import weakref
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QTimer, Signal

from napari_gifnet.alignment.check import Misalignment, look
from napari_gifnet.errors import GIFNetError
from napari_gifnet.grids.world_grid import WorldGrid
from napari_gifnet.planes.arrays import is_dask
from napari_gifnet.viewer.layers.align import pictures_of

from .background import BackgroundRun
from .runs import run_in

if TYPE_CHECKING:
    import napari
    from napari.layers import Image

PAUSE_MS = 300
"""Without another pair, before one is looked at."""

MOST_BYTES = 2**28
"""Of values that are not in memory: more are not read before anybody asks for them."""

MOST_PAIRS = 64

_KNOWN: OrderedDict[Any, tuple[weakref.ref, weakref.ref, str]] = OrderedDict()


class PairLook(QObject):
    """Looks at one pair at a time, without holding up the GUI thread.

    Parameters
    ----------
    viewer : napari.Viewer
    parent : QObject

    Signals
    -------
    found()
        `sentence` may know more.
    """

    found = Signal()

    def __init__(self, viewer: napari.Viewer, parent: QObject) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._wanted: tuple[Any, Any] | None = None
        self._run: BackgroundRun | None = None
        self._key: Any = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(PAUSE_MS)
        self._timer.timeout.connect(self._start)

    @property
    def busy(self) -> bool:
        """Whether a pair is being looked at, or about to be."""
        return self._run is not None or self._timer.isActive()

    def sentence(self, fixed: Image, moving: Image) -> str:
        """Return what a look at a pair told; nothing where it lies right, or is yet to be looked at."""
        known = _KNOWN.get(_key(fixed, moving))
        if known is not None and known[0]() is fixed and known[1]() is moving:
            return known[2]
        self._wanted = fixed, moving
        if self._run is None or self._key != _key(fixed, moving):
            self._timer.start()
        return ""

    def stop(self) -> None:
        """Look no more; what goes on is dropped."""
        self._wanted = None
        self._timer.stop()
        run, self._run = self._run, None
        if run is not None:
            run.abandon()

    def _start(self) -> None:
        wanted = self._wanted
        if wanted is None or run_in(self._viewer) is not None:
            return  # after a run the widget asks again
        if self._run is not None:
            self._run.cancel()  # once it has ended, the next one follows
            return
        fixed, moving = wanted
        if fixed is moving or any(layer not in self._viewer.layers for layer in wanted):
            return
        try:
            pictures = pictures_of(fixed, moving, None, self._viewer)
        except GIFNetError:
            remember(fixed, moving, "")
            return
        self._key = _key(fixed, moving)
        for picture in pictures:
            if is_dask(picture.values) and picture.values.nbytes > MOST_BYTES:
                remember(fixed, moving, "")
                return
        run = self._run = BackgroundRun(pictures, _look)
        run.succeeded.connect(self._on_looked)
        run.ended.connect(self._on_ended)
        run.start()

    def _on_looked(self, told: Misalignment) -> None:
        if self._wanted is None:
            return
        fixed, moving = self._wanted
        if _key(fixed, moving) == self._key:
            remember(fixed, moving, told.sentence)
            self.found.emit()

    def _on_ended(self) -> None:
        self._run = None
        if self._wanted is None:
            return
        fixed, moving = self._wanted
        if _key(fixed, moving) != self._key:
            self._timer.start()
        elif _key(fixed, moving) not in _KNOWN:
            remember(fixed, moving, "")  # it failed: the next one would, too


def remember(fixed: Image, moving: Image, sentence: str) -> None:
    """Remember what is to be said of a pair as it lies now."""
    _KNOWN[_key(fixed, moving)] = weakref.ref(fixed), weakref.ref(moving), sentence
    while len(_KNOWN) > MOST_PAIRS:
        _KNOWN.popitem(last=False)


def _key(fixed: Image, moving: Image) -> Any:
    """What the sentence depends on, the slice that is shown excepted: one look is enough."""
    return tuple(
        (id(layer), id(layer.data[0] if layer.multiscale else layer.data), layer.name)
        + (WorldGrid.from_layer(layer).matrix.tobytes(), tuple(map(str, layer.units)))
        for layer in (fixed, moving)
    )


def _look(pictures: Any, progress: Any) -> Misalignment:
    fixed, moving = pictures
    return look(fixed, moving, progress)
