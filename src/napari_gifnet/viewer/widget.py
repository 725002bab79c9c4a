"""The dock widget "GIFNet Fusion"."""

# magicgui resolves annotations at run time, so they are not postponed here.

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import napari
from magicgui.widgets import (
    CheckBox,
    ComboBox,
    Container,
    FileEdit,
    FloatSlider,
    Label,
    ProgressBar,
    PushButton,
    SpinBox,
)
from napari.qt.threading import FunctionWorker
from napari.utils.notifications import show_error, show_info
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QApplication, QFrame, QScrollArea, QSizePolicy, QWidget

from napari_gifnet.baselines import BASELINES
from napari_gifnet.errors import GIFNetError
from napari_gifnet.models import DEFAULT_MODEL, list_models
from napari_gifnet.pictures.tasks import PANSHARPENING, TASKS

from .background import BackgroundRun, add_result, describe
from .commands import common_task
from .comparison import as_html, as_text, compare
from .extents import needs_view
from .layers import LayerOptions, LayerPlan, LayerResult, plan_layers, visible_box
from .preview import Preview
from .probe import DeviceProbe, expected_pixels, expected_seconds
from .provenance import as_command, as_python
from .remembered import recall, remember
from .wipe import Wipe

ENHANCE = "enhance"
FROM_FILE = "from a file …"

COLORS = {
    "Automatic": "auto",
    "Of A": "a",
    "Of B": "b",
    "Gray": "gray",
    "As displayed (colormaps)": "displayed",
}
INTENSITIES = {
    "Contrast limits": "layer",
    "Full range of the data type": "dtype",
    "Minimum to maximum": "minmax",
    "Percentiles (0.1 to 99.9)": "percentile",
}
GRIDS = {"Automatic": "auto", "Of A": "a", "Of B": "b", "The finer one": "finer"}
EXTENTS = {"Whole layers": "all", "Current slice": "slice", "Current view": "view"}
INTERPOLATIONS = {"Linear": "linear", "Cubic": "cubic"}
STATISTICS = {"Of the whole stack": "stack", "Of each plane": "plane"}
COMPUTING = {"Automatic": "auto", "All at once": "now", "Each as it is looked at": "lazily"}
LOOKS = {
    "The layers as they are": "layers",
    "Side by side": "grid",
    "Wipe between A and the result": "a",
    "Wipe between B and the result": "b",
}
PREFERRED = ("model", "model_file", "device", "precision")
"""Controls that napari's plugin settings know, too."""

ROOM = 1e9
"""Bytes of a result up to which it is computed at once, if nobody says otherwise."""


