"""A street at night in colour and in thermal infrared, traced from one model.

What the two see differs by physics alone: the visible picture is albedo under a street lamp, a
shop's light and the sky; the infrared one is the surfaces' own warmth. A man stands unlit in the
alley, another walks behind steam that hides him from the eye only, and the car's engine is warm.
Axes in metres: x to the right, y up, z away from the camera.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage as ndi
from skimage import data

Array = NDArray[np.float64]

WIDTH, HEIGHT, OVERSAMPLING = 640, 480, 2
FOCAL = 690.0  # pixels
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


# -- signed distances ------------------------------------------------------------------------


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


# -- rays ------------------------------------------------------------------------------------


def march(origin: Array, direction: Array, reach: Array | float, steps: int = 110) -> Array:
    """How far each ray goes before it meets a surface (`reach` or more: it meets none)."""
    travelled = np.full(len(direction), 0.02)
    active = np.arange(len(direction))
    reach = np.broadcast_to(reach, travelled.shape)
    for _ in range(steps):
        points = origin[active] + travelled[active, None] * direction[active]
        step = scene(points)[0]
        travelled[active] += 0.9 * step
        active = active[(step > 1e-3) & (travelled[active] < reach[active])]
        if not len(active):
            break
    return travelled


def normals(p: Array) -> Array:
    step = 2e-3
    corners = np.array([(1, -1, -1), (-1, -1, 1), (-1, 1, -1), (1, 1, 1)])
    gradient = sum(corner * scene(p + step * corner)[0][:, None] for corner in corners)
    return gradient / np.maximum(np.linalg.norm(gradient, axis=-1, keepdims=True), 1e-12)


# -- surfaces --------------------------------------------------------------------------------


def letters(text: str, shape: tuple[int, int], size: int) -> Array:
    """White text in the middle of a black plate, 0 to 1, first row on top."""
    plate = Image.new("L", shape[::-1])
    ImageDraw.Draw(plate).text(
        (shape[1] / 2, shape[0] / 2),
        text,
        font=ImageFont.load_default(size),
        fill=255,
        anchor="mm",
        stroke_width=size // 24,
    )
    return np.asarray(plate) / 255.0


def lookup(texture: Array, u: Array, v: Array) -> Array:
    """A tiled texture at u (right) and v (down), 1 a tile, bilinear."""
    rows, columns = texture.shape[:2]
    at = np.stack([v % 1 * rows, u % 1 * columns])
    layers = [texture] if texture.ndim == 2 else list(np.moveaxis(texture, -1, 0))
    values = [ndi.map_coordinates(t, at, order=1, mode="grid-wrap") for t in layers]
    return values[0] if texture.ndim == 2 else np.stack(values, -1)


class Surfaces:
    """Colour, own light and temperature of every point."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.brick = data.brick() / 255.0
        self.gravel = data.gravel() / 255.0
        self.coffee = data.coffee()[20:380, 100:460] / 255.0
        self.noise = ndi.gaussian_filter(rng.standard_normal((256, 256)), 6, mode="wrap")
        self.noise /= self.noise.std()
        self.sign = letters("CAFE  LUNA", (64, 400), 50)
        self.poster = letters("LIVE 21h", (40, 160), 30)
        self.plate = letters("GIF 098", (40, 170), 36)

    def __call__(self, p: Array, normal: Array, what: NDArray) -> tuple[Array, Array, Array]:
        """Albedo (n, 3), emitted light (n, 3), temperature in °C (n,)."""
        n = len(p)
        albedo, light, warmth = np.full((n, 3), 0.3), np.zeros((n, 3)), np.full(n, 9.0)
        painters: dict[int, Callable] = {
            GROUND: self.ground, HOUSE: self.house, CLOTHES: self.clothes, SKIN: self.skin,
            BODY: self.body, TYRE: self.tyre, POST: self.post, LAMP_HEAD: self.lamp, BIN: self.bin,
        }  # fmt: skip
        for kind, paint in painters.items():
            m = what == kind
            if m.any():
                albedo[m], light[m], warmth[m] = paint(p[m], normal[m])
        return albedo, light, warmth

    def ground(self, p: Array, normal: Array) -> tuple[Array, Array, Array]:
        x, y, z = p.T
        grain = lookup(self.gravel, x / 1.7, z / 1.7)
        worn = lookup(self.noise, x / 9, z / 9)
        grey = 0.10 + 0.16 * grain + 0.015 * worn
        albedo = grey[:, None] * [1.0, 0.98, 0.95]
        warmth = 10.5 + 0.5 * worn + 1.2 * (grain - 0.5)
        pavement = z > KERB - 0.02
        slab = (x / 0.6 % 1 < 0.03) | ((z - KERB) / 0.6 % 1 < 0.03)
        tone = 0.30 + 0.05 * np.sin(12.9 * np.floor(x / 0.6) + 78.2 * np.floor((z - KERB) / 0.6))
        tone = np.where(slab, 0.14, tone + 0.12 * (grain - 0.5))
        albedo = np.where(pavement[:, None], tone[:, None] * [1.0, 0.96, 0.9], albedo)
        warmth = np.where(pavement, 8.4 + 0.3 * worn - 0.5 * slab, warmth)
        kerb = pavement & (z < KERB + 0.16)
        albedo[kerb] = (0.42 + 0.1 * (grain[kerb, None] - 0.5)) * np.ones(3)
        line = (np.abs(z - 5.6) < 0.06) & (x / 2.2 % 1 < 0.6)
        albedo[line] = 0.62 * (0.75 + 0.5 * grain[line, None])
        cover = np.hypot(x - MANHOLE[0], z - MANHOLE[2]) < 0.36
        pattern = (x / 0.09 % 1 < 0.5) ^ (z / 0.09 % 1 < 0.5)
        albedo[cover] = np.where(pattern, 0.10, 0.05)[cover, None]
        warmth[cover] = 22 + 3 * pattern[cover]
        under_car = np.exp(-np.sum(((p - CAR)[:, ::2] / [1.9, 1.0]) ** 2, -1))
        return albedo, np.zeros_like(albedo), warmth + 2.0 * under_car

    def house(self, p: Array, normal: Array) -> tuple[Array, Array, Array]:
        x, y, z = p.T
        front = normal[:, 2] < -0.5
        along = np.where(np.abs(normal[:, 0]) > 0.5, z, x)
        brick = lookup(self.brick, along / 2.1, -y / 2.1)
        stain = lookup(self.noise, along / 7, y / 7)
        albedo = (0.25 + 0.75 * brick[:, None]) * [0.46, 0.21, 0.145] * (1 + 0.13 * stain[:, None])
        warmth = 6.3 + 1.6 * (1 - brick) + 0.35 * stain - 0.25 * (y - 2)
        left = x < ALLEY[0] + 0.01
        plaster = 0.34 + 0.05 * stain + 0.06 * (lookup(self.gravel, along / 1.1, y / 1.1) - 0.5)
        albedo = np.where(left[:, None], plaster[:, None] * [0.92, 0.95, 1.0], albedo)
        warmth = np.where(left, 5.2 + 0.5 * stain - 0.2 * (y - 2), warmth)
        light = np.zeros_like(albedo)

        def panel(x0: float, x1: float, y0: float, y1: float) -> tuple[NDArray, Array, Array]:
            inside = front & (x > x0) & (x < x1) & (y > y0) & (y < y1) & (z < FACADE + 0.05)
            return inside, (x[inside] - x0) / (x1 - x0), (y1 - y[inside]) / (y1 - y0)

        def draw(texture: Array, u: Array, v: Array) -> Array:
            return lookup(texture, u * 0.999, v * 0.999)

        m, u, v = panel(0.0, 3.8, 2.6, 3.2)
        text = draw(self.sign, u, v)[:, None]
        edge = (np.minimum(u, 1 - u) < 0.008) | (np.minimum(v, 1 - v) < 0.05)
        text = np.maximum(text, edge[:, None])
        albedo[m] = (1 - text) * [0.03, 0.11, 0.08] + text * [0.85, 0.75, 0.5]
        light[m] = 0.05 * (1 - text) * [0.03, 0.11, 0.08] + 0.16 * text * [1.0, 0.85, 0.55]
        warmth[m] = 7.4

        m, u, v = panel(0.0, 3.8, 0.6, 2.5)
        shelf = v * 5 % 1
        item = np.floor(u * 26) + 37 * np.floor(v * 5)
        tall = 0.35 + 0.4 * np.abs(np.sin(12.7 * item))
        colour = 0.5 + 0.5 * np.sin(item[:, None] * [1.3, 2.1, 3.7] + [0, 1, 2])
        goods = (1 - shelf < tall) & (u * 26 % 1 > 0.18) & (1 - shelf > 0.07) & (v > 0.15)
        interior = np.where(goods[:, None], 0.35 * colour + 0.1, [0.55, 0.40, 0.24])
        interior = np.where((1 - shelf < 0.07)[:, None], [0.16, 0.09, 0.05], interior)
        interior *= (1.15 - 0.55 * np.abs(u - 0.5) - 0.3 * v)[:, None]
        counter = v > 0.78
        interior = np.where(counter[:, None], [0.20, 0.11, 0.06], interior)
        frame = (np.minimum(u, 1 - u) < 0.012) | (np.minimum(v, 1 - v) < 0.022)
        frame |= (np.abs(u - 1 / 3) < 0.006) | (np.abs(u - 2 / 3) < 0.006)
        albedo[m] = np.where(frame[:, None], [0.05, 0.12, 0.1], 0.03)
        light[m] = np.where(frame[:, None], 0, 0.42 * interior * [1.0, 0.86, 0.6])
        warmth[m] = np.where(frame, 8.0, 12.6 - 1.5 * v + 0.3 * np.sin(5 * u))

        m, u, v = panel(4.3, 5.3, 0.0, 2.4)
        inset = (np.minimum(u, 1 - u) > 0.14) & (np.abs(v - 0.28) < 0.2)
        albedo[m] = np.where(inset[:, None], 0.04, [0.10, 0.16, 0.28])
        warmth[m] = np.where(inset, 11.0, 8.0)

        m, u, v = panel(-1.0, -0.2, 1.0, 2.05)
        picture = draw(self.coffee, u, (v - 0.03) / 0.72) ** 2.2
        text = draw(self.poster, u, np.clip((v - 0.78) / 0.2, 0, 0.999))[:, None]
        albedo[m] = np.where((v > 0.76)[:, None], 0.75 - 0.7 * text, 0.9 * picture)
        albedo[m] = np.where((v < 0.03)[:, None], 0.7, albedo[m])
        warmth[m] = 6.9

        for number, x0 in enumerate((-6.5, -1.9, 0.55, 3.0, 5.4)):
            m, u, v = panel(x0, x0 + 1.15, 4.0, 5.7)
            frame = (np.minimum(u, 1 - u) < 0.06) | (np.minimum(v, 1 - v) < 0.04)
            frame |= (np.abs(u - 0.5) < 0.03) | (np.abs(v - 0.4) < 0.02)
            albedo[m] = np.where(frame[:, None], 0.5, 0.025)
            lit = number == 3
            curtain = 0.10 * (0.8 + 0.2 * np.sin(40 * u))[:, None] * [1.0, 0.62, 0.3]
            light[m] = np.where(frame[:, None] | (not lit), 0.0, curtain)
            warmth[m] = np.where(frame, 7.5, 12.0 if lit else 9.5)
        return albedo, light, warmth

    def clothes(self, p: Array, normal: Array) -> tuple[Array, Array, Array]:
        walking = p[:, 2] < 10.8
        y = p[:, 1] - 0.12
        trousers = y < 0.95
        colour = np.where(trousers[:, None], [0.05, 0.06, 0.09], [0.07, 0.07, 0.08])
        coat = np.where(trousers[:, None], [0.06, 0.07, 0.12], [0.24, 0.10, 0.08])
        albedo = np.where(walking[:, None], coat, colour)
        fold = lookup(self.noise, 3 * p[:, 0] + p[:, 2], 2 * y)
        warmth = np.where(trousers, 21.5, 23.5) + 1.3 * fold
        warmth = np.where(y < 0.13, 15.0, warmth)
        return albedo, np.zeros_like(albedo), warmth

    def skin(self, p: Array, normal: Array) -> tuple[Array, Array, Array]:
        hair = (p[:, 1] - 0.12 > 1.70) | ((p[:, 1] - 0.12 > 1.60) & (normal[:, 2] > 0.2))
        albedo = np.where(hair[:, None], [0.04, 0.03, 0.02], [0.42, 0.27, 0.2])
        return albedo, np.zeros_like(albedo), np.where(hair, 25.5, 32.5)

    def body(self, p: Array, normal: Array) -> tuple[Array, Array, Array]:
        q = to_car(p)
        x, y, z = q.T
        side = np.abs(z)
        n = len(p)
        albedo, light = np.tile([0.30, 0.035, 0.03], (n, 1)), np.zeros((n, 3))
        up = normal[:, 1]
        warmth = 6.5 - 2.2 * np.clip(up, 0, 1)
        engine = np.exp(-(((x - 1.5) / 0.5) ** 2) - (z / 0.62) ** 2)
        warmth += 24 * engine * np.clip(up + 0.15, 0, 1) + 9 * np.exp(-(((x - 2.05) / 0.2) ** 2))
        warmth += 6 * np.exp(-((np.hypot(x - 1.32, y - 0.31) / 0.5) ** 2))

        profile = polygon(x, y, CAR_PROFILE)
        glass = (y > 0.98) & (profile < -0.075) & (side > 0.5)
        glass &= (np.abs(x + 0.33) > 0.045) & (np.abs(x + 1.36) > 0.04)
        screen = (y > 1.0) & (y < 1.36) & (x > 0.2) & (up > 0.2) & (side < 0.74 - 0.3 * (y - 0.9))
        glass |= screen
        albedo[glass] = 0.02
        warmth[glass] = 5.0 + 2.5 * screen[glass]
        seam = (side > 0.7) & (y < 0.98) & (y > 0.32)
        seam &= (np.abs(x + 0.33) < 0.012) | (np.abs(x - 0.82) < 0.012) | (np.abs(x + 1.3) < 0.012)
        albedo[seam] *= 0.2
        trim = (y < 0.34) | ((side > 0.7) & (np.abs(y - 0.55) < 0.025))
        albedo[trim] = 0.03
        nose = x > 1.78
        lamps = nose & (y > 0.56) & (y < 0.76) & (side > 0.42)
        albedo[lamps] = 0.75
        light[lamps] = 0.015
        grille = (x > 1.95) & (y > 0.50) & (y < 0.68) & (side < 0.4)
        albedo[grille] = np.where(y[grille] / 0.045 % 1 < 0.5, 0.02, 0.16)[:, None]
        warmth[grille] = 27.0
        plate = (x > 1.9) & (np.abs(y - 0.40) < 0.06) & (side < 0.27)
        u, v = (z[plate] + 0.27) / 0.54, (0.46 - y[plate]) / 0.12
        albedo[plate] = (0.8 * (1 - lookup(self.plate, u * 0.999, v * 0.999)))[:, None] + 0.02
        warmth[plate] = 12.0
        return albedo, light, warmth

    def tyre(self, p: Array, normal: Array) -> tuple[Array, Array, Array]:
        x, y, _ = to_car(p).T
        front = np.hypot(x - 1.32, y - 0.31)
        rear = np.hypot(x + 1.28, y - 0.31)
        radius = np.minimum(front, rear)
        spoke = np.cos(5 * np.arctan2(y - 0.31, np.where(front < rear, x - 1.32, x + 1.28))) > -0.2
        rim = radius < 0.21
        albedo = np.where(rim & spoke, 0.5, np.where(rim, 0.06, 0.035))[:, None] * np.ones(3)
        brake = np.where(front < rear, 24.0, 17.0)
        return albedo, np.zeros_like(albedo), np.where(radius < 0.15, brake, 13.5)

    def post(self, p: Array, normal: Array) -> tuple[Array, Array, Array]:
        albedo = np.full((len(p), 3), 0.09)
        return albedo, np.zeros_like(albedo), np.full(len(p), 6.0)

    def lamp(self, p: Array, normal: Array) -> tuple[Array, Array, Array]:
        albedo = np.full((len(p), 3), 0.1)
        below = normal[:, 1] < -0.3
        light = np.where(below[:, None], [3.0, 2.4, 1.5], 0.0)
        return albedo, light, np.where(below, 36.0, 24.0)

    def bin(self, p: Array, normal: Array) -> tuple[Array, Array, Array]:
        slat = np.arctan2(p[:, 2] - 10.6, p[:, 0] + 2.55) * 6 % 1 < 0.75
        albedo = np.where(slat[:, None], [0.05, 0.13, 0.08], 0.02)
        return albedo, np.zeros_like(albedo), np.full(len(p), 7.0)


