"""Layers of dask's graphs: plain dictionaries of tasks, whatever the number of chunks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

Key = Any
Layer = dict[Any, Any]

BRANCHES = 16
"""Parts that one task of a tree puts together."""


def graph_of(name: str, layer: Layer, needs: Sequence[Any]) -> Any:
    """Return a graph of a layer and of those collections that it needs."""
    from dask.highlevelgraph import HighLevelGraph

    return HighLevelGraph.from_collections(name, layer, dependencies=list(needs))


def stage_of(name: str, layer: Layer, needs: Sequence[Any], end: Key | None = None) -> Any:
    """Return a graph as something that others can depend on; `end` is the task that ends it."""
    from dask.delayed import Delayed

    return Delayed(name if end is None else end, graph_of(name, layer, needs), layer=name)


def tree(layer: Layer, name: str, leaves: list[Key], merge: Callable, *options: Any) -> Key:
    """Add tasks that put leaves together, a few at a time; return the key of the last one."""
    level = 0
    while level == 0 or len(leaves) > 1:
        level += 1
        starts = range(0, len(leaves), BRANCHES)
        keys = [(f"{name}-level{level}", number) for number in range(len(starts))]
        for key, start in zip(keys, starts, strict=True):
            layer[key] = (merge, leaves[start : start + BRANCHES], *options)
        leaves = keys
    return leaves[0]
