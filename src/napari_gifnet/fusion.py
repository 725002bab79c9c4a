"""The front door: two N-d arrays in, one fused array out."""

from __future__ import annotations

import re
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache, reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import DTypeLike

from .backend import Backend
from .errors import OptionError
from .models import DEFAULT_MODEL, Model, load_model
from .planes.color import ColorPolicy, mix_chroma, to_rgb
from .planes.image import Picture, Plane
from .planes.job import Plan, plan_fusion
from .planes.ranges import Intensity, Range, check_intensity, from_unit
from .planes.tasks import PANSHARPENING, pansharpen_band

if TYPE_CHECKING:
    from .engine import GIFNetEngine, Statistics

__all__ = ["Plan", "enhance", "fuse", "open_engine", "plan_fusion", "run"]

Progress = Callable[[int, int], None]
Tile = int | Literal["auto"] | None

PRECISIONS = ("auto", "float32", "bfloat16", "float16")
_DEVICE = re.compile(r"auto|cpu|mps|(cuda|xpu)(:\d+)?")
STATISTICS = ("plane", "stack")
SAMPLED = 16
"""Planes of a stack that its statistics are taken of, at most."""

SMALLEST_TILE = 16
"""Pixels: two attention windows."""

_ONE_AT_A_TIME = threading.Lock()


def fuse(
    a: Any,
    b: Any,
    *,
    task: str | None = None,
    model: str | Path | Model = DEFAULT_MODEL,
    intensity: Intensity | tuple[Intensity, Intensity] = "auto",
    color: ColorPolicy = "auto",
    rgb: bool | tuple[bool | None, bool | None] | None = None,
    device: str = "auto",
    precision: str = "auto",
    tile: Tile = "auto",
    dtype: DTypeLike | None = None,
    statistics: Literal["plane", "stack"] = "plane",
    progress: Progress | None = None,
) -> Any:
    """Fuse two registered images into one.

    Parameters
    ----------
    a, b : array (..., Y, X) or, in colour, (..., Y, X, 3 | 4)
        The modality side (infrared, PET, near focus, over-exposed …) and the detail side (visible,
        MRI, far focus, under-exposed …): booleans, integers or floats, on the same grid, with at
        least 5×5 pixels. Leading axes broadcast against each other: a stack with a stack, or with
        one plane. Non-finite pixels of either are NaN in the result, 0 if it is of integers.
    task : str, optional
        A preset that sets what ``"auto"`` means: ``"infrared_visible"``, ``"pet_mri"``,
        ``"multi_focus"``, ``"multi_exposure"``, ``"nir_visible"`` or ``"pansharpening"``. For the
        last one `a` is (..., bands, Y, X), resampled to the panchromatic plane `b`; each band is
        fused with `b` and keeps its own histogram.
    model : str, Path or Model
        A name from `list_models`, the path of a checkpoint, or what `load_model` returned.
    intensity : {"auto", "dtype", "minmax", "percentile"}, (low, high), or a pair of these
        How values become [0, 1], one range for a whole image, all channels included, over its
        finite values. ``"dtype"``: the full range of an integer type, floats as they are;
        ``"percentile"``: the 0.1st to the 99.9th; ``"auto"``: uint8 and floats within [0, 1] as
        ``"dtype"``, all else ``"minmax"``. What lies outside the range is clipped. Two numbers
        are one range for both images, anything else of length two is for a and b.
    color : {"auto", "a", "b", "gray"}
        Whose chroma the result gets: of whichever input has colour, both weighted by their
        strength; of a; of b; or none. Luma is what is fused.
    rgb : bool or pair of bool, optional
        Whether the last axis of a and b is colour. None looks: a last axis of length 3 or 4 behind
        at least two others is colour, since no plane may be that narrow. An alpha channel takes no
        part. Channels in front, (3, Y, X), are a stack of three planes.
    device : str
        ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"`` or ``"xpu"``.
    precision : {"auto", "float32", "bfloat16", "float16"}
    tile : "auto", None or int
        Side of the tiles in pixels, None for the plane in one piece. It changes memory and speed,
        not the result.
    dtype : dtype, optional
        A float, or an integer of up to 32 bits to which [0, 1] is scaled; float32 by default.
    statistics : {"plane", "stack"}
        What the network's normalisations measure: each plane by itself, as published, or up to 16
        planes spread over the stack together. With ``"stack"``, what stands still in a stack whose
        other parts change does not flicker, and a plane takes one pass instead of three.
    progress : callable, optional
        ``progress(done, total)``, called during the run; raise `Cancelled` in it to stop. Not
        called for dask arrays.

    Returns
    -------
    array (..., Y, X) or, in colour, (..., Y, X, 3)
        In [0, 1], or scaled to `dtype`. A lazy dask array, one plane a chunk, if a or b is one.

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
    """
    check_run_options(device, precision, tile)
    plan = plan_fusion(a, b, task=task, intensity=intensity, color=color, rgb=rgb, dtype=dtype)
    check_statistics(statistics)
    if plan.a.lazy:
        return _fuse_lazily(plan, model, (device, precision, tile), statistics)
    return run(plan, open_engine(model, device, precision, tile), progress, statistics)


