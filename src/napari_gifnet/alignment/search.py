"""The search for where one image lies on another: wide, then fine.

Planes: every shift, some turns and scales by oriented gradients at low resolution; the best of these
places, and the one where the images are, are then refined. Volumes: mutual information from where the
images are and from their centres of mass.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from . import mutual, oriented
from .picture import Check, Sampled, centre_of_mass
from .transforms import Matrix, make

SIDES = {2: (112, 224, 640), 3: (28, 48, 112)}
"""Voxels along the longest side of the fixed image, from the widest search to the finest."""

TURNS: Matrix = np.arange(-24, 25, 3.0)
"""Degrees that the wide search of planes tries."""

SCALES: Matrix = 1.05 ** np.arange(-4, 5)

SMOOTHED = 1.0
"""Voxels by which planes are smoothed at the end: one that was resampled, or is out of focus, is as
sharp as the other then, and what the interpolation adds is gone."""


class Place(NamedTuple):
    """Where the moving image may belong.

    Attributes
    ----------
    pull : array (n + 1, n + 1)
        Takes points of the fixed image to those of the moving one.
    how : str
        By which it was found.
    exact : bool
        Whether all voxels were looked at at the finest resolution.
    """

    pull: Matrix
    how: str
    exact: bool = False


def steps_of(fixed: Sampled) -> list[float]:
    """Return the voxel lengths of the search, the coarsest first."""
    n, longest = fixed.values.ndim, max(fixed.values.shape) * fixed.step
    return [max(longest / side, fixed.step) for side in SIDES[n]]


def starts(fixed: Sampled, moving: Sampled) -> list[Place]:
    """Return the places to begin with: where the images are, and centre of mass on centre of mass."""
    n = fixed.values.ndim
    shift = centre_of_mass(moving) - centre_of_mass(fixed)
    return [Place(np.eye(n + 1), "start"), Place(make(np.eye(n), shift), "centres of mass")]


def search_plane(
    fixed: Sampled, moving: Sampled, kind: str, seed: int, check: Check
) -> list[Place]:
    """Return places where one plane may lie on another, each refined."""
    steps = steps_of(fixed)
    f, m = ([each.coarser(step) for step in steps] for each in (fixed, moving))
    turns = TURNS if kind != "shift" else np.zeros(1)
    scales = SCALES if kind in ("similarity", "affine") else np.ones(1)
    wide = oriented.wide_search(f[0], m[0], turns, scales, 3, check)
    simple = "similarity" if kind == "affine" else kind
    near = [oriented.refine(f[1], m[1], each.pull, simple, check) for each in wide]
    near.sort(key=lambda each: -each.score)
    best = oriented.refine(
        f[2], m[2], near[0].pull, kind, check, reach=3.0, iterations=5, most=6000
    )
    places = [Place(np.eye(3), "start"), Place(best.pull, "oriented gradients")]
    smooth_f, smooth_m = (each[2].smoothed(SMOOTHED) for each in (f, m))
    for begin in list(places):
        pull = begin.pull
        for level in (0, 1) if begin.how == "start" else ():
            pull = mutual.refine(
                f[level],
                m[level],
                pull,
                simple,
                check,
                samples=20_000,
                first=2 * steps[level],
                last=0.02 * steps[level],
                iterations=60,
                seed=seed,
            )
        pull = mutual.refine(
            smooth_f,
            smooth_m,
            pull,
            kind,
            check,
            samples=None,
            first=(2.0 if begin.how == "start" else 0.5) * steps[2],
            last=0.005 * steps[2],
            iterations=100,
            seed=seed,
        )
        places.append(Place(pull, f"{begin.how}, then mutual information", exact=True))
    return places


def search_volume(
    fixed: Sampled, moving: Sampled, kind: str, seed: int, check: Check
) -> list[Place]:
    """Return places where one volume may lie on another, each refined."""
    steps = steps_of(fixed)
    f, m = ([each.coarser(step) for step in steps] for each in (fixed, moving))
    simple = "rigid" if kind in ("similarity", "affine") else kind
    begun = starts(f[0], m[0])
    places = [begun[0]]
    near = []
    for begin in begun:
        pull = mutual.refine(
            f[0],
            m[0],
            begin.pull,
            simple,
            check,
            samples=20_000,
            first=2 * steps[0],
            last=0.05 * steps[0],
            iterations=80,
            seed=seed,
        )
        near.append((mutual.measure(f[0], m[0], pull)[0], pull))
    pull = max(near, key=lambda each: each[0])[1]
    for level, samples in ((1, 20_000), (2, 50_000)):
        pull = mutual.refine(
            f[level],
            m[level],
            pull,
            kind,
            check,
            samples=samples,
            first=1.0 * steps[level],
            last=0.01 * steps[level],
            iterations=60,
            seed=seed,
            bins=50,
        )
    places.append(Place(pull, "mutual information"))
    return places


def search_neighbour(
    fixed: Sampled, moving: Sampled, kind: str, seed: int, check: Check
) -> list[Place]:
    """Return the place of a plane on its neighbour in a stack, which it lies near, and the start."""
    steps = [*steps_of(fixed), fixed.step]
    f, m = ([each.coarser(step) for step in steps] for each in (fixed, moving))
    turns = np.array([-3.0, 0.0, 3.0]) if kind != "shift" else np.zeros(1)
    scales = np.array([0.97, 1.0, 1.03]) if kind in ("similarity", "affine") else np.ones(1)
    wide = [each.pull for each in oriented.wide_search(f[0], m[0], turns, scales, 2, check)]
    simple = "similarity" if kind == "affine" else kind
    near = [oriented.refine(f[1], m[1], pull, simple, check) for pull in [np.eye(3), *wide]]
    best = max(near, key=lambda each: each.score)
    fine = oriented.refine(f[2], m[2], best.pull, kind, check, reach=3.0, iterations=5, most=6000)
    pull = mutual.refine(
        f[3],
        m[3],
        fine.pull,
        kind,
        check,
        samples=40_000,
        first=0.5 * steps[2],
        last=0.02,
        iterations=60,
        seed=seed,
    )
    return [Place(np.eye(3), "start"), Place(pull, "oriented gradients, then mutual information")]
