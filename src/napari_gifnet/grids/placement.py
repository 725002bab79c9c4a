"""The numbers that place a grid in the world, checked; each error names the grid."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_gifnet.errors import ImageError

from .units import is_unit

if TYPE_CHECKING:
    from numpy.typing import NDArray


def check_shape(shape: Sequence[int], name: str) -> tuple[int, ...]:
    """Return a shape as a tuple, if a grid can have it."""
    try:
        lengths = tuple(operator.index(n) for n in shape)
    except TypeError:
        lengths = ()
    if not lengths or min(lengths) < 1:
        raise ImageError(
            f"The grid of {name!r} has shape {shape!r}: expected one whole number, 1 at least, for "
            "each axis."
        )
    return lengths


def as_vector(values: Any, n: int, what: str, name: str) -> NDArray[np.float64]:
    """Return n finite numbers, of n or of one for all."""
    numbers = _finite(values, what, name)
    if numbers.shape not in ((), (n,)):
        raise ImageError(
            f"The grid of {name!r} has {n} axes and {what} of shape {numbers.shape}: expected "
            "one number, or one for each axis."
        )
    return np.full(n, numbers) if numbers.ndim == 0 else numbers


def as_matrix(values: Any, n: int, what: str, name: str) -> NDArray[np.float64]:
    """Return an n × n matrix of finite numbers; None is that which changes nothing."""
    if values is None:
        return np.eye(n)
    numbers = _finite(values, what, name)
    if numbers.shape != (n, n):
        raise ImageError(
            f"The grid of {name!r} has {what} of shape {numbers.shape}: expected a matrix of "
            f"{n}×{n}."
        )
    return numbers


def as_rotation(values: Any, n: int, name: str) -> NDArray[np.float64]:
    """Return a matrix (n, n) of an angle, of yaw, pitch and roll, or of a matrix of fewer axes."""
    full = np.eye(n)
    if values is None:
        return full
    numbers = _finite(values, "rotate", name)
    angles = np.deg2rad(numbers)
    if numbers.ndim == 0:
        part = _turn(float(angles), 0, 1, 2)
    elif numbers.shape == (3,):
        yaw, pitch, roll = angles.tolist()
        part = _turn(yaw, 0, 1, 3) @ _turn(-pitch, 0, 2, 3) @ _turn(roll, 1, 2, 3)
    else:
        part = numbers
    m = len(part)
    if part.shape != (m, m) or m > n:
        raise ImageError(
            f"The grid of {name!r} has {n} axes and rotate of shape {numbers.shape}: expected "
            "degrees in the plane of the last two, three angles of the last three, or a matrix."
        )
    full[n - m :, n - m :] = part
    return full


def as_shear(values: Any, n: int, name: str) -> NDArray[np.float64]:
    """Return a matrix (n, n), of one or of what stands above its diagonal."""
    if values is None or np.ndim(values) != 1:
        return as_matrix(values, n, "shear", name)
    numbers = _finite(values, "shear", name)
    if len(numbers) != n * (n - 1) // 2:
        raise ImageError(
            f"The grid of {name!r} has {n} axes and {len(numbers)} values of shear: expected "
            f"{n * (n - 1) // 2}, those above the diagonal, or a matrix."
        )
    upper = np.eye(n)
    upper[np.triu_indices(n, 1)] = numbers
    return upper


def as_units(values: Any, n: int, name: str) -> tuple[str, ...]:
    """Return n units, of n or of one for all, as text."""
    units = tuple(str(v) for v in ([values] * n if isinstance(values, str) else values))
    if len(units) != n:
        raise ImageError(
            f"The grid of {name!r} has {n} axes and units {units}: expected one for all, or one "
            "for each axis."
        )
    for unit in units:
        if not is_unit(unit):
            raise ImageError(
                f"The grid of {name!r} has the unit {unit!r}, which nobody knows: expected a length "
                "or a time such as 'mm', 'um' or 's', or 'pixel' for none."
            )
    return units


def as_labels(values: Any, n: int, name: str) -> tuple[str, ...]:
    """Return n labels; by default those of napari, which count from the last axis."""
    labels = tuple(str(i - n) for i in range(n)) if values is None else tuple(map(str, values))
    if len(labels) != n:
        raise ImageError(
            f"The grid of {name!r} has {n} axes and axis_labels {labels}: expected one for each."
        )
    return labels


def check_invertible(matrix: NDArray[np.float64], name: str) -> None:
    """Raise ImageError unless a homogeneous matrix gives each voxel a place and an extent."""
    linear = matrix[:-1, :-1]
    steps = np.linalg.norm(linear, axis=0)
    flat = not steps.all() or abs(np.linalg.det(linear / steps)) < 1e-9
    if flat or (matrix[-1] != np.eye(len(matrix))[-1]).any():
        raise ImageError(
            f"The grid of {name!r} has voxels without extent: expected a scale other than 0, and "
            "rotate, shear and affine that can be undone (the affine's last row is 0, …, 0, 1)."
        )


def _finite(values: Any, what: str, name: str) -> NDArray[np.float64]:
    try:
        numbers = np.array(values, float)
    except (TypeError, ValueError):
        numbers = np.array(np.nan)
    if not np.isfinite(numbers).all():
        raise ImageError(f"The grid of {name!r} has {what} {values!r}: expected finite numbers.")
    return numbers


def _turn(angle: float, first: int, second: int, n: int) -> NDArray[np.float64]:
    """Return the rotation by an angle from one axis towards another."""
    matrix = np.eye(n)
    matrix[first, first] = matrix[second, second] = np.cos(angle)
    matrix[first, second], matrix[second, first] = -np.sin(angle), np.sin(angle)
    return matrix
