"""Make the pictures of docs/large-images.md: two whole slides, and the preview of what is in view.

    python tools/slide_screens.py

The slides are 16,384 pixels a side, of two planes of the focus stack's sample, mirrored side by side, and
magnified, made chunk by chunk as they are read. Needs a display or Xvfb.
"""

import argparse
from pathlib import Path

# first: it makes the settings a new user's
from tour import settle, wait_for  # isort: split

import dask.array as da
import napari
import numpy as np
from scipy.ndimage import zoom

from napari_gifnet.files.samples import load_sample

SIDE, CHUNK, LEVELS, TILE, MAGNIFIED = 16384, 512, 6, 320, 6.4
ZOOMS = {"slide": None, "slide-near": 0.8}


def slide_of(plane):
    """Return the levels of a slide of mirrored tiles of a plane."""
    tile = zoom(plane[:TILE, :TILE].astype(np.float32), MAGNIFIED, order=3)
    tile = np.block([[tile, tile[:, ::-1]], [tile[::-1], tile[::-1, ::-1]]])
    levels = []
    for k in range(LEVELS):
        side = len(tile)

        def chunk(block, tile=tile, side=side, block_info=None):
            rows, columns = (np.arange(*each) % side for each in block_info[0]["array-location"])
            return tile[np.ix_(rows, columns)]

        blank = da.zeros((SIDE >> k, SIDE >> k), chunks=CHUNK, dtype=np.float32)
        levels.append(blank.map_blocks(chunk, meta=np.empty((0, 0), np.float32)))
        tile = tile.reshape(side // 2, 2, side // 2, 2).mean(axis=(1, 3))
    return levels


def main():
    """Show the slides, turn the preview on, and take a picture at each zoom."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--output", type=Path, default=Path("docs/large"))
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    viewer = napari.Viewer(show=True)
    viewer.window.resize(1120, 700)
    (stack,) = load_sample("focus_stack")
    planes = np.asarray(stack.data)
    planes = planes.mean(axis=-1) if planes.ndim == 4 else planes
    for name, place in (("far focus", -3), ("near focus", 2)):
        viewer.add_image(
            slide_of(planes[place]),
            multiscale=True,
            name=name,
            contrast_limits=(0, 255),
            scale=(0.25, 0.25),
            units="um",
        )
    _, widget = viewer.window.add_plugin_dock_widget("napari-gifnet", "GIFNet Fusion")
    widget.layers.task.value = "multi_focus"
    widget.model.model.value = "gifnet-bands"
    wait_for(lambda: "choose the current view" in widget.summary.value)
    wait_for(lambda: "Runs on" in widget._probe.sentence)
    centre = viewer.scene.camera.center
    for name, factor in ZOOMS.items():
        if factor is not None:
            viewer.scene.camera.zoom = factor
            viewer.scene.camera.center = (0, centre[1] + 40, centre[2] + 60)
            settle()
        widget.status.value = ""
        widget.model.preview.value = False
        widget.model.preview.value = True
        wait_for(lambda: "in view" in widget.status.value)
        settle()
        path = arguments.output / f"{name}.png"
        viewer.screenshot(str(path), canvas_only=False, flash=False)
        print(path, widget.status.value)
    viewer.close()


if __name__ == "__main__":
    main()
