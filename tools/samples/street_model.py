"""The geometry of the street at night: signed distances in metres.

Axes: x to the right, y up, z away from the camera.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

CAMERA = np.array([0.0, 1.7, 0.0])
FACADE = 11.0  # z of the houses' fronts
ALLEY = (-4.3, -2.95)  # x between the houses
KERB = 9.2
LAMP = np.array([-0.45, 4.15, 8.3])
CAR, CAR_YAW = np.array([2.3, 0.0, 7.4]), np.deg2rad(208)
MANHOLE = np.array([-1.55, 0.0, 7.4])
HIDDEN_MAN, WALKING_MAN = np.array([-3.62, 0.12, 12.1]), np.array([-1.95, 0.12, 9.7])

SKY, GROUND, HOUSE, CLOTHES, SKIN, BODY, TYRE, POST, LAMP_HEAD, BIN = range(10)

CAR_PROFILE = np.array(
    [
        (-2.00, 0.24), (-2.10, 0.45), (-2.08, 0.80), (-1.98, 0.98), (-1.72, 1.32), (-1.35, 1.44),
        (-0.30, 1.46), (0.35, 1.34), (1.05, 0.98), (1.75, 0.88), (2.04, 0.72), (2.10, 0.42),
        (2.02, 0.24),
    ]
)  # fmt: skip


def box(p: Array, low: tuple[float, ...], high: tuple[float, ...], rounding: float = 0.0) -> Array:
    centre, half = (np.add(low, high)) / 2, np.subtract(high, low) / 2 - rounding
    q = np.abs(p - centre) - half
    return np.linalg.norm(np.maximum(q, 0), axis=-1) + np.minimum(q.max(-1), 0) - rounding


def capsule(p: Array, a: tuple[float, ...], b: tuple[float, ...], ra: float, rb: float) -> Array:
    """A rounded cone from `a` (radius `ra`) to `b` (radius `rb`), nearly exact."""
    a, axis = np.asarray(a), np.subtract(b, a)
    t = np.clip((p - a) @ axis / (axis @ axis), 0, 1)
    return np.linalg.norm(p - a - t[..., None] * axis, axis=-1) - (ra + (rb - ra) * t)


def union(*distances: Array, smooth: float = 0.0) -> Array:
    total = distances[0]
    for d in distances[1:]:
        if smooth:
            mix = np.clip(0.5 + 0.5 * (d - total) / smooth, 0, 1)
            total = d + mix * (total - d) - smooth * mix * (1 - mix)
        else:
            total = np.minimum(total, d)
    return total


def polygon(x: Array, y: Array, corners: Array) -> Array:
    """The signed distance to a polygon in the plane."""
    squared, sign = np.full(x.shape, np.inf), np.ones(x.shape)
    for (ax, ay), (bx, by) in zip(corners, np.roll(corners, 1, axis=0), strict=True):
        ex, ey, wx, wy = bx - ax, by - ay, x - ax, y - ay
        t = np.clip((wx * ex + wy * ey) / (ex * ex + ey * ey), 0, 1)
        squared = np.minimum(squared, (wx - ex * t) ** 2 + (wy - ey * t) ** 2)
        above, below, left = y >= ay, y < by, ex * wy > ey * wx
        flip = (above & below & left) | ~(above | below | left)
        sign = np.where(flip, -sign, sign)
    return sign * np.sqrt(squared)


def to_car(p: Array) -> Array:
    q = p - CAR
    c, s = np.cos(CAR_YAW), np.sin(CAR_YAW)
    return np.stack([c * q[..., 0] + s * q[..., 2], q[..., 1], c * q[..., 2] - s * q[..., 0]], -1)


def car(p: Array) -> tuple[Array, Array]:
    """Distances to body and tyres."""
    q = to_car(p)
    far = np.linalg.norm(q - [0, 0.7, 0], axis=-1) - 2.4
    near = far < 0.3
    body, tyre = np.maximum(far, 0.3), np.maximum(far, 0.3)
    x, y, side = q[near, 0], q[near, 1], np.abs(q[near, 2])
    width = 0.84 - 0.38 * np.clip(y - 0.92, 0, 1) - 0.10 * np.clip(np.abs(x) - 1.3, 0, 1) ** 2
    profile = polygon(x, y, CAR_PROFILE) + 0.08
    d = np.stack([profile, side - width + 0.08], -1)
    shell = np.linalg.norm(np.maximum(d, 0), axis=-1) + np.minimum(d.max(-1), 0) - 0.08
    axle = np.minimum(np.hypot(x - 1.32, y - 0.31), np.hypot(x + 1.28, y - 0.31))
    body[near] = np.maximum(shell, -np.maximum(axle - 0.37, 0.45 - side))
    d = np.stack([axle - 0.31 + 0.04, np.abs(side - 0.71) - 0.10 + 0.04], -1)
    tyre[near] = np.linalg.norm(np.maximum(d, 0), axis=-1) + np.minimum(d.max(-1), 0) - 0.04
    return body, tyre


def man(p: Array, place: Array, stride: float, turn: float) -> tuple[Array, Array]:
    """Distances to clothes and skin of a man of 1.78 m; `stride` in metres."""
    q = p - place
    c, s = np.cos(turn), np.sin(turn)
    q = np.stack([c * q[..., 0] - s * q[..., 2], q[..., 1], s * q[..., 0] + c * q[..., 2]], -1)
    far = np.linalg.norm(q - [0, 0.9, 0], axis=-1) - 1.2
    near = far < 0.3
    clothes, skin = np.maximum(far, 0.3), np.maximum(far, 0.3)
    q = q[near]
    parts = [
        capsule(q, (0, 1.02, 0), (0, 1.36, 0), 0.155, 0.175),
        capsule(q, (-0.15, 1.40, 0), (0.15, 1.40, 0), 0.085, 0.085),
    ]
    for side in (-1, 1):
        foot = side * stride
        parts += [
            capsule(q, (0.09 * side, 0.95, 0), (0.11 * side, 0.50, 0.5 * foot), 0.105, 0.075),
            capsule(q, (0.11 * side, 0.50, 0.5 * foot), (0.12 * side, 0.08, foot), 0.075, 0.05),
            capsule(q, (0.12 * side, 0.05, foot), (0.14 * side, 0.04, foot - 0.2), 0.05, 0.04),
            capsule(q, (0.22 * side, 1.39, 0), (0.29 * side, 1.10, -0.6 * foot), 0.065, 0.052),
            capsule(
                q, (0.29 * side, 1.10, -0.6 * foot), (0.27 * side, 0.88, -foot - 0.08), 0.052, 0.04
            ),
        ]
    clothes[near] = union(*parts, smooth=0.05)
    head = np.linalg.norm((q - [0, 1.65, -0.01]) / [0.082, 0.118, 0.1], axis=-1) - 1
    bare = [0.082 * head, capsule(q, (0, 1.45, 0), (0, 1.56, 0), 0.06, 0.055)]
    for side in (-1, 1):
        foot = side * stride
        hand = (0.27 * side, 0.84, -foot - 0.09)
        bare.append(capsule(q, hand, (hand[0], 0.74, hand[2] - 0.03), 0.045, 0.035))
    skin[near] = union(*bare, smooth=0.03)
    return clothes, skin


def scene(p: Array) -> tuple[Array, NDArray[np.int64]]:
    """The distance to the nearest surface and what it is."""
    x, y, z = np.moveaxis(p, -1, 0)
    pavement = np.where(z > KERB, 0.12, 0.0)
    ground = np.minimum(y, np.hypot(np.maximum(KERB - z, 0), np.maximum(y - 0.12, 0)))
    ground = np.where(z > KERB, y - pavement, ground)
    houses = union(
        box(p, (-30, -1, FACADE), (ALLEY[0], 7.5, 30)),
        box(p, (ALLEY[1], -1, FACADE), (30, 8.5, 30)),
        box(p, (-6, -1, 16), (0, 5.5, 17)),
        box(p, (-0.1, 0.45, FACADE - 0.1), (3.9, 0.6, FACADE + 0.1)),
        box(p, (-0.1, 3.2, FACADE - 0.25), (3.9, 3.27, FACADE + 0.1)),
    )
    hidden, walking = man(p, HIDDEN_MAN, 0.03, 0.3), man(p, WALKING_MAN, 0.26, 1.25)
    body, tyre = car(p)
    foot = (LAMP[0] - 0.55, 0, LAMP[2] + 1.1)
    post = union(
        capsule(p, foot, (foot[0], 4.05, foot[2]), 0.07, 0.05),
        capsule(p, (foot[0], 4.05, foot[2]), (LAMP[0] - 0.1, 4.32, LAMP[2] + 0.2), 0.045, 0.035),
    )
    lamp = box(p, tuple(LAMP + (-0.2, 0.06, -0.2)), tuple(LAMP + (0.2, 0.2, 0.25)), 0.04)
    can = np.maximum(np.hypot(x + 2.55, z - 10.6) - 0.24 - 0.04 * (y - 0.5), np.abs(y - 0.5) - 0.42)
    every = np.stack(
        [ground, houses, union(hidden[0], walking[0]), union(hidden[1], walking[1]), body, tyre,
         post, lamp, can]
    )  # fmt: skip
    nearest = every.argmin(0)
    return np.take_along_axis(every, nearest[None], 0)[0], nearest + 1
