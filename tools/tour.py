"""Make the pictures of docs/tour.md: the widget in each of its states, in napari.

    python tools/tour.py
    QT_SCALE_FACTOR=2 python tools/tour.py --theme light --output large

Needs a display or Xvfb (for 200 % one of 3200×1800 at least).
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

os.environ["XDG_CONFIG_HOME"] = tempfile.mkdtemp()  # a new user's settings

import napari
import numpy as np
from qtpy.QtWidgets import QApplication


def wait_for(condition, seconds=300):
    """Keep the GUI alive until something holds."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise SystemExit("Waited in vain.")
        QApplication.processEvents()
        time.sleep(0.01)


def settle(seconds=0.4):
    """Let Qt lay out and draw."""
    end = time.monotonic() + seconds
    wait_for(lambda: time.monotonic() > end)


def main():
    """Walk through the states and take a picture of each."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--output", type=Path, default=Path("docs/tour"))
    parser.add_argument("--theme", default="dark")
    parser.add_argument("--model", help="Other weights than those that ship.")
    parser.add_argument("--size", type=int, nargs=2, default=(1280, 800), metavar=("W", "H"))
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)

    viewer = napari.Viewer(show=True)
    viewer.theme = arguments.theme
    viewer.window.resize(*arguments.size)
    _, widget = viewer.window.add_plugin_dock_widget("napari-gifnet", "GIFNet Fusion")

    def take(name):
        settle()
        path = arguments.output / f"{name}.png"
        viewer.screenshot(str(path), canvas_only=False, flash=False)
        print(path)

    def ready():
        button = widget.footer.run_button
        wait_for(lambda: button.isEnabled() and "Runs on" in widget.summary.value)

    take("1-empty")
    widget.greeting.buttons["infrared_visible"].click()
    if arguments.model:
        widget.model.model_file.value = arguments.model
        widget.model.model.value = "from a file …"
    ready()
    take("2-ready")

    chosen, widget.model.model.value = widget.model.model.value, "gifnet-bands"
    widget.model.preview.value = True
    wait_for(lambda: any(layer.name == "GIFNet preview" for layer in viewer.layers))
    take("3-preview")
    widget.model.preview.value = False
    widget.model.model.value = chosen
    ready()

    widget.footer.run_button.click()
    wait_for(lambda: widget.footer.progress.value() > 450 or widget._run is None)
    viewer.screenshot(
        str(arguments.output / "4-running.png"), canvas_only=False, flash=False
    )  # at once
    wait_for(lambda: widget._run is None)
    viewer.reset_view()
    take("5-result")
    widget.result.look.value = "b"
    take("6-wipe")
    widget.result.compare_button.click()
    wait_for(lambda: widget.result.table.isVisible())
    settle()
    widget.scroller.ensureWidgetVisible(widget.result.copy_table)
    take("7-compare")
    widget.result.look.value = "layers"

    for group in widget.options.groups.values():
        group.value = True
    settle()
    take("8-options")
    for group in widget.options.groups.values():
        group.value = False
    far = viewer.add_image(np.zeros((64, 64)), translate=(10_000, 10_000), name="elsewhere")
    widget.layers.layer_b.value = far
    wait_for(lambda: not widget.footer.run_button.isEnabled())
    take("9-error")

    viewer.layers.clear()
    widget.greeting.buttons["focus_stack"].click()
    widget.layers.height.value = True
    ready()
    widget.footer.run_button.click()
    wait_for(lambda: widget._run is None)
    viewer.layers.selection = {viewer.layers[-2]}
    viewer.layers[-1].visible = False
    take("10-height-map")
    viewer.close()


if __name__ == "__main__":
    main()
