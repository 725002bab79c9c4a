"""Training samples: patches of registered pairs, and pairs made from photographs with a known truth.

A sample is made from its own random generator, seeded by the run, the step and its place in the
batch. So a resumed run sees what an uninterrupted one sees.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from napari_gifnet.errors import ImageError

from .made_scenes import depth_scene, focus_planes
from .scenes import Scenes, luma

Plane = np.ndarray
Generator = np.random.Generator


class Sample(NamedTuple):
    """Two inputs, what of them is worth keeping, and the truth where there is one.

    `a`, `b` are what the network sees; `clean_a`, `clean_b` are the same without made noise or
    blur; all are float32 planes (S, S) in [0, 1]. `truth` is None where nobody knows it. `faithful`
    says whether likeness to the inputs is a virtue: not where they are clipped or blurred.
    """

    a: Plane
    b: Plane
    clean_a: Plane
    clean_b: Plane
    truth: Plane | None
    faithful: bool


class Batch(NamedTuple):
    """Samples as tensors (N, 1, S, S); `supervised` and `faithful` are (N,) of bool."""

    a: Tensor
    b: Tensor
    clean_a: Tensor
    clean_b: Tensor
    truth: Tensor
    supervised: Tensor
    faithful: Tensor


class Quadruple(NamedTuple):
    """The paper's sample: four registered planes of one scene, each (N, 1, S, S)."""

    infrared: Tensor
    visible: Tensor
    near: Tensor
    far: Tensor


def crop(rng: Generator, pictures: Sequence[Plane], side: int) -> list[Plane]:
    """Cut the same patch from aligned pictures, turned at random; of two places, the livelier."""
    height, width = pictures[0].shape[:2]
    if min(height, width) < side:
        raise ImageError(
            f"A picture of {height}×{width} is smaller than the patch side {side}: expected larger "
            "pictures; give a smaller patch."
        )
    places = [(rng.integers(height - side + 1), rng.integers(width - side + 1)) for _ in range(2)]
    patches = [[p[y : y + side, x : x + side] for p in pictures] for y, x in places]
    cut = max(patches, key=lambda patch: sum(float(p.std()) for p in patch))
    turns, flip = rng.integers(4), rng.random() < 0.5
    turned = [np.rot90(p, turns) for p in cut]
    return [p[:, ::-1] if flip else p for p in turned]


def smooth_noise(rng: Generator, side: int, scale: float) -> Plane:
    """Band-limited noise of zero mean and unit deviation."""
    noise = ndimage.gaussian_filter(rng.standard_normal((side, side)).astype(np.float32), scale)
    return (noise - noise.mean()) / (noise.std() + 1e-6)


def random_mask(rng: Generator, side: int) -> Plane:
    """A float mask (S, S) in [0, 1] of some irregular region with an edge of random softness."""
    field = smooth_noise(rng, side, rng.uniform(0.08, 0.3) * side)
    if rng.random() < 0.3:  # a straight edge, as between two depths
        angle = rng.uniform(0, 2 * np.pi)
        y, x = np.mgrid[:side, :side] / side - 0.5
        field = (np.cos(angle) * x + np.sin(angle) * y + rng.uniform(-0.2, 0.2)).astype(np.float32)
    mask = (field > 0).astype(np.float32)
    return ndimage.gaussian_filter(mask, rng.choice([0.3, 0.8, 2.0]))


def tone(rng: Generator, x: Plane) -> Plane:
    """A random monotone curve: gamma, gain and offset, within [0, 1]."""
    low, high = np.sort(rng.uniform(0, 1, 2) * (0.15, 0.15)), 1 - rng.uniform(0, 0.25)
    return low[0] + (high - low[0]) * x ** np.float32(np.exp(rng.uniform(-0.5, 0.5)))


def head(rng: Generator, side: int) -> Plane:
    """A mask of an object on a black background: an ellipse that may leave the patch."""
    y, x = np.mgrid[:side, :side] / side - rng.uniform(0.2, 0.8, (2, 1, 1))
    angle = rng.uniform(0, np.pi)
    u, v = np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x
    inside = (u / rng.uniform(0.3, 0.8)) ** 2 + (v / rng.uniform(0.3, 0.8)) ** 2 < 1
    return ndimage.gaussian_filter(inside.astype(np.float32), 0.7)