def enhance(
    image: Any,
    *,
    model: str | Path | Model = DEFAULT_MODEL,
    intensity: Intensity = "auto",
    color: Literal["auto", "gray"] = "auto",
    rgb: bool | None = None,
    device: str = "auto",
    precision: str = "auto",
    tile: Tile = "auto",
    dtype: DTypeLike | None = None,
    statistics: Literal["plane", "stack"] = "plane",
    progress: Progress | None = None,
) -> Any:
    """Sharpen one image: fuse it with itself.

    Parameters
    ----------
    image : array (..., Y, X) or, in colour, (..., Y, X, 3 | 4)
        Booleans, integers or floats, at least 5×5 pixels.
    color : {"auto", "gray"}
        Keep the image's chroma, or return luma alone.
    model, intensity, rgb, device, precision, tile, dtype, statistics, progress
        As for `fuse`, for one image.

    Returns
    -------
    array (..., Y, X) or, in colour, (..., Y, X, 3)
        In [0, 1], or scaled to `dtype`; lazy for a dask array.

    Raises
    ------
    GIFNetError
        As for `fuse`.
    """
    if color not in ("auto", "gray"):
        raise OptionError(f"color={color!r} is not understood: expected 'auto' or 'gray'.")
    if isinstance(rgb, (tuple, list)):
        raise OptionError(f"rgb={rgb!r} is not understood: expected one value for one image.")
    return fuse(
        image,
        image,
        model=model,
        intensity=check_intensity(intensity),
        color=color,
        rgb=rgb,
        device=device,
        precision=precision,
        tile=tile,
        dtype=dtype,
        statistics=statistics,
        progress=progress,
    )


def check_run_options(device: Any, precision: Any, tile: Any) -> None:
    """Raise OptionError if one of the options is none of those understood.

    Whether the device is there is found out when it is used.
    """
    if not _DEVICE.fullmatch(str(device)):
        raise OptionError(
            f"device={device!r} is unknown: expected 'auto', 'cpu', 'cuda', 'cuda:1', 'mps' or "
            "'xpu'."
        )
    if precision not in PRECISIONS:
        raise OptionError(
            f"precision={precision!r} is unknown: expected one of {', '.join(PRECISIONS)}."
        )
    whole = isinstance(tile, (int, np.integer)) and not isinstance(tile, bool)
    if not (tile is None or tile == "auto" or (whole and tile >= SMALLEST_TILE)):
        raise OptionError(
            f"tile={tile!r} is not understood: expected 'auto', None or a side of at least "
            f"{SMALLEST_TILE} pixels."
        )


def check_statistics(statistics: Any) -> None:
    """Raise OptionError if it is none of those understood."""
    if statistics not in STATISTICS:
        raise OptionError(
            f"statistics={statistics!r} is not understood: expected 'plane' or 'stack'."
        )


def open_engine(
    model: str | Path | Model = DEFAULT_MODEL,
    device: str = "auto",
    precision: str = "auto",
    tile: Tile = "auto",
    memory: float | None = None,
) -> GIFNetEngine:
    """Load a model and make it ready to run; torch is imported here."""
    from .engine import GIFNetEngine

    return GIFNetEngine(load_model(model).network, Backend(device, precision, tile, memory))


def run(
    plan: Plan,
    engine: GIFNetEngine,
    progress: Progress | None = None,
    statistics: Literal["plane", "stack"] | Statistics = "plane",
) -> np.ndarray:
    """Carry out a plan: planes to the engine, colour and invalid pixels back behind it.

    Parameters
    ----------
    plan : Plan
        Of numpy arrays.
    engine : GIFNetEngine
        From `open_engine`.
    progress : callable, optional
        ``progress(done, total)``; raise `Cancelled` in it to stop.
    statistics : {"plane", "stack"} or Statistics
        As for `fuse`; or such as were gathered before.

    Returns
    -------
    array
        Of ``plan.shape`` and ``plan.dtype``.
    """
    result = np.empty(plan.shape, plan.dtype)
    sources: deque[tuple[Plane, Plane]] = deque()  # of the planes the engine is at work on
    known = None if isinstance(statistics, str) else statistics
    report = progress
    if statistics == "stack" and plan.count > 1:
        known = _gather(plan, engine, _share_of(progress, 0, 0.3))
        report = _share_of(progress, 0.3, 0.7)

    def pairs() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for index in np.ndindex(plan.a.leading):
            a, b = _pair(plan, index)
            sources.append((a, b))
            yield a.luma, b.luma

    fused_planes = engine.fuse_planes(pairs(), plan.count, report, known)
    for fused, index in zip(fused_planes, np.ndindex(plan.a.leading), strict=True):
        result[index] = from_unit(_finish(plan, fused, *sources.popleft()), plan.dtype)
    return result


def _pair(plan: Plan, index: tuple[int, ...]) -> tuple[Plane, Plane]:
    a = plan.a.plane(index, plan.range_a, plan.chroma in ("a", "both"))
    if plan.b is plan.a:
        return a, a
    return a, plan.b.plane(index, plan.range_b, plan.chroma in ("b", "both"))


