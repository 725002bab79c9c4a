"""Training the band network: samples that are what they say, losses that fall, runs that go on."""

import csv
import dataclasses
import json

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file
from scipy.ndimage import gaussian_filter

from napari_gifnet.errors import CheckpointError, OptionError
from napari_gifnet.network.bands import TASKS, GIFNetBands
from napari_gifnet.training.band_losses import band_losses, missing_relief
from napari_gifnet.training.band_samples import MAKERS, NO_TASK, make_batches
from napari_gifnet.training.bands import BandRun, BandTrainer, read_band_run, train_bands
from napari_gifnet.training.losses import lost_detail
from napari_gifnet.training.made_scenes import blur_bank, blurred, head
from napari_gifnet.training.scenes import load_scenes


def texture(seed, size=(120, 140)):
    rng = np.random.default_rng(seed)
    noise = gaussian_filter(rng.standard_normal(size), 1.5)
    return np.clip(0.5 + 0.2 * noise / noise.std(), 0, 1)


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
    sizes = {"side": 48, "wide_side": 64}
    defaults = {"steps": 6, "pairs_a_step": 3, "stack_planes": 4, "singles": 1} | sizes
    return BandRun(pairs=str(pairs), photographs=(str(pairs / "b"),), **defaults | options)


def batches(run, scenes, step=0):
    return make_batches(
        (run.seed, step),
        scenes,
        run.side,
        pairs=run.pairs_a_step,
        shares=run.shares,
        stack_planes=run.stack_planes,
        singles=run.singles,
    )


@pytest.mark.parametrize("name", list(MAKERS))
def test_samples_are_what_they_say(pairs, name):
    scenes = load_scenes(pairs, [pairs / "b"], hold_out=100)
    for seed in range(8):
        count = {"single": 1, "focus": 2 + seed, "exposure": 2 + seed % 4}.get(name, 2)
        sample = MAKERS[name](np.random.default_rng(seed), scenes, 48, count)
        assert len(sample.planes) == len(sample.clean) == count
        assert all(p.shape == (48, 48) for p in sample.planes)
        assert (sample.truth is None) == (name in ("infrared", "made", "head", "plain"))
        assert sample.task is None or sample.task in TASKS


def test_the_plane_in_focus_is_the_sharp_one(pairs):
    scenes = load_scenes(pairs, [pairs / "b"], hold_out=100)
    for seed in range(12):
        sample = MAKERS["focus"](np.random.default_rng(seed), scenes, 64, 5)
        away = np.abs(np.array(sample.clean) - sample.truth)
        nearest = np.take_along_axis(away, np.round(sample.places).astype(int)[None], 0)[0]
        assert np.median(nearest) <= np.median(away.max(0))
        assert 0 <= sample.places.min() <= sample.places.max() <= 4


def test_blur_follows_its_map():
    plane = texture(1, (64, 64)).astype(np.float32)
    bank = blur_bank(plane, 4.0)
    assert np.array_equal(blurred(bank, np.zeros((64, 64))), plane)
    for sigma in (1.0, 3.0):
        expected = gaussian_filter(plane, sigma, truncate=3)
        np.testing.assert_allclose(blurred(bank, np.full((64, 64), sigma)), expected, atol=1e-5)


def test_heads_lie_in_black_air():
    for seed in range(10):
        for plane in head(np.random.default_rng(seed), 96):
            assert plane.dtype == np.float32
            assert 0 <= plane.min() <= plane.max() <= 1
    assert any(
        (np.maximum(*head(np.random.default_rng(seed), 96)) < 4 / 255).mean() > 0.2
        for seed in range(10)
    )


def test_a_seed_gives_the_same_batches_and_tells_some_of_the_tasks(pairs):
    run, scenes = small_run(pairs), load_scenes(pairs, [pairs / "b"], hold_out=100)
    for one, two in zip(batches(run, scenes, 7), batches(run, scenes, 7), strict=True):
        assert all(torch.equal(x, y) for x, y in zip(one, two, strict=True))
    tasks = torch.cat([b.task for step in range(60) for b in batches(run, scenes, step)])
    assert 0.5 < (tasks == NO_TASK).float().mean() < 0.9
    assert set(tasks.tolist()) == set(range(NO_TASK + 1))


def test_a_sample_with_a_truth_is_judged_by_the_truth_alone(pairs):
    scenes = load_scenes(pairs, [pairs / "b"], hold_out=100)
    shares = {"focus": 1.0, "exposure": 1.0}
    (batch,) = make_batches((1, 1), scenes, 48, pairs=6, shares=shares, stack_planes=0, singles=0)
    fused = GIFNetBands()(batch.planes, batch.task)
    terms = band_losses(fused, batch)
    assert {"truth", "truth_decibels", "clipping", "selection", "index"} <= set(terms)
    assert not {"edges", "information", "differences"} & set(terms)
    perfect = band_losses(fused._replace(plane=batch.truth, selected=batch.truth), batch)
    for name in ("truth", "truth_gradient", "truth_structure", "truth_decibels", "truth_beyond"):
        assert perfect[name].item() == pytest.approx(0, abs=1e-5), name
        assert terms[name] > 0


