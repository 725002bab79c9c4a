"""The planes of one stack laid on each other: drift, and the breathing of a lens that is refocused.

Each plane is aligned to its neighbour, which is blurred nearly alike; the steps add up to where it
lies on the plane in the middle, and there it is resampled when it is asked for.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from napari_gifnet.grids.pairs import index_map, within
from napari_gifnet.grids.resample import Resampled
from napari_gifnet.grids.world_grid import WorldGrid
from napari_gifnet.planes.image import ImagePlanes
from napari_gifnet.planes.request import Request
from napari_gifnet.progress import Progress, share_of

from .judge import is_better_neighbour, judge, judging_step
from .mutual import import_simpleitk
from .picture import Frame, Picture
from .search import search_neighbour
from .transforms import Matrix, check_kind, rounded

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_PIXELS = 1200 * 1200
"""Of a plane as its finest resolution is looked at."""

_CHECKS = 600
"""Of which the search for one plane makes about so many."""


@dataclass(frozen=True, eq=False)
class StackAlignment:
    """Where the planes of a stack belong.

    Attributes
    ----------
    matrices : list of array, shape (3, 3)
        One for each plane: takes its pixels' indices (y, x) to those of the reference.
    reference : int
        The plane that stays.
    notes : tuple of str
        Sentences on planes that could not be aligned to their neighbours.
    """

    matrices: list[Matrix]
    reference: int
    notes: tuple[str, ...] = ()

    def farthest(self, sides: tuple[int, int]) -> float:
        """Return how many pixels the farthest corner of all planes is moved by."""
        corners = np.array([(y, x) for y in (0, sides[0] - 1) for x in (0, sides[1] - 1)], float)
        there = [corners @ each[:2, :2].T + each[:2, 2] for each in self.matrices]
        return float(max(np.linalg.norm(each - corners, axis=1).max() for each in there))


def align_planes(
    planes: Sequence[Any],
    rgb: bool,
    transform: str,
    *,
    reference: int | None = None,
    steps: Sequence[float] = (1.0, 1.0),
    seed: int = 0,
    report: Progress,
) -> StackAlignment:
    """Lay planes on each other, each on its neighbour.

    Parameters
    ----------
    planes : sequence of array (Y, X) or (Y, X, 3 | 4)
        In the order in which they were taken.
    rgb : bool
    transform : {"shift", "rigid", "similarity", "affine"}
    reference : int, optional
        The plane that stays; the one in the middle by default.
    steps : (float, float)
        From pixel to pixel, along rows and columns, in one unit.
    seed : int
    report : callable
        ``report(done, total)``.

    Raises
    ------
    OptionError
        The transform is unknown.
    MissingDependencyError
        SimpleITK is not installed.
    """
    check_kind(transform)
    import_simpleitk(lambda: report(0, 1))
    count = len(planes)
    reference = count // 2 if reference is None else range(count)[reference]
    grid = WorldGrid(tuple(planes[0].shape[:2]), scale=steps)
    frame = Frame.of(grid, grid, MOST_PIXELS)
    to_index = np.linalg.inv(grid.matrix) @ frame.to_world
    notes: list[str] = []
    pulls: list[Matrix] = []
    last = frame.sample(Picture(planes[0], grid, rgb).read(frame.unit), 1.0)
    for k in range(count - 1):
        part = share_of(report, k / (count - 1), 1 / (count - 1))
        done = 0

        def check(part: Progress = part) -> None:
            nonlocal done
            done += 1
            part(min(done, _CHECKS), _CHECKS)

        following = frame.sample(Picture(planes[k + 1], grid, rgb).read(frame.unit, check), 1.0)
        places = search_neighbour(last, following, transform, seed, check)
        step = judging_step(last)
        judged = judge(last.coarser(step), following.coarser(step), places, check)
        best = max(judged, key=lambda each: (each.place.how != "start", each.measure))
        start = next(each for each in judged if each.place.how == "start")
        better = is_better_neighbour(start, best)
        pulls.append(best.place.pull if better else np.eye(3))
        if not better and not is_better_neighbour(start, start):
            notes.append(f"planes {k} and {k + 1} match nowhere and were left as they lie")
        last = following
    onto = {reference: np.eye(3)}
    for k in range(reference, count - 1):
        onto[k + 1] = pulls[k] @ onto[k]
    for k in range(reference, 0, -1):
        onto[k - 1] = np.linalg.inv(pulls[k - 1]) @ onto[k]
    back = np.linalg.inv(to_index)
    matrices = [rounded(to_index @ np.linalg.inv(onto[k]) @ back, 1.0) for k in range(count)]
    return StackAlignment(matrices, reference, tuple(notes))


class MovedPlane:
    """A plane resampled where it belongs when it is asked for; its edge is drawn out beyond it.

    Parameters
    ----------
    values : array (Y, X) or (Y, X, channels)
        NumPy's or dask's.
    matrix : array (3, 3)
        Takes its pixels' indices to those where they belong.
    """

    def __init__(self, values: Any, matrix: NDArray[np.floating]) -> None:
        sides = tuple(values.shape[:2])
        self._target, self._source = WorldGrid(sides), WorldGrid(sides, affine=matrix)
        self._view = Resampled(values, self._source, self._target, order=3)
        self._low, self._high = _limits(values.dtype)
        self.shape, self.ndim, self.dtype = tuple(values.shape), values.ndim, np.dtype(np.float32)

    @property
    def data(self) -> Any:
        """The values as they were given."""
        return self._view.data

    def box(self, index: tuple[int, ...]) -> Any:
        """Return where `part` lies in the values."""
        return self._view.box(index)

    def part(self, index: tuple[int, ...]) -> Any:
        """Return the values that the plane is made of, lazy if they are."""
        return self._view.part(index)

    def plane(self, index: tuple[int, ...] = (), part: Any = None) -> NDArray[np.float32]:
        """Return the plane (Y, X) or (Y, X, channels), in float32."""
        values = self._view.plane(index, part)
        np.clip(values, self._low, self._high, out=values)  # a cubic spline overshoots
        matrix, offset = index_map(self._target, self._source)
        at = np.moveaxis(np.indices(self.shape[:2]), 0, -1) @ matrix.T + offset
        outside = ~within(at, self.shape[:2]).all(axis=-1)
        outside &= np.isnan(values if values.ndim == 2 else values[..., 0])
        if outside.any() and not outside.all():
            nearest = ndimage.distance_transform_edt(
                outside, return_distances=False, return_indices=True
            )
            values = values[tuple(nearest)]
        return values

    def without_data(self) -> MovedPlane:
        """Return a view whose `plane` works with a part only."""
        bare = object.__new__(MovedPlane)
        bare.__dict__.update(self.__dict__, _view=self._view.without_data())
        return bare


class MovedPlanes:
    """One plane of a stack at each place along its other axes, resampled where it belongs there.

    Parameters
    ----------
    values : array (..., Y, X) or (..., Y, X, channels)
        NumPy's or dask's.
    matrices : dict
        Of each place, as `MovedPlane` takes them.
    """

    def __init__(self, values: Any, matrices: dict[tuple[int, ...], Matrix]) -> None:
        self.data = values
        self.shape, self.ndim, self.dtype = tuple(values.shape), values.ndim, np.dtype(np.float32)
        self._planes = {
            place: MovedPlane(values[place], matrix) for place, matrix in matrices.items()
        }

    def box(self, index: tuple[int, ...]) -> Any:
        """Return where `part` lies in the values."""
        inner = self._planes[index].box(())
        return None if inner is None else (*index, *inner)

    def part(self, index: tuple[int, ...]) -> Any:
        """Return the values that a plane is made of, lazy if they are."""
        return self._planes[index].part(())

    def plane(self, index: tuple[int, ...] = (), part: Any = None) -> NDArray[np.float32]:
        """Return one plane (Y, X) or (Y, X, channels), in float32."""
        return self._planes[index].plane((), part)

    def without_data(self) -> MovedPlanes:
        """Return a view whose `plane` works with a part only."""
        bare = object.__new__(MovedPlanes)
        planes = {place: each.without_data() for place, each in self._planes.items()}
        bare.__dict__.update(self.__dict__, data=None, _planes=planes)
        return bare


def _limits(dtype: np.dtype) -> tuple[float, float]:
    if dtype.kind == "b":
        return 0.0, 1.0
    if dtype.kind in "iu":
        return float(np.iinfo(dtype).min), float(np.iinfo(dtype).max)
    return -np.inf, np.inf


def align_request(
    request: Request, transform: str, report: Progress, reference: int | None = None
) -> tuple[Request, dict[tuple[int, ...], StackAlignment]]:
    """Return the request of a stack with its planes laid on each other.

    Parameters
    ----------
    request : Request
        From `request_of_stack`.
    transform : {"shift", "rigid", "similarity", "affine"}
    report : callable
    reference : int, optional

    Returns
    -------
    (Request, dict)
        Where the planes belong at each place along the further axes: a camera that is refocused
        again and again does not come back to where it was.

    Warns
    -----
    RuntimeWarning
        Planes match nowhere, and were left as they lie.
    """
    inputs = request.inputs
    leading = inputs[0].own_leading
    places = list(np.ndindex(leading))
    found, notes = {}, []
    for i, place in enumerate(places):
        found[place] = align_planes(
            [each.values[place] for each in inputs],
            inputs[0].rgb,
            transform,
            reference=reference,
            report=share_of(report, i / len(places), 1 / len(places)),
        )
        at = f"at {', '.join(map(str, place))}, " if leading else ""
        notes += [at + note for note in found[place].notes]
    moved: list[ImagePlanes] = []
    for k, image in enumerate(inputs):
        matrices = {place: each.matrices[k] for place, each in found.items()}
        view = MovedPlanes(image.values, matrices) if leading else None
        moved.append(replace(image, values=view or MovedPlane(image.values, matrices[()])))
    if notes:
        warnings.warn("; ".join(notes), RuntimeWarning, stacklevel=3)
    return replace(request, inputs=tuple(moved)), found
