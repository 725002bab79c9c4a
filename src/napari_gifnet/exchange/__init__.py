"""Models for other programs: ONNX, and packages for bioimage.io."""

from .export import export_model

__all__ = ["export_model"]
