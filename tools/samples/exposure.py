"""Two exposures of a courtyard, from a high-range photograph."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

CROP = np.s_[70:394, 20:596]
OVER, UNDER = 9.0, 0.14  # exposure, as a factor: six stops apart
FULL_WELL = 20000  # electrons at white


def read_radiance(sources: Path) -> NDArray[np.float64]:
    """The panorama in linear light, (512, 1024, 3)."""
    import OpenEXR

    with OpenEXR.File(str(sources / "courtyard.exr")) as file:
        return np.asarray(file.channels()["RGB"].pixels, np.float64)


def expose(radiance: NDArray, factor: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """What a camera stores: shot noise, clipping at the full well, sRGB, 8 bits."""
    electrons = rng.poisson(FULL_WELL * np.clip(radiance * factor, 0, 1.5))
    linear = np.clip(electrons / FULL_WELL, 0, 1)
    srgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.rint(255 * srgb).astype(np.uint8)


def photograph_both(
    sources: Path, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The over-exposed picture (the shade is drawn) and the under-exposed one (the sun is)."""
    radiance = read_radiance(sources)[CROP]
    # the panorama's resampling undershoots beside the sun's patches: fill from next to it
    luminance = radiance.mean(-1)
    undershoot = (radiance.min(-1) < 0.015) & (ndi.maximum_filter(luminance, 7) > 0.8)
    index = ndi.distance_transform_edt(undershoot, return_distances=False, return_indices=True)
    radiance = radiance[tuple(index)]
    radiance += 0.02 * ndi.gaussian_filter(radiance, (1.5, 1.5, 0))  # glare of the lens
    return expose(radiance, OVER, rng), expose(radiance, UNDER, rng)
