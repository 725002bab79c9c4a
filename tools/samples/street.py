"""A street at night in colour and in thermal infrared, traced from one model.

What the two see differs by physics alone: the visible picture is albedo under a street lamp, a
shop's light and the sky; the infrared one is the surfaces' own warmth. A man stands unlit in the
alley, another walks behind steam that hides him from the eye only, and the car's engine is warm.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi
from street_model import (
    ALLEY,
    BODY,
    CAMERA,
    FACADE,
    GROUND,
    LAMP,
    LAMP_HEAD,
    MANHOLE,
    Array,
    scene,
)
from street_surfaces import Surfaces

WIDTH, HEIGHT, OVERSAMPLING = 640, 480, 2
FOCAL = 690.0  # pixels


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


def illuminate(p: Array, normal: Array, view: Array, gloss: Array) -> tuple[Array, Array]:
    """Diffuse irradiance and mirror-like light (n, 3) from the lamp, the shop and the sky."""
    sky = np.array([0.011, 0.014, 0.024]) * (0.6 + 0.4 * normal[:, 1:2])
    inside_alley = (p[:, 0] > ALLEY[0]) & (p[:, 0] < ALLEY[1]) & (p[:, 2] > FACADE)
    diffuse = sky * np.where(inside_alley, 0.10, 1.0)[:, None]
    shine = np.zeros_like(diffuse)
    lights = [(LAMP, np.array([1.0, 0.70, 0.40]) * 7.5)]
    lights += [
        (np.array([x, 1.6, FACADE - 0.35]), np.array([1.0, 0.78, 0.5]) * 0.42)
        for x in (0.7, 1.9, 3.1)
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
    plume = np.exp(-(np.abs((x - centre) / width) ** 2.4)) * np.clip(rise / 0.05, 0, 1)
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
    glow = np.stack(
        [ndi.gaussian_filter(np.clip(visible[..., c] - 0.25, 0, 3), 9) for c in range(3)], -1
    )
    visible += 0.35 * glow
    lit_steam = np.array([1.0, 0.80, 0.58]) * 0.085
    shade = ndi.gaussian_filter(depth, 6)[..., None]
    visible = visible * np.exp(-1.5 * depth)[..., None] + lit_steam * (1 - np.exp(-1.5 * depth))[
        ..., None
    ] * (0.85 + 0.1 * (depth[..., None] - shade))
    thermal += (13.0 - thermal) * (1 - np.exp(-0.13 * depth))

    exposed = np.clip(visible * 3.4, 0, None)
    exposed = exposed * (1 + exposed / 3.0**2) / (1 + exposed)
    exposed = np.where(exposed <= 0.0031308, 12.92 * exposed, 1.055 * exposed ** (1 / 2.4) - 0.055)
    exposed += rng.normal(0, 0.0028, exposed.shape)
    visible_8bit = np.clip(np.rint(255 * exposed), 0, 255).astype(np.uint8)

    thermal = ndi.gaussian_filter(thermal, 0.8) + rng.normal(0, 0.10, thermal.shape)
    thermal += rng.normal(0, 0.06, WIDTH)
    infrared = np.clip((thermal - 1.0) / 33.0, 0, 1)
    return np.rint(255 * infrared).astype(np.uint8), visible_8bit
