"""World grids: where the voxels of an image lie.

napari's conventions hold throughout. Index (0, …, 0) is the *centre* of the first voxel, which
reaches from −½ to ½. Index → world is ``affine · (rotate · shear · scale · index + translate)``.
Layers of fewer dimensions align with the trailing axes of the others. RGB channels are no axis of
a grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.linalg import block_diag

from napari_gifnet.errors import ImageError, OptionError

from .placement import (
    as_labels,
    as_matrix,
    as_rotation,
    as_shear,
    as_units,
    as_vector,
    check_invertible,
    check_shape,
)
from .units import short_name, unit_factors

if TYPE_CHECKING:
    from napari.layers import Image
    from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, eq=False, repr=False, init=False)
class WorldGrid:
    """A grid of n-D voxels, and its place in the world.

    Parameters
    ----------
    shape : sequence of int
        Voxels along each axis, colour channels left out.
    scale : float or sequence of n floats
        Step from voxel to voxel along each axis, in `units`; negative where an axis is flipped.
    translate : float or sequence of n floats
        World coordinates, in `units`, of the centre of voxel (0, …, 0).
    rotate : float, three floats, or array (m, m), optional
        As in napari: degrees in the plane of the last two axes; or yaw, pitch and roll of the last
        three, in degrees; or a matrix of the last m axes.
    shear : array (n, n) or (n (n − 1) / 2,), optional
        As in napari: a matrix, or what stands above the diagonal of one, row by row.
    affine : array (n + 1, n + 1), optional
        What is done to the world coordinates that come of all of that, homogeneous, in `units`.
    units : str or sequence of n str
        Of the world's axes: "mm", "micrometer", "s", …; "pixel" for none.
    axis_labels : sequence of n str, optional
        By default "-n" to "-1", as in napari.
    name : str
        Of the image, for messages.

    Attributes
    ----------
    shape : tuple of int
    scale, translate : array, shape (n,)
    rotate, shear : array, shape (n, n)
    affine : array, shape (n + 1, n + 1)
    units, axis_labels : tuple of str
    name : str

    Raises
    ------
    ImageError
        A length does not fit, a number is not finite, voxels have no extent, or a unit is unknown.

    See Also
    --------
    common_grid : The grid on which two images are fused.

    Examples
    --------
    >>> pet = WorldGrid((61, 88, 74), scale=2.5, units="mm", name="PET")
    >>> pet
    <WorldGrid 'PET' of 61×88×74 voxels, axis -3: -1.25 to 151.25 mm, \
