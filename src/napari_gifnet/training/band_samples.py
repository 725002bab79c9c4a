"""Training samples of the band network: one to eight planes, what of them is known, and the task.

A sample is made from its own random generator, seeded by the run, the step and its place, so that a
resumed run sees what an uninterrupted one sees.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from napari_gifnet.network.bands import TASKS

from .made_scenes import depth_scene, exposed, focus_planes, head, shown
from .samples import (
    crop,
    degrade,
    focus_pair,
    made_sample,
    pair_sample,
    reduced_photograph,
    render,
    smooth_sample,
    tone,
)
from .scenes import Scenes

Plane = np.ndarray
Generator = np.random.Generator

NO_TASK = len(TASKS)


class Habits(NamedTuple):
    """How samples are made."""

    named: float = 0.4
    """How often the network is told the task; else it has to see it."""
    wide: float = 0.25
    """Of exposures, how often their scene has more than one exposure shows."""
    crushed: float = 0.3
    """How often a darker exposure loses its deepest shadows."""
    crush: float = 0.06
    """Up to which value in [0, 1] it does."""


class BandSample(NamedTuple):
    """Planes, float32 (S, S) in [0, 1], and what is known of them.

    `clean` are the planes without made noise or blur. `truth` and `places`, where among the planes the
    one in focus is, are None where nobody knows them.
    """

    planes: Sequence[Plane]
    clean: Sequence[Plane]
    truth: Plane | None
    places: Plane | None
    task: str | None
    exposures: bool = False


class BandBatch(NamedTuple):
    """Samples of one number of planes as tensors."""

    planes: Tensor  # (N, P, S, S)
    clean: Tensor  # (N, P, S, S)
    truth: Tensor  # (N, 1, S, S)
    places: Tensor  # (N, 1, S, S)
    supervised: Tensor  # (N,) of bool: there is a truth
    placed: Tensor  # (N,) of bool: there are places
    exposures: Tensor  # (N,) of bool
    task: Tensor  # (N,) of int


def with_noise(rng: Generator, planes: Sequence[Plane]) -> list[Plane]:
    """Planes with a sensor's noise, from hardly any to very much, in some spread to the neighbours."""
    sigma = np.exp(rng.uniform(np.log(0.003), np.log(0.05)))
    width = 0.0 if rng.random() < 0.4 else rng.uniform(0.4, 1.3)
    noisy = []
    for plane in planes:
        noise = rng.standard_normal(plane.shape).astype(np.float32)
        if width:
            noise = ndimage.gaussian_filter(noise, width)
        noisy.append(plane + np.float32(sigma / noise.std()) * noise)
    return noisy


def focus_sample(rng: Generator, scenes: Scenes, side: int, count: int) -> BandSample:
    """Planes focused at depths of a made scene; of pairs some are two sides of a mask, blurred by a disc."""
    index = None
    if count == 2 and rng.random() < 0.25:
        truth = reduced_photograph(rng, scenes, side)
        planes = list(focus_pair(rng, truth))
    else:
        pictures = [reduced_photograph(rng, scenes, side) for _ in range(2)]
        truth, depth = depth_scene(rng, pictures)
        planes, index = focus_planes(rng, truth, depth, count)
    clean = planes
    if rng.random() < 0.45:
        planes = with_noise(rng, planes)
    if rng.random() < 0.5:
        planes = [np.round(np.clip(p, 0, 1) * 255) / 255 for p in planes]
    order = np.arange(count)
    if rng.random() < 0.5:  # the stack may run either way
        order, index = order[::-1], None if index is None else count - 1 - index
    return BandSample(
        [planes[i] for i in order], [clean[i] for i in order], truth, index, "multi_focus"
    )


def exposure_sample(
    rng: Generator,
    scenes: Scenes,
    side: int,
    count: int,
    habits: Habits = Habits(),  # noqa: B008
) -> BandSample:
    """Exposures of a scene, some of a wider range than one exposure shows; the truth shows it all."""
    scene = reduced_photograph(rng, scenes, side) * np.float32(rng.uniform(0.85, 1.0))
    jitter = rng.uniform(-1, 1, count) * (0.15 if rng.random() < 0.7 else 0.35)
    white, span = 1.0, 1.0
    if rng.random() < habits.wide:
        widest = rng.uniform(1.2, 3.3)
        darkest = widest + rng.uniform(-0.5, 0.5)
        white = max(1.0, float(2 ** (darkest / 2.2)) * rng.uniform(0.8, 1.0))
        span = min(1.0, 1.8 / darkest)
        scene = scene * np.float32(white / max(scene.max(), 0.3))
    else:
        widest = darkest = rng.uniform(0.5, 2.4)
    stops = np.linspace(widest, -darkest, count) + jitter
    planes = exposed(rng, scene, stops, habits.crushed, habits.crush)
    truth = render(scene, white, span) if white > 1 else shown(scene)
    order = rng.permutation(count)
    planes = [planes[i] for i in order]
    return BandSample(planes, planes, truth, None, "multi_exposure", exposures=True)


def single_sample(rng: Generator, scenes: Scenes, side: int, count: int = 1) -> BandSample:
    """One picture, to be sharpened where it is blurred, calmed where it is noisy and else kept."""
    truth = reduced_photograph(rng, scenes, side)
    kind = rng.random()
    plane = truth if kind < 0.35 else ndimage.gaussian_filter(truth, rng.uniform(0.3, 1.2))
    if kind > 0.85:
        plane = plane + rng.uniform(0.003, 0.02) * rng.standard_normal(plane.shape).astype(
            np.float32
        )
    return BandSample([plane] * count, [plane] * count, truth, None, None)


