"""Pairs that were moved by a known amount, and pairs that nothing should be made of.

For `python benchmarks/align`. Each case is two images with their grids, and the transform that takes the
moving image's world back to where it belongs. The pictures are those of `../shared/data`; the phantom
is the sample that ships.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from own_place import own_place
from scipy import ndimage

from napari_gifnet import WorldGrid
from napari_gifnet.files.formats import read
from napari_gifnet.files.samples import load_sample

Pair = tuple[str, np.ndarray, np.ndarray]

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


@dataclass(frozen=True, eq=False)
class Case:
    """A pair to be aligned.

    Attributes
    ----------
    name : str
    fixed, moving : (array, WorldGrid)
    truth : array (n + 1, n + 1), or None
        What should be found; None where nothing should be.
    points : array (k, n)
        Of the moving image's world as it lies when it is right: where the distance is taken.
    transform : str
    unit : str
    """

    name: str
    fixed: tuple[np.ndarray, WorldGrid]
    moving: tuple[np.ndarray, WorldGrid]
    truth: np.ndarray | None
    points: np.ndarray
    transform: str
    unit: str = "px"

    def distance(self, matrix: np.ndarray) -> float:
        """Return how far off a found transform is, on average."""
        assert self.truth is not None
        away = np.linalg.inv(self.truth)
        here = self.points @ away[:-1, :-1].T + away[:-1, -1]
        back = here @ matrix[:-1, :-1].T + matrix[:-1, -1]
        return float(np.linalg.norm(back - self.points, axis=1).mean())


def pairs_of(name: str) -> list[Pair]:
    """Return the pairs of a set: its name, the fixed b, the moving a."""
    folder = DATA / name
    paths = sorted((folder / "a").iterdir())
    if name == "roadscene":
        paths = paths[9::10]
    return [(path.stem, read(folder / "b" / path.name).data, read(path).data) for path in paths]


def training_pairs(step: int = 10, first: int = 0) -> list[Pair]:
    """Return pairs of roadscene that are not among those of the tables."""
    folder = DATA / "roadscene"
    paths = sorted((folder / "a").iterdir())
    chosen = [path for i, path in enumerate(paths) if i % 10 != 9][first::step]
    return [(path.stem, read(folder / "b" / path.name).data, read(path).data) for path in chosen]


def about(centre: np.ndarray, linear: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Return the transform that turns and stretches about a centre, and shifts."""
    matrix = np.eye(len(centre) + 1)
    matrix[:-1, :-1] = linear
    matrix[:-1, -1] = centre - linear @ centre + shift
    return matrix


def random_similarity(
    rng: np.random.Generator, sides: tuple[int, int], strength: float = 1
) -> np.ndarray:
    """Return a random move of a picture: ±6°, ±6 %, ±5 % of its sides."""
    turn = np.deg2rad(rng.uniform(-6, 6)) * strength
    scale = 1 + rng.uniform(-0.06, 0.06) * strength
    shift = rng.uniform(-0.05, 0.05, 2) * sides * strength
    linear = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    return about((np.array(sides) - 1) / 2, linear, shift)


def moved_picture(picture: np.ndarray, away: np.ndarray) -> np.ndarray:
    """Return a picture moved over its own pixels; NaN where nothing came from."""
    back = np.linalg.inv(away)
    values = picture.astype(np.float32)
    planes = values[..., None] if values.ndim == 2 else values
    result = np.stack(
        [
            ndimage.affine_transform(
                c, back[:2, :2], back[:2, 2], order=3, mode="constant", cval=np.nan
            )
            for c in np.moveaxis(planes, -1, 0)
        ],
        axis=-1,
    )
    return np.clip(result, 0, 255).reshape(values.shape)


def from_own_place(cases: Iterator[Case], pairs: list[Pair]) -> Iterator[Case]:
    """Yield cases whose truth is where the pair lies best, and not where it came."""
    for case, (_, fixed, moving) in zip(cases, pairs, strict=True):
        yield replace(case, truth=own_place(fixed, moving, 0).matrix @ case.truth)


