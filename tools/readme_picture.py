"""Make docs/readme.png: the MRI + PET sample, fused in napari. Needs a display or Xvfb."""

import argparse
from pathlib import Path

from tour import settle, wait_for  # first: it gives napari a new user's settings

import napari  # isort: skip


def main():
    """Open, fuse, arrange, take the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("docs/readme.png"))
    parser.add_argument("--model", default="gifnet")
    parser.add_argument("--theme", default="dark")
    arguments = parser.parse_args()

    viewer = napari.Viewer(show=True)
    viewer.theme = arguments.theme
    viewer.window.resize(1500, 700)
    _, widget = viewer.window.add_plugin_dock_widget("napari-gifnet", "GIFNet Fusion")
    widget.greeting.buttons["pet_mri"].click()
    pet = viewer.layers[-1]
    if arguments.model in widget.model.model.choices:
        widget.model.model.value = arguments.model
    else:
        widget.model.model_file.value = arguments.model
        widget.model.model.value = "from a file …"
    widget.layers.extent.value = "slice"
    button = widget.footer.run_button
    wait_for(lambda: button.isEnabled() and "Runs on" in widget.summary.value)
    button.click()
    wait_for(lambda: len(viewer.layers) == 3 and button.isEnabled())
    pet.blending = "translucent_no_depth"
    viewer.canvas.grid.enabled = True
    viewer.canvas.grid.shape = (1, 3)
    viewer.canvas.grid.stride = 1
    viewer.reset_view()
    settle()
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    viewer.screenshot(str(arguments.output), canvas_only=False, flash=False)
    viewer.close()


if __name__ == "__main__":
    main()
