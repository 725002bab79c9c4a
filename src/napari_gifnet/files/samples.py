"""Images to try: four pairs and a focus stack that ship, and the GIFNet authors' pairs, fetched on use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from napari_gifnet.download import fetch
from napari_gifnet.errors import DownloadError, OptionError
from napari_gifnet.planes.tasks import TASKS

from .formats import read

FOLDER = Path(__file__).parents[1] / "sample_data"
AUTHORS = "https://raw.githubusercontent.com/AWCXV/GIFNet/c8ad04ae3bfefcebfa9abe94d1d5895c8db56a44/"


@dataclass(frozen=True)
class Sample:
    """A pair of images, or one stack, and where it is from.

    Attributes
    ----------
    key : str
        What :func:`load_sample` takes; also the key in napari.
    task : str
        The preset it is an example of.
    title : str
        For people.
    a, b : tuple of str
        The files of the modality and of the detail side: names in the package, or, for a
        downloaded sample, paths below `url`. Several files are the planes of one stack. `b` is
        empty where one image is all there is.
    provenance, licence, source : str
        How the images came about, on what terms, and where more is said.
    url : str
        Where the files are fetched from; empty for a sample that ships.
    sha256 : dict of str to str
        The hash of each downloaded file.
    depth : str
        The file that says which plane of a focus stack each pixel is sharp in, if that is known:
        see :func:`load_depth`.
    """

    key: str
    task: str
    title: str
    a: tuple[str, ...]
    b: tuple[str, ...]
    provenance: str
    licence: str
    source: str
    url: str = ""
    sha256: dict[str, str] = field(default_factory=dict, repr=False)
    depth: str = ""

    @property
    def shipped(self) -> bool:
        """Whether the files are in the package, so that no network is needed."""
        return not self.url

    @property
    def names(self) -> tuple[str, ...]:
        """What the images are called: the sides of the task, or what the title calls the one."""
        task = TASKS[self.task]
        return (task.a, task.b) if self.b else (self.title.partition(" (")[0],)


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


_SHIPPED = (
    Sample(
        "pet_mri",
        "pet_mri",
        "MRI + PET (3-D brain phantom)",
        ("pet.tif",),
        ("mri.tif",),
        "Phantom: a T1-weighted scan at 1 mm and an FDG scan at 2.5 mm on another grid, simulated "
        "on a warped ICBM 152 nonlinear template (2009a) with modelled skull, scalp and lesions; "
        "not a patient, not for clinical use",
        "ICBM 152 template (C) 1993-2009 Louis Collins, McConnell Brain Imaging Centre, Montreal "
        "Neurological Institute, McGill University: free use with this notice",
        "sample_data/README.md",
    ),
    Sample(
        "infrared_visible",
        "infrared_visible",
        "Infrared + visible (street at night)",
        ("infrared.png",),
        ("visible.png",),
        "Rendered from one 3-D model by lamp light and by the surfaces' own warmth; brick, gravel "
        "and coffee photographs of scikit-image as textures",
        "CC0 1.0 (the model and the textures)",
        "sample_data/README.md",
    ),
    Sample(
        "multi_focus",
        "multi_focus",
        "Two focus planes (motorcycle)",
        ("near_focus.png",),
        ("far_focus.png",),
        "Middlebury 2014 'Motorcycle' (Scharstein et al., GCPR 2014) as in scikit-image, with lens "
        "blur simulated from its measured disparity",
        "Middlebury stereo data: free to use and publish, with the paper cited",
        "https://vision.middlebury.edu/stereo/data/scenes2014/",
    ),
    Sample(
        "multi_exposure",
        "multi_exposure",
        "Two exposures (courtyard)",
        ("over_exposed.png",),
        ("under_exposed.png",),
        "Part of a high-range panorama by Greg Zaal (HDRI Haven, as bundled with Blender), exposed "
        "six stops apart and clipped as a camera clips",
        "CC0 1.0",
        "https://polyhaven.com",
    ),
    Sample(
        "focus_stack",
        "multi_focus",
        "Focus stack (ten planes of microfossils)",
        ("focus_stack.tif",),
        (),
        "Rendered: a slide of sand with shells of foraminifera, a radiolarian, a diatom and "
        "spicules, seen by an ideal lens of aperture 0.13 at ten heights; its depth is known "
        "(focus_stack_depth.tif); gravel of scikit-image as a texture",
        "CC0 1.0 (the model and the texture)",
        "sample_data/README.md",
        depth="focus_stack_depth.tif",
    ),
)


def _example(task: str, title: str, a: dict[str, str], b: dict[str, str]) -> Sample:
    return Sample(
        f"gifnet_{task}",
        task,
        f"GIFNet's example: {title} (download)",
        tuple(a),
        tuple(b),
        "The example of this task in the GIFNet authors' public repository, as published there",
        "none stated by the authors: for trying out, not for passing on",
        "https://github.com/AWCXV/GIFNet",
        AUTHORS,
        a | b,
    )


_DOWNLOADED = (
    _example(
        "pet_mri",
        "PET + MRI",
        {
            "images/Medical/pet/1.png": "80e249b7f91426a78426a0ac5d9a02f2"
            "b70ed2d581d879076caf4c734361ea92"
        },
        {
            "images/Medical/mri/1.png": "a7bd2160767d6c66587e950a42e96168"
            "226e9e00033f3c287fc19d0e2b8f25a0"
        },
    ),
    _example(
        "infrared_visible",
        "infrared + visible",
        {
            "images/IVIF/ir/1.jpg": "1493246378ffecef7be28842f9bfd03f"
            "220fd3094d7ce59079989f25a2416301"
        },
        {
            "images/IVIF/vis/1.jpg": "d57604a1a217d84447d8c4128e4e927f"
            "4c2c9677b68f7e0943ca46374f438e44"
        },
    ),
    _example(
        "multi_focus",
        "two focus planes",
        {
            "images/MFIF/ir/1.jpg": "2f9fb95461f2297388eeece514544714"
            "cf4f7f1377e4b0bb6fae2901d43dd795"
        },
        {
            "images/MFIF/vis/1.jpg": "d7329134ec2987840e1bd29de06383fc"
            "9dd796904d24d6d9e9d4d6dc63dfdac6"
        },
    ),
    _example(
        "multi_exposure",
        "two exposures",
        {
            "images/MEIF/ir/1.jpg": "e6d4fb578308f29bf75e13e3bd04ca23"
            "1e80957fc062a0b6880f695b335246ee"
        },
        {
            "images/MEIF/vis/1.jpg": "732eb00668b6db3f5e9fcfbd7fc721b4"
            "463b7db1a8b8c07c4d77dd620021905e"
        },
    ),
    _example(
        "nir_visible",
        "near infrared + visible",
        {
            "images/NIR-VIS/nir/1.jpg": "d606745b7b9e8f51234cfafa59ec15d5"
            "e2319ac70c6159e3ac696537bd67bb84"
        },
        {
            "images/NIR-VIS/vis/1.jpg": "b59d53d1edc066554dc7c9ed8cc9713e"
            "e94b7b4c22ee297c3d43cda658eb9315"
        },
    ),
    _example(
        "pansharpening",
        "multispectral bands + panchromatic",
        {
            "images/Remote/MS_band1/1.tif": "58179a6f9358b3db2efe2672e91ad9cd"
            "877818019103185e9d642b44a2403c87",
            "images/Remote/MS_band2/1.tif": "ba02ce668412e86339314f17ec6d6b24"
            "24241fcf01451929561b92a18d0ebe91",
            "images/Remote/MS_band3/1.tif": "7386e4dca3ae70ed9a48e52788e95c09"
            "dd179c18fdc9561b48876c571d606c7f",
            "images/Remote/MS_band4/1.tif": "d3bfefc5846fa3b29c19f97c6ae9167b"
            "e89e70b370b16707240d6eeecfca936c",
        },
        {
            "images/Remote/PAN/1.tif": "2c5e61cca7bbd057ea44828527596d3d"
            "ab05d6f5c6c443f65c763c69a30b4daa"
        },
    ),
)


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
    return _SHIPPED + _DOWNLOADED


def find_sample(key: str) -> Sample:
    """Return the sample of that key; raise OptionError if there is none."""
    for sample in list_samples():
        if sample.key == key:
            return sample
    known = ", ".join(sample.key for sample in list_samples())
    raise OptionError(f"there is no sample {key!r}: expected one of {known}")


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
        raise OptionError(f"the depth of the sample {sample.key!r} is not known: expected {known}")
    return read(_path(sample, sample.depth, None)).data


def _path(sample: Sample, file: str, progress: Callable[[int, int], None] | None) -> Path:
    if sample.shipped:
        return FOLDER / file
    try:
        return fetch(sample.url + file, sample.sha256[file], f"samples/{file}", progress=progress)
    except DownloadError as error:
        offline = ", ".join(shipped.key for shipped in _SHIPPED)
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
