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
    viewer.open_sample("napari-gifnet", "pet_mri")
    pet = viewer.layers[-1]
    lesion = pet.metadata["napari_gifnet"]["lesions"][0]
    viewer.dims.set_point(0, lesion["position"][0])
    _, widget = viewer.window.add_plugin_dock_widget("napari-gifnet", "GIFNet Fusion")
    if arguments.model != "gifnet":
        widget.advanced.model_file.value = arguments.model
        widget.advanced.model.value = "from a file …"
    widget.extent.value = "slice"
    wait_for(lambda: widget.run_button.enabled and "Runs on" in widget.summary.value)
    widget.run_button.changed.emit(True)
    wait_for(lambda: len(viewer.layers) == 3 and widget.run_button.enabled)
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
