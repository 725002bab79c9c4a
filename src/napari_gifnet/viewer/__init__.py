"""GIFNet in napari: layers in, a layer out. Nothing heavy is imported until a name is used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .layers.run import enhance_layer, fuse_layers

__all__ = ["enhance_layer", "fuse_layers"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module(".layers.run", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