class FusionWidget(Container):
    """Fuse two image layers, or enhance one, and add the result as a new layer."""

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__(labels=False)
        self.viewer = napari_viewer
        self._run: BackgroundRun | None = None
        self._started = 0.0
        self._result_layer: Any = None
        self._result_plan: LayerPlan | None = None
        self._table = ""

        self.task = ComboBox(
            label="Task",
            choices=[("Any pair", None)]
            + [(task.title, task.name) for task in TASKS.values()]
            + [("Enhance one layer", ENHANCE)],
            tooltip="What is fused: sets the names and the defaults of what follows.",
        )
        self.layer_a = ComboBox(
            label="A",
            choices=self._images,
            tooltip="The modality side: infrared, PET, near focus, over-exposed …",
        )
        self.layer_b = ComboBox(
            label="B",
            choices=self._images,
            tooltip="The detail side: visible, MRI, far focus, under-exposed …",
        )
        self.swap = PushButton(text="Swap A and B", tooltip="GIFNet is not symmetric in A and B.")
        self.extent = ComboBox(
            label="Region",
            choices=self._extents,
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
        self.model = ComboBox(
            label="Model",
            choices=[info.name for info in list_models()] + [FROM_FILE],
            value=DEFAULT_MODEL,
            tooltip="\n".join(f"{i.name}: {i.summary}" for i in list_models()),
        )
        self.model_file = FileEdit(
            label="Checkpoint",
            filter="Checkpoints (*.safetensors *.pt *.pth *.model)",
            tooltip="A GIFNet checkpoint: safetensors, or a state dict of PyTorch.",
        )
        self.color = _choice("Colour", COLORS, "Whose colour the result gets.")
        self.intensity = _choice("Intensity", INTENSITIES, "How values become black to white.")
        self.grid = _choice(
            "Grid", GRIDS, "Where the layers' grids differ: the one that the result is on."
        )
        self.interpolation = _choice(
            "Interpolation", INTERPOLATIONS, "How a layer is brought onto the other's grid."
        )
        self.gamma = CheckBox(
            text="Apply the layers' gamma", tooltip="As set in the layer controls."
        )
        self.level = SpinBox(
            label="Level",
            min=0,
            max=0,
            tooltip="Of multiscale layers: 0 is the finest.",
        )
        self.statistics = _choice(
            "Statistics",
            STATISTICS,
            "What the network normalises by; that of the whole stack keeps what stands still from "
            "flickering, that of each plane is as published.",
        )
        self.computing = _choice(
            "Compute",
            COMPUTING,
            "Planes all at once, with progress, or each when you come to it; automatic: all at "
            "once, unless the layers are not in memory and the result is larger than 1 GB.",
        )
        self.device = ComboBox(
            label="Device",
            choices=["auto", "cpu", "cuda", "mps", "xpu"],
            tooltip="Where the network runs; auto takes a GPU where there is one.",
        )
        self.precision = ComboBox(
            label="Precision",
            choices=["auto", "float32", "bfloat16", "float16"],
            tooltip="auto: what is fast on the device and stays within a gray level of float32.",
        )
        self.advanced = Container(
            widgets=[
                self.model,
                self.model_file,
                self.color,
                self.intensity,
                self.gamma,
                self.grid,
                self.interpolation,
                self.level,
                self.statistics,
                self.computing,
                self.device,
                self.precision,
            ],
            visible=False,
        )
        self.summary = _text()
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
        self.status = _text()
        self.copy_python = PushButton(
            text="Copy as Python", tooltip="Code that makes the result again."
        )
        self.copy_command = PushButton(
            text="Copy as command", tooltip="The command line that makes the result again."
        )
        copies = Container(
            widgets=[self.copy_python, self.copy_command], layout="horizontal", labels=False
        )
        self.look = _choice("Show", LOOKS, "How to look at the result and what it was made of.")
        self.line = FloatSlider(
            label="Line",
            min=0,
            max=1,
            value=0.5,
            visible=False,
            tooltip="Left of it the source as the network saw it, right of it the result.",
        )
        self.baseline = ComboBox(
            label="Compare with",
            choices=list(BASELINES),
            value="laplacian",
            tooltip="Fuse without a network, and measure both results.",
        )
        self.compare_button = PushButton(
            text="Compare", tooltip="Metrics of the result beside those of a simple method."
        )
        self.table = _text()
        self.copy_table = PushButton(
            text="Copy table", visible=False, tooltip="Copy the metrics, for a spreadsheet."
        )
        self.after = Container(
            widgets=[
                copies,
                self.look,
                self.line,
                self.baseline,
                self.compare_button,
                self.table,
                self.copy_table,
            ],
            visible=False,
        )
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
        for part in (self.form, self.advanced, self.after):
            part.margins = (0, 0, 0, 0)
        self.content.native.layout().addStretch()
        self.native.layout().setContentsMargins(0, 0, 0, 0)
        parts = (self.form.native, self.advanced.native, self.after.native)
        widest = max(part.minimumSizeHint().width() for part in parts)
        self.native.layout().addWidget(_scrolled(self.content.native, widest))

        self._memory: float | None = None
        self._restore()
        self._live = Preview(napari_viewer, self._preview_plan, self._affordable, self.native)
        self._wipe: Wipe | None = None
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
        self._probe.start("auto")

    def _connect(self) -> None:
        self.task.changed.connect(self._on_task)
        self.swap.changed.connect(self._on_swap)
        self.more.changed.connect(self._on_more)
        self.model.changed.connect(self._on_more)
        self.device.changed.connect(lambda name: self._probe.start(name))
        for widget in (self.layer_a, self.layer_b, self.extent, *self.advanced):
            widget.changed.connect(self._on_changed)
        self.preview.changed.connect(self._on_preview)
        self._live.said.connect(lambda text: _write(self.status, text))
        self._live.removed.connect(lambda: setattr(self.preview, "value", False))
        self.run_button.changed.connect(self._on_run)
        self.cancel_button.changed.connect(self._on_cancel)
        self.copy_python.changed.connect(lambda: self._copy(as_python))
        self.copy_command.changed.connect(lambda: self._copy(as_command))
        self.look.changed.connect(self._on_look)
        self.line.changed.connect(self._on_line)
        self.compare_button.changed.connect(self._on_compare)
        self.copy_table.changed.connect(lambda: QApplication.clipboard().setText(self._table))
        self.viewer.layers.events.inserted.connect(self._on_inserted)
        self.viewer.layers.events.removed.connect(self._on_removed)
        self.native.destroyed.connect(self._on_destroyed)

    def _images(self, _: Any) -> list[napari.layers.Image]:
        """Layers to choose from: all images but previews."""
        return [
            layer
            for layer in self.viewer.layers
            if isinstance(layer, napari.layers.Image)
            and "preview" not in layer.metadata.get("napari_gifnet", {})
        ]

    def _extents(self, _: Any) -> list[tuple[str, Any]]:
        shapes = [layer for layer in self.viewer.layers if isinstance(layer, napari.layers.Shapes)]
        return [*EXTENTS.items(), *((f"Around {layer.name}", layer) for layer in shapes)]

    def _restore(self) -> None:
        """Start as the widget was left; what napari's plugin settings say goes first if it is new."""
        last, preferences = recall(), _preferences()
        self._memory = preferences.pop("memory", None) or None
        same = last.get("preferences") == preferences
        values = {**last.get("controls", {}), **({} if same else preferences)}
        if values.get("model") == FROM_FILE and not Path(values.get("model_file", "")).is_file():
            del values["model"]
        for name in ("task", *self._remembered):
            try:
                if name in values:
                    getattr(self, name).value = values[name]
            except (ValueError, TypeError):
                continue  # a task or model that there is no more

    @property
    def _remembered(self) -> dict[str, Any]:
        """Controls that are kept from one session to the next, and their values as JSON has them."""
        names = ("color", "intensity", "gamma", "grid", "interpolation", "statistics", "computing")
        values = {
            name: getattr(self, name).value for name in (*names, *PREFERRED, "baseline", "more")
        }
        if isinstance(self.extent.value, str):
            values["extent"] = self.extent.value
        return values | {"model_file": str(values["model_file"])}

    def _remember(self) -> None:
        preferences = _preferences()
        preferences.pop("memory", None)
        remember(
            {"controls": {"task": self.task.value, **self._remembered}, "preferences": preferences}
        )

    def reset_choices(self, *_: Any) -> None:
        """Offer the layers that there are; napari calls this when they change."""
        self.content.reset_choices()

    @property
    def enhancing(self) -> bool:
        """Whether one layer is to be enhanced, rather than two fused."""
        return self.task.value == ENHANCE

    def chosen_options(self) -> LayerOptions:
        """What the controls say."""
        model = self.model.value
        return LayerOptions(
            task=None if self.enhancing else self.task.value,
            model=str(self.model_file.value) if model == FROM_FILE else model,
            color=self.color.value,
            intensity=self.intensity.value,
            grid=self.grid.value,
            extent=self.extent.value,
            interpolation=self.interpolation.value,
            gamma=self.gamma.value,
            level=self.level.value,
            device=self.device.value,
            precision=self.precision.value,
            memory=self._memory,
            statistics=self.statistics.value,
            lazy={"auto": None, "now": False, "lazily": True}[self.computing.value],
        )

    def plan(self, options: LayerOptions | None = None) -> LayerPlan:
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
        view = None
        if needs_view(options.extent):
            view = visible_box(a, self.viewer.dims, *([] if b is None else [b]))
        plan = plan_layers(a, b, options, dims=self.viewer.dims, view=view)
        if options.lazy is None and plan.lazy and plan.bytes <= ROOM:
            return replace(plan, lazy=False, options=replace(plan.options, lazy=False))
        return plan

    def _preview_plan(self) -> LayerPlan:
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

    def _on_inserted(self, event: Any) -> None:
        QTimer.singleShot(0, self._choose_layers)

    def _on_removed(self, event: Any) -> None:
        if event.value == self._result_layer:
            self._forget_result()
        self._refresh_timer.start()

    def _forget_result(self) -> None:
        """The result is gone, and with it what could be done with it."""
        self.look.value = "layers"
        self._result_layer = self._result_plan = None
        self.after.visible = False

    def _on_changed(self, _: Any) -> None:
        self._refresh_timer.start()
        self._live.refresh()

    def _choose_layers(self) -> None:
        """Where the boxes show one layer twice, choose the pair that was opened last."""
        sources = [
            layer
            for layer in self._images(None)
            if "sources" not in layer.metadata.get("napari_gifnet", {})
            and "inputs" not in layer.metadata.get("napari_gifnet", {})
        ]
        same = self.layer_a.value == self.layer_b.value
        if self._run is None and len(sources) >= 2 and same:
            detail, modality = sources[-2:]
            self.layer_a.reset_choices()
            self.layer_b.reset_choices()
            self.layer_a.value, self.layer_b.value = modality, detail
            task = common_task(modality, detail)
            if task in TASKS:
                self.task.value = task
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
        self.model_file.visible = self.more.value and self.model.value == FROM_FILE
        self._fit_levels()

    def _refresh_summary(self) -> None:
        """Say, before a run, what it would do."""
        if self._run is not None:
            return
        self._fit_levels()
        try:
            plan = self.plan()
        except GIFNetError as error:
            _write(self.summary, str(error))
            self.run_button.enabled = False
            return
        lines = [plan.summary, self._probe.sentence]
        seconds = expected_seconds(plan.pixels, self._probe.name)
        size = f"the result takes {_bytes(plan.bytes)}."
        lines.append(
            size.capitalize() if seconds is None else f"About {_duration(seconds)}; {size}"
        )
        _write(self.summary, "\n".join(line for line in lines if line))
        self.run_button.enabled = True

    def _fit_levels(self) -> None:
        """Offer the levels that the layers have."""
        layers = [self.layer_a.value, None if self.enhancing else self.layer_b.value]
        levels = [len(layer.data) for layer in layers if layer is not None and layer.multiscale]
        self.level.max = max(levels, default=1) - 1
        self.level.visible = self.more.value and bool(levels)

    def _on_preview(self, on: bool) -> None:
        if on:
            self._live.start()
        else:
            self._live.stop()
            _write(self.status, "")

    def _on_run(self) -> None:
        if self._run is not None:
            return
        self._remember()
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
        _write(self.status, "Loading the model …")
        self._started = time.monotonic()
        run.start()

    def _on_cancel(self) -> None:
        if self._run is not None:
            self._run.cancel()
            _write(self.status, "Cancelling …")

    def _on_progress(self, done: int, total: int) -> None:
        self.progress.value = round(1000 * done / max(total, 1))
        spent = time.monotonic() - self._started
        if done and spent > 1 and self.cancel_button.enabled:
            _write(self.status, f"About {_duration(spent / done * (total - done))} left")

    def _on_result(self, result: LayerResult) -> None:
        self.preview.value = False  # what it showed is there now
        self.look.value = "layers"
        self._result_layer = add_result(self.viewer, result)
        self._result_plan = self._run.plan if self._run else None
        notes = result.kwargs["metadata"]["napari_gifnet"].get("notes", [])
        spent = time.monotonic() - self._started
        added = f"Added {self._result_layer.name!r} after {_duration(spent)}."
        self.after.visible = True
        _write(self.status, "\n".join([added, *notes]))
        self.table.value, self.copy_table.visible = "", False
        fused_two = self._result_plan is not None and not self._result_plan.enhances
        self.compare_button.enabled = self.baseline.enabled = fused_two

    def _on_failed(self, sentence: str) -> None:
        _write(self.status, sentence)
        show_error(sentence)

    def _on_ended(self) -> None:
        self._run = None
        self.run_button.enabled, self.cancel_button.enabled = True, False
        self.progress.visible = False
        if self.status.value == "Cancelling …":
            _write(self.status, "Cancelled; nothing was added.")

    def _on_destroyed(self) -> None:
        self.viewer.layers.events.inserted.disconnect(self._on_inserted)
        self.viewer.layers.events.removed.disconnect(self._on_removed)
        self._live.disconnect_from_viewer()
        if self._run is not None:
            self._run.abandon()

    def _copy(self, write: Any) -> None:
        try:
            text = write(self._result_layer.metadata["napari_gifnet"])
        except GIFNetError as error:
            show_error(str(error))
            return
        QApplication.clipboard().setText(text)
        show_info("Copied to the clipboard.")

    def _on_look(self, look: str) -> None:
        self.viewer.canvas.grid.enabled = look == "grid"
        if self._wipe is not None:
            self._wipe.remove()
            self._wipe = None
        self.line.visible = look in ("a", "b")
        if look in ("a", "b") and self._result_plan is not None:
            self._wipe = Wipe(
                self.viewer,
                self._result_plan,
                self._ranges,
                look,  # type: ignore[arg-type]
                self.line.value,
            )

    def _on_line(self, position: float) -> None:
        if self._wipe is not None:
            self._wipe.move(position)

    @property
    def _ranges(self) -> list[tuple[float, float]]:
        """What became 0 and 1 of the layers of the result."""
        inputs = self._result_layer.metadata["napari_gifnet"]["inputs"]
        return [(low, high) for low, high in (one["range"] for one in inputs)]

    def _on_compare(self) -> None:
        layer, plan = self._result_layer, self._result_plan
        step = [round(x) for x in layer.world_to_data(self.viewer.dims.point[-layer.ndim :])]
        self.compare_button.enabled = False
        worker = FunctionWorker(compare, plan, layer.data, self._ranges, step, self.baseline.value)
        worker.returned.connect(self._on_compared)
        worker.errored.connect(lambda error: show_error(describe(error)))
        worker.finished.connect(lambda: setattr(self.compare_button, "enabled", True))
        worker.start()

    def _on_compared(self, table: Any) -> None:
        self._table = as_text(table)
        _write(self.table, as_html(table))
        self.copy_table.visible = True


def _preferences() -> dict[str, Any]:
    """What napari's plugin settings say of the widget; nothing before napari 0.9."""
    try:
        from napari.settings import get_plugin_settings

        defaults = get_plugin_settings("napari-gifnet").defaults
    except (ImportError, KeyError, AttributeError):
        return {}
    known = {info.name for info in list_models()}
    model, file = (defaults.model, "") if defaults.model in known else (FROM_FILE, defaults.model)
    return {
        "model_file": file,
        "model": model,
        "device": str(defaults.device),
        "precision": str(defaults.precision),
        "memory": int(getattr(defaults, "memory", 0)),
    }


def _choice(label: str, choices: dict[str, str], tooltip: str) -> ComboBox:
    return ComboBox(label=label, choices=list(choices.items()), tooltip=tooltip)


def _scrolled(content: QWidget, widest: int) -> QScrollArea:
    """Put a widget into an area that scrolls where the window is too low for it."""
    area = QScrollArea()
    area.setWidget(content)
    area.setWidgetResizable(True)
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.setMinimumWidth(widest + area.verticalScrollBar().sizeHint().width() + 48)
    return area


def _text() -> Label:
    label = Label(value="")
    label.native.setWordWrap(True)
    # a long text is to wrap within the dock, not to widen it
    label.native.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
    return label


def _write(label: Label, text: str) -> None:
    """Show a text, and as much of it as it takes: Qt's layouts forget the lines of a wrapped label."""
    label.value = text[:1].upper() + text[1:]
    native = label.native
    native.setMinimumHeight(native.heightForWidth(max(native.width(), 150)) if text else 0)


def _bytes(count: float) -> str:
    for unit in ("kB", "MB"):
        count /= 1000
        if count < 1000:
            return f"{count:.0f} {unit}"
    return f"{count / 1000:.1f} GB"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(seconds, 0.1):.0f} s" if seconds >= 10 else f"{max(seconds, 0.1):.1f} s"
    return f"{seconds / 60:.0f} min"