def degrade(rng: Generator, x: Plane) -> Plane:
    """Sometimes a little noise or blur, as one sensor of two may have."""
    kind = rng.random()
    if kind < 0.12:
        return x + rng.normal(0, rng.uniform(0.005, 0.03), x.shape).astype(np.float32)
    return ndimage.gaussian_filter(x, rng.uniform(0.4, 1.0)) if kind < 0.2 else x


def defocus(rng: Generator, x: Plane, radius: float) -> Plane:
    """Blur as a lens does (nearly a disc) or as a Gaussian."""
    if rng.random() < 0.5:
        return ndimage.gaussian_filter(x, radius)
    size = 2 * max(1, round(radius)) + 1
    return ndimage.uniform_filter(ndimage.uniform_filter(x, size), max(1, size - 2))


def pair_sample(rng: Generator, scenes: Scenes, side: int) -> Sample:
    """A patch of a registered pair, its modalities made unfamiliar by tones, inversion, background."""
    a, b = (luma(p) for p in crop(rng, scenes.pairs[rng.integers(len(scenes.pairs))], side))
    return _disguise(rng, a, b)


def made_sample(rng: Generator, scenes: Scenes, side: int) -> Sample:
    """Two made modalities: channels of one photograph, each blind in a region, or blobs of uptake."""
    (patch,) = crop(rng, [scenes.photographs[rng.integers(len(scenes.photographs))]], side)
    first, second = rng.permutation(3)[:2]
    a, b = (patch[..., c].astype(np.float32) / 255 for c in (first, second))
    if rng.random() < 0.35:
        uptake = ndimage.gaussian_filter(a, rng.uniform(1.5, 4)) * (
            0.5 + 0.5 * np.tanh(smooth_noise(rng, side, side * 0.07))
        )
        a = uptake / (uptake.max() + 1e-3) * rng.uniform(0.5, 1)
    else:
        blind_a = random_mask(rng, side) * rng.uniform(0.5, 1)
        blind_b = random_mask(rng, side) * rng.uniform(0.5, 1) * (1 - blind_a)
        flat = ndimage.gaussian_filter(np.stack([a, b]), (0, side / 8, side / 8))
        a, b = a + blind_a * (flat[0] - a), b + blind_b * (flat[1] - b)
        if rng.random() < 0.4:
            a = 1 - a
    return _disguise(rng, a, b)


def _disguise(rng: Generator, a: Plane, b: Plane) -> Sample:
    if rng.random() < 0.4:
        a = tone(rng, a)
    if rng.random() < 0.4:
        b = tone(rng, b)
    if rng.random() < 0.15:
        a = 1 - a
    if rng.random() < 0.2:
        inside = head(rng, len(a))
        a, b = a * inside, b * (inside if rng.random() < 0.7 else head(rng, len(a)))
    if rng.random() < 0.15:
        a, b = b, a
    return Sample(degrade(rng, a), degrade(rng, b), a, b, None, faithful=True)


def focus_sample(rng: Generator, scenes: Scenes, side: int) -> Sample:
    """Near and far focus of a photograph, by blur on the two sides of a random mask."""
    truth = _sharp(rng, scenes, side)
    a, b = focus_pair(rng, truth)
    return Sample(a, b, a, b, truth, faithful=True)


def depth_sample(rng: Generator, scenes: Scenes, side: int) -> Sample:
    """Near and far focus of a made scene, by blur that follows its depth."""
    truth, depth = depth_scene(rng, [reduced_photograph(rng, scenes, side) for _ in range(2)])
    (a, b), _ = focus_planes(rng, truth, depth, 2)
    return Sample(a, b, a, b, truth, faithful=True)


def focus_pair(rng: Generator, truth: Plane) -> tuple[Plane, Plane]:
    """Near- and far-focus versions of a sharp plane."""
    near = random_mask(rng, len(truth))
    radius_a, radius_b = np.exp(rng.uniform(np.log(0.6), np.log(4.5), 2))
    a = near * truth + (1 - near) * defocus(rng, truth, radius_a)
    if rng.random() < 0.5:  # the near object's blur spills over what lies behind it
        spilled = ndimage.gaussian_filter(np.stack([near * truth, near]), (0, radius_b, radius_b))
        b = spilled[0] + (1 - spilled[1]) * truth
    else:
        b = (1 - near) * truth + near * defocus(rng, truth, radius_b)
    return (a, b) if rng.random() < 0.5 else (b, a)


