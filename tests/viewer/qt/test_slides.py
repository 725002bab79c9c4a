"""A whole slide: what is in view is fused, at the level that is shown, as one pans and zooms."""

import itertools

import dask.array as da
import numpy as np
import pytest

from napari_gifnet import WorldGrid, fuse
from napari_gifnet.checkpoints import BANDS
from napari_gifnet.viewer.qt import preview, probe

SIDE, CHUNK, LEVELS, HALO = 16384, 512, 6, 256
MICRONS = 0.25


class Slide:
    """The levels of a slide, made chunk by chunk when they are read, and which chunks were."""

    def __init__(self, seed):
        self.read = []
        self.phases = np.random.default_rng(seed).uniform(0, 7, 3)
        self.levels = [self._level(k) for k in range(LEVELS)]

    def _level(self, k):
        def chunk(block, block_info=None):
            box = block_info[0]["array-location"]
            self.read.append((k, *(start // CHUNK for start, _ in box)))
            y, x = (((np.arange(*side) + 0.5) * 2**k - 0.5).astype(np.float32) for side in box)
            one, two, three = self.phases
            waves = np.sin(y[:, None] / 900 + one) * np.cos(x / 700 + two)
            return (0.5 + 0.3 * waves + 0.2 * np.sin((y[:, None] + x) / 23 + three)).astype("f4")

        shape = (SIDE >> k, SIDE >> k)
        return da.zeros(shape, chunks=CHUNK, dtype="f4").map_blocks(
            chunk, meta=np.empty((0, 0), "f4")
        )


@pytest.fixture
def slides(monkeypatch, make_napari_viewer, open_dock, qtbot):
    """A viewer that is drawn, two slides of 16,384 pixels a side, the dock and the band network."""
    monkeypatch.setattr(probe, "measure_speed", lambda *_: 1e7)
    monkeypatch.setattr(probe, "_SPEEDS", {("auto", BANDS): 1e7})
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1270, 740)
    pair = {name: Slide(seed) for seed, name in enumerate(("detail", "modality"))}
    placed = {"scale": (MICRONS, MICRONS), "translate": (100, -40), "units": "um"}
    for name, slide in pair.items():
        viewer.add_image(slide.levels, multiscale=True, name=name, contrast_limits=(0, 1), **placed)
    widget = open_dock(viewer)
    widget.model.model.value = "gifnet-bands"
    qtbot.wait(300)
    return viewer, widget, pair


def shown(viewer):
    """What napari's canvas shows of the slides: the level, and the region of that level."""
    canvas = viewer.window._qt_viewer.canvas
    layer = viewer.layers["detail"]
    grid = WorldGrid.from_layer(layer, layer.data_level)
    index = grid.to_index(canvas._viewbox_corners_in_world[:, -2:])
    low = np.floor(index.min(axis=0) + 0.5 + 1e-3).astype(int).clip(0)
    high = np.minimum(np.ceil(index.max(axis=0) + 0.5 - 1e-3).astype(int), grid.shape)
    return layer.data_level, tuple(
        slice(*each) for each in zip(low.tolist(), high.tolist(), strict=True)
    )


def aligned(region):
    """A region as it is fused: from a pixel of the coarsest level of the pyramid on."""
    return tuple(slice(side.start // 32 * 32, side.stop) for side in region)


def wait_for(qtbot, viewer, preview_of):
    """Until the preview lies where the canvas is."""

    def there():
        layer = preview_of(viewer)
        level, region = shown(viewer)
        grid = WorldGrid.from_layer(viewer.layers["detail"], level).crop(aligned(region))
        if layer is None or layer.data.shape != grid.shape:
            return False
        return np.allclose(WorldGrid.from_layer(layer).matrix, grid.matrix, atol=1e-3)

    qtbot.waitUntil(there, timeout=60_000)
    level, region = shown(viewer)
    return preview_of(viewer), level, aligned(region)


def chunks_of(level, region):
    sides = (range(each.start // CHUNK, (each.stop - 1) // CHUNK + 1) for each in region)
    return {(level, *each) for each in itertools.product(*sides)}


def test_the_preview_follows_what_is_in_view(slides, qtbot, preview_of):
    viewer, widget, pair = slides
    camera = viewer.scene.camera
    widget.model.preview.value = True
    seen, compared = set(), []
    centre = 100 + SIDE / 2 * MICRONS, -40 + SIDE / 2 * MICRONS
    for zoom, (down, right) in [(None, (0, 0)), (1, (0, 0)), (1, (0, 130)), (4, (55, 130))]:
        if zoom:
            camera.zoom, camera.center = zoom, (0, centre[0] + down, centre[1] + right)
            qtbot.wait(50)
        layer, level, region = wait_for(qtbot, viewer, preview_of)
        seen.add(level)
        values = [np.asarray(pair[name].levels[level][region]) for name in ("modality", "detail")]
        for slide in pair.values():
            slide.read.clear()
        expected = fuse(*values, model="gifnet-bands", intensity=(0, 1))
        np.testing.assert_allclose(layer.data, expected, atol=1e-5, rtol=0)
        inside = min(side.stop - side.start for side in region) - 2 * HALO
        if inside > 0 and min(side.start for side in region) >= HALO:
            around = tuple(slice(side.start - HALO, side.stop + HALO) for side in region)
            larger = [np.asarray(pair[n].levels[level][around]) for n in ("modality", "detail")]
            whole = fuse(*larger, model="gifnet-bands", intensity=(0, 1))
            core = np.s_[HALO:-HALO, HALO:-HALO]
            np.testing.assert_allclose(layer.data[core], whole[core][core], atol=1e-5, rtol=0)
            compared.append(inside)
        assert f"of level {level}," in widget.status.value
        assert "of the resolution" not in widget.status.value
    assert compared
    assert 0 in seen
    assert len(seen) >= 3


def test_few_chunks_are_read(slides, qtbot, preview_of):
    """By napari, which draws, and by the preview; ranges are found in a coarse level."""
    viewer, widget, pair = slides
    viewer.scene.camera.zoom = 4
    qtbot.wait(100)
    widget.options.intensity.value = "minmax"
    widget.model.preview.value = True
    wait_for(qtbot, viewer, preview_of)
    before = {name: len(slide.read) for name, slide in pair.items()}
    viewer.scene.camera.center = (0, 1500, 900)
    _, level, region = wait_for(qtbot, viewer, preview_of)
    assert level == 0
    for name, slide in pair.items():
        read = slide.read[before[name] :]
        assert {each for each in read if each[0] == 0} <= chunks_of(0, region)
        assert {each[0] for each in read} <= {0, 3, 4, 5}
        assert len({each for each in slide.read if each[0] == 0}) < 32  # of 1024
        assert len(read) <= 4 * len(chunks_of(0, region)) + 4


def test_what_has_moved_on_is_not_fused(slides, qtbot, preview_of, monkeypatch):
    viewer, widget, _ = slides
    fused = []
    compute = preview.run_plan

    def noted(plan, *given, **named):
        fused.append(plan.region)
        return compute(plan, *given, **named)

    monkeypatch.setattr(preview, "run_plan", noted)
    viewer.scene.camera.zoom = 4
    widget.model.preview.value = True
    wait_for(qtbot, viewer, preview_of)
    fused.clear()
    for step in range(30):
        viewer.scene.camera.center = (0, 1500 + step, 900)
        qtbot.wait(5)
    _, _, region = wait_for(qtbot, viewer, preview_of)
    assert fused[-1] == region
    assert len(fused) < 10
    viewer.scene.camera.center = (0, -9000, 900)
    qtbot.waitUntil(lambda: preview_of(viewer) is None, timeout=30_000)
    viewer.scene.camera.center = (0, 1500, 900)
    wait_for(qtbot, viewer, preview_of)
    widget.model.preview.value = False
    fused.clear()
    viewer.scene.camera.center = (0, 1600, 900)
    qtbot.wait(3 * preview.PAUSE_MS)
    assert not fused


def test_fuse_takes_what_is_shown_and_no_whole_slide(slides, qtbot, run_to_the_end):
    viewer, widget, _ = slides
    viewer.scene.camera.zoom = 2
    qtbot.waitUntil(lambda: "takes 1.1 GB" in widget.summary.value, timeout=30_000)
    assert "gifnet fuse a.ome.zarr b.ome.zarr -o out.ome.zarr" in widget.summary.value
    assert not widget.footer.run_button.isEnabled()
    widget.layers.extent.value = "view"
    qtbot.waitUntil(widget.footer.run_button.isEnabled, timeout=30_000)
    level, region = shown(viewer)  # the progress takes a line of the canvas
    run_to_the_end(widget)
    result = viewer.layers[-1]
    grid = WorldGrid.from_layer(viewer.layers["detail"], level).crop(region)
    assert result.data.shape == grid.shape
    np.testing.assert_allclose(WorldGrid.from_layer(result).matrix, grid.matrix, atol=1e-6)
    record = result.metadata["napari_gifnet"]["parameters"]
    assert record["level"] == level
    assert widget.result.layer is result


def test_gifnet_measures_no_slide_for_a_part_of_it(slides, qtbot):
    viewer, widget, _ = slides
    widget.model.model.value = "gifnet"
    viewer.scene.camera.zoom = 8
    qtbot.wait(100)
    widget.layers.extent.value = "view"
    plan = widget.planner.plan()
    assert plan.options.level == 0
    assert plan.normalization == "plane"
