"""TIFF files: those of ImageJ and OME and plain ones, whatever their samples stand for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from napari_gifnet.errors import GIFNetError
from napari_gifnet.planes.arrays import is_dask

from .descriptions import tiff_description
from .image_file import FileError, ImageFile, mask_nodata, upright
from .kept_tags import PROFILE, fitting_profile, ground_tags, tags_for_writing
from .lengths import Length, as_number, convert, find_unit, is_size, make_length
from .ome_xml import ome_sizes, ome_spacing
from .orientation import grid_of_spacing

__all__ = ["read_tiff", "write_tiff"]

_ORIENTATION, _X_RESOLUTION, _RESOLUTION_UNIT = 274, 282, 296
_YCBCR_COEFFICIENTS, _REFERENCE_BLACK_WHITE, _GDAL_NODATA = 529, 532, 42113

_LARGEST_RATIO = 3000
"""No compression in use packs more tightly; a file that promises more is damaged."""
_UNQUESTIONED_BYTES = 2**28

_OF_OME = ("uint8", "uint16", "uint32", "int8", "int16", "int32", "float32", "float64")

_NO_IMAGE = {
    4: "a mask for another image",
    8: "CIE L*a*b* colour",
    9: "ICC L*a*b* colour",
    10: "ITU L*a*b* colour",
    32803: "the raw mosaic of a camera",
    32844: "logarithmic luminance",
    32845: "logarithmic L*u*v* colour",
    34892: "the raw values of a camera",
    51177: "a depth map",
    52527: "a semantic mask",
}
"""What samples can stand for that is refused, since it would be taken for something else."""


def read_tiff(path: Path, nodata: float | None = None, alpha: bool = False) -> ImageFile:
    """Read the first series of a TIFF; errors of tifffile come out as they are.

    Parameters
    ----------
    path : Path
    nodata : float, optional
        The value of missing pixels; by default what GDAL noted in the file.
    alpha : bool
        Whether what the file calls alpha stays, as the fourth channel of colours.
    """
    import tifffile

    with tifffile.TiffFile(path) as tiff:  # values of tags are read when they are asked for
        return _interpret(path, tiff, nodata, alpha)


def _interpret(path: Path, tiff: Any, nodata: float | None, alpha: bool) -> ImageFile:
    import tifffile

    series = tiff.series[0]
    page, axes = series.keyframe, series.axes
    _check_size(path, series)
    data = series.asarray()
    if data.dtype.kind not in "biuf":
        raise FileError(f"{path} holds values of {data.dtype}: expected integers or real numbers.")
    if data.shape != tuple(series.shape) or 0 in data.shape or not {"Y", "X"} <= set(axes):
        raise FileError(f"{path} has axes {axes} of shape {data.shape}: expected rows and columns.")
    data, axes = _planes_last(data, axes)
    kinds = [int(kind) for kind in page.extrasamples]
    alpha = alpha and page.photometric == 2 and data.shape[-1] == 4 and kinds in ([1], [2])
    if not alpha:
        data, axes = _drop_alpha(page, data, axes)
    nodata = _noted_nodata(page) if nodata is None else nodata
    if nodata is not None and page.photometric in (0, 1, 2, 3):
        data = mask_nodata(data, nodata, page.photometric == 2 and data.shape[-1] == 3)
    if page.photometric == 3 and page.colormap is not None and not tiff.is_imagej:
        data, axes = _look_up(data, page.colormap), axes + "S"
    else:  # the palette of ImageJ is for the display only
        data, axes = _as_colors(path, page, data, axes, 4 if alpha else 3)
    if tiff.ome_metadata:
        spacing = ome_spacing(tifffile.xml2dict(tiff.ome_metadata))
    else:
        spacing = _resolution_spacing(page, tiff.imagej_metadata or {})
    turn = int(page.tags.valueof(_ORIENTATION, 1) or 1)
    data = upright(data, axes.index("Y"), turn)
    if turn in (5, 6, 7, 8):
        other = {"Y": "X", "X": "Y"}
        spacing = {other.get(axis, axis): length for axis, length in spacing.items()}
    spacing = {axis: spacing[axis] for axis in axes if axis in spacing}
    letters = axes.removesuffix("S")
    grid = grid_of_spacing(data.shape[: len(letters)], letters, spacing, path.stem)
    tags = ground_tags(page) if turn == 1 else {}
    profile = page.tags.valueof(PROFILE, None)
    return ImageFile(data, axes, spacing, grid, None, profile, tags, tiff_description(tiff))


def _check_size(path: Path, series: Any) -> None:
    size, stored = int(series.nbytes), path.stat().st_size
    if size > _UNQUESTIONED_BYTES and size > _LARGEST_RATIO * stored:
        raise FileError(
            f"{path} cannot be read: it promises {size / 1e9:.1f} GB, but has {stored / 1e6:.1f} MB; "
            "it is damaged; fetch or save it again."
        )


def _planes_last(data: np.ndarray, axes: str) -> tuple[np.ndarray, str]:
    """Bring rows and columns, and behind them samples, to the end."""
    order = [axes.index(axis) for axis in "YXS" if axis in axes]
    others = [place for place in range(len(axes)) if place not in order]
    order = others + order
    return data.transpose(order), "".join(axes[place] for place in order)


def _drop_alpha(page: Any, data: np.ndarray, axes: str) -> tuple[np.ndarray, str]:
    """Leave out the samples that the file calls alpha, and no others."""
    if not axes.endswith("S"):
        return data, axes
    count, extras = data.shape[-1], list(page.extrasamples)
    extras = extras[max(len(extras) - count, 0) :]
    own = count - len(extras)
    kept = [*range(own), *(own + i for i, extra in enumerate(extras) if int(extra) not in (1, 2))]
    if len(kept) == count or not kept:
        return data, axes
    data = data[..., kept]
    return (data, axes) if len(kept) > 1 else (data[..., 0], axes[:-1])


def _as_colors(
    path: Path, page: Any, data: np.ndarray, axes: str, channels: int
) -> tuple[np.ndarray, str]:
    """Return gray, or red, green and blue; what has other samples becomes bands in front."""
    photometric = int(page.photometric)
    count = data.shape[-1] if axes.endswith("S") else 1
    if photometric in _NO_IMAGE:
        raise FileError(
            f"{path} holds {_NO_IMAGE[photometric]}, which is not read: save it as gray or RGB."
        )
    if photometric == 5:
        data = _from_cmyk(path, page, data, count)
    elif photometric == 6 and int(page.compression) not in (6, 7, 33007, 34892):
        data = _from_ycbcr(path, page, data, count)
    elif photometric == 0:
        if data.dtype.kind == "f":
            raise FileError(
                f"{path} holds floats of which the smallest is white, which is not read: save it "
                "with black as the smallest."
            )
        data = _largest(page, data.dtype) - data if data.dtype.kind == "u" else np.invert(data)
    if photometric in (0, 1) and data.dtype == np.uint8:
        data = data * np.uint8(255 // int(_largest(page, data.dtype)))  # of 2 or 4 bits
    in_color = photometric in (2, 5, 6) and count in (3, 4) and data.shape[-1] == channels
    if axes.endswith("S") and not in_color:
        data, axes = np.moveaxis(data, -1, -3), axes[:-3] + "CYX"
        if axes.count("C") > 1:
            raise FileError(f"{path} has bands in two axes: save each as a file of its own.")
    return data, axes


def _largest(page: Any, dtype: np.dtype) -> np.unsignedinteger:
    """Return the largest value of an unsigned sample, which may have fewer bits than its dtype."""
    bits = max(map(int, np.ravel(page.bitspersample)))
    largest: np.unsignedinteger = dtype.type(min(2**bits - 1, np.iinfo(dtype).max))
    return largest


def _from_cmyk(path: Path, page: Any, data: np.ndarray, count: int) -> np.ndarray:
    """Return red, green and blue of the inks cyan, magenta, yellow and black."""
    if count != 4 or data.dtype not in (np.uint8, np.uint16) or page.tags.valueof(332, 1) != 1:
        raise FileError(
            f"{path} holds {count} inks as {data.dtype}, which is not read: save it as RGB."
        )
    white = np.float64(np.iinfo(data.dtype).max)
    paper = white - data.astype(np.float64)
    return np.rint(paper[..., :3] * (paper[..., 3:] / white)).astype(data.dtype)


def _from_ycbcr(path: Path, page: Any, data: np.ndarray, count: int) -> np.ndarray:
    """Return red, green and blue of luma and two differences, as the TIFF 6.0 section 21 has it."""
    if count != 3 or data.dtype != np.uint8:
        raise FileError(
            f"{path} holds {count} samples of YCbCr colour as {data.dtype}, which is not read: "
            "save it as RGB."
        )
    red, green, blue = _rationals(page, _YCBCR_COEFFICIENTS, (0.299, 0.587, 0.114))
    limits = _rationals(page, _REFERENCE_BLACK_WHITE, (0, 255, 128, 255, 128, 255))
    black, white = np.array(limits[::2]), np.array(limits[1::2])
    if not (np.isfinite([red, green, blue, *limits]).all() and green > 0 and (white > black).all()):
        raise FileError(f"{path} has coefficients of YCbCr colour that make none: save it as RGB.")
    full = np.array([255, 127, 127])
    luma, cb, cr = np.moveaxis((data - black) * (full / (white - black)), -1, 0)
    r, b = cr * (2 - 2 * red) + luma, cb * (2 - 2 * blue) + luma
    g = (luma - blue * b - red * r) / green
    return np.rint(np.stack([r, g, b], axis=-1).clip(0, 255)).astype(np.uint8)


def _rationals(page: Any, tag: int, usual: tuple[float, ...]) -> tuple[float, ...]:
    """Return the rationals of a tag, which come as numerators and denominators in turn."""
    found = page.tags.valueof(tag, None)
    if found is None:
        return usual
    parts = [float(part) for part in np.ravel(found)]
    if len(parts) == 2 * len(usual):
        parts = [a / b if b else math.nan for a, b in zip(parts[::2], parts[1::2], strict=True)]
    return tuple(parts) if len(parts) == len(usual) else usual


def _look_up(data: np.ndarray, palette: np.ndarray) -> np.ndarray:
    colors = np.moveaxis(palette[:, np.ma.getdata(data)], 0, -1)
    if np.ma.is_masked(data):
        mask = np.broadcast_to(np.ma.getmaskarray(data)[..., None], colors.shape)
        return np.ma.masked_array(colors, mask)
    return colors


def _noted_nodata(page: Any) -> float | None:
    """Return the value that GDAL notes for missing pixels, None if there is none."""
    noted = page.tags.valueof(_GDAL_NODATA, None)
    if isinstance(noted, bytes):
        noted = noted.decode("ascii", "replace")
    if noted is None or str(noted).strip("\0 ").lower() == "nan":
        return None
    value = as_number(str(noted).strip("\0 "))
    return None if math.isnan(value) else value


def _resolution_spacing(page: Any, imagej: Mapping[str, Any]) -> dict[str, Length]:
    """Return the spacing of an ImageJ or a plain TIFF."""
    stated = {2: "inch", 3: "cm"}.get(int(page.tags.valueof(_RESOLUTION_UNIT, 2)), "")
    unit = imagej.get("unit") or stated
    units = {"X": unit, "Y": imagej.get("yunit") or unit, "Z": imagej.get("zunit") or unit}
    sizes: dict[str, Any] = {"Z": imagej.get("spacing", 0)}
    if _X_RESOLUTION in page.tags:
        per_x, per_y = page.resolution
        sizes |= {"Y": 1 / per_y if per_y else 0, "X": 1 / per_x if per_x else 0}
    found = {axis: make_length(size, units[axis]) for axis, size in sizes.items()}
    found["T"] = make_length(imagej.get("finterval", 0), imagej.get("tunit") or "s")
    return {axis: length for axis, length in found.items() if length}


def write_tiff(
    path: Path,
    data: np.ndarray,
    axes: str,
    spacing: Mapping[str, Length],
    description: str,
    as_ome: bool,
    like: ImageFile,
) -> list[str]:
    """Write a TIFF: of OME, of ImageJ where that can hold the data, or a plain one.

    Returns
    -------
    list of str
        The axes whose pixel sizes it could not keep, and what else it could not.
    """
    import tifffile

    lost = [axis for axis, length in spacing.items() if not (axis in axes and is_size(length[0]))]
    sizes = {axis: Length(*spacing[axis]) for axis in spacing if axis not in lost}
    options: dict[str, Any] = {
        "photometric": "rgb" if axes.endswith("S") else "minisblack",
        "ome": False,
        "imagej": False,
        "extratags": tags_for_writing(like.tags, data.dtype),
    }
    if profile := fitting_profile(like.profile, axes.endswith("S")):
        options["extratags"] += [(PROFILE, 7, len(profile), profile, True)]
    if axes.endswith("S") and data.shape[-1] == 4:
        options["extrasamples"] = ["unassalpha"]
    metadata: dict[str, Any] = {"axes": axes}
    ordered = axes == "".join(axis for axis in "TZCYXS" if axis in axes)
    if (
        as_ome
        and data.dtype.name in _OF_OME
        and len(set(axes)) == len(axes)
        and set(axes) <= set("TZCYXS")
    ):
        options["ome"] = True
        metadata["Description"] = description
        kept = ome_sizes(sizes)
        metadata |= kept.pop("metadata")
    elif ordered and _fits_imagej(data, axes):
        options["imagej"] = True
        metadata["Info"] = description
        kept = _imagej_sizes(sizes)
        metadata |= kept.pop("metadata")
    else:
        metadata["Description"] = description
        kept = _plain_sizes(sizes)
    lost += [axis for axis in sizes if axis not in kept["axes"]]
    options |= {name: value for name, value in kept.items() if name != "axes"}
    try:
        tifffile.imwrite(path, metadata=metadata, **_pixels(data, axes), **options)
    except (OSError, MemoryError, GIFNetError):  # those of lazy pixels are no matter of metadata
        raise
    except Exception:
        # Metadata that the format does not take must not cost the pixels.
        kept = {name: options[name] for name in ("photometric", "extrasamples") if name in options}
        tifffile.imwrite(path, metadata=None, **_pixels(data, axes), **kept)
        lost = [*(axis for axis in spacing if axis in axes), "the description"]
    return lost


def _pixels(data: Any, axes: str) -> dict[str, Any]:
    """Return what tifffile writes: an array, or the planes of a lazy one as they are computed."""
    if not is_dask(data):
        return {"data": data}
    leading = data.shape[: len(axes.removesuffix("S")) - 2]
    planes = (np.asarray(data[index]) for index in np.ndindex(leading))
    return {"data": planes, "shape": data.shape, "dtype": data.dtype}


def _imagej_sizes(sizes: Mapping[str, Length]) -> dict[str, Any]:
    """Return ImageJ's sizes: seconds, and one unit for the rest, in ASCII."""
    metadata: dict[str, Any] = {}
    options: dict[str, Any] = {}
    kept = []
    if "T" in sizes and (seconds := convert(sizes["T"], "s")) is not None:
        metadata["finterval"] = seconds
        kept.append("T")
    unit = _common_unit(sizes)
    converted = {axis: convert(sizes[axis], unit) for axis in "ZYX" if axis in sizes and unit}
    x, y, z = (converted.get(axis) for axis in "XYZ")
    if x and y and _fits_rational(x) and _fits_rational(y):
        options["resolution"] = 1 / x, 1 / y
        kept += ["Y", "X"]
    if z is not None and is_size(z):
        metadata["spacing"] = z
        kept.append("Z")
    if {"X", "Z"} & set(kept):
        metadata["unit"] = unit.replace("µ", "u")
    return {"metadata": metadata, "axes": kept, **options}


