"""The two images of an alignment as values in one frame, at any resolution.

The frame has its origin in the middle of the fixed image and a working voxel as its unit, so that
whatever searches in it knows nothing of millimetres, of anisotropic voxels or of turned grids::

    moving's index ──grid──> moving's world ──units──> fixed's world ──frame──> working voxels
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from napari_gifnet.errors import ImageError
from napari_gifnet.grids.interpolation import computed
from napari_gifnet.grids.resample import resample
from napari_gifnet.grids.units import unit_factors
from napari_gifnet.grids.world_grid import WorldGrid
from napari_gifnet.planes.color import luma

from .transforms import Matrix, make

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Mask = NDArray[np.bool_]

Check = Callable[[], None]
"""Called often; what it raises ends the work."""

MOST_VOXELS = {2: 640 * 640, 3: 112**3}
"""Of an image at the finest resolution that is looked at."""

_EMPTY_SHARE = 0.003
"""Of an image: a smaller empty corner is left in."""


_READ = 2**22
"""Values that are read at once, between two checks."""


def _nothing() -> None:
    """Check nothing."""


@dataclass(frozen=True, eq=False)
class Picture:
    """An image of n = 2 or 3 axes, as it was given.

    Attributes
    ----------
    values : array, of the grid's shape and, in colour, three or four channels
    grid : WorldGrid
    rgb : bool
    """

    values: Any
    grid: WorldGrid
    rgb: bool

    def read(self, unit: float = 0.0, check: Check = _nothing) -> Picture:
        """Return the image in float32 and without colour, NaN where nothing is known.

        Parameters
        ----------
        unit : float
            In units of the image's world: voxels that are less than half as long are averaged.
        check : callable
            Called for each part that is read; what it raises ends the reading.
        """
        steps = np.linalg.norm(self.grid.matrix[:-1, :-1], axis=0)
        factors = np.maximum(unit / steps, 1).astype(int)
        factors = np.minimum(factors, self.grid.shape)
        first, rest = int(factors[0]), math.prod(self.values.shape[1:])
        strip = max(_READ // max(rest * first, 1), 1) * first
        parts = []
        for start in range(0, self.grid.shape[0] // first * first, strip):
            check()
            stop = min(start + strip, self.grid.shape[0] // first * first)
            parts.append(_averaged(_gray(computed(self.values[start:stop]), self.rgb), factors))
        grid = self.grid
        for axis, factor in enumerate(factors.tolist()):
            grid = grid.coarser(factor, [axis]) if factor > 1 else grid
        return Picture(_known(np.concatenate(parts)), grid, False)


@dataclass(frozen=True, eq=False)
class Sampled:
    """An image on a regular grid of the frame, whose axes are the frame's.

    Attributes
    ----------
    values : array
        float32; where nothing is known, the nearest value that is.
    known : array of bool
    origin : array (n,)
        The centre of the first voxel, in working voxels.
    step : float
        In working voxels.
    """

    values: Floats
    known: Mask
    origin: NDArray[np.floating]
    step: float

    def index(self, points: Matrix) -> Matrix:
        """Return fractional indices of points (..., n) of the frame."""
        return (points - self.origin) / self.step

    def smoothed(self, sigma: float) -> Sampled:
        """Return the image smoothed, by so many of its own voxels."""
        values = ndimage.gaussian_filter(self.values, sigma, mode="nearest")
        return Sampled(values, self.known, self.origin, self.step)

    def coarser(self, step: float) -> Sampled:
        """Return the image in larger voxels, of `step` working voxels."""
        factor = step / self.step
        if factor <= 1.01:
            return self
        n = self.values.ndim
        shape = tuple(max(round(length / factor), 1) for length in self.values.shape)
        middle = self.origin + (np.array(self.values.shape) - 1) / 2 * self.step
        origin = middle - (np.array(shape) - 1) / 2 * step
        sigma = np.sqrt((factor**2 - 1) / (8 * np.log(2)))
        known = self.known.astype(np.float32)
        weight = ndimage.gaussian_filter(known, sigma, mode="nearest")
        smooth = ndimage.gaussian_filter(self.values * known, sigma, mode="nearest")
        smooth /= np.maximum(weight, 1e-3)
        offset = (origin - self.origin) / self.step
        values, there = (
            ndimage.affine_transform(
                each, factor * np.eye(n), offset, shape, order=1, mode="nearest"
            )
            for each in (smooth, weight)
        )
        there = there > 0.5
        return Sampled(_filled(values, there), there, origin, step)


@dataclass(frozen=True, eq=False)
class Frame:
    """What both images are looked at in.

    Attributes
    ----------
    centre : array (n,)
        Of the fixed image, in its world.
    unit : float
        A working voxel, in the world's units.
    units : tuple of str
        Of the world.
    """

    centre: NDArray[np.floating]
    unit: float
    units: tuple[str, ...]

    @classmethod
    def of(cls, fixed: WorldGrid, moving: WorldGrid, most: int | None = None) -> Frame:
        """Choose the frame of two grids; the smaller image gets `most` voxels in it, or fewer."""
        n = fixed.ndim
        factors = unit_factors(moving.units, fixed.units)
        extent = fixed.extent
        steps = [np.linalg.norm(fixed.matrix[:-1, :-1], axis=0)]
        steps.append(np.linalg.norm(factors[:, None] * moving.matrix[:-1, :-1], axis=0))
        finest = max(min(each) for each in steps)
        volume = min(
            abs(np.linalg.det(fixed.matrix[:-1, :-1])) * np.prod(fixed.shape),
            abs(np.linalg.det(factors[:, None] * moving.matrix[:-1, :-1])) * np.prod(moving.shape),
        )
        affordable = (volume / (most or MOST_VOXELS[n])) ** (1 / n)
        return cls(extent.mean(axis=0), float(max(finest, affordable)), fixed.units)

    @property
    def to_world(self) -> Matrix:
        """Working coordinates → the fixed image's world."""
        return make(np.eye(len(self.centre)) * self.unit, self.centre)

    def in_units_of(self, grid: WorldGrid) -> float:
        """Return a working voxel in the units of another grid."""
        return self.unit / float(unit_factors(grid.units, self.units).max())

    def sample(self, picture: Picture, step: float) -> Sampled:
        """Return an image at a resolution: isotropic voxels of `step` working voxels."""
        grid = picture.grid
        factors = unit_factors(grid.units, self.units)
        low, high = (grid.extent * factors - self.centre) / self.unit
        shape = tuple(int(n) for n in np.maximum(np.ceil((high - low) / step - 0.02), 1))
        origin = (low + high) / 2 - (np.array(shape) - 1) / 2 * step
        target = WorldGrid(
            shape,
            scale=step * self.unit,
            translate=self.centre + origin * self.unit,
            units=self.units,
        )
        values = computed(resample(picture.values, grid, target))
        known = np.isfinite(values)
        return Sampled(_filled(values, known), known, origin, step)


