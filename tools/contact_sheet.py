"""A contact sheet of every example: A, B, and what the network and other methods make of them.

    python tools/contact_sheet.py
    python tools/contact_sheet.py --models gifnet gifnet-cvpr2025 --methods pyramid

Rows are the samples that ship and, where ../shared has them, the examples of GIFNet's authors.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

from napari_gifnet import fuse, load_model
from napari_gifnet.baselines import BASELINES
from napari_gifnet.cli.demo import heat, load_slices
from napari_gifnet.files.formats import read
from napari_gifnet.files.samples import list_samples, load_sample
from napari_gifnet.models import DEFAULT_MODEL
from napari_gifnet.planes.tasks import PANSHARPENING, TASKS

EXAMPLES = Path(__file__).resolve().parents[2] / "shared" / "data" / "gifnet_examples"
CELL = 360, 270  # width and height of a picture, in pixels
GAP, LINE = 10, 26
TRUE_COLOR = [2, 1, 0]  # of the bands blue, green, red, near infrared


class Pair(NamedTuple):
    """A row of the sheet."""

    title: str
    task: str
    a: np.ndarray
    b: np.ndarray


def authors_examples() -> Iterator[Pair]:
    """Yield the authors' example of each task, where they are there."""
    for task in TASKS if EXAMPLES.is_dir() else ():
        files = sorted((EXAMPLES / task).iterdir())
        *a, b = (read(path).data for path in files)  # ms_band1, …, pan sort like a, b
        yield Pair(
            f"{TASKS[task].title}: the authors' example",
            task,
            np.stack(a) if len(a) > 1 else a[0],
            b,
        )


def shipped_samples() -> Iterator[Pair]:
    """Yield the pairs of the package; of the brain the slice through a lesion."""
    for sample in list_samples():
        if sample.key == "pet_mri":
            uptake, mri, _, _ = load_slices(1)
            pet = heat(uptake)
            yield Pair(sample.title, sample.task, pet[0], mri[0])
        elif sample.shipped and sample.b:
            a, b = load_sample(sample)
            yield Pair(sample.title, sample.task, a.data, b.data)


def cell(image: np.ndarray, gain: np.ndarray) -> Image.Image:
    """Return an image as a picture that fits a cell; bands in true colour, floats from [0, 1]."""
    gain = gain if image.ndim == 3 else gain.mean()
    if image.ndim == 3 and image.shape[-1] != 3:
        image = np.moveaxis(image[TRUE_COLOR], 0, -1)
    scaled = image * (gain if image.dtype == np.uint8 else 255 * gain)
    picture = Image.fromarray(np.clip(scaled + 0.5, 0, 255).astype(np.uint8))
    return ImageOps.contain(picture.convert("RGB"), CELL, Image.Resampling.LANCZOS)


def draw_row(title: str, pictures: dict[str, np.ndarray], gain: np.ndarray) -> Image.Image:
    """Return the pictures side by side under the title, with its name above each."""
    cells = {name: cell(image, gain) for name, image in pictures.items()}
    height = max(picture.height for picture in cells.values())
    row = Image.new("RGB", (len(cells) * (CELL[0] + GAP), height + 2 * LINE + GAP), "white")
    draw = ImageDraw.Draw(row)
    draw.text((GAP, 4), title, "black", ImageFont.load_default(18))
    for column, (name, picture) in enumerate(cells.items()):
        left = column * (CELL[0] + GAP) + GAP // 2
        draw.text((left + GAP // 2, LINE + 3), name, "dimgray", ImageFont.load_default(15))
        row.paste(picture, (left, 2 * LINE))
    return row


def main() -> None:
    """Fuse every pair by every method and write the sheet."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--models", nargs="+", default=[DEFAULT_MODEL], help="names or checkpoints' paths"
    )
    parser.add_argument("--methods", nargs="*", default=[], choices=BASELINES, metavar="BASELINE")
    parser.add_argument("--output", type=Path, default=Path("contact_sheet.png"))
    options = parser.parse_args()
    models = [load_model(name) for name in options.models]
    rows = []
    for pair in (*authors_examples(), *shipped_samples()):
        start = time.perf_counter()
        task = TASKS[pair.task]
        pictures = {task.a: pair.a, task.b: pair.b}
        for model in models:
            pictures[model.name] = fuse(pair.a, pair.b, task=pair.task, model=model, dtype=np.uint8)
        for name in options.methods:
            pictures[name] = fuse(pair.a, pair.b, task=pair.task, model=name, dtype=np.uint8)
        gain = np.ones(3)
        if task == PANSHARPENING:  # what a satellite sees is dark and without white balance
            gain = 255 / np.percentile(pair.a[TRUE_COLOR], 99.5, axis=(1, 2))
        rows.append(draw_row(pair.title, pictures, gain))
        print(f"{pair.title}: {time.perf_counter() - start:.1f} s", flush=True)
    sheet = Image.new("RGB", (rows[0].width, sum(row.height + GAP for row in rows)), "white")
    top = 0
    for row in rows:
        sheet.paste(row, (0, top))
        top += row.height + GAP
    sheet.save(options.output)
    print(f"{options.output}: {len(rows)} pairs")


if __name__ == "__main__":
    main()
