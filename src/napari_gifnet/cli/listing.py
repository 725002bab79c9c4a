"""``gifnet models`` and ``gifnet samples``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_gifnet.download import cache_dir
from napari_gifnet.files.formats import (
    ImageFile,
    Length,
    check_destination,
    check_format,
    make_folder,
    write,
)
from napari_gifnet.files.image_file import full_suffix
from napari_gifnet.files.samples import SampleImage, find_sample, list_samples, load_sample
from napari_gifnet.models import DEFAULT_MODEL, list_models

from .console import progress_bar


def models() -> None:
    """List the models that --model takes by name.

    \b
    Examples:
      gifnet models
      gifnet fuse A.png B.png --model gifnet-cvpr2025 -o fused.png
      gifnet fuse A.png B.png --model training/last.safetensors -o fused.png
    """
    for model in list_models():
        typer.echo(model.name + (" (default)" if model.name == DEFAULT_MODEL else ""))
        typer.echo(f"    {model.summary}")
        typer.echo(f"    Licence: {model.licence}.")
    typer.echo(f"Downloads are kept in {cache_dir()}.")


def samples(
    key: Annotated[
        str | None,
        typer.Argument(
            metavar="KEY",
            help="The sample to write as files; without it, all are listed.",
            show_default=False,
            autocompletion=lambda: [sample.key for sample in list_samples()],
        ),
    ] = None,
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="DIR", help="The folder for the files, made if need be."
        ),
    ] = Path(),
    suffix: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="SUFFIX",
            help="What the names of the files end in: .tif, .nii.gz, .nrrd …; volumes keep their place "
            "in the world in all but .tif.",
            show_default=".png for planes, .tif for the rest",
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace files that are there.")
    ] = False,
) -> None:
    """List the samples, or write one as image files.

    \b
    Examples:
      gifnet samples
      gifnet samples multi_focus -o pictures
      gifnet samples pet_mri --format .nii.gz -o brain
      gifnet samples focus_stack -o pictures
    """
    if key is None:
        _list_samples()
        return
    sample = find_sample(key)
    with progress_bar("Downloading") as report:
        images = load_sample(sample, progress=report)
    make_folder(output)
    ending = f".{suffix.lstrip('.')}" if suffix else None
    paths = [
        output / f"{key}{side}{ending or ('.png' if image.data.ndim == 2 + image.rgb else '.tif')}"
        for side, image in zip(["_a", "_b"] if len(images) == 2 else [""], images, strict=True)
    ]
    for path, image in zip(paths, images, strict=True):
        check_destination(path, overwrite)
        check_format(path, _axes(image), image.data.dtype)
    for path, image in zip(paths, images, strict=True):
        _write_sample(path, image, sample.provenance)
        typer.echo(f"{path}: {image.name}, {'×'.join(map(str, image.data.shape))}")
    if sample.depth:
        typer.echo(f"The plane that each pixel is sharp in: {images[0].facts['depth']}")
    typer.echo(f"{sample.provenance}. Licence: {sample.licence}. See {sample.source}.")


def _list_samples() -> None:
    for sample in list_samples():
        where = "ships with the package" if sample.shipped else "downloaded on first use"
        typer.echo(f"{sample.key:24} {sample.title.removesuffix(' (download)')}; {where}")


def _axes(image: SampleImage) -> str:
    axes = "".join({"band": "C"}.get(label, label.upper()) for label in image.axis_labels)
    return axes + "S" if image.rgb else axes


def _write_sample(path: Path, image: SampleImage, description: str) -> None:
    axes = _axes(image)
    if image.units == "pixel":
        write(path, image.data, axes, description=description)
        return
    from napari_gifnet.grids.world_grid import WorldGrid

    sizes = zip(axes, image.scale, strict=False)
    grid = WorldGrid(
        image.data.shape[: len(image.scale)],
        scale=image.scale,
        translate=image.translate,
        units=image.units,
        name=image.name,
    )
    spacing = {axis: Length(n, image.units) for axis, n in sizes}
    holds_places = full_suffix(path) not in (".tif", ".tiff")
    like = ImageFile(image.data, axes, spacing, grid if holds_places else None)
    write(path, image.data, axes, like=like, description=description)
