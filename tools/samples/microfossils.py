"""A microscope slide strewn with sand, shells of foraminifera, a radiolarian, a diatom and spicules.

World coordinates are pixels of the picture, 2 µm each: x to the right, y down, z towards the lens.
Every body is an ellipsoid, some of them cut by planes or pierced, so that rays meet it exactly.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi
from scipy.spatial import cKDTree
from skimage import data

Array = NDArray[np.float64]

SHAPE = (320, 400)
MARGIN = 24  # sand goes on beyond the picture, where oblique rays see it
SLOPE = np.array([0.05, 0.02])  # of the slide, which is not level
SAND, SHELL, LATTICE, DIATOM, GLASS, FLOOR = range(6)
LIGHT = np.array([-0.52, -0.50, 0.69])
AROUND = np.array([0.0, 0.0, 1.0])  # the ring light


@dataclass(frozen=True)
class Body:
    """An ellipsoid: centre (3,), unit axes (3, 3) in rows, semi-axes (3,), what it is made of."""

    material: int
    centre: Array
    axes: Array
    radii: Array
    albedo: float
    cuts: Array = field(default_factory=lambda: np.empty((0, 4)))
    """Planes n·(p - centre) <= h that cut pieces off, as rows (n, h)."""


@dataclass(frozen=True)
class Hits:
    """What each ray of a picture meets: height, normal and place in the body, which body."""

    height: Array
    normal: Array
    local: Array
    body: NDArray[np.int64]


def turn(rng: np.random.Generator) -> Array:
    """Return a random rotation (3, 3)."""
    q, r = np.linalg.qr(rng.standard_normal((3, 3)))
    return q * np.sign(np.diag(r))


def frame(direction: Array) -> Array:
    """Return axes of which the first has that direction."""
    first = np.asarray(direction, float) / np.linalg.norm(direction)
    second = np.cross(first, [0.3, 0.2, 1.0] if abs(first[2]) < 0.9 else [1.0, 0.0, 0.0])
    second /= np.linalg.norm(second)
    return np.stack([first, second, np.cross(first, second)])


def fibonacci(count: int) -> Array:
    """Return points spread evenly over the unit sphere, (count, 3)."""
    z = 1 - (2 * np.arange(count) + 1) / count
    angle = np.pi * (3 - np.sqrt(5)) * np.arange(count)
    around = np.sqrt(1 - z**2)
    return np.stack([around * np.cos(angle), around * np.sin(angle), z], -1)


def floor_height(x: Array, y: Array) -> Array:
    """Return the height of the tilted slide."""
    return 1.0 + SLOPE[0] * x + SLOPE[1] * y


def sand(rng: np.random.Generator) -> list[Body]:
    """Return rounded and broken grains that lie side by side."""
    grains: list[Body] = []
    placed: list[tuple[float, float, float]] = []
    for radius in -np.sort(-(3.5 + 11 * rng.random(9000) ** 1.6)):
        x, y = rng.uniform(-MARGIN, SHAPE[1] + MARGIN), rng.uniform(-MARGIN, SHAPE[0] + MARGIN)
        if any((x - a) ** 2 + (y - b) ** 2 < (0.88 * (radius + c)) ** 2 for a, b, c in placed):
            continue
        placed.append((x, y, radius))
        radii = radius * np.array([1.0, rng.uniform(0.75, 1), rng.uniform(0.55, 0.85)])
        facets = rng.integers(3, 8)
        normals = rng.standard_normal((facets, 3))
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
        cuts = np.c_[normals, radius * rng.uniform(0.5, 0.85, facets)]
        albedo = rng.choice([0.62, 0.45, 0.75, 0.12], p=[0.45, 0.3, 0.17, 0.08])
        centre = np.array([x, y, floor_height(x, y) + 0.45 * radius])
        grains.append(Body(SAND, centre, turn(rng), radii, albedo * rng.uniform(0.8, 1.15), cuts))
    return grains


def spiral_shell(
    centre: Array, last: float, chambers: int, tilt: Array, start: float
) -> list[Body]:
    """Return a foraminifer like Globigerina: globes along a rising spiral, each larger."""
    bodies = []
    for number in range(chambers):
        radius = last * 1.27 ** (number - chambers + 1)
        angle = start + 2 * np.pi / 4.2 * number
        away, rise = 0.98 * radius, -0.42 * radius
        place = away * (np.cos(angle) * tilt[0] + np.sin(angle) * tilt[1]) + rise * tilt[2]
        bodies.append(
            Body(SHELL, centre + place, frame(place), radius * np.array([0.92, 1.0, 1.0]), 0.86)
        )
    return bodies


def double_row_shell(tip: Array, mouth: Array, pairs: int, width: float) -> list[Body]:
    """Return a foraminifer like Bolivina: two rows of chambers in turn, growing from the tip."""
    along = frame(mouth - tip)
    bodies = []
    for number in range(2 * pairs):
        part = (number + 1) / (2 * pairs)
        size = width * (0.22 + 0.78 * part)
        side = 0.62 * size * (1 if number % 2 else -1)
        centre = tip + part**1.25 * (mouth - tip) + side * along[1]
        axes = frame(along[1] - 0.45 * np.sign(side) * along[0])
        bodies.append(Body(SHELL, centre, axes, size * np.array([0.95, 0.72, 0.72]), 0.8))
    return bodies


def needle(start: Array, end: Array, thickness: float) -> Body:
    """Return a spicule of glass that tapers to both ends."""
    start, end = np.asarray(start, float), np.asarray(end, float)
    half = np.linalg.norm(end - start) / 2
    return Body(
        GLASS, (start + end) / 2, frame(end - start), np.array([half, thickness, thickness]), 0.8
    )


def radiolarian(centre: Array, radius: float) -> list[Body]:
    """Return a pierced globe with spines."""
    lattice = Body(LATTICE, centre, np.eye(3), np.full(3, radius), 0.85)
    spines = []
    for direction in fibonacci(14):
        if direction[2] > -0.3:
            tip = centre + 1.62 * radius * direction
            spines.append(needle(centre + 0.7 * radius * direction, tip, 1.5))
    return [lattice, *spines]


def build(rng: np.random.Generator) -> list[Body]:
    """Return everything on the slide."""
    tilt = frame(np.array([0.9, 0.25, 0.3]))
    return [
        *sand(rng),
        *spiral_shell(np.array([130.0, 180.0, 29.0]), 35.0, 10, tilt, 0.55),
        *spiral_shell(np.array([258.0, 62.0, 34.0]), 17.0, 9, frame(np.array([0.3, -1, 0.3])), 2.0),
        *spiral_shell(np.array([52.0, 286.0, 21.0]), 13.0, 9, frame(np.array([1, 0.4, -0.2])), 4.0),
        *double_row_shell(np.array([232.0, 292.0, 31.0]), np.array([330.0, 236.0, 64.0]), 7, 19.0),
        *radiolarian(np.array([328.0, 138.0, 50.0]), 27.0),
        Body(
            DIATOM,
            np.array([62.0, 62.0, 44.0]),
            frame(np.array([0.42, 0.38, 0.83]))[[1, 2, 0]],
            np.array([45.0, 45.0, 3.5]),
            0.7,
        ),
        needle(np.array([30.0, 240.0, 62.0]), np.array([214.0, 16.0, 89.0]), 2.7),
        needle(np.array([176.0, 262.0, 86.0]), np.array([392.0, 196.0, 42.0]), 2.3),
        needle(np.array([196.0, 116.0, 30.0]), np.array([290.0, 246.0, 46.0]), 2.4),
        needle(np.array([88.0, 312.0, 20.0]), np.array([196.0, 232.0, 60.0]), 2.0),
        *(
            needle(np.array([364.0, 42.0, 46.0]) - 0.06 * np.array(ray), end, 2.4)
            for ray in ((32, -26, -12), (-38, -14, -16), (8, 40, -10), (4, -2, 38))
            for end in [np.array([364.0, 42.0, 46.0]) + ray]
        ),
    ]


class Slide:
    """The scene, ready to be looked at."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.bodies = build(rng)
        self.material = np.array([body.material for body in self.bodies] + [FLOOR])
        self.albedo = np.array([body.albedo for body in self.bodies] + [0.3])
        self.size = np.array([body.radii.max() for body in self.bodies] + [1.0])
        self.noise = ndi.gaussian_filter(
            rng.standard_normal((4, 64, 64, 64)), (0, 1, 1, 1), mode="wrap"
        )
        self.noise /= self.noise.std()
        self.gravel = data.gravel() / 255.0
        self.pores = {
            SHELL: cKDTree(fibonacci(700)),
            LATTICE: cKDTree(fibonacci(64)),
        }

    def look(
        self, slant: tuple[float, float], offset: tuple[float, float], *, solid: bool = False
    ) -> Hits:
        """Follow parallel rays, one a pixel, down to the first thing that they meet.

        Parameters
        ----------
        slant : tuple of float
            How far a ray goes in x and in y for each pixel that it rises.
        offset : tuple of float
            Where a ray passes its pixel at height 0, in x and y from the centre.
        solid : bool
            Leave out the needles.
        """
        rows, columns = SHAPE
        y, x = np.mgrid[:rows, :columns].astype(float)
        x, y = x + offset[0], y + offset[1]
        height = floor_height(x, y) / (1 - SLOPE @ slant)
        normal = np.broadcast_to(np.array([*-SLOPE, 1.0]), (*SHAPE, 3)).copy()
        local = np.zeros((*SHAPE, 3))
        body = np.full(SHAPE, len(self.bodies))
        direction = np.array([*slant, 1.0])
        for number, thing in enumerate(self.bodies):
            if solid and thing.material == GLASS:
                continue
            reach = np.linalg.norm(thing.axes * thing.radii[:, None], axis=0)
            at = thing.centre[:2] - np.array(slant) * thing.centre[2] - offset
            half = reach[:2] + np.abs(slant) * reach[2]
            (left, top), (right, bottom) = np.floor(at - half), np.ceil(at + half) + 1
            part = np.s_[
                max(0, int(top)) : max(0, int(bottom)), max(0, int(left)) : max(0, int(right))
            ]
            if x[part].size == 0:
                continue
            start = np.stack([x[part], y[part], np.zeros_like(x[part])], -1) - thing.centre
            z, n, q = meet(thing, start, direction, self.pores[LATTICE])
            nearer = z > height[part]
            height[part][nearer] = z[nearer]
            normal[part][nearer] = n[nearer]
            local[part][nearer] = q[nearer]
            body[part][nearer] = number
        normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
        return Hits(height, normal, local, body)

    @cached_property
    def shade(self) -> tuple[Array, Array, Array]:
        """Heights below which the light does not reach: of the lamp, and around in small and large."""
        heights = self.look((0, 0), (0, 0), solid=True).height
        shadow = np.full(SHAPE, -np.inf)
        for step in range(2, 100):
            moved = ndi.shift(
                heights, -step * LIGHT[1::-1] / np.hypot(*LIGHT[:2]), order=1, mode="nearest"
            )
            shadow = np.maximum(shadow, moved - step * LIGHT[2] / np.hypot(*LIGHT[:2]))
        near, wide = (ndi.gaussian_filter(heights, s) for s in (4, 14))
        return ndi.gaussian_filter(shadow, 0.8), near, wide

    def light(self, hits: Hits, slant: tuple[float, float], offset: tuple[float, float]) -> Array:
        """Return how bright each pixel is, linear, white about 1."""
        rows, columns = SHAPE
        y, x = np.mgrid[:rows, :columns].astype(float)
        z = hits.height
        x, y = x + offset[0] + slant[0] * z, y + offset[1] + slant[1] * z
        material, albedo = self.material[hits.body], self.albedo[hits.body].copy()
        place = np.stack([z, y, x])
        coarse, fine = (
            np.stack(
                [
                    ndi.map_coordinates(n, place / size % 64, order=1, mode="grid-wrap")
                    for n in noise
                ]
            )
            for size, noise in ((1.6, self.noise), (0.8, self.noise[3:]))
        )
        roughness = np.array([0.24, 0.10, 0.08, 0.05, 0.04, 0.1])[material]
        normal = hits.normal + roughness[..., None] * np.moveaxis(coarse[:3], 0, -1)
        normal /= np.linalg.norm(normal, axis=-1, keepdims=True)

        grain = material == SAND
        albedo[grain] *= np.clip(1 + 0.22 * coarse[3] + 0.10 * fine[0], 0.25, 1.6)[grain]
        ground = material == FLOOR
        albedo[ground] = (
            0.05
            + 0.5
            * self.gravel[np.rint(2 * y).astype(int) % 512, np.rint(2 * x).astype(int) % 512][
                ground
            ]
            ** 2
        )
        for kind in (SHELL, LATTICE):
            here = material == kind
            apart, _ = self.pores[SHELL].query(hits.local[here])
            size = self.size[hits.body[here]]
            depth = np.clip((size - 6) / 14, 0, 1) if kind == SHELL else 0.0
            albedo[here] *= 1 - 0.62 * depth * np.exp(-((apart / 0.030) ** 2))
            albedo[here] *= 1 + 0.07 * coarse[3][here] + 0.05 * fine[0][here]
        here = material == DIATOM
        albedo[here] *= valve(hits.local[here])
        here = material == GLASS
        albedo[here] *= 1 + 0.18 * coarse[3][here]

        shadow, near, wide = (
            ndi.map_coordinates(m, [y, x], order=1, mode="nearest") for m in self.shade
        )
        lit = 1 / (1 + np.exp(np.clip((shadow - z - 2.5) / 1.2, -30, 30)))
        open_sky = np.exp(-0.10 * np.maximum(near - z, 0) - 0.045 * np.maximum(wide - z, 0))
        lamp = np.maximum(normal @ LIGHT, 0) * lit
        ring = (0.35 + 0.65 * np.maximum(normal @ AROUND, 0)) * open_sky
        half = (LIGHT + AROUND) / np.linalg.norm(LIGHT + AROUND)
        gloss = np.array([0.35, 0.10, 0.25, 0.35, 0.9, 0.0])[material]
        spark = gloss * np.maximum(normal @ half, 0) ** 60 * lit
        rim = np.where(material == GLASS, 0.5 * (1 - np.abs(hits.normal[..., 2])) ** 2, 0)
        return albedo * (0.62 * lamp + 0.42 * ring) + 0.6 * spark + rim * open_sky


