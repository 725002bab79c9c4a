"""Make docs/gallery.md and its pictures: two images and what GIFNet makes of them, side by side.

    python tools/gallery.py

The images are the samples that ship and pictures that scikit-image ships, from which pairs are made: focus by
blurring a side of a picture, exposures in linear light, modalities from its channels or its stains.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image as Picture
from scipy.ndimage import gaussian_filter
from skimage import color, data

from napari_gifnet import fuse, fuse_stack
from napari_gifnet.files.samples import load_sample

HEIGHT = 240


@dataclass
class Pair:
    """A row of the gallery."""

    name: str
    title: str
    words: str
    task: str | None
    a: np.ndarray
    b: np.ndarray


def pairs() -> Iterator[Pair]:
    """All pairs, those of the samples first."""
    yield from of_samples()
    yield from of_focus()
    yield from of_exposures()
    yield from of_channels()


def of_samples() -> Iterator[Pair]:
    """The pairs on one grid as they ship."""
    for task, title, words in (
        ("infrared_visible", "People in the dark and behind steam", "infrared; visible"),
        ("multi_focus", "A motorcycle", "near focus; far focus"),
        ("multi_exposure", "A courtyard", "over-exposed; under-exposed"),
    ):
        a, b = (side.data for side in load_sample(task))
        yield Pair(task, title, f"{words}; the sample `{task}`", task, a, b)


def of_focus() -> Iterator[Pair]:
    """Pictures with one side of a line out of focus, and with the other."""
    for name, title in (("chelsea", "A cat"), ("coffee", "A cup"), ("ihc", "A tissue section")):
        picture = getattr(data, {"ihc": "immunohistochemistry"}.get(name, name))() / 255
        blurred = gaussian_filter(picture, (3, 3, 0))
        across = np.linspace(0, 1, picture.shape[1])[None, :, None]
        near = 1 / (1 + np.exp((across - 0.5) * 60))
        sides = near * picture + (1 - near) * blurred, near * blurred + (1 - near) * picture
        words = "left half in focus; right half; made of a picture of `skimage.data`"
        yield Pair(f"focus_{name}", title, words, "multi_focus", *sides)


def of_exposures() -> Iterator[Pair]:
    """Pictures exposed four stops apart, in linear light, and clipped."""
    for name, title in (
        ("astronaut", "A portrait"),
        ("rocket", "A launch"),
        ("retina", "A retina"),
    ):
        light = (getattr(data, name)() / 255) ** 2.2
        over, under = (np.clip(light * gain, 0, 1) ** (1 / 2.2) for gain in (4, 0.25))
        words = "two stops over; two under; made of a picture of `skimage.data`"
        yield Pair(f"exposure_{name}", title, words, "multi_exposure", over, under)


def of_channels() -> Iterator[Pair]:
    """What two channels, bands or stains of one picture show."""
    stains = color.rgb2hed(data.immunohistochemistry())
    dab, nuclei = (
        1 - np.clip(stains[..., i] / np.percentile(stains[..., i], 99.5), 0, 1) for i in (2, 0)
    )
    yield Pair(
        "stains", "Two stains", "DAB; haematoxylin; unmixed from a section", None, dab, nuclei
    )
    deep = data.hubble_deep_field()[200:600, 300:900] / 255
    yield Pair(
        "galaxies", "Deep field", "red band; blue band, as gray", None, deep[..., 0], deep[..., 2]
    )
    fundus = data.retina()[300:1100, 300:1300] / 255
    yield Pair(
        "fundus", "Vessels", "red band; green band, as gray", None, fundus[..., 0], fundus[..., 1]
    )
    leaf = data.coffee()[:384, :576] / 255
    coarse = gaussian_filter(leaf, (2, 2, 0))[::4, ::4].repeat(4, axis=0).repeat(4, axis=1)
    bands = np.moveaxis(coarse, -1, 0)
    yield Pair(
        "pansharpening",
        "Pansharpening",
        "colour at a quarter; gray at full size",
        "pansharpening",
        bands,
        leaf.mean(-1),
    )


def row(images: list[np.ndarray]) -> Picture.Image:
    """Images side by side, of one height, in sRGB."""
    pictures = []
    for image in images:
        values = np.asarray(image, dtype=float)
        if values.ndim == 3 and values.shape[0] == 3:
            values = np.moveaxis(values, 0, -1)
        if values.max() > 1:
            values = values / 255
        shown = Picture.fromarray((np.clip(values, 0, 1) * 255).round().astype(np.uint8)).convert(
            "RGB"
        )
        width = round(shown.width * HEIGHT / shown.height)
        pictures.append(shown.resize((width, HEIGHT), Picture.Resampling.LANCZOS))
    whole = Picture.new(
        "RGB", (sum(p.width for p in pictures) + 4 * (len(pictures) - 1), HEIGHT), "white"
    )
    left = 0
    for picture in pictures:
        whole.paste(picture, (left, 0))
        left += picture.width + 4
    return whole


def smaller(image: np.ndarray, task: str | None) -> np.ndarray:
    """An image of at most 2·HEIGHT rows."""
    step = max(1, round(image.shape[0] / (1.5 * HEIGHT))) if task != "pansharpening" else 1
    if step == 1:
        return image
    blur = (step / 2, step / 2) + (0,) * (image.ndim - 2)
    return gaussian_filter(image, blur)[::step, ::step]


def brain() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """PET in colour, MRI and their fusion, of the phantom's slice through a lesion."""
    from napari.layers import Image

    from napari_gifnet.viewer import fuse_layers

    pet, mri = (
        Image(s.data, name=s.name, scale=s.scale, translate=s.translate, units=s.units)
        for s in load_sample("pet_mri")
    )
    pet.colormap = "hot"
    extent = (slice(67, 68), slice(None), slice(None))
    fused = fuse_layers(pet, mri, task="pet_mri", extent=extent)
    low, high = pet.contrast_limits
    z = round(float((67 * mri.scale[0] + mri.translate[0] - pet.translate[0]) / pet.scale[0]))
    shown = pet.colormap.map(np.clip((pet.data[z] - low) / (high - low), 0, 1).ravel())
    colours = shown.reshape(*pet.data.shape[1:], 4)[..., :3]
    return colours, mri.data[67] / mri.data[67].max(), np.asarray(fused.data).squeeze()


