"""Transforms in files: ITK's .tfm, and a text of the matrix."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from napari_gifnet.errors import AlignmentError, ImageError, unreadable
from napari_gifnet.grids.placement import as_units, check_invertible

from .mutual import import_simpleitk
from .transforms import Matrix, make

_UNITS = "# units:"


def write_matrix(path: Path, matrix: Matrix, units: Sequence[str]) -> None:
    """Write a matrix; the suffix ``.tfm`` asks for ITK's format.

    ITK counts axes from the last, x, and takes the fixed image's points to the moving one's, so that
    a .tfm holds the inverse with its axes reversed. In either a comment names the units.
    """
    n = len(matrix) - 1
    if path.suffix.lower() == ".tfm":
        pull = np.linalg.inv(matrix)
        linear, shift = pull[:-1, :-1][::-1, ::-1], pull[:-1, -1][::-1]
        numbers = " ".join(repr(float(each)) for each in (*linear.ravel(), *shift))
        text = (
            "#Insight Transform File V1.0\n"
            "#Transform 0\n"
            f"{_UNITS} {' '.join(units)}\n"
            f"Transform: AffineTransform_double_{n}_{n}\n"
            f"Parameters: {numbers}\n"
            f"FixedParameters: {' '.join(['0'] * n)}\n"
        )
    else:
        rows = [" ".join(repr(float(each)) for each in row) for row in matrix]
        text = "\n".join(
            [
                "# moving world -> where it belongs, homogeneous; axes as in napari, the last is x",
                f"{_UNITS} {' '.join(units)}",
                *rows,
                "",
            ]
        )
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise AlignmentError(
            f"{path} cannot be written: {error.strerror or error}; choose another place."
        ) from error


def read_matrix(path: Path) -> tuple[Matrix, tuple[str, ...] | None]:
    """Return the matrix that a file holds, and its units if a comment names them."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise AlignmentError(unreadable(path, reason)) from error
    is_itk = path.suffix.lower() == ".tfm" or text.startswith("#Insight Transform")
    matrix = _of_itk(path) if is_itk else _of_text(path, text)
    named = [line for line in text.splitlines() if line.startswith(_UNITS)]
    try:
        check_invertible(np.asarray(matrix, np.float64), path.name)
        units = (
            as_units(named[0][len(_UNITS) :].split(), len(matrix) - 1, path.name) if named else None
        )
    except ImageError as error:
        raise AlignmentError(f"{path} holds no usable transform: {error}") from error
    return matrix, units


def _of_text(path: Path, text: str) -> Matrix:
    rows = [line.replace(",", " ").split() for line in text.splitlines()]
    rows = [row for row in rows if row and not row[0].startswith("#")]
    try:
        matrix = np.array(rows, float)
    except ValueError:
        matrix = np.zeros((0, 0))
    n = len(matrix)
    if n not in (3, 4) or matrix.shape != (n, n) or not np.isfinite(matrix).all():
        raise AlignmentError(
            f"{path} holds no transform: expected a matrix of 3 rows and columns for planes, of 4 "
            "for volumes, or a .tfm of ITK's."
        )
    return matrix


def _of_itk(path: Path) -> Matrix:
    sitk = import_simpleitk()
    try:
        transform = sitk.ReadTransform(str(path))
    except RuntimeError as error:
        raise AlignmentError(
            f"{path} is no transform that ITK can read: expected a .tfm of a linear one."
        ) from error
    n = transform.GetDimension()
    if not transform.IsLinear():
        raise AlignmentError(f"{path} holds a transform that bends: expected a linear one.")
    zero = np.array(transform.TransformPoint([0.0] * n))
    linear = np.array([transform.TransformPoint(row.tolist()) for row in np.eye(n)]) - zero
    return np.linalg.inv(make(linear.T[::-1, ::-1], zero[::-1]))