axis -2: -1.25 to 218.75 mm, axis -1: -1.25 to 183.75 mm>
    >>> pet.to_world((0, 1, 2)).tolist()
    [0.0, 2.5, 5.0]
    """

    shape: tuple[int, ...]
    scale: NDArray[np.float64]
    translate: NDArray[np.float64]
    rotate: NDArray[np.float64]
    shear: NDArray[np.float64]
    affine: NDArray[np.float64]
    units: tuple[str, ...]
    axis_labels: tuple[str, ...]
    name: str

    def __init__(
        self,
        shape: Sequence[int],
        *,
        scale: ArrayLike = 1.0,
        translate: ArrayLike = 0.0,
        rotate: ArrayLike | None = None,
        shear: ArrayLike | None = None,
        affine: ArrayLike | None = None,
        units: str | Sequence[str] = "pixel",
        axis_labels: Sequence[str] | None = None,
        name: str = "image",
    ) -> None:
        shape = check_shape(shape, name)
        n = len(shape)
        values = {
            "shape": shape,
            "scale": as_vector(scale, n, "scale", name),
            "translate": as_vector(translate, n, "translate", name),
            "rotate": as_rotation(rotate, n, name),
            "shear": as_shear(shear, n, name),
            "affine": as_matrix(affine, n + 1, "affine", name),
            "units": as_units(units, n, name),
            "axis_labels": as_labels(axis_labels, n, name),
            "name": name,
        }
        for field, value in values.items():
            object.__setattr__(self, field, value)
        check_invertible(self.matrix, name)

    def __repr__(self) -> str:
        voxels = "×".join(map(str, self.shape))
        return f"<WorldGrid {self.name!r} of {voxels} voxels, {self.extent_text}>"

    @classmethod
    def from_layer(cls, layer: Image, level: int = 0) -> WorldGrid:
        """Read the grid of an image layer, or of one level of a multiscale layer (0 is the finest).

        Each level fills the same part of the world, which is also how napari draws it.
        """
        shapes = [tuple(int(n) for n in shape) for shape in layer.level_shapes]
        if not -len(shapes) <= level < len(shapes):
            raise OptionError(
                f"{layer.name!r} has no level {level}: expected one of 0 to {len(shapes) - 1}."
            )
        finest = cls(
            shapes[0],
            scale=layer.scale,
            translate=layer.translate,
            rotate=layer.rotate,
            shear=layer.shear,
            affine=layer.affine.affine_matrix,
            units=tuple(str(unit) for unit in layer.units),
            axis_labels=layer.axis_labels,
            name=layer.name,
        )
        return finest.with_shape(shapes[level])

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @cached_property
    def matrix(self) -> NDArray[np.float64]:
        """Index → world in homogeneous coordinates, shape (n + 1, n + 1)."""
        physical = np.eye(self.ndim + 1)
        physical[:-1, :-1] = self.rotate @ self.shear @ np.diag(self.scale)
        physical[:-1, -1] = self.translate
        return self.affine @ physical

    @cached_property
    def inverse(self) -> NDArray[np.floating]:
        """World → index in homogeneous coordinates, shape (n + 1, n + 1)."""
        return np.linalg.inv(self.matrix)

    @property
    def extent(self) -> NDArray[np.float64]:
        """Lowest and highest world coordinates of the voxels' edges, shape (2, n)."""
        edges = self.to_world(list(product(*((-0.5, n - 0.5) for n in self.shape))))
        return np.stack([edges.min(axis=0), edges.max(axis=0)])

    @property
    def extent_text(self) -> str:
        """The extent in words, as "axis z: 0 to 12 mm, axis y: -3 to 20 mm"."""
        return ", ".join(
            f"axis {axis}: {low:.6g} to {high:.6g} {short_name(unit)}"
            for axis, low, high, unit in zip(
                self.axis_labels, *self.extent, self.units, strict=True
            )
        )

    def to_world(self, indices: ArrayLike) -> NDArray[np.float64]:
        """Map indices, shape (..., n), to world coordinates."""
        return np.asarray(indices, float) @ self.matrix[:-1, :-1].T + self.matrix[:-1, -1]

    def to_index(
        self, points: ArrayLike, units: Sequence[Any] | None = None
    ) -> NDArray[np.float64]:
        """Map world coordinates, shape (..., m), to fractional indices, shape (..., n).

        Trailing axes are aligned: surplus leading coordinates are left out, missing ones are those
        of the grid's middle. `units` are the points' own, where they are not the grid's.
        """
        given = np.asarray(points, float)
        shared = min(self.ndim, given.shape[-1])
        world = np.empty((*given.shape[:-1], self.ndim))
        world[...] = self.to_world((np.array(self.shape) - 1) / 2)
        world[..., -shared:] = given[..., -shared:]
        if units is not None:
            world[..., -shared:] *= unit_factors(units, self.units)[-shared:]
        return world @ self.inverse[:-1, :-1].T + self.inverse[:-1, -1]

    def ranges(self, region: Sequence[slice | int]) -> list[range]:
        """Return the indices of a part of the voxels along each axis; raise if there are none."""
        ranges = [
            range(n)[part if isinstance(part, slice) else slice(part, part + 1 or None)]
            for part, n in zip(region, self.shape, strict=True)
        ]
        if not all(ranges):
            raise ImageError(
                f"The region {tuple(region)} holds no voxel of {self.name!r}, whose shape is "
                f"{self.shape}: choose a region within it."
            )
        return ranges

    def crop(self, region: Sequence[slice | int]) -> WorldGrid:
        """Return the grid of a part of the voxels; an integer keeps its axis, with length 1.

        A plane cut out of a stack thus stays a stack of one plane, which napari shows where the
        slider stands at that plane and nowhere else, whichever axes are displayed.
        """
        ranges = self.ranges(region)
        return self._lattice(
            np.array([r.start for r in ranges], float),
            np.array([r.step for r in ranges], float),
            tuple(len(r) for r in ranges),
        )

    def with_shape(self, shape: Sequence[int]) -> WorldGrid:
        """Return a grid of other voxels that fill the same part of the world."""
        step = np.divide(self.shape, shape)
        return self._lattice((step - 1) / 2, step, tuple(shape))

    def coarser(self, factor: int, axes: Sequence[int]) -> WorldGrid:
        """Return a grid of voxels `factor` times as long along some axes, from the same corner on."""
        step, shape = np.ones(self.ndim), list(self.shape)
        for axis in axes:
            step[axis] = factor
            shape[axis] = max(self.shape[axis] // factor, 1)
        return self._lattice((step - 1) / 2, step, tuple(shape))

    def without_leading_axis(self) -> WorldGrid:
        """Return the grid of the other axes; ImageError if the first one is turned against them."""
        parts = self.rotate, self.shear, self.affine[:-1, :-1]
        if self.ndim < 2 or not all(
            np.allclose(part, block_diag(part[:1, :1], part[1:, 1:])) for part in parts
        ):
            raise ImageError(
                f"Axis {self.axis_labels[0]} of {self.name!r} is turned or sheared against the others: "
                "expected an axis that stands by itself."
            )
        return WorldGrid(
            name=self.name,
            shape=self.shape[1:],
            scale=self.scale[1:],
            translate=self.translate[1:],
            rotate=self.rotate[1:, 1:],
            shear=self.shear[1:, 1:],
            affine=self.affine[1:, 1:],
            units=self.units[1:],
            axis_labels=self.axis_labels[1:],
        )

    def with_leading_axes_of(self, other: WorldGrid) -> WorldGrid:
        """Return this grid with the leading axes that only `other` has: a plane meets a stack."""
        extra = other.ndim - self.ndim
        if extra <= 0:
            return self
        for part in (other.rotate, other.shear, other.affine[:-1, :-1]):
            if not np.allclose(part, block_diag(part[:extra, :extra], part[extra:, extra:])):
                raise ImageError(
                    f"{other.name!r} ({other.ndim}-D) is turned out of the axes of {self.name!r} "
                    f"({self.ndim}-D): fuse on the grid of {other.name!r} instead."
                )
        affine = np.eye(other.ndim + 1)
        affine[:-1, :-1] = block_diag(other.affine[:extra, :extra], self.affine[:-1, :-1])
        affine[:-1, -1] = np.concatenate([other.affine[:extra, -1], self.affine[:-1, -1]])
        return WorldGrid(
            name=self.name,
            shape=other.shape[:extra] + self.shape,
            scale=np.concatenate([other.scale[:extra], self.scale]),
            translate=np.concatenate([other.translate[:extra], self.translate]),
            rotate=block_diag(other.rotate[:extra, :extra], self.rotate),
            shear=block_diag(other.shear[:extra, :extra], self.shear),
            affine=affine,
            units=other.units[:extra] + self.units,
            axis_labels=other.axis_labels[:extra] + self.axis_labels,
        )

    def layer_kwargs(self) -> dict[str, Any]:
        """Return all that places a napari layer on this grid, as keyword arguments of the layer."""
        return {
            "scale": self.scale.copy(),
            "translate": self.translate.copy(),
            "rotate": self.rotate.copy(),
            "shear": self.shear.copy(),
            "affine": self.affine.copy(),
            "units": self.units,
            "axis_labels": self.axis_labels,
        }

    def _lattice(
        self, start: NDArray[np.float64], step: NDArray[np.float64], shape: tuple[int, ...]
    ) -> WorldGrid:
        """Return the grid whose index i lies at start + step · i of this one."""
        shift = self.rotate @ self.shear @ (self.scale * start)
        return replace(self, shape=shape, scale=self.scale * step, translate=self.translate + shift)
