"""How GIFNet is run: fast, exact, in bounded memory, on whatever device there is."""

from .engine import Engine
from .tiles import Statistics

__all__ = ["Engine", "Statistics"]
