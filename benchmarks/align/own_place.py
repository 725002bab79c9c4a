"""Where two pictures of a pair lie on each other as they came, by a measure of its own.

Pairs that differ in focus are not registered to half a pixel: a lens that is refocused magnifies. So
blocks of one picture are looked for on the other by the correlation of their smoothed intensities, which
`napari_gifnet.align` does not use, and one similarity is fitted to what they say, with outliers weighed
down (Tukey's biweight). Drawing blocks at random, with replacement, tells how sure that is.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import ndimage

from napari_gifnet.planes.color import luma

SIDE, STRIDE, REACH, MARGIN = 48, 24, 4, 8
"""Of the blocks, between them, how far they look, and what is left out at the edge: in pixels."""

SIGMA = 2.0
"""By which both are smoothed, in pixels."""

DRAWS = 40

_LEAST = 0.8
"""Correlation of a block with where it matches best."""

_RADIUS = 200.0


class OwnPlace(NamedTuple):
    """Where the moving picture of a pair belongs.

    Attributes
    ----------
    matrix : array (3, 3)
    draws : list of array (3, 3)
        The same of blocks drawn with replacement.
    blocks : int
    """

    matrix: np.ndarray
    draws: list[np.ndarray]
    blocks: int


def own_place(fixed: np.ndarray, moving: np.ndarray, draws: int = DRAWS) -> OwnPlace:
    """Return where a picture lies best on another of the same modality."""
    points, offsets, weights = _offsets(*(_smooth(each) for each in (fixed, moving)))
    middle = (np.array(fixed.shape[:2]) - 1) / 2
    rng = np.random.default_rng(0)
    drawn = []
    for _ in range(draws):
        some = rng.integers(0, len(points), len(points))
        drawn.append(_fit(points[some], offsets[some], weights[some], middle))
    return OwnPlace(_fit(points, offsets, weights, middle), drawn, len(points))


def apart(a: np.ndarray, b: np.ndarray, points: np.ndarray) -> float:
    """Return how far two transforms lie apart, on average over points."""
    gone = points @ (a - b)[:-1, :-1].T + (a - b)[:-1, -1]
    return float(np.linalg.norm(gone, axis=1).mean())


def _smooth(picture: np.ndarray) -> np.ndarray:
    values = picture.astype(np.float32)
    return ndimage.gaussian_filter(luma(values) if values.ndim == 3 else values, SIGMA).astype(
        float
    )


def _offsets(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return where blocks are, by how much each is off, to parts of a pixel, and how clearly."""
    inner = MARGIN + REACH + SIDE // 2
    rows, columns = (np.arange(inner, n - inner, STRIDE) for n in a.shape)
    at = np.ix_(rows, columns)

    def mean(values: np.ndarray) -> np.ndarray:
        return ndimage.uniform_filter(values, SIDE)[at]

    shifts = range(-REACH, REACH + 1)
    own = mean(a)
    spread = mean(a * a) - own**2
    scores = np.zeros((len(shifts), len(shifts), *own.shape))
    for i, dy in enumerate(shifts):
        for j, dx in enumerate(shifts):
            other = np.roll(b, (-dy, -dx), (0, 1))
            theirs = mean(other)
            product = spread * (mean(other * other) - theirs**2)
            scores[i, j] = (mean(a * other) - own * theirs) / np.sqrt(np.maximum(product, 1e-9))
    points, offsets, weights = [], [], []
    for row, column in np.ndindex(own.shape):
        score = scores[:, :, row, column]
        i, j = np.unravel_index(score.argmax(), score.shape)
        if min(i, j) == 0 or max(i, j) == len(shifts) - 1 or score[i, j] < _LEAST:
            continue
        g = score[i - 1 : i + 2, j - 1 : j + 2]
        slope = np.array([g[2, 1] - g[0, 1], g[1, 2] - g[1, 0]]) / 2
        mixed = (g[2, 2] - g[2, 0] - g[0, 2] + g[0, 0]) / 4
        bend = np.array(
            [
                [g[2, 1] - 2 * g[1, 1] + g[0, 1], mixed],
                [mixed, g[1, 2] - 2 * g[1, 1] + g[1, 0]],
            ]
        )
        sharpness = np.linalg.eigvalsh(-bend)[0]
        if sharpness <= 1e-4:
            continue
        part = -np.linalg.solve(bend, slope)
        if np.abs(part).max() <= 1:
            points.append((rows[row], columns[column]))
            offsets.append((shifts[i] + part[0], shifts[j] + part[1]))
            weights.append(sharpness / (1.003 - score[i, j]))
    return np.array(points, float), np.array(offsets), np.array(weights)


def _fit(
    points: np.ndarray, offsets: np.ndarray, weights: np.ndarray, middle: np.ndarray
) -> np.ndarray:
    """Return the similarity that brings back what is off so."""
    y, x = (points - middle).T / _RADIUS
    one, none = np.ones(len(y)), np.zeros(len(y))
    rows = np.concatenate(
        [np.stack([one, none, y, -x], axis=1), np.stack([none, one, x, y], axis=1)]
    )
    wanted = np.concatenate(offsets.T)
    weights = np.minimum(weights / weights.mean(), 4)
    trust = one
    for _ in range(30):
        root = np.sqrt(np.tile(weights * trust, 2))
        numbers, *_ = np.linalg.lstsq(rows * root[:, None], wanted * root, rcond=None)
        residual = np.hypot(*(wanted - rows @ numbers).reshape(2, -1))
        scale = max(1.26 * float(np.median(residual)), 0.02)
        trust = np.clip(1 - (residual / (4.685 * scale)) ** 2, 0, 1) ** 2
    grown, turn = numbers[2:] / _RADIUS
    linear = np.array([[1 + grown, -turn], [turn, 1 + grown]])
    away = np.eye(3)
    away[:2, :2], away[:2, 2] = linear, middle - linear @ middle + numbers[:2]
    return np.linalg.inv(away)
