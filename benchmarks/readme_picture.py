"""Make docs/readme.png: the MRI + PET sample, fused in napari. Needs a display or Xvfb."""

import argparse
import os
import tempfile
import time
from pathlib import Path

os.environ["XDG_CONFIG_HOME"] = tempfile.mkdtemp()  # a new user's settings

import napari
from qtpy.QtWidgets import QApplication


def wait_for(condition, seconds=300):
    """Keep the GUI alive until something holds."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise SystemExit("The fusion did not end.")
        QApplication.processEvents()
        time.sleep(0.02)


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
        widget.model_file.value = arguments.model
        widget.model.value = "from a file …"
    widget.extent.value = "slice"
    wait_for(lambda: widget.run_button.enabled and "Runs on" in widget.summary.value)
    widget.run_button.changed.emit(True)
    wait_for(lambda: len(viewer.layers) == 3 and widget.run_button.enabled)
    pet.blending = "translucent_no_depth"
    viewer.canvas.grid.enabled = True
    viewer.canvas.grid.shape = (1, 3)
    viewer.canvas.grid.stride = 1
    viewer.reset_view()
    wait_for(lambda: True)
    QApplication.processEvents()
    time.sleep(0.5)
    QApplication.processEvents()
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    viewer.screenshot(str(arguments.output), canvas_only=False, flash=False)
    viewer.close()


if __name__ == "__main__":
    main()
