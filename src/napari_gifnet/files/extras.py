"""Packages that an extra installs: what is missing is said in one sentence."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from napari_gifnet.errors import MissingDependencyError

__all__ = ["import_extra"]


def import_extra(package: str, extra: str, what: str) -> Any:
    """Import an optional package.

    Parameters
    ----------
    package : str
        Its name, for ``import``.
    extra : str
        The extra of this package that installs it.
    what : str
        What it is needed for, in the plural: "NIfTI files".

    Raises
    ------
    MissingDependencyError
        It is not installed; the message says how to.
    """
    try:
        return import_module(package)
    except ImportError as error:
        raise MissingDependencyError(
            f"{what} need the package {package}, which is not installed: "
            f"pip install 'napari-gifnet[{extra}]'."
        ) from error
