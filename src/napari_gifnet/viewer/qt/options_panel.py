"""The third part of the form: what can be left as it is, in groups that are closed at first."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from .controls import Choice, Number, Tick
from .layout import Group, LabelColumn, Rows
from .texts import (
    DEVICES,
    INTENSITIES,
    INTERPOLATIONS,
    NORMALIZATIONS,
    PRECISIONS,
    WHEN,
    as_choices,
    color_texts,
    grid_texts,
)

LAZY = {"auto": None, "now": False, "lazily": True}

OF_A_PAIR = {"color": "auto", "intensity": "layer", "gamma": False, "grid": "auto", "level": "auto"}
"""Options that are about the layers at hand, and what they are for the next ones."""

_SWAPPED = {"a": "b", "b": "a"}


class OptionsPanel(QWidget):
    """Colour and intensity, grid and planes, computing.

    Parameters
    ----------
    column : LabelColumn
        Of the form.

    Signals
    -------
    changed()
        An option has another value.
    """

    changed = Signal()

    def __init__(self, column: LabelColumn) -> None:
        super().__init__()
        looks, places, computing = Rows(column), Rows(column), Rows(column)
        self._places = places
        self.color = looks.add(
            Choice(as_choices(color_texts("any")), "Whose colour the result gets."), "Colour"
        )
        self.intensity = looks.add(
            Choice(as_choices(INTENSITIES), "Which values become black and white."), "Intensity"
        )
        self.gamma = looks.add(
            Tick("Apply the layers' gamma", "As it is set in the layer controls.")
        )
        self.grid = places.add(
            Choice(
                as_choices(grid_texts("any")),
                "Where the layers have different pixels: whose the result has.",
            ),
            "Result grid",
        )
        self.interpolation = places.add(
            Choice(as_choices(INTERPOLATIONS), "How a layer is brought onto the other's grid."),
            "Interpolation",
        )
        self.level = places.add(
            Number(
                "Of multiscale layers: 0 is the finest. Automatic takes that, but of the current view "
                "the level that napari shows."
            ),
            "Level",
        )
        self.normalization = places.add(
            Choice(
                as_choices(NORMALIZATIONS),
                "What the network measures brightness and contrast over: over the whole stack nothing "
                "flickers as you scroll; each plane by itself is as published.",
            ),
            "Normalization",
        )
        self.when = computing.add(
            Choice(
                as_choices(WHEN),
                "Planes all at once, with progress, or each when you come to it. Automatic: all at "
                "once, unless the layers are not in memory and the result is larger than 1 GB.",
            ),
            "Computed",
        )
        self.device = computing.add(
            Choice(
                as_choices(DEVICES),
                "Where the network runs. Automatic takes a GPU where there is one.",
            ),
            "Device",
        )
        self.precision = computing.add(
            Choice(
                as_choices(PRECISIONS),
                "Automatic takes what is fast on the device and stays within a gray level of float32.",
            ),
            "Precision",
        )
        self.groups = {
            "looks": Group("Colour and intensity", looks, "Whose colours, which values are black."),
            "places": Group("Grid and planes", places, "Where the layers differ, and in stacks."),
            "computing": Group("Computing", computing, "When, on which device, how exactly."),
        }
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        for group in self.groups.values():
            layout.addWidget(group)
        self.controls = {
            "color": self.color,
            "intensity": self.intensity,
            "gamma": self.gamma,
            "grid": self.grid,
            "interpolation": self.interpolation,
            "level": self.level,
            "normalization": self.normalization,
            "when": self.when,
            "device": self.device,
            "precision": self.precision,
        }
        for control in self.controls.values():
            control.changed.connect(lambda _: self.changed.emit())
        self.fit_levels(1)

    @property
    def by_group(self) -> list[tuple[Group, list[QWidget]]]:
        """The groups and their controls, from top to bottom."""
        return [
            (self.groups["looks"], [self.color, self.intensity, self.gamma]),
            (
                self.groups["places"],
                [self.grid, self.interpolation, self.level, self.normalization],
            ),
            (self.groups["computing"], [self.when, self.device, self.precision]),
        ]

    @property
    def chosen(self) -> dict[str, Any]:
        """Options of `LayerOptions` by their names."""
        values = {name: control.value for name, control in self.controls.items() if name != "when"}
        return values | {"lazy": LAZY[self.when.value]}

    @property
    def kept(self) -> dict[str, Any]:
        """Controls that are remembered, by name: all but what is about the layers at hand."""
        controls = {n: control for n, control in self.controls.items() if n not in OF_A_PAIR}
        return controls | {f"open {name}": group for name, group in self.groups.items()}

    def forget_pair(self) -> None:
        """Leave the options of a pair as they are for any: other layers were chosen."""
        for name, value in OF_A_PAIR.items():
            self.controls[name].value = value

    def swap(self) -> None:
        """Follow two images that have changed places."""
        for control in (self.color, self.grid):
            control.value = _SWAPPED.get(control.value, control.value)

    def fit_task(self, task: str) -> None:
        """Say whose colour and grid in the words of a task."""
        self.color.set_texts(color_texts(task))
        self.grid.set_texts(grid_texts(task))

    def fit_levels(self, levels: int) -> None:
        """Offer as many levels as the layers have."""
        self.level.setMaximum(max(levels, 1) - 1)
        self._places.show_row(self.level, levels > 1)
