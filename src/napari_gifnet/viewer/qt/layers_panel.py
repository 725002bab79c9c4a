"""The first part of the form: the task, the layers, and which part of them is meant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import napari
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_gifnet.planes.tasks import TASKS
from napari_gifnet.viewer.layers.roles import common_task

from .controls import Choice, ManyChoices, Tick
from .layer_choice import (
    SEVERAL,
    axes_of,
    extents_of,
    images_of,
    layer_texts,
    likely_pair,
    sources_of,
)
from .layout import LabelColumn, Rows, button
from .texts import (
    ANY,
    ENHANCE,
    FOCUS_STACK,
    STACKS,
    TASK_TITLES,
    as_choices,
    in_a_sentence,
    roles_of,
    swap_text,
)


class LayersPanel(QWidget):
    """Chooses what is fused.

    Parameters
    ----------
    viewer : napari.Viewer
    column : LabelColumn
        Of the form.

    Signals
    -------
    changed()
        Something else is to be fused.
    task_changed(task)
    swapped()
        The two images have changed places.
    pair_changed()
        Other layers were chosen.
    """

    changed = Signal()
    task_changed = Signal(str)
    swapped = Signal()
    pair_changed = Signal()

    def __init__(self, viewer: napari.Viewer, column: LabelColumn) -> None:
        super().__init__()
        self._viewer = viewer
        self._pair: set[Any] = set()
        self.rows = Rows(column)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.rows)
        add = self.rows.add
        self.task = add(
            Choice(
                as_choices(TASK_TITLES),
                "What is fused: it names the images and sets what “Automatic” means.",
            ),
            "Task",
        )
        self.layer_a = add(Choice(), "Image A")
        self.layer_b = add(Choice(), "Image B")
        self.swap = add(
            button("", "Exchange the two: the network does not treat them alike.", self._on_swap)
        )
        self.axis = add(
            Choice(
                tooltip="Where the planes of the stack lie: along an axis of one layer, or each in a "
                "layer of its own."
            ),
            "Planes",
        )
        self.several = add(ManyChoices("Tick the layers that are the planes."), "Layers")
        self.extent = add(
            Choice(
                tooltip="Which part of the layers is fused; a Shapes layer stands for the box around "
                "its selected shapes."
            ),
            "Region",
        )
        self.height = add(
            Tick(
                "Also a height map",
                "A second layer: where along the axis each pixel is sharpest, in the axis' units.",
            )
        )
        self.reset_choices()
        self._on_task()
        self.task.changed.connect(self._on_task)
        self.layer_a.changed.connect(self._on_layers)
        self.layer_b.changed.connect(self._on_layers)
        self.axis.changed.connect(self._on_axis)
        self.several.changed.connect(self._on_layers)
        for control in (self.extent, self.height):
            control.changed.connect(lambda _: self.changed.emit())

    @property
    def controls(self) -> list[QWidget]:
        """From top to bottom."""
        return [
            self.task,
            self.layer_a,
            self.layer_b,
            self.swap,
            self.axis,
            self.several,
            self.extent,
            self.height,
        ]

    @property
    def enhances(self) -> bool:
        """Whether one layer is to be enhanced, rather than several fused."""
        return bool(self.task.value == ENHANCE)

    @property
    def stacks(self) -> bool:
        """Whether many planes are to become one."""
        return self.task.value in STACKS

    @property
    def layers(self) -> list[Any]:
        """The layers that are chosen, in the order in which they go into the fusion."""
        if self.stacks and self.axis.value == SEVERAL:
            return self.several.value
        chosen = [self.layer_a.value]
        if not (self.enhances or self.stacks):
            chosen.append(self.layer_b.value)
        return [layer for layer in chosen if layer is not None]

    @property
    def stack_axis(self) -> int | None:
        """The axis along which the planes lie; None where each is a layer."""
        return None if self.axis.value == SEVERAL else self.axis.value

    @property
    def wants_height(self) -> bool:
        """Whether a height map is to be made, too."""
        return bool(self.task.value == FOCUS_STACK and self.height.value)

    def reset_choices(self) -> None:
        """Offer the layers that there are; a layer that is renamed stays chosen."""
        images = layer_texts(images_of(self._viewer))
        for box in (self.layer_a, self.layer_b, self.several):
            box.set_choices(images)
        self.extent.set_choices(extents_of(self._viewer))
        self.reset_axes()

    def reset_axes(self) -> None:
        """Offer the axes that the chosen layer has and the viewer does not display."""
        had_none = self.axis.choices == [SEVERAL] and len(self.several.value) < 2
        self.axis.set_choices(axes_of(self._viewer, self.layer_a.value))
        if had_none:
            self.axis.value = self.axis.choices[0]
        self._fit()

    def choose_likely(self) -> bool:
        """Where the boxes show one layer twice, choose the pair that was opened last.

        Returns
        -------
        bool
            Whether other layers were chosen.
        """
        sources = sources_of(self._viewer)
        self._tick_all()
        if len(sources) == 1 and sources[0].ndim > 2:
            stack = {kind: task for task, kind in STACKS.items()}.get(common_task(*sources) or "")
            if stack and self.task.value != stack:
                self.task.value = stack
                return True
        if self.layer_a.value is not self.layer_b.value:
            return False
        found = likely_pair(self._viewer)
        if found is None:
            return False
        modality, detail, task = found
        self.layer_a.value, self.layer_b.value = modality, detail
        if task in TASKS:
            self.task.value = task
        return True

    def _tick_all(self) -> None:
        """Where planes in several layers are asked for and none is ticked, tick all that were opened."""
        if self.stacks and self.axis.value == SEVERAL and not self.several.value:
            self.several.value = sources_of(self._viewer)

    def show_task(self, task: str, layers: Sequence[Any], axis: int | None = None) -> None:
        """Set the task and the layers, as a command or a sample wants them."""
        self.task.value = task
        if task in STACKS and axis is None and len(layers) > 1:
            self.axis.value, self.several.value = SEVERAL, list(layers)
            return
        for box, layer in zip((self.layer_a, self.layer_b), layers, strict=False):
            box.value = layer
        if axis is not None:
            self.axis.value = axis

    def _on_task(self) -> None:
        task = self.task.value
        a, b = roles_of(task)
        single = self.enhances or self.stacks
        self.rows.rename(self.layer_a, "Image" if single else a)
        self.rows.rename(self.layer_b, b)
        self.layer_a.set_tooltip(
            "The layer to sharpen."
            if self.enhances
            else "The layer whose planes are fused."
            if self.stacks
            else f"The {in_a_sentence(a)} layer: the modality side."
            if task != ANY
            else "The modality side: infrared, PET, near focus, over-exposed …"
        )
        self.layer_b.set_tooltip(
            f"The {in_a_sentence(b)} layer: the detail side."
            if task != ANY
            else "The detail side: visible, MRI, far focus, under-exposed …"
        )
        self.swap.setText(swap_text(task))
        self._fit()
        self._tick_all()
        self.task_changed.emit(task)
        self.changed.emit()

    def _fit(self) -> None:
        """Show the controls that apply."""
        pair = not (self.enhances or self.stacks)
        apart = self.stacks and self.axis.value == SEVERAL
        self.rows.show_row(self.layer_a, not apart)
        self.rows.show_row(self.layer_b, pair)
        self.swap.setVisible(pair)
        self.rows.show_row(self.axis, self.stacks)
        self.rows.show_row(self.several, apart)
        self.height.setVisible(self.task.value == FOCUS_STACK)

    def _on_axis(self) -> None:
        self._tick_all()
        self._fit()
        self._on_layers()

    def _on_layers(self) -> None:
        chosen = set(self.layers)
        if chosen != self._pair:
            self._pair = chosen
            self.pair_changed.emit()
        if self.sender() is self.layer_a:
            self.reset_axes()
        self.changed.emit()

    def _on_swap(self) -> None:
        a, b = self.layer_a.value, self.layer_b.value
        if a is None or b is None:
            return
        self.layer_a.set_quietly(b)
        self.layer_b.value = a
        self.reset_axes()
        self.swapped.emit()
