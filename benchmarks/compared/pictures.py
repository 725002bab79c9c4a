"""Crops of what the methods of `peers.py` make of the samples that ship, side by side."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from skimage.color import gray2rgb

from napari_gifnet.files.samples import load_sample

HEIGHT, WIDTH, ZOOM = 120, 160, 1.5
LINE = 24
CORNERS = {
    "focus multi_focus": (10, 330),
    "focus focus_stack": (75, 60),
    "exposures multi_exposure": (125, 225),
    "infrared infrared_visible": (205, 80),
}
"""Each sample behind its task, and the upper left corner of its crop."""


def planes_of(sample: str) -> np.ndarray:
    """A sample's planes (n, Y, X) or (n, Y, X, 3), float32 in [0, 1]."""
    parts = [part.data for part in load_sample(sample)]
    if len(parts) == 1:
        (planes,) = parts
    else:
        planes = np.stack([gray2rgb(part) if part.ndim == 2 else part for part in parts])
    return planes / np.float32(255)


def draw_row(title: str, pictures: list[np.ndarray | None]) -> Image.Image:
    """The crops beside each other under their name; white where a method has none."""
    height, width = int(HEIGHT * ZOOM), int(WIDTH * ZOOM)
    row = Image.new("RGB", (len(pictures) * width, height + LINE), "white")
    ImageDraw.Draw(row).text((4, 3), title, "black", ImageFont.load_default(15))
    for place, (picture, (top, left)) in enumerate(zip(pictures, CORNERS.values(), strict=True)):
        if picture is not None:
            part = picture[top : top + HEIGHT, left : left + WIDTH]
            part = gray2rgb(part) if part.ndim == 2 else part
            levels = np.round(np.clip(part, 0, 1) * 255).astype(np.uint8)
            crop = Image.fromarray(levels).resize((width, height), Image.Resampling.LANCZOS)
            row.paste(crop, (place * width, LINE))
    return row


def write_picture(
    path: Path, names: dict[str, str], run: Callable[[str, Path, list[str]], Path]
) -> None:
    """Fuse the samples by each method of `names`, whose values are titles, and write a sheet of crops."""
    with tempfile.TemporaryDirectory() as folder:
        inputs = {case: planes_of(case.split()[1]) for case in CORNERS}
        for case, planes in inputs.items():
            np.save(Path(folder) / f"{case}.npy", planes)
        rows = [
            draw_row("first source", [planes[0] for planes in inputs.values()]),
            draw_row("last source", [planes[-1] for planes in inputs.values()]),
        ]
        for name, title in names.items():
            made = run(name, Path(folder), list(CORNERS))
            found = [made / f"{case}.npy" for case in CORNERS]
            rows.append(
                draw_row(
                    title.replace("`", ""), [np.load(p) if p.exists() else None for p in found]
                )
            )
    sheet = Image.new("RGB", (rows[0].width, sum(row.height for row in rows)))
    top = 0
    for row in rows:
        sheet.paste(row, (0, top))
        top += row.height
    sheet.save(path, quality=80)
