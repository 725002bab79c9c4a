"""Collect the free photographs that weights are trained on.

    python tools/photographs.py --output photographs

They come from two of Debian's packages (`apt-get download`, or the .deb files of --packages) and from
scikit-image. Held-out scenes are every tenth of a folder, so that it must hold just these.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from skimage import data, io

PACKAGES = {"mate-backgrounds": "1.26.0", "plasma-workspace-wallpapers": "5.27.5"}
WALLPAPERS = [
    "Autumn",
    "BytheWater",
    "ColorfulCups",
    "DarkestHour",
    "EveningGlow",
    "FallenLeaf",
    "Grey",
    "Kite",
    "OneStandsOut",
    "Path",
    "summer_1am",
]
# not astronaut, camera, chelsea, coffee, rocket and stereo_motorcycle: they judge
OF_SKIMAGE = [
    "brick",
    "coins",
    "grass",
    "gravel",
    "hubble_deep_field",
    "immunohistochemistry",
    "moon",
    "page",
    "retina",
    "text",
]


def unpack(packages: Path | None, into: Path) -> None:
    """Unpack the two packages, downloaded unless they are in a folder."""
    if packages is None:
        packages = into
        if shutil.which("apt-get") is None:
            sys.exit("There is no apt-get here: expected the .deb files, in a folder --packages.")
        subprocess.run(["apt-get", "download", *PACKAGES], cwd=into, check=True)
    for name, version in PACKAGES.items():
        found = sorted(packages.glob(f"{name}_*{version}*.deb"))
        if not found:
            there = ", ".join(path.name for path in packages.glob(f"{name}_*.deb")) or "none"
            sys.exit(
                f"Of {name} there is {there}: expected version {version}, Debian 12's; give its .deb "
                "in a folder --packages."
            )
        subprocess.run(["dpkg", "-x", found[-1], into], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--packages", type=Path, metavar="DIR", help="holds the .deb files")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR")
    options = parser.parse_args()

    options.output.mkdir(parents=True, exist_ok=True)
    if any(options.output.iterdir()):
        parser.error(f"{options.output} is not empty: expected a new folder for --output")
    with tempfile.TemporaryDirectory() as folder:
        unpack(options.packages, Path(folder))
        share = Path(folder) / "usr" / "share"
        mate = share / "backgrounds" / "mate"
        for path in (*sorted((mate / "nature").glob("*.jpg")), mate / "abstract" / "Elephants.jpg"):
            shutil.copy(path, options.output)
        for name in WALLPAPERS:
            path = share / "wallpapers" / name / "contents" / "images" / "2560x1600.jpg"
            shutil.copy(path, options.output / f"{name}.jpg")
    for name in OF_SKIMAGE:
        io.imsave(options.output / f"{name}.png", getattr(data, name)(), check_contrast=False)
    print(f"{len(list(options.output.iterdir()))} photographs in {options.output}")


if __name__ == "__main__":
    main()
