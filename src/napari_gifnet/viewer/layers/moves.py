"""What alignments did in a viewer, so that it can be undone, saved and done to other layers."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_gifnet.alignment.result import RECORD, Alignment, Move, same_affine
from napari_gifnet.errors import AlignmentError, ImageError
from napari_gifnet.grids.placement import check_invertible

from .source import alignment_of

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Layer
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Moved:
    """A layer that an alignment moved; it is not kept alive by that.

    Attributes
    ----------
    layer : weakref.ref
    name : str
    before, after : array, shape (n + 1, n + 1)
        Its affine.
    record : dict or None
        What its metadata held of an alignment before.
    units : tuple of str
        Of the axes that were aligned, the last ones.
    """

    layer: weakref.ref
    name: str
    before: NDArray[np.floating]
    after: NDArray[np.floating]
    record: dict[str, Any] | None
    units: tuple[str, ...]

    @classmethod
    def of(cls, move: Move, alignment: Alignment) -> Moved:
        """Return what a move was."""
        units = tuple(map(str, move.layer.units))[-len(alignment.units) :]
        layer = weakref.ref(move.layer)
        return cls(layer, move.layer.name, move.before, move.after, move.record, units)

    def move_in(self, viewer: Viewer) -> Move | None:
        """Return the move, None if the layer is no longer in a viewer."""
        layer = self.layer()
        if layer is None or layer not in viewer.layers:
            return None
        return Move(layer, self.before, self.after, self.record)


@dataclass(frozen=True, eq=False)
class LayersMoved:
    """Layers that were moved together; what one Undo takes back."""

    moved: tuple[Moved, ...]

    @property
    def name(self) -> str:
        """Of the first one."""
        return self.moved[0].name

    @property
    def purpose(self) -> str:
        """What Undo would do, in a sentence."""
        return f"Put {_listed(each.name for each in self.moved)} back to where it was."

    def layers(self) -> list[Any]:
        """Those that there still are."""
        return [layer for each in self.moved if (layer := each.layer()) is not None]

    def is_gone(self, viewer: Viewer) -> bool:
        """Whether none of the layers is in the viewer any more."""
        return all(each.move_in(viewer) is None for each in self.moved)

    def moved_since(self, viewer: Viewer) -> list[str]:
        """Names of those that somebody else has moved since."""
        moves = [each.move_in(viewer) for each in self.moved]
        return [move.layer.name for move in moves if move is not None and move.moved_since]

    def undo(self, viewer: Viewer) -> str:
        """Put the layers back where they were, and say so."""
        moves = [move for each in self.moved if (move := each.move_in(viewer)) is not None]
        for move in moves:
            move.undo(force=True)
        gone = [each.name for each in self.moved if each.move_in(viewer) is None]
        also = f" {_listed(gone)} was removed." if gone else ""
        return f"{_listed(move.layer.name for move in moves)} is back where it was.{also}"


@dataclass(frozen=True, eq=False)
class StackAdded:
    """A layer of aligned planes that was added in the place of a stack; what one Undo takes back."""

    added: weakref.ref
    old: weakref.ref
    name: str

    @property
    def purpose(self) -> str:
        """What Undo would do, in a sentence."""
        return f"Remove {self.name!r} and show the stack as it was."

    def layers(self) -> list[Any]:
        """Those that there still are."""
        return [layer for each in (self.added, self.old) if (layer := each()) is not None]

    def is_gone(self, viewer: Viewer) -> bool:
        """Whether the layer that was added is not in the viewer any more."""
        added = self.added()
        return added is None or added not in viewer.layers

    def moved_since(self, viewer: Viewer) -> list[str]:
        """Nothing that could be lost."""
        return []

    def undo(self, viewer: Viewer) -> str:
        """Remove the layer, show the stack, and say so."""
        viewer.layers.remove(self.added())
        old = self.old()
        if old is None or old not in viewer.layers:
            return f"{self.name!r} was removed; the stack it was made of is gone."
        old.visible = True
        return f"{self.name!r} was removed; {old.name!r} is shown again."


@dataclass(eq=False)
class History:
    """Alignments in one viewer, the last one at the end."""

    steps: list[LayersMoved | StackAdded] = field(default_factory=list)

    def move(self, alignment: Alignment, layers: Sequence[Layer], force: bool = False) -> None:
        """Move layers; all of them, or none.

        Raises
        ------
        AlignmentError
            The alignment is not trusted, or does not fit the axes of a layer.
        """
        moves: list[Move] = []
        try:
            for layer in layers:
                moves.append(alignment.apply(layer, force=force))
        except AlignmentError as error:
            for move in moves:
                move.undo(force=True)
            raise AlignmentError(f"{layer.name!r} cannot be moved along: {error}") from error
        self.steps.append(LayersMoved(tuple(Moved.of(move, alignment) for move in moves)))

    def add_stack(self, viewer: Viewer, stack: Any, old: Any) -> Any:
        """Add a layer of aligned planes to a viewer in the place of the stack; return it."""
        added = viewer.add_layer(stack)
        old.visible = False
        self.steps.append(StackAdded(weakref.ref(stack), weakref.ref(old), stack.name))
        return added

    def undo(self, viewer: Viewer) -> str:
        """Take back the last alignment, and say what was done.

        Raises
        ------
        AlignmentError
            There is none, or its layers were removed.
        """
        if not self.steps:
            raise AlignmentError(
                "Nothing was aligned: there is nothing to undo; align two layers first."
            )
        step = self.steps.pop()
        if step.is_gone(viewer):
            raise AlignmentError(f"{step.name!r} was removed: there is nothing to undo.")
        return step.undo(viewer)

    def drop_removed(self, viewer: Viewer) -> list[str]:
        """Forget what was done to layers that were removed since; return their names."""
        gone = [step for step in self.steps if step.is_gone(viewer)]
        self.steps = [step for step in self.steps if step not in gone]
        return [step.name for step in gone]

    def transform_of(self, layer: Layer) -> Alignment | None:
        """Return all that alignments did to a layer, one after the other; None where none did.

        Of a layer that was aligned elsewhere, by `Alignment.apply`, its metadata tell.
        """
        mine = [
            moved
            for step in self.steps
            if isinstance(step, LayersMoved)
            for moved in step.moved
            if moved.layer() is layer
        ]
        if not mine:
            return _told_by(layer)
        first = last = mine.pop()
        while mine and same_affine(mine[-1].after, first.before):
            first = mine.pop()
        whole = last.after @ np.linalg.inv(first.before)
        n = len(last.units)
        return Alignment(whole[-n - 1 :, -n - 1 :], last.units, "affine")


_HISTORIES: weakref.WeakKeyDictionary[Any, History] = weakref.WeakKeyDictionary()


def history_of(viewer: Viewer) -> History:
    """Return the alignments of a viewer, whichever dock or command they were made by."""
    bare = getattr(viewer, "__wrapped__", viewer)
    return _HISTORIES.setdefault(bare, History())


def _told_by(layer: Layer) -> Alignment | None:
    """Return what a layer's metadata say of its alignment, which may have been read from a file."""
    if not alignment_of(layer):
        return None
    found = layer.metadata["napari_gifnet"][RECORD]
    try:
        matrix, units = np.array(found["matrix"], np.float64), tuple(map(str, found["units"]))
        if matrix.shape != (len(units) + 1,) * 2:
            return None
        check_invertible(matrix, layer.name)
    except (KeyError, TypeError, ValueError, ImageError):
        return None
    return Alignment(matrix, units, "affine")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names))
