"""The fusion tasks GIFNet is known for: what their two sides are, and what each prefers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_gifnet.errors import OptionError

from .color import ColorPolicy


@dataclass(frozen=True)
class Task:
    """A preset.

    Attributes
    ----------
    name : str
        What ``fuse(task=...)`` takes.
    title : str
        For people.
    a, b : str
        What the modality side and the detail side are. The network is not symmetric in them.
    color : {"auto", "a", "b", "gray"}
        What ``color="auto"`` means, if the side it names has colour.
    one_range : bool
        Both sides come from one detector: images of one dtype share one intensity range, unless
        a pair of ranges is asked for.
    """

    name: str
    title: str
    a: str
    b: str
    color: ColorPolicy = "auto"
    one_range: bool = False


PANSHARPENING = Task(
    "pansharpening", "Pansharpening", "Multispectral bands", "Panchromatic", color="gray"
)

TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Task("infrared_visible", "Infrared + visible", "Infrared", "Visible", color="b"),
        Task("pet_mri", "PET, SPECT or CT + MRI", "PET", "MRI", color="a"),
        Task("multi_focus", "Two focus planes", "Near focus", "Far focus", one_range=True),
        Task("multi_exposure", "Two exposures", "Over-exposed", "Under-exposed", one_range=True),
        Task("nir_visible", "Near infrared + visible", "Near infrared", "Visible", color="b"),
        PANSHARPENING,
    )
}


BASE_HALO = 1
"""Pixels that `radiometric_base` looks beyond a pixel."""


def find_task(name: str | None) -> Task | None:
    """Return the preset of that name, None for None; raise OptionError if there is none."""
    if name is None:
        return None
    if not isinstance(name, str) or name not in TASKS:
        raise OptionError(f"task={name!r} is unknown: expected one of {', '.join(TASKS)}.")
    return TASKS[name]


def pansharpen_band(fused: np.ndarray, band: np.ndarray) -> np.ndarray:
    """Give a band that was fused with the panchromatic plane its radiometry back.

    The fused band is split into a base (Gaussian 3×3, σ 0.5, border replicated) and a detail; the
    base's histogram is matched to that of the original band and the detail is put back.

    Parameters
    ----------
    fused, band : array (Y, X)
        float32 in [0, 1]: the band after and before the fusion.

    Returns
    -------
    array (Y, X)
        float32, clipped to [0, 1].
    """
    from skimage.exposure import match_histograms

    base = radiometric_base(fused)
    sharpened = match_histograms(base, band) + (fused - base)
    return np.clip(sharpened, 0, 1).astype(np.float32, copy=False)


def radiometric_base(fused: np.ndarray) -> np.ndarray:
    """Return the base (Y, X) of a fused band, which carries its radiometry; it looks one pixel far."""
    from scipy.ndimage import gaussian_filter

    return gaussian_filter(fused, sigma=0.5, mode="nearest", radius=BASE_HALO)
