"""Clicked through at random: no error, no run that never ends, no layer left behind."""

import importlib.util
from pathlib import Path

from napari.utils.notifications import NotificationSeverity, notification_manager

TOOL = Path(__file__).parents[3] / "tools" / "monkey.py"

CLICKS = 60


def test_random_clicks_leave_nothing_behind(make_napari_viewer, qtbot, model_file):
    spec = importlib.util.spec_from_file_location("monkey", TOOL)
    monkey_tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(monkey_tool)
    viewer = make_napari_viewer()
    before = len(notification_manager.records)
    monkey = monkey_tool.Monkey(viewer, seed=19, model=str(model_file))
    for _ in range(CLICKS):
        monkey.step()
        qtbot.wait(monkey.random.choice([1, 1, 20, 100]))
    monkey.finish()
    qtbot.waitUntil(lambda: not monkey.left_behind(), timeout=60_000)
    qtbot.wait(200)
    told = [
        record
        for record in notification_manager.records[before:]
        if record.severity == NotificationSeverity.ERROR and hasattr(record, "exception")
    ]
    assert not told, monkey.done[-10:]
