"""Layers laid on each other: where one belongs on another, and the planes of one stack."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_gifnet.alignment.check import Misalignment, look
from napari_gifnet.alignment.pairs import Opened, choose_ndim, take_pair
from napari_gifnet.alignment.picture import Picture
from napari_gifnet.alignment.result import Alignment
from napari_gifnet.alignment.run import find
from napari_gifnet.alignment.stack import MovedPlane, align_planes
from napari_gifnet.alignment.transforms import check_kind
from napari_gifnet.errors import MissingDependencyError, OptionError
from napari_gifnet.planes.arrays import is_dask
from napari_gifnet.progress import Progress, Reporting

from .current import Current
from .source import Look, check_layer, read_layer

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Image

ENOUGH = {2: 1000, 3: 160}
"""Voxels along the longest side that an alignment can use: of a multiscale layer so fine a level."""


def align_layers(
    fixed: Image,
    moving: Image,
    *,
    transform: str = "rigid",
    ndim: int | None = None,
    viewer: Viewer | None = None,
    seed: int = 0,
    progress: Progress | bool | None = None,
) -> Alignment:
    """Find where a layer belongs on another one; nothing is moved.

    Parameters
    ----------
    fixed, moving : napari.layers.Image
        Gray or in colour, of one level or of several, planes or volumes, where they are in the
        world and in whichever units. A plane can be laid on a plane of a volume.
    transform : {"rigid", "shift", "similarity", "affine"}
        What the moving layer may do; see `napari_gifnet.align`.
    ndim : {2, 3}, optional
        Whether planes or volumes are aligned; by default volumes where both have a dozen planes.
    viewer : napari.Viewer, optional
        Of stacks the plane that it shows is looked at, instead of the middle one.
    seed : int
        Of the samples that are drawn; the same gives the same transform.
    progress : callable or bool, optional
        ``progress(done, total)``; what it raises stops the search and comes out as it is.

    Returns
    -------
    Alignment
        ``alignment.apply(moving)`` moves the layer, if the alignment is trusted, and returns a
        `Move`, by which it is undone.

    Raises
    ------
    ImageError
        A layer is no image layer, or none that can be aligned.
    OptionError
        An option is not understood.
    MissingDependencyError
        SimpleITK is not installed.

    Examples
    --------
    >>> from napari.layers import Image
    >>> scene = np.kron(np.random.default_rng(0).random((12, 12)), np.ones((20, 20)))
    >>> fixed, moving = Image(scene[:220, :220]), Image(scene[9:229, 4:224])
    >>> found = align_layers(fixed, moving, transform="shift")
    >>> move = found.apply(moving)
    >>> moving.affine.translate.round()
    array([9., 4.])
    >>> move.undo()
    >>> moving.affine.translate
    array([0., 0.])
    """
    check_kind(transform)
    pictures = pictures_of(fixed, moving, ndim, viewer)
    with Reporting(progress) as report:
        return find(*pictures, transform, seed, report)


def looks_misaligned(
    fixed: Image,
    moving: Image,
    *,
    ndim: int | None = None,
    viewer: Viewer | None = None,
    progress: Progress | bool | None = None,
) -> Misalignment:
    """Judge quickly, at low resolution, whether a pair of layers looks misaligned.

    Parameters
    ----------
    fixed, moving : napari.layers.Image
        The sentence is of the moving one.
    ndim, viewer, progress : see `align_layers`
        As there.

    Returns
    -------
    Misalignment
        True in a condition where they look misaligned.

    Raises
    ------
    ImageError, OptionError
        As for `align_layers`.

    Examples
    --------
    >>> from napari.layers import Image
    >>> scene = np.kron(np.random.default_rng(0).random((12, 12)), np.ones((20, 20)))
    >>> fixed = Image(scene[:220, :220], name="Infrared")
    >>> looks_misaligned(fixed, Image(scene[:220, 10:230], name="Visible")).sentence
    'Visible seems to lie 10 px to the left.'
    """
    pictures = pictures_of(fixed, moving, ndim, viewer)
    with Reporting(progress) as report:
        return look(*pictures, report)


def align_stack(
    layer: Image,
    *,
    transform: str = "similarity",
    axis: int = 0,
    reference: int | None = None,
    progress: Progress | bool | None = None,
) -> Image:
    """Lay the planes of a stack on each other, in a new layer that is resampled as it is looked at.

    Parameters
    ----------
    layer : napari.layers.Image
        Planes along one axis: (planes, Y, X) or, in colour, (planes, Y, X, 3 | 4).
    transform : {"similarity", "shift", "rigid", "affine"}
        What a plane may do: a lens that is refocused magnifies, a camera that drifts shifts and turns.
    axis : int
        Along which the planes lie.
    reference : int, optional
        The plane that stays; the one in the middle by default.
    progress : callable or bool, optional
        ``progress(done, total)``; what it raises stops the search and comes out as it is.

    Returns
    -------
    napari.layers.Image
        Where the stack is, in its dtype; its metadata hold the matrices, one for each plane, of
        pixels (y, x), and what could not be aligned.

    Raises
    ------
    ImageError
        The layer is no image layer.
    OptionError
        The layer is no stack of planes, or an option is not understood.
    MissingDependencyError
        SimpleITK or dask is not installed.

    Examples
    --------
    >>> from napari.layers import Image
    >>> scene = np.kron(np.random.default_rng(0).random((12, 12)), np.ones((20, 20)))
    >>> drift = Image(np.stack([scene[k : 200 + k, 3 * k : 200 + 3 * k] for k in range(3)]))
    >>> still = align_stack(drift, transform="shift")
    >>> np.array(still.metadata["napari_gifnet"]["alignment"]["matrices"])[2, :2, 2].round()
    array([1., 3.])
    """
    from napari.layers import Image

    try:
        import dask.array as da
        from dask import delayed
    except ImportError:
        raise MissingDependencyError(
            "A stack that is aligned is computed as it is looked at, for which dask is missing: "
            "pip install 'napari-gifnet[dask]'."
        ) from None
    check_layer(layer)
    source = read_layer(layer, 0, Look())
    grid, values = source.grid, source.data
    axis = axis % grid.ndim if -grid.ndim <= axis < grid.ndim else grid.ndim
    if grid.ndim != 3 or axis == 3:
        raise OptionError(
            f"{layer.name!r} of shape {tuple(values.shape)} is no stack of planes along axis {axis}: "
            "expected three axes, planes among them, and colour behind them."
        )
    planes = np.moveaxis(values, axis, 0) if not is_dask(values) else da.moveaxis(values, axis, 0)
    steps = np.linalg.norm(np.delete(grid.matrix[:-1, :-1], axis, axis=1), axis=0)
    with Reporting(progress) as report:
        found = align_planes(
            [planes[k] for k in range(len(planes))],
            source.rgb,
            transform,
            reference=reference,
            steps=steps / steps.min(),
            report=report,
        )
    made = []
    for k, matrix in enumerate(found.matrices):
        view = MovedPlane(planes[k], matrix)
        plane = delayed(_in_dtype)(view.without_data(), _part(view.part(())), planes.dtype)
        made.append(da.from_delayed(plane, view.shape, planes.dtype))
    record = {
        "alignment": {
            "layer": layer.name,
            "transform": transform,
            "axis": axis,
            "reference": found.reference,
            "matrices": [matrix.tolist() for matrix in found.matrices],
            "notes": list(found.notes),
        }
    }
    look_of = {"colormap": layer.colormap, "contrast_limits": layer.contrast_limits}
    return Image(
        da.moveaxis(da.stack(made), 0, axis),
        name=f"{layer.name} aligned",
        rgb=source.rgb,
        metadata={"napari_gifnet": record},
        **grid.layer_kwargs(),
        **({} if source.rgb else look_of),
    )


def _part(part: Any) -> Any:
    """Return a lazy part as one block, computed once."""
    return part.rechunk(part.shape).to_delayed().item() if is_dask(part) else part


def _in_dtype(view: MovedPlane, part: Any, dtype: np.dtype) -> Any:
    values = view.plane((), part)
    if dtype.kind == "f":
        return values.astype(dtype, copy=False)
    return np.rint(np.nan_to_num(values)).astype(dtype)


def pictures_of(
    fixed: Image, moving: Image, ndim: int | None, viewer: Viewer | None
) -> tuple[Picture, Picture]:
    """Return two layers as pictures, each at the level that is fine enough; nothing is read yet.

    `napari_gifnet.alignment.run.find` and `check.look` do the work, in any thread.
    """
    for layer in (fixed, moving):
        check_layer(layer)
    opened = []
    for layer in (fixed, moving):
        source = read_layer(layer, _level(layer, ENOUGH[ndim or min(layer.ndim, 3)]), Look())
        opened.append(Opened(source.data, source.grid, source.rgb, repr(layer.name)))
    ndim = choose_ndim(opened[0].grid, opened[1].grid, ndim)
    current = None if viewer is None else Current.of(viewer)
    point, units = (None, None) if current is None else (current.point, current.units)
    return take_pair(opened[0], opened[1], ndim, point, units)


def _level(layer: Image, enough: int) -> int:
    """Return the coarsest level of a layer that has enough voxels."""
    for level in range(len(layer.level_shapes) - 1, 0, -1):
        shape = layer.level_shapes[level][: layer.ndim]
        if max(int(n) for n in shape[-3:]) >= enough:
            return level
    return 0
