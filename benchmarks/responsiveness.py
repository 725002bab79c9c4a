"""How long the widget lets one wait: ``python benchmarks/responsiveness.py``.

In a real napari: the seconds from the tick of "Preview" to the layer, and from a changed setting to
the layer's new picture; how many previews a second one sees while scrolling through the phantom of
MRI and PET, and how long the GUI thread was away meanwhile; then, in a run over 60 slices, how long
it was away before there was a result and while napari added it, and how long it is away where napari
alone adds such a layer; at last, how long it is away while a pair is looked at that may be
misaligned, and the seconds from Cancel to the end of an alignment. Needs a display or Xvfb.
"""

import argparse
import sys
import time
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))
# first: it makes the settings a new user's
from tour import wait_for  # isort: split

import napari
import numpy as np
from qtpy.QtCore import QTimer
from scipy.ndimage import gaussian_filter

from speed import machine


@contextmanager
def heartbeat():
    """Give a list to which a timer of the GUI thread adds the time, every 5 ms."""
    beats = [time.perf_counter()]
    timer = QTimer()
    timer.setInterval(5)
    timer.timeout.connect(lambda: beats.append(time.perf_counter()))
    timer.start()
    yield beats
    timer.stop()
    beats.append(time.perf_counter())


def add_pair(viewer, shape):
    """Two layers of smooth noise."""
    rng = np.random.default_rng(0)
    for name in ("modality", "detail"):
        sigma = [0] * (len(shape) - 2) + [1.5, 1.5]
        viewer.add_image(gaussian_filter(rng.random(shape, np.float32), sigma), name=name)


def opened(model, *shape):
    """A viewer with a pair, or the phantom, and the widget ready to run."""
    viewer = napari.Viewer(show=True)
    _, widget = viewer.window.add_plugin_dock_widget("napari-gifnet", "GIFNet Fusion")
    if shape:
        add_pair(viewer, shape)
    else:
        viewer.open_sample("napari-gifnet", "pet_mri")
    widget.model.model.value = model
    button = widget.footer.run_button
    wait_for(lambda: button.isEnabled() and "Runs on" in widget.summary.value)
    return viewer, widget


def preview_seconds(side, model, times=5):
    """Seconds to the preview at each tick, after a changed setting, and what the widget says of it."""
    viewer, widget = opened(model, side, side)
    says = []
    widget.live.said.connect(says.append)

    def timed(act):
        says.clear()
        start = time.perf_counter()
        act()
        wait_for(lambda: any("preview shows" in said for said in says))
        return time.perf_counter() - start

    ticks = []
    for _ in range(times):
        ticks.append(timed(lambda: setattr(widget.model.preview, "value", True)))
        if len(ticks) < times:
            widget.model.preview.value = False
            pause()
    again = timed(lambda: setattr(widget.options.intensity, "value", "dtype"))
    sentence = says[-1]
    widget.model.preview.value = False
    viewer.close()
    return ticks, again, sentence


def scrolling(model, seconds=4.0):
    """Previews a second while one scrolls through the phantom, and the GUI thread's absences, sorted."""
    viewer, widget = opened(model)
    widget.model.preview.value = True
    wait_for(lambda: widget.live.layer is not None)
    pause()
    shown = []
    widget.live.said.connect(lambda _: shown.append(time.perf_counter()))
    count = viewer.layers[0].data.shape[0]
    with heartbeat() as beats:
        start = time.perf_counter()
        place = count // 4
        while time.perf_counter() - start < seconds:
            place = place + 1 if place < 3 * count // 4 else count // 4
            viewer.dims.set_current_step(0, place)
            turn = time.perf_counter() + 1 / 30  # as a slider that is dragged
            wait_for(lambda turn=turn: time.perf_counter() > turn)
        spent = time.perf_counter() - start
    rate = sum(start <= moment <= start + spent for moment in shown) / spent
    viewer.close()
    return rate, np.sort(np.diff(beats))[::-1]


def gaps(shape):
    """Seconds that a run took, and the GUI thread's absences until the result, at it, and without us.

    Returns
    -------
    seconds : float
    running : ndarray
        Absences before the result arrived, in seconds, longest first.
    adding, alone : float
        The longest one from there on, and where napari adds a layer of this shape by itself.
    """
    viewer, widget = opened("gifnet", *shape)
    arrived = []
    start = time.perf_counter()
    with heartbeat() as beats:
        viewer.layers.events.inserting.connect(lambda _: arrived.append(len(beats)))
        widget.footer.run_button.click()
        wait_for(lambda: widget._run is None)
        seconds = time.perf_counter() - start
        pause()
    away = np.diff(beats)
    result = np.random.default_rng(0).random(shape, np.float32)
    with heartbeat() as alone:
        QTimer.singleShot(0, lambda: viewer.add_image(result, contrast_limits=(0, 1)))
        pause()
    viewer.close()
    running, adding = np.split(away, [arrived[0] - 1])
    return seconds, np.sort(running)[::-1], adding.max(), np.diff(alone).max()


