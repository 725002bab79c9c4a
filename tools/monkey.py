"""Click through the dock at random: ``python tools/monkey.py --minutes 10 --seed 1``.

Every control is set, layers are added, removed, renamed and moved, sliders are moved, the dock is
closed and opened, runs are started and cancelled. What must not happen: an error, a thread or a
layer that is left behind, a run that never ends. Needs a display or Xvfb.
"""

import argparse
import faulthandler
import os
import random
import sys
import tempfile
import threading
import time
import traceback

import numpy as np


class Monkey:
    """Does one random thing after the other in a viewer with the dock.

    Parameters
    ----------
    viewer : napari.Viewer
    seed : int
    model : str
        Path of a checkpoint to choose from, besides the model gifnet-bands.
    """

    def __init__(self, viewer, seed, model=None):
        self.viewer, self.random = viewer, random.Random(seed)
        self.pictures = np.random.default_rng(seed)
        self.model = model
        self.done = []
        self.added = 0
        self.widget = self._open()

    def step(self):
        """Do one thing; it is the last of `done`."""
        acts = [
            *[self.set_a_control] * 10,
            *[self.add_a_layer] * (3 if len(self.viewer.layers) < 7 else 1),
            *[self.remove_a_layer] * (1 if len(self.viewer.layers) < 5 else 4),
            *[self.move_a_slider] * 6,
            *[self.run] * 3,
            *[self.cancel] * 2,
            *[self.align] * 2,
            self.undo,
            self.rename_a_layer,
            self.select_a_layer,
            self.look_at_the_result,
            self.compare,
            self.roll_the_axes,
            self.change_a_layer,
            self.turn_the_grid,
            self.reopen_the_dock,
            self.hide_the_dock,
        ]
        act = self.random.choice(acts)
        self.done.append(act.__name__)
        act()

    def _open(self):
        _, widget = self.viewer.window.add_plugin_dock_widget("napari-gifnet", "GIFNet Fusion")
        return widget

    def _note(self, what):
        self.done[-1] += f" {what}"

    def set_a_control(self):
        """Give a control another value."""
        widget = self.widget
        controls = {
            **{name: getattr(widget.layers, name) for name in ("task", "layer_a", "layer_b")},
            **{name: getattr(widget.layers, name) for name in ("axis", "extent")},
            "several": widget.layers.several,
            "height": widget.layers.height,
            "preview": widget.model.preview,
            **{n: c for n, c in widget.options.controls.items() if n not in ("device", "level")},
            **{f"open {name}": group for name, group in widget.options.groups.items()},
            "method": widget.result.method,
            "kind": widget.align.kind,
            "moves": widget.align.moves,
            "show": widget.align.look,
        }
        name = self.random.choice(list(controls))
        control = controls[name]
        if name == "several":
            value = [each for each in control.choices if self.random.random() < 0.6]
        elif hasattr(control, "choices"):
            if not control.choices:
                return
            value = self.random.choice(control.choices)
        else:
            value = self.random.random() < 0.5
        self._note(f"{name} = {value}")
        control.value = value
        if self.random.random() < 0.1:
            widget.layers.swap.click()
        if self.random.random() < 0.1:
            self._choose_model()

    def _choose_model(self):
        widget = self.widget
        if self.model and self.random.random() < 0.3:
            widget.model.model_file.value = self.model
            widget.model.model.value = "from a file …"
        else:
            widget.model.model.value = "gifnet-bands"

    def add_a_layer(self):
        """Add an image of some kind, or shapes."""
        kind = self.random.choice(["plane", "plane", "stack", "stack", "colour", "small", "shapes"])
        if kind == "shapes" and self.viewer.canvas.grid.enabled:
            kind = "plane"
        self._note(kind)
        self.added += 1
        name = f"{kind} {self.added}" + " long" * self.random.choice([0, 0, 20])
        if kind == "shapes":
            self.viewer.add_shapes([[[4, 4], [4, 20], [20, 20], [20, 4]]], name=name)
            return
        shape = {"stack": (5, 48, 40), "colour": (48, 40, 3), "small": (12, 9)}.get(kind, (48, 40))
        data = self.pictures.random(shape, np.float32)
        scale = [self.random.choice([1, 2])] * (2 if kind == "colour" else len(shape))
        colormap = {} if kind == "colour" else {"colormap": self.random.choice(["gray", "hot"])}
        self.viewer.add_image(data, name=name, rgb=kind == "colour", scale=scale, **colormap)

    def remove_a_layer(self):
        """Remove any layer, one of the dock's own as well."""
        if self.viewer.layers:
            layer = self.random.choice(list(self.viewer.layers))
            self._note(layer.name)
            self.viewer.layers.remove(layer)

    def rename_a_layer(self):
        """Give a layer another name."""
        if self.viewer.layers:
            layer = self.random.choice(list(self.viewer.layers))
            layer.name = f"renamed {self.random.randrange(100)}"

    def select_a_layer(self):
        """Select one layer, or none."""
        layers = list(self.viewer.layers)
        self.viewer.layers.selection = {self.random.choice(layers)} if layers else set()

    def change_a_layer(self):
        """Change what a plan depends on."""
        images = [layer for layer in self.viewer.layers if layer._type_string == "image"]
        if not images:
            return
        layer = self.random.choice(images)
        what = self.random.choice(["limits", "scale", "colormap", "visible"])
        self._note(f"{what} of {layer.name}")
        if what == "limits" and not layer.rgb:
            layer.contrast_limits = (0, 0.5 + self.random.random())
        elif what == "scale":
            layer.scale = [self.random.choice([0.5, 1, 3])] * layer.ndim
        elif what == "colormap" and not layer.rgb:
            layer.colormap = self.random.choice(["gray", "hot", "viridis"])
        else:
            layer.visible = not layer.visible

    def move_a_slider(self):
        """Go to another slice."""
        dims = self.viewer.dims
        for axis in range(dims.ndim - 2):
            low, high, _ = dims.range[axis]
            dims.set_point(axis, self.random.uniform(low, high))

    def roll_the_axes(self):
        """Show the data from another side."""
        self.viewer.dims.roll()

    def turn_the_grid(self):
        """Press napari's button of the grid mode."""
        grid = self.viewer.canvas.grid
        if not self._has_shapes():
            grid.enabled = not grid.enabled

    def _has_shapes(self):
        """Mesa, which draws without a graphics card, crashes where Shapes come and go in a grid."""
        return any(layer._type_string == "shapes" for layer in self.viewer.layers)

    def run(self):
        """Press Fuse."""
        self.widget.footer.run_button.click()

    def cancel(self):
        """Press Cancel."""
        self.widget.footer.cancel_button.click()

    def align(self):
        """Press Align, or Move anyway."""
        panel = self.widget.align
        offered = panel.anyway_button.isVisibleTo(self.widget)
        (panel.anyway_button if offered else panel.align_button).click()

    def undo(self):
        """Press Undo."""
        if self.widget.align.undo_button.isVisibleTo(self.widget):
            self.widget.align.undo_button.click()

    def compare(self):
        """Press Compare, and Copy."""
        result = self.widget.result
        if result.layer is not None and not self._has_shapes():
            result.compare_button.click()
            result.copy_python.click()
            result.copy_table.click()

    def look_at_the_result(self):
        """Look at the result in another way."""
        result = self.widget.result
        if result.layer is not None:
            looks = [
                look for look in result.look.choices if look != "grid" or not self._has_shapes()
            ]
            result.look.value = self.random.choice(looks)
            result.line.value = self.random.random()

    def reopen_the_dock(self):
        """Close the dock, and open it again."""
        self.widget.parentWidget().title.close_button.click()
        self.widget = self._open()
        self._choose_model()

    def hide_the_dock(self):
        """Hide the dock, and show it again."""
        frame = self.widget.parentWidget()
        frame.title.hide_button.click()
        frame.show()

    def finish(self):
        """Close the dock and stop what goes on; `left_behind` tells whether that was all."""
        self.widget.footer.cancel_button.click()
        self.widget.parentWidget().title.close_button.click()

    def left_behind(self):
        """Names of what should be gone: layers that come and go, runs, threads."""
        from napari_gifnet.viewer.qt.runs import _RUNS

        own = [
            layer.name
            for layer in self.viewer.layers
            if "preview" in layer.metadata.get("napari_gifnet", {})
        ]
        threads = [
            thread.name for thread in threading.enumerate() if thread.name.startswith("gifnet")
        ]
        return [*own, *(run.title for run in _RUNS), *threads]


