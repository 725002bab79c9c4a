"""The exceptions that reach users. Each message names the value, what was expected and the remedy."""


class GIFNetError(Exception):
    """Base of every error raised on purpose by napari-gifnet."""


class ImageError(GIFNetError, ValueError):
    """An image or a pair of images cannot be fused as given."""


class AlignmentError(GIFNetError, ValueError):
    """An alignment cannot be trusted, applied, undone, saved or read."""


class OptionError(GIFNetError, ValueError):
    """An option has a value that is not among those understood."""


class CheckpointError(GIFNetError):
    """A file is not a usable GIFNet checkpoint."""


class DownloadError(GIFNetError):
    """A file could not be downloaded, stored or verified."""


class DeviceError(GIFNetError, RuntimeError):
    """The device is missing, or failed during the computation."""


class MissingDependencyError(GIFNetError, ImportError):
    """An optional package that this call needs is not installed."""


class Cancelled(GIFNetError):
    """Raise this inside a progress callback to stop the run."""


def unreadable(path: object, reason: object) -> str:
    """The message of a file or folder that cannot be read."""
    return f"{path} cannot be read: {reason}; check its name, and that you may read it."