def exposure_sample(rng: Generator, scenes: Scenes, side: int) -> Sample:
    """An over- and an under-exposed version of a scene, clipped and quantised as a camera does.

    Four in ten scenes reach beyond the white of a usual exposure, to where the darker exposure is
    just not clipped, and are exposed further apart. The truth shows all that either exposure shows.
    """
    scene = _sharp(rng, scenes, side) * np.float32(rng.uniform(0.85, 1.0))
    stops = rng.uniform(0.6, 2.4) + rng.uniform(-0.3, 0.3, 2)
    white = span = 1.0
    if rng.random() < 0.4:
        stops = rng.uniform(1.2, 3.3) + rng.uniform(-0.6, 0.6, 2)
        held = float(2 ** (stops[1] / 2.2))  # as much as the darker one does not clip
        white = max(1.0, held * rng.uniform(0.8, 1.0))
        span = min(1.0, 1.8 / stops[1])
        scene = scene * np.float32(white / max(scene.max(), 0.3))
    over, under = (
        np.clip(scene**2.2 * 2.0**s, 0, 1) ** np.float32(1 / 2.2) for s in (stops[0], -stops[1])
    )
    if rng.random() < 0.4:  # shadows that the camera's tone curve crushes
        black = np.float32(rng.uniform(0, 0.08))
        under = np.clip(under - black, 0, 1) / (1 - black)
    over, under = (np.round(x * 255) / 255 for x in (over, under))
    return Sample(over, under, over, under, render(scene, white, span), faithful=False)


def render(scene: Plane, white: float, span: float = 1.0) -> Plane:
    """A scene's brightness, 1 at the white of a usual exposure, shown in [0, 1] without clipping.

    Shadows are lifted by up to 5 levels of 255; above 0.35 stops are shortened to a `span` of them;
    from 0.7 a hyperbola leads to 0.93 at `white`. The curve is that of regions: their detail is kept
    (Durand and Dorsey 2002), with a self-guided filter (He et al. 2013) to tell the two apart.
    """
    mean, square = (ndimage.uniform_filter(x, 17) for x in (scene, scene**2))
    variance = np.maximum(square - mean**2, 0)
    share = variance / (variance + np.float32(0.01))
    share, offset = (ndimage.uniform_filter(x, 17) for x in (share, (1 - share) * mean))
    base = np.clip(share * scene + offset, 0, white)
    middle, knee, room, lift = 0.35, 0.7, 0.21, 5 / 255
    shown, brightest = (
        np.where(x > middle, middle * (np.maximum(x, middle) / middle) ** span, x)
        for x in (base, white)
    )
    bend = room / np.maximum(brightest - knee - room, 0.02)
    beyond = np.maximum(shown - knee, 0) / max(brightest - knee, 0.02)
    shown = np.minimum(shown, knee) + room * beyond * (1 + bend) / (beyond + bend)
    shown = shown + (scene - base) / np.sqrt(white)
    shown += lift * (1 - np.exp(-scene / lift))
    return np.clip(shown, np.minimum(scene, lift), 0.95).astype(np.float32)


def single_sample(rng: Generator, scenes: Scenes, side: int) -> Sample:
    """One picture given twice, to be sharpened where it is blurred and kept where it is not."""
    truth = _sharp(rng, scenes, side)
    x = truth if rng.random() < 0.4 else ndimage.gaussian_filter(truth, rng.uniform(0.3, 1.1))
    return Sample(x, x, x, x, truth, faithful=False)


