"""The dock widget "GIFNet Fusion"."""

# magicgui resolves annotations at run time, so they are not postponed here.

import time
from dataclasses import replace
from typing import Any

import napari
from magicgui.widgets import CheckBox, ComboBox, Container, ProgressBar, PushButton
from napari.utils.notifications import show_error
from qtpy.QtCore import QTimer

from napari_gifnet.errors import GIFNetError
from napari_gifnet.planes.tasks import PANSHARPENING, TASKS
from napari_gifnet.viewer.layers.current import Current
from napari_gifnet.viewer.layers.extent import needs_view
from napari_gifnet.viewer.layers.job import LayerJob, LayerOptions, plan_layers
from napari_gifnet.viewer.layers.run import LayerResult

from .background import BackgroundRun, add_result
from .commands import by_role, common_task
from .form import bytes_text, duration_text, scrolled, wrapped, write
from .layer_choice import extents_of, images_of, watch, watch_viewer
from .options_panel import OptionsPanel
from .preview import Preview
from .probe import DeviceProbe, expected_pixels, expected_seconds
from .result_panel import ResultPanel
from .settings import keep, restore

ANY, ENHANCE = "any", "enhance"  # magicgui does not tell of a change to None

EAGER_LIMIT_BYTES = 1e9
"""Size of a result up to which it is computed at once, if nobody says otherwise."""


