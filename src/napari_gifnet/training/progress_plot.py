"""A picture of how a training goes: the fixed samples, and the losses."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import torch

from napari_gifnet.network import GIFNet

from .samples import Batch


def draw_progress(network: GIFNet, batch: Batch, folder: Path) -> None:
    """Write ``progress.png``: a, b, fused of a batch from top to bottom, and the loss below."""
    from PIL import Image, ImageDraw

    device = next(network.parameters()).device
    with torch.inference_mode():
        fused = network(batch.a.to(device), batch.b.to(device)).cpu()
    rows = [torch.cat(list(planes[:, 0]), dim=1) for planes in (batch.a, batch.b, fused)]
    sheet = (torch.cat(rows).numpy() * 255).round().astype(np.uint8)

    height, width = sheet.shape
    picture = Image.new("L", (width, height + 200), 255)
    picture.paste(Image.fromarray(sheet))
    with (folder / "losses.csv").open(newline="") as file:
        loss = np.array([float(row["loss"]) for row in csv.DictReader(file)])
    if len(loss) > 1:
        window = max(1, len(loss) // 50)
        smooth = np.convolve(loss, np.full(window, 1 / window), "valid")
        x = np.linspace(0, width - 1, len(smooth))
        y = height + 190 - 180 * smooth / smooth.max()
        draw = ImageDraw.Draw(picture)
        draw.line(list(zip(x.tolist(), y.tolist(), strict=True)), fill=0, width=2)
        draw.text((4, height + 4), f"loss {smooth[0]:.3g} to {smooth[-1]:.3g}", fill=0)
    picture.save(folder / "progress.png")
