"""Scenes made for training: depths and what a lens makes of them, exposures, heads.

All planes are float32 (S, S) in [0, 1], made from a random generator and nothing else.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import ndimage

Plane = np.ndarray
Generator = np.random.Generator

LEVEL = np.float32(1 / 255)
SIGMAS = np.array([0, 0.5, 1, 1.5, 2, 2.5, 3, 4, 5, 6.5, 8], np.float32)
"""Standard deviations of the Gaussians between which a blur that differs from place to place lies."""


def waves(rng: Generator, side: int, scale: float) -> Plane:
    """Smooth noise of zero mean and unit deviation, made coarse where that shows nothing."""
    step = max(1, int(scale / 3))
    small = -(-side // step) + 2
    noise = rng.standard_normal((small, small)).astype(np.float32)
    noise = ndimage.gaussian_filter(noise, scale / step)
    if step > 1:
        noise = ndimage.zoom(noise, step, order=1)
    noise = noise[:side, :side]
    return (noise - noise.mean()) / (noise.std() + 1e-6)


def shape(rng: Generator, side: int) -> Plane:
    """A mask (S, S) of bool: blobs, an ellipse as thin as a wire or not, or one side of a line."""
    kind = rng.random()
    if kind < 0.4:
        return waves(rng, side, np.exp(rng.uniform(np.log(2), np.log(24)))) > rng.uniform(-0.2, 1.2)
    y, x = np.mgrid[:side, :side].astype(np.float32) / side - rng.uniform(0.1, 0.9, (2, 1, 1))
    angle = rng.uniform(0, 2 * np.pi)
    u, v = np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x
    if kind < 0.85:
        radii = np.exp(rng.uniform(np.log((0.012, 0.05)), np.log((0.4, 0.6))))
        inside = (u / radii[0]) ** 2 + (v / radii[1]) ** 2
        return (inside < 1) & (inside > (0.6 if rng.random() < 0.25 else 0))
    return u > 0


def outline(rng: Generator, picture: Plane) -> Plane:
    """A mask (S, S) of bool whose edges are those of a picture, thin structures among them."""
    smooth = ndimage.gaussian_filter(picture, np.exp(rng.uniform(np.log(0.4), np.log(4))))
    mask = smooth > np.quantile(smooth, rng.uniform(0.2, 0.8))
    return mask & shape(rng, side=len(picture)) if rng.random() < 0.5 else mask


class Depth(NamedTuple):
    """A made depth in [0, 1] and the object in front, which spills over what lies behind it."""

    map: Plane
    front: Plane | None
    front_depth: float


def depth_scene(rng: Generator, pictures: list[Plane]) -> tuple[Plane, Depth]:
    """A picture and its depth: a ramp or waves, and objects, some of them cut from another picture."""
    side = len(pictures[0])
    picture = pictures[0].copy()
    angle, slope = rng.uniform(0, 2 * np.pi), rng.uniform(0, 1.2)
    y, x = np.mgrid[:side, :side].astype(np.float32) / side - 0.5
    depth = rng.uniform(0.2, 0.8) + slope * (np.cos(angle) * x + np.sin(angle) * y)
    if rng.random() < 0.5:
        depth = depth + rng.uniform(0, 0.25) * waves(rng, side, rng.uniform(0.1, 0.4) * side)
    front, front_depth = None, 0.0
    for i in range(rng.integers(0, 8)):
        mask = outline(rng, picture) if rng.random() < 0.6 else shape(rng, side)
        level = rng.uniform(0, 1)
        tilt = rng.uniform(-0.3, 0.3) * x if rng.random() < 0.5 else 0.0
        depth = np.where(mask, level + tilt, depth)
        if rng.random() < 0.35:
            picture = np.where(mask, pictures[1 + i % (len(pictures) - 1)], picture)
            front, front_depth = mask.astype(np.float32), float(level)
            depth = np.where(mask, level, depth)
        else:
            front = None
    return picture.astype(np.float32), Depth(np.clip(depth, 0, 1), front, front_depth)


def blur_bank(picture: Plane, largest: float) -> np.ndarray:
    """A picture blurred by as many of SIGMAS as `largest` asks for."""
    count = int(np.searchsorted(SIGMAS, min(largest, 7.99), side="right")) + 1
    return np.stack(
        [
            picture if s == 0 else ndimage.gaussian_filter(picture, s, truncate=3)
            for s in SIGMAS[:count]
        ]
    )


def blurred(bank: np.ndarray, sigma: Plane) -> Plane:
    """Blur by a sigma that differs from place to place."""
    top = SIGMAS[len(bank) - 1]
    sigma = np.clip(sigma, 0, top - 1e-3)
    i = np.searchsorted(SIGMAS[: len(bank)], sigma, side="right") - 1
    w = (sigma - SIGMAS[i]) / (SIGMAS[i + 1] - SIGMAS[i])
    y, x = np.indices(sigma.shape, sparse=True)
    return ((1 - w) * bank[i, y, x] + w * bank[i + 1, y, x]).astype(np.float32)


def focus_planes(
    rng: Generator, picture: Plane, depth: Depth, count: int
) -> tuple[list[Plane], Plane]:
    """What a lens shows focused at `count` depths, and the index (S, S) of the plane in focus."""
    where = depth.map
    if count == 2:
        strength = np.exp(rng.uniform(np.log(0.7), np.log(8)))
        middle = rng.uniform(0.35, 0.65)
        sigmas = [
            np.maximum(0, (where - middle) * 2 * strength),
            np.maximum(0, (middle - where) * 2 * strength),
        ]
        front = [
            max(0.0, (depth.front_depth - middle) * 2 * strength),
            max(0.0, (middle - depth.front_depth) * 2 * strength),
        ]
        index = np.clip((where - middle) * 20 + 0.5, 0, 1)
    else:
        strength, sharp = np.exp(rng.uniform(np.log(0.6), np.log(3))), rng.uniform(0, 0.5)
        steps = count - 1
        sigmas = [np.clip(np.abs(where * steps - k) * strength - sharp, 0, 8) for k in range(count)]
        front = [
            min(8.0, max(0.0, abs(depth.front_depth * steps - k) * strength - sharp))
            for k in range(count)
        ]
        index = where * steps
    bank = blur_bank(picture, float(max(s.max() for s in sigmas)))
    planes = [blurred(bank, s) for s in sigmas]
    if (
        depth.front is not None and rng.random() < 0.5
    ):  # the front object's blur spills over its edge
        pair = np.stack([depth.front * picture, depth.front])
        for k, width in enumerate(front):
            if width > 0.3:
                spilled = ndimage.gaussian_filter(pair, (0, width, width), truncate=3)
                planes[k] = spilled[0] + (1 - spilled[1]) * planes[k]
    return planes, index.astype(np.float32)


def shown(scene: Plane) -> Plane:
    """A scene in [0, 1] with its deepest shadows lifted a little and its highlights below 0.95."""
    lift, knee, room = 5 * LEVEL, 0.88, 0.085
    bright = knee + room * (1 - np.exp(-(np.maximum(scene, knee) - knee) / room))
    lifted = scene + lift * np.exp(-scene / 0.06) * (1 - np.exp(-scene / lift))
    return np.where(scene > knee, bright, lifted).astype(np.float32)


def exposed(
    rng: Generator, scene: Plane, stops: np.ndarray, crushed: float = 0.3, most: float = 0.06
) -> list[Plane]:
    """A scene at several exposures, in linear light, clipped and rounded to 8 bits as a camera does,
    which may draw each with a tone curve of its own; a share of dark ones has lost all up to `most`."""
    crush = np.float32(rng.uniform(0, most)) if rng.random() < crushed else np.float32(0)
    curved = 0.15 if rng.random() < 0.3 else 0.0
    planes = []
    for stop in stops:
        plane = np.clip(scene**2.2 * 2.0**stop, 0, 1) ** (1 / 2.2)
        plane = plane ** np.float32(np.exp(rng.uniform(-curved, curved)))
        if stop < 0:
            plane = np.clip(plane - crush, 0, 1) / (1 - crush)
        planes.append((np.round(plane * 255) / 255).astype(np.float32))
    return planes


def head(rng: Generator, side: int, texture: Plane | None = None) -> tuple[Plane, Plane]:
    """A slice of a head as a scanner of function or of bone shows it, and as MRI shows it.

    Tissues are shells below an ellipse's surface and folds of noise. The texture, a photograph's, may stand
    for MRI's.
    """
    radius = rng.uniform(0.38, 1.2) * side
    y, x = np.mgrid[:side, :side].astype(np.float32)
    centre = rng.uniform(0.0, 1.0, 2) * side
    far = rng.uniform(0.1, 1.05) * radius
    angle = rng.uniform(0, 2 * np.pi)
    y, x = y - centre[0] + far * np.sin(angle), x - centre[1] + far * np.cos(angle)
    below = radius - np.hypot(x, y * rng.uniform(0.8, 1.2)) + 1.5 * waves(rng, side, 12)
    folds, rooms = waves(rng, side, rng.uniform(1.5, 4.5)), waves(rng, side, 14)
    scalp, skull = rng.uniform(3, 12), rng.uniform(3, 8)
    inner = scalp + skull
    tissue = np.full((side, side), 4)  # white matter
    tissue[(np.abs(folds) < 0.55) | (below < inner + 7)] = 3
    tissue[(np.abs(folds) < 0.1) | (below < inner + 2) | (rooms > 1.7)] = 2
    tissue[below < inner] = 1
    tissue[below < scalp] = 0
    outside = below < 0
    contrast = ((0.9, 0.06, 0.12, 0.5, 0.7), (0.5, 0.05, 0.95, 0.6, 0.38))[int(rng.random() < 0.35)]
    tones = np.clip(np.array(contrast, np.float32) * rng.uniform(0.8, 1.15, 5), 0, 1).astype(
        np.float32
    )
    mri = tones[tissue] * (1 + 0.08 * waves(rng, side, 20))
    if texture is not None:
        mri = np.where(tissue >= 2, 0.5 * mri + 0.5 * texture, mri)
    mri = ndimage.gaussian_filter(mri, rng.uniform(0.4, 0.8))
    if rng.random() < 0.4:  # sharpened, as scanners do it
        mri = mri + rng.uniform(0.3, 1) * (mri - ndimage.gaussian_filter(mri, 1.5))
    mri = mri + rng.uniform(0, 0.025) * rng.standard_normal((side, side))
    if rng.random() < 0.3:  # bone
        dense = np.array([0.3, 0.95, 0.32, 0.38, 0.35]) + rng.uniform(-0.05, 0.05, 5)
        other = ndimage.gaussian_filter(dense.astype(np.float32)[tissue], 0.7)
    else:  # uptake
        share = np.array([0.08, 0.05, 0.1, 1.0, 0.35], np.float32)[tissue]
        uptake = share * np.clip(0.75 + 0.25 * waves(rng, side, rng.uniform(8, 25)), 0.1, 1.3)
        for _ in range(rng.integers(0, 3)):
            away = ((np.indices((side, side)) - rng.uniform(0, side, (2, 1, 1))) ** 2).sum(0)
            spot = np.exp(-away / rng.uniform(8, 90))
            uptake = uptake * (1 + rng.uniform(-0.9, 1.5) * spot)
        uptake = np.where(outside, 0, uptake)
        other = ndimage.gaussian_filter(uptake, rng.uniform(1.2, 4))
        other = other / (other.max() + 1e-3) * rng.uniform(0.25, 1)  # dim ones, too
        if rng.random() < 0.6:  # the luma of a map of colours, which need not grow with uptake
            knots = np.clip(np.linspace(0.2, 0.9, 5) + rng.uniform(-0.45, 0.45, 5), 0.05, 1)
            other = np.interp(other, np.linspace(0, 1, 6), [0, *knots]).astype(np.float32)
    faded = ndimage.gaussian_filter((~outside).astype(np.float32), 0.6)
    floor = rng.uniform(0, 3) * LEVEL if rng.random() < 0.3 else 0.0
    a, b = (
        np.clip(p * faded + floor * rng.random((side, side)), 0, 1).astype(np.float32)
        for p in (other, mri)
    )
    return a, b
