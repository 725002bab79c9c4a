"""Pictures and volumes of two modalities, and where they lie."""

import numpy as np
from scipy import ndimage

from napari_gifnet import WorldGrid


def picture(side=180, seed=0):
    """A scene of sharp shapes: values in [0, 1]."""
    rng = np.random.default_rng(seed)
    scene = np.zeros((side, side))
    for _ in range(side * side // 500):
        y, x = rng.integers(0, side, 2)
        h, w = rng.integers(8, 40, 2)
        scene[y : y + h, x : x + w] = rng.random()
    return ndimage.gaussian_filter(scene, 0.7).astype(np.float32)


def other_modality(values, seed=1):
    """The same scene as another camera sees it: dark is bright, and not in proportion; noise."""
    rng = np.random.default_rng(seed)
    seen = (1 - values) ** 2 + 0.3 * np.abs(values - 0.4)
    return (seen + rng.normal(0, 0.03, values.shape)).astype(np.float32)


def moved_by(away, values, fill=np.nan):
    """A picture moved over its own pixels."""
    back = np.linalg.inv(away)
    n = values.ndim
    return ndimage.affine_transform(
        values, back[:n, :n], back[:n, n], order=1, mode="constant", cval=fill
    )


def similarity(side, degrees, scale, shift):
    turn = np.deg2rad(degrees)
    linear = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    away, middle = np.eye(3), np.full(2, (side - 1) / 2)
    away[:2, :2], away[:2, 2] = linear, middle - linear @ middle + shift
    return away


def distance(matrix, away, low, high):
    """How far, on average, points of a box end from where they were."""
    n = len(matrix) - 1
    at = [np.linspace(a, b, 5) for a, b in zip(low, high, strict=True)]
    points = np.stack(np.meshgrid(*at, indexing="ij"), axis=-1).reshape(-1, n)
    whole = matrix @ away
    back = points @ whole[:n, :n].T + whole[:n, n]
    return np.linalg.norm(back - points, axis=1).mean()


def volume(seed=0, shape=(40, 60, 50)):
    """Blobs in a body, in voxels."""
    rng = np.random.default_rng(seed)
    z, y, x = np.indices(shape)
    middle, half = (np.array(shape) - 1) / 2, np.array(shape) * 0.38
    body = sum(((a - m) / h) ** 2 for a, m, h in zip((z, y, x), middle, half, strict=True)) < 1
    values = 0.3 * body
    for _ in range(25):
        at = middle + rng.uniform(-0.7, 0.7, 3) * half
        size = rng.uniform(2, 7, 3)
        inside = sum(((a - m) / h) ** 2 for a, m, h in zip((z, y, x), at, size, strict=True)) < 1
        values = np.where(inside & body, rng.random(), values)
    return ndimage.gaussian_filter(values, 0.7).astype(np.float32)


def pixels(values, name="image"):
    return WorldGrid(values.shape, name=name)
