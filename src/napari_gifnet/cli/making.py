"""One case carried out: read, fused, written."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_gifnet import __version__
from napari_gifnet.backend import Backend
from napari_gifnet.errors import GIFNetError
from napari_gifnet.files.formats import check_destination, check_format, write
from napari_gifnet.fuser import Fuser
from napari_gifnet.fusers import open_fuser, require_index
from napari_gifnet.fusion import run
from napari_gifnet.planes.job import Job

from .case import Case, Settings
from .console import ProgressBar
from .in_parts import goes_in_parts, make_in_parts
from .preparing import prepare
from .stacking import write_height
from .workers import carry_out_on

if TYPE_CHECKING:
    from distributed import Client


class LateFuser:
    """A model that is loaded when the first case needs it, and kept for the others.

    Parameters
    ----------
    model : str or None
    backend : Backend
    client : distributed.Client, optional
        Whose workers compute in place of this process.

    Attributes
    ----------
    trouble : GIFNetError or None
        Why it could not be loaded.
    """

    def __init__(self, model: str | None, backend: Backend, client: Client | None = None) -> None:
        self.model, self.backend, self.client = model, backend, client
        self._fuser: Fuser | None = None
        self.trouble: GIFNetError | None = None

    def open(self, bar: ProgressBar) -> Fuser:
        """Return the model ready to run."""
        if self._fuser is None:
            bar.set_title("Loading the model")
            try:
                self._fuser = open_fuser(self.model, self.backend, bar)
            except GIFNetError as error:
                self.trouble = error
                raise
        return self._fuser


@dataclass(frozen=True)
class Made:
    """A result, how it was made in words, and how long that took in seconds.

    Of a result that was written part by part the image is empty.
    """

    image: np.ndarray
    how: str
    seconds: float

    @property
    def summary(self) -> str:
        """How it was made, with the time."""
        return f"{self.how}; {self.seconds:.1f} s"


def make(
    case: Case, settings: Settings, fuser: LateFuser, bar: ProgressBar
) -> tuple[Made, list[str]]:
    """Make the result of a case and write it.

    Returns
    -------
    made : Made
    sentences : list of str
        A line for each file that was written.
    """
    check_destination(case.output, case.overwrite, case.inputs)
    prepared = prepare(case, settings)
    job, axes = prepared.job, prepared.axes
    check_format(case.output, axes, job.dtype)
    if goes_in_parts(case, prepared):
        how, seconds = make_in_parts(case, settings, prepared, fuser, bar)
        made = Made(np.empty(0, job.dtype), how, seconds)
        return made, [f"{case.output}: {made.summary}"]
    index = None if case.height is None else np.empty(job.leading + job.sides, np.float32)
    made = carry_out(job, fuser, bar, index)
    made = replace(made, how="; ".join([*prepared.notes, made.how]))
    fused = np.moveaxis(made.image, -3, -1) if prepared.bands_in_color else made.image
    # without the time, so that a result made again is the same to the bit
    description = f"napari-gifnet {__version__}, from {prepared.sources}: {made.how}"
    write(case.output, fused, axes, like=prepared.like, description=description)
    sentences = [f"{case.output}: {made.summary}"]
    if case.height is not None and index is not None and prepared.stack is not None:
        sentences.append(f"{case.height}: {write_height(case.height, index, prepared.stack)}")
    return made, sentences


def carry_out(
    job: Job, fuser: LateFuser, bar: ProgressBar, index: np.ndarray | None = None
) -> Made:
    """Carry out a job with a bar; `index` is filled as `run` does."""
    if fuser.client is not None:
        return Made(*carry_out_on(fuser.client, job, fuser.model, fuser.backend, bar, index))
    opened = fuser.open(bar)
    if index is not None:
        require_index(opened)
    bar.set_title(f"Fusing on {opened.facts['device']}")
    start, job = time.perf_counter(), job.measured()
    fused = run(job, opened, bar, index=index)
    seconds = time.perf_counter() - start
    return Made(fused, "; ".join([job.summary(), opened.summary]), seconds)
