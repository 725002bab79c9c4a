"""Luma and chroma: the network fuses luma, the chroma of the inputs is put back afterwards.

Luma and chroma are those of ITU-R BT.601 as JPEG uses them, computed on floats: with R, G, B in
[0, 1], Y lies in [0, 1], Cb and Cr in [−0.5, 0.5], centred on 0. The published program works in
whole gray levels of 8 bits; its luma plane is ours, truncated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from napari_gifnet.errors import OptionError

ColorPolicy = Literal["auto", "a", "b", "gray"]

_R, _G, _B = 0.299, 0.587, 0.114
_LUMA = np.array([_R, _G, _B], np.float32)
_CHROMA = np.array(
    [
        [-_R / (2 - 2 * _B), -_G / (2 - 2 * _B), 0.5],  # Cb = (B − Y) / 1.772
        [0.5, -_G / (2 - 2 * _R), -_B / (2 - 2 * _R)],  # Cr = (R − Y) / 1.402
    ],
    np.float32,
).T
_CHROMA_TO_RGB = np.array(
    [
        [0, -_B * (2 - 2 * _B) / _G, 2 - 2 * _B],
        [2 - 2 * _R, -_R * (2 - 2 * _R) / _G, 0],
    ],
    np.float32,
)


def luma(rgb: np.ndarray) -> np.ndarray:
    """Return Y of an RGB picture: (..., 3) float32 in [0, 1] → (...)."""
    return rgb @ _LUMA


def chroma(rgb: np.ndarray) -> np.ndarray:
    """Return Cb and Cr of an RGB picture: (..., 3) float32 in [0, 1] → (..., 2) in [−0.5, 0.5]."""
    return rgb @ _CHROMA


def to_rgb(luma: np.ndarray, chroma: np.ndarray) -> np.ndarray:
    """Return the RGB picture of a luma plane (...) and its chroma (..., 2), clipped to [0, 1]."""
    rgb = chroma @ _CHROMA_TO_RGB
    rgb += luma[..., None]
    return np.clip(rgb, 0, 1, out=rgb)


def mix_chroma(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Weight two chromas by their own strength: (C₁|C₁| + C₂|C₂|) / (|C₁| + |C₂|), each channel.

    The weights of GIFNet's paper, for a chroma centred on 0. Where both are 0 the result is 0.

    Examples
    --------
    >>> mix_chroma(np.array([0.3, 0.0]), np.array([-0.1, 0.0])).round(3)
    array([0.2, 0. ])
    """
    weight_first, weight_second = np.abs(first), np.abs(second)
    total = weight_first + weight_second
    mixed = first * weight_first + second * weight_second
    return np.divide(mixed, total, out=np.zeros_like(mixed), where=total != 0)


def mix_by_value(
    chromas: Sequence[np.ndarray], values: Sequence[np.ndarray], total: np.ndarray
) -> np.ndarray:
    """Sum the chromas of colormaps, each weighed by its image's share of the values: Σ C·V / total.

    Where colours stand for a measured value, uptake say, they are to tell how much of it there is.
    The chroma of a dark red, added in full to a bright fused luma, makes pink of it; weighed so,
    little uptake colours little, and a colour is whole where its image alone has a value. This is the
    weighted mean of GIFNet's paper, which follows Prabhakar et al. ("DeepFuse", ICCV 2017), with
    another weight than the chroma's own strength, and with gray images taking part.

    Parameters
    ----------
    chromas : sequence of array (Y, X, 2)
    values : sequence of array (Y, X)
        Of the same images in [0, 1]: the luma that they would have in gray, since that of a
        colormap need not grow with the value.
    total : array (Y, X)
        The values of all images, of those without a colormap the luma.

    Examples
    --------
    >>> red, low, bright = np.array([0.4, 0]), np.array(0.1), np.array(0.7)
    >>> mix_by_value([red], [low], low + bright).round(3)
    array([0.05, 0.  ])
    """
    mixed = sum(c * v[..., None] for c, v in zip(chromas, values, strict=True))
    whole = total[..., None]
    return np.divide(mixed, whole, out=np.zeros_like(mixed), where=whole > 0)


def choose_chroma(
    color: Any, in_color: Sequence[bool], preferred: ColorPolicy = "auto", displayed: bool = False
) -> tuple[int, ...]:
    """Return which inputs give the result its chroma; () for a gray result.

    Parameters
    ----------
    color : {"auto", "a", "b", "gray"} or "displayed"
        ``"auto"``: of whichever inputs have colour, weighted; ``"gray"``: a gray result;
        ``"displayed"`` is ``"auto"`` of inputs that are fused in their colormaps.
    in_color : sequence of bool
        Which inputs have colour.
    preferred : {"auto", "a", "b", "gray"}
        What a task puts in the place of ``"auto"``, if the input it names has colour.
    displayed : bool
        Whether ``"displayed"`` is understood: a viewer shows the inputs.

    Raises
    ------
    OptionError
        `color` is none of these, or names an input without colour.
    """
    places = {"a": 0, "b": 1} if len(in_color) > 1 else {}
    policies = ["auto", *places, "gray", *(["displayed"] if displayed else [])]
    if not isinstance(color, str) or color not in policies:
        raise OptionError(
            f"color={color!r} is not understood: expected {', '.join(map(repr, policies[:-1]))} or "
            f"{policies[-1]!r}."
        )
    wanted = color
    if color == "auto" and (preferred == "gray" or in_color[places.get(preferred, 0)]):
        wanted = preferred
    if wanted == "gray":
        return ()
    if wanted in ("auto", "displayed"):
        return tuple(place for place, has_color in enumerate(in_color) if has_color)
    place = places[wanted]
    if not in_color[place]:
        raise OptionError(
            f"color={color!r} asks for the colour of {color}, which is gray: "
            "expected a last axis of 3 or 4 there, or color='auto'."
        )
    return (place,)


@dataclass(frozen=True, eq=False)
class Appearance:
    """How a viewer shows a gray image, or changes the tones of one in colour.

    Attributes
    ----------
    gamma : float
    colors : array (n,) or (n, 3), or None
        The colormap from low to high, shades or colours in [0, 1].
    """

    gamma: float = 1.0
    colors: np.ndarray | None = None

    @property
    def in_color(self) -> bool:
        """Whether what is shown has colour."""
        return self.colors is not None and self.colors.ndim == 2

    def tone(self, unit: np.ndarray) -> np.ndarray:
        """Apply gamma alone to values in [0, 1]."""
        return unit**self.gamma if self.gamma != 1 else unit

    def __call__(self, unit: np.ndarray) -> np.ndarray:
        """Map values in [0, 1], (Y, X) → (Y, X) or (Y, X, 3): gamma, then the colormap."""
        toned = self.tone(unit)
        if self.colors is None:
            return toned.astype(np.float32, copy=False)
        at = np.linspace(0, 1, len(self.colors))
        channels = [
            np.interp(toned, at, c).astype(np.float32) for c in np.atleast_2d(self.colors.T)
        ]
        return channels[0] if self.colors.ndim == 1 else np.stack(channels, axis=-1)
