"""The front door: N-d arrays in, one fused array out."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import DTypeLike

from .backend import Backend
from .fuser import Fuser, Stack
from .fusers import gather_normalization, open_fuser, require_index, wanted_of
from .lazy import fuse_lazily
from .models import STACK_MODEL
from .planes.color import ColorPolicy
from .planes.image import Plane
from .planes.job import Job, Normalization, resolve
from .planes.labelled import NO_LABELS, Labels, read_labels, read_stack_labels
from .planes.ranges import Intensity, from_unit, nothing_finite
from .planes.request import check_index, request_of_arrays, request_of_stack
from .progress import Progress, Reporting, share_of

if TYPE_CHECKING:
    from .engine import Statistics
    from .models import Model

__all__ = ["enhance", "fuse", "fuse_stack", "run"]

TileSize = int | Literal["auto"] | None

ALIGNING, GATHERING = 0.5, 0.3
"""The shares of a run that aligning a stack and gathering its statistics make up, for progress."""


def fuse(
    a: Any,
    b: Any,
    *others: Any,
    task: str | None = None,
    model: str | Path | Model | None = None,
    intensity: Intensity | tuple[Intensity, ...] = "auto",
    color: ColorPolicy = "auto",
    rgb: bool | tuple[bool | None, ...] | None = None,
    device: str = "auto",
    precision: str = "auto",
    tile_size: TileSize = "auto",
    dtype: DTypeLike | None = None,
    normalization: Normalization = "plane",
    progress: Progress | bool | None = None,
) -> Any:
    """Fuse two registered images, or more, into one.

    Parameters
    ----------
    a, b : array (..., Y, X) or, in colour, (..., Y, X, 3 | 4)
        The modality side (infrared, PET, near focus, over-exposed …) and the detail side (visible,
        MRI, far focus, under-exposed …): booleans, integers or floats, on the same grid, with at
        least 5×5 pixels. Leading axes broadcast against each other: a stack with a stack, or with
        one plane. Non-finite and masked pixels of either are NaN in the result, 0 if it is of
        integers.
    *others : array
        Further images of the same scene; then the order of all does not matter to the default
        model.
    task : str, optional
        A preset that sets what ``"auto"`` means: ``"infrared_visible"``, ``"pet_mri"``,
        ``"multi_focus"``, ``"multi_exposure"``, ``"nir_visible"`` or ``"pansharpening"``. For the
        last one `a` is (..., bands, Y, X), resampled to the panchromatic plane `b`; each band is
        fused with `b` and keeps its own histogram.
    model : str, Path or Model, optional
        A name from `list_models`, the path of a checkpoint, what `load_model` returned, or a method
        without a network: ``"mean"``, ``"maximum"``, ``"pyramid"`` or ``"mertens"``. By default
        ``"gifnet"`` for two images and ``"gifnet-bands"`` for more; a model of two, named for more,
        goes by pairs in a balanced tree.
    intensity : {"auto", "dtype", "minmax", "percentile"}, (low, high), or one of these for each
        How values become [0, 1], one range for a whole image, all channels included, over its
        finite values. ``"dtype"``: the full range of an integer type, floats as they are;
        ``"percentile"``: the 0.1st to the 99.9th; ``"auto"``: uint8 and floats within [0, 1] as
        ``"dtype"``, all else ``"minmax"``. What lies outside the range is clipped. Two numbers
        are one range for all images, anything else of as many as there are images is for each.
    color : {"auto", "a", "b", "gray"}
        Whose chroma the result gets: of whichever inputs have colour, weighted by their strength;
        of a; of b; or none. Luma is what is fused.
    rgb : bool or one for each image, optional
        Whether the last axis of an image is colour. None looks: a last axis of length 3 or 4 behind
        at least two others is colour, since no plane may be that narrow. An alpha channel takes no
        part. Channels in front, (3, Y, X), are a stack of three planes.
    device : str
        ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"`` or ``"xpu"``.
    precision : {"auto", "float32", "bfloat16", "float16"}
        ``"auto"`` is what the device computes fast and within about a gray level of float32.
    tile_size : "auto", None or int
        Side of the tiles in pixels, None for the plane in one piece. It changes memory and speed,
        not the result.
    dtype : dtype, optional
        A float, or an integer of up to 32 bits to which [0, 1] is scaled; float32 by default.
    normalization : {"plane", "stack"}
        What the network's normalisations measure: each plane by itself, as published, or up to 16
        planes spread over the stack together. With ``"stack"``, what stands still in a stack whose
        other parts change does not flicker, and a plane takes one pass instead of three.
    progress : callable or bool, optional
        ``progress(done, total)``, called during the run, first in bytes if a model is downloaded;
        what it raises stops the run and comes out as it is, `Cancelled` for instance. True draws a
        bar in a terminal or a notebook. Not called for dask arrays.

    Returns
    -------
    array (..., Y, X) or, in colour, (..., Y, X, 3)
        In [0, 1], or scaled to `dtype`. A lazy dask array, in the chunks that came in, if one of
        the images is one. A DataArray if one is: axes match by name, coordinates stay.

    Raises
    ------
    ImageError
        The images cannot be fused as given.
    OptionError
        An option is not understood.
    CheckpointError, DownloadError, DeviceError
        The model or the device cannot be used.
    Cancelled
        Raised by `progress`.

    References
    ----------
    C. Cheng et al., "One Model for ALL: Low-Level Task Interaction Is a Key to Task-Agnostic Image
    Fusion", CVPR 2025, arXiv:2502.19854.

    Examples
    --------
    >>> near, far = np.zeros((8, 8), np.uint8), np.full((8, 8), 255, np.uint8)
    >>> fuse(near, far, model="mean")[0, :2]
    array([0.5, 0.5], dtype=float32)
    """
    images = (a, b, *others)
    names = ["a", "b", *(f"image {place}" for place in range(2, len(images)))]
    labels = read_labels(images, names, rgb, task)
    request = request_of_arrays(
        labels.images,
        names,
        labels.rgb,
        task=task,
        intensity=intensity,
        color=color,
        dtype=dtype,
        normalization=normalization,
    )
    if model is None and others:
        model = STACK_MODEL
    backend = Backend(device, precision, tile_size)
    return _compute(resolve(request), model, backend, progress, labels)


def fuse_stack(
    stack: Any,
    axis: int | str = 0,
    *,
    task: str | None = "multi_focus",
    model: str | Path | Model | None = None,
    align: str | None = None,
    return_index: bool = False,
    intensity: Intensity = "auto",
    color: Literal["auto", "gray"] = "auto",
    rgb: bool | None = None,
    device: str = "auto",
    precision: str = "auto",
    tile_size: TileSize = "auto",
    dtype: DTypeLike | None = None,
    progress: Progress | bool | None = None,
) -> Any:
    """Fuse the planes along one axis of a stack into one: focus planes, or exposures.

    Parameters
    ----------
    stack : array (..., Y, X) or, in colour, (..., Y, X, 3 | 4), or list of planes
        Planes of one scene, 1 to some hundreds along `axis`, in any order if they are registered; the
        other leading axes are kept, as time is of (T, Z, Y, X) with ``axis=1``. One is enhanced.
    axis : int or str
        Along which the planes lie; none of those of a plane. Of a DataArray its name, too.
    task : {"multi_focus", "multi_exposure"} or another preset, optional
        What the planes are; None for the network to find out.
    model : str, Path or Model, optional
        As for `fuse`; by default ``"gifnet-bands"``.
    align : {"shift", "rigid", "similarity", "affine"}, optional
        How each plane is laid on its neighbour first, from the middle one on: ``"similarity"`` is for
        a lens that is refocused. At each place along the further axes by itself; at once, also of a
        dask array. Planes that match nowhere stay, with a warning. Needs SimpleITK.
    return_index : bool
        Whether to return where along the axis each pixel comes from; not for exposures, and with a
        model of the band network.
    intensity : {"auto", "dtype", "minmax", "percentile"} or (low, high)
        As for `fuse`; the range is that of the whole stack.
    color : {"auto", "gray"}
        Keep the planes' chroma, or return luma alone.
    rgb : bool, optional
        Whether the last axis is colour; None looks.
    device, precision, tile_size, dtype, progress : see `fuse`
        As for `fuse`.

    Returns
    -------
    fused : array (..., Y, X) or, in colour, (..., Y, X, 3)
        Without `axis`; in [0, 1], or scaled to `dtype`. Lazy for a dask array, in its chunks.
    index : array (..., Y, X), float32
        If `return_index`: the position along `axis`, from 0 on, between planes where two of them
        have a share, and smooth where nothing tells.

    Raises
    ------
    ImageError, OptionError, CheckpointError, DownloadError, DeviceError
        As for `fuse`.

    Examples
    --------
    >>> fuse_stack(np.stack([np.zeros((8, 8)), np.ones((8, 8))]), model="mean")[0, :2]
    array([0.5, 0.5], dtype=float32)
    """
    labels, stack, place, rgb = read_stack_labels(stack, axis, rgb)
    request = request_of_stack(
        stack, place, rgb, intensity=intensity, color=color, dtype=dtype, task=task
    )
    check_index(return_index, task)
    if len(request.inputs) == 1:
        request = replace(request, task=None)
    method = STACK_MODEL if model is None else model
    backend = Backend(device, precision, tile_size)
    job = resolve(request)
    with Reporting(progress) as report:
        if align is not None:
            from .alignment.stack import align_request

            job = resolve(align_request(request, align, share_of(report, 0, ALIGNING))[0])
            report = share_of(report, ALIGNING, 1 - ALIGNING)
        if job.lazy:
            made = fuse_lazily(job, method, backend, with_index=return_index)
        elif return_index:
            fuser = open_fuser(method, backend, report)
            require_index(fuser)
            index = np.empty(job.leading + job.sides, np.float32)
            made = run(job, fuser, report, index=index), index
        else:
            made = run(job, open_fuser(method, backend, report), report)
    return labels.restore(made, job, method)


def enhance(
    image: Any,
    *,
    model: str | Path | Model | None = None,
    intensity: Intensity = "auto",
    color: Literal["auto", "gray"] = "auto",
    rgb: bool | None = None,
    device: str = "auto",
    precision: str = "auto",
    tile_size: TileSize = "auto",
    dtype: DTypeLike | None = None,
    normalization: Normalization = "plane",
    progress: Progress | bool | None = None,
) -> Any:
    """Sharpen one image: fuse it with itself.

    Parameters
    ----------
    image : array (..., Y, X) or, in colour, (..., Y, X, 3 | 4)
        Booleans, integers or floats, at least 5×5 pixels.
    model : str, Path or Model, optional
        As for `fuse`.
    intensity : {"auto", "dtype", "minmax", "percentile"} or (low, high)
        As for `fuse`.
    color : {"auto", "gray"}
        Keep the image's chroma, or return luma alone.
    rgb : bool, optional
        Whether the last axis is colour; None looks.
    device, precision, tile_size, dtype, normalization, progress : see `fuse`
        As for `fuse`.

    Returns
    -------
    array (..., Y, X) or, in colour, (..., Y, X, 3)
        In [0, 1], or scaled to `dtype`; lazy for a dask array, in its chunks.

    Raises
    ------
    GIFNetError
        As for `fuse`.

    Examples
    --------
    >>> enhance(np.eye(5), model="mean", dtype="uint8")[0]
    array([255,   0,   0,   0,   0], dtype=uint8)
    """
    labels = read_labels((image,), ("image",), rgb)
    request = request_of_arrays(
        labels.images,
        ("image",),
        labels.rgb,
        intensity=intensity,
        color=color,
        dtype=dtype,
        normalization=normalization,
    )
    backend = Backend(device, precision, tile_size)
    return _compute(resolve(request), model, backend, progress, labels)


def _compute(
    job: Job,
    model: str | Path | Model | None,
    backend: Backend,
    progress: Progress | bool | None,
    labels: Labels = NO_LABELS,
) -> Any:
    if job.lazy:
        return labels.restore(fuse_lazily(job, model, backend), job, model)
    with Reporting(progress) as report:
        made = run(job, open_fuser(model, backend, report), report)
    return labels.restore(made, job, model)


def run(
    job: Job,
    fuser: Fuser,
    progress: Progress | bool | None = None,
    statistics: Statistics | None = None,
    index: np.ndarray | None = None,
) -> np.ndarray:
    """Carry out a job: planes to the fuser, colour and invalid pixels back behind it.

    Parameters
    ----------
    job : Job
        From `resolve`.
    fuser : Fuser
        From `open_fuser`.
    progress : callable or bool, optional
        ``progress(done, total)``; what it raises stops the run and comes out as it is.
    statistics : Statistics, optional
        Such as were gathered before, in place of those that the job's normalization asks for.
    index : array, optional
        Of ``job.leading + job.sides``, to be filled with the input that each pixel comes from; for a
        fuser that indexes.

    Returns
    -------
    array
        Of ``job.shape`` and ``job.dtype``.

    Raises
    ------
    ImageError
        An input has no finite pixel.
    DeviceError
        The device failed, or there is not enough memory.

    Examples
    --------
    >>> job = resolve(request_of_arrays((np.zeros((5, 5)), np.ones((5, 5))), ("a", "b")))
    >>> run(job, open_fuser("mean"))[0, :2]
    array([0.5, 0.5], dtype=float32)
    """
    with Reporting(progress) as report:
        return _run(job.measured(), fuser, report, statistics, index)


def _run(
    job: Job,
    fuser: Fuser,
    report: Progress,
    statistics: Statistics | None,
    index: np.ndarray | None,
) -> np.ndarray:
    if statistics is None and fuser.normalizes and job.normalization == "stack":
        statistics = gather_normalization(job, fuser, share_of(report, 0, GATHERING))
        report = share_of(report, GATHERING, 1 - GATHERING)
    result = np.empty(job.shape, job.dtype)
    in_the_making: deque[Sequence[Plane]] = deque()

    def stacks() -> Iterator[Stack]:
        for place in np.ndindex(job.leading):
            planes = job.planes(place)
            in_the_making.append(planes)
            yield job.lumas(planes)

    empty = [True] * len(job.inputs)
    wanted = wanted_of(job, fuser, with_index=index is not None)
    made = fuser.fuse_planes(stacks(), job.count, report, statistics, wanted)
    for fused, place in zip(made, np.ndindex(job.leading), strict=True):
        planes = in_the_making.popleft()
        result[place] = from_unit(job.picture(fused.plane, planes, fused.index), job.dtype)
        if index is not None:
            index[place] = fused.index
        if any(empty):
            gone = (plane.invalid is not None and plane.invalid.all() for plane in planes)
            empty = [was and bool(now) for was, now in zip(empty, gone, strict=True)]
    for image, is_empty in zip(job.inputs, empty, strict=True):
        if is_empty:
            raise nothing_finite(image.label)
    return result
