"""Luma and chroma: the network fuses luma, the chroma of the inputs is put back afterwards.

Luma and chroma are those of ITU-R BT.601 as JPEG uses them, computed on floats: with R, G, B in
[0, 1], Y lies in [0, 1], Cb and Cr in [−0.5, 0.5], centred on 0. The published program works in
whole gray levels of 8 bits; its luma plane is ours, truncated.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from napari_gifnet.errors import OptionError

ColorPolicy = Literal["auto", "a", "b", "gray"]
ChromaRule = Literal["a", "b", "both", "none"]

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


def choose_chroma(
    color: Any, a_in_color: bool, b_in_color: bool, preferred: ColorPolicy = "auto"
) -> ChromaRule:
    """Return whose chroma the result gets.

    Parameters
    ----------
    color : {"auto", "a", "b", "gray"}
        ``"auto"``: of whichever input has colour, both weighted; ``"gray"``: a gray result.
    a_in_color, b_in_color : bool
        Which inputs are RGB.
    preferred : {"auto", "a", "b", "gray"}
        What a task puts in the place of ``"auto"``, if the input it names has colour.

    Raises
    ------
    OptionError
        `color` is none of these, or names an input without colour.
    """
    in_color = {"a": a_in_color, "b": b_in_color}
    if color == "auto" and (preferred == "gray" or in_color.get(preferred)):
        color = preferred
    if color == "gray":
        return "none"
    if color == "auto":
        if a_in_color and b_in_color:
            return "both"
        return "a" if a_in_color else "b" if b_in_color else "none"
    if color not in ("a", "b"):
        raise OptionError(
            f"color={color!r} is not understood: expected 'auto', 'a', 'b' or 'gray'."
        )
    if not in_color[color]:
        raise OptionError(
            f"color={color!r} asks for the colour of {color}, which is gray: "
            "expected a last axis of 3 or 4 there, or color='auto'."
        )
    return color
