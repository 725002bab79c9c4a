"""How GIFNet is run: fast, exact, in bounded memory, on whatever device there is."""

from .engine import Engine

__all__ = ["Engine"]
