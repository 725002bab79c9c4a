"""The dock widget "GIFNet Fusion"."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import napari
from napari.utils.notifications import show_error
from qtpy.QtCore import QEvent, QSize, QTimer
from qtpy.QtWidgets import QSizePolicy, QVBoxLayout, QWidget

from napari_gifnet.errors import GIFNetError

from .align_panel import AlignPanel
from .fit_button import FitButton
from .footer import Footer
from .greeting import Greeting
from .layer_choice import images_of, is_result, watch, watch_viewer
from .layers_panel import LayersPanel
from .layout import Group, LabelColumn, Scroller, Text, column_of
from .links import Links
from .model_panel import ModelPanel
from .options_panel import OptionsPanel
from .planner import Planner
from .preview import PATIENCE_S, Preview, Wanted
from .probe import DeviceProbe, affordable_pixels, expected_seconds
from .result_panel import ResultPanel
from .runs import ViewerRun, bare, cluster_of, run_in, runs, start_run
from .settings import keep, restore
from .texts import ENHANCE, FOCUS_STACK, LABELS, STACKS, as_sentence, bytes_text, duration_text

REFRESH_MS = 100
"""Without a change, before the line before a run is written anew."""

WIDTH = 336
"""Of the dock when it opens, in pixels at 100 %."""


class FusionWidget(QWidget):
    """Fuse image layers, or enhance one, and add the result as a new layer.

    Parameters
    ----------
    napari_viewer : napari.Viewer
    """

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__()
        self.viewer = viewer = bare(napari_viewer)
        self._run: ViewerRun | None = None
        self._links = Links()
        self._column = LabelColumn(LABELS)
        self.layers = LayersPanel(viewer, self._column)
        self.align = AlignPanel(viewer, self.layers, self._column)
        self.model = ModelPanel(self._column)
        self.summary = Text(lines=2)
        self.fit = FitButton(self.layers)
        self.options = OptionsPanel(self._column)
        self.result = ResultPanel(viewer, self._column)
        self.result_group = Group(
            "Result", self.result, "Copy how it was made, look at it, compare it."
        )
        self.greeting = Greeting(viewer, self._on_sample)
        self.form = column_of(
            *(self.layers, self.align, self.model, self.summary, self.fit),
            *(self.options, self.result_group),
        )
        self.footer = Footer()
        self.status = self.footer.status
        content = column_of(self.greeting, self.form)
        content.layout().setContentsMargins(8, 4, 8, 4)
        content.layout().addStretch()
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.setSpacing(2)
        self.scroller = Scroller(content)
        outer.addWidget(self.scroller, 1)
        outer.addWidget(self.footer)
        self.footer.listen_in(self)
        self.result_group.setVisible(False)

        memory = restore(self._kept)
        self.planner = Planner(viewer, self.layers, self.model, self.options, memory)
        self.live = Preview(viewer, self._wanted_preview, self)
        self._refresh_timer = QTimer(self)
        self._refresh_timer.setSingleShot(True)
        self._refresh_timer.setInterval(REFRESH_MS)
        self._refresh_timer.timeout.connect(self._refresh_summary)
        self._choose_timer, self._hidden_timer = QTimer(self), QTimer(self)
        for timer, then in (
            (self._choose_timer, self._choose_layers),
            (self._hidden_timer, self._rest_if_hidden),
        ):
            timer.setSingleShot(True)
            timer.setInterval(0)
            timer.timeout.connect(then)
        self._probe = DeviceProbe(self)
        self._connect()
        self._on_task(self.layers.task.value)
        self._on_layer_list()
        self._choose_layers()
        self._probe.start(self.options.device.value)
        if (running := run_in(viewer)) is not None:
            self._attach(running)
        else:
            self._on_selected()

    def _connect(self) -> None:
        self.layers.changed.connect(self._on_changed)
        self.layers.task_changed.connect(self._on_task)
        self.layers.swapped.connect(self._on_swapped)
        self.layers.pair_changed.connect(self.options.forget_pair)
        self.model.changed.connect(self._on_changed)
        self.model.preview.changed.connect(self._on_preview)
        self.align.told.connect(self._refresh_timer.start)
        self.align.look.changed.connect(self._on_align_look)
        self.options.changed.connect(self._on_changed)
        self.options.device.changed.connect(self._probe.start)
        self._probe.found.connect(self._refresh_timer.start)
        self.live.said.connect(self._on_preview_said)
        self.live.removed.connect(self._on_preview_removed)
        self.result.look.changed.connect(self._on_look)
        self.result.taken.connect(self._on_taken)
        self.footer.run_wanted.connect(self._on_run)
        self.footer.cancel_wanted.connect(self._on_cancel)
        runs().started.connect(self._on_started)
        self._order_focus()
        add, layers = self._links.add, self.viewer.layers
        add(layers.events.inserted, self._on_inserted)
        add(layers.events.removed, self._on_removed)
        add(layers.events.reordered, self._on_layer_list)
        add(layers.events.renamed, self._on_layer_list)
        add(layers.selection.events.active, self._on_selected)
        watch_viewer(self.viewer, self._on_viewer_changed)
        self._links.on_cut(lambda: watch_viewer(self.viewer, self._on_viewer_changed, on=False))
        for layer in layers:
            watch(layer, self._on_layer_changed)
        self._links.on_cut(self._unwatch_layers)
        self._links.on_cut(self.live.disconnect_from_viewer)
        self._links.on_cut(self.result.comparing.disconnect_from_viewer)
        self.destroyed.connect(self._links.cut)

    @property
    def _kept(self) -> dict[str, Any]:
        """Controls that are kept from one session to the next, by name."""
        return {
            "task": self.layers.task,
            "model_file": self.model.model_file,
            "model": self.model.model,
            **self.options.kept,
            "extent": self.layers.extent,
            "open alignment": self.align.group,
            "height": self.layers.height,
            "method": self.result.method,
            "open result": self.result_group,
        }

    def sizeHint(self) -> QSize:
        """Be as wide as the dock is to open, whatever the names of the layers."""
        return QSize(WIDTH, super().sizeHint().height())

    def minimumSizeHint(self) -> QSize:
        """Be no wider than the controls need."""
        return QSize(min(WIDTH, super().minimumSizeHint().width()), 200)

    def event(self, event: QEvent) -> bool:
        """Leave the viewer when the dock is closed, and rest while it is hidden."""
        kind = event.type()
        if kind == QEvent.Type.ParentChange:
            if self.parent() is None:
                self.leave()
            else:  # napari 0.9.0 would keep a dock from being taller than its content
                self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Preferred)
        elif kind == QEvent.Type.Hide and not event.spontaneous():
            self._hidden_timer.start()
        elif kind in (QEvent.Type.Show, QEvent.Type.StyleChange, QEvent.Type.FontChange):
            self._column.fit()
        return super().event(event)

    def leave(self) -> None:
        """Take away what stands in the viewer for a while, and listen to it no more.

        A run goes on: it adds its layer, and a dock that is opened meanwhile shows it.
        """
        self._rest()
        self.align.leave()
        self._links.cut()
        self._run = None
        for timer in (self._refresh_timer, self._choose_timer, self._hidden_timer):
            timer.stop()
        self.deleteLater()

    def _rest(self) -> None:
        """Take away what stands in the viewer for a while."""
        self.model.preview.value = False
        self.align.rest()
        self.result.leave()

    def _rest_if_hidden(self) -> None:
        dock = self.parentWidget()
        if dock is not None and dock.isHidden():
            self._rest()

    def _unwatch_layers(self) -> None:
        for layer in self.viewer.layers:
            watch(layer, self._on_layer_changed, on=False)

    def _order_focus(self) -> None:
        """Let the Tab key go down the form."""
        order = [
            *self.greeting.buttons.values(),
            *self.layers.controls,
            *self.align.controls,
            *self.model.controls,
            self.fit,
        ]
        for group, controls in self.options.by_group:
            order += [group.toggleButton(), *controls]
        order += [self.result_group.toggleButton(), *self.result.controls, *self.footer.buttons]
        for before, after in pairwise(order):
            QWidget.setTabOrder(before, after)

    # What happens in the viewer

    def _on_layer_list(self, event: Any = None) -> None:
        self.layers.reset_choices()
        self.result.follow_name()
        some = bool(images_of(self.viewer))
        self.greeting.setVisible(not some)
        self.form.setVisible(some)
        self._refresh_timer.start()

    def _on_inserted(self, event: Any) -> None:
        watch(event.value, self._on_layer_changed)
        self._on_layer_list()
        self._choose_timer.start()

    def _on_removed(self, event: Any) -> None:
        watch(event.value, self._on_layer_changed, on=False)
        if event.value is self.result.layer:
            self.result.forget()
            self.status.value = ""
        self._on_layer_list()

    def _on_layer_changed(self, event: Any) -> None:
        if event.source in (*self.layers.layers, self.layers.extent.value):
            self._on_changed()

    def _on_viewer_changed(self, event: Any = None) -> None:
        if event is not None and event.type == "order":
            self.layers.reset_axes()
        self._refresh_timer.start()

    def _on_selected(self, event: Any = None) -> None:
        layer = self.viewer.layers.selection.active
        if layer is not None and is_result(layer) and self._run is None:
            self.result.take(layer)

    def _choose_layers(self) -> None:
        if self._run is None and self.layers.choose_likely() and not self.live.on:
            self.status.value = ""  # it was about others
        self._refresh_timer.start()

    def _on_sample(self, task: str, layers: list[Any]) -> None:
        """Show a sample that was opened from the greeting."""
        if len(layers) == 1:
            stack = next((name for name, kind in STACKS.items() if kind == task), FOCUS_STACK)
            self.layers.show_task(stack, layers)

    # What happens in the form

    def _on_changed(self) -> None:
        self._refresh_timer.start()
        self.live.refresh()

    def _on_task(self, task: str) -> None:
        self.model.fit_task(task in STACKS)
        self.options.fit_task(task)
        self.footer.say("Enhance" if task == ENHANCE else "Fuse")

    def _on_swapped(self) -> None:
        self.options.swap()
        self._on_changed()

    def _refresh_summary(self) -> None:
        """Say, before a run, what it would do."""
        if self._run is not None:
            return
        self._fit_levels()
        keep(self._kept)
        try:
            plan = self.planner.plan()
        except GIFNetError as error:
            self.summary.value = as_sentence(str(error))
            self.fit.offer(None)
            self.footer.show_idle(False, str(error))
            self.model.show_times(lambda _: None)
            return
        device = self.options.device.value
        cluster = cluster_of(plan)
        where = f"Runs on the cluster at {cluster}." if cluster else self._probe.sentence
        seconds = None if cluster else expected_seconds(plan, self.model.chosen, device)
        size = f"The result takes {bytes_text(plan.bytes)}."
        time = "" if seconds is None else f"About {duration_text(seconds)}. "
        lines = [self.align.hint(), plan.summary, time + size, where]
        self.summary.value = "\n".join(line for line in lines if line)
        self.fit.offer(plan)
        self.model.show_times(lambda name: expected_seconds(plan, name, device))
        self.footer.show_idle(True)

    def _fit_levels(self) -> None:
        """Offer the levels that the layers have."""
        levels = [len(layer.data) for layer in self.layers.layers if layer.multiscale]
        self.options.fit_levels(max(levels, default=1))

    def _wanted_preview(self) -> Wanted:
        plan = self.planner.preview_plan()
        device = self.options.device.value
        pixels = affordable_pixels(plan, self.model.chosen, device, PATIENCE_S)
        return Wanted(plan, pixels, plan.notes)

    def _on_preview(self, on: bool) -> None:
        if on:
            self.align.rest()
            self.result.leave()  # it would lie over what is compared
            self.live.start()
        else:
            self.live.stop()
            self.status.value = ""

    def _on_preview_said(self, text: str) -> None:
        if self._run is None:
            self.status.value = text

    def _on_preview_removed(self) -> None:
        self.model.preview.value = False

    def _on_look(self, look: str) -> None:
        if look != "layers":
            self.align.rest()
            self.model.preview.value = False  # it would lie between what is compared

    def _on_align_look(self, look: str) -> None:
        if look != "layers":
            self.model.preview.value = False
            self.result.leave()

    def _on_taken(self) -> None:
        self.result_group.setVisible(self.result.layer is not None)

    # Runs

    def _on_run(self) -> None:
        if self._run is not None:
            return
        try:
            plan = self.planner.plan()
        except GIFNetError as error:
            show_error(str(error))
            return
        start_run(self.viewer, plan)

    def _on_started(self, run: ViewerRun) -> None:
        if self._run is None and run.viewer is self.viewer:
            self._attach(run)

    def _attach(self, run: ViewerRun) -> None:
        """Show a run that goes on."""
        self._run = run
        run.progressed.connect(self._on_progress)
        run.ended.connect(self._on_ended)
        self.status.value = run.opening if not run.share else run.title
        self.footer.show_run(run.share, run.cancelled)

    def _on_cancel(self) -> None:
        if self._run is not None:
            self._run.cancel()
            self.status.value = "Cancelling …"
            self.footer.show_run(self._run.share, cancelled=True)

    def _on_progress(self) -> None:
        run = self._run
        if run is None:
            return
        self.footer.show_run(run.share, run.cancelled)
        if (left := run.seconds_left) is not None and not run.cancelled:
            self.status.value = f"About {duration_text(left)} left"

    def _on_ended(self) -> None:
        run, self._run = self._run, None
        if run is None:
            return
        if run.layer is not None:
            self.model.preview.value = False  # what it showed is there now
            if run.layer in self.viewer.layers:
                self.result.take(run.layer)
                self.result_group.value = True
        self.status.value = as_sentence(run.sentence)
        self._refresh_summary()
