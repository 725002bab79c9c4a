"""Which models there are, and where their weights come from."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .checkpoints import BANDS, GIFNET, read_network
from .errors import OptionError

if TYPE_CHECKING:
    from .network import GIFNet
    from .network.bands import GIFNetBands

__all__ = ["DEFAULT_MODEL", "Model", "ModelInfo", "list_models", "load_model"]

DEFAULT_MODEL = "gifnet"
STACK_MODEL = "gifnet-bands"
"""The default for two images, and for more of them and stacks."""


@dataclass(frozen=True)
class ModelInfo:
    """An entry of the model list.

    Attributes
    ----------
    name : str
        What `load_model` and ``fuse(model=...)`` take.
    summary, licence : str
        One sentence on where the weights come from, and on what terms.
    architecture : {"gifnet", "gifnet-bands"}
        What kind of network it is: of two images, or of any number.
    path : Path or None
        Where the weights lie in the installed package; None if they are downloaded.
    url, sha256 : str
        Where a download comes from, and the SHA-256 its bytes must have, as 64 hexadecimal digits.
        Both are empty if the weights ship.
    """

    name: str
    summary: str
    licence: str
    architecture: str = GIFNET
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
        name="gifnet-bands",
        summary=(
            "Weighs any number of images in a pyramid, fast; trained by this project on free "
            "pictures; ships with the package."
        ),
        licence="BSD-3-Clause; training data in weights/README.md",
        path=Path(__file__).with_name("weights") / "gifnet-bands.safetensors",
        architecture=BANDS,
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
    network : GIFNet or GIFNetBands
        In evaluation mode, float32, on the CPU.
    name : str
        The name or path it was asked for by.
    sha256 : str
        SHA-256 of the weights' file, 64 hexadecimal digits.
    architecture : {"gifnet", "gifnet-bands"}
        What kind of network it is.
    """

    network: GIFNet | GIFNetBands
    name: str
    sha256: str
    architecture: str = GIFNET


def list_models() -> tuple[ModelInfo, ...]:
    """Return the models known by name, the default one first.

    Returns
    -------
    tuple of ModelInfo
        Their weights need not be on this computer yet: those that do not ship are downloaded when
        they are first loaded.

    Examples
    --------
    >>> [model.name for model in list_models()]
    ['gifnet', 'gifnet-bands', 'gifnet-cvpr2025']
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
        Called as ``progress(done, total)`` in bytes during a download; what it raises stops the
        download and comes out as it is.

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

    Examples
    --------
    >>> model = load_model("gifnet")
    >>> sum(parameter.numel() for parameter in model.network.parameters())
    822780
    """
    if isinstance(model, Model):
        return model
    path = locate_weights(model, progress=progress)
    return _load_file(path.resolve(), path.stat().st_mtime_ns, str(model))


def locate_weights(
    model: str | Path, *, progress: Callable[[int, int], None] | None = None
) -> Path:
    """Return the file of a model known by name, downloaded if need be, or of a path.

    Parameters
    ----------
    model : str or Path
        A name from `list_models`, or the path of a file.
    progress : callable, optional
        As in `load_model`.

    Returns
    -------
    Path
        A file that exists.

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


def digest_weights(model: str | Path) -> str:
    """Return the SHA-256 of a model's weights without loading, or downloading, them.

    Parameters
    ----------
    model : str or Path
        A name from `list_models`, or the path of a file.

    Raises
    ------
    OptionError
        As in `load_model`.
    """
    published = {info.name: info.sha256 for info in _MODELS}.get(str(model))
    return published or hashlib.sha256(locate_weights(model).read_bytes()).hexdigest()


@functools.lru_cache(maxsize=2)
def _load_file(path: Path, modified: int, name: str) -> Model:
    """Read a checkpoint; `modified` makes an overwritten file a new one to the cache."""
    network, architecture = read_network(path)
    return Model(network, name, hashlib.sha256(path.read_bytes()).hexdigest(), architecture)
