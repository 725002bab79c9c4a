"""Training: losses that fall, streams that are left alone, runs that go on after a kill."""

import csv
import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from scipy.ndimage import gaussian_filter
from skimage.metrics import structural_similarity

from napari_gifnet import load_model
from napari_gifnet.errors import ImageError
from napari_gifnet.metrics import (
    gradient_transfer,
    sum_of_correlations_of_differences,
    visual_information_fidelity,
)
from napari_gifnet.network import GIFNet
from napari_gifnet.training import TrainingRun, live, losses, train
from napari_gifnet.training.data import MAKERS, load_scenes, make_batch, make_quadruple
from napari_gifnet.training.train import Trainer, dp_losses, export, faithful_losses, mm_losses


def texture(seed, size=(72, 80)):
    noise = gaussian_filter(np.random.default_rng(seed).standard_normal(size), 1.5)
    return np.clip(0.5 + 0.2 * noise / noise.std(), 0, 1).astype(np.float32)


def tensor(plane):
    return torch.from_numpy(plane)[None, None]


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Four registered pairs as files: the visible in colour, the infrared its blurred negative."""
    folder = tmp_path_factory.mktemp("pairs")
    for side in "ab":
        (folder / side).mkdir()
    for i in range(4):
        visible = np.stack([texture(10 * i + c) for c in range(3)], -1)
        infrared = gaussian_filter(1 - visible[..., 0], 1)
        for side, picture in (("a", infrared), ("b", visible)):
            Image.fromarray((picture * 255).astype(np.uint8)).save(folder / side / f"{i}.png")
    return folder


def small_run(pairs, **options):
    defaults = {
        "stem_steps": 3,
        "stem_batch": 2,
        "stem_side": 48,
        "steps": 3,
        "batch": 2,
        "side": 48,
    }
    return TrainingRun(pairs=str(pairs), photographs=(str(pairs / "b"),), **defaults | options)


def test_the_papers_recipe_lowers_each_of_its_losses(pairs, tmp_path):
    run = small_run(pairs, recipe="paper", steps=200, batch=2, side=16, rate=1e-3)
    train(run, tmp_path, save_every=100)
    with (tmp_path / "losses.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 200
    for name in ("mm_fusion", "mm_reconstruction", "dp_fusion", "dp_reconstruction"):
        values = np.array([float(row[name]) for row in rows])
        assert values[-40:].mean() < 0.8 * values[:20].mean(), name
    assert load_model(tmp_path / "gifnet.safetensors").network is not None
    with Image.open(tmp_path / "progress.png") as picture:
        assert picture.width == 8 * 16


def test_the_faithful_recipe_learns_with_and_without_the_interaction(pairs):
    run = small_run(pairs, stem_steps=25, steps=3, stem_batch=3, stem_rate=8e-3)
    trainer = Trainer(run, load_scenes(pairs))
    fixed = make_batch((9, 9), trainer.scenes, run.shares, 6, 48)

    def judge():
        with torch.inference_mode():
            fused = trainer.network(fixed.a, fixed.b)
            terms = faithful_losses(fused, fixed)
        return sum(run.weights[name] * value.item() for name, value in terms.items())

    before = judge()
    for _ in range(25):
        trainer.update()
    after_stem = judge()
    still = {k: v.clone() for k, v in trainer.network.interaction.state_dict().items()}
    for _ in range(3):
        trainer.update()
    assert after_stem < 0.9 * before
    assert judge() < before
    moved = trainer.network.interaction.state_dict()
    assert any(not torch.equal(moved[k], still[k]) for k in still if "streams.mm" in k)


@pytest.mark.parametrize("size", [(16, 24), (21, 35)])
def test_the_quick_graph_has_the_values_and_the_gradients_of_the_network(size):
    torch.manual_seed(5)
    network = GIFNet().double()
    a, b = torch.rand(2, 2, 1, *size, dtype=torch.double)

    def published():
        features = network.encoder(a, b)
        return network.fusion(features, network.interaction(features, features, "dp"))

    planes, gradients = [], []
    for fuse in (published, lambda: live.fuse(network, a, b)):
        network.zero_grad()
        plane = fuse()
        (plane * torch.linspace(-1, 1, size[1])).sum().backward()
        planes.append(plane.detach())
        gradients.append({k: p.grad for k, p in network.named_parameters() if p.grad is not None})
    torch.testing.assert_close(planes[1], planes[0], rtol=0, atol=1e-12)
    assert gradients[0].keys() == gradients[1].keys()
    assert any("streams.mm" in name for name in gradients[0])
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, rtol=1e-6, atol=1e-9, msg=name)


def test_bfloat16_takes_nearly_the_same_step(pairs):
    """Its losses are float32's to a hundredth, and its gradients point the same way."""
    gradients, losses_of = [], []
    for precision in ("float32", "bfloat16"):
        run = small_run(pairs, start="gifnet", stem_steps=0, precision=precision)
        trainer = Trainer(run, load_scenes(pairs))
        parts = trainer._faithful_parts((1, 0))
        torch.stack(list(parts.values())).sum().backward()
        losses_of.append(sum(part.item() for part in parts.values()))
        gradients.append(
            torch.cat(
                [p.grad.flatten() for p in trainer.network.parameters() if p.grad is not None]
            )
        )
    assert losses_of[1] == pytest.approx(losses_of[0], rel=0.01)
    assert torch.cosine_similarity(*gradients, dim=0) > 0.9