# -- light -----------------------------------------------------------------------------------


def illuminate(p: Array, normal: Array, view: Array, gloss: Array) -> tuple[Array, Array]:
    """Diffuse irradiance and mirror-like light (n, 3) from the lamp, the shop and the sky."""
    sky = np.array([0.011, 0.014, 0.024]) * (0.6 + 0.4 * normal[:, 1:2])
    inside_alley = (p[:, 0] > ALLEY[0]) & (p[:, 0] < ALLEY[1]) & (p[:, 2] > FACADE)
    diffuse = sky * np.where(inside_alley, 0.10, 1.0)[:, None]
    shine = np.zeros_like(diffuse)
    lights = [(LAMP, np.array([1.0, 0.70, 0.40]) * 7.5)]
    lights += [
        (np.array([x, 1.6, FACADE - 0.35]), np.array([1.0, 0.78, 0.5]) * 0.42) for x in (0.7, 1.9, 3.1)
    ]
    for place, power in lights:
        toward = place - p
        far = np.linalg.norm(toward, axis=-1)
        toward /= far[:, None]
        facing = np.clip((normal * toward).sum(-1), 0, 1)
        cone = 1.0
        if place is LAMP:
            cone = np.clip((toward[:, 1] - 0.05) / 0.4, 0, 1)
        strength = facing * cone / (far**2 + 0.15)
        lit = strength > 1e-5
        reach = far[lit] - 0.3
        gone = march(p[lit] + 0.03 * normal[lit], toward[lit], reach, steps=60)
        strength[lit] *= gone >= reach
        diffuse += strength[:, None] * power
        half = toward - view
        half /= np.linalg.norm(half, axis=-1, keepdims=True)
        glint = np.clip((normal * half).sum(-1), 0, 1) ** 90 * gloss * (strength > 0) * cone
        shine += (6.0 * glint / (far**2 + 0.15))[:, None] * power
    return diffuse, shine


