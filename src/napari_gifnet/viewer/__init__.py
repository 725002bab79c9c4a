"""GIFNet in napari: layers in, a layer out. Nothing heavy is imported until a name is used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .layers.align import align_layers, align_stack, looks_misaligned
    from .layers.fitting import fit_extent
    from .layers.run import enhance_layer, fuse_layers
    from .layers.run_stack import fuse_stack_layers
    from .layers.writer import save_layer

__all__ = [
    "align_layers",
    "align_stack",
    "enhance_layer",
    "fit_extent",
    "fuse_layers",
    "fuse_stack_layers",
    "looks_misaligned",
    "save_layer",
]

_PLACES = {
    "align_layers": ".layers.align",
    "align_stack": ".layers.align",
    "enhance_layer": ".layers.run",
    "fit_extent": ".layers.fitting",
    "fuse_layers": ".layers.run",
    "fuse_stack_layers": ".layers.run_stack",
    "looks_misaligned": ".layers.align",
    "save_layer": ".layers.writer",
}


def __getattr__(name: str) -> Any:
    if name in _PLACES:
        return getattr(import_module(_PLACES[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
