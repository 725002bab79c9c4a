"""How GIFNet is run: fast, exact, in bounded memory, on whatever device there is."""

from .gifnet_engine import Engine
from .passes import Statistics

__all__ = ["Engine", "Statistics"]
