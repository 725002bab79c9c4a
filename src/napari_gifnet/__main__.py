"""``gifnet`` and ``python -m napari_gifnet``: the command line, or a sentence on how to get it."""

import os
import sys


def main() -> None:
    """Run the command line; its packages are an extra."""
    # Threads that spin while they wait make torch many times slower on a busy machine.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        from .cli import app
    except ModuleNotFoundError as error:
        if error.name not in {"typer", "rich"}:
            raise
        sys.exit(
            f"gifnet: the command line needs the package {error.name!r}; "
            "install it with: pip install 'napari-gifnet[cli]'"
        )
    app()


if __name__ == "__main__":
    main()