def aligning(times=5):
    """The GUI thread's absences in a look at a pair and in a pause, sorted; seconds of each cancel."""
    viewer = napari.Viewer(show=True)
    _, widget = viewer.window.add_plugin_dock_widget("napari-gifnet", "GIFNet Fusion")
    viewer.open_sample("napari-gifnet", "infrared_visible")
    wait_for(lambda: widget.align.pair is not None)
    wait_for(lambda: "Runs on" in widget.summary.value)
    pause()
    _, moving = widget.align.pair
    look = widget.align._pair_look
    wait_for(lambda: not look.busy)
    moving.translate = (10, -14)
    wait_for(lambda: look.busy)
    start = time.perf_counter()
    with heartbeat() as beats:
        wait_for(lambda: not look.busy)
        pause()
    with heartbeat() as idle:
        end = time.perf_counter() + (time.perf_counter() - start)
        wait_for(lambda: time.perf_counter() > end)
    cancels = []
    for k in range(times):
        widget.align.align_button.click()
        turn = time.perf_counter() + 0.3 + k
        wait_for(lambda turn=turn: time.perf_counter() > turn or widget._run is None)
        start = time.perf_counter()
        widget.footer.cancel_button.click()
        wait_for(lambda: widget._run is None)
        cancels.append(time.perf_counter() - start)
    viewer.close()
    return *(np.sort(np.diff(each))[::-1] for each in (beats, idle)), cancels


def pause():
    """Let Qt work for half a second."""
    end = time.perf_counter() + 0.5
    wait_for(lambda: time.perf_counter() > end)


def main():
    """Print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--side", type=int, default=1024, help="of the previewed pair")
    parser.add_argument("--stack", type=int, nargs=3, default=(60, 128, 128))
    parser.add_argument("--models", nargs="+", default=["gifnet-bands", "gifnet"])
    parser.add_argument("--align", action="store_true", help="only alignment")
    arguments = parser.parse_args()

    print(f"Machine: {machine('cpu')}; napari {napari.__version__}.")
    if arguments.align:
        tell_aligning()
        return
    for model in arguments.models:
        ticks, again, sentence = preview_seconds(arguments.side, model)
        print(
            f"Preview of {arguments.side}×{arguments.side} by {model}: {np.median(ticks):.2f} s after "
            f"the tick (median of {len(ticks)}, the first one {ticks[0]:.2f} s), {again:.2f} s after a "
            "changed setting."
        )
        print(f"    {sentence}")
    rate, away = scrolling(arguments.models[0])
    print(
        f"Scrolling through the phantom with {arguments.models[0]}: {rate:.1f} previews a second; the "
        f"GUI thread was away for at most {away[0] * 1e3:.0f} ms, {(away > 0.1).sum()} times longer than "
        "100 ms."
    )
    seconds, running, adding, alone = gaps(tuple(arguments.stack))
    shape = "×".join(map(str, arguments.stack))
    print(
        f"A run over {shape} took {seconds:.1f} s; until the result the GUI thread was away for at "
        f"most {running[0] * 1e3:.0f} ms, {(running > 0.05).sum()} times longer than 50 ms."
    )
    print(
        f"While napari added the layer it was away for {adding * 1e3:.0f} ms; where napari adds such "
        f"a layer alone, for {alone * 1e3:.0f} ms."
    )
    tell_aligning()


def tell_aligning():
    """Print what was measured of alignment."""
    away, idle, cancels = aligning()
    print(
        f"In a look at a pair of 480×640 the GUI thread was away for at most {away[0] * 1e3:.0f} ms, "
        f"{(away > 0.05).sum()} times longer than 50 ms; in as long a pause for at most "
        f"{idle[0] * 1e3:.0f} ms, {(idle > 0.05).sum()} times. An alignment ended {max(cancels):.2f} s "
        f"after Cancel at most, {np.median(cancels):.2f} s in the median of {len(cancels)}."
    )


if __name__ == "__main__":
    main()
