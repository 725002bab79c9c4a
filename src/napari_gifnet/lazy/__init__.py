"""A job as a dask graph, chunked in planes and within them, for one computer or many."""

from .graph import fuse_lazily

__all__ = ["fuse_lazily"]