def _common_unit(sizes: Mapping[str, Length]) -> str:
    """Return the unit of X, or of Z; a metric one in which rationals can hold the sizes, if any."""
    first = sizes.get("X") or sizes.get("Z")
    if first is None:
        return ""
    unit = find_unit(first.unit)
    candidates = [unit, "nm", "µm", "mm", "m", "km"]
    for candidate in candidates:
        values = [convert(sizes[axis], candidate) for axis in "YX" if axis in sizes]
        known = [value for value in values if value is not None]
        is_ascii = candidate.replace("µ", "u").isascii() and candidate.isprintable()
        if known and is_ascii and "=" not in candidate and all(1e-4 < v < 1e6 for v in known):
            return candidate
    return unit if unit.isascii() and unit.isprintable() and "=" not in unit else ""


def _fits_rational(size: float) -> bool:
    return 1e-9 < size < 1e9


def _plain_sizes(sizes: Mapping[str, Length]) -> dict[str, Any]:
    """Return the resolution in the one metric unit that a plain TIFF knows, if there is one."""
    x, y = (convert(sizes[axis], "cm") if axis in sizes else None for axis in "XY")
    if not (x and y and _fits_rational(x) and _fits_rational(y)):
        return {"axes": []}
    return {"axes": ["Y", "X"], "resolution": (1 / x, 1 / y), "resolutionunit": "CENTIMETER"}


def _fits_imagej(data: np.ndarray, axes: str) -> bool:
    grays = ("uint8", "uint16", "float32")
    return data.nbytes < 2**32 - 2**20 and (
        data.dtype == np.uint8 and data.shape[-1] == 3
        if axes.endswith("S")
        else data.dtype.name in grays
    )
