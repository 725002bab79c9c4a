"""How the dock looks: its width, its texts, the place of its buttons; at 100 %, in both themes."""

import numpy as np
import pytest
from qtpy.QtCore import QEvent, QObject, QRect, Qt
from qtpy.QtWidgets import QAbstractButton, QComboBox, QLabel, QSpinBox

from napari_gifnet.viewer.qt.layout import Text, column_of

WIDEST = 360
LONG = "a name of ninety-five characters, as readers of microscope formats give them to channels, 405 nm"


@pytest.fixture
def shown(make_napari_viewer, open_dock, model_file):
    """A window of 1280×800 on the screen, with the dock."""
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1280, 800)
    widget = open_dock(viewer)
    widget.model.model_file.value = str(model_file)
    return viewer, widget


def texts_cut(widget):
    """Texts of visible controls that have less room than they need; boxes elide theirs."""
    cut = []
    for child in widget.findChildren((QAbstractButton, QLabel, QSpinBox)):
        if not child.isVisible():
            continue
        if isinstance(child, QLabel) and child.wordWrap():
            inner = child.contentsRect()
            room = QRect(0, 0, inner.width(), 10_000)
            needed = child.fontMetrics().boundingRect(room, Qt.TextFlag.TextWordWrap, child.text())
            if needed.height() > inner.height() + 1:
                cut.append(child.text())
            words = child.text().replace("\u200b", " ").split()
            metrics = child.fontMetrics()
            cut += [word for word in words if metrics.horizontalAdvance(word) > child.width()]
        elif child.text() and child.sizeHint().width() > child.width() + 1:
            cut.append(child.text())
    return cut


def every_state(viewer, widget, qtbot, add_pair, add_stack, run_to_the_end):
    """Go through what the dock can show, and stop at each."""
    yield "greeting"
    add_pair(viewer)
    qtbot.waitUntil(widget.footer.run_button.isEnabled, timeout=60_000)
    yield "ready"
    for name, layer in zip((LONG, LONG[::-1]), list(viewer.layers), strict=True):
        layer.name = name
    qtbot.waitUntil(lambda: "ninety" in widget.summary.value, timeout=5000)
    yield "long names"
    for task in widget.layers.task.choices:
        widget.layers.task.value = task
        qtbot.wait(150)
        yield task
    widget.layers.task.value = "any"
    for group in widget.options.groups.values():
        group.value = True
    qtbot.wait(50)
    yield "options"
    widget.align.align_button.click()
    qtbot.waitUntil(lambda: widget._run is None, timeout=60_000)
    assert "not moved" in widget.align.said.value
    widget.align.group.value = True
    widget.align.look.value = "wipe"
    for button in (widget.align.undo_button, widget.align.anyway_button):
        button.setVisible(True)
    qtbot.wait(50)
    yield "alignment"
    widget.align.look.value = "layers"
    widget.align.group.value = False
    widget.model.model.value = "from a file …"
    qtbot.wait(50)
    yield "a checkpoint"
    run_to_the_end(widget)
    yield "result"
    widget.result.compare_button.click()
    qtbot.waitUntil(lambda: widget.result.table.isVisible(), timeout=60_000)
    qtbot.wait(200)
    yield "compare"
    widget.layers.layer_b.value = widget.layers.layer_a.value
    qtbot.waitUntil(lambda: not widget.footer.run_button.isEnabled(), timeout=5000)
    yield "error"


def test_the_dock_is_narrow_no_text_is_cut_and_fuse_stays_where_it_is(
    shown, qtbot, add_pair, add_stack, run_to_the_end
):
    viewer, widget = shown
    places = set()
    for state in every_state(viewer, widget, qtbot, add_pair, add_stack, run_to_the_end):
        qtbot.wait(30)
        assert widget.parentWidget().width() <= WIDEST, state
        assert texts_cut(widget) == [], state
        button = widget.footer.run_button
        places.add(button.mapTo(widget, button.rect().topLeft()).y())
        assert button.mapTo(viewer.window._qt_window, button.rect().bottomLeft()).y() < 800, state
    assert max(places) - min(places) <= 1