def meet(thing: Body, start: Array, direction: Array, holes: cKDTree) -> tuple[Array, Array, Array]:
    """Return the greatest height at which rays meet a body, -inf for none, the normal, the place.

    Rays are start + z·direction, with start (..., 3) from the body's centre. The normal need not be
    of unit length; the place is in the body's axes and semi-axes.
    """
    into = thing.axes / thing.radii[:, None]
    q0, qd = start @ into.T, into @ direction
    a, b, c = qd @ qd, q0 @ qd, (q0**2).sum(-1) - 1
    root = np.sqrt(np.maximum(b * b - a * c, 0))
    upper, lower = (-b + root) / a, (-b - root) / a
    missed = b * b <= a * c
    if thing.material == LATTICE:
        for z in (upper, lower):
            apart, _ = holes.query(q0 + z[..., None] * qd)
            solid = (apart > 0.155) & ~missed
            if z is upper:
                front = solid
        upper, missed = np.where(front, upper, lower), ~(front | solid)
    facet = np.full(upper.shape, -1)
    for number, cut in enumerate(thing.cuts):
        speed = cut[:3] @ direction
        z = (cut[3] - start @ cut[:3]) / speed
        if speed > 0:
            facet[z < upper] = number
            upper = np.minimum(upper, z)
        else:
            lower = np.maximum(lower, z)
    if len(thing.cuts):
        missed |= upper <= lower
    q = q0 + upper[..., None] * qd
    normal = q @ into
    if thing.material == LATTICE:
        normal = np.where(front[..., None], normal, -normal)
    for number, cut in enumerate(thing.cuts):
        normal[facet == number] = cut[:3]
    return np.where(missed, -np.inf, upper), normal, q


def valve(local: Array) -> Array:
    """Return how bright a diatom's valve is: rows of pores in a hexagonal grid, a rim of ribs."""
    u, v, _ = local.T * 45
    radius, angle = np.hypot(u, v), np.arctan2(v, u)
    waves = [
        np.cos(2 * np.pi / 5.2 * (u * np.cos(t) + v * np.sin(t))) for t in np.deg2rad([0, 60, 120])
    ]
    pores = np.clip(0.5 + 0.45 * np.sum(waves, 0), 0, 1)
    ribs = np.where(np.cos(48 * angle) > 0, 1.0, 0.45)
    spokes = np.exp(-((np.sin(4 * angle) * radius / 2.2) ** 2))
    plate = np.maximum(1.15 - 0.85 * pores, 1.1 * spokes * (radius < 36))
    return np.where(radius > 38, ribs, np.where(radius > 36, 1.2, plate))
