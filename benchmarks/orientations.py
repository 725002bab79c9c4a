"""PET and MRI of the phantom as NIfTI in four orientations, fused by a network in the shell.

    python benchmarks/orientations.py [--every 4] [--model gifnet]

Each volume is stored with its axes exchanged and flipped, as scanners do, and fused by ``gifnet fuse``.
The table says how far each result is from that of the first orientation at the same places of the
world, in gray levels (1/255), how far its affine is from its input's, and what the run took.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from napari_gifnet.files.formats import ImageFile, read, write
from napari_gifnet.files.samples import load_sample
from napari_gifnet.grids.world_grid import WorldGrid

ORIENTATIONS = {
    "axial, LPS": ((0, 1, 2), (False, False, False)),
    "axial, RAS": ((0, 1, 2), (True, True, False)),
    "sagittal": ((1, 2, 0), (False, True, False)),
    "coronal": ((0, 2, 1), (True, False, True)),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--every", type=int, default=4, help="take every n-th voxel along each axis"
    )
    parser.add_argument("--model", default="gifnet")
    options = parser.parse_args()
    print("| orientation | gray levels from the first | affine from the input's | seconds |")
    print("|---|---|---|---|")
    first = None
    with tempfile.TemporaryDirectory() as folder:
        for name, orientation in ORIENTATIONS.items():
            files = [Path(folder) / f"{side}.nii.gz" for side in ("pet", "mri")]
            for path, image in zip(files, load_sample("pet_mri"), strict=True):
                store(path, image, options.every, orientation)
            seconds, fused = fuse(files, options.model)
            first = fused if first is None else first
            apart = np.nanmax(np.abs(np.asarray(fused.data) - first.data)) * 255
            off = np.abs(fused.orientation.matrix - read(files[1]).orientation.matrix).max()
            print(f"| {name} | {apart:.3f} | {off:.1e} | {seconds:.1f} |", flush=True)


def store(path, image, every, orientation) -> None:
    """Write every n-th voxel of a side of the sample, stored in an orientation."""
    import nibabel

    part = (slice(None, None, every),) * 3
    whole = WorldGrid(image.data.shape, scale=image.scale, translate=image.translate, units="mm")
    data = image.data[part]
    write(path, data, "ZYX", like=ImageFile(data, "ZYX", grid=whole.crop(part)))
    found = nibabel.load(path)
    order, flips = orientation
    turns = [[order.index(axis), -1 if flip else 1] for axis, flip in enumerate(flips)]
    nibabel.save(found.as_reoriented(np.array(turns)), path)


def fuse(files, model) -> tuple[float, ImageFile]:
    """Return what a run of the shell took, and its result."""
    out = files[0].with_name("fused.nii.gz")
    words = ["fuse", *files, "--task", "pet_mri", "--model", model, "-o", out, "--overwrite"]
    start = time.perf_counter()
    command = [sys.executable, "-m", "napari_gifnet", *map(str, words)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start, read(out)


if __name__ == "__main__":
    main()