def infrared_sample(rng: Generator, scenes: Scenes, side: int, count: int = 2) -> BandSample:
    """A patch of a registered pair."""
    pair = pair_sample(rng, scenes, side)
    task = "nir_visible" if rng.random() < 0.15 else "infrared_visible"
    return BandSample([pair.a, pair.b], [pair.clean_a, pair.clean_b], None, None, task)


def made_modalities(rng: Generator, scenes: Scenes, side: int, count: int = 2) -> BandSample:
    """Channels of one photograph as modalities, two of them blind in places, or three of any tones."""
    if count == 2:
        pair = made_sample(rng, scenes, side)
        task = ("nir_visible", "pansharpening", "infrared_visible")[rng.integers(3)]
        return BandSample([pair.a, pair.b], [pair.clean_a, pair.clean_b], None, None, task)
    (patch,) = crop(rng, [scenes.photographs[rng.integers(len(scenes.photographs))]], side)
    planes = [tone(rng, patch[..., c].astype(np.float32) / 255) for c in range(3)]
    if rng.random() < 0.5:
        inside = head(rng, side)[1] > 0.03
        planes = [p * inside for p in planes]
    return BandSample([degrade(rng, p) for p in planes], planes, None, None, None)


def head_sample(rng: Generator, scenes: Scenes, side: int, count: int = 2) -> BandSample:
    """A made slice of a head in two modalities."""
    texture = reduced_photograph(rng, scenes, side) if rng.random() < 0.35 else None
    a, b = head(rng, side, texture)
    if rng.random() < 0.2:
        a, b = b, a
    return BandSample([a, b], [a, b], None, None, "pet_mri")


def plain_sample(rng: Generator, scenes: Scenes, side: int, count: int = 2) -> BandSample:
    """Two planes without detail."""
    pair = smooth_sample(rng, scenes, side)
    return BandSample([pair.a, pair.b], [pair.a, pair.b], None, None, None)


Maker = Callable[[Generator, Scenes, int, int], BandSample]

MAKERS: dict[str, Maker] = {
    "infrared": infrared_sample,
    "made": made_modalities,
    "head": head_sample,
    "focus": focus_sample,
    "exposure": exposure_sample,
    "single": single_sample,
    "plain": plain_sample,
}


def make_batches(
    seed: Sequence[int],
    scenes: Scenes,
    side: int,
    *,
    pairs: int,
    shares: Mapping[str, float],
    stack_planes: int,
    singles: int,
    habits: Habits = Habits(),  # noqa: B008
) -> list[BandBatch]:
    """Make what a step learns from: pairs of every kind, one kind of stacks, single pictures.

    Parameters
    ----------
    seed : sequence of int
    side : int
        Of the patches.
    pairs, singles : int
        Samples of two planes and of one.
    shares : mapping
        How often each kind of pair is drawn.
    stack_planes : int
        Planes of the stacks together.
    habits : Habits
    """
    makers: dict[str, Maker] = {**MAKERS, "exposure": partial(exposure_sample, habits=habits)}
    rng = np.random.default_rng(seed)
    kinds = [k for k, share in shares.items() if share > 0 and (k != "infrared" or scenes.pairs)]
    edges = np.cumsum([shares[k] for k in kinds])
    places = (rng.random() + np.arange(pairs) / max(pairs, 1)) % 1 * sum(shares[k] for k in kinds)
    wanted = [(kinds[int(np.searchsorted(edges, p, side="right"))], 2) for p in places]
    groups = [wanted] if wanted else []
    if stack_planes:
        kind = rng.random()
        if kind < 0.78:
            count, name = int(rng.choice((3, 4, 5, 6, 8, 8, 12))), "focus"
        elif kind < 0.93:
            count, name = int(rng.integers(3, 6)), "exposure"
        else:
            count, name = 3, "made"
        groups.append([(name, count)] * max(1, round(stack_planes / count)))
    if singles:
        groups.append([("single", 1)] * singles)
    batches, place = [], 0
    for group in groups:
        samples = []
        for name, count in group:
            samples.append(makers[name](np.random.default_rng([*seed, place]), scenes, side, count))
            place += 1
        named = [rng.random() < habits.named and s.task is not None for s in samples]
        batches.append(_batch(samples, named))
    return batches


def _batch(samples: Sequence[BandSample], named: Sequence[bool]) -> BandBatch:
    def known(plane: Plane | None) -> Plane:
        return np.zeros_like(samples[0].planes[0]) if plane is None else plane

    def stacked(planes: Sequence[Sequence[Plane]]) -> Tensor:
        return torch.from_numpy(np.clip(np.array(planes, np.float32), 0, 1))

    return BandBatch(
        stacked([s.planes for s in samples]),
        stacked([s.clean for s in samples]),
        stacked([[known(s.truth)] for s in samples]),
        torch.from_numpy(np.array([[known(s.places)] for s in samples], np.float32)),
        torch.tensor([s.truth is not None for s in samples]),
        torch.tensor([s.places is not None for s in samples]),
        torch.tensor([s.exposures for s in samples]),
        torch.tensor(
            [
                TASKS.index(s.task) if s.task is not None and n else NO_TASK
                for s, n in zip(samples, named, strict=True)
            ]
        ),
    )
