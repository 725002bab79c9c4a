"""The band network: any number of planes in any order, local, and black where all planes are black."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from skimage import data

from napari_gifnet import load_model
from napari_gifnet.network.bands import ALIGNMENT, HALO, TASKS, GIFNetBands, padded


@pytest.fixture(scope="module")
def network():
    """Random weights, the heads' large enough for planes to matter."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        network = GIFNetBands().eval().requires_grad_(False)
        for head in (*network.heads, network.base):
            head.weight *= 20
        for mixing in network.mixings:
            torch.nn.init.normal_(mixing.task.weight, std=0.5)
    return network


def scene(count, height=96, width=128, seed=0):
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.random((count, height, width), dtype=np.float32))


@pytest.mark.parametrize("count", [1, 2, 3, 7])
@pytest.mark.parametrize("size", [(5, 5), (33, 70), (64, 96), (101, 31)])
def test_any_number_of_planes_of_any_size(network, count, size):
    fused = network(scene(count, *size))
    for part in fused:
        assert part.shape == (1, 1, *size)
        assert part.isfinite().all()
    assert 0 <= fused.index.min() <= fused.index.max() <= count - 1


@pytest.mark.parametrize("task", [None, *TASKS])
def test_another_order_of_the_planes_changes_nothing(network, task):
    planes = scene(5)
    order = torch.tensor([3, 0, 4, 1, 2])
    first, second = network(planes, task), network(planes[order], task)
    torch.testing.assert_close(second.plane, first.plane, atol=1e-5, rtol=0)
    torch.testing.assert_close(second.selected, first.selected, atol=1e-5, rtol=0)


def test_a_plane_given_again_and_again_is_fused_as_alone(network):
    plane = scene(1)
    alone, thrice = network(plane), network(plane.expand(3, -1, -1))
    torch.testing.assert_close(thrice.plane, alone.plane, atol=1e-5, rtol=0)


def test_planes_one_by_one_give_what_they_give_together(network):
    planes = padded(scene(6, 70, 90)[None])
    together = network(planes)
    summary = sums = None
    for plane in planes.split(1, 1):
        summary = network.summarise(network.encode(plane), summary)
    for position, plane in enumerate(planes.split(1, 1)):
        sums = network.weigh(network.encode(plane), summary, position, None, sums)
    for streamed, whole in zip(network.finish(sums, summary), together, strict=True):
        torch.testing.assert_close(streamed, whole, atol=2e-5, rtol=0)


def test_scenes_of_a_batch_do_not_see_each_other(network):
    planes = torch.stack([scene(3, seed=s) for s in range(4)])
    task = torch.tensor([0, 3, len(TASKS), 2])
    together = network(planes, task).plane
    for i, name in enumerate([TASKS[0], TASKS[3], None, TASKS[2]]):
        alone = network(planes[i], name).plane
        torch.testing.assert_close(together[i : i + 1], alone, atol=1e-5, rtol=0)


def test_the_task_matters(network):
    planes = scene(2)
    results = [network(planes, task).plane for task in (None, *TASKS)]
    for i, first in enumerate(results):
        for second in results[i + 1 :]:
            assert (first - second).abs().max() > 1e-3


def test_what_is_beyond_the_halo_changes_nothing(network):
    side = 2 * HALO + 3 * ALIGNMENT
    planes = scene(2, side, side)
    changed = planes.clone()
    changed[:, :ALIGNMENT, :ALIGNMENT] = 0
    first, second = network(planes), network(changed)
    reach = ALIGNMENT + HALO
    for before, after in zip(first, second, strict=True):
        differ = before != after
        assert differ.any()
        assert not differ[..., reach:, :].any()
        assert not differ[..., reach:].any()


def test_a_tile_with_its_halo_is_the_part_of_the_whole(network):
    planes = scene(2, 3 * HALO, 2 * HALO + 64)
    whole = network(planes)
    tile = network(planes[:, ALIGNMENT:])  # its upper border is not that of the plane
    for part, of_whole in zip(tile, whole, strict=True):
        torch.testing.assert_close(
            part[..., HALO:, :], of_whole[..., ALIGNMENT + HALO :, :], atol=1e-5, rtol=0
        )


def test_black_stays_black(network):
    planes = scene(3, 512, 512)
    planes[..., 200:, :] = 0
    fused = network(planes)
    assert fused.plane[..., 200 + HALO // 2 :, :].abs().max() < 1e-6
    assert network(torch.zeros(4, 64, 64)).plane.abs().max() == 0


def test_the_result_follows_the_brightness_of_a_flat_scene(network):
    for level in (0.0, 0.2, 1.0):
        fused = network(torch.full((3, 64, 64), level))
        assert fused.plane.numpy() == pytest.approx(level, abs=1e-6)


def test_multiplications_a_pixel_and_plane():
    """Of all convolutions, counted as they run; the pyramid and the weights take some 100 more."""
    network = GIFNetBands().eval()
    counted = 0

    def count(module, _, output):
        nonlocal counted
        counted += output.numel() * module.weight[0].numel()

    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(count)
    planes = scene(4, 128, 160)
    with torch.inference_mode():
        network(planes)
    assert counted / planes.numel() < 6000


def test_the_index_is_smooth_where_nothing_tells():
    """With the weights that ship: sharp text on the second plane, noise around it."""
    rng = np.random.default_rng(2)
    noise = [0.5 + 0.004 * rng.standard_normal((256, 256)) for _ in range(5)]
    text = data.page()[20:148, 100:228] / 255
    for k, plane in enumerate(noise):
        blur = 1.5 * abs(k - 1)
        plane[64:192, 64:192] += gaussian_filter(text, blur) - text.mean()
    index = (
        load_model("gifnet-bands").network(torch.from_numpy(np.float32(noise)), "multi_focus").index
    )
    index = index[0, 0].numpy()
    assert np.median(np.abs(index[80:176, 80:176] - 1)) < 0.2
    assert np.percentile(np.abs(np.diff(index[:40])), 99) < 0.4


def test_bfloat16_moves_a_pixel_by_little():
    """With the weights that ship; bands and weights stay float32, features do not."""
    network = load_model("gifnet-bands").network
    planes = np.stack([data.page()[:128, :192], data.text()[:128, :192]]) / 255
    planes = torch.from_numpy(planes.astype(np.float32))
    with torch.inference_mode():
        full = network(planes).plane
        with torch.autocast("cpu", torch.bfloat16):
            reduced = network(planes).plane
    assert (reduced - full).abs().mean() < 0.5 / 255
    assert (reduced - full).abs().max() < 16 / 255
