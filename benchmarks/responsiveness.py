"""How long the widget lets one wait: ``python benchmarks/responsiveness.py``.

In a real napari: the seconds from the tick of "Preview" to the layer, and from a changed setting to
the layer's new picture; then, in a run over 60 slices, how long the GUI thread was away before
there was a result and while napari added it, and how long it is away where napari alone adds such a
layer. Needs a display or Xvfb.
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


def opened(shape):
    """A viewer with a pair, and the widget ready to run."""
    viewer = napari.Viewer(show=True)
    _, widget = viewer.window.add_plugin_dock_widget("napari-gifnet", "GIFNet Fusion")
    add_pair(viewer, shape)
    wait_for(lambda: widget.run_button.enabled and "Runs on" in widget.summary.value)
    return viewer, widget


def preview_seconds(side):
    """Seconds to the first preview, to the next one, and what the widget says of it."""
    viewer, widget = opened((side, side))
    says = []
    widget._live.said.connect(says.append)

    def timed(act):
        says.clear()
        start = time.perf_counter()
        act()
        wait_for(lambda: any("preview shows" in said for said in says))
        return time.perf_counter() - start

    first = timed(lambda: setattr(widget.preview, "value", True))
    again = timed(lambda: setattr(widget.advanced.gamma, "value", True))
    sentence = says[-1]
    widget.preview.value = False
    viewer.close()
    return first, again, sentence


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
    viewer, widget = opened(shape)
    arrived = []
    start = time.perf_counter()
    with heartbeat() as beats:
        widget.run_button.changed.emit(True)
        widget._run.succeeded.connect(lambda _: arrived.append(len(beats)))
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


def pause():
    """Let Qt work for half a second."""
    end = time.perf_counter() + 0.5
    wait_for(lambda: time.perf_counter() > end)


def main():
    """Print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--side", type=int, default=512, help="of the previewed pair")
    parser.add_argument("--stack", type=int, nargs=3, default=(60, 128, 128))
    arguments = parser.parse_args()

    print(f"Machine: {machine('cpu')}; napari {napari.__version__}.")
    first, again, sentence = preview_seconds(arguments.side)
    print(f"Preview of {arguments.side}×{arguments.side}: {first:.2f} s, then {again:.2f} s.")
    print(f"    {sentence}")
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


if __name__ == "__main__":
    main()
