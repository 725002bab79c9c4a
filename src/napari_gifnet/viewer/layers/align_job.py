"""An alignment that was asked for, from its plan to what becomes of the layers."""

from __future__ import annotations

import weakref
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_gifnet.alignment.picture import Picture
from napari_gifnet.alignment.result import Alignment
from napari_gifnet.alignment.run import describe, find
from napari_gifnet.errors import AlignmentError
from napari_gifnet.grids.pairs import same_grid
from napari_gifnet.grids.world_grid import WorldGrid
from napari_gifnet.progress import Progress

from .align import align_stack, pictures_of
from .moves import History

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Image, Layer


@dataclass(frozen=True, eq=False)
class Outcome:
    """What became of an alignment.

    Attributes
    ----------
    sentence : str
        For a user.
    layers : tuple of weakref.ref
        What it is about.
    moved : bool
        Whether a layer was moved or added.
    offer : (AlignJob, Alignment), optional
        What could still be done although it is not trusted.
    """

    sentence: str
    layers: tuple[weakref.ref, ...] = ()
    moved: bool = False
    offer: tuple[AlignJob, Alignment] | None = None


@dataclass(frozen=True, eq=False)
class AlignJob:
    """A pair of layers as it was when its alignment was asked for.

    Attributes
    ----------
    fixed, moving : weakref.ref
        The layers.
    names : (fixed, moving)
    grids : (fixed, moving)
        Where they lay.
    pictures : (fixed, moving)
        What is looked at.
    transform : {"shift", "rigid", "similarity", "affine"}
    """

    fixed: weakref.ref
    moving: weakref.ref
    names: tuple[str, str]
    grids: tuple[WorldGrid, WorldGrid]
    pictures: tuple[Picture, Picture]
    transform: str

    @classmethod
    def of(
        cls, fixed: Image, moving: Image, transform: str = "rigid", viewer: Viewer | None = None
    ) -> AlignJob:
        """Take from two layers what an alignment needs; quick, whatever their size.

        Raises
        ------
        GIFNetError
            They cannot be aligned; the message says why.
        """
        if fixed is moving:
            raise AlignmentError(f"Both images are {fixed.name!r}: choose two layers to align.")
        return cls(
            weakref.ref(fixed),
            weakref.ref(moving),
            (fixed.name, moving.name),
            (WorldGrid.from_layer(fixed), WorldGrid.from_layer(moving)),
            pictures_of(fixed, moving, None, viewer),
            transform,
        )

    @property
    def name(self) -> str:
        """What is done, in a few words."""
        return f"{self.names[1]} onto {self.names[0]}"

    def run(self, progress: Progress) -> Alignment:
        """Find the transform; no layer is touched."""
        return find(*self.pictures, self.transform, 0, progress)

    def finish(self, viewer: Viewer, history: History, found: Alignment) -> Outcome:
        """Move the layer if that can be trusted, and say what was done."""
        stale = self._why_stale(viewer)
        if stale:
            return Outcome(stale)
        name = repr(self.names[1])
        about = (self.fixed, self.moving)
        stays = np.allclose(found.matrix, np.eye(len(found.matrix)), atol=1e-12)
        if stays and found.trusted:
            return Outcome(f"{name} was not moved: {_lowered(found.reason)}", about)
        if stays or not found.trusted:
            sentence = f"{name} was not moved, as that cannot be trusted: {_lowered(found.reason)}"
            if stays:
                return Outcome(sentence, about)
            would = f"{sentence} It would move by {found.movement}."
            return Outcome(would, about, offer=(self, found))
        history.move(found, [self.moving()])
        return Outcome(f"{name} moved {found.movement}: {_lowered(found.reason)}", about, True)

    def move_anyway(self, viewer: Viewer, history: History, found: Alignment) -> Outcome:
        """Move the layer although that cannot be trusted."""
        stale = self._why_stale(viewer)
        if stale:
            return Outcome(stale)
        history.move(found, [self.moving()], force=True)
        sentence = f"{self.names[1]!r} moved {found.movement}, as you wished."
        return Outcome(sentence, (self.fixed, self.moving), True)

    def _why_stale(self, viewer: Viewer) -> str | None:
        """Return why what was found holds no more."""
        for reference, grid, name in zip(
            (self.fixed, self.moving), self.grids, self.names, strict=True
        ):
            layer = reference()
            if layer is None or layer not in viewer.layers:
                return f"{name!r} was removed meanwhile: nothing was moved."
            if not same_grid(WorldGrid.from_layer(layer), grid):
                return f"{name!r} was moved meanwhile: nothing was moved; align again."
        return None


@dataclass(frozen=True, eq=False)
class StackAlignJob:
    """The planes of a stack, to be laid on each other.

    Attributes
    ----------
    layer : weakref.ref
    stack : napari.layers.Image
        The same, kept until the run has ended.
    axis : int
    transform : {"shift", "rigid", "similarity", "affine"}
    """

    layer: weakref.ref
    stack: Any
    axis: int
    transform: str

    @classmethod
    def of(cls, layer: Image, axis: int, transform: str = "similarity") -> StackAlignJob:
        """Take from a layer what an alignment of its planes needs."""
        return cls(weakref.ref(layer), layer, axis, transform)

    @property
    def name(self) -> str:
        """What is done, in a few words."""
        return f"planes of {self.stack.name}"

    def run(self, progress: Progress) -> Image:
        """Return the aligned stack, a lazy layer."""
        return align_stack(self.stack, transform=self.transform, axis=self.axis, progress=progress)

    def finish(self, viewer: Viewer, history: History, found: Image) -> Outcome:
        """Add the aligned stack and hide the one it was made of."""
        old = self.layer()
        if old is None or old not in viewer.layers:
            return Outcome(f"{self.stack.name!r} was removed meanwhile: nothing was added.")
        history.add_stack(viewer, found, old)
        record = found.metadata["napari_gifnet"]["alignment"]
        shifts = [np.hypot(*np.array(matrix)[:2, 2]) for matrix in record["matrices"]]
        sentence = (
            f"Added {found.name!r}: its planes moved by up to {max(shifts):.1f} px at their corner; "
            f"{old.name!r} is hidden."
        )
        notes = "".join(f" {note[0].upper()}{note[1:]}." for note in record["notes"])
        return Outcome(sentence + notes, (weakref.ref(found),), True)


def load_onto(path: Any, layer: Layer, history: History) -> Outcome:
    """Move a layer by a transform from a file.

    Raises
    ------
    AlignmentError
        The file holds none, or it does not fit the layer.
    MissingDependencyError
        A .tfm is read by SimpleITK, which is not installed.
    """
    found = Alignment.load(path, tuple(map(str, layer.units)))
    matrix = found.matrix_for(layer.ndim, layer.units)
    found = replace(found, movement=describe(matrix, WorldGrid.from_layer(layer)))
    history.move(found, [layer])
    name = getattr(path, "name", path)
    return Outcome(f"{layer.name!r} moved {found.movement} by {name}.", (weakref.ref(layer),), True)


def _lowered(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]
