"""Training: losses that fall, streams that are left alone, runs that go on after a kill."""

import csv
import dataclasses
import json
import os
import re
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file
from scipy.ndimage import gaussian_filter
from skimage.metrics import structural_similarity

from napari_gifnet import load_model
from napari_gifnet.errors import CheckpointError, ImageError, OptionError
from napari_gifnet.files.formats import FileError, write
from napari_gifnet.metrics import (
    gradient_transfer,
    sum_of_correlations_of_differences,
    visual_information_fidelity,
)
from napari_gifnet.network import GIFNet
from napari_gifnet.training import TrainingRun, fast_forward, losses, read_run, train
from napari_gifnet.training.densenet import DenseFeatures, information, load_classifier
from napari_gifnet.training.loop import Trainer
from napari_gifnet.training.recipes import dp_losses, faithful_losses, mm_losses
from napari_gifnet.training.runs import describe, export, read_runs
from napari_gifnet.training.samples import MAKERS, make_batch, make_quadruple, render
from napari_gifnet.training.scenes import load_scenes


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
    run = small_run(pairs, recipe="paper", steps=120, batch=2, side=16, rate=1e-3)
    train(run, tmp_path, save_every=120)
    with (tmp_path / "losses.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 120
    for name in ("mm_fusion", "mm_reconstruction", "dp_fusion", "dp_reconstruction"):
        values = np.array([float(row[name]) for row in rows])
        assert values[-30:].mean() < 0.85 * values[:20].mean(), name
    assert load_model(tmp_path / "gifnet.safetensors").network is not None
    with Image.open(tmp_path / "progress.png") as picture:
        assert picture.width == 8 * 16


def test_an_interrupted_run_has_each_step_once_in_its_table(pairs, tmp_path):
    run = small_run(pairs, stem_steps=0, steps=6, batch=1, side=48)

    class Interrupted(Exception):
        pass

    def interrupt(step, total, losses):
        if step == 5:
            raise Interrupted

    with pytest.raises(Interrupted):
        train(run, tmp_path, save_every=2, progress=interrupt)
    train(run, tmp_path, save_every=2)
    with (tmp_path / "losses.csv").open(newline="") as file:
        steps = [int(row["step"]) for row in csv.DictReader(file)]
    assert steps == [1, 2, 3, 4, 5, 6]


def test_the_faithful_recipe_learns_with_and_without_the_interaction(pairs):
    run = small_run(pairs, stem_steps=25, steps=3, stem_batch=3, stem_rate=8e-3)
    trainer = Trainer(run, load_scenes(pairs))
    fixed = make_batch((9, 9), trainer.scenes, run.shares, 6, 48)

    def judge():
        with torch.inference_mode():
            fused = trainer.network(fixed.a, fixed.b)
            terms = faithful_losses(fused, fixed)
        return sum(run.weights.get(name, 0) * value.item() for name, value in terms.items())

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


def test_judged_by_the_truth_alone_its_own_truth_costs_nothing(pairs):
    """Likeness to blurred or clipped inputs does, where it counts, too."""
    scenes = load_scenes(pairs)
    batch = make_batch((3, 3), scenes, {"focus": 0.5, "depth": 0.5}, 4, 48)
    both, alone = (faithful_losses(batch.truth, batch, truth_alone=t) for t in (False, True))
    assert sum(value.item() for value in alone.values()) == pytest.approx(0, abs=1e-5)
    assert both["edges"] > 0.01
    assert both["information"] > 0.01


def test_focus_along_a_made_depth_is_blurred_in_both_planes_but_sharp_in_one_of_them(pairs):
    batch = make_batch((4, 4), load_scenes(pairs), {"depth": 1.0}, 6, 48)
    away = [(plane - batch.truth).abs() for plane in (batch.a, batch.b)]
    assert batch.supervised.all()
    assert min(each.mean() for each in away) > 0.003
    assert torch.minimum(*away).mean() < 0.25 * min(each.mean() for each in away)


@pytest.mark.parametrize("size", [(16, 24), (21, 35)])
def test_the_quick_graph_has_the_values_and_the_gradients_of_the_network(size):
    torch.manual_seed(5)
    network = GIFNet().double()
    a, b = torch.rand(2, 2, 1, *size, dtype=torch.double)

    def published():
        features = network.encoder(a, b)
        return network.fusion(features, network.interaction(features, features, "dp"))

    planes, gradients = [], []
    for fuse in (published, lambda: fast_forward.fuse(network, a, b)):
        network.zero_grad()
        plane = fuse()
        (plane * torch.linspace(-1, 1, size[1])).sum().backward()
        planes.append(plane.detach())
        gradients.append({k: p.grad for k, p in network.named_parameters() if p.grad is not None})
    torch.testing.assert_close(planes[1], planes[0], rtol=0, atol=3e-12)
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
    run = small_run(pairs, stem_steps=2, steps=3, stem_batch=1, batch=1)
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
            assert (sample.truth is None) == (name in ("pair", "made", "smooth")), name
    focus = MAKERS["focus"](np.random.default_rng(0), scenes, 32)
    sharper = np.minimum(np.abs(focus.a - focus.truth), np.abs(focus.b - focus.truth))
    assert np.median(sharper) < 1e-3  # each pixel is in focus in one of the two
    one, two = (make_batch((1, 7), scenes, {"pair": 1, "focus": 1}, 4, 24) for _ in range(2))
    assert all(torch.equal(x, y) for x, y in zip(one, two, strict=True))


@pytest.mark.parametrize(("white", "span"), [(1.0, 1.0), (1.5, 1.0), (2.2, 1.0), (2.2, 0.6)])
def test_the_truth_of_exposures_clips_nothing_and_keeps_detail(white, span):
    """Neither black nor white, and ripples survive in bright regions as in the others."""
    x, y = np.meshgrid(np.arange(120), np.arange(96))
    scene = white * (0.04 + 0.82 * x / 119) + 0.02 * np.sin(y)
    shown = render(scene.astype(np.float32), white, span)
    assert shown.min() > 5 / 255
    assert shown.max() < 250 / 255
    assert shown[:, 90:108].std(0).min() > scene.std(0).min() / 3
    dark = render(np.full((32, 32), 0.02, np.float32), white)
    assert dark.min() > 0.02
    assert render(np.zeros((32, 32), np.float32), white).max() == 0
    bright = np.full((32, 32), 0.9, np.float32)
    assert (render(bright, 2.2, span) < render(bright, 2.2) - 0.02).all() == (span < 1)


def test_the_truth_of_exposures_is_what_the_darker_one_shows(pairs):
    """The darker exposure is hardly clipped, scenes brighter than white included, as the truth."""
    scenes = load_scenes(pairs)
    samples = [MAKERS["exposure"](np.random.default_rng(i), scenes, 48) for i in range(30)]
    assert sum((s.a >= 1).mean() > 0.5 for s in samples) > 5
    for sample in samples:
        assert (sample.b >= 1).mean() < 0.02
        assert 0 <= sample.truth.min() <= sample.truth.max() < 245 / 255
        assert np.corrcoef(sample.b.ravel(), sample.truth.ravel())[0, 1] > 0.8


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


def test_pictures_of_any_depth_keep_their_tones(tmp_path):
    ramp = np.linspace(0, 1, 256)[None].repeat(32, 0)
    files = {
        "8.png": np.round(ramp * 255).astype(np.uint8),
        "16.png": np.round(ramp * 65535).astype(np.uint16),
        "12_of_16.tif": np.round(ramp * 4095).astype(np.uint16),
        "float.tif": ramp.astype(np.float32),
        "minus.tif": (ramp * 50 - 20).astype(np.float32),
    }
    for name, data in files.items():
        write(tmp_path / name, data, "YX")
    for photograph in load_scenes(photographs=[tmp_path], hold_out=100).photographs:
        np.testing.assert_allclose(photograph[..., 0], files["8.png"], atol=1)


def test_stacks_are_no_training_pictures(tmp_path):
    write(tmp_path / "stack.tif", np.zeros((3, 40, 40), np.uint8), "ZYX")
    with pytest.raises(
        ImageError, match=r"stack\.tif is a stack of axes ZYX: expected .* one plane"
    ):
        load_scenes(photographs=[tmp_path])


def test_pairs_are_those_of_one_place(tmp_path):
    sizes = {"x/1": (60, 50), "y/1": (40, 70), "z/1": (30, 30)}
    for side, places in (("a", ("x/1", "y/1", "z/1")), ("b", ("y/1", "x/1"))):
        for place in places:
            path = tmp_path / side / f"{place}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray((texture(1, sizes[place]) * 255).astype(np.uint8)).save(path)
    scenes = load_scenes(tmp_path, hold_out=100)
    assert [(a.shape, b.shape) for a, b in scenes.pairs] == [((60, 50),) * 2, ((40, 70),) * 2]
    Image.fromarray(np.zeros((60, 50), np.uint8)).save(tmp_path / "a" / "x" / "1.tif")
    with pytest.raises(FileError, match="have one name"):
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

    def test_beyond_the_sources_is_what_leaves_their_range(self):
        low, high = torch.full((1, 1, 16, 16), 0.2), torch.full((1, 1, 16, 16), 0.6)
        assert losses.beyond_sources(low, high, torch.full_like(low, 0.5)).item() == 0
        assert losses.beyond_sources(low, high, torch.full_like(low, 0.7)).item() == pytest.approx(
            0.1
        )

    def test_clipping_survives_only_where_the_other_source_is_not_clipped(self):
        white, gray, black = (torch.full((1, 1, 16, 16), v) for v in (1.0, 0.6, 0.0))
        assert losses.surviving_clipping(white, gray, gray).item() == 0
        assert losses.surviving_clipping(white, white, white).item() == 0
        of_white = losses.surviving_clipping(white, gray, white).item()
        assert of_white == pytest.approx(13 / 255, rel=0.02)
        of_black = losses.surviving_clipping(gray, black, black).item()
        assert of_black == pytest.approx(16 / 255, rel=0.02)

    def test_a_seam_is_invented_and_an_edge_of_a_source_is_not(self):
        ramp = torch.linspace(0, 1, 32).expand(1, 1, 32, 32)
        edge = (ramp > 0.5).float()
        seam = ramp + 0.02 * edge
        assert losses.invented_detail(ramp, ramp, ramp).item() < 1e-6
        assert losses.invented_detail(ramp, edge, seam).item() < 1e-6
        assert losses.invented_detail(ramp, ramp, seam).item() > 1e-3

    def test_information_prefers_texture(self):
        flat, rough = tensor(texture(1) * 0.1), tensor(texture(1))
        assert losses.information(rough) > 10 * losses.information(flat)


def test_exported_weights_say_how_they_were_trained_but_not_where(pairs, tmp_path):
    run = small_run(pairs, seed=7)
    export(GIFNet(), [describe(run)], tmp_path / "x.safetensors")
    with safe_open(tmp_path / "x.safetensors", "pt") as file:
        (description,) = json.loads(file.metadata()["runs"])
    assert description["seed"] == 7
    assert description["pairs"] == pairs.name
    assert str(pairs.parent) not in json.dumps(description)


def test_a_run_can_be_repeated_from_its_weights_which_remember_what_came_before(pairs, tmp_path):
    one_step = {"stem_steps": 0, "steps": 1}
    shares = {"focus": 0.5, "single": 0.5}
    train(small_run(pairs, seed=7, shares=shares, **one_step), tmp_path / "first")
    first = tmp_path / "first" / "gifnet.safetensors"
    run = read_run(first)
    assert (run.seed, run.shares, run.pairs) == (7, shares, pairs.name)
    again = dataclasses.replace(run, pairs=str(pairs), photographs=(str(pairs / "b"),))
    train(again, tmp_path / "again")
    second = small_run(pairs, start=str(first), **one_step)
    train(second, tmp_path / "second")
    states = [
        load_model(tmp_path / name / "gifnet.safetensors").network.state_dict()
        for name in ("first", "again")
    ]
    assert all(torch.equal(states[1][k], v) for k, v in states[0].items())
    for name in ("gifnet.safetensors", "checkpoint.pt"):
        assert [run["seed"] for run in read_runs(tmp_path / "second" / name)] == [7, 0]


def test_a_run_goes_on_without_the_weights_it_began_with(pairs, tmp_path):
    train(small_run(pairs, stem_steps=0, steps=1), tmp_path / "first")
    start = tmp_path / "first" / "gifnet.safetensors"
    run = small_run(pairs, start=str(start), stem_steps=0, steps=2)
    train(run, tmp_path / "second", stop_at=1)
    start.unlink()
    train(run, tmp_path / "second")
    assert len(read_runs(tmp_path / "second" / "gifnet.safetensors")) == 2


def test_a_folder_of_another_run_is_left_alone(pairs, tmp_path):
    train(small_run(pairs, seed=3), tmp_path, stop_at=1)
    before = (tmp_path / "checkpoint.pt").read_bytes()
    with pytest.raises(OptionError, match="of a run with seed=3, not 4: expected the same options"):
        train(small_run(pairs, seed=4), tmp_path)
    assert (tmp_path / "checkpoint.pt").read_bytes() == before
    assert json.loads((tmp_path / "run.json").read_text())["seed"] == 3


def test_weights_of_a_former_version_are_repeated_without_the_terms_it_did_not_have(tmp_path):
    former = {"run": json.dumps({"pairs": "roadscene", "weights": {"edges": 6.0}, "seed": 2})}
    save_file({"x": torch.zeros(1)}, tmp_path / "former.safetensors", metadata=former)
    run = read_run(tmp_path / "former.safetensors")
    assert (run.pairs, run.seed) == ("roadscene", 2)
    assert run.weights["edges"] == 6
    assert run.weights["clipping"] == 0


def test_weights_that_do_not_say_how_they_were_trained_cannot_be_repeated(tmp_path):
    save_file({"x": torch.zeros(1)}, tmp_path / "silent.safetensors")
    foreign = {"run": "wandb-42"}
    save_file({"x": torch.zeros(1)}, tmp_path / "foreign.safetensors", metadata=foreign)
    torch.save({"x": torch.zeros(1)}, tmp_path / "plain.pt")
    for name in ("silent.safetensors", "foreign.safetensors", "plain.pt"):
        with pytest.raises(CheckpointError, match="does not say how it was trained"):
            read_run(tmp_path / name)
    newer = {"runs": json.dumps([{"recipe": "faithful", "warp": 3}])}
    save_file({"x": torch.zeros(1)}, tmp_path / "newer.safetensors", metadata=newer)
    with pytest.raises(CheckpointError, match="'warp', which this version does not have"):
        read_run(tmp_path / "newer.safetensors")


class TestClassifier:
    """DenseNet-121 with random weights, since the published ones are not at hand."""

    @pytest.fixture(scope="class")
    def file(self, tmp_path_factory):
        """The names of torchvision's own file: with "features.", dots before digits, a classifier."""
        torch.manual_seed(3)
        state = DenseFeatures().state_dict()
        old = {
            "features." + re.sub(r"(denselayer\d+\.(?:norm|conv))(\d)", r"\1.\2", k): v
            for k, v in state.items()
            if not k.endswith("num_batches_tracked")
        }
        assert "features.denseblock1.denselayer1.norm.1.weight" in old
        old |= {"features.norm5.weight": torch.ones(1024), "classifier.bias": torch.zeros(1000)}
        path = tmp_path_factory.mktemp("classifier") / "densenet121.pth"
        torch.save(old, path)
        return path

    def test_it_is_densenet_121(self, file):
        network = load_classifier(file)
        # 7,978,856 with the last norm (2 · 1024) and the classifier (1,025,000)
        assert sum(p.numel() for p in network.parameters()) == 7_978_856 - 2_048 - 1_025_000
        features = network(torch.rand(1, 3, 64, 96))
        assert [tuple(f.shape[1:]) for f in features] == [
            (64, 16, 24),
            (128, 8, 12),
            (256, 4, 6),
            (512, 2, 3),
            (1024, 2, 3),
        ]

    def test_one_number_a_batch_which_is_larger_for_texture(self, file):
        network = load_classifier(file)
        flat, rough = tensor(texture(1) * 0.1), tensor(texture(1))
        assert information(network, rough).shape == ()
        assert information(network, rough) > 2 * information(network, flat)

    def test_features_without_detail_are_without_information(self):
        flat = [torch.full((1, 3, side, side), 0.7) for side in (8, 4, 2, 2)]
        assert information(lambda plane: flat, torch.rand(1, 1, 64, 64)).item() < 1e-10

    def test_it_weighs_the_sources_of_the_papers_recipe(self, file, pairs, tmp_path):
        run = small_run(pairs, recipe="paper", steps=1, side=64, classifier=str(file))
        train(run, tmp_path)
        assert read_run(tmp_path / "gifnet.safetensors").classifier == file.name
        trainer = Trainer(run, load_scenes(pairs))
        quadruple = make_quadruple((0, 0), trainer.scenes, 2, 64)
        with_it, without = (
            mm_losses(trainer.network, quadruple, c)["mm_fusion"].item()
            for c in (trainer.classifier, None)
        )
        assert with_it != without

    def test_other_weights_and_uses_are_refused(self, pairs, tmp_path, file):
        path = tmp_path / "x.safetensors"
        save_file({"features.conv0.weight": torch.zeros(1)}, path)
        with pytest.raises(
            CheckpointError, match=r"DenseNet-121: expected 'features.conv0.weight'"
        ):
            load_classifier(path)
        with pytest.raises(CheckpointError, match=r"There is no file .*missing\.pth: expected"):
            load_classifier(tmp_path / "missing.pth")
        with pytest.raises(OptionError, match="no use in the recipe 'faithful'"):
            small_run(pairs, classifier=str(file))
        with pytest.raises(OptionError, match="at least 64"):
            small_run(pairs, recipe="paper", side=48, classifier=str(file))
