"""The widget's further options: model, colour, intensity, grids, device."""

# magicgui resolves annotations at run time, so they are not postponed here.

from typing import Any

from magicgui.widgets import CheckBox, ComboBox, Container, FileEdit, SpinBox

from napari_gifnet.backend import DEVICES, PRECISIONS
from napari_gifnet.models import DEFAULT_MODEL, list_models

from .form import COLORS, COMPUTING, GRIDS, INTENSITIES, INTERPOLATIONS, NORMALIZATIONS, choice
from .settings import FROM_FILE

LAZY = {"auto": None, "now": False, "lazily": True}


class OptionsPanel(Container):
    """What can be left as it is; hidden until "More options" is ticked."""

    def __init__(self) -> None:
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
        self.color = choice("Colour", COLORS, "Whose colour the result gets.")
        self.intensity = choice("Intensity", INTENSITIES, "How values become black to white.")
        self.grid = choice(
            "Grid", GRIDS, "Where the layers' grids differ: the one that the result is on."
        )
        self.interpolation = choice(
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
        self.normalization = choice(
            "Normalization",
            NORMALIZATIONS,
            "What the network normalises by; that of the whole stack keeps what stands still from "
            "flickering, that of each plane is as published.",
        )
        self.computing = choice(
            "Compute",
            COMPUTING,
            "Planes all at once, with progress, or each when you come to it; automatic: all at "
            "once, unless the layers are not in memory and the result is larger than 1 GB.",
        )
        self.device = ComboBox(
            label="Device",
            choices=list(DEVICES),
            tooltip="Where the network runs; auto takes a GPU where there is one.",
        )
        self.precision = ComboBox(
            label="Precision",
            choices=list(PRECISIONS),
            tooltip="auto: what is fast on the device and stays within a gray level of float32.",
        )
        super().__init__(
            widgets=[
                self.model,
                self.model_file,
                self.color,
                self.intensity,
                self.gamma,
                self.grid,
                self.interpolation,
                self.level,
                self.normalization,
                self.computing,
                self.device,
                self.precision,
            ],
            visible=False,
        )
        self.model.changed.connect(self.fit)

    @property
    def chosen(self) -> dict[str, Any]:
        """Options of `LayerOptions` by their names."""
        model = self.model.value
        names = ("color", "intensity", "gamma", "grid", "interpolation", "level", "normalization")
        return {
            "model": str(self.model_file.value) if model == FROM_FILE else model,
            "device": self.device.value,
            "precision": self.precision.value,
            "lazy": LAZY[self.computing.value],
        } | {name: getattr(self, name).value for name in names}

    @property
    def kept(self) -> dict[str, Any]:
        """Controls that are remembered, by name: all but what depends on the layers at hand."""
        return {
            name: getattr(self, name)
            for name in (
                "model_file",
                "model",
                "color",
                "intensity",
                "gamma",
                "grid",
                "interpolation",
                "normalization",
                "computing",
                "device",
                "precision",
            )
        }

    def fit(self, *_: Any, levels: int | None = None) -> None:
        """Show what applies: a file where one is asked for, levels where the layers have several."""
        if levels is not None:
            self.level.max = max(levels, 1) - 1
        shown = not self.native.isHidden()
        self.model_file.visible = shown and self.model.value == FROM_FILE
        self.level.visible = shown and self.level.max > 0
