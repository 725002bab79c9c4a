"""From what the controls say to a job: for the run, and for the preview."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import napari

from napari_gifnet.checkpoints import GIFNET
from napari_gifnet.errors import GIFNetError
from napari_gifnet.planes.tasks import PANSHARPENING, TASKS
from napari_gifnet.viewer.layers.current import Current
from napari_gifnet.viewer.layers.extent import needs_view
from napari_gifnet.viewer.layers.job import LayerJob, LayerOptions, plan_layers, plan_stack
from napari_gifnet.viewer.layers.levels import aligned, measured_coarsely

from .probe import architecture_of
from .texts import STACKS

if TYPE_CHECKING:
    from .layers_panel import LayersPanel
    from .model_panel import ModelPanel
    from .options_panel import OptionsPanel

EAGER_LIMIT_BYTES = 1e9
"""Size of a result up to which it is computed at once, if nobody says otherwise."""


class Planner:
    """Plans what the controls ask for.

    Parameters
    ----------
    viewer : napari.Viewer
    layers : LayersPanel
    model : ModelPanel
    options : OptionsPanel
    memory : float, optional
        Megabytes, from napari's plugin settings.
    """

    def __init__(
        self,
        viewer: napari.Viewer,
        layers: LayersPanel,
        model: ModelPanel,
        options: OptionsPanel,
        memory: float | None,
    ) -> None:
        self._viewer, self._layers, self._model, self._options = viewer, layers, model, options
        self._memory = memory

    def options(self) -> LayerOptions:
        """What the controls say."""
        task = self._layers.task.value
        task = STACKS.get(task, task)
        return LayerOptions(
            task=task if task in TASKS else None,
            model=self._model.chosen,
            extent=self._layers.extent.value,
            memory=self._memory,
            **self._stack_options(),
            **self._options.chosen,
        )

    def _stack_options(self) -> dict[str, Any]:
        panel = self._layers
        if not panel.stacks:
            return {}
        return {"axis": panel.stack_axis, "return_index": panel.wants_height}

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
        options = options or self.options()
        chosen = self._checked_layers()
        if options.return_index and architecture_of(self._model.chosen) == GIFNET:
            raise GIFNetError(
                f"{self._model.chosen!r} gives no height map: choose gifnet-bands, or untick it."
            )
        with_view = needs_view(options.extent)
        current = Current.of(self._viewer, *chosen, with_view=with_view)
        if self._layers.stacks:
            plan = plan_stack(chosen, options, current=current)
        else:
            b = chosen[1] if len(chosen) > 1 else None
            plan = plan_layers(chosen[0], b, options, current=current)
        if options.lazy is None and plan.lazy and plan.bytes <= EAGER_LIMIT_BYTES:
            return replace(plan, lazy=False, options=replace(plan.options, lazy=False))
        return plan

    def preview_plan(self) -> LayerJob:
        """The same for the slice that is looked at, of multiscale layers for what is in view.

        Raises
        ------
        GIFNetError
            As `plan` does.
        """
        options, chosen = self.options(), self._layers.layers
        parts: list[Any] = [] if options.extent in ("all", "slice") else [options.extent]
        if options.task != PANSHARPENING.name:  # whose bands belong together
            parts.insert(0, "slice")
        if slides := any(layer.multiscale for layer in chosen):
            parts += [] if "view" in parts else ["view"]
            options = replace(options, level="auto")
        extent: Any = parts[0] if len(parts) == 1 else tuple(parts) or "all"
        plan = self.plan(replace(options, extent=extent, lazy=False, return_index=False))
        if not slides:
            return plan
        plan = plan.on(plan.grid, aligned(plan.region, plan.axes))
        return replace(plan, job=measured_coarsely(plan.job, chosen))

    def _checked_layers(self) -> list[Any]:
        chosen, panel = self._layers.layers, self._layers
        if panel.enhances:
            if not chosen:
                raise GIFNetError("Open an image layer to enhance.")
        elif panel.stacks:
            if not chosen:
                raise GIFNetError("Tick the layers that are the planes.")
        elif len(chosen) < 2:
            raise GIFNetError("Open two image layers to fuse, or File > Open Sample > GIFNet.")
        elif chosen[0] is chosen[1]:
            raise GIFNetError(
                f"Both images are {chosen[0].name!r}: choose two layers, or the task to enhance one."
            )
        return chosen