def main():
    """Let the monkey loose, and tell what it broke."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--verbose", action="store_true", help="print each act")
    parser.add_argument("--model", help="A checkpoint to choose from, besides gifnet-bands.")
    arguments = parser.parse_args()

    faulthandler.enable()
    os.environ["XDG_CONFIG_HOME"] = tempfile.mkdtemp()
    import napari
    from qtpy.QtWidgets import QApplication

    troubles = []

    def note_trouble(kind, error, trace):
        text = "".join(traceback.format_exception(kind, error, trace))
        troubles.append(text)
        print(text, file=sys.stderr)

    viewer = napari.Viewer(show=True)
    sys.excepthook = note_trouble
    napari.utils.notifications.notification_manager.notification_ready.connect(
        lambda event: troubles.append(str(event.exception)) if hasattr(event, "exception") else None
    )
    monkey = Monkey(viewer, arguments.seed, arguments.model)
    end = time.monotonic() + 60 * arguments.minutes
    while time.monotonic() < end and not troubles:
        monkey.step()
        if arguments.verbose:
            print(monkey.done[-1], flush=True)
        pause = time.monotonic() + monkey.random.choice([0, 0, 0.05, 0.3])
        while True:
            QApplication.processEvents()
            if time.monotonic() >= pause:
                break
            time.sleep(0.005)
    monkey.finish()
    patience = time.monotonic() + 60
    while monkey.left_behind() and time.monotonic() < patience:
        QApplication.processEvents()
        time.sleep(0.01)
    left = monkey.left_behind()
    print(f"{len(monkey.done)} acts; {len(troubles)} errors; left behind: {left or 'nothing'}.")
    if troubles:
        print("The last acts:", *monkey.done[-12:], sep="\n    ")
    viewer.close()
    sys.exit(bool(troubles or left))


if __name__ == "__main__":
    main()