def steam() -> Array:
    """Optical depth of the steam that rises from the manhole, a picture."""
    rng = np.random.default_rng(11)  # a plume of good shape
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(float)
    foot_x = WIDTH / 2 + FOCAL * MANHOLE[0] / MANHOLE[2]
    foot_y = HEIGHT / 2 + FOCAL * CAMERA[1] / MANHOLE[2]
    rise = (foot_y - y) / 260
    turbulence = np.zeros_like(x)
    for octave, sigma in enumerate((34, 17, 9, 4.5, 2.4)):
        noise = ndi.gaussian_filter(rng.standard_normal((HEIGHT, WIDTH)), sigma)
        turbulence += 0.6**octave * noise / noise.std()
    aloft = np.clip(rise, 0, None)
    sway = ndi.gaussian_filter(rng.standard_normal((HEIGHT, WIDTH)), 30)
    centre = foot_x + 16 * aloft + (20 * sway / sway.std() + 9 * turbulence) * aloft**0.8
    width = 15 + 42 * aloft**0.8
    plume = np.exp(-np.abs((x - centre) / width) ** 2.4) * np.clip(rise / 0.05, 0, 1)
    plume *= np.exp(-((aloft / 1.0) ** 3)) * np.clip(1.05 + 0.42 * turbulence, 0.1, None)
    return 3.8 * plume


