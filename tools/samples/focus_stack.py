"""Ten focus planes of a slide of microfossils, through a lens with a wide aperture."""

from __future__ import annotations

import numpy as np
from microfossils import SHAPE, Slide
from numpy.typing import NDArray
from scipy import ndimage as ndi

SEED = 20
PLANES = 10
PIXEL = 2.0  # µm
STEP = 10.0  # from one focus plane to the next, in pixels: 20 µm
APERTURE = 0.13  # of the numerical kind: what a ray at the rim goes sideways as it rises
VIEWS = 240  # rays of each pixel's cone
FULL_WELL = 9000  # electrons at white
GAMMA = 2.0


def aperture(count: int) -> NDArray[np.float64]:
    """Return slants that fill the lens evenly, (count, 2)."""
    number = np.arange(count)
    angle = np.pi * (3 - np.sqrt(5)) * number
    radius = APERTURE * np.sqrt((number + 0.5) / count)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], -1)


def depth_map(slide: Slide) -> NDArray[np.float32]:
    """Return in which plane each pixel is sharpest, 0 to 9, rounded to 1/64."""
    height = slide.look((0, 0), (0, 0)).height
    return (np.rint(np.clip(height / STEP, 0, PLANES - 1) * 64) / 64).astype(np.float32)


def photograph(slide: Slide, rng: np.random.Generator, views: int = VIEWS) -> NDArray[np.uint8]:
    """Return the stack (10, Y, X), from the focus on the slide to that on the uppermost needle.

    Each point of the aperture sees the scene under its own slant, with everything hidden that is
    hidden from there; focusing at a height moves these views so that they agree about that height.
    So near things spill over far ones, and one looks past them, as in a lens.
    """
    radiance = np.zeros((PLANES, *SHAPE))
    middle = STEP * (PLANES - 1) / 2
    for number, slant in enumerate(aperture(views)):
        within = (np.array([0.7548776662, 0.5698402910]) * (number + 1)) % 1 - 0.5
        offset = tuple(within - slant * middle)
        slant = tuple(slant)
        view = slide.light(slide.look(slant, offset), slant, offset)
        for plane in range(PLANES):
            moved = within + np.array(slant) * (STEP * plane - middle)
            radiance[plane] += ndi.shift(view, moved[::-1], order=1, mode="nearest")
    electrons = rng.poisson(FULL_WELL * np.clip(radiance / views, 0, 1.2))
    return np.rint(255 * np.clip(electrons / FULL_WELL, 0, 1) ** (1 / GAMMA)).astype(np.uint8)
