"""What the street is made of: colour, own light and temperature."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage as ndi
from skimage import data
from street_model import (
    ALLEY,
    BIN,
    BODY,
    CAR,
    CAR_PROFILE,
    CLOTHES,
    FACADE,
    GROUND,
    HOUSE,
    KERB,
    LAMP_HEAD,
    MANHOLE,
    POST,
    SKIN,
    TYRE,
    Array,
    polygon,
    to_car,
)


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
        x, _, z = p.T
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
