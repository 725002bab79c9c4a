"""The part of the form that lays the layers on each other before they are fused."""

from __future__ import annotations

from typing import Any

import napari
from napari.utils.notifications import show_error
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_gifnet.errors import AlignmentError, GIFNetError
from napari_gifnet.planes.tasks import TASKS
from napari_gifnet.viewer.layers.align_job import AlignJob, Outcome, StackAlignJob
from napari_gifnet.viewer.layers.current import Current
from napari_gifnet.viewer.layers.job import LayerJob, LayerOptions, plan_layers
from napari_gifnet.viewer.layers.moves import History, StackAdded, history_of

from .align_files import AlignFiles, beside
from .aligning import AlignRun, keep_outcome, outcome_in, start_align
from .controls import Choice, Share
from .layers_panel import LayersPanel
from .layout import Group, LabelColumn, Rows, Text, button
from .links import Links
from .pair_look import PairLook, remember
from .pair_overlay import PairOverlay
from .runs import ViewerRun, bare, run_in, runs
from .texts import as_choices, roles_of

KINDS = {"shift": "Shift", "rigid": "Rigid", "similarity": "Similarity", "affine": "Affine"}
KINDS_TOLD = (
    "What the moving image may do. Shift: shift. Rigid: turn, too. Similarity: be magnified, too. "
    "Affine: be stretched and sheared, too."
)
LOOKS = {"layers": "The layers as they are", "checkerboard": "Checkerboard", "wipe": "Wipe"}


