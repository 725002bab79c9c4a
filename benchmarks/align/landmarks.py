"""Points marked by hand in both pictures of a pair that does not lie on itself as it was published.

For `python benchmarks/align marked`. Only corners of things far from the camera and points of the
ground were marked, at five times their size, to about a pixel; infrared first, (y, x) each.
"""

from __future__ import annotations

import numpy as np
from skimage.transform import SimilarityTransform

MARKED: dict[tuple[str, str], list[tuple[tuple[float, float], tuple[float, float]]]] = {
    ("vifb", "kettle"): [
        ((98, 45), (94, 49)),  # end of the ledge below the window
        ((113.1, 234.8), (110.2, 235.6)),  # lower corners of the machines on the wall
        ((114.8, 326.7), (114.4, 330.0)),
        ((118.9, 425.2), (121.4, 429.1)),
        ((122.6, 525.6), (126.8, 527.9)),
        ((266.5, 113), (257.5, 110)),  # where the pillar's left edge meets the wall's lower one
        ((345, 222), (337, 220)),  # the man's shoes
        ((346, 243), (338, 244)),
        ((333, 341), (326, 338)),  # the tip of the bush
    ],
}


def marked_points(name: str, pair: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the points (k, 2) of the moving and of the fixed picture."""
    both = np.array(MARKED[name, pair])
    return both[:, 0], both[:, 1]


def distance(matrix: np.ndarray, moving: np.ndarray, fixed: np.ndarray) -> float:
    """Return how far points lie apart, on average, once a transform moved the first."""
    gone = moving @ matrix[:-1, :-1].T + matrix[:-1, -1]
    return float(np.linalg.norm(gone - fixed, axis=1).mean())


def nearest_similarity(moving: np.ndarray, fixed: np.ndarray) -> np.ndarray:
    """Return the similarity that brings points nearest to others, by least squares."""
    return np.asarray(SimilarityTransform.from_estimate(moving, fixed).params)
