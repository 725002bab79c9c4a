"""Training GIFNet: on the pairs that ship nowhere, on free photographs, on a user's own pairs."""

from .train import TrainingRun, read_run, train

__all__ = ["TrainingRun", "read_run", "train"]
