"""Take a picture of the dock in each of its states, to be looked at: ``python tools/screens.py screens``.

Two sizes, 1280×800 at 100 % and 2560×1600 at 200 %, and two themes, each in a process of its own.
Needs a display or Xvfb of 2560×1600 at least.
"""

import argparse
import os
import subprocess
import sys
import threading
from pathlib import Path

SIZE = 1280, 800
LONG = "a name of ninety-five characters, as readers of microscope formats give to channels, Cy5 640 nm"


def take_all(folder, theme, model):
    """Go through the states in this process and save a picture of each."""
    from tour import settle, wait_for  # isort: skip  # first: a new user's settings

    import napari

    from napari_gifnet.engine import band_engine

    folder.mkdir(parents=True, exist_ok=True)
    viewer = napari.Viewer(show=True)
    viewer.theme = theme
    viewer.window.resize(*SIZE)

    def open_dock():
        return viewer.window.add_plugin_dock_widget("napari-gifnet", "GIFNet Fusion")

    def take(name):
        settle()
        viewer.screenshot(str(folder / f"{name}.png"), canvas_only=False, flash=False)
        print(folder / f"{name}.png")

    def ready():
        wait_for(lambda: widget.footer.run_button.isEnabled() and "Runs on" in widget.summary.value)
        settle()

    def run():
        ready()
        widget.footer.run_button.click()
        wait_for(lambda: widget._run is None)

    frame, widget = open_dock()
    take("01-greeting")
    widget.greeting.buttons["infrared_visible"].click()
    widget.model.model.value = model
    ready()
    take("02-idle")
    for group in widget.options.groups.values():
        group.value = True
    take("03-options")
    for group in widget.options.groups.values():
        group.value = False
    names = [layer.name for layer in viewer.layers]
    for layer in viewer.layers:
        layer.name = f"{layer.name}: {LONG}"
    run()
    take("04-long-names")
    viewer.layers.pop()
    for layer, name in zip(viewer.layers, names, strict=True):
        layer.name = name
    widget.model.preview.value = True
    wait_for(lambda: "preview" in widget.status.value)
    take("05-preview")
    widget.model.preview.value = False

    go_on = threading.Event()
    fuse = band_engine.BandEngine.fuse_planes

    def held(*given, **options):
        go_on.wait(60)
        yield from fuse(*given, **options)

    band_engine.BandEngine.fuse_planes = held
    ready()
    widget.footer.run_button.click()
    settle()
    widget._run.share = 0.4
    widget._run.progressed.emit()
    take("06-running")
    frame.title.close_button.click()
    settle()
    frame, widget = open_dock()
    take("07-closed-and-reopened-while-it-runs")
    band_engine.BandEngine.fuse_planes = fuse
    go_on.set()
    wait_for(lambda: widget._run is None)
    take("08-result")
    widget.result.look.value = "b"
    take("09-wipe")
    widget.result.compare_button.click()
    wait_for(lambda: widget.result.table.isVisible())
    settle()
    widget.scroller.ensureWidgetVisible(widget.result.copy_table)
    take("10-compare")
    frame.title.close_button.click()
    take("11-closed")
    frame, widget = open_dock()
    viewer.layers.selection = {viewer.layers[-1]}
    take("12-reopened")
    widget.layers.layer_b.value = widget.layers.layer_a.value
    wait_for(lambda: not widget.footer.run_button.isEnabled())
    take("13-error")
    viewer.layers.clear()
    widget.greeting.buttons["focus_stack"].click()
    widget.layers.height.value = True
    ready()
    take("14-stack")
    run()
    take("15-height-map")
    viewer.layers.clear()
    widget.greeting.buttons["pet_mri"].click()
    widget.layers.extent.value = "slice"
    run()
    take("16-pet-mri")
    viewer.close()


def main():
    """Take the pictures of both sizes and both themes, or those of one."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--theme", choices=["dark", "light"], help="only this one, at this scale")
    parser.add_argument("--model", default="gifnet-bands")
    arguments = parser.parse_args()
    if arguments.theme:
        take_all(arguments.folder, arguments.theme, arguments.model)
        return
    for scale in (1, 2):
        for theme in ("dark", "light"):
            folder = arguments.folder / f"{theme}-{100 * scale}"
            command = [sys.executable, __file__, str(folder), "--theme", theme]
            environment = os.environ | {"QT_SCALE_FACTOR": str(scale)}
            subprocess.run([*command, "--model", arguments.model], env=environment, check=True)


if __name__ == "__main__":
    main()
