"""What users and napari's layers hold, as arrays that the rest of the package understands."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import numpy as np

from napari_gifnet.errors import ImageError, MissingDependencyError

_IN_MEMORY = {"jax", "jaxlib", "pandas", "polars"}
"""Packages whose arrays cost nothing to read, although they slice as those of files do."""

_NUMBERS = "expected an array of numbers, (..., Y, X) or, in colour, (..., Y, X, 3 or 4)"


def as_array(data: Any, name: str) -> Any:
    """Return a NumPy array or a dask array of an image, without reading what is not in memory.

    Parameters
    ----------
    data : array-like
        Arrays of NumPy (subclasses become plain ones, masked ones stay masked), dask, xarray, zarr,
        h5py, tensorstore and torch (copied to the CPU, without gradient), nested lists, whatever
        has ``__array__``, and whatever has `shape` and `dtype` and can be sliced.
    name : str
        What an error calls it.

    Returns
    -------
    numpy.ndarray, numpy.ma.MaskedArray or dask.array.Array
        Of booleans, integers or floats. dask, where anything would have to be read: in the chunks
        that the data are stored in, in planes where there are none.

    Raises
    ------
    ImageError
        It is no array of real numbers.
    MissingDependencyError
        dask is needed and not installed.

    Examples
    --------
    >>> as_array([[1, 2], [3, 4]], "a").shape
    (2, 2)
    >>> as_array("photo.png", "a")
    Traceback (most recent call last):
    ...
    napari_gifnet.errors.ImageError: a is the path 'photo.png': read it first, or use `gifnet fuse`.
    """
    array = data if isinstance(data, np.ndarray) else _open(data, name)
    if not isinstance(array, np.ma.MaskedArray) and isinstance(array, np.ndarray):
        array = np.asarray(array)
    _check_dtype(array, name)
    if is_dask(array) and np.isnan(array.shape).any():
        raise ImageError(
            f"{name} is a dask array of unknown shape: call its compute_chunk_sizes() first."
        )
    return array


def is_dask(data: Any) -> bool:
    """Return whether it is a dask array; dask is not imported for it."""
    return type(data).__module__.startswith("dask.array")


def _open(data: Any, name: str) -> Any:
    """Return an array of anything but a NumPy array."""
    if is_dask(data):
        return data
    _refuse_mistakes(data, name)
    package = _package(data)
    if package == "torch":
        return _from_torch(data, name)
    if package == "xarray":
        variable = getattr(data, "variable", data)
        if getattr(variable, "chunks", None) or getattr(variable, "_in_memory", True):
            return as_array(variable.data, name)
        return _lazily(variable, name)  # of a file that is open
    slices = all(hasattr(data, each) for each in ("shape", "dtype", "__getitem__"))
    if slices and package not in _IN_MEMORY:
        return _lazily(data, name)
    try:
        return np.asarray(data)
    except (ValueError, TypeError, RuntimeError) as error:
        if isinstance(data, (list, tuple)):
            raise ImageError(
                f"{name} is {_of_what(data)}, and they do not make one array: give planes of one shape."
            ) from None
        reason = str(error).rstrip(".")
        raise ImageError(
            f"{name} is of type {type(data).__name__} and cannot be made an array ({reason}): "
            f"{_NUMBERS}."
        ) from error


class _Slices:
    """An array that is read when it is sliced, with what dask asks of one."""

    def __init__(self, data: Any, dtype: np.dtype) -> None:
        self._data, self.dtype = data, dtype
        self.shape = tuple(int(n) for n in data.shape)
        self.ndim = len(self.shape)

    def __getitem__(self, index: Any) -> np.ndarray:
        return np.asarray(self._data[index])


def _lazily(data: Any, name: str) -> Any:
    if _package(data) == "tensorstore":
        import tensorstore

        chunks, dtype = data.chunk_layout.read_chunk.shape, data.dtype.numpy_dtype
        data = data[tensorstore.d[:].translate_to[0]]  # indices count from the corner
    else:
        chunks, dtype = getattr(data, "chunks", None), data.dtype
    try:
        slices = _Slices(data, np.dtype(dtype))
    except TypeError:
        raise ImageError(f"{name} has elements of type {dtype}: {_NUMBERS}.") from None
    _check_dtype(slices, name)
    try:
        import dask.array as da
    except ImportError:
        raise MissingDependencyError(
            f"{name} is of type {type(data).__name__} and would be read plane by plane, for which "
            f"dask is missing: pip install 'napari-gifnet[dask]', or read the array, {name}[...], "
            "first."
        ) from None
    if not _are_chunks(chunks, slices.shape):
        whole = 3 if slices.ndim > 2 and slices.shape[-1] in (3, 4) else 2
        chunks = [1] * (slices.ndim - whole) + list(slices.shape[-whole:])
    return da.from_array(slices, chunks=tuple(chunks), name=False)


def _are_chunks(chunks: Any, shape: tuple[int, ...]) -> bool:
    return (
        isinstance(chunks, (tuple, list))
        and len(chunks) == len(shape)
        and all(isinstance(n, (int, np.integer)) and n > 0 for n in chunks)
    )


def _from_torch(data: Any, name: str) -> np.ndarray:
    import torch

    if not isinstance(data, torch.Tensor):
        raise ImageError(f"{name} is of type {type(data).__name__}: {_NUMBERS}.")
    tensor = data.detach()
    if tensor.layout != torch.strided:
        tensor = tensor.to_dense()
    if tensor.is_quantized:
        tensor = tensor.dequantize()
    if tensor.dtype == torch.bfloat16:
        tensor = tensor.float()
    return tensor.resolve_conj().resolve_neg().cpu().numpy()


def _refuse_mistakes(data: Any, name: str) -> None:
    """Raise ImageError for what people try first."""
    if data is None:
        raise ImageError(
            f"{name} is None: {_NUMBERS}; some readers return None for a file they cannot read."
        )
    if isinstance(data, (str, bytes, os.PathLike)):
        path = os.fsdecode(data)
        raise ImageError(f"{name} is the path {path!r}: read it first, or use `gifnet fuse`.")
    modules = {base.__module__ for base in type(data).__mro__}
    if any(module.startswith("napari.layers._multiscale") for module in modules):
        raise ImageError(f"{name} has several levels: choose one, for instance {name}[0].")
    if any(module.startswith("napari.layers") for module in modules):
        raise ImageError(
            f"{name} is a napari layer: use napari_gifnet.viewer.fuse_layers, or pass its data."
        )
    kind, remedy = type(data).__name__, None
    match _package(data), kind:
        case "napari", _:
            remedy = "pass the data of one of its layers"
        case "PIL", _ if data.mode not in ("1", "L", "F", "RGB", "RGBA") and data.mode[:1] != "I":
            raise ImageError(
                f'{name} is an image of mode {data.mode!r}: convert it, {name}.convert("RGB").'
            )
        case "SimpleITK", _:
            remedy = f"pass SimpleITK.GetArrayFromImage({name})"
        case "nibabel", _:
            remedy = f"pass {name}.get_fdata()"
        case "xarray", "Dataset" | "DataTree":
            remedy = "choose one of its variables"
        case "zarr" | "h5py", "Group" | "File":
            remedy = "choose one of its arrays"
        case "builtins", "dict" | "set" | "frozenset":
            remedy = "pass one image"
        case _ if isinstance(data, Iterable) and hasattr(data, "__next__"):
            remedy = "stack what it yields, numpy.stack(list(...))"
    if remedy is not None:
        article = "an" if kind[0] in "AEIOU" else "a"
        raise ImageError(f"{name} is {article} {kind} of {_package(data)}, no array: {remedy}.")


def _check_dtype(array: Any, name: str) -> None:
    dtype = array.dtype
    if dtype.kind in "biuf":
        return
    if dtype.kind == "c":
        reason = f"take a real part of it, for instance its magnitude, abs({name})"
    elif dtype.names:
        reason = f"take one of its fields, for instance {name}[{dtype.names[0]!r}]"
    elif dtype.kind in "UST":
        reason = "read the images first, if these are paths"
    elif dtype.kind == "O":
        reason = f"convert it, {name}.astype(float), if it holds numbers"
    else:
        reason = f"convert it, for instance {name}.astype(float)"
    raise ImageError(f"{name} has dtype {dtype}: expected booleans, integers or floats; {reason}.")


def _of_what(data: list[Any] | tuple[Any, ...]) -> str:
    """Return in words what a sequence holds."""
    kinds = sorted({type(each).__name__ for each in data})
    lengths = sorted({len(each) for each in data if isinstance(each, (list, tuple))})
    if len(kinds) == 1 and len(lengths) > 1:
        return (
            f"a {type(data).__name__} of rows of different lengths, {lengths[0]} to {lengths[-1]}"
        )
    shapes = sorted({str(tuple(each.shape)) for each in data if hasattr(each, "shape")})
    if len(kinds) == 1 and len(shapes) > 1:
        return f"a {type(data).__name__} of arrays of different shapes, {', '.join(shapes[:3])}"
    return f"a {type(data).__name__} of {', '.join(kinds)}"


def _package(data: Any) -> str:
    return type(data).__module__.partition(".")[0]
