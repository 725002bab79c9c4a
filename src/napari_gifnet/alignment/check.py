"""Whether a pair looks misaligned: a quick look at low resolution, before anything is fused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_gifnet.errors import MissingDependencyError
from napari_gifnet.grids.units import short_name
from napari_gifnet.grids.world_grid import WorldGrid
from napari_gifnet.progress import Progress, Reporting

from . import mutual, oriented
from .judge import LEAST_BLOCKS, better_by, judge, movement_of
from .pairs import choose_ndim, open_pair, take_pair
from .picture import Check, Frame, Picture, Sampled
from .run import in_units_of, is_blank
from .search import Place
from .transforms import Matrix, degrees, moved, stretches

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIDE = {2: 224, 3: 48}
"""Voxels along the longest side of the fixed image as it is looked at."""

LEAST_MOVE = {2: 4.0, 3: 0.8}
"""Working voxels: less is not worth a word."""

LEAST_SHARE = {2: 0.15, 3: 0.33}
"""Of the blocks: less than an alignment needs to be trusted, since a warning moves nothing. Set on training
pictures: of 99 pairs that were moved 92 are warned of, of 99 others at rest none."""

LEAST_GAIN = 0.04
"""By which the images must match better elsewhere."""


@dataclass(frozen=True, eq=False)
class Misalignment:
    """What a quick look at a pair tells.

    Attributes
    ----------
    found : bool
        Whether the pair looks misaligned. False as well where nothing can be told.
    sentence : str
        "Visible seems to lie 6 px to the left.", or nothing.
    matrix : array, shape (n + 1, n + 1)
        Where the moving image seems to belong, roughly; as that of an `Alignment`.
    """

    found: bool
    sentence: str
    matrix: NDArray[np.floating]

    def __bool__(self) -> bool:
        return self.found


def looks_misaligned(
    fixed: Any,
    moving: Any,
    fixed_grid: WorldGrid | None = None,
    moving_grid: WorldGrid | None = None,
    *,
    rgb: bool | tuple[bool | None, bool | None] | None = None,
    ndim: int | None = None,
    progress: Progress | bool | None = None,
) -> Misalignment:
    """Judge quickly, at low resolution, whether a pair looks misaligned, and which way.

    Parameters
    ----------
    fixed, moving, fixed_grid, moving_grid, rgb, ndim, progress : see `align`
        As for `align`. The name of the moving image's grid is used in the sentence.

    Returns
    -------
    Misalignment
        True in a condition where the pair looks misaligned.

    Raises
    ------
    ImageError, OptionError
        As for `align`.

    Examples
    --------
    >>> scene = np.kron(np.random.default_rng(0).random((12, 12)), np.ones((20, 20)))
    >>> look = looks_misaligned(scene[:220, :220], scene[:220, 10:230])
    >>> look.found, look.sentence
    (True, 'moving seems to lie 10 px to the left.')
    """
    opened = open_pair(fixed, moving, fixed_grid, moving_grid, rgb)
    ndim = choose_ndim(opened[0].grid, opened[1].grid, ndim)
    pictures = take_pair(*opened, ndim)
    with Reporting(progress) as report:
        return look(*pictures, report)


def look(fixed: Picture, moving: Picture, report: Progress) -> Misalignment:
    """Return whether two pictures look misaligned."""
    done, n = 0, fixed.grid.ndim

    def check() -> None:
        nonlocal done
        done += 1
        report(min(done, 800), 800)

    nothing = Misalignment(False, "", np.eye(n + 1))
    frame = Frame.of(fixed.grid, moving.grid)
    longest = max((fixed.grid.extent[1] - fixed.grid.extent[0]) / frame.unit)
    step = max(longest / SIDE[n], 1.0)
    fixed, moving = (
        each.read(step * frame.in_units_of(each.grid), check) for each in (fixed, moving)
    )
    if is_blank(fixed) or is_blank(moving):
        return nothing
    f, m = frame.sample(fixed, step), frame.sample(moving, step)
    try:
        pull = _plane(f, m, check) if n == 2 else _volume(f, m, check)
    except MissingDependencyError:
        return nothing
    judged = judge(f, m, [Place(np.eye(n + 1), "start"), Place(pull, "look")], check)
    best, start = judged[0], next(each for each in judged if each.place.how == "start")
    votes = best.votes
    if (
        best is start
        or votes.asked < LEAST_BLOCKS[n]
        or votes.share < LEAST_SHARE[n]
        or votes.share < 1.2 * start.votes.share
        or better_by(start.measure, best.measure).share < LEAST_GAIN
        or movement_of(f, pull) < LEAST_MOVE[n]
    ):
        return nothing
    matrix = in_units_of(moving.grid, frame, pull)
    return Misalignment(True, which_way(matrix, moving.grid), matrix)


def _plane(f: Sampled, m: Sampled, check: Check) -> Matrix:
    half = 2 * f.step
    turns, scales = np.array([-4.0, 0.0, 4.0]), np.array([0.96, 1.0, 1.04])
    wide = oriented.wide_search(f.coarser(half), m.coarser(half), turns, scales, 1, check)
    begin = [np.eye(3), *(each.pull for each in wide)]
    near = [oriented.refine(f, m, pull, "similarity", check, iterations=2) for pull in begin]
    return max(near, key=lambda each: each.score).pull


def _volume(f: Sampled, m: Sampled, check: Check) -> Matrix:
    pull: Matrix = np.eye(4)
    for factor in (1.8, 1.0):
        pull = mutual.refine(
            f.coarser(factor * f.step),
            m.coarser(factor * f.step),
            pull,
            "rigid",
            check,
            samples=12_000,
            first=factor * f.step,
            last=0.05 * f.step,
            iterations=50,
            seed=0,
        )
    return pull


def which_way(matrix: Matrix, grid: WorldGrid) -> str:
    """Return in a sentence where an image lies that a transform would put right.

    Parameters
    ----------
    matrix : array (n + 1, n + 1)
        Of its world, in its units.
    grid : WorldGrid
        Of the moving image.

    Returns
    -------
    str
        A sentence, with the name of the grid.

    Examples
    --------
    >>> which_way(np.array([[1, 0, 0], [0, 1, 6.0], [0, 0, 1]]), WorldGrid((50, 50), name="Visible"))
    'Visible seems to lie 6 px to the left.'
    """
    middle = grid.to_world((np.array(grid.shape) - 1) / 2)
    shift = moved(matrix, middle) - middle
    unit = short_name(grid.units[-1])
    unit = "px" if unit == "pixel" else unit
    words = []
    size = float(np.linalg.norm(shift))
    if len(shift) == 2:
        for by, (less, more) in zip(
            shift, (("too high", "too low"), ("left", "right")), strict=True
        ):
            if abs(by) >= max(0.35 * size, 1e-9):
                side = less if by > 0 else more
                words.append(
                    f"{_amount(abs(by))} {unit} {'to the ' if less == 'left' else ''}{side}"
                )
    elif size > 0:
        words.append(f"{_amount(size)} {unit} off")
    seems = [f"to lie {' and '.join(reversed(words))}"] if words else []
    if (turn := degrees(matrix)) >= 1:
        seems.append(f"to be turned by {turn:.0f}°")
    factors = stretches(matrix)
    larger = float(np.prod(factors) ** (-1 / len(factors)) - 1)
    if abs(larger) >= 0.02:
        seems.append(f"to be {abs(larger):.0%} too {'large' if larger > 0 else 'small'}")
    return f"{grid.name} seems {', and '.join(seems) or 'to lie elsewhere'}."


def _amount(number: float) -> str:
    return f"{number:.0f}" if number >= 5 else f"{number:.2g}"
