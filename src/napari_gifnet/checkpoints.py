"""How a checkpoint file becomes a network: read without executing anything, renamed, checked."""

from __future__ import annotations

import pickle
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import CheckpointError, unreadable

if TYPE_CHECKING:
    from torch import Tensor

    from .network import GIFNet
    from .network.bands import GIFNetBands

GIFNET = "gifnet"
BANDS = "gifnet-bands"
"""The architectures; a checkpoint's tensors say which it is of."""


def read_network(path: Path) -> tuple[GIFNet | GIFNetBands, str]:
    """Read a checkpoint, in this project's naming or the published one, into a network.

    Parameters
    ----------
    path : Path
        A file of safetensors, of a PyTorch state dict or of a training run.

    Returns
    -------
    network : GIFNet or GIFNetBands
        In evaluation mode, float32, on the CPU, without gradients.
    architecture : {"gifnet", "gifnet-bands"}
        What kind of network it is.

    Raises
    ------
    CheckpointError
        The file cannot be read or is not a GIFNet checkpoint: the message names the first tensor
        that is missing, of another shape, unknown or not finite.

    Examples
    --------
    >>> from napari_gifnet.models import locate_weights
    >>> network, architecture = read_network(locate_weights("gifnet"))
    >>> network.training, architecture
    (False, 'gifnet')
    """
    from .network import GIFNet
    from .network.bands import GIFNetBands

    state = read_tensors(path)
    if any(key.startswith("getSharedFeatures.") for key in state):
        state = _from_published(state, path)
    architecture = BANDS if any(key.startswith("mixings.") for key in state) else GIFNET
    network = GIFNetBands() if architecture == BANDS else GIFNet()
    _check(state, network.state_dict(), path)
    network.load_state_dict({key: value.float() for key, value in state.items()})
    return network.eval().requires_grad_(False), architecture


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read a state dict of any network without ever executing a pickle.

    Parameters
    ----------
    path : Path
        A file of safetensors, of a PyTorch state dict or of a training run.

    Returns
    -------
    dict of str to Tensor
        On the CPU, of the shapes and dtypes that were stored; of a training run the weights alone.

    Raises
    ------
    CheckpointError
        The file cannot be read safely, or holds other things than tensors.

    Examples
    --------
    >>> from napari_gifnet.models import locate_weights
    >>> tuple(read_tensors(locate_weights("gifnet"))["encoder.convs.0.weight"].shape)
    (32, 2, 3, 3)
    """
    import torch

    state = read_checkpoint(path)
    if isinstance(state, Mapping) and isinstance(state.get("model"), Mapping):
        state = state["model"]  # a training checkpoint: optimiser and settings lie beside
    if not isinstance(state, Mapping) or not all(
        isinstance(key, str) and isinstance(value, torch.Tensor) for key, value in state.items()
    ):
        raise CheckpointError(
            f"{path} holds a {type(state).__name__} that is not a state dict of tensors; "
            "expected a checkpoint of GIFNet."
        )
    return dict(state)


def read_checkpoint(path: Path) -> Any:
    """Read what a file of weights holds, of whatever kind, without ever executing a pickle.

    Parameters
    ----------
    path : Path
        A file of safetensors if its name ends so, else one that ``torch.save`` wrote.

    Returns
    -------
    object
        Tensors, on the CPU, in dictionaries and lists of plain values.

    Raises
    ------
    CheckpointError
        The file cannot be read, or not without executing what is in it.

    Examples
    --------
    >>> from napari_gifnet.models import locate_weights
    >>> "encoder.convs.0.weight" in read_checkpoint(locate_weights("gifnet"))
    True
    """
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
        raise CheckpointError(unreadable(path, error.strerror or error)) from error


def _check(state: Mapping[str, Tensor], expected: Mapping[str, Tensor], path: Path) -> None:
    """Raise CheckpointError on the first key that is missing, misshapen, unknown or not finite."""
    for key, tensor in expected.items():
        if key not in state:
            raise CheckpointError(
                f"{path} is not a GIFNet checkpoint: {key!r} is missing from its "
                f"{len(state)} tensors; choose one that is."
            )
        if state[key].shape != tensor.shape:
            raise CheckpointError(
                f"{path} is of another network: {key!r} has shape {tuple(state[key].shape)}, "
                f"GIFNet expects {tuple(tensor.shape)}."
            )
        if not state[key].isfinite().all():
            raise CheckpointError(
                f"{path} is damaged: {key!r} holds values that are not finite; fetch it again."
            )
    unknown = sorted(set(state) - set(expected))
    if unknown:
        raise CheckpointError(
            f"{path} is of another network: {unknown[0]!r} is no part of GIFNet; choose a checkpoint "
            "of GIFNet."
        )


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
            raise CheckpointError(
                f"{path} is not a GIFNet checkpoint: {key!r} is missing from it; choose one that is."
            )
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
            f"{path} is of another network: {sorted(left)[0]!r} is no part of GIFNet; choose a "
            "checkpoint of GIFNet."
        )
    return ours
