"""Make the samples that ship: ``python tools/samples SOURCES [KEY ...]``.

SOURCES is a folder with the four files named below, which are not in the repository; how to get
them is told in src/napari_gifnet/sample_data/README.md. They are for pet_mri and multi_exposure: for
the others any folder will do. The same sources make the same images.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from pathlib import Path
from typing import Any

import exposure
import focus
import focus_stack
import head
import microfossils
import numpy as np
import street
import tifffile
from numpy.typing import NDArray
from PIL import Image

FOLDER = Path(__file__).parents[2] / "src" / "napari_gifnet" / "sample_data"
SOURCES = {
    "courtyard.exr": "1518fa37da6a8a389810a7a70262c410553018a51f0be9e248155b9bb363ff3d",
    "mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz": (
        "421a10e872fd6cadae7f61d358dffbcc1795a497d61ee76c5dda2503e1a1e9e6"
    ),
    "mni_icbm152_gm_tal_nlin_sym_09a_converted.nii.gz": (
        "97a5ca69bd24db37a9cb7b32525e1733a209af904129bf1cd36da06d24243bed"
    ),
    "mni_icbm152_wm_tal_nlin_sym_09a_converted.nii.gz": (
        "382d92812de4744f9c86c7a0e4f680dc317a0a50e4da1f0153618a6798c7b7db"
    ),
}


def make_pet_mri(sources: Path) -> None:
    rng = np.random.default_rng(152)
    patient = head.build_head(sources, rng)
    write_volume("mri.tif", head.scan_mri(patient, rng), (1.0,) * 3, head.MRI_ORIGIN)
    lesions = [
        {"name": lesion.name, "position": patient.lesions[lesion.name], "diameter": lesion.diameter}
        for lesion in head.LESIONS
    ]
    write_volume(
        "pet.tif",
        head.scan_pet(patient, rng),
        (head.PET_SPACING,) * 3,
        head.PET_ORIGIN,
        values=head.PET_UNIT,
        lesions=lesions,
    )


def make_infrared_visible(_: Path) -> None:
    infrared, visible = street.render(np.random.default_rng(10))
    write_picture("infrared.png", infrared)
    write_picture("visible.png", visible)


def make_multi_focus(_: Path) -> None:
    near, far = focus.photograph_both()
    write_picture("near_focus.png", near)
    write_picture("far_focus.png", far)


def make_multi_exposure(sources: Path) -> None:
    over, under = exposure.photograph_both(sources, np.random.default_rng(3))
    write_picture("over_exposed.png", over)
    write_picture("under_exposed.png", under)


def make_focus_stack(_: Path) -> None:
    slide = microfossils.Slide(np.random.default_rng(focus_stack.SEED))
    stack = focus_stack.photograph(slide, np.random.default_rng(focus_stack.SEED + 1))
    write_micrograph("focus_stack.tif", stack, "ZYX")
    write_micrograph("focus_stack_depth.tif", focus_stack.depth_map(slide), "YX")


MAKERS = {
    "pet_mri": make_pet_mri,
    "infrared_visible": make_infrared_visible,
    "multi_focus": make_multi_focus,
    "multi_exposure": make_multi_exposure,
    "focus_stack": make_focus_stack,
}
NEEDED = {
    "pet_mri": [name for name in SOURCES if name.startswith("mni_")],
    "multi_exposure": ["courtyard.exr"],
}


def write_volume(
    name: str,
    volume: NDArray,
    scale: tuple[float, ...],
    translate: tuple[float, ...],
    **facts: Any,
) -> None:
    metadata = {"axes": "ZYX", "units": "mm", "scale": scale, "translate": translate, **facts}
    tifffile.imwrite(
        FOLDER / name, volume, compression="lzma", predictor=2, software=False, metadata=metadata
    )


def write_micrograph(name: str, picture: NDArray, axes: str) -> None:
    across, depth = focus_stack.PIXEL, focus_stack.PIXEL * focus_stack.STEP  # µm
    tifffile.imwrite(
        FOLDER / name,
        picture,
        imagej=True,
        compression="zlib",
        compressionargs={"level": 9},
        predictor=2 if picture.dtype == np.uint8 else None,
        software=False,
        resolution=(1 / across, 1 / across),
        metadata={"axes": axes, "unit": "um"} | ({"spacing": depth} if "Z" in axes else {}),
    )


def write_picture(name: str, picture: NDArray) -> None:
    Image.fromarray(picture).save(FOLDER / name, optimize=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="samples", description=__doc__)
    parser.add_argument("sources", type=Path)
    parser.add_argument("keys", nargs="*", metavar="KEY", help=f"some of {', '.join(MAKERS)}")
    arguments = parser.parse_args()
    keys = arguments.keys or list(MAKERS)
    for name in dict.fromkeys(name for key in keys for name in NEEDED.get(key, [])):
        path = arguments.sources / name
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != SOURCES[name]:
            sys.exit(
                f"{path} is missing or is another file than expected (SHA-256 {SOURCES[name]})"
            )
    for key in keys:
        MAKERS[key](arguments.sources)
        print(key, "done")


if __name__ == "__main__":
    main()