def take(
    data: Any, grid: WorldGrid, rgb: bool, ndim: int, place: Sequence[int], what: str
) -> Picture:
    """Return the last `ndim` axes of an image as a picture, at one place along the other axes.

    Parameters
    ----------
    data : array (..., Y, X) or, in colour, (..., Y, X, 3 | 4)
        As `as_array` gives it.
    grid : WorldGrid
        Of all axes.
    rgb : bool
    ndim : int
        2 or 3.
    place : sequence of int
        Along the leading axes.
    what : str
        What errors call the image.
    """
    extra = grid.ndim - ndim
    if tuple(data.shape[: grid.ndim]) != grid.shape or data.ndim != grid.ndim + rgb:
        raise ImageError(
            f"{what} has shape {tuple(data.shape)} and a grid of shape {grid.shape}: expected the "
            "grid's axes, and channels behind them where it is in colour."
        )
    lead = np.array(place, int)
    matrix = grid.matrix
    out_of_plane = np.abs(matrix[:extra, extra:-1]).max(initial=0)
    if out_of_plane > 1e-6 * np.abs(matrix[:-1, :-1]).max():
        raise ImageError(
            f"{what} is turned out of its planes, so that no plane of it is one of the other "
            "image's: expected volumes, or planes that lie in the last two axes."
        )
    own = make(
        matrix[extra:-1, extra:-1],
        matrix[extra:-1, -1] + matrix[extra:-1, :extra] @ lead,
    )
    part = WorldGrid(
        grid.shape[extra:],
        affine=own,
        units=grid.units[extra:],
        axis_labels=grid.axis_labels[extra:],
        name=grid.name,
    )
    return Picture(data[tuple(lead)], part, rgb)