def test_a_run_can_start_from_weights(pairs):
    run = small_run(pairs, start="gifnet")
    network = Trainer(run, load_scenes(pairs)).network
    for name, tensor in load_model("gifnet").network.state_dict().items():
        torch.testing.assert_close(network.state_dict()[name], tensor, msg=name)


@pytest.mark.parametrize(("stream", "loss"), [("mm", mm_losses), ("dp", dp_losses)])
def test_an_update_leaves_the_other_stream_bit_for_bit_alone(pairs, stream, loss):
    run = small_run(pairs, recipe="paper")
    trainer = Trainer(run, load_scenes(pairs))
    before = {k: v.clone() for k, v in trainer.network.state_dict().items()}
    trainer._descend(loss(trainer.network, make_quadruple((0, 0), trainer.scenes, 2, 24)))
    moved = {k for k, v in trainer.network.state_dict().items() if not torch.equal(v, before[k])}
    other = {"mm": ".dp", "dp": ".mm"}[stream]
    assert not [k for k in moved if other in k]
    assert {k.split(".")[0] for k in moved} == {
        "encoder",
        "interaction",
        "fusion",
        "reconstruction",
    }
    own = [k for k in before if f"streams.{stream}" in k]
    assert set(own) <= moved
    assert f"interaction.gate.{stream}" in moved
    assert before[f"interaction.gate.{stream}"][1] == trainer.network.interaction.gate[stream][1]


