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

from .errors import OptionError
from .models import DEFAULT_MODEL, Model, load_model
from .pictures.color import ColorPolicy, mix_chroma, to_rgb
from .pictures.intensity import Intensity, Range, check_intensity, from_unit
from .pictures.picture import Picture, Plane
from .pictures.plan import Plan, plan_fusion
from .pictures.tasks import PANSHARPENING, pansharpen_band

if TYPE_CHECKING:
    from .engine import Engine

__all__ = ["Plan", "enhance", "fuse", "open_engine", "plan_fusion", "run"]

Progress = Callable[[int, int], None]
Tile = int | Literal["auto"] | None

PRECISIONS = ("auto", "float32", "bfloat16", "float16")
_DEVICE = re.compile(r"auto|cpu|mps|(cuda|xpu)(:\d+)?")
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
    if plan.a.lazy:
        return _fuse_lazily(plan, model, (device, precision, tile))
    return run(plan, open_engine(model, device, precision, tile), progress)


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
    progress: Progress | None = None,
) -> Any:
    """Sharpen one image: fuse it with itself.

    Parameters
    ----------
    image : array (..., Y, X) or, in colour, (..., Y, X, 3 | 4)
        Booleans, integers or floats, at least 5×5 pixels.
    color : {"auto", "gray"}
        Keep the image's chroma, or return luma alone.
    model, intensity, rgb, device, precision, tile, dtype, progress
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
    if not (tile is None or tile == "auto" or (whole and tile > 0)):
        raise OptionError(
            f"tile={tile!r} is not understood: expected 'auto', None or a side in pixels."
        )


def open_engine(
    model: str | Path | Model = DEFAULT_MODEL,
    device: str = "auto",
    precision: str = "auto",
    tile: Tile = "auto",
    memory: float | None = None,
) -> Engine:
    """Load a model and make it ready to run; torch is imported here."""
    from .engine import Engine

    return Engine(load_model(model).network, device, precision, tile, memory)


def run(plan: Plan, engine: Engine, progress: Progress | None = None) -> np.ndarray:
    """Carry out a plan: planes to the engine, colour and invalid pixels back behind it.

    Parameters
    ----------
    plan : Plan
        Of numpy arrays.
    engine : Engine
        From `open_engine`.
    progress : callable, optional
        ``progress(done, total)``; raise `Cancelled` in it to stop.

    Returns
    -------
    array
        Of ``plan.shape`` and ``plan.dtype``.
    """
    result = np.empty(plan.shape, plan.dtype)
    sources: deque[tuple[Plane, Plane]] = deque()  # of the planes the engine is at work on

    def pairs() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for index in np.ndindex(plan.a.leading):
            a = plan.a.plane(index, plan.range_a, plan.chroma in ("a", "both"))
            b = a
            if plan.b is not plan.a:
                b = plan.b.plane(index, plan.range_b, plan.chroma in ("b", "both"))
            sources.append((a, b))
            yield a.luma, b.luma

    fused_planes = engine.fuse_planes(pairs(), plan.count, progress)
    for fused, index in zip(fused_planes, np.ndindex(plan.a.leading), strict=True):
        result[index] = from_unit(_finish(plan, fused, *sources.popleft()), plan.dtype)
    return result


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


def _fuse_lazily(plan: Plan, model: str | Path | Model, options: tuple[str, str, Tile]) -> Any:
    """Return the dask array of a plan, one plane a chunk."""
    import dask.array as da

    load_model(model)  # a wrong one is told now, not when the array is computed
    planes_at = len(plan.a.leading)
    *axes, rgb, rgb_a, rgb_b = range(planes_at + 5)  # the stack's, Y, X, and three for colour

    def planes(picture: Picture, rgb_axis: int) -> tuple[Any, list[int]]:
        one_plane = (1,) * planes_at + (-1,) * (picture.image.ndim - planes_at)
        return picture.image.rechunk(one_plane), axes + [rgb_axis] * picture.in_color

    in_color = plan.chroma != "none"
    return da.blockwise(
        _fuse_block,
        axes + [rgb] * in_color,
        *planes(plan.a, rgb_a),
        *planes(plan.b, rgb_b),
        *(plan.range_a, None),
        *(plan.range_b, None),
        new_axes={rgb: 3} if in_color else None,
        concatenate=True,
        meta=np.empty((0,) * len(plan.shape), plan.dtype),
        plan=replace(plan, a=replace(plan.a, image=None), b=replace(plan.b, image=None)),
        model=model,
        options=options,
    )


def _fuse_block(
    a: np.ndarray,
    b: np.ndarray,
    range_a: Range,
    range_b: Range,
    plan: Plan,
    model: str | Path | Model,
    options: tuple[str, str, Tile],
) -> np.ndarray:
    plan = replace(
        plan,
        a=replace(plan.a, image=a),
        b=replace(plan.b, image=b),
        range_a=range_a,
        range_b=range_b,
    )
    with _ONE_AT_A_TIME:  # the engine uses all cores; more of them would only take more memory
        return run(plan, _last_engine(load_model(model), *options))


@lru_cache(maxsize=1)
def _last_engine(model: Model, device: str, precision: str, tile: Tile) -> Engine:
    return open_engine(model, device, precision, tile)
