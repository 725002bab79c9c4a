"""Oriented gradients: what two modalities share, and where one lies on the other by it.

An edge is an edge in either modality, though what is bright in one may be dark in the other. So a
channel holds, for each of six directions d, |∇v · d|, smoothed and divided by the length of all six
in that voxel; what is strong counts no more than what is merely clear.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import fft, ndimage, optimize

from .picture import Check, Sampled, warped
from .transforms import Matrix, count, from_numbers, make

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

_GOLDEN = (1 + 5**0.5) / 2

DIRECTIONS = {
    2: np.array([[np.cos(a), np.sin(a)] for a in np.arange(6) * np.pi / 6]),
    3: np.array(
        [
            (0, 1, _GOLDEN),
            (0, 1, -_GOLDEN),
            (1, _GOLDEN, 0),
            (1, -_GOLDEN, 0),
            (_GOLDEN, 0, 1),
            (-_GOLDEN, 0, 1),
        ]
    )
    / np.hypot(1, _GOLDEN),
}
"""Six directions, spread evenly, for planes and for volumes."""

_FLOOR = 0.5
"""Of an image's mean gradient: weaker ones count for less."""


def channels(
    values: Floats, known: NDArray[np.bool_], sigma: float = 1.0, spread: float = 1.5
) -> Floats:
    """Return the oriented gradients of an image, (6, ...), 0 where it is not known.

    Parameters
    ----------
    values, known : array
        As `Sampled` has them.
    sigma : float
        Of the gradient, in voxels.
    spread : float
        By how much it is smoothed, in voxels: what lies so far off still matches.
    """
    n = values.ndim
    smooth = ndimage.gaussian_filter(values, sigma, mode="nearest")
    gradient = np.stack(
        [
            np.gradient(smooth, axis=axis) if values.shape[axis] > 1 else np.zeros_like(smooth)
            for axis in range(n)
        ]
    )
    inside = ndimage.binary_erosion(known, iterations=int(np.ceil(2 * sigma)), border_value=1)
    gradient *= inside
    along = np.abs(np.tensordot(DIRECTIONS[n].astype(np.float32), gradient, axes=1))
    along = ndimage.gaussian_filter(along, (0, *(spread,) * n), mode="constant")
    length = np.sqrt(np.square(along).sum(axis=0))
    mean = length[inside].mean() if inside.any() else 0.0
    along /= length + max(_FLOOR * mean, 1e-12)
    along -= along.mean(axis=0)
    return along * known


def correlation(fixed: Floats, moving: Floats, both: NDArray[np.bool_]) -> float:
    """Return the normalised correlation of channels (6, ...) over the voxels that both have."""
    products = (fixed * moving).sum(axis=0)[both].sum()
    lengths = np.square(fixed).sum(axis=0)[both].sum() * np.square(moving).sum(axis=0)[both].sum()
    return float(products / np.sqrt(lengths)) if lengths > 0 else 0.0


class Found(NamedTuple):
    """A place that a search came upon."""

    score: float
    pull: Matrix


