"""Two focus planes of the Middlebury motorcycle, blurred by its measured disparity."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi
from skimage import data

Array = NDArray[np.float64]

CROP = np.s_[64:448, 96:600]
LAYERS = 28
BLUR_PER_DISPARITY = 0.16  # pixels of radius for each pixel of disparity away from focus


def to_linear(srgb: Array) -> Array:
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def to_srgb(linear: Array) -> Array:
    linear = np.clip(linear, 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def photograph() -> tuple[Array, Array]:
    """The left picture in linear light and its disparity, with the gaps closed."""
    left, _, disparity = data.stereo_motorcycle()
    unknown = ~np.isfinite(disparity)
    # a gap is mostly what only the left camera sees: the background beside an edge
    background = ndi.minimum_filter(np.where(unknown, np.inf, disparity), 9)
    index = ndi.distance_transform_edt(
        ~np.isfinite(background), return_distances=False, return_indices=True
    )
    disparity = np.where(unknown, background[tuple(index)], disparity)
    return to_linear(left / 255.0)[CROP], ndi.median_filter(disparity, 5)[CROP]


def lens_blur(picture: Array, radius: float) -> Array:
    """Convolve with a disc of any radius in pixels, its edge antialiased."""
    if radius < 0.3:
        return picture
    whole = int(np.ceil(radius)) + 1
    y, x = np.mgrid[-whole : whole + 1, -whole : whole + 1]
    aperture = np.clip(radius + 0.5 - np.hypot(x, y), 0, 1)
    aperture /= aperture.sum()
    if picture.ndim == 2:
        return ndi.convolve(picture, aperture, mode="nearest")
    return np.stack(
        [ndi.convolve(c, aperture, mode="nearest") for c in np.moveaxis(picture, -1, 0)], -1
    )


def focus_on(picture: Array, disparity: Array, focused: float) -> NDArray[np.uint8]:
    """Photograph the scene with a wide lens focused at one disparity.

    A circle of confusion grows with the difference of disparities. The scene is cut into layers,
    each carried on behind whatever hides it, blurred and laid over the farther ones, so that a
    blurred foreground spreads over a sharp background, and never the other way round.
    """
    edges = np.linspace(disparity.min(), disparity.max() + 1e-6, LAYERS + 1)
    layer = np.digitize(disparity, edges) - 1
    result = np.zeros_like(picture)
    for number in range(LAYERS):
        hidden = layer > number
        if hidden.all():
            continue
        index = ndi.distance_transform_edt(hidden, return_distances=False, return_indices=True)
        colour, mask = picture[tuple(index)], (layer[tuple(index)] == number).astype(float)
        if number == layer.min():
            mask[:] = 1
        radius = BLUR_PER_DISPARITY * abs((edges[number] + edges[number + 1]) / 2 - focused)
        cover = lens_blur(mask, radius)[..., None]
        result = result * (1 - cover) + lens_blur(colour * mask[..., None], radius)
    return np.rint(255 * to_srgb(result)).astype(np.uint8)


def photograph_both() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The near focus (the motorcycle) and the far one (the workshop behind it)."""
    picture, disparity = photograph()
    near, far = np.percentile(disparity, [92, 4])
    return focus_on(picture, disparity, near), focus_on(picture, disparity, far)