def _gray(values: Any, rgb: bool) -> Floats:
    hidden = np.ma.getmask(values)
    floats = np.array(np.ma.getdata(values), np.float32)
    if hidden is not np.ma.nomask:
        floats[hidden] = np.nan
    if not rgb:
        return floats
    gray = luma(floats[..., :3])
    if floats.shape[-1] == 4:
        gray[floats[..., 3] == 0] = np.nan
    return gray


def _averaged(values: Floats, factors: NDArray[np.integer]) -> Floats:
    """Return the means of blocks of voxels, of those that are known."""
    if (factors == 1).all():
        return values
    counts = [n // int(f) for n, f in zip(values.shape, factors, strict=True)]
    cut = tuple(slice(k * int(f)) for k, f in zip(counts, factors, strict=True))
    shape = [each for k, f in zip(counts, factors, strict=True) for each in (k, int(f))]
    blocks = values[cut].reshape(shape)
    inner = tuple(range(1, len(shape), 2))
    finite = np.isfinite(blocks)
    if finite.all():
        return blocks.mean(axis=inner, dtype=np.float32)
    total = np.where(finite, blocks, 0).sum(axis=inner, dtype=np.float32)
    count = finite.sum(axis=inner)
    few = count < 0.5 * math.prod(factors.tolist())
    return np.where(few, np.float32(np.nan), total / np.maximum(count, 1)).astype(np.float32)


def _known(values: Floats) -> Floats:
    """Return the values with NaN where they are not finite, and in empty margins."""
    finite = np.isfinite(values)
    if not finite.any():
        return values
    if not finite.all():
        values = np.where(finite, values, np.float32(np.nan))
    low = values[finite].min()
    empty = values == low
    edge = np.zeros(values.shape, bool)
    for axis in range(values.ndim):
        for side in (0, -1):
            edge[(slice(None),) * axis + (side,)] = True
    share = empty[edge].mean()
    if share < 0.05 or share > 0.9:  # no margin; or a background, which tells where the object ends
        return values
    label, _ = ndimage.label(empty)
    sizes = np.bincount(label.ravel())
    at_edge = np.unique(label[edge & empty])
    margins = [each for each in at_edge if sizes[each] > _EMPTY_SHARE * values.size]
    return np.where(np.isin(label, margins), np.float32(np.nan), values) if margins else values


def _filled(values: Floats, known: Mask) -> Floats:
    if known.all() or not known.any():
        return np.nan_to_num(values)
    nearest = ndimage.distance_transform_edt(~known, return_distances=False, return_indices=True)
    return values[tuple(nearest)]


def warped(moving: Sampled, pull: Matrix, onto: Sampled, margin: int = 0) -> Sampled:
    """Return an image where a transform takes the voxels of another one, and a margin around them."""
    shape = tuple(n + 2 * margin for n in onto.values.shape)
    origin = onto.origin - margin * onto.step
    linear = pull[:-1, :-1] * (onto.step / moving.step)
    offset = moving.index(pull[:-1, :-1] @ origin + pull[:-1, -1])
    values = ndimage.affine_transform(moving.values, linear, offset, shape, order=1, mode="nearest")
    at_edge = ndimage.affine_transform(
        moving.known.astype(np.float32), linear, offset, shape, order=1, mode="constant"
    )
    return Sampled(values, at_edge > 0.5, origin, onto.step)


def centre_of_mass(sampled: Sampled) -> Matrix:
    """Return where the image's mass lies, above its median."""
    values = sampled.values
    weights = np.where(sampled.known, np.maximum(values - np.median(values[sampled.known]), 0), 0)
    if weights.sum() == 0:
        weights = sampled.known
    return np.array(ndimage.center_of_mass(weights)) * sampled.step + sampled.origin