class AlignPanel(QWidget):
    """Aligns the chosen layers, and takes it back.

    Parameters
    ----------
    viewer : napari.Viewer
    layers : LayersPanel
        Of the same form.
    column : LabelColumn

    Signals
    -------
    told()
        `hint` may say something else.
    """

    told = Signal()

    def __init__(self, viewer: napari.Viewer, layers: LayersPanel, column: LabelColumn) -> None:
        super().__init__()
        self._viewer, self._layers = bare(viewer), layers
        self._run: ViewerRun | None = None
        self._insists = False
        self._overlay: PairOverlay | None = None
        self._for_pairs: str | None = None
        self._links = Links()
        self._pair_look = PairLook(self._viewer, self)
        self._build(column)
        self._connect()
        running = run_in(self._viewer)
        if running is not None:
            self._attach(running)
        self._fit()

    def _build(self, column: LabelColumn) -> None:
        self.rows, self.inner = Rows(column), Rows(column)
        self.kind = Choice(as_choices(KINDS), KINDS_TOLD)
        self.kind.value = "rigid"
        self.kind.setMinimumContentsLength(6)  # the button beside it must have room
        self.align_button = button("Align", "", self._on_align)
        self.rows.add(beside(self.kind, self.align_button), "Align")
        self.said = Text()
        self.undo_button = button("Undo", "", self._on_undo)
        self.anyway_button = button(
            "Move anyway", "Move it although that cannot be trusted.", self._on_anyway
        )
        self.rows.add(self.said)
        self.rows.add(beside(self.undo_button, self.anyway_button))
        self.moves = self.inner.add(
            Choice([("", "a"), ("", "b")], "Which image is moved; the other one stays."), "Moves"
        )
        self.look = self.inner.add(
            Choice(as_choices(LOOKS), "Both images in one picture, to judge by."), "Show"
        )
        self.line = self.inner.add(
            Share(0.5, "Left of it the first image, right of it the second one."), "Line"
        )
        self.files = self.inner.add(AlignFiles(self._viewer, lambda: self.pair, self._say))
        self.group = Group(
            "Alignment", self.inner, "Which image moves, pictures to judge by, transforms in files."
        )
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self.rows)
        layout.addWidget(self.group)
        self.said.setVisible(False)

    def _connect(self) -> None:
        self._layers.task_changed.connect(self._on_task)
        self._layers.changed.connect(self._on_layers)
        self.moves.changed.connect(self._on_moves)
        self.look.changed.connect(self._on_look)
        self.line.changed.connect(self._on_line)
        self._pair_look.found.connect(self.told)
        runs().started.connect(self._attach)
        events = self._viewer.layers.events
        self._links.add(events.removed, self._on_removed)
        self._links.add(self._viewer.layers.selection.events.changed, self._fit)
        self._on_task(self._layers.task.value)

    @property
    def controls(self) -> list[QWidget]:
        """From top to bottom."""
        return [
            *(self.kind, self.align_button, self.undo_button, self.anyway_button),
            *(self.group.toggleButton(), self.moves, self.look, self.line),
            *self.files.controls,
        ]

    @property
    def history(self) -> History:
        """What was aligned in the viewer."""
        return history_of(self._viewer)

    @property
    def pair(self) -> tuple[Any, Any] | None:
        """The layers (fixed, moving), None where there are no two."""
        chosen = self._layers.layers
        if self._layers.enhances or self._layers.stacks or len(set(map(id, chosen))) != 2:
            return None
        a, b = chosen
        return (b, a) if self.moves.value == "a" else (a, b)

    def hint(self) -> str:
        """Say whether the pair looks misaligned; where nobody knows yet, `told` follows."""
        pair = self.pair
        if pair is None:
            return ""
        sentence = self._pair_look.sentence(*pair)
        return f"{sentence.rstrip('.')}: Align?" if sentence else ""

    def rest(self) -> None:
        """Take away what stands in the viewer for a while."""
        self.look.value = "layers"

    def leave(self) -> None:
        """Listen no more; a run goes on, and napari tells what comes of it."""
        self.rest()
        self._pair_look.stop()
        self._links.cut()
        if isinstance(self._run, AlignRun):
            self._run.shown = False
        self._run = None

    # What happens in the form

    def _on_task(self, task: str) -> None:
        a, b = roles_of(task)
        self.moves.set_texts({"a": a, "b": b})
        stacks = self._layers.stacks
        if stacks and self._for_pairs is None:
            self._for_pairs, self.kind.value = self.kind.value, "similarity"
        elif not stacks and self._for_pairs is not None:
            self.kind.value, self._for_pairs = self._for_pairs, None
        self._on_layers()

    @property
    def kind_of_pairs(self) -> str:
        """The kind of transform that is chosen for pairs, which is the one to remember."""
        return str(self.kind.value if self._for_pairs is None else self._for_pairs)

    def _on_layers(self) -> None:
        if self._overlay is not None and set(self._overlay.layers) != set(self.pair or ()):
            self.rest()
        self._fit()

    def _on_moves(self) -> None:
        self._fit()
        self.told.emit()

    def _on_removed(self, event: Any) -> None:
        gone = self.history.drop_removed(self._viewer)
        if gone:
            names = ", ".join(map(repr, gone))
            self._say(Outcome(f"{names} was removed: its alignment is gone with it."))
        self._fit()

    def _say(self, outcome: Outcome) -> None:
        keep_outcome(self._viewer, outcome)
        self._insists = False
        self._fit()

    def _fit(self, event: Any = None) -> None:
        """Show what applies, and what came of the last alignment if it is about these layers."""
        pair, panel = self.pair, self._layers
        stack = panel.layers[0] if panel.stacks and panel.layers else None
        apart = stack is not None and panel.stack_axis is None
        self.setVisible(not panel.enhances)
        self.group.setVisible(not panel.stacks)
        if self._run is not None:
            ready, why = False, "A run goes on: wait, or cancel it."
        elif apart:
            ready, why = (
                False,
                "Planes in layers of their own are aligned two at a time, as a pair.",
            )
        elif panel.stacks:
            ready, why = stack is not None, "Lay the planes on each other, in a new layer."
        else:
            ready = pair is not None
            why = (
                "Choose two layers."
                if pair is None
                else (
                    f"Find where {pair[1].name!r} belongs on {pair[0].name!r}, and move it there: its "
                    "affine is set, its values stay as they are."
                )
            )
        self.align_button.setEnabled(ready)
        self.align_button.setToolTip(why)
        self.kind.setEnabled(self._run is None)
        outcome = self._outcome()
        self.said.value = "" if outcome is None else outcome.sentence
        self.anyway_button.setVisible(outcome is not None and outcome.offer is not None)
        self._fit_undo()
        self.files.fit(busy=self._run is not None)
        self.look.setEnabled(pair is not None)
        self.inner.show_row(self.line, self.look.value == "wipe")

    def _fit_undo(self) -> None:
        steps = self.history.steps
        self.undo_button.setVisible(bool(steps))
        self.undo_button.setEnabled(self._run is None)
        self.undo_button.setText("Undo anyway" if self._insists else "Undo")
        if steps:
            self.undo_button.setToolTip(steps[-1].purpose)

    def _outcome(self) -> Outcome | None:
        """Return what came of the last alignment, if it is about layers that are chosen."""
        outcome = outcome_in(self._viewer)
        if outcome is None:
            return None
        about = [reference() for reference in outcome.layers]
        return outcome if all(layer in self._layers.layers for layer in about) else None

    # Aligning

    def _on_align(self) -> None:
        panel, pair = self._layers, self.pair
        try:
            job: AlignJob | StackAlignJob
            if panel.stacks:
                job = StackAlignJob.of(panel.layers[0], panel.stack_axis or 0, self.kind.value)
            elif pair is not None:
                job = AlignJob.of(*pair, self.kind.value, self._viewer)
            else:
                return
        except GIFNetError as error:
            self._say(Outcome(str(error)))
            show_error(str(error))
            return
        self.rest()
        start_align(self._viewer, job)

    def _attach(self, run: ViewerRun) -> None:
        if run.viewer is not self._viewer or self._run is not None:
            return
        self._run = run
        if isinstance(run, AlignRun):
            run.shown = True
        run.ended.connect(self._on_ended)
        self._pair_look.stop()
        self._fit()

    def _on_ended(self) -> None:
        run, self._run = self._run, None
        self._insists = False
        if isinstance(run, AlignRun):
            outcome, pair = outcome_in(self._viewer), self.pair
            if outcome is not None and pair is not None and not run.cancelled:
                remember(*pair, "")  # it was looked at better
            step = self.history.steps[-1] if self.history.steps else None
            if outcome is not None and outcome.moved and isinstance(step, StackAdded):
                self._layers.layer_a.value = step.added()
        self._fit()
        self.told.emit()

    def _on_undo(self) -> None:
        history = self.history
        moved = history.steps[-1].moved_since(self._viewer) if history.steps else []
        if moved and not self._insists:
            names = ", ".join(map(repr, moved))
            self._say(
                Outcome(
                    f"{names} was moved since it was aligned: nothing was undone. Undo anyway puts it "
                    "back to where it was before the alignment."
                )
            )
            self._insists = True
        else:
            step = history.steps[-1] if history.steps else None
            try:
                self._say(Outcome(history.undo(self._viewer)))
            except AlignmentError as error:
                self._say(Outcome(str(error)))
            if isinstance(step, StackAdded) and step.old() in self._layers.layer_a.choices:
                self._layers.layer_a.value = step.old()
        self._fit()

    def _on_anyway(self) -> None:
        outcome = outcome_in(self._viewer)
        if outcome is None or outcome.offer is None:
            return
        job, found = outcome.offer
        try:
            self._say(job.move_anyway(self._viewer, self.history, found))
        except GIFNetError as error:
            self._say(Outcome(str(error)))

    # Looking

    def _on_look(self, look: str) -> None:
        if self._overlay is not None:
            self._overlay.remove()
            self._overlay = None
        if look != "layers" and self.pair is not None:
            layers = tuple(self._layers.layers)
            self._overlay = PairOverlay(
                self._viewer, layers, self._plan_of_slice, look, self.line.value, self.rest
            )
        self._fit()

    def _on_line(self, position: float) -> None:
        if self._overlay is not None:
            self._overlay.move(position)

    def _plan_of_slice(self) -> LayerJob:
        (a, b), task = self._layers.layers, self._layers.task.value
        options = LayerOptions(task=task if task in TASKS else None, extent="slice", lazy=False)
        return plan_layers(a, b, options, current=Current.of(self._viewer))