def wide_search(
    fixed: Sampled,
    moving: Sampled,
    turns: Matrix,
    scales: Matrix,
    most: int,
    check: Check,
    least_overlap: float = 0.25,
) -> list[Found]:
    """Return where a plane lies best on another one, of all shifts and some turns and scales.

    Parameters
    ----------
    fixed, moving : Sampled
        Planes, of one step.
    turns : array
        In degrees.
    scales : array
    most : int
        How many places to return, the best first.
    check : callable
        Called often; what it raises ends the search.
    least_overlap : float
        Of the smaller image: places where less of it lies on the other do not count.
    """
    step = fixed.step
    middle = moving.origin + (np.array(moving.values.shape) - 1) / 2 * step
    side = int(np.ceil(np.hypot(*moving.values.shape) / min(1.0, scales.min())))
    sides = [fft.next_fast_len(n + side - 1, real=True) for n in fixed.values.shape]
    own = channels(fixed.values, fixed.known)
    spectra = fft.rfft2(own, sides)
    energy = fft.rfft2(np.square(own).sum(axis=0), sides)
    known = fft.rfft2(fixed.known.astype(np.float32), sides)
    canvas = Sampled(
        np.zeros((side, side), np.float32),
        np.ones((side, side), bool),
        np.full(2, -(side - 1) / 2 * step),
        step,
    )
    found = []
    for turn in np.deg2rad(turns):
        rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        for scale in scales:
            check()
            linear = rotation * scale
            view = warped(moving, make(linear, middle), canvas)
            other = channels(view.values, view.known)
            spectrum = np.conj(fft.rfft2(other, sides))
            mask = np.conj(fft.rfft2(view.known.astype(np.float32), sides))
            theirs = np.conj(fft.rfft2(np.square(other).sum(axis=0), sides))
            product = fft.irfft2((spectra * spectrum).sum(axis=0), sides)
            length = fft.irfft2(energy * mask, sides) * fft.irfft2(known * theirs, sides)
            overlap = fft.irfft2(known * mask, sides)
            score = product / np.sqrt(np.maximum(length, 1e-6 * max(float(length.max()), 1e-12)))
            share = overlap / min(float(fixed.known.sum()), float(view.known.sum()))
            score *= np.sqrt(np.clip(share, 0, 1))
            score[share < least_overlap] = -1
            at = np.unravel_index(int(score.argmax()), score.shape)
            offset = np.array([i - n if i > n // 2 else i for i, n in zip(at, sides, strict=True)])
            # fixed's voxel i meets the canvas' voxel i - offset
            shift = canvas.origin - fixed.origin - offset * step
            found.append(Found(float(score[at]), make(linear, linear @ shift + middle)))
    return _apart(sorted(found, key=lambda each: -each.score), fixed, most)


def _apart(found: list[Found], fixed: Sampled, most: int) -> list[Found]:
    """Return the best places that lie apart from each other."""
    corners = np.array(list(np.ndindex((2,) * fixed.values.ndim)))
    corners = corners * (np.array(fixed.values.shape) - 1) * fixed.step + fixed.origin
    kept: list[Found] = []
    for each in found:
        here = corners @ each.pull[:-1, :-1].T + each.pull[:-1, -1]
        near = (
            np.abs(here - (corners @ other.pull[:-1, :-1].T + other.pull[:-1, -1])).mean()
            < 4 * fixed.step
            for other in kept
        )
        if not any(near):
            kept.append(each)
        if len(kept) == most:
            break
    return kept


def refine(
    fixed: Sampled,
    moving: Sampled,
    start: Matrix,
    kind: str,
    check: Check,
    reach: float = 6.0,
    iterations: int = 3,
    most: int = 3000,
) -> Found:
    """Return the transform near another one by which the oriented gradients match best.

    Parameters
    ----------
    fixed, moving : Sampled
    start : array (n + 1, n + 1)
        Takes the fixed image's points to the moving one's.
    kind : {"shift", "rigid", "similarity", "affine"}
    check : callable
    reach : float
        How far it looks, in voxels.
    iterations : int
        Of Powell's method.
    most : int
        How many voxels are compared.
    """
    n, step = fixed.values.ndim, fixed.step
    margin = int(reach) + 2
    view = warped(moving, start, fixed, margin)
    own = channels(fixed.values, fixed.known)
    other = channels(view.values, view.known)
    strength = np.square(own).sum(axis=0) * fixed.known
    order = np.argsort(-strength, axis=None, kind="stable")
    usable = order[: max(int((strength > 0).sum() * 0.5), 1)]
    chosen = np.sort(usable[:: max(len(usable) // most, 1)])
    at = np.stack(np.unravel_index(chosen, strength.shape), axis=-1)
    f = np.ascontiguousarray(own.reshape(len(own), -1)[:, chosen].T)
    points = at * step + fixed.origin
    radius = float(np.linalg.norm(np.array(fixed.values.shape) * step)) / 4
    height, width = view.values.shape
    table = np.ascontiguousarray(np.moveaxis(other, 0, -1)).reshape(height * width, -1)
    known = view.known.ravel()
    corners = np.array([0, 1, width, width + 1])

    def cost(numbers: NDArray[np.floating]) -> float:
        check()
        change = from_numbers(kind, numbers * step, n, radius)
        index = view.index(points @ change[:-1, :-1].T + change[:-1, -1])
        whole = np.floor(index)
        y, x = (index - whole).T.astype(np.float32)
        row, column = whole.T.astype(int)
        inside = (row >= 0) & (row < height - 1) & (column >= 0) & (column < width - 1)
        first = np.where(inside, row * width + column, 0)
        inside &= known[first]
        share = float(inside.mean())
        if share < 0.2:
            return 1.0
        weights = np.stack([(1 - y) * (1 - x), (1 - y) * x, y * (1 - x), y * x], axis=1)
        at = first[inside, None] + corners
        g = np.einsum("pk,pkc->pc", weights[inside], table[at])
        f_ = f[inside]
        length = np.sqrt(np.square(f_).sum() * np.square(g).sum() + 1e-12)
        return -float((f_ * g).sum() / length) * share**0.5

    numbers = count(kind, n)
    result = optimize.minimize(
        cost,
        np.zeros(numbers),
        method="Powell",
        bounds=[(-reach, reach)] * numbers,
        options={"xtol": 0.02, "ftol": 1e-5, "maxiter": iterations},
    )
    return Found(-float(result.fun), start @ from_numbers(kind, result.x * step, n, radius))
