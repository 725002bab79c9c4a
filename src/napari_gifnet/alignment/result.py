"""What an alignment found, and a layer moved by it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.linalg import block_diag

from napari_gifnet.errors import AlignmentError
from napari_gifnet.grids.units import unit_factors
from napari_gifnet.grids.world_grid import WorldGrid

from .transform_files import read_matrix, write_matrix

if TYPE_CHECKING:
    from napari.layers import Layer
    from numpy.typing import NDArray

RECORD = "alignment"
"""In ``layer.metadata["napari_gifnet"]``: how a layer was moved."""

SAME = 1e-9
"""Matrices whose entries differ by less, relatively, are one."""


@dataclass(frozen=True, eq=False)
class Alignment:
    """Where a moving image belongs, and whether that can be trusted.

    Attributes
    ----------
    matrix : array, shape (n + 1, n + 1)
        Homogeneous: takes the moving image's present world coordinates to where they belong, in its
        own units. Its new affine is ``matrix @ affine``.
    units : tuple of n str
        Of the moving image's world.
    transform : {"shift", "rigid", "similarity", "affine"}
    before, after : float
        How well the images match where they lie and where they belong: 1 is the same image, 0 is
        chance. NaN where nobody measured.
    overlap : float
        The share of the smaller image that lies on the other, afterwards.
    movement : str
        How far the image moves, in words: "4.2 mm, 3.1°".
    trusted : bool
        Whether the images match so well, and so much better than before or than elsewhere, that the
        transform is right.
    reason : str
        Why it is trusted or not, in a sentence.
    """

    matrix: NDArray[np.floating]
    units: tuple[str, ...]
    transform: str
    before: float = float("nan")
    after: float = float("nan")
    overlap: float = float("nan")
    movement: str = ""
    trusted: bool = True
    reason: str = ""
    facts: dict[str, float] = field(default_factory=dict, repr=False)

    def matrix_for(self, ndim: int, units: Sequence[Any]) -> NDArray[np.floating]:
        """Return the matrix for an image of so many axes, in its units; trailing axes are aligned.

        Parameters
        ----------
        ndim : int
            Leading axes that the alignment knows nothing of stay as they are; those that the image
            lacks must not have to do with the others.
        units : sequence of units
            Of the image's world.

        Returns
        -------
        array, shape (ndim + 1, ndim + 1)

        Raises
        ------
        AlignmentError
            It moves a plane out of itself.
        """
        n = len(self.units)
        matrix = np.eye(max(n, ndim) + 1)
        matrix[:-1, :-1] = block_diag(np.eye(max(ndim - n, 0)), self.matrix[:-1, :-1])
        matrix[-1 - n : -1, -1] = self.matrix[:-1, -1]
        extra = max(n - ndim, 0)
        mixed = matrix[extra:-1, :extra], matrix[:extra, extra:-1]
        if any(np.abs(each).max(initial=0) > 1e-6 for each in mixed):
            raise AlignmentError(
                f"The transform turns {n} axes, and the image has {ndim}: expected an image of {n} "
                "axes at least."
            )
        matrix = matrix[extra:, extra:]
        factors = np.ones(ndim)
        shared = min(n, ndim)
        own = self.units[n - shared :], tuple(map(str, units))[ndim - shared :]
        factors[ndim - shared :] = unit_factors(*own)
        scale = np.diag([*factors, 1.0])
        return scale @ matrix @ np.linalg.inv(scale)

    def place(self, grid: WorldGrid) -> WorldGrid:
        """Return a grid moved by the alignment.

        Parameters
        ----------
        grid : WorldGrid
            Of the moving image, or of another one that is to follow it.

        Returns
        -------
        WorldGrid
        """
        return replace(grid, affine=self.matrix_for(grid.ndim, grid.units) @ grid.affine)

    def apply(self, layer: Layer, *, force: bool = False) -> Move:
        """Move a napari layer: its affine becomes ``matrix @ affine``, its values stay as they are.

        Parameters
        ----------
        layer : napari.layers.Layer
            The moving one, or any other that is to follow it.
        force : bool
            Whether to move it although the alignment is not trusted.

        Returns
        -------
        Move
            By which it is undone.

        Raises
        ------
        AlignmentError
            The alignment is not trusted, or does not fit the layer's axes.
        """
        if not self.trusted and not force:
            raise AlignmentError(
                f"{self.reason.rstrip('.')}: nothing was moved; force=True moves it all the same."
            )
        before = layer.affine.affine_matrix.copy()
        after = self.matrix_for(layer.ndim, layer.units) @ before
        layer.affine = after
        own = dict(layer.metadata.get("napari_gifnet", {}))
        record = own.get(RECORD)
        layer.metadata["napari_gifnet"] = own | {RECORD: self.record(after)}
        return Move(layer, before, layer.affine.affine_matrix.copy(), record)

    def record(self, affine: NDArray[np.floating]) -> dict[str, Any]:
        """Return what a layer's metadata keep of it: numbers, texts and lists.

        Parameters
        ----------
        affine : array
            The layer's, afterwards.
        """
        return {
            "transform": self.transform,
            "matrix": self.matrix.tolist(),
            "units": list(self.units),
            "movement": self.movement,
            "trusted": self.trusted,
            "reason": self.reason,
            "affine": affine.tolist(),
        }

    def save(self, path: str | Path) -> None:
        """Write the matrix to a file.

        Parameters
        ----------
        path : str or Path
            ``.tfm`` for a transform of ITK's, which takes the fixed image's points (x, y, z) to the
            moving one's; any other name for a text of the matrix as it is here.

        Raises
        ------
        AlignmentError
            The file cannot be written.
        """
        write_matrix(Path(path), self.matrix, self.units)

    @classmethod
    def load(cls, path: str | Path, units: Sequence[Any] | None = None) -> Alignment:
        """Read a matrix from a file; it is trusted, since somebody chose it.

        Parameters
        ----------
        path : str or Path
            ``.tfm``, or a text of n + 1 rows and columns.
        units : sequence of units, optional
            Of the matrix, where the file has none: pixels by default.

        Returns
        -------
        Alignment

        Raises
        ------
        AlignmentError
            The file holds no transform that can be undone.
        """
        matrix, own = read_matrix(Path(path))
        n = len(matrix) - 1
        named = own or tuple(map(str, units or ("pixel",) * n))[-n:]
        return cls(matrix, named, "affine", reason=f"It was read from {Path(path).name}.")


@dataclass(frozen=True, eq=False)
class Move:
    """A layer that was moved.

    Attributes
    ----------
    layer : napari.layers.Layer
    before, after : array, shape (n + 1, n + 1)
        Its affine.
    record : dict or None
        What its metadata held of an alignment before.
    """

    layer: Any
    before: NDArray[np.floating]
    after: NDArray[np.floating]
    record: dict[str, Any] | None = None

    @property
    def moved_since(self) -> bool:
        """Whether somebody else has moved the layer since."""
        now = self.layer.affine.affine_matrix
        return now.shape != self.after.shape or not same_affine(now, self.after)

    def undo(self, *, force: bool = False) -> None:
        """Put the layer back where it was.

        Parameters
        ----------
        force : bool
            Whether to do so although it was moved since.

        Raises
        ------
        AlignmentError
            It was moved since.
        """
        if self.moved_since and not force:
            raise AlignmentError(
                f"{self.layer.name!r} was moved since it was aligned: nothing was undone; "
                "force=True puts it back to where it was before."
            )
        self.layer.affine = self.before
        own = dict(self.layer.metadata.get("napari_gifnet", {}))
        own.pop(RECORD, None)
        if self.record is not None:
            own[RECORD] = self.record
        self.layer.metadata["napari_gifnet"] = own
        if not own:
            del self.layer.metadata["napari_gifnet"]


def same_affine(a: NDArray[np.floating], b: NDArray[np.floating]) -> bool:
    """Return whether two affines are one, but for rounding."""
    size = max(float(np.abs(a).max()), float(np.abs(b).max()), 1.0)
    return a.shape == b.shape and bool(np.abs(a - b).max() <= SAME * size)
