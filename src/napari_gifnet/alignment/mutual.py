"""Mutual information: how much one image tells of the other, and where it tells most.

Mattes' measure, by SimpleITK, which is imported inside.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_gifnet.errors import MissingDependencyError

from .picture import Check, Sampled, warped
from .transforms import Matrix, make, nearest

if TYPE_CHECKING:
    from numpy.typing import NDArray

BINS = 32

_PIECE_BYTES = 2**22


def import_simpleitk(check: Check | None = None) -> Any:
    """Return SimpleITK; raise MissingDependencyError where it is not installed.

    Parameters
    ----------
    check : callable, optional
        Called while the library is read from disk for the first time; what it raises ends that.
    """
    if check is not None and "SimpleITK" not in sys.modules:
        _read_ahead("SimpleITK", check)
    try:
        import SimpleITK
    except ImportError as error:
        raise MissingDependencyError(
            "Alignment needs the package SimpleITK, which is not installed: "
            "pip install 'napari-gifnet[align]'."
        ) from error
    return SimpleITK


def _read_ahead(package: str, check: Check) -> None:
    """Read a package's libraries, so that they are in memory once they are loaded.

    Loading stops all other threads of Python, the GUI's too, and from a slow disk it takes seconds.
    """
    spec = find_spec(package)
    for folder in (spec and spec.submodule_search_locations) or ():
        for path in sorted(Path(folder).glob(f"_{package}*")):
            for _ in _pieces(path):
                check()


def _pieces(path: Path) -> Iterator[int]:
    """Read a file piece by piece, and forget it; one that cannot be read has none."""
    buffer = bytearray(_PIECE_BYTES)
    with suppress(OSError), path.open("rb", buffering=0) as file:
        while count := file.readinto(buffer):
            yield count


def refine(
    fixed: Sampled,
    moving: Sampled,
    start: Matrix,
    kind: str,
    check: Check,
    *,
    samples: int | None,
    first: float,
    last: float,
    iterations: int,
    seed: int,
    bins: int = BINS,
) -> Matrix:
    """Return the transform near another one by which the fixed image tells most of the moving one.

    Parameters
    ----------
    fixed, moving : Sampled
    start : array (n + 1, n + 1)
        Takes the fixed image's points to the moving one's.
    kind : {"shift", "rigid", "similarity", "affine"}
    check : callable
        Called in each iteration; what it raises ends the search.
    samples : int or None
        Of the fixed image that are looked at; all of them if None.
    first, last : float
        Steps, in working voxels.
    iterations : int
    seed : int
    bins : int
        Of either image's values.
    """
    sitk = import_simpleitk(check)
    n = fixed.values.ndim
    transform = _transform(sitk, kind, start, n)
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(bins)
    if samples is None:
        method.SetMetricSamplingStrategy(method.NONE)
    else:
        method.SetMetricSamplingStrategy(method.RANDOM)
        share = min(1.0, samples / float(fixed.known.sum()))
        method.SetMetricSamplingPercentage(share, seed + 1)  # 0 is the wall clock
    if not fixed.known.all():
        method.SetMetricFixedMask(_image(sitk, fixed, fixed.known.astype(np.uint8)))
    if not moving.known.all():
        method.SetMetricMovingMask(_image(sitk, moving, moving.known.astype(np.uint8)))
    method.SetNumberOfThreads(1)  # several add up in any order, and the result would not repeat
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(
        learningRate=first,
        minStep=last,
        numberOfIterations=iterations,
        relaxationFactor=0.6,
        gradientMagnitudeTolerance=1e-6,
    )
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetInitialTransform(transform, inPlace=True)
    raised: list[BaseException] = []

    def look() -> None:
        try:
            check()
        except BaseException as error:
            raised.append(error)
            method.StopRegistration()

    method.AddCommand(sitk.sitkIterationEvent, look)
    try:
        method.Execute(_image(sitk, fixed, fixed.values), _image(sitk, moving, moving.values))
    except RuntimeError:
        if not raised:
            return start  # nothing of one image lies on the other, or nothing varies
    if raised:
        raise raised[0]
    return _matrix(transform, n)


def _image(sitk: Any, sampled: Sampled, values: NDArray[Any]) -> Any:
    """Return an image whose axes are those of the frame, in the frame's order."""
    image = sitk.GetImageFromArray(np.ascontiguousarray(values.T))
    image.SetOrigin(sampled.origin.tolist())
    image.SetSpacing([sampled.step] * values.ndim)
    return image


def _transform(sitk: Any, kind: str, start: Matrix, n: int) -> Any:
    start = nearest(kind, start, np.zeros(n))
    linear, shift = start[:-1, :-1], start[:-1, -1]
    if kind == "shift":
        return sitk.TranslationTransform(n, shift.tolist())
    if kind == "affine":
        transform = sitk.AffineTransform(n)
    elif kind == "rigid":
        transform = sitk.Euler2DTransform() if n == 2 else sitk.VersorRigid3DTransform()
    else:
        transform = sitk.Similarity2DTransform() if n == 2 else sitk.Similarity3DTransform()
    tolerance = () if kind == "affine" else (1e-6,)
    transform.SetMatrix(linear.ravel().tolist(), *tolerance)
    transform.SetTranslation(shift.tolist())
    return transform


def _matrix(transform: Any, n: int) -> Matrix:
    zero = np.array(transform.TransformPoint([0.0] * n))
    linear = [np.array(transform.TransformPoint(row.tolist())) - zero for row in np.eye(n)]
    return make(np.array(linear).T, zero)


def measure(fixed: Sampled, moving: Sampled, pull: Matrix, bins: int = BINS) -> tuple[float, float]:
    """Return how much one image tells of the other, 0 to 1, and the share of voxels that both have.

    The mutual information over the mean of both entropies, what chance gives of it taken away.
    """
    view = warped(moving, pull, fixed)
    both = fixed.known & view.known
    count = int(both.sum())
    overlap = count / max(
        min(
            int(fixed.known.sum()),
            int(moving.known.sum() * (moving.step / fixed.step) ** fixed.values.ndim),
        ),
        1,
    )
    if count < bins:
        return 0.0, overlap
    a, b = (_binned(each[both], bins) for each in (fixed.values, view.values))
    joint = np.bincount(a * bins + b, minlength=bins * bins).reshape(bins, bins) / count
    rows, columns = joint.sum(axis=1), joint.sum(axis=0)
    known = _entropy(rows) + _entropy(columns) - _entropy(joint)
    chance = (np.count_nonzero(rows) - 1) * (np.count_nonzero(columns) - 1) / (2 * count)
    size = (_entropy(rows) + _entropy(columns)) / 2
    return float((known - chance) / size) if size > 0 else 0.0, overlap


def _binned(values: NDArray[np.float32], bins: int) -> NDArray[np.intp]:
    low, high = np.percentile(values, (0.5, 99.5))
    if high <= low:
        low, high = values.min(), max(values.max(), values.min() + 1e-6)
    return ((values - low) * (bins / (high - low))).astype(np.intp).clip(0, bins - 1)


def _entropy(shares: NDArray[np.floating]) -> float:
    shares = shares[shares > 0]
    return float(-(shares * np.log(shares)).sum())
