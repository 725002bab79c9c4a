"""The engine: planes in, fused planes out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Literal

import numpy as np
import torch

from ..network import GIFNet

Progress = Callable[[int, int], None]


class Engine:
    """Runs a network on pairs of planes.

    Parameters
    ----------
    network : GIFNet
        With its weights loaded.
    device : str
        ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"`` or ``"xpu"``.
    precision : {"auto", "float32", "bfloat16", "float16"}
    tile : "auto", None or int
        Side of the tiles in pixels; None runs a plane in one piece.
    """

    def __init__(
        self,
        network: GIFNet,
        device: str = "auto",
        precision: str = "auto",
        tile: int | Literal["auto"] | None = "auto",
    ) -> None:
        self.network = network
        self.device = torch.device("cpu" if device == "auto" else device)
        self.device_reason = "no GPU was found"
        self.precision = "float32"
        self.tile = None
        self.notes: list[str] = []

    def fuse_planes(
        self,
        pairs: Iterable[tuple[np.ndarray, np.ndarray]],
        count: int,
        progress: Progress | None = None,
    ) -> Iterator[np.ndarray]:
        """Yield the fused plane of each pair.

        Parameters
        ----------
        pairs : iterable of (a, b)
            float32 planes (H, W) in [0, 1], finite, H and W ≥ 5.
        count : int
            How many pairs there are.
        progress : callable, optional
            Called with the work done and the whole work, in the engine's own units.
        """
        for done, (a, b) in enumerate(pairs):
            if progress:
                progress(done, count)
            with torch.inference_mode():
                x, y = (torch.from_numpy(p)[None, None].to(self.device) for p in (a, b))
                yield self.network(x, y)[0, 0].cpu().numpy()
        if progress:
            progress(count, count)
