"""What files say in words: the description that a program left in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .image_file import full_suffix

__all__ = ["nifti_description", "read_description", "tiff_description"]


def read_description(path: Path) -> str:
    """Return the description of a TIFF or a PNG without reading its pixels; "" where there is none.

    A file that cannot be read says nothing, too.
    """
    suffix = full_suffix(path)
    try:
        if suffix in (".tif", ".tiff"):
            import tifffile

            with tifffile.TiffFile(path) as tiff:
                return tiff_description(tiff)
        if suffix == ".png":
            from PIL import Image

            with Image.open(path, formats=("PNG",)) as image:
                image.load()  # texts may follow the pixels
                return str(image.info.get("Description", ""))
    except Exception:  # a damaged file can raise nearly anything
        return ""
    return ""


def tiff_description(tiff: Any) -> str:
    """Return the description in an open TIFF of OME, of ImageJ, or of tifffile.

    Parameters
    ----------
    tiff : tifffile.TiffFile
    """
    if tiff.ome_metadata:
        import tifffile

        image = tifffile.xml2dict(tiff.ome_metadata)["OME"]["Image"]
        return str((image[0] if isinstance(image, list) else image).get("Description", ""))
    if tiff.imagej_metadata:
        return str(tiff.imagej_metadata.get("Info", ""))
    if tiff.shaped_metadata:
        return str(tiff.shaped_metadata[0].get("Description", ""))
    return str(tiff.pages[0].description)


def nifti_description(header: Any) -> str:
    """Return the first comment in the header of a NIfTI volume.

    Parameters
    ----------
    header : nibabel.Nifti1Header
    """
    for extension in header.extensions:
        if extension.get_code() == _COMMENT:
            content = extension.get_content()
            text = content if isinstance(content, str) else bytes(content).decode(errors="replace")
            return text.rstrip("\0")
    return ""


_COMMENT = 6
"""The code of an extension of NIfTI that is a text."""
