"""Whether two images match where a transform puts one: the blocks of the image are asked.

A block says where it matches best, of all shifts within a few voxels. Where the transform is right,
most say: here. Where it is wrong, or there is nothing to match, they say anything.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .oriented import channels, correlation
from .picture import Check, Sampled, warped
from .transforms import Matrix

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLOCK = {2: 32, 3: 8}
"""Side of a block, in voxels; less where an image has few."""

_FEWEST = {2: 24, 3: 60}
"""Blocks that an image is cut into, about."""

REACH = {2: 8, 3: 3}
"""How far it looks."""

NEAR = {2: 2.0, 3: 1.5}
"""What still counts as here, in voxels."""

_LEAST_SHARE = 0.6
"""Of a block's voxels that must be known in both images."""


class Votes(NamedTuple):
    """What the blocks of an image say.

    Attributes
    ----------
    share : float
        Of those that could be asked, the share that says: here.
    asked : int
        How many could be asked.
    offsets : array (asked, n)
        Where each matches best, in voxels off.
    correlation : float
        Of all of the image.
    overlap : float
        The share of the smaller image that lies on the other.
    """

    share: float
    asked: int
    offsets: NDArray[np.floating]
    correlation: float
    overlap: float


def matching(fixed: Sampled, moving: Sampled, pull: Matrix) -> float:
    """Return the correlation of the oriented gradients of what both images show."""
    view = warped(moving, pull, fixed)
    own, other = channels(fixed.values, fixed.known), channels(view.values, view.known)
    return correlation(own, other, fixed.known & view.known)


def ask_blocks(fixed: Sampled, moving: Sampled, pull: Matrix, check: Check) -> Votes:
    """Return what the blocks say of a transform.

    Parameters
    ----------
    fixed, moving : Sampled
    pull : array (n + 1, n + 1)
        Takes the fixed image's points to the moving one's.
    check : callable
    """
    n = fixed.values.ndim
    few = int((fixed.values.size / _FEWEST[n]) ** (1 / n))
    reach, side = REACH[n], min(BLOCK[n], max(few, BLOCK[n] // 3))
    view = warped(moving, pull, fixed, reach)
    own, other = channels(fixed.values, fixed.known), channels(view.values, view.known)
    middle = (slice(reach, -reach),) * n
    both = fixed.known & view.known[middle]
    overall = correlation(own, other[(slice(None), *middle)], both)
    counts = [max(length // side, 1) for length in fixed.values.shape]
    used = tuple(
        slice(0, min(k * side, length))
        for k, length in zip(counts, fixed.values.shape, strict=True)
    )

    def in_blocks(values: NDArray[np.floating]) -> NDArray[np.floating]:
        values = values[used]
        shape = [
            each
            for k, length in zip(counts, values.shape, strict=True)
            for each in (k, length // k)
        ]
        cut = tuple(
            slice(0, k * (length // k)) for k, length in zip(counts, values.shape, strict=True)
        )
        return values[cut].reshape(shape).sum(axis=tuple(range(1, 2 * n, 2)), dtype=np.float64)

    energy = np.square(own).sum(axis=0)
    structure = in_blocks(energy * both)
    size = in_blocks(np.ones(fixed.values.shape, np.float32))
    usable = in_blocks(both.astype(np.float32)) >= _LEAST_SHARE * size
    usable &= structure > 0.3 * np.median(structure[usable]) if usable.any() else False
    shifts = list(product(range(-reach, reach + 1), repeat=n))
    others = np.square(other).sum(axis=0)
    best = np.full(structure.shape, -np.inf)
    at = np.zeros((*structure.shape, n))
    for shift in shifts:
        check()
        here = tuple(
            slice(reach + d, reach + d + length)
            for d, length in zip(shift, both.shape, strict=True)
        )
        score = in_blocks(np.einsum("c...,c...->...", own, other[(slice(None), *here)]) * both)
        score /= np.sqrt(in_blocks(others[here] * both) + 1e-9)
        better = score > best
        best[better] = score[better]
        at[better] = shift
    offsets = at[usable]
    near = np.linalg.norm(offsets, axis=1) <= NEAR[n]
    larger = (moving.step / fixed.step) ** n
    smaller = max(min(float(fixed.known.sum()), float(moving.known.sum()) * larger), 1.0)
    share = float(near.mean()) if len(near) else 0.0
    return Votes(share, len(near), offsets, overall, min(float(both.sum()) / smaller, 1.0))
