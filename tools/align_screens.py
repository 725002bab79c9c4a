"""Make the picture of the dock in docs/align.md: a sample moved apart, aligned, as a checkerboard.

    python tools/align_screens.py

Needs a display or Xvfb.
"""

import argparse
from pathlib import Path

# first: it makes the settings a new user's
from tour import settle, wait_for  # isort: split

import napari

DEGREES, SHIFT = 3.0, (12.0, -20.0)


def main():
    """Open the sample, turn the infrared picture, align it, and take a picture."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--output", type=Path, default=Path("docs/align"))
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    viewer = napari.Viewer(show=True)
    viewer.window.resize(1280, 800)
    _, widget = viewer.window.add_plugin_dock_widget("napari-gifnet", "GIFNet Fusion")

    def take(name):
        settle()
        path = arguments.output / f"{name}.png"
        viewer.screenshot(str(path), canvas_only=False, flash=False)
        print(path)

    widget.greeting.buttons["infrared_visible"].click()
    wait_for(lambda: widget.align.pair is not None)
    settle()
    _, infrared = widget.align.pair
    infrared.affine = napari.utils.transforms.Affine(rotate=DEGREES, translate=SHIFT)
    wait_for(lambda: "Align?" in widget.summary.value)
    wait_for(lambda: "Runs on" in widget.summary.value)
    take("dock-before")
    print(widget.summary.value.splitlines()[0])
    widget.align.align_button.click()
    wait_for(lambda: widget._run is None)
    widget.align.group.value = True
    widget.align.look.value = "checkerboard"
    take("dock")
    print(widget.align.said.value)
    viewer.close()


if __name__ == "__main__":
    main()
