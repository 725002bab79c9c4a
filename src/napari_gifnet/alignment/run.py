"""The front door of alignment: two images with their grids in, a transform out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_gifnet.grids.units import short_name, unit_factors
from napari_gifnet.grids.world_grid import WorldGrid
from napari_gifnet.progress import Progress, Reporting

from .judge import gain_of, judge, judging_step, movement_of, verdict
from .mutual import import_simpleitk
from .pairs import choose_ndim, open_pair, take_pair
from .picture import Frame, Picture
from .result import Alignment
from .search import search_plane, search_volume
from .transforms import Matrix, check_kind, degrees, moved, rounded, stretches

if TYPE_CHECKING:
    from numpy.typing import NDArray

_CHECKS = {2: 2000, 3: 750}
"""Of which a search makes about so many."""

_STEPS = 1000
"""Of the progress."""


def align(
    fixed: Any,
    moving: Any,
    fixed_grid: WorldGrid | None = None,
    moving_grid: WorldGrid | None = None,
    *,
    transform: str = "rigid",
    rgb: bool | tuple[bool | None, bool | None] | None = None,
    ndim: int | None = None,
    seed: int = 0,
    progress: Progress | bool | None = None,
) -> Alignment:
    """Find where a moving image belongs on a fixed one.

    Parameters
    ----------
    fixed, moving : array (..., Y, X) or, in colour, (..., Y, X, 3 | 4)
        Planes or volumes, of one modality or of two. NaN, masked, transparent and empty (black,
        cut off at the edge) pixels take no part; of colour the luma is looked at.
    fixed_grid, moving_grid : WorldGrid, optional
        Where their voxels lie; in pixels by default. Voxels may be anisotropic, and units differ.
    transform : {"rigid", "shift", "similarity", "affine"}
        What the moving image may do: turn and shift; shift alone; be magnified, too; be stretched and
        sheared, too.
    rgb : bool or pair of bool, optional
        Whether the last axis is colour; None looks.
    ndim : {2, 3}, optional
        Whether planes or volumes are aligned, the middle planes of stacks. By default volumes where
        both images have a dozen planes at least.
    seed : int
        Of the samples that are drawn; the same gives the same transform.
    progress : callable or bool, optional
        ``progress(done, total)``; what it raises stops the search and comes out as it is. True draws
        a bar.

    Returns
    -------
    Alignment
        Whether it is trusted it says itself. Nothing is moved by it yet.

    Raises
    ------
    ImageError
        The images have other shapes than their grids, or none that can be aligned.
    OptionError
        An option is not understood.
    MissingDependencyError
        SimpleITK is not installed.

    See Also
    --------
    napari_gifnet.viewer.align_layers : The same for layers.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> scene = np.kron(rng.random((12, 12)), np.ones((20, 20)))
    >>> found = align(scene[:220, :220], scene[9:229, 4:224], transform="shift")
    >>> found.matrix[:2, 2].round(), found.trusted
    (array([9., 4.]), True)
    """
    check_kind(transform)
    opened = open_pair(fixed, moving, fixed_grid, moving_grid, rgb)
    ndim = choose_ndim(opened[0].grid, opened[1].grid, ndim)
    pictures = take_pair(*opened, ndim)
    with Reporting(progress) as report:
        return find(*pictures, transform, seed, report)


def find(fixed: Picture, moving: Picture, kind: str, seed: int, report: Progress) -> Alignment:
    """Return the transform of one picture onto another, in the moving one's units."""
    done = 0

    def check() -> None:
        nonlocal done
        done += 1
        report(int(_STEPS * (1 - np.exp(-2.5 * done / _CHECKS[fixed.grid.ndim]))), _STEPS)

    report(0, _STEPS)
    import_simpleitk(check)
    frame = Frame.of(fixed.grid, moving.grid)
    fixed, moving = (each.read(frame.in_units_of(each.grid), check) for each in (fixed, moving))
    for picture in (fixed, moving):
        if is_blank(picture):
            name = picture.grid.name
            return _nothing(moving, kind, f"{name!r} is blank: there is nothing to match.")
    check()
    f, m = frame.sample(fixed, 1.0), frame.sample(moving, 1.0)
    search = search_plane if fixed.grid.ndim == 2 else search_volume
    places = search(f, m, kind, seed, check)
    step = judging_step(f)
    coarse = f.coarser(step), m.coarser(step)
    judged = judge(*coarse, places, check)
    start = next(each for each in judged if each.place.how == "start")
    best = judged[0]
    movement = movement_of(f, best.place.pull)
    gain = gain_of(f, m, start, best)
    trusted, stays, reason = verdict(start, best, gain, movement, f.values.ndim)
    chosen = start if stays else best
    report(_STEPS, _STEPS)
    matrix = in_units_of(moving.grid, frame, chosen.place.pull)
    return Alignment(
        matrix=matrix,
        units=moving.grid.units,
        transform=kind,
        before=start.measure,
        after=chosen.measure,
        overlap=chosen.votes.overlap,
        movement=describe(matrix, moving.grid),
        trusted=trusted,
        reason=reason[0].upper() + reason[1:],
        facts={
            "share": best.votes.share,
            "blocks": best.votes.asked,
            "moved": movement,
            "gain": gain.share,
            "correlation": best.votes.correlation,
        },
    )


def is_blank(picture: Picture) -> bool:
    """Return whether a picture, read, has no two values."""
    finite = picture.values[np.isfinite(picture.values)]
    return not finite.size or bool(finite.min() == finite.max())


def _nothing(moving: Picture, kind: str, reason: str) -> Alignment:
    n = moving.grid.ndim
    return Alignment(
        np.eye(n + 1),
        moving.grid.units,
        kind,
        0.0,
        0.0,
        0.0,
        describe(np.eye(n + 1), moving.grid),
        False,
        reason,
    )


def in_units_of(moving: WorldGrid, frame: Frame, pull: Matrix) -> Matrix:
    """Return the matrix of the moving image's world, in its units, of a transform in the frame."""
    to_world = frame.to_world
    matrix = to_world @ np.linalg.inv(pull) @ np.linalg.inv(to_world)
    scale = np.diag([*unit_factors(moving.units, frame.units), 1.0])
    return rounded(np.linalg.inv(scale) @ matrix @ scale, frame.in_units_of(moving))


def describe(matrix: NDArray[np.floating], grid: WorldGrid) -> str:
    """Return how far an image is moved, in words: "4.2 mm, 3.1°, 2 % larger"."""
    middle = grid.to_world((np.array(grid.shape) - 1) / 2)
    shift = float(np.linalg.norm(moved(matrix, middle) - middle))
    unit = short_name(grid.units[-1])
    words = [f"{shift:.{1 if shift < 100 else 0}f} {'px' if unit == 'pixel' else unit}"]
    if (turn := degrees(matrix)) >= 0.05:
        words.append(f"{turn:.1f}°")
    factors = stretches(matrix)
    mean = float(np.prod(factors) ** (1 / len(factors)) - 1)
    if abs(mean) >= 5e-4:
        words.append(f"{abs(mean):.1%} {'larger' if mean > 0 else 'smaller'}")
    return ", ".join(words)
