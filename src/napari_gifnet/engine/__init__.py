"""How GIFNet is run: fast, exact, in bounded memory, on whatever device there is."""

from .gifnet_engine import GIFNetEngine
from .moments import Statistics

__all__ = ["GIFNetEngine", "Statistics"]