def main() -> None:
    """Make the pictures and the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("docs"))
    parser.add_argument("--model", default="gifnet", help="for two images")
    arguments = parser.parse_args()
    folder = arguments.output / "gallery"
    folder.mkdir(parents=True, exist_ok=True)
    lines = [
        "# Gallery",
        "",
        f"`python tools/gallery.py` makes this page: two images, and what `{arguments.model}` makes of them.",
        "The samples ship with the project; the other pairs are made from pictures that scikit-image ships.",
        "",
    ]

    def show(name: str, title: str, words: str, images: list[np.ndarray]) -> None:
        row(images).save(folder / f"{name}.jpg", quality=88)
        lines.extend([f"## {title}", "", f"![{words}](gallery/{name}.jpg)", ""])
        lines.extend([words[0].upper() + words[1:] + ".", ""])
        print(name, flush=True)

    show(
        "pet_mri",
        "A brain in PET and MRI",
        "PET in *hot*; MRI; the sample `pet_mri`; the result",
        list(brain()),
    )
    for pair in pairs():
        a, b = smaller(pair.a, pair.task), smaller(pair.b, pair.task)
        fused = fuse(a, b, task=pair.task, model=arguments.model)
        show(pair.name, pair.title, f"{pair.words}; the result", [a, b, np.asarray(fused)])
    (stack,) = load_sample("focus_stack")
    flat, height = fuse_stack(stack.data, return_index=True)
    words = "the first and the last of ten focus planes; all ten as one; their height map, by `gifnet-bands`"
    images = [stack.data[0], stack.data[-1], flat, (height - height.min()) / np.ptp(height)]
    show("focus_stack", "Microfossils", words, images)
    (arguments.output / "gallery.md").write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
