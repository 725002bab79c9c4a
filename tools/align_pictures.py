"""Make the pictures of docs/align.md: two samples as a checkerboard, moved apart and aligned.

python tools/align_pictures.py
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from napari_gifnet import WorldGrid, align
from napari_gifnet.files.samples import load_sample
from napari_gifnet.grids.resample import resample
from napari_gifnet.planes.color import luma

SQUARES = 8
GAP = 8


def moved(matrix_of: np.ndarray, degrees: float, shift: tuple[float, ...]) -> np.ndarray:
    """Return the transform that turns in the plane about the middle of a world, and shifts."""
    n, turn = len(matrix_of), np.deg2rad(degrees)
    linear = np.eye(n)
    linear[-2:, -2:] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    matrix = np.eye(n + 1)
    matrix[:-1, :-1], matrix[:-1, -1] = linear, matrix_of - linear @ matrix_of + shift
    return matrix


def checkerboard(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return squares of one plane between those of the other, each stretched from 0 to 255."""
    planes = []
    for plane in (a, b):
        low, high = np.nanpercentile(plane, (1, 99.5))
        planes.append(np.nan_to_num((plane - low) / (high - low)).clip(0, 1) * 255)
    side = max(a.shape) / SQUARES
    row, column = np.indices(a.shape) // side
    return np.where((row + column) % 2 == 0, *planes).astype(np.uint8)


def pictures_of(key: str, degrees: float, shift: tuple[float, ...], transform: str) -> Image.Image:
    """Return a sample before and after it is aligned, side by side."""
    moving, fixed = load_sample(key)
    values, grids = [], []
    for image in (fixed, moving):
        data = image.data.astype(np.float32)
        values.append(luma(data) if image.rgb else data)
        place = {"scale": image.scale, "translate": image.translate, "units": image.units}
        grids.append(WorldGrid(values[-1].shape, name=image.name, **place))
    target, source = grids
    middle = target.extent.mean(axis=0)
    away = WorldGrid(
        source.shape,
        scale=source.scale,
        translate=source.translate,
        units=source.units,
        name=source.name,
        affine=moved(middle, degrees, shift),
    )
    found = align(*values, target, away, transform=transform)
    print(f"{key}: {found.movement}; {found.reason}")
    boards = []
    for grid in (away, found.place(away)):
        there = resample(values[1], grid, target)
        planes = (values[0], there)
        if target.ndim == 3:
            planes = tuple(each[target.shape[0] // 2] for each in planes)
        boards.append(checkerboard(*planes))
    gap = np.full((boards[0].shape[0], GAP), 255, np.uint8)
    return Image.fromarray(np.hstack([boards[0], gap, boards[1]]))


def main() -> None:
    """Write the pictures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--output", type=Path, default=Path("docs/align"))
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    for key, degrees, shift, transform in (
        ("pet_mri", 9.0, (6.0, -14.0, 10.0), "rigid"),
        ("infrared_visible", 4.0, (14.0, -22.0), "rigid"),
    ):
        path = options.output / f"{key}.png"
        picture = pictures_of(key, degrees, shift, transform)
        picture.save(path)
        print(path, picture.size)


if __name__ == "__main__":
    main()
