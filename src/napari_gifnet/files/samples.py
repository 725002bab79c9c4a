"""Images to try: four pairs and a focus stack that ship, and the GIFNet authors' pairs, fetched on use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_gifnet.download import fetch
from napari_gifnet.errors import DownloadError, OptionError

from .formats import read
from .sample_list import DOWNLOADED, SHIPPED, Sample

FOLDER = Path(__file__).parents[1] / "sample_data"


@dataclass(frozen=True)
class SampleImage:
    """One image of a sample.

    Attributes
    ----------
    name : str
        What it is, such as "PET".
    data : array (..., Y, X) or (Y, X, 3)
        As stored: uint8 or uint16.
    rgb : bool
        The last axis is colour.
    axis_labels : tuple of str
        Names of the axes, but for colour.
    units : str
        The unit of `scale` and `translate`: "mm", "µm" or "pixel".
    scale, translate : tuple of float
        The spacing of the grid and the world position of its first element, for each axis.
    facts : dict
        What else is known, such as the lesions' places in the world, or the path of the depth map.
    """

    name: str
    data: np.ndarray
    rgb: bool
    axis_labels: tuple[str, ...]
    units: str
    scale: tuple[float, ...]
    translate: tuple[float, ...]
    facts: dict[str, Any]


def list_samples() -> tuple[Sample, ...]:
    """Return every sample, those that ship first.

    Returns
    -------
    tuple of Sample
        Their files need not be on this computer yet.

    Examples
    --------
    >>> [sample.key for sample in list_samples() if sample.shipped][:2]
    ['pet_mri', 'infrared_visible']
    """
    return SHIPPED + DOWNLOADED


def find_sample(key: str) -> Sample:
    """Return the sample of that key; raise OptionError if there is none."""
    for sample in list_samples():
        if sample.key == key:
            return sample
    known = ", ".join(sample.key for sample in list_samples())
    raise OptionError(f"There is no sample {key!r}: expected one of {known}.")


def load_sample(
    sample: str | Sample, *, progress: Callable[[int, int], None] | None = None
) -> tuple[SampleImage, ...]:
    """Read the images of a sample, downloading them first if need be.

    Parameters
    ----------
    sample : str or Sample
        A sample or its key.
    progress : callable, optional
        Called as ``progress(done, total)`` in bytes for each file that is downloaded; by default a
        bar is drawn on a terminal.

    Returns
    -------
    tuple of SampleImage
        The modality and the detail side; of a focus stack the stack alone.

    Raises
    ------
    OptionError
        If there is no such sample.
    DownloadError
        If a file cannot be fetched, verified or stored.

    Examples
    --------
    >>> (stack,) = load_sample("focus_stack")
    >>> stack.data.shape, stack.axis_labels, stack.scale, stack.units
    ((10, 320, 400), ('z', 'y', 'x'), (20.0, 2.0, 2.0), 'µm')
    """
    if isinstance(sample, str):
        sample = find_sample(sample)
    sides = [files for files in (sample.a, sample.b) if files]
    paths = {file: _path(sample, file, progress) for files in sides for file in files}
    images = [
        _read(name, [paths[file] for file in files])
        for name, files in zip(sample.names, sides, strict=True)
    ]
    if sample.depth:
        images[0].facts["depth"] = str(_path(sample, sample.depth, progress))
    return tuple(images)


def load_depth(sample: str | Sample) -> np.ndarray:
    """Read in which plane of a focus stack each pixel is sharp.

    Parameters
    ----------
    sample : str or Sample
        A sample whose depth is known, or its key.

    Returns
    -------
    array (Y, X)
        float32, in planes: 0 is the first, and 2.5 lies halfway between the third and the fourth.

    Raises
    ------
    OptionError
        If there is no such sample, or its depth is not known.

    Examples
    --------
    >>> depth = load_depth("focus_stack")
    >>> depth.shape, float(depth.max())
    ((320, 400), 9.0)
    """
    if isinstance(sample, str):
        sample = find_sample(sample)
    if not sample.depth:
        known = ", ".join(other.key for other in list_samples() if other.depth)
        raise OptionError(f"The depth of the sample {sample.key!r} is not known: expected {known}.")
    return read(_path(sample, sample.depth, None)).data


def _path(sample: Sample, file: str, progress: Callable[[int, int], None] | None) -> Path:
    if sample.shipped:
        return FOLDER / file
    try:
        return fetch(sample.url + file, sample.sha256[file], f"samples/{file}", progress=progress)
    except DownloadError as error:
        offline = ", ".join(shipped.key for shipped in SHIPPED)
        raise DownloadError(f"{error} The samples {offline} need no download.") from error


def _read(name: str, paths: list[Path]) -> SampleImage:
    """Read one image, or a stack of bands from several files."""
    images, facts = [], {}
    for path in paths:
        if path.suffix == ".tif":
            from tifffile import TiffFile

            image = read(path)
            images.append(image.data)
            with TiffFile(path) as file:
                facts = dict(file.shaped_metadata[0]) if file.shaped_metadata else {}
            sizes = [image.spacing.get(axis) for axis in image.axes]
            if all(size and size.unit == "µm" for size in sizes):
                facts |= {"scale": [size.value for size in sizes if size], "units": "µm"}
        else:
            from skimage.io import imread

            images.append(imread(path))
    data = images[0] if len(images) == 1 else np.stack(images)
    rgb = data.ndim == 3 and data.shape[-1] == 3
    if rgb and (data == data[..., :1]).all():
        # a gray image stored in colour
        data, rgb = np.ascontiguousarray(data[..., 0]), False
    ndim = data.ndim - rgb
    first = "band" if len(images) > 1 else "z"
    return SampleImage(
        name,
        data,
        rgb,
        ((first, "y", "x"))[3 - ndim :],
        facts.pop("units", "pixel"),
        tuple(facts.pop("scale", (1.0,) * ndim)),
        tuple(facts.pop("translate", (0.0,) * ndim)),
        {key: value for key, value in facts.items() if key not in {"shape", "axes"}},
    )
