"""Image files in and out, for the command line: TIFF, PNG and JPEG."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from napari_gifnet.errors import GIFNetError, MissingDependencyError
from napari_gifnet.planes.ranges import from_unit

__all__ = [
    "FileError",
    "ImageFile",
    "Length",
    "check_destination",
    "check_format",
    "make_folder",
    "read",
    "write",
]


class FileError(GIFNetError):
    """An image file cannot be read or written."""


class Length(NamedTuple):
    """A length with its unit, as "0.5 µm"."""

    value: float
    unit: str


@dataclass(frozen=True, eq=False)
class ImageFile:
    """What an image file holds.

    Attributes
    ----------
    data : array (..., Y, X) or, in colour, (..., Y, X, 3)
    axes : str
        A letter for each axis of `data`, those of tifffile: "YX", "ZYX", "TCYX" …; a last "S" is
        colour, and nothing else is.
    spacing : dict
        From the letter of an axis to the distance of its pixels; without those not in the file.
    """

    data: np.ndarray
    axes: str
    spacing: dict[str, Length] = field(default_factory=dict)

    @property
    def in_color(self) -> bool:
        """Whether the last axis is red, green and blue."""
        return self.axes.endswith("S")


class Format(NamedTuple):
    """A file format, the dtypes it is written in, the preferred one first, and if it stacks."""

    name: str
    dtypes: tuple[str, ...]
    stacks: bool = False


_TIFF = Format(
    "TIFF",
    ("float32", "float16", "float64", "uint8", "uint16", "uint32", "int8", "int16", "int32"),
    stacks=True,
)
_PNG = Format("PNG", ("uint8", "uint16"))
_JPEG = Format("JPEG", ("uint8",))

FORMATS = {".tif": _TIFF, ".tiff": _TIFF, ".png": _PNG, ".jpg": _JPEG, ".jpeg": _JPEG}
"""Every format by the suffix of its files."""


def find_format(path: Path) -> Format:
    """Return the format of a file by its suffix; raise FileError if it is not one of ours."""
    try:
        return FORMATS[path.suffix.lower()]
    except KeyError:
        raise FileError(
            f"{path} is of an unknown format: expected a name that ends in {', '.join(FORMATS)}."
        ) from None


def read(path: str | Path) -> ImageFile:
    """Read an image file.

    Parameters
    ----------
    path : str or Path
        A TIFF (the first series of a file that has several), a PNG or a JPEG.

    Returns
    -------
    ImageFile
        In the dtype of the file, palettes applied, without an alpha channel, a photograph upright.
        The spacing is that of OME, ImageJ or the TIFF resolution.

    Raises
    ------
    FileError
        There is no such file, it is of another format, or it is damaged.
    """
    path = Path(path)
    reader = _read_tiff if find_format(path) is _TIFF else _read_picture
    try:
        return reader(path)
    except GIFNetError:
        raise
    except OSError as error:
        reason = error.strerror or "it is damaged or of another format"
        raise FileError(f"{path} cannot be read: {reason}.") from error
    except Exception as error:  # a damaged file can raise nearly anything
        raise FileError(f"{path} cannot be read as an image: {str(error).rstrip('.')}.") from error


def write(
    path: str | Path,
    data: np.ndarray,
    axes: str,
    *,
    spacing: Mapping[str, Length] | None = None,
    description: str = "",
) -> None:
    """Write an image file; it appears under its name when it is complete, in the place of another.

    Parameters
    ----------
    path : str or Path
        The suffix says the format. A TIFF is an OME-TIFF if it ends in ``.ome.tif``; else one of
        ImageJ where that can hold the data, and a plain one where not.
    data : array (..., Y, X) or, in colour, (..., Y, X, 3)
        Integers are written as they are. Floats are written as they are to a TIFF; for PNG and
        JPEG [0, 1] is scaled to 8 bits, and a NaN becomes 0. JPEG quality is 95.
    axes : str
        As in `ImageFile`.
    spacing : mapping, optional
        As in `ImageFile`; for TIFF.
    description : str
        Kept in the file.

    Raises
    ------
    FileError
        The format cannot hold the data, or the file cannot be written.
    """
    path = Path(path)
    form = find_format(path)
    if data.dtype.kind in "fb" and data.dtype.name not in form.dtypes:
        data = from_unit(data.astype(np.float32, copy=False), np.dtype(np.uint8))
    check_format(path, axes, data.dtype)
    with _placed(path) as temporary:
        if form is _TIFF:
            _write_tiff(temporary, path, data, axes, spacing or {}, description)
        elif data.dtype == np.uint16 and axes.endswith("S"):
            temporary.write_bytes(_imagecodecs().png_encode(data))
        else:
            _write_picture(temporary, data, description)


def check_destination(path: Path, overwrite: bool = False, sources: Sequence[Path] = ()) -> None:
    """Raise FileError, before any work is done, if a file of that name is not to be written."""
    find_format(path)
    if path.exists() and any(source.exists() and path.samefile(source) for source in sources):
        raise FileError(f"{path} is one of the images that are read: choose another name.")
    if path.is_dir():
        raise FileError(f"{path} is a folder: expected the name of a file.")
    if path.exists() and not overwrite:
        raise FileError(f"{path} exists already: choose another name, or add --overwrite.")
    if not path.parent.is_dir():
        raise FileError(f"The folder {path.parent} does not exist: make it first.")
    if not os.access(path.parent, os.W_OK):
        raise FileError(f"The folder {path.parent} cannot be written to: choose another.")


def make_folder(path: Path) -> None:
    """Make a folder, and those it lies in, unless it is there; raise FileError if that fails."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"The folder {path} cannot be made: {error.strerror}.") from error


