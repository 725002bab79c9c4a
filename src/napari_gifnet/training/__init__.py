"""Training GIFNet: on the pairs that ship nowhere, on free photographs, on a user's own pairs."""

from .bands import BandRun, read_band_run, train_bands
from .loop import train
from .runs import TrainingRun, read_run, read_runs

__all__ = [
    "BandRun",
    "TrainingRun",
    "read_band_run",
    "read_run",
    "read_runs",
    "train",
    "train_bands",
]
