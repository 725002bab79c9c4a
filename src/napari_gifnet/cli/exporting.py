"""``gifnet export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .console import note


def export(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A model's name, or a checkpoint's path.")
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="FILE.onnx for the network, FILE.zip for a package for bioimage.io.",
        ),
    ],
    task: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="What all images will be, as for fuse; else the network finds out."
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a file that is there.")
    ] = False,
) -> None:
    """Write the band network for other programs: ONNX, or a package for bioimage.io.

    The network takes any number of planes of any size, (1, P, Y, X) in float32 from 0 to 1, and returns
    the fused plane and the index of the plane that each pixel comes from.

    \b
    Examples:
      gifnet export gifnet-bands -o bands.onnx
      gifnet export gifnet-bands --task multi_focus -o focus.onnx
      gifnet export gifnet-bands -o bands.zip
    """
    from napari_gifnet.exchange import export_model

    export_model(model, output, task=task, overwrite=overwrite)
    note(f"{output}: {model}, any number of planes of any size.")