def _gather(plan: Plan, engine: GIFNetEngine, progress: Progress | None = None) -> Statistics:
    """Return the statistics of a stack, from planes spread over it."""
    indices = list(np.ndindex(plan.a.leading))
    chosen = [indices[i] for i in spread(len(indices))]

    def pairs() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for index in chosen:
            a, b = _pair(plan, index)
            yield a.luma, b.luma

    return engine.gather_statistics(pairs, len(chosen), progress)


def spread(count: int) -> list[int]:
    """Return which planes of a stack its statistics are taken of."""
    return np.unique(np.linspace(0, count - 1, min(count, SAMPLED)).round().astype(int)).tolist()


def _share_of(progress: Progress | None, start: float, share: float) -> Progress | None:
    """Return what reports a part of a run as such."""
    if progress is None:
        return None
    return lambda done, total: progress(
        round(1e6 * (start + share * done / max(total, 1))), 1_000_000
    )


def _finish(plan: Plan, fused: np.ndarray, a: Plane, b: Plane) -> np.ndarray:
    """Return the picture of a fused plane, (Y, X) or (Y, X, 3), in [0, 1]; NaN where invalid."""
    picture = pansharpen_band(fused, a.luma) if plan.task == PANSHARPENING else fused
    planes = (a,) if a is b else (a, b)
    chromas = [plane.chroma for plane in planes if plane.chroma is not None]
    if chromas:
        picture = to_rgb(picture, reduce(mix_chroma, chromas))
    for plane in planes:
        if plane.invalid is not None:
            invalid = plane.invalid[..., None] if chromas else plane.invalid
            picture = np.where(invalid, np.float32(np.nan), picture)
    return picture


def _fuse_lazily(
    plan: Plan,
    model: str | Path | Model,
    options: tuple[str, str, Tile],
    statistics: Literal["plane", "stack"],
) -> Any:
    """Return the dask array of a plan, one plane a chunk."""
    import dask.array as da
    from dask import delayed

    load_model(model)  # a wrong one is told now, not when the array is computed
    planes_at = len(plan.a.leading)
    *axes, rgb, rgb_a, rgb_b = range(planes_at + 5)  # the stack's, Y, X, and three for colour

    def planes(picture: Picture, rgb_axis: int) -> tuple[Any, list[int]]:
        one_plane = (1,) * planes_at + (-1,) * (picture.image.ndim - planes_at)
        return picture.image.rechunk(one_plane), axes + [rgb_axis] * picture.in_color

    in_color = plan.chroma != "none"
    bare = replace(plan, a=replace(plan.a, image=None), b=replace(plan.b, image=None))
    known: Any = "plane"
    if statistics == "stack" and plan.count > 1:
        indices = list(np.ndindex(plan.a.leading))
        some = [indices[i] for i in spread(len(indices))]
        known = delayed(_gather_blocks)(
            *(da.stack([p.image[index] for index in some]) for p in (plan.a, plan.b)),
            plan.range_a,
            plan.range_b,
            plan=bare,
            model=model,
            options=options,
        )
    return da.blockwise(
        _fuse_block,
        axes + [rgb] * in_color,
        *planes(plan.a, rgb_a),
        *planes(plan.b, rgb_b),
        *(plan.range_a, None),
        *(plan.range_b, None),
        *(known, None),
        new_axes={rgb: 3} if in_color else None,
        concatenate=True,
        meta=np.empty((0,) * len(plan.shape), plan.dtype),
        plan=bare,
        model=model,
        options=options,
    )


def _fuse_block(
    a: np.ndarray,
    b: np.ndarray,
    range_a: Range,
    range_b: Range,
    statistics: Literal["plane"] | Statistics,
    plan: Plan,
    model: str | Path | Model,
    options: tuple[str, str, Tile],
) -> np.ndarray:
    plan = _of_blocks(plan, a, b, range_a, range_b)
    with _ONE_AT_A_TIME:  # the engine uses all cores; more of them would only take more memory
        return run(plan, _last_engine(load_model(model), *options), None, statistics)


def _gather_blocks(
    a: np.ndarray,
    b: np.ndarray,
    range_a: Range,
    range_b: Range,
    plan: Plan,
    model: str | Path | Model,
    options: tuple[str, str, Tile],
) -> Statistics:
    plan = _of_blocks(plan, a, b, range_a, range_b)
    with _ONE_AT_A_TIME:
        return _gather(plan, _last_engine(load_model(model), *options))


def _of_blocks(plan: Plan, a: np.ndarray, b: np.ndarray, range_a: Range, range_b: Range) -> Plan:
    return replace(
        plan,
        a=replace(plan.a, image=a),
        b=replace(plan.b, image=b),
        range_a=range_a,
        range_b=range_b,
    )


@lru_cache(maxsize=1)
def _last_engine(model: Model, device: str, precision: str, tile: Tile) -> GIFNetEngine:
    return open_engine(model, device, precision, tile)
