"""Training GIFNet: on the pairs that ship nowhere, on free photographs, on a user's own pairs."""

from .train import TrainingRun, train

__all__ = ["TrainingRun", "train"]
