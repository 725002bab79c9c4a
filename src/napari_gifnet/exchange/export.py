"""A model as a file that other programs read; the name says which kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from napari_gifnet.checkpoints import BANDS
from napari_gifnet.errors import MissingDependencyError, OptionError
from napari_gifnet.files.destinations import check_destination, complete_file
from napari_gifnet.models import Model, list_models, load_model
from napari_gifnet.planes.tasks import find_task

SUFFIXES = (".onnx", ".zip")


def export_model(
    model: str | Path | Model, path: str | Path, *, task: str | None = None, overwrite: bool = False
) -> None:
    """Write a model of the band network for other programs.

    Parameters
    ----------
    model : str, Path or Model
        What `napari_gifnet.load_model` takes, ``"gifnet-bands"`` say.
    path : str or Path
        ``.onnx`` for the network alone, of planes (1, P, H, W), float32 in [0, 1], any number and any
        size of them; ``.zip`` for a package for bioimage.io with the same network, a description, and
        an example with its result.
    task : str, optional
        The preset that all planes will be of; without it the network finds out.
    overwrite : bool
        Whether a file of that name may be replaced.

    Raises
    ------
    OptionError
        The model is of another network, the preset or the kind of file is unknown.
    FileError
        The file cannot be written; none is left behind.
    CheckpointError, DownloadError
        As for `napari_gifnet.load_model`.
    MissingDependencyError
        The package that writes such files is not installed.

    Examples
    --------
    >>> export_model("gifnet", "gifnet.onnx")
    Traceback (most recent call last):
    napari_gifnet.errors.OptionError: model='gifnet' is normalized by the whole plane...
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise OptionError(
            f"{path.name} ends in {path.suffix or 'nothing'}: expected .onnx for a network, or .zip for "
            "a package for bioimage.io."
        )
    loaded = load_model(model)
    if loaded.architecture != BANDS:
        raise OptionError(
            f"model={loaded.name!r} is normalized by the whole plane, which these files do not hold: "
            "expected weights of the band network, such as 'gifnet-bands'."
        )
    if task is not None:
        task = _known_to_bands(task)
    check_destination(path, overwrite)
    write = _write_onnx if path.suffix.lower() == ".onnx" else _write_package
    with complete_file(path) as unfinished:
        write(loaded, task, unfinished)


def _known_to_bands(task: str) -> str:
    from napari_gifnet.network.bands import TASKS

    found = find_task(task)
    if found is None or found.name not in TASKS:
        raise OptionError(
            f"task={task!r} is none that the network was trained for: expected one of "
            f"{', '.join(TASKS)}."
        )
    return found.name


def _write_onnx(model: Model, task: str | None, path: Path) -> None:
    path.write_bytes(onnx_of(model, task).SerializeToString())


def _write_package(model: Model, task: str | None, path: Path) -> None:
    try:
        from .bioimage import write_package
    except ImportError as error:
        raise missing("A package for bioimage.io", error) from error
    write_package(model, task, licence_of(model), onnx_of(model, task), path)


def onnx_of(model: Model, task: str | None) -> Any:
    """Return the model in ONNX, with its name, digest and licence."""
    import napari_gifnet

    try:
        import onnx  # noqa: F401
    except ImportError as error:
        raise missing("A model in ONNX", error) from error
    from .onnx_bands import onnx_of_bands

    facts = {
        "name": Path(model.name).name,
        "sha256": model.sha256,
        "licence": licence_of(model),
        "task": task or "any",
        "version": napari_gifnet.__version__,
    }
    return onnx_of_bands(model.network, task, facts)  # type: ignore[arg-type]


def licence_of(model: Model) -> str:
    """Return the terms of a model's weights; of a file of one's own they are one's own."""
    return next((m.licence for m in list_models() if m.name == model.name), "not stated")


def missing(what: str, error: ImportError) -> MissingDependencyError:
    """Return what to raise where a package is not installed."""
    return MissingDependencyError(
        f"{what} needs {error.name}, which is not installed: pip install 'napari-gifnet[exchange]'."
    )
