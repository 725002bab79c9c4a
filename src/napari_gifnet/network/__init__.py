"""What GIFNet computes: torch modules that know nothing of files, arrays or viewers."""

from .gifnet import GIFNet

__all__ = ["GIFNet"]
