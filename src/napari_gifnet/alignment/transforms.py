"""The kinds of transform, as matrices and as the few numbers that make one.

All matrices are homogeneous, (n + 1, n + 1), for n = 2 or 3.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import expm, polar

from napari_gifnet.errors import OptionError

Matrix = NDArray[np.floating]

KINDS = ("shift", "rigid", "similarity", "affine")
"""From the fewest numbers to the most; each includes the ones before it."""


def check_kind(kind: Any) -> str:
    """Return the kind of transform, if it is one."""
    if not isinstance(kind, str) or kind not in KINDS:
        raise OptionError(
            f"transform={kind!r} is not understood: expected {', '.join(map(repr, KINDS[:-1]))} or "
            f"{KINDS[-1]!r}."
        )
    return kind


def make(linear: ArrayLike, shift: ArrayLike) -> Matrix:
    """Return the matrix of a linear part (n, n) and a shift (n,)."""
    linear = np.asarray(linear, float)
    matrix = np.eye(len(linear) + 1)
    matrix[:-1, :-1], matrix[:-1, -1] = linear, shift
    return matrix


def moved(matrix: Matrix, points: ArrayLike) -> Matrix:
    """Return where points (..., n) go."""
    return np.asarray(points, float) @ matrix[:-1, :-1].T + matrix[:-1, -1]


def count(kind: str, n: int) -> int:
    """Return how many numbers make a transform."""
    turns = n * (n - 1) // 2
    return n + {"shift": 0, "rigid": turns, "similarity": turns + 1, "affine": n * n}[kind]


def from_numbers(kind: str, numbers: ArrayLike, n: int, radius: float) -> Matrix:
    """Return the transform that some numbers make; zeros make the one that moves nothing.

    Parameters
    ----------
    kind : {"shift", "rigid", "similarity", "affine"}
    numbers : array (count(kind, n),)
        Shifts, then turns, then what else: all are lengths, those that turn and stretch at a
        distance of `radius` from the origin.
    n : int
    radius : float
    """
    numbers = np.asarray(numbers, float)
    shift, rest = numbers[:n], numbers[n:] / radius
    grown = np.zeros((n, n))
    if kind == "affine":
        grown[...] = rest.reshape(n, n)
    elif kind != "shift":
        rows, columns = np.triu_indices(n, 1)
        grown[rows, columns] = -rest[: len(rows)]
        grown[columns, rows] = rest[: len(rows)]
        if kind == "similarity":
            grown += np.eye(n) * rest[-1]
    return make(expm(grown), shift)


def nearest(kind: str, matrix: Matrix, centre: ArrayLike) -> Matrix:
    """Return the transform of a kind that is nearest to another one, about a centre (n,)."""
    linear, n = matrix[:-1, :-1], len(matrix) - 1
    if kind == "shift":
        linear = np.eye(n)
    elif kind != "affine":
        turn, stretch = polar(linear)
        linear = turn * (np.trace(stretch) / n if kind == "similarity" else 1.0)
    centre = np.asarray(centre, float)
    return make(linear, moved(matrix, centre) - linear @ centre)


def degrees(matrix: Matrix) -> float:
    """Return by how many degrees a transform turns."""
    turn, _ = polar(matrix[:-1, :-1])
    n = len(turn)
    if n == 2:
        return float(np.rad2deg(np.arctan2(abs(turn[1, 0] - turn[0, 1]), np.trace(turn))))
    sine = np.linalg.norm(
        [turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1]]
    )
    return float(np.rad2deg(np.arctan2(sine, np.trace(turn) - 1)))


def stretches(matrix: Matrix) -> Matrix:
    """Return by which factors a transform stretches, along the directions where it does most."""
    return np.linalg.svd(matrix[:-1, :-1], compute_uv=False)


def rounded(matrix: Matrix, unit: float) -> Matrix:
    """Return a transform in round numbers, to a millionth of `unit`.

    The same sums come out otherwise in the last digit from one run to the next, as memory lies.
    """
    digits = 6 - int(np.floor(np.log10(unit)))
    return make(np.round(matrix[:-1, :-1], 9), np.round(matrix[:-1, -1], digits)) + 0.0