def grid_points(sides: tuple[int, int]) -> np.ndarray:
    """Return a 7×7 grid of a picture."""
    at = [np.linspace(0, n - 1, 7) for n in sides]
    return np.stack(np.meshgrid(*at, indexing="ij"), axis=-1).reshape(-1, 2)


def picture_cases(
    pairs: list[Pair],
    seed: int,
    still: bool = False,
    strength: float = 1,
) -> Iterator[Case]:
    """Yield pairs with the moving picture moved at random, or left as it is."""
    rng = np.random.default_rng(seed)
    for name, fixed, moving in pairs:
        sides = moving.shape[:2]
        away = np.eye(3) if still else random_similarity(rng, sides, strength)
        picture = moving if still else moved_picture(moving, away)
        yield Case(
            name,
            (fixed, WorldGrid(fixed.shape[:2], name="fixed")),
            (picture, WorldGrid(sides, name="moving")),
            np.linalg.inv(away),
            grid_points(sides),
            "similarity",
        )


def slight_cases(pairs: list[Pair], seed: int) -> Iterator[Case]:
    """Yield pairs with the moving picture moved by 1 to 8 pixels."""
    for strength in (0.12, 0.25):
        for case in picture_cases(pairs, seed, strength=strength):
            yield replace(case, name=f"{case.name} by {strength:g} of a move")