@pytest.fixture
def one_thread():
    """Sums over threads are rounded by how many there are; the runs compared have one each."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("one_thread")
def test_a_killed_run_goes_on_to_the_same_weights(pairs, tmp_path):
    """Killed, not stopped: the process gets SIGKILL between two checkpoints."""
    run = small_run(pairs, stem_steps=2, steps=3)
    train(run, tmp_path / "whole", save_every=2)

    code = (
        "import sys, torch; torch.set_num_threads(1)\n"
        "from napari_gifnet.training import TrainingRun, train\n"
        f"train({run!r}, sys.argv[1], save_every=2,"
        " progress=lambda step, *_: print(step, flush=True))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "killed")], stdout=subprocess.PIPE, text=True
    )
    for line in process.stdout:
        if int(line) == 3:
            os.kill(process.pid, signal.SIGKILL if os.name == "posix" else signal.SIGTERM)
            break
    process.wait()
    process.stdout.close()
    assert not (tmp_path / "killed" / "gifnet.safetensors").exists()
    train(run, tmp_path / "killed", save_every=2)
    whole, resumed = (
        load_model(tmp_path / name / "gifnet.safetensors").network.state_dict()
        for name in ("whole", "killed")
    )
    for key, value in whole.items():
        assert torch.equal(resumed[key], value), key


def test_a_checkpoint_in_mid_training_is_a_model(pairs, tmp_path):
    path = train(small_run(pairs), tmp_path, stop_at=4)
    assert isinstance(load_model(path).network, GIFNet)


def test_samples_are_what_they_say(pairs):
    scenes = load_scenes(pairs, [pairs / "b"], hold_out=100)
    for name, make in MAKERS.items():
        for seed in range(6):
            sample = make(np.random.default_rng(seed), scenes, 32)
            assert sample.a.shape == sample.b.shape == (32, 32), name
            assert (sample.truth is None) == (name in ("pair", "made")), name
    focus = MAKERS["focus"](np.random.default_rng(0), scenes, 32)
    sharper = np.minimum(np.abs(focus.a - focus.truth), np.abs(focus.b - focus.truth))
    assert np.median(sharper) < 1e-3  # each pixel is in focus in one of the two
    one, two = (make_batch((1, 7), scenes, {"pair": 1, "focus": 1}, 4, 24) for _ in range(2))
    assert all(torch.equal(x, y) for x, y in zip(one, two, strict=True))


def test_held_out_scenes_are_not_trained_on(pairs):
    training, validation = (
        load_scenes(pairs, hold_out=4, held_out=held_out) for held_out in (False, True)
    )
    assert (len(training.pairs), len(validation.pairs)) == (3, 1)
    assert not any(np.array_equal(p[0], validation.pairs[0][0]) for p in training.pairs)


def test_unregistered_sizes_are_refused(tmp_path):
    for side, size in (("a", (40, 40)), ("b", (50, 40))):
        (tmp_path / side).mkdir()
        Image.fromarray((texture(1, size) * 255).astype(np.uint8)).save(tmp_path / side / "x.png")
    with pytest.raises(ImageError, match=r"'x' has sizes \(40, 40\) and \(50, 40\)"):
        load_scenes(tmp_path)


class TestLosses:
    """The differentiable measures against the metrics that they stand for."""

    a, b, f = texture(1), texture(2), 0.5 * texture(1) + 0.5 * texture(3)

    def test_visual_information(self):
        ours = sum(losses.visual_information(tensor(x), tensor(self.f)) for x in (self.a, self.b))
        theirs = visual_information_fidelity(self.a, self.b, self.f)
        assert ours.item() == pytest.approx(theirs, rel=0.01)

    def test_gradient_transfer(self):
        ours = losses.gradient_transfer(tensor(self.a), tensor(self.b), tensor(self.f))
        theirs = gradient_transfer(self.a, self.b, self.f)
        # the metric takes angles in (−π/2, π/2) and sees a turn by π as a large one
        assert ours.item() == pytest.approx(theirs, abs=0.05)

    def test_correlation_of_differences(self):
        ours = losses.correlation_of_differences(tensor(self.a), tensor(self.b), tensor(self.f))
        theirs = sum_of_correlations_of_differences(self.a, self.b, self.f)
        assert ours.item() == pytest.approx(theirs, abs=1e-3)

    def test_structural_similarity(self):
        ours, _ = losses.structural_similarity(tensor(self.a), tensor(self.f))
        theirs = structural_similarity(
            self.a, self.f, data_range=1, gaussian_weights=True, use_sample_covariance=False
        )
        assert ours.item() == pytest.approx(theirs, abs=0.02)

    def test_laplacian_fusion_of_one_picture_is_that_picture(self):
        again = losses.laplacian_fusion(tensor(self.a), tensor(self.a))
        torch.testing.assert_close(again, tensor(self.a), atol=1e-5, rtol=0)

    def test_beyond_the_sources_is_what_leaves_their_range(self):
        low, high = torch.full((1, 1, 16, 16), 0.2), torch.full((1, 1, 16, 16), 0.6)
        assert losses.beyond_sources(low, high, torch.full_like(low, 0.5)).item() == 0
        assert losses.beyond_sources(low, high, torch.full_like(low, 0.7)).item() == pytest.approx(
            0.1
        )

    def test_information_prefers_texture(self):
        flat, rough = tensor(texture(1) * 0.1), tensor(texture(1))
        assert losses.information(rough) > 10 * losses.information(flat)


def test_exported_weights_say_how_they_were_trained_but_not_where(pairs, tmp_path):
    run = small_run(pairs, seed=7)
    export(GIFNet(), run, tmp_path / "x.safetensors")
    with safe_open(tmp_path / "x.safetensors", "pt") as file:
        description = json.loads(file.metadata()["run"])
    assert description["seed"] == 7
    assert description["pairs"] == pairs.name
    assert str(pairs.parent) not in json.dumps(description)
