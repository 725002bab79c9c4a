"""How far a model or a method looks, so that a part of a plane can be made of a cut around it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .baselines import BASELINES
from .checkpoints import BANDS
from .fusers import find_model
from .models import Model
from .pyramid import LEVELS


@dataclass(frozen=True)
class Locality:
    """How far a fuser looks beyond a part of a plane.

    Attributes
    ----------
    halo : int or None
        Pixels beyond which nothing touches a pixel of the result; None: it takes whole planes.
    alignment : int
        Corners of the cut lie at multiples of it.
    measure_halo : int or None
        The same as `halo` of the statistics that are measured over the whole plane beforehand; None
        where there are none.
    side : int
        Of parts of fewer pixels most of the work is that around them.
    """

    halo: int | None
    alignment: int = 1
    measure_halo: int | None = None
    side: int = 256


WHOLE_PLANES = Locality(None)


def locality_of(model: str | Path | Model | None, count: int) -> Locality:
    """Return how far what `open_fuser` makes of a model or a method looks, without making it ready.

    Parameters
    ----------
    model : str, Path, Model or None
        As for `open_fuser`.
    count : int
        How many planes one is made of.

    Raises
    ------
    OptionError, CheckpointError, DownloadError
        As for `open_fuser`.

    Examples
    --------
    >>> locality_of("mean", 2).halo, locality_of("mertens", 2).halo
    (0, None)
    """
    if isinstance(model, str) and model in BASELINES:
        return _LOCALITIES[model]
    if find_model(model).architecture == BANDS:
        from .network.bands import ALIGNMENT, HALO

        return Locality(HALO, ALIGNMENT, side=1024)
    if count > 2:
        return WHOLE_PLANES  # each pair of the tree would have statistics of its own
    from .engine.tiling import FUSE_HALO, MEASURE_HALO, WINDOW

    return Locality(FUSE_HALO, WINDOW, MEASURE_HALO)


_LOCALITIES = {
    "mean": Locality(0),
    "maximum": Locality(0),
    # 1 4 6 4 1 down and up again at each level, on pixels of twice the side
    "pyramid": Locality(4 * (2**LEVELS - 1), 2**LEVELS),
    "mertens": WHOLE_PLANES,  # OpenCV's pyramid has as many levels as the plane allows
}
"""Of the methods without a network."""