def render(rng: np.random.Generator, oversampling: int = OVERSAMPLING) -> tuple[NDArray, NDArray]:
    """Infrared (480, 640) and visible (480, 640, 3), both uint8."""
    rows, columns = HEIGHT * oversampling, WIDTH * oversampling
    v, u = np.mgrid[:rows, :columns].astype(float)
    u = (u + 0.5) / oversampling - WIDTH / 2
    v = (v + 0.5) / oversampling - HEIGHT / 2
    direction = np.stack([u, -v, np.full_like(u, FOCAL)], -1).reshape(-1, 3)
    direction /= np.linalg.norm(direction, axis=-1, keepdims=True)
    origin = np.broadcast_to(CAMERA, direction.shape)
    far = march(origin, direction, 60.0)
    hit = far < 60.0
    p = (origin + far[:, None] * direction)[hit]
    what = scene(p)[1]
    normal = normals(p)
    view = direction[hit]
    surfaces = Surfaces(rng)
    albedo, light, warmth = surfaces(p, normal, what)

    gloss = np.select([what == BODY, what == GROUND, what == LAMP_HEAD], [0.6, 0.015, 0.3], 0.0)
    diffuse, shine = illuminate(p, normal, view, gloss)
    radiance = np.tile([0.0025, 0.0035, 0.007], (rows * columns, 1))
    reflected = np.where((what == BODY)[:, None], 0.02 * np.clip(normal[:, 1:2], 0, 1), 0)
    radiance[hit] = albedo * diffuse + light + shine + reflected * [0.3, 0.35, 0.5]

    # emissivity falls towards grazing view, where a surface mirrors the cold sky instead
    grazing = (1 - np.abs((normal * view).sum(-1))) ** 5
    temperature = np.full(rows * columns, -9.0)
    temperature[hit] = warmth - grazing * 0.35 * (warmth + 9.0)

    def to_pixels(a: Array) -> Array:
        shape = (HEIGHT, oversampling, WIDTH, oversampling, -1)
        return a.reshape(shape).mean((1, 3)).squeeze()

    depth = steam()
    visible, thermal = to_pixels(radiance), to_pixels(temperature)
    glow = np.stack([ndi.gaussian_filter(np.clip(visible[..., c] - 0.25, 0, 3), 9) for c in range(3)], -1)
    visible += 0.35 * glow
    lit_steam = np.array([1.0, 0.80, 0.58]) * 0.085
    shade = ndi.gaussian_filter(depth, 6)[..., None]
    visible = visible * np.exp(-1.5 * depth)[..., None] + lit_steam * (
        1 - np.exp(-1.5 * depth)
    )[..., None] * (0.85 + 0.1 * (depth[..., None] - shade))
    thermal += (13.0 - thermal) * (1 - np.exp(-0.13 * depth))

    exposed = np.clip(visible * 3.4, 0, None)
    exposed = exposed * (1 + exposed / 3.0**2) / (1 + exposed)
    exposed = np.where(exposed <= 0.0031308, 12.92 * exposed, 1.055 * exposed ** (1 / 2.4) - 0.055)
    exposed += rng.normal(0, 0.003, exposed.shape)
    visible_8bit = np.clip(np.rint(255 * exposed), 0, 255).astype(np.uint8)

    thermal = ndi.gaussian_filter(thermal, 0.8) + rng.normal(0, 0.10, thermal.shape)
    thermal += rng.normal(0, 0.06, WIDTH)
    infrared = np.clip((thermal - 1.0) / 33.0, 0, 1)
    return np.rint(255 * infrared).astype(np.uint8), visible_8bit