def smooth_sample(rng: Generator, scenes: Scenes, side: int) -> Sample:
    """Two planes without detail, ramps and bumps, often against each other."""
    y, x = np.mgrid[:side, :side].astype(np.float32) / side - 0.5
    planes = []
    for _ in range(2):
        angle = rng.uniform(0, 2 * np.pi)
        if rng.random() < 0.5:
            angle = np.pi / 2 * rng.integers(4)  # along the windows
        plane = np.cos(angle) * x + np.sin(angle) * y
        if rng.random() < 0.4:
            plane = plane + rng.uniform(0, 0.3) * smooth_noise(rng, side, side * 0.25)
        span = np.float32(rng.uniform(0.1, 0.9))
        plane = (plane - plane.min()) / (np.ptp(plane) + 1e-6) * span
        planes.append((plane + rng.uniform(0, 1 - span)).astype(np.float32))
    a, b = planes
    if rng.random() < 0.3:
        b = a.max() + a.min() - a
    return Sample(a, b, a, b, None, faithful=True)


def _sharp(rng: Generator, scenes: Scenes, side: int) -> Plane:
    (patch,) = crop(rng, [scenes.photographs[rng.integers(len(scenes.photographs))]], side)
    plane = luma(patch)
    return tone(rng, plane) if rng.random() < 0.3 else plane


def reduced_photograph(rng: Generator, scenes: Scenes, side: int) -> Plane:
    """The luma of a patch of a photograph, now and then of the pairs' visible side, at some scale.

    Reduced to a half or less its detail is as dense as in small pictures; half of those keep every n-th
    pixel, as sharp as can be.
    """
    if scenes.pairs and rng.random() < 0.2:
        picture = scenes.pairs[rng.integers(len(scenes.pairs))][1]
    else:
        picture = scenes.photographs[rng.integers(len(scenes.photographs))]
    step = min(int(rng.choice((1, 1, 2, 2, 3, 4))), min(picture.shape[:2]) // side)
    (patch,) = crop(rng, [picture], side * max(1, step))
    plane = luma(patch)
    if step > 1 and rng.random() < 0.5:
        plane = plane[::step, ::step]
    elif step > 1:
        plane = plane.reshape(side, step, side, step).mean((1, 3))
    return tone(rng, plane) if rng.random() < 0.25 else plane


MAKERS: dict[str, Callable[[Generator, Scenes, int], Sample]] = {
    "pair": pair_sample,
    "made": made_sample,
    "focus": focus_sample,
    "depth": depth_sample,
    "exposure": exposure_sample,
    "single": single_sample,
    "smooth": smooth_sample,
}


def make_batch(
    seed: Sequence[int], scenes: Scenes, shares: dict[str, float], size: int, side: int
) -> Batch:
    """Make the batch that belongs to `seed`; the kinds are spread over it by their shares."""
    kinds = [k for k, share in shares.items() if share > 0 and (k != "pair" or scenes.pairs)]
    edges = np.cumsum([shares[k] for k in kinds])
    start = np.random.default_rng(seed).random()
    places = (start + np.arange(size) / size) % 1 * edges[-1]  # stratified: few gaps a batch
    samples = []
    for i, place in enumerate(places):
        make = MAKERS[kinds[int(np.searchsorted(edges, place, side="right"))]]
        samples.append(make(np.random.default_rng([*seed, i]), scenes, side))

    return Batch(
        *(_stack([s[i] for s in samples]) for i in range(4)),
        _stack([s.a if s.truth is None else s.truth for s in samples]),
        torch.tensor([s.truth is not None for s in samples]),
        torch.tensor([s.faithful for s in samples]),
    )


def make_quadruple(seed: Sequence[int], scenes: Scenes, size: int, side: int) -> Quadruple:
    """Make the batch of the paper's training that belongs to `seed`."""
    if not scenes.pairs:
        raise ImageError(
            "No registered pairs were given: the paper's recipe expects them; give --pairs."
        )
    samples = []
    for i in range(size):
        rng = np.random.default_rng([*seed, i])
        pair = crop(rng, scenes.pairs[rng.integers(len(scenes.pairs))], side)
        infrared, visible = (luma(p) for p in pair)
        samples.append((infrared, visible, *focus_pair(rng, visible)))
    return Quadruple(*(_stack(planes) for planes in zip(*samples, strict=True)))


def _stack(planes: Sequence[Plane]) -> Tensor:
    whole = np.stack([np.clip(p, 0, 1).astype(np.float32) for p in planes])
    return torch.from_numpy(whole)[:, None]
