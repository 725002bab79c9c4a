"""Alignments that go on in a viewer, whether a dock is open or not; each moves its own layer."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_info
from qtpy.QtCore import QTimer

from napari_gifnet.errors import GIFNetError
from napari_gifnet.viewer.layers.align_job import AlignJob, Outcome, StackAlignJob
from napari_gifnet.viewer.layers.moves import history_of

from .background import BackgroundRun
from .runs import _RUNS, ViewerRun, bare, start_run
from .texts import duration_text

if TYPE_CHECKING:
    import napari

PATIENCE_MS = 300
"""After Cancel: a thread that imports or reads meanwhile is left to end by itself."""

_OUTCOMES: weakref.WeakKeyDictionary[Any, Outcome] = weakref.WeakKeyDictionary()


class AlignRun(ViewerRun):
    """An alignment in the background that moves a layer, or adds an aligned stack, at its end.

    Parameters
    ----------
    viewer : napari.Viewer
    plan : AlignJob or StackAlignJob

    Attributes
    ----------
    shown : bool
        Whether a dock shows what comes of it; napari tells it else.
    """

    opening = "Aligning …"
    cancelled_sentence = "Cancelled; nothing was moved."

    def __init__(self, viewer: napari.Viewer, plan: AlignJob | StackAlignJob) -> None:
        super().__init__(viewer, plan)
        self.shown = False

    def _background(self, plan: Any) -> BackgroundRun:
        return BackgroundRun(plan, _work, title=f"GIFNet: align {plan.name}")

    @property
    def seconds_left(self) -> float | None:
        """Nobody knows how long a search will take."""
        return None

    def cancel(self) -> None:
        """Stop; nothing is moved."""
        super().cancel()
        QTimer.singleShot(PATIENCE_MS, self._give_up)

    def _give_up(self) -> None:
        if self in _RUNS:
            self._run.abandon()
            self._on_ended()

    def _on_succeeded(self, result: Any) -> None:
        try:
            outcome = self.plan.finish(self.viewer, history_of(self.viewer), result)
        except GIFNetError as error:
            outcome = Outcome(str(error))
        keep_outcome(self.viewer, outcome)
        done = "Aligned" if outcome.moved else "Looked for it"
        self.sentence = f"{done} in {duration_text(self.seconds)}."

    def _on_failed(self, sentence: str) -> None:
        keep_outcome(self.viewer, Outcome(sentence))
        super()._on_failed(sentence)

    def _on_ended(self) -> None:
        super()._on_ended()
        outcome = outcome_in(self.viewer)
        if not self.shown and not self.cancelled and outcome is not None:
            more = " GIFNet Fusion can move it anyway." if outcome.offer else ""
            show_info(outcome.sentence + more)


def start_align(viewer: napari.Viewer, job: AlignJob | StackAlignJob) -> ViewerRun:
    """Align in the background."""
    forget_outcome(viewer)
    return start_run(viewer, job, AlignRun)


def keep_outcome(viewer: napari.Viewer, outcome: Outcome) -> None:
    """Remember what came of the last alignment in a viewer, for a dock that is opened later."""
    _OUTCOMES[bare(viewer)] = outcome


def outcome_in(viewer: napari.Viewer) -> Outcome | None:
    """Return what came of the last alignment in a viewer."""
    return _OUTCOMES.get(bare(viewer))


def forget_outcome(viewer: napari.Viewer) -> None:
    """There is nothing to be said of an alignment any more."""
    _OUTCOMES.pop(bare(viewer), None)


def _work(job: AlignJob | StackAlignJob, progress: Any) -> Any:
    return job.run(progress)
