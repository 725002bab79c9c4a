"""A model or a method as it is sent to workers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from napari_gifnet.baselines import BASELINES
from napari_gifnet.errors import CheckpointError
from napari_gifnet.fusers import find_model
from napari_gifnet.models import DEFAULT_MODEL, Model, list_models, load_model


@dataclass(frozen=True)
class Method:
    """A model or a method without a network, so that any worker can make it ready.

    Attributes
    ----------
    model : str or Model
        The name of a method or of a model that ships, whose weights every worker has; of all others
        the weights themselves.
    sha256 : str or None
        Of the weights.
    """

    model: str | Model
    sha256: str | None

    @classmethod
    def of(cls, model: str | Path | Model | None) -> Method:
        """Take what `open_fuser` takes; raise what it raises."""
        if isinstance(model, str) and model in BASELINES:
            return cls(model, None)
        loaded = find_model(model)
        name = DEFAULT_MODEL if model is None else model
        ships = any(info.shipped and info.name == name for info in list_models())
        return cls(str(name) if ships else loaded, loaded.sha256)

    @property
    def summary(self) -> str:
        """Which it is, in words."""
        if self.sha256 is None:
            return f"{self.model}, without a network,"
        name = self.model.name if isinstance(self.model, Model) else self.model
        return f"model {name} ({self.sha256[:8]})"

    def check(self) -> None:
        """Raise CheckpointError if the weights that this process has by the name are others."""
        if self.sha256 is None or isinstance(self.model, Model):
            return
        own = load_model(self.model).sha256
        if own != self.sha256:
            raise CheckpointError(
                f"The weights of {self.model} are others on a worker ({own[:8]}) than where the work "
                f"came from ({self.sha256[:8]}): install one version of napari-gifnet on both."
            )
