"""Training GIFNet: on the pairs that ship nowhere, on free photographs, on a user's own pairs."""

from .loop import train
from .runs import TrainingRun, read_run

__all__ = ["TrainingRun", "read_run", "train"]
