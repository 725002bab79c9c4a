"""Whether a transform that was found can be trusted, and the sentence that says so.

The share was set on training pictures, which are not in the tables: `python benchmarks/align thresholds`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .picture import Check, Sampled
from .search import Place, steps_of
from .transforms import Matrix, moved
from .votes import Votes, ask_blocks, matching

JUDGED = {2: 240, 3: 60}
"""Voxels along the longest side of the fixed image as it is judged."""

LEAST_SHARE = {2: 0.31, 3: 0.33}
"""Of the blocks that can be asked, the share that must match where the images are put. That of volumes
was set on none: there are no training volumes."""

LEAST_BLOCKS = {2: 12, 3: 20}
"""That can be asked."""

LEAST_OVERLAP = 0.25
"""Of the smaller image."""

LEAST_GAIN = {2: 0.06, 3: 0.02}
"""Share by which images must match better than where they are, or they lie right already. That of planes
was set on training pictures, too, in the smallest voxels of the search: in larger ones a few pixels of a
large picture count for nothing."""

LEAST_REGAINED = 0.5
"""Of what is missing to a perfect match. Images of one modality match well even some pixels off: that much
of the rest is reason enough to move one."""

ONE_PLACE = {2: 2.0, 3: 0.6}
"""Working voxels: places no further apart may be one. Volumes of two modalities match hardly better for a
move of 3 mm, so that one lies right only if it would also move by less than this."""

ALIKE = 0.005
"""Measures of places as near to each other as that, which differ by less, are one."""


class Judged(NamedTuple):
    """A place and what is to be said of it.

    Attributes
    ----------
    place : Place
    votes : Votes
    measure : float
        The correlation of oriented gradients, less where little of the images overlaps.
    """

    place: Place
    votes: Votes
    measure: float


def judging_step(fixed: Sampled) -> float:
    """Return the voxel length at which places are compared."""
    longest = max(fixed.values.shape) * fixed.step
    return max(longest / JUDGED[fixed.values.ndim], fixed.step)


def judge(fixed: Sampled, moving: Sampled, places: list[Place], check: Check) -> list[Judged]:
    """Return the places by one measure, the best first; that of the start comes with them.

    The measure is taken in large voxels: of places that it cannot tell apart an exact one comes first.
    """
    judged = []
    for place in places:
        votes = ask_blocks(fixed, moving, place.pull, check)
        measure = votes.correlation * np.sqrt(votes.overlap)
        judged.append(Judged(place, votes, float(measure)))
    judged.sort(key=lambda each: -each.measure)
    best = judged[0]

    def is_alike(each: Judged) -> bool:
        between = np.linalg.inv(best.place.pull) @ each.place.pull
        near = movement_of(fixed, between) < ONE_PLACE[fixed.values.ndim]
        return near and best.measure - each.measure < ALIKE

    exact = (each for each in judged if each.place.exact and is_alike(each))
    first = next(exact, best)
    return [first, *(each for each in judged if each is not first)]


def movement_of(fixed: Sampled, pull: Matrix) -> float:
    """Return how far the fixed image's points go on average, in working voxels."""
    corners = np.array(list(np.ndindex((3,) * fixed.values.ndim))) / 2
    points = corners * (np.array(fixed.values.shape) - 1) * fixed.step + fixed.origin
    return float(np.linalg.norm(moved(pull, points) - points, axis=1).mean())


class Gain(NamedTuple):
    """By how much images match better than where they are.

    Attributes
    ----------
    share : float
        Of the best measure.
    regained : float
        The share of what is missing to a perfect match, where they are, that is not missing any more.
    """

    share: float
    regained: float


def better_by(start: float, best: float) -> Gain:
    """Return by how much one measure is better than another."""
    return Gain((best - start) / max(abs(best), 1e-9), (best - start) / max(1 - start, 1e-9))


def gain_of(fixed: Sampled, moving: Sampled, start: Judged, best: Judged) -> Gain:
    """Return by how much images, in working voxels, match better than where they are."""
    if fixed.values.ndim == 3:
        return better_by(start.measure, best.measure)
    step = steps_of(fixed)[-1]
    f, m = fixed.coarser(step), moving.coarser(step)
    return better_by(*(matching(f, m, each.place.pull) for each in (start, best)))


def verdict(
    start: Judged, best: Judged, gain: Gain, movement: float, n: int
) -> tuple[bool, bool, str]:
    """Return whether to trust the best place, whether to stay at the start, and why, in words.

    Parameters
    ----------
    start, best : Judged
    gain : Gain
        Of the best over the start.
    movement : float
        From one to the other, in working voxels.
    n : int
        Axes.
    """
    hardly_better = gain.share < LEAST_GAIN[n] and gain.regained < LEAST_REGAINED
    stays = hardly_better and (n == 2 or movement < ONE_PLACE[n])
    judged = start if stays else best
    votes = judged.votes
    enough = f"{votes.share:.0%} of {votes.asked} regions match within a few pixels"
    if judged.votes.overlap < LEAST_OVERLAP:
        return False, stays, f"only {judged.votes.overlap:.0%} of the images would overlap."
    if votes.asked < LEAST_BLOCKS[n]:
        return False, stays, "too little of the images overlaps, or has any structure, to tell."
    if votes.share < LEAST_SHARE[n]:
        no_better = "; they match hardly better anywhere else than where they lie" if stays else ""
        return False, stays, f"only {enough}{no_better}."
    if stays:
        return True, stays, f"the images lie right already: {enough}."
    return True, stays, f"{enough}."


def is_better_neighbour(start: Judged, best: Judged) -> bool:
    """Return whether a plane is to be moved onto its neighbour in a stack."""
    fits = best.votes.asked >= LEAST_BLOCKS[2] and best.votes.share >= LEAST_SHARE[2]
    return fits and best.measure >= start.measure
