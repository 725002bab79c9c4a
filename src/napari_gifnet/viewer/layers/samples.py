"""The samples as napari layers: one provider for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from napari_gifnet.files.samples import Sample, SampleImage, find_sample, load_sample

LayerData = tuple[Any, dict[str, Any], str]

# how the modality side is shown above the detail side
_COLORMAPS = {"pet_mri": "hot", "infrared_visible": "inferno"}


def pet_mri() -> list[LayerData]:
    """A brain phantom: MRI, and PET on another grid; an empty viewer opens it at a lesion."""
    layers = _layers("pet_mri")
    pet = layers[-1][1]["metadata"]["napari_gifnet"]
    _go_to_when_added(pet, pet["lesions"][0]["position"][0])
    return layers


def infrared_visible() -> list[LayerData]:
    """A street at night, in colour and in thermal infrared."""
    return _layers("infrared_visible")


def multi_focus() -> list[LayerData]:
    """A motorcycle and the workshop behind it, each once in focus."""
    return _layers("multi_focus")


def multi_exposure() -> list[LayerData]:
    """A courtyard, exposed for the shade and for the sun."""
    return _layers("multi_exposure")


def focus_stack() -> list[LayerData]:
    """Ten focus planes of a slide of microfossils."""
    return _layers("focus_stack")


def gifnet_pet_mri() -> list[LayerData]:
    """The GIFNet authors' example of PET and MRI."""
    return _layers("gifnet_pet_mri")


def gifnet_infrared_visible() -> list[LayerData]:
    """The GIFNet authors' example of infrared and visible."""
    return _layers("gifnet_infrared_visible")


def gifnet_multi_focus() -> list[LayerData]:
    """The GIFNet authors' example of two focus planes."""
    return _layers("gifnet_multi_focus")


def gifnet_multi_exposure() -> list[LayerData]:
    """The GIFNet authors' example of two exposures."""
    return _layers("gifnet_multi_exposure")


def gifnet_nir_visible() -> list[LayerData]:
    """The GIFNet authors' example of near infrared and visible."""
    return _layers("gifnet_nir_visible")


def gifnet_pansharpening() -> list[LayerData]:
    """The GIFNet authors' example of pansharpening: four bands and the panchromatic plane."""
    return _layers("gifnet_pansharpening")


def _go_to_when_added(facts: dict[str, Any], position: float) -> None:
    """Move the first slider of an empty viewer once the layer with these facts has been added."""
    import napari

    viewer = napari.current_viewer()
    if viewer is None or len(viewer.layers):
        return

    def go(event: Any) -> None:
        if event.value.metadata.get("napari_gifnet") == facts:
            viewer.layers.events.inserted.disconnect(go)
            viewer.dims.set_point(0, position)

    viewer.layers.events.inserted.connect(go)


def _layers(key: str) -> list[LayerData]:
    """The images of a sample, the detail side first so that the modality lies above it."""
    sample = find_sample(key)
    if sample.shipped:
        images = load_sample(sample)
    else:
        with _download_bar(sample) as progress:
            images = load_sample(sample, progress=progress)
    if len(images) == 1:
        return [_layer(sample, None, images[0])]
    return [_layer(sample, side, image) for side, image in zip("ba", images[::-1], strict=True)]


def _layer(sample: Sample, side: str | None, image: SampleImage) -> LayerData:
    options: dict[str, Any] = {
        "name": image.name,
        "rgb": image.rgb,
        "scale": image.scale,
        "translate": image.translate,
        "units": (image.units,) * len(image.scale),
        "axis_labels": image.axis_labels,
        "metadata": {
            "napari_gifnet": {
                "sample": sample.key,
                "task": sample.task,
                **({"side": side} if side else {}),
                "provenance": sample.provenance,
                "licence": sample.licence,
                "source": sample.source,
                **image.facts,
            }
        },
    }
    if not image.rgb:
        top = 255 if image.data.dtype == "uint8" else int(image.data.max())
        options |= {"contrast_limits": (0, top), "colormap": "gray"}
        if side == "a":
            options["colormap"] = _COLORMAPS.get(sample.task, "gray")
    if side == "a" and sample.task == "pet_mri":
        options |= {"blending": "additive", "opacity": 0.6}
    return image.data, options, "image"


@contextmanager
def _download_bar(sample: Sample) -> Iterator[Callable[[int, int], None]]:
    """A bar in napari's activity dock that follows one file after the other."""
    from napari.utils import progress

    with progress(desc=f"Downloading {sample.key}", total=0, unit="B", unit_scale=True) as bar:

        def report(done: int, total: int) -> None:
            if done < bar.n:
                bar.n = 0
            bar.total = total
            bar.update(done - bar.n)

        yield report
