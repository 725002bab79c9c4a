"""Training GIFNet: on the pairs that ship nowhere, on free photographs, on a user's own pairs."""

from .run import TrainingRun, read_run
from .train import train

__all__ = ["TrainingRun", "read_run", "train"]