def test_detail_that_one_exposure_lost_is_asked_of_the_other():
    scene = torch.from_numpy(texture(3, (64, 64))).float()[None, None]
    over, under = (scene * 3).clamp(0, 1), scene / 2
    flat = torch.full_like(scene, 0.6)
    kept, lost = (lost_detail(over, under, fused).item() for fused in (scene, flat))
    assert kept < 0.02
    assert lost > 0.9
    assert lost_detail(scene, scene, flat).item() == 0  # nothing is clipped


def test_eighty_steps_lower_the_losses(pairs):
    run = small_run(pairs, steps=80)
    scenes = load_scenes(pairs, [pairs / "b"], hold_out=100)
    trainer = BandTrainer(run, scenes)
    kept = [batch for step in range(3) for batch in batches(run, scenes, 10_000 + step)]

    def judge():
        network = GIFNetBands()
        network.load_state_dict(trainer.average)
        with torch.inference_mode():
            terms = [band_losses(network(b.planes, b.task), b) for b in kept]
        return sum(run.weights[k] * v.item() for t in terms for k, v in t.items())

    before = judge()
    for _ in range(run.steps):
        trainer.update()
    assert judge() < 0.95 * before


def test_the_last_part_of_a_run_has_a_rate_shares_and_weights_of_its_own(pairs):
    run = small_run(
        pairs,
        steps=10,
        last_part=0.4,
        last_shares={"head": 0.9},
        last_weights={"edges": 1.5},
    )
    assert run.first_steps == 6
    assert (run.shares_at(5)["head"], run.shares_at(6)["head"]) == (run.shares["head"], 0.9)
    assert (run.weights_at(5)["edges"], run.weights_at(6)["edges"]) == (run.weights["edges"], 1.5)
    assert run.weights_at(6)["truth"] == run.weights["truth"]
    trainer, rates = BandTrainer(run, None), []
    for trainer.step in range(run.steps):
        rates.append(trainer.learning_rate())
    assert rates[6] == pytest.approx(run.last_rate)
    assert rates[9] < rates[8] < rates[7] < rates[6]


def test_a_run_that_was_stopped_ends_with_the_same_bits(pairs, tmp_path):
    run = small_run(pairs)
    train_bands(run, tmp_path / "whole")
    train_bands(run, tmp_path / "parts", stop_at=4, save_every=3)
    with (tmp_path / "parts" / "losses.csv").open("a") as file:
        file.write("5,1.0,0.5\n")  # a step made after the checkpoint, before a kill
    train_bands(run, tmp_path / "parts")
    files = [tmp_path / name / "gifnet-bands.safetensors" for name in ("whole", "parts")]
    whole, parts = map(load_file, files)
    assert set(whole) == set(parts)
    assert all(torch.equal(whole[key], parts[key]) for key in whole)
    with safe_open(files[0], "pt") as file:
        assert file.metadata()["model"] == "gifnet-bands"
        assert json.loads(file.metadata()["runs"])[0]["steps"] == 6
    with (tmp_path / "parts" / "losses.csv").open(newline="") as file:
        assert [row["step"] for row in csv.DictReader(file)] == list("123456")


def test_a_folder_of_another_run_is_refused(pairs, tmp_path):
    train_bands(small_run(pairs), tmp_path, stop_at=1)
    with pytest.raises(OptionError, match="is of a run with seed=0, not 1"):
        train_bands(small_run(pairs, seed=1), tmp_path)


def test_weights_tell_of_their_run(pairs, tmp_path):
    run = small_run(pairs, steps=1)
    train_bands(run, tmp_path)
    told = read_band_run(tmp_path / "gifnet-bands.safetensors")
    assert told == dataclasses.replace(run, pairs=pairs.name, photographs=("b",))
    with pytest.raises(CheckpointError, match="does not say how it was trained as gifnet-bands"):
        read_band_run("gifnet")


def test_a_plane_that_is_drowned_by_another_costs_its_relief():
    """Dim blobs beside a bright texture: the mean keeps them, the brighter of each pixel does not."""
    noise = gaussian_filter(np.random.default_rng(5).standard_normal((96, 96)), 6)
    dim = torch.from_numpy((0.15 + 0.1 * noise / np.abs(noise).max()).astype(np.float32))[
        None, None
    ]
    bright = torch.from_numpy((0.5 + 0.4 * texture(3, (96, 96))).astype(np.float32))[None, None]
    lost = [missing_relief(dim, bright, x).item() for x in (dim, (dim + bright) / 2, bright)]
    assert lost[1] == 0
    assert lost[2] > 0.2
    assert missing_relief(dim / 4, bright / 4, bright / 4).item() == pytest.approx(lost[2], rel=0.4)
