"""Fuse two images, or enhance one, with GIFNet: in napari, from Python and from the shell.

Nothing heavy is imported until a name is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .errors import Cancelled, GIFNetError

if TYPE_CHECKING:
    from .alignment.check import looks_misaligned
    from .alignment.result import Alignment
    from .alignment.run import align
    from .fusion import enhance, fuse, fuse_stack
    from .grids.world_grid import WorldGrid
    from .models import list_models, load_model

__all__ = [
    "Alignment",
    "Cancelled",
    "GIFNetError",
    "WorldGrid",
    "align",
    "enhance",
    "fuse",
    "fuse_stack",
    "list_models",
    "load_model",
    "looks_misaligned",
]

_HOME = {
    "align": "alignment.run",
    "Alignment": "alignment.result",
    "looks_misaligned": "alignment.check",
    "fuse": "fusion",
    "enhance": "fusion",
    "fuse_stack": "fusion",
    "load_model": "models",
    "list_models": "models",
    "WorldGrid": "grids.world_grid",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("napari-gifnet")
    if name in _HOME:
        return getattr(import_module(f".{_HOME[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
