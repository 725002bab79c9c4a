"""Where and how a fusion is computed: the one list of devices and precisions."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Literal

from .errors import OptionError

DEVICES = ("auto", "cpu", "cuda", "mps", "xpu")
PRECISIONS = ("auto", "float32", "bfloat16", "float16")

SMALLEST_TILE = 16
"""Pixels: two attention windows."""

_DEVICE = re.compile(r"auto|cpu|mps|(cuda|xpu)(:\d+)?")


@dataclass(frozen=True)
class Backend:
    """The device, the precision and the memory of a run. None of them changes what is computed.

    Parameters
    ----------
    device : str
        ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"`` or ``"xpu"``; ``"auto"`` is a GPU
        where there is one. Whether the device is there is found out when it is used.
    precision : {"auto", "float32", "bfloat16", "float16"}
        ``"auto"`` is what the device computes fast and within about a gray level of float32.
    tile_size : "auto", None or int
        Side of the tiles in pixels, at least 16; None computes a plane in one piece.
    memory : float, optional
        Bytes to spend on keeping maps between the passes rather than computing them again; by
        default 560 MB on a CPU, half of the free memory on a GPU.

    Raises
    ------
    OptionError
        One of them is not understood.

    Examples
    --------
    >>> Backend(device="cpu", tile_size=256).tile_size
    256
    """

    device: str = "auto"
    precision: str = "auto"
    tile_size: int | Literal["auto"] | None = "auto"
    memory: float | None = None

    def __post_init__(self) -> None:
        if not (isinstance(self.device, str) and _DEVICE.fullmatch(self.device)):
            raise OptionError(
                f"device={self.device!r} is unknown: expected 'auto', 'cpu', 'cuda', 'cuda:1', "
                "'mps' or 'xpu'."
            )
        if self.precision not in PRECISIONS:
            raise OptionError(
                f"precision={self.precision!r} is unknown: expected one of {', '.join(PRECISIONS)}."
            )
        size = self.tile_size
        whole = isinstance(size, Integral) and not isinstance(size, bool)
        if not (size is None or size == "auto" or (whole and int(size) >= SMALLEST_TILE)):
            raise OptionError(
                f"tile_size={size!r} is not understood: expected 'auto', None or a side of at "
                f"least {SMALLEST_TILE} pixels."
            )
        memory = self.memory
        number = isinstance(memory, Real) and not isinstance(memory, bool)
        if not (memory is None or (number and memory >= 0 and not math.isnan(memory))):
            raise OptionError(
                f"memory={memory!r} is not understood: expected a number of bytes, at least 0, or "
                "None."
            )