def check_format(path: Path, axes: str, dtype: np.dtype) -> None:
    """Raise FileError if the format of a file cannot hold such an image."""
    form = find_format(path)
    if dtype.name not in form.dtypes:
        raise FileError(
            f"{path.name}: a {form.name} file cannot hold {dtype.name}: expected "
            f"{' or '.join(form.dtypes)}, or another format ({', '.join(FORMATS)})."
        )
    if axes.removesuffix("S") != "YX" and not form.stacks:
        raise FileError(
            f"{path.name}: a {form.name} file holds one plane, the image is a stack of axes "
            f"{axes}: choose a name that ends in .tif."
        )


def _read_picture(path: Path) -> ImageFile:
    from PIL import Image, ImageOps

    with path.open("rb") as file:
        header = file.read(26)
    is_png = header.startswith(b"\x89PNG")
    depth, color_type = header[24:26] if is_png else (8, 0)
    if depth == 16 and color_type != 0:  # Pillow would make it 8 bits
        data = _imagecodecs().png_decode(path.read_bytes())
        colors = 3 if data.shape[-1] > 2 else 1
        data = data[..., :colors] if colors == 3 else data[..., 0]
        return ImageFile(data, "YXS" if colors == 3 else "YX")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                upright = ImageOps.exif_transpose(image)
    except Image.DecompressionBombError:
        raise FileError(f"{path} has too many pixels for this format: save it as a TIFF.") from None
    if upright.mode in ("1", "L", "I;16", "I", "F"):
        return ImageFile(np.asarray(upright), "YX")
    if upright.mode == "LA":
        return ImageFile(np.asarray(upright.convert("L")), "YX")
    return ImageFile(np.asarray(upright.convert("RGB")), "YXS")


def _read_tiff(path: Path) -> ImageFile:
    import tifffile

    with tifffile.TiffFile(path) as tiff:
        series = tiff.series[0]
        page, data, axes = series.keyframe, series.asarray(), series.axes
        if tiff.ome_metadata:
            spacing = _ome_spacing(tifffile.xml2dict(tiff.ome_metadata))
        else:
            spacing = _resolution(page, tiff.imagej_metadata or {})
        palette = None if tiff.is_imagej else page.colormap  # ImageJ's is for the display only
    if page.photometric == tifffile.PHOTOMETRIC.PALETTE and palette is not None:
        data, axes = np.moveaxis(palette[:, data], 0, -1), axes + "S"
    elif page.photometric == tifffile.PHOTOMETRIC.MINISWHITE and data.dtype.kind in "bu":
        data = np.invert(data)
    if "S" in axes:
        in_color = page.photometric not in (
            tifffile.PHOTOMETRIC.MINISBLACK,
            tifffile.PHOTOMETRIC.MINISWHITE,
        )
        data = np.moveaxis(data, axes.index("S"), -1 if in_color else 0)
        axes = axes.replace("S", "")
        axes = axes + "S" if in_color else "C" + axes
        data = data[..., :3] if in_color else data
    return ImageFile(data, axes, {axis: spacing[axis] for axis in axes if axis in spacing})


def _ome_spacing(metadata: dict[str, Any]) -> dict[str, Length]:
    image = metadata["OME"]["Image"]
    pixels = (image[0] if isinstance(image, list) else image)["Pixels"]
    spacing = {
        axis: Length(
            float(pixels[f"PhysicalSize{axis}"]), pixels.get(f"PhysicalSize{axis}Unit", "µm")
        )
        for axis in "ZYX"
        if f"PhysicalSize{axis}" in pixels
    }
    if "TimeIncrement" in pixels:
        unit = pixels.get("TimeIncrementUnit", "s")
        spacing["T"] = Length(float(pixels["TimeIncrement"]), unit)
    return spacing


