"""The command line, ``gifnet``. Each command's module is light; torch comes with the first run."""

from __future__ import annotations

from typing import Annotated

import typer

from .aligning import align
from .console import Commands, help_text
from .demo import demo
from .evaluating import evaluate
from .exporting import export
from .fusing import enhance, fuse
from .listing import models, samples
from .training import train

__all__ = ["app"]

app = typer.Typer(
    name="gifnet",
    cls=Commands,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (fuse, enhance, align, evaluate, demo, train, models, export, samples):
    app.command(help=help_text(command))(command)


def _show_version(wanted: bool) -> None:
    if wanted:
        from napari_gifnet import __version__

        typer.echo(f"napari-gifnet {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Fuse two images of one scene, or sharpen one, with the neural network GIFNet.

    \b
    Start here:
      gifnet demo                                    see a brain in PET and MRI
      gifnet fuse A.png B.png -o fused.png           fuse two images of your own
      gifnet align FIXED.png MOVING.png -o m.png     lay one image on another
      gifnet fuse --help                             all about it, with examples
    """
