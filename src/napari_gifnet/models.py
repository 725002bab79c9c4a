"""Which models there are, where their weights come from, and how a checkpoint becomes a network."""

from __future__ import annotations

import functools
import hashlib
import pickle
import warnings
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import CheckpointError, OptionError

if TYPE_CHECKING:
    from torch import Tensor

    from .network import GIFNet

__all__ = ["DEFAULT_MODEL", "Model", "ModelInfo", "list_models", "load_model"]

DEFAULT_MODEL = "gifnet"


@dataclass(frozen=True)
class ModelInfo:
    """An entry of the model list.

    Attributes
    ----------
    name : str
        What `load_model` and ``fuse(model=...)`` take.
    summary, licence : str
        One sentence on where the weights come from, and on what terms.
    path : Path or None
        Where the weights lie in the installed package; None if they are downloaded.
    url, sha256 : str
        Where a download comes from, and the hash its bytes must have.
    """

    name: str
    summary: str
    licence: str
    path: Path | None = None
    url: str = ""
    sha256: str = ""

    @property
    def shipped(self) -> bool:
        """Whether the weights are in the package, so that no download is needed."""
        return self.path is not None


_MODELS = (
    ModelInfo(
        name="gifnet",
        summary="GIFNet trained by this project; ships with the package.",
        licence="BSD-3-Clause; training data in weights/README.md",
        path=Path(__file__).with_name("weights") / "gifnet.safetensors",
    ),
    ModelInfo(
        name="gifnet-cvpr2025",
        summary="The checkpoint published with the CVPR 2025 paper; downloaded on first use (3.4 MB).",
        licence="none stated: for your own use, not to be passed on",
        url=(
            "https://raw.githubusercontent.com/AWCXV/GIFNet/"
            "c8ad04ae3bfefcebfa9abe94d1d5895c8db56a44/model/Final.model"
        ),
        sha256="bfc1dfef0d5b386b0c04f172daf8f6af52ba395f26dc3dd5757425fd32eb1038",
    ),
)


@dataclass(frozen=True, eq=False)
class Model:
    """A network with its weights loaded, and where they came from.

    Attributes
    ----------
    network : GIFNet
        In evaluation mode, float32, on the CPU.
    name : str
        The name or path it was asked for by.
    sha256 : str
        Hash of the weights' file.
    """

    network: GIFNet
    name: str
    sha256: str


def list_models() -> tuple[ModelInfo, ...]:
    """Return the models known by name, the default one first.

    Examples
    --------
    >>> [model.name for model in list_models()]
    ['gifnet', 'gifnet-cvpr2025']
    """
    return _MODELS


