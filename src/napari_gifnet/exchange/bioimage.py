"""A package for bioimage.io: the network in ONNX, a description, and an example with its result."""

from __future__ import annotations

import re
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bioimageio.spec import save_bioimageio_package
from bioimageio.spec.model import v0_5 as spec
from PIL import Image
from pydantic import ValidationError

from napari_gifnet.errors import MissingDependencyError
from napari_gifnet.files.samples import load_sample
from napari_gifnet.models import Model

from .onnx_graph import OPSET

AUTHOR = "napari-gifnet developers"

PAPER = {
    "text": "Cheng et al.: One Model for ALL: Low-Level Task Interaction Is a Key to Task-Agnostic Image "
    "Fusion, CVPR 2025 (the training by joint tasks)",
    "url": "https://arxiv.org/abs/2502.19854",
}

EXAMPLE = (slice(2, 7, 2), slice(64, 192), slice(96, 288))
"""Planes, rows and columns of the sample `focus_stack`."""

DESCRIPTION = (
    "Fuses any number of registered planes of one scene into one: focus planes, exposures, infrared and "
    "visible, PET and MRI. It weighs the planes in each band of a Laplacian pyramid; a second output "
    "tells which plane a pixel comes from."
)

DOCUMENTATION = """# {name}

{description}

Input: `planes`, (1, P, Y, X), float32 in [0, 1]: one plane or more of any size, registered to each other.
Outputs: `fused`, in [0, 1], and `index`, the position among the planes, between two of them where both have
a share. Of the task it is told: {task}. SHA-256 of the weights in safetensors: `{sha256}`.

Scale integers by the largest value of their kind, and do not stretch each plane for itself. For colour fuse
the luma, and put the chroma of the planes back.

# Validation

The example is a crop of three planes of a traced scene whose depth is known. How near the weights that ship
with napari-gifnet come to known truths, and their figures on public sets, are told by its model card. To
check a result of your own, fuse a stack whose sharp planes you know.
"""


def write_package(model: Model, task: str | None, licence: str, network: Any, path: Path) -> None:
    """Write a package for bioimage.io.

    Parameters
    ----------
    model : Model
        Of the band network.
    task : str or None
        The preset that `network` was made for.
    licence : str
        An SPDX name first, if there is one.
    network : onnx.ModelProto
        The same in ONNX.
    path : Path
        Of the ``.zip``.

    Raises
    ------
    MissingDependencyError
        bioimageio.spec does not work with the pydantic that is installed.
    """
    name = Path(model.name).stem
    planes = _example()
    with torch.inference_mode():
        fused = model.network(torch.from_numpy(planes), task)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        at = Path(folder)
        (at / "network.onnx").write_bytes(network.SerializeToString())
        np.save(at / "planes.npy", planes)
        np.save(at / "fused.npy", fused.plane.clamp(0, 1).numpy())
        np.save(at / "index.npy", fused.index.numpy())
        _draw_cover(planes[0], fused.plane[0, 0].clamp(0, 1).numpy(), at / "cover.png")
        (at / "README.md").write_text(
            DOCUMENTATION.format(
                name=name, description=DESCRIPTION, task=task or "none", sha256=model.sha256
            ),
            encoding="utf-8",
        )
        try:
            save_bioimageio_package(_describe(name, licence, at), output_path=path)
        except ValidationError as error:
            raise MissingDependencyError(
                f"The package cannot be described with pydantic {version('pydantic')}, which "
                f"bioimageio.spec {version('bioimageio.spec')} does not work with: "
                "pip install 'pydantic==2.12.*'."
            ) from error


def title_of(name: str) -> str:
    """Return a name as the zoo takes it: 5 to 128 letters, digits and some signs."""
    plain = re.sub(r"[^A-Za-z0-9_+\- ()]", "_", name)[:128]
    return plain if len(plain) >= 5 else f"gifnet {plain}"


def _describe(name: str, licence: str, folder: Path) -> spec.ModelDescr:
    """Describe the files of a folder; raise ValidationError where the libraries do not fit together."""
    return spec.ModelDescr(
        name=title_of(name),
        description=DESCRIPTION,
        authors=[spec.Author(name=AUTHOR)],
        cite=[spec.CiteEntry(text=PAPER["text"], url=spec.HttpUrl(PAPER["url"]))],
        license=spec.LicenseId("BSD-3-Clause") if licence.startswith("BSD-3-Clause") else None,
        documentation=spec.FileDescr(source=folder / "README.md"),
        covers=[spec.FileDescr(source=folder / "cover.png")],
        tags=["image-fusion", "focus-stacking", "exposure-fusion", "multi-modal", "2d", "onnx"],
        inputs=[_input(folder)],
        outputs=[_output("fused", (0.0, 1.0), folder), _output("index", (0.0, None), folder)],
        weights=spec.WeightsDescr(
            onnx=spec.OnnxWeightsDescr(source=folder / "network.onnx", opset_version=OPSET)
        ),
    )


def _example() -> np.ndarray:
    """Return planes (1, P, Y, X) of a sample that ships."""
    (stack,) = load_sample("focus_stack")
    planes, rows, columns = EXAMPLE
    return stack.data[None, planes, rows, columns] / np.float32(255)


def _draw_cover(planes: np.ndarray, fused: np.ndarray, path: Path) -> None:
    """Draw the first plane and the result beside each other."""
    picture = np.concatenate([planes[0], fused], axis=1)
    Image.fromarray(np.round(255 * picture).astype(np.uint8)).save(path)


def _input(folder: Path) -> spec.InputTensorDescr:
    anything = spec.ParameterizedSize(min=1, step=1)
    return spec.InputTensorDescr(
        id=spec.TensorId("planes"),
        description="Registered planes of one scene.",
        axes=[
            spec.BatchAxis(size=1),
            spec.IndexInputAxis(size=anything, description="planes"),
            spec.SpaceInputAxis(id=spec.AxisId("y"), size=anything),
            spec.SpaceInputAxis(id=spec.AxisId("x"), size=anything),
        ],
        test_tensor=spec.FileDescr(source=folder / "planes.npy"),
        data=spec.IntervalOrRatioDataDescr(type="float32", range=(0.0, 1.0)),
    )


def _output(
    name: str, limits: tuple[float | None, float | None], folder: Path
) -> spec.OutputTensorDescr:
    def as_input(axis: str) -> spec.SizeReference:
        return spec.SizeReference(tensor_id=spec.TensorId("planes"), axis_id=spec.AxisId(axis))

    return spec.OutputTensorDescr(
        id=spec.TensorId(name),
        axes=[
            spec.BatchAxis(size=1),
            spec.ChannelAxis(channel_names=[spec.Identifier(name)]),
            spec.SpaceOutputAxis(id=spec.AxisId("y"), size=as_input("y")),
            spec.SpaceOutputAxis(id=spec.AxisId("x"), size=as_input("x")),
        ],
        test_tensor=spec.FileDescr(source=folder / f"{name}.npy"),
        data=spec.IntervalOrRatioDataDescr(type="float32", range=limits),
    )
