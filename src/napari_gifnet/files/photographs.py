"""PNG and JPEG files: one plane, upright."""

from __future__ import annotations

import struct
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from napari_gifnet.errors import MissingDependencyError

from .image_file import FileError, ImageFile, mask_nodata, upright
from .kept_tags import fitting_profile

__all__ = ["read_photograph", "write_photograph"]

_LONGEST_COMMENT = 60_000
"""Bytes: a JPEG counts them in 16 bits, and Pillow does not end where they fill its buffer."""

_ORIENTATION = 0x0112


def read_photograph(path: Path, nodata: float | None = None) -> ImageFile:
    """Read a PNG or a JPEG; errors of Pillow come out as they are.

    Parameters
    ----------
    path : Path
    nodata : float, optional
        The value of missing pixels.
    """
    data, profile = _read_pixels(path)
    in_color = data.ndim == 3
    if nodata is not None:
        data = mask_nodata(data, nodata, in_color)
    return ImageFile(data, "YXS" if in_color else "YX", profile=profile)


def _read_pixels(path: Path) -> tuple[np.ndarray, bytes | None]:
    """Return the pixels, and the ICC profile of their colours."""
    from PIL import Image, ImageOps

    with path.open("rb") as file:
        header = file.read(26)
    is_png = header.startswith(b"\x89PNG")
    depth, color_type = header[24:26] if is_png and len(header) == 26 else (8, 0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # Pillow opens much else, and hands some of it to other programs.
            with Image.open(path, formats=("PNG", "JPEG")) as image:
                profile = image.info.get("icc_profile")
                if depth == 16 and color_type != 0:  # Pillow would make it 8 bits
                    image.load()
                    turn = int(image.getexif().get(_ORIENTATION, 1))
                    return _read_deep_png(path, turn), profile
                picture = ImageOps.exif_transpose(image)
    except Image.DecompressionBombError:
        raise FileError(f"{path} has too many pixels for this format: save it as a TIFF.") from None
    if picture.mode in ("1", "L", "I", "F") or picture.mode.startswith("I;16"):
        return np.asarray(picture), profile
    mode = "L" if picture.mode in ("LA", "La") else "RGB"
    return np.asarray(picture.convert(mode)), profile


def _read_deep_png(path: Path, orientation: int) -> np.ndarray:
    """Read 16-bit colour, or 16-bit gray with alpha."""
    data = _imagecodecs().png_decode(path.read_bytes())
    data = data[..., :3] if data.shape[-1] > 2 else data[..., 0]
    return upright(data, 0, orientation)


def write_photograph(
    path: Path, data: np.ndarray, description: str, profile: bytes | None = None
) -> list[str]:
    """Write a PNG or, if the name says so, a JPEG; return what it could not keep.

    Parameters
    ----------
    path : Path
    data : array (Y, X) or (Y, X, 3)
        uint8, or uint16 for a PNG.
    description : str
        Cut short where a JPEG cannot hold all of it.
    profile : bytes, optional
        The ICC profile, kept where it fits the data.
    """
    from PIL import Image, PngImagePlugin

    if data.dtype == np.uint16 and data.ndim == 3:
        path.write_bytes(_with_description(_imagecodecs().png_encode(data), description))
        return [] if profile is None else ["the colour profile"]
    profile = fitting_profile(profile, data.ndim == 3)
    comment = description.encode()[:_LONGEST_COMMENT].decode(errors="ignore")
    options: dict[str, Any] = {"quality": 95, "subsampling": 0, "comment": comment}
    if path.suffix.lower() == ".png":
        info = PngImagePlugin.PngInfo()
        info.add_itxt("Description", description)
        options = {"pnginfo": info}
    if profile:
        options["icc_profile"] = profile
    Image.fromarray(np.ascontiguousarray(data)).save(path, **options)
    return []


def _with_description(png: bytes, description: str) -> bytes:
    """Return a PNG with a text in front of its last chunk, which is of twelve bytes."""
    chunk = b"iTXtDescription\0\0\0\0\0" + description.encode()
    size, check = struct.pack(">I", len(chunk) - 4), struct.pack(">I", zlib.crc32(chunk))
    return png[:-12] + size + chunk + check + png[-12:]


def _imagecodecs() -> Any:
    try:
        import imagecodecs
    except ImportError as error:
        raise MissingDependencyError(
            "PNG files of 16-bit colour need the package imagecodecs, which is not installed: "
            "pip install imagecodecs."
        ) from error
    return imagecodecs
