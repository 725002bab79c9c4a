"""What users hold, as an array that slices: numpy or dask, nothing read."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_gifnet.errors import ImageError


def is_dask(image: Any) -> bool:
    """Whether `image` is a dask array; dask is not imported for it."""
    return type(image).__module__.startswith("dask.array")


def as_array(image: Any, name: str) -> Any:
    """Return a numpy array, a masked one, or a dask array."""
    if not is_dask(image):
        image = np.asanyarray(image)
    if image.dtype.kind not in "biuf":
        raise ImageError(
            f"{name} has dtype {image.dtype}: expected booleans, integers or floats; convert it, "
            "for instance to the magnitude of complex values."
        )
    return image