def _resolution(page: Any, imagej: dict[str, Any]) -> dict[str, Length]:
    """Return the spacing of an ImageJ or a plain TIFF."""
    unit = {2: "inch", 3: "cm"}.get(int(page.resolutionunit or 1), "")
    unit = str(imagej.get("unit", unit)).replace("\\u00B5", "µ")
    unit = {"um": "µm", "micron": "µm", "microns": "µm"}.get(unit, unit)
    spacing = {}
    if unit:
        per_x, per_y = page.resolution
        sizes = {"Z": float(imagej.get("spacing", 0)), "Y": 1 / per_y, "X": 1 / per_x}
        spacing = {axis: Length(size, unit) for axis, size in sizes.items() if size > 0}
    if imagej.get("finterval"):
        spacing["T"] = Length(float(imagej["finterval"]), "s")
    return spacing


def _write_tiff(
    temporary: Path,
    path: Path,
    data: np.ndarray,
    axes: str,
    spacing: Mapping[str, Length],
    description: str,
) -> None:
    import tifffile

    ordered = axes == "".join(axis for axis in "TZCYXS" if axis in axes)
    metadata: dict[str, Any] = {"axes": axes}
    options: dict[str, Any] = {"photometric": "rgb" if axes.endswith("S") else "minisblack"}
    if path.name.lower().endswith((".ome.tif", ".ome.tiff")) and ordered:
        options["ome"] = True
        metadata["Description"] = description
        for axis, (value, unit) in spacing.items():
            name = "TimeIncrement" if axis == "T" else f"PhysicalSize{axis}"
            metadata |= {name: value, f"{name}Unit": unit}
    else:
        if ordered and _fits_imagej(data, axes):
            options["imagej"] = True
            metadata["Info"] = description
            if "X" in spacing and "Y" in spacing:
                options["resolution"] = 1 / spacing["X"].value, 1 / spacing["Y"].value
            if "X" in spacing:
                metadata["unit"] = spacing["X"].unit.replace("µ", "u")
            if "Z" in spacing:
                metadata["spacing"] = spacing["Z"].value
            if "T" in spacing:
                metadata["finterval"] = spacing["T"].value
        else:
            metadata["Description"] = description
            options |= _in_centimetres(spacing)
    tifffile.imwrite(temporary, data, metadata=metadata, **options)


def _in_centimetres(spacing: Mapping[str, Length]) -> dict[str, Any]:
    """Return the resolution in the one metric unit that a plain TIFF knows, if there is one."""
    per_centimetre = {"nm": 1e7, "µm": 1e4, "mm": 10, "cm": 1, "inch": 1 / 2.54}
    lengths = [spacing[axis] for axis in "XY" if axis in spacing]
    if len(lengths) < 2 or any(length.unit not in per_centimetre for length in lengths):
        return {}
    x, y = (per_centimetre[length.unit] / length.value for length in lengths)
    return {"resolution": (x, y), "resolutionunit": "CENTIMETER"}


def _fits_imagej(data: np.ndarray, axes: str) -> bool:
    grays = ("uint8", "uint16", "float32")
    return data.nbytes < 2**32 - 2**20 and (
        data.dtype == np.uint8 if axes.endswith("S") else data.dtype.name in grays
    )


def _write_picture(path: Path, data: np.ndarray, description: str) -> None:
    from PIL import Image, PngImagePlugin

    options: dict[str, Any] = {"quality": 95, "subsampling": 0, "comment": description}
    if find_format(path) is _PNG:
        info = PngImagePlugin.PngInfo()
        info.add_itxt("Description", description)
        options = {"pnginfo": info}
    Image.fromarray(np.ascontiguousarray(data)).save(path, **options)


def _imagecodecs() -> Any:
    try:
        import imagecodecs
    except ImportError as error:
        raise MissingDependencyError(
            "PNG files of 16-bit colour need the package imagecodecs, which is not installed: "
            "pip install imagecodecs."
        ) from error
    return imagecodecs


@contextmanager
def _placed(path: Path) -> Iterator[Path]:
    """Yield a name beside `path`, and move the file written there to it if all went well."""
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
    try:
        yield temporary
        temporary.replace(path)
    except OSError as error:
        reason = error.strerror or "there is no space for all of it"
        raise FileError(f"{path} cannot be written: {reason}.") from error
    finally:
        temporary.unlink(missing_ok=True)