def random_move(rng: np.random.Generator, affine: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return a random turn of a volume (up to 17°) and shift (up to 35 mm); or one that shears, too."""
    axis = rng.normal(size=3)
    axis /= np.linalg.norm(axis)
    turn = np.deg2rad(rng.uniform(0, 17)) * axis
    cross = np.array([[0, -turn[2], turn[1]], [turn[2], 0, -turn[0]], [-turn[1], turn[0], 0]])
    angle = np.linalg.norm(turn)
    linear = (
        np.eye(3) + np.sin(angle) / angle * cross + (1 - np.cos(angle)) / angle**2 * cross @ cross
    )
    direction = rng.normal(size=3)
    shift = direction / np.linalg.norm(direction) * rng.uniform(0, 35)
    if affine:
        linear = linear @ (np.eye(3) + rng.uniform(-0.05, 0.05, (3, 3)))
    return linear, shift


def phantom_cases(
    count: int, seed: int, affine: bool = False, still: bool = False
) -> Iterator[Case]:
    """Yield the phantom's PET, moved by its grid, and its MRI."""
    pet, mri = load_sample("pet_mri")
    grids = [
        WorldGrid(s.data.shape, scale=s.scale, translate=s.translate, units=s.units, name=s.name)
        for s in (mri, pet)
    ]
    head = np.argwhere(mri.data > 0.15 * mri.data.max())[::997]
    points = grids[0].to_world(head)
    rng = np.random.default_rng(seed)
    for i in range(count):
        linear, shift = random_move(rng, affine)
        away = np.eye(4) if still else about(points.mean(axis=0), linear, shift)
        moving = WorldGrid(
            pet.data.shape,
            scale=pet.scale,
            translate=pet.translate,
            units=pet.units,
            affine=away,
            name="PET",
        )
        yield Case(
            f"move {i}",
            (mri.data, grids[0]),
            (pet.data, moving),
            np.linalg.inv(away),
            points,
            "affine" if affine else "rigid",
            "mm",
        )


def unlike_cases(pairs: list[Pair]) -> Iterator[Case]:
    """Yield pairs of two different scenes, and of a scene and itself upside down."""
    for (name, fixed, _), (other, _, moving) in zip(pairs, pairs[7:] + pairs[:7], strict=True):
        for label, picture in ((other, moving), ("upside down", fixed[::-1, ::-1].copy())):
            grids = [WorldGrid(each.shape[:2]) for each in (fixed, picture)]
            yield Case(
                f"{name} and {label}",
                (fixed, grids[0]),
                (picture, grids[1]),
                None,
                np.zeros((0, 2)),
                "similarity",
            )


def nothing_cases(seed: int) -> Iterator[Case]:
    """Yield pairs that cannot be aligned: noise, blank planes, other things, upside down."""
    rng = np.random.default_rng(seed)

    def case(name: str, fixed: Any, moving: Any, transform: str = "similarity") -> Case:
        ndim = 3 if transform == "rigid3" else 2
        grids = [WorldGrid(each.shape[:ndim]) for each in (fixed, moving)]
        kind = "rigid" if ndim == 3 else transform
        return Case(name, (fixed, grids[0]), (moving, grids[1]), None, np.zeros((0, ndim)), kind)

    sets: dict[str, list] = {
        name: pairs_of(name) for name in ("lytro", "roadscene", "vifb", "harvard_pet")
    }
    noise = [rng.normal(size=(400, 500)).astype(np.float32) for _ in range(2)]
    soft = [
        ndimage.gaussian_filter(rng.normal(size=(400, 500)), 6).astype(np.float32) for _ in range(2)
    ]
    yield case("noise on noise", *noise)
    yield case("soft noise on soft noise", *soft)
    yield case("blank on blank", np.zeros((300, 300)), np.ones((300, 300)))
    first = sets["lytro"][0][1]
    yield case("blank on a picture", first, np.full(first.shape[:2], 7.0))
    yield case("noise on a picture", first, noise[0])
    yield case("soft noise on a picture", first, soft[0])
    for name, pairs in sets.items():
        for i in range(0, len(pairs), 5):
            stem, fixed, _ = pairs[i]
            other = pairs[(i + 5) % len(pairs)]
            if name != "harvard_pet":  # slices of one head are no different things
                yield case(f"{name} {stem} and {other[0]}", fixed, other[2])
            yield case(f"{name} {stem} upside down", fixed, np.ascontiguousarray(fixed[::-1, ::-1]))
            yield case(f"{name} {stem} flipped", fixed, np.ascontiguousarray(fixed[::-1]))
    for n1, n2 in (("lytro", "vifb"), ("harvard_pet", "lytro"), ("vifb", "harvard_pet")):
        for i in range(3):
            yield case(f"{n1} and {n2} {i}", sets[n1][i][1], sets[n2][i + 3][2])
    pet, mri = load_sample("pet_mri")
    volume = mri.data[::2, ::2, ::2]
    yield case("MRI upside down", volume, np.ascontiguousarray(volume[::-1, ::-1]), "rigid3")
    yield case("noise on MRI", volume, rng.normal(size=pet.data.shape).astype(np.float32), "rigid3")
    soft3 = ndimage.gaussian_filter(rng.normal(size=pet.data.shape), 4).astype(np.float32)
    yield case("soft noise on MRI", volume, soft3, "rigid3")
    yield case("blank on MRI", volume, np.zeros(pet.data.shape, np.float32), "rigid3")


SETS: dict[str, Callable[[], Iterator[Case]]] = {
    "phantom": lambda: phantom_cases(40, 1),
    "phantom_affine": lambda: phantom_cases(40, 2, affine=True),
    "lytro": lambda: picture_cases(pairs_of("lytro"), 3),
    "lytro_own": lambda: from_own_place(SETS["lytro"](), pairs_of("lytro")),
    "roadscene": lambda: picture_cases(pairs_of("roadscene"), 4),
    "harvard_pet": lambda: picture_cases(pairs_of("harvard_pet"), 5),
    "vifb": lambda: picture_cases(pairs_of("vifb"), 6),
    "still_phantom": lambda: phantom_cases(1, 1, still=True),
    "still_lytro": lambda: picture_cases(pairs_of("lytro"), 0, still=True),
    "still_roadscene": lambda: picture_cases(pairs_of("roadscene"), 0, still=True),
    "still_harvard_pet": lambda: picture_cases(pairs_of("harvard_pet"), 0, still=True),
    "still_vifb": lambda: picture_cases(pairs_of("vifb"), 0, still=True),
    "nothing": lambda: nothing_cases(7),
    "training": lambda: picture_cases(training_pairs(6), 8),
    "training_more": lambda: picture_cases(training_pairs(6, 3), 9),
    "training_wrong": lambda: unlike_cases(training_pairs()),
    "training_still": lambda: picture_cases(training_pairs(2), 8, still=True),
    "training_small": lambda: slight_cases(training_pairs(10, 1), 11),
    "training_look": lambda: picture_cases(training_pairs(2), 8),
    "training_look_still": lambda: picture_cases(training_pairs(2, 1), 8, still=True),
}