class FusionWidget(Container):
    """Fuse two image layers, or enhance one, and add the result as a new layer."""

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__(labels=False)
        self.viewer = napari_viewer
        self._run: BackgroundRun | None = None
        self._started = 0.0

        tasks = [(task.title, task.name) for task in TASKS.values()]
        self.task = ComboBox(
            label="Task",
            choices=[("Any pair", ANY), *tasks, ("Enhance one layer", ENHANCE)],
            tooltip="What is fused: sets the names and the defaults of what follows.",
        )
        self.layer_a = ComboBox(
            label="A",
            choices=lambda _: images_of(napari_viewer),
            tooltip="The modality side: infrared, PET, near focus, over-exposed …",
        )
        self.layer_b = ComboBox(
            label="B",
            choices=lambda _: images_of(napari_viewer),
            tooltip="The detail side: visible, MRI, far focus, under-exposed …",
        )
        self.swap = PushButton(text="Swap A and B", tooltip="GIFNet is not symmetric in A and B.")
        self.extent = ComboBox(
            label="Region",
            choices=lambda _: extents_of(napari_viewer),
            tooltip="What is fused of the layers; a Shapes layer stands for the box around its "
            "selected shapes.",
        )
        self.preview = CheckBox(
            text="Preview",
            tooltip="Fuse the current slice as you scroll or change a setting, in a layer that "
            "goes when you untick this.",
        )
        self.more = CheckBox(
            text="More options",
            value=False,
            tooltip="Model, colour, intensity, grids, device.",
        )
        self.advanced = OptionsPanel()
        self.summary = wrapped()
        self.run_button = PushButton(
            text="Fuse", enabled=False, tooltip="Add the result as a new layer."
        )
        self.cancel_button = PushButton(
            text="Cancel", enabled=False, tooltip="Stop; nothing is added."
        )
        buttons = Container(
            widgets=[self.run_button, self.cancel_button], layout="horizontal", labels=False
        )
        self.progress = ProgressBar(min=0, max=1000, value=0, visible=False)
        self.status = wrapped()
        self.after = ResultPanel(napari_viewer)
        self.form = Container(
            widgets=[
                self.task,
                self.layer_a,
                self.layer_b,
                self.swap,
                self.extent,
                self.preview,
                self.more,
            ]
        )
        self.content: Container = Container(
            widgets=[
                self.form,
                self.advanced,
                self.summary,
                buttons,
                self.progress,
                self.status,
                self.after,
            ],
            labels=False,
        )
        parts = (self.form, self.advanced, self.after)
        for part in parts:
            part.margins = (0, 0, 0, 0)
        self.content.native.layout().addStretch()
        self.native.layout().setContentsMargins(0, 0, 0, 0)
        widest = max(part.native.minimumSizeHint().width() for part in parts)
        self.native.layout().addWidget(scrolled(self.content.native, widest))

        self._memory = restore(self._kept)
        self._live = Preview(napari_viewer, self._preview_plan, self._affordable, self.native)
        self._refresh_timer = QTimer(self.native)
        self._refresh_timer.setSingleShot(True)
        self._refresh_timer.setInterval(100)
        self._refresh_timer.timeout.connect(self._refresh_summary)
        self._connect()
        self._on_task()
        self._on_more()
        self._choose_layers()
        self._probe = DeviceProbe(self.native)
        self._probe.found.connect(self._refresh_timer.start)
        self._probe.start(self.advanced.device.value)

    def _connect(self) -> None:
        self.task.changed.connect(self._on_task)
        self.swap.changed.connect(self._on_swap)
        self.more.changed.connect(self._on_more)
        self.advanced.device.changed.connect(lambda name: self._probe.start(name))
        for widget in (self.layer_a, self.layer_b, self.extent, *self.advanced):
            widget.changed.connect(self._on_changed)
        self.preview.changed.connect(self._on_preview)
        self._live.said.connect(lambda text: write(self.status, text))
        self._live.removed.connect(lambda: setattr(self.preview, "value", False))
        self.run_button.changed.connect(self._on_run)
        self.cancel_button.changed.connect(self._on_cancel)
        watch_viewer(self.viewer, self._on_viewer_changed)
        self.viewer.layers.events.inserted.connect(self._on_inserted)
        self.viewer.layers.events.removed.connect(self._on_removed)
        for layer in self.viewer.layers:
            watch(layer, self._on_layer_changed)
        self.after.look.changed.connect(self._on_look)
        self.native.destroyed.connect(self._on_destroyed)

    @property
    def _kept(self) -> dict[str, Any]:
        """Controls that are kept from one session to the next, by name."""
        return {
            "task": self.task,
            **self.advanced.kept,
            "extent": self.extent,
            "baseline": self.after.baseline,
            "more": self.more,
        }

    def reset_choices(self, *_: Any) -> None:
        """Offer the layers that there are; napari calls this when they change.

        A layer that is renamed stays chosen, though its entry in the box is another.
        """
        boxes = (self.layer_a, self.layer_b, self.extent)
        chosen = [box.value for box in boxes]
        self.content.reset_choices()
        for box, value in zip(boxes, chosen, strict=True):
            if value in box.choices and box.value != value:
                box.value = value

    @property
    def enhancing(self) -> bool:
        """Whether one layer is to be enhanced, rather than two fused."""
        return self.task.value == ENHANCE

    def chosen_options(self) -> LayerOptions:
        """What the controls say."""
        return LayerOptions(
            task=self.task.value if self.task.value in TASKS else None,
            extent=self.extent.value,
            memory=self._memory,
            **self.advanced.chosen,
        )

    def plan(self, options: LayerOptions | None = None) -> LayerJob:
        """What a run would do now.

        Parameters
        ----------
        options : LayerOptions, optional
            In place of what the controls say.

        Raises
        ------
        GIFNetError
            It cannot be done; the message says why.
        """
        options = options or self.chosen_options()
        a, b = self.layer_a.value, None if self.enhancing else self.layer_b.value
        if a is None or (b is None and not self.enhancing):
            raise GIFNetError(
                "Open an image layer to enhance."
                if self.enhancing
                else "Open two image layers to fuse, or File > Open Sample > GIFNet."
            )
        if a == b:  # napari hands out proxies, a new one each time
            raise GIFNetError(
                f"A and B are both {a.name!r}: choose two layers, or the task to enhance one."
            )
        layers, with_view = (a,) if b is None else (a, b), needs_view(options.extent)
        current = Current.of(self.viewer, *layers, with_view=with_view)
        plan = plan_layers(a, b, options, current=current)
        if options.lazy is None and plan.lazy and plan.bytes <= EAGER_LIMIT_BYTES:
            return replace(plan, lazy=False, options=replace(plan.options, lazy=False))
        return plan

    def _preview_plan(self) -> LayerJob:
        options = self.chosen_options()
        extent: Any = options.extent
        if options.task == PANSHARPENING.name:
            pass  # its bands belong together
        elif extent in ("all", "slice"):
            extent = "slice"
        else:
            extent = ("slice", extent)
        return self.plan(replace(options, extent=extent, lazy=False))

    def _affordable(self) -> float:
        return expected_pixels(1.0, self._probe.name)

    def _on_layer_changed(self, event: Any) -> None:
        if event.source in (self.layer_a.value, self.layer_b.value, self.extent.value):
            self._on_changed(None)

    def _on_inserted(self, event: Any) -> None:
        watch(event.value, self._on_layer_changed)
        QTimer.singleShot(0, self._choose_layers)

    def _on_removed(self, event: Any) -> None:
        if event.value == self.after.layer:
            self.after.forget()
            write(self.status, "")
        watch(event.value, self._on_layer_changed, on=False)
        self._refresh_timer.start()

    def _on_viewer_changed(self, _: Any) -> None:
        self._refresh_timer.start()

    def _on_changed(self, _: Any) -> None:
        self._on_viewer_changed(None)
        self._live.refresh()

    def _choose_layers(self) -> None:
        """Where the boxes show one layer twice, choose the pair that was opened last."""
        sources = [
            layer
            for layer in images_of(self.viewer)
            if "sources" not in layer.metadata.get("napari_gifnet", {})
            and "inputs" not in layer.metadata.get("napari_gifnet", {})
        ]
        same = self.layer_a.value == self.layer_b.value
        if self._run is None and len(sources) >= 2 and same:
            modality, detail = by_role(*reversed(sources[-2:]))
            self.layer_a.reset_choices()
            self.layer_b.reset_choices()
            self.layer_a.value, self.layer_b.value = modality, detail
            task = common_task(modality, detail)
            if task in TASKS:
                self.task.value = task
            if not self.preview.value:
                write(self.status, "")  # it was about others
        self._refresh_timer.start()

    def _on_task(self) -> None:
        task = TASKS.get(self.task.value)
        self.layer_a.label = task.a if task else "Image" if self.enhancing else "A"
        self.layer_b.label = task.b if task else "B"
        self.layer_b.visible = self.swap.visible = not self.enhancing
        self.run_button.text = "Enhance" if self.enhancing else "Fuse"
        self._on_changed(None)

    def _on_swap(self) -> None:
        self.layer_a.value, self.layer_b.value = self.layer_b.value, self.layer_a.value

    def _on_more(self) -> None:
        self.advanced.visible = self.more.value
        self.advanced.fit()

    def _refresh_summary(self) -> None:
        """Say, before a run, what it would do."""
        if self._run is not None:
            return
        self._fit_levels()
        keep(self._kept)
        try:
            plan = self.plan()
        except GIFNetError as error:
            write(self.summary, str(error))
            self.run_button.enabled = False
            return
        lines = [plan.summary, self._probe.sentence]
        seconds = expected_seconds(plan.pixels, self._probe.name)
        size = f"the result takes {bytes_text(plan.bytes)}."
        lines.append(
            size[0].upper() + size[1:]
            if seconds is None
            else f"About {duration_text(seconds)}; {size}"
        )
        write(self.summary, "\n".join(line for line in lines if line))
        self.run_button.enabled = True

    def _fit_levels(self) -> None:
        """Offer the levels that the layers have."""
        layers = [self.layer_a.value, None if self.enhancing else self.layer_b.value]
        levels = [len(layer.data) for layer in layers if layer is not None and layer.multiscale]
        self.advanced.fit(levels=max(levels, default=1))

    def _on_preview(self, on: bool) -> None:
        if on:
            self._live.start()
        else:
            self._live.stop()
            write(self.status, "")

    def _on_look(self, look: str) -> None:
        if look != "layers":
            self.preview.value = False  # it would lie between what is compared

    def _on_run(self) -> None:
        if self._run is not None:
            return
        try:
            plan = self.plan()
        except GIFNetError as error:
            show_error(str(error))
            return
        run = self._run = BackgroundRun(plan)
        run.progressed.connect(self._on_progress)
        run.succeeded.connect(self._on_result)
        run.failed.connect(self._on_failed)
        run.ended.connect(self._on_ended)
        self.run_button.enabled, self.cancel_button.enabled = False, True
        self.progress.value, self.progress.visible = 0, True
        write(self.status, "Loading the model …")
        self._started = time.monotonic()
        run.start()

    def _on_cancel(self) -> None:
        if self._run is not None:
            self._run.cancel()
            write(self.status, "Cancelling …")

    def _on_progress(self, done: int, total: int) -> None:
        self.progress.value = round(1000 * done / max(total, 1))
        spent = time.monotonic() - self._started
        if done and spent > 1 and self.cancel_button.enabled:
            write(self.status, f"About {duration_text(spent / done * (total - done))} left")

    def _on_result(self, result: LayerResult) -> None:
        self.preview.value = False  # what it showed is there now
        self.after.look.value = "layers"
        layer = add_result(self.viewer, result)
        notes = result.kwargs["metadata"]["napari_gifnet"].get("notes", [])
        spent = time.monotonic() - self._started
        write(
            self.status, "\n".join([f"Added {layer.name!r} after {duration_text(spent)}.", *notes])
        )
        if self._run is not None:
            self.after.take(layer, self._run.plan)

    def _on_failed(self, sentence: str) -> None:
        write(self.status, sentence)
        show_error(sentence)

    def _on_ended(self) -> None:
        self._run = None
        self.run_button.enabled, self.cancel_button.enabled = True, False
        self.progress.visible = False
        if self.status.value == "Cancelling …":
            write(self.status, "Cancelled; nothing was added.")

    def _on_destroyed(self) -> None:
        watch_viewer(self.viewer, self._on_viewer_changed, on=False)
        self.viewer.layers.events.inserted.disconnect(self._on_inserted)
        self.viewer.layers.events.removed.disconnect(self._on_removed)
        for layer in self.viewer.layers:
            watch(layer, self._on_layer_changed, on=False)
        self._live.disconnect_from_viewer()
        if self._run is not None:
            self._run.abandon()