def test_labels_have_one_width_and_boxes_begin_at_one_place(shown, qtbot, add_pair):
    viewer, widget = shown
    add_pair(viewer)
    for group in widget.options.groups.values():
        group.value = True
    qtbot.wait(200)
    boxes = [box for box in widget.findChildren(QComboBox) if box.isVisible()]
    lefts = {box.mapTo(widget, box.rect().topLeft()).x() for box in boxes}
    assert len(boxes) >= 8
    assert max(lefts) - min(lefts) <= 2


def test_a_long_name_is_whole_in_the_tooltip(shown, qtbot):
    viewer, widget = shown
    viewer.add_image(np.zeros((8, 8)), name=LONG)
    qtbot.waitUntil(lambda: widget.layers.layer_a.value is not None, timeout=5000)
    assert LONG in widget.layers.layer_a.toolTip()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_dock_follows_the_theme(shown, qtbot, add_pair, theme):
    viewer, widget = shown
    add_pair(viewer)
    viewer.theme = theme
    qtbot.wait(200)
    picture = widget.grab().toImage()
    background = picture.pixelColor(2, picture.height() // 2).lightness()
    assert (background > 128) == (theme == "light")
    assert texts_cut(widget) == []


def test_everything_can_be_reached_by_scrolling(shown, qtbot, add_pair, run_to_the_end):
    viewer, widget = shown
    widget.model.model.value = "from a file …"
    add_pair(viewer)
    run_to_the_end(widget)
    for group in (*widget.options.groups.values(), widget.result_group):
        group.value = True
    qtbot.wait(200)
    area = widget.scroller
    for control in (widget.layers.task, widget.options.precision, widget.result.compare_button):
        area.ensureWidgetVisible(control)
        qtbot.wait(20)
        assert not control.visibleRegion().isEmpty()
    assert area.horizontalScrollBar().maximum() == 0


def test_no_scroll_bar_beside_a_form_that_fits(shown, qtbot, add_pair):
    viewer, widget = shown
    add_pair(viewer)
    qtbot.wait(300)
    assert not widget.scroller.verticalScrollBar().isVisible()


def test_the_shortcuts_start_and_stop_a_run(shown, qtbot, add_pair, held_engine):
    viewer, widget = shown
    widget.model.model.value = "from a file …"
    add_pair(viewer)
    reached, go_on = held_engine
    qtbot.waitUntil(widget.footer.run_button.isEnabled, timeout=60_000)
    start, stop = widget.footer.shortcuts
    start.activated.emit()
    qtbot.waitUntil(reached.is_set, timeout=60_000)
    stop.activated.emit()
    go_on.set()
    qtbot.waitUntil(lambda: widget._run is None, timeout=60_000)
    assert "Cancelled" in widget.status.value


def test_a_text_that_has_become_shorter_leaves_no_gap(shown, qtbot, add_pair):
    viewer, widget = shown
    add_pair(viewer)
    qtbot.waitUntil(lambda: "detail" in widget.summary.value, timeout=60_000)
    qtbot.wait(300)
    before = widget.summary.height()
    names = [layer.name for layer in viewer.layers]
    for layer in viewer.layers:
        layer.name = LONG
    qtbot.waitUntil(lambda: widget.summary.height() > before + 30, timeout=10_000)
    for layer, name in zip(viewer.layers, names, strict=True):
        layer.name = name
    qtbot.waitUntil(lambda: widget.summary.height() <= before + 20, timeout=10_000)


def test_what_is_below_a_text_is_never_painted_over_it(qtbot):
    """It moves down in the same moment in which the text takes more lines."""
    text, below = Text(), QLabel("below")
    text.value = "Words that take one line where it is wide, and several where it is narrow. " * 2
    box = column_of(text, below)
    qtbot.addWidget(box)
    box.resize(900, 300)
    box.show()
    qtbot.waitUntil(lambda: text.width() > 500)
    painted = []

    class Watch(QObject):
        def eventFilter(self, watched, event):
            if event.type() == QEvent.Type.Paint:
                painted.append(below.y() - text.geometry().bottom())
            return False

    watch = Watch()
    below.installEventFilter(watch)
    box.resize(220, 300)
    qtbot.waitUntil(lambda: text.height() > 45 and below.y() > 45)
    qtbot.wait(100)
    below.removeEventFilter(watch)
    assert painted
    assert min(painted) > 0