def load_model(
    model: str | Path | Model = DEFAULT_MODEL,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> Model:
    """Load a network and its weights.

    Parameters
    ----------
    model : str or Path
        A name from `list_models`, or the path of a checkpoint: safetensors, or a PyTorch state
        dict in this project's naming or the published one. What `load_model` returned is given back.
    progress : callable, optional
        Called with the bytes received and expected during a download.

    Returns
    -------
    Model
        Kept in memory until another is loaded, so that asking again is free.

    Raises
    ------
    OptionError
        The name is not in the list and no such file exists.
    CheckpointError
        The file is not a GIFNet checkpoint; the message names the first key that is missing.
    DownloadError
        The weights could not be downloaded, or were not the published ones.
    """
    if isinstance(model, Model):
        return model
    path = locate_weights(model, progress=progress)
    return _load_file(path.resolve(), path.stat().st_mtime_ns, str(model))


def locate_weights(
    model: str | Path, *, progress: Callable[[int, int], None] | None = None
) -> Path:
    """Return the file of a model known by name, downloaded if need be, or of a path.

    Raises
    ------
    OptionError, DownloadError
        As in `load_model`.
    """
    known = {info.name: info for info in _MODELS}
    if str(model) in known:
        info = known[str(model)]
        if info.path is not None:
            return info.path
        from .download import fetch

        return fetch(info.url, info.sha256, f"{info.name}.pt", progress=progress)
    path = Path(model).expanduser()
    if not path.is_file():
        raise OptionError(
            f"There is no model {str(model)!r}: expected one of {', '.join(known)} "
            "or the path of a checkpoint file."
        )
    return path


@functools.lru_cache(maxsize=2)
def _load_file(path: Path, modified: int, name: str) -> Model:
    """Read a checkpoint; `modified` makes an overwritten file a new one to the cache."""
    from .network import GIFNet

    state = read_tensors(path)
    if any(key.startswith("getSharedFeatures.") for key in state):
        state = _from_published(state, path)
    network = GIFNet()
    _check(state, network.state_dict(), path)
    network.load_state_dict({key: value.float() for key, value in state.items()})
    network.eval().requires_grad_(False)
    return Model(network, name, hashlib.sha256(path.read_bytes()).hexdigest())


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read a state dict of any network without ever executing a pickle."""
    import torch

    state = read_checkpoint(path)
    if isinstance(state, Mapping) and isinstance(state.get("model"), Mapping):
        state = state["model"]  # a training checkpoint: optimiser and settings lie beside
    if not isinstance(state, Mapping) or not all(
        isinstance(key, str) and isinstance(value, torch.Tensor) for key, value in state.items()
    ):
        raise CheckpointError(
            f"{path} holds a {type(state).__name__} that is not a state dict of tensors; "
            "expected a checkpoint."
        )
    return dict(state)


def read_checkpoint(path: Path) -> Any:
    """Read what a file of weights holds, of whatever kind, without ever executing a pickle."""
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with warnings.catch_warnings():  # torch also warns of what it then refuses
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except (
        SafetensorError,
        pickle.UnpicklingError,
        zipfile.BadZipFile,
        RuntimeError,
        EOFError,
        ValueError,
        KeyError,
        IndexError,
        TypeError,
        AttributeError,
    ) as error:
        raise CheckpointError(
            f"{path} is not a checkpoint that can be read safely: expected safetensors or a "
            "PyTorch state dict of plain tensors."
        ) from error
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error.strerror or error}).") from error


def _check(state: Mapping[str, Tensor], expected: Mapping[str, Tensor], path: Path) -> None:
    """Raise CheckpointError on the first key that is missing, misshapen, unknown or not finite."""
    for key, tensor in expected.items():
        if key not in state:
            raise CheckpointError(
                f"{path} is not a GIFNet checkpoint: {key!r} is missing from its "
                f"{len(state)} tensors."
            )
        if state[key].shape != tensor.shape:
            raise CheckpointError(
                f"{path} is of another network: {key!r} has shape {tuple(state[key].shape)}, "
                f"GIFNet expects {tuple(tensor.shape)}."
            )
        if not state[key].isfinite().all():
            raise CheckpointError(f"{path} is damaged: {key!r} holds values that are not finite.")
    unknown = sorted(set(state) - set(expected))
    if unknown:
        raise CheckpointError(f"{path} is of another network: {unknown[0]!r} is no part of GIFNet.")


def _published_layers() -> dict[str, str]:
    """Return our name of every layer -> its name in the published checkpoint."""
    swin = "extractor_multask.SwinTransformerSpecific"
    layers = {
        "interaction.embed.mm": f"{swin}.patch_embed_ivif.proj",
        "interaction.embed.dp": f"{swin}.patch_embed_mfif.proj",
        "interaction.unembed": f"{swin}.patch_unembed.proj.0",
        "fusion.merge": "cnnDecoder.fuseComplementFeatures.mlp.0",
        "fusion.expand": "cnnDecoder.fuseComplementFeatures.mlp.2",
    }
    for i in range(3):
        layers[f"encoder.convs.{i}"] = f"getSharedFeatures.conv_{i + 1}.conv2d"
    for i in range(4):
        layers[f"reconstruction.convs.{i}"] = f"decoder_rec.decoder.{3 * i + 1}"
        layers[f"fusion.decoder.convs.{i}"] = f"cnnDecoder.decoder.{3 * i + 1}"
    for i in range(2):
        ours, theirs = f"interaction.blocks.{i}", f"{swin}.layer1.blocks.{i}"
        for j in (0, 2):
            layers[f"{ours}.position_bias.network.{j}"] = f"{theirs}.attn.attn.meta.{j}"
        for stream, suffix in (("mm", ""), ("dp", "_mfif")):
            part = f"{ours}.streams.{stream}"
            layers[f"{part}.norm"] = f"{theirs}.norm1{suffix}"
            layers[f"{part}.norm.rescale"] = f"{theirs}.norm1{suffix}.meta1"
            layers[f"{part}.norm.rebias"] = f"{theirs}.norm1{suffix}.meta2"
            layers[f"{part}.qk"] = f"{theirs}.attn.QK{suffix}"
            layers[f"{part}.v"] = f"{theirs}.attn.V{suffix}"
            layers[f"{part}.depthwise"] = f"{theirs}.attn.conv{suffix}"
            layers[f"{part}.project"] = f"{theirs}.attn.proj{suffix}"
            for j in (0, 2):
                layers[f"{part}.mlp.{j}"] = f"{theirs}.mlp{suffix}.mlp.{j}"
    return layers


def _from_published(state: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """Rename a state dict in the published naming into ours; every tensor must find its place."""
    import torch

    left = dict(state)

    def take(key: str) -> Tensor:
        if key not in left:
            raise CheckpointError(f"{path} is not a GIFNet checkpoint: {key!r} is missing from it.")
        return left.pop(key)

    ours = {
        f"{layer}.{leaf}": take(f"{published}.{leaf}")
        for layer, published in _published_layers().items()
        for leaf in ("weight", "bias")
        if not (leaf == "bias" and layer in {"fusion.merge", "fusion.expand"})
    }
    swin = "extractor_multask.SwinTransformerSpecific.layer1"
    for stream, suffix in (("mm", ""), ("dp", "_mfif")):
        pair = [take(f"{swin}.weights{suffix}.{i}") for i in range(2)]
        ours[f"interaction.gate.{stream}"] = torch.cat(pair)
    for i in range(2):
        take(f"{swin}.blocks.{i}.attn.attn.relative_positions")  # a constant; ours computes it
    if left:
        raise CheckpointError(
            f"{path} is of another network: {sorted(left)[0]!r} is no part of GIFNet."
        )
    return ours
