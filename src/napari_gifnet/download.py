"""Files fetched on first use: checked against their SHA-256 and kept in one folder."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pooch

from .errors import DownloadError

ENVIRONMENT_VARIABLE = "NAPARI_GIFNET_DATA_DIR"


def cache_dir() -> Path:
    """Return the folder that keeps downloads; it need not exist yet.

    The operating system's cache folder for ``napari-gifnet``, or the value of the environment
    variable ``NAPARI_GIFNET_DATA_DIR``.

    Returns
    -------
    pathlib.Path
        An absolute or, if the variable says so, a relative path; ``~`` is the user's home.

    Examples
    --------
    >>> cache_dir().parts.count("napari-gifnet")
    1
    """
    chosen = os.environ.get(ENVIRONMENT_VARIABLE)
    return Path(chosen or pooch.os_cache("napari-gifnet")).expanduser()


def fetch(
    url: str,
    sha256: str,
    name: str,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Return the path of a file, downloading it unless :func:`cache_dir` has it already.

    The file appears under its name only when it is complete and its hash is right; a cached file
    with another hash is fetched anew.

    Parameters
    ----------
    url : str
        Where the file is, ``http`` or ``https``.
    sha256 : str
        The expected SHA-256, 64 hexadecimal digits.
    name : str
        The file's path below :func:`cache_dir`, with forward slashes.
    progress : callable, optional
        Called as ``progress(done, total)`` in bytes; `total` is 0 where the server does not tell.
        What it raises stops the download and comes out as it is. By default a bar is drawn on a
        terminal.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    DownloadError
        If the server cannot be reached or refuses, the hash is wrong, or the file cannot be
        written.

    Examples
    --------
    >>> from napari_gifnet import list_models
    >>> authors = list_models()[1]
    >>> path = fetch(authors.url, authors.sha256, "authors.pt")  # doctest: +SKIP
    """
    from requests.exceptions import RequestException

    if progress is not None:
        bar: bool | _ProgressBar = _ProgressBar(progress)
    else:
        bar = sys.stderr is not None and sys.stderr.isatty()
    folder = cache_dir()
    try:
        # pooch leaves the response open when a download fails
        with ExitStack() as responses:
            downloader = pooch.HTTPDownloader(
                progressbar=bar,
                chunk_size=2**16,
                # A compressed transfer would count other bytes than the server announces.
                headers={"Accept-Encoding": "identity"},
                hooks={"response": lambda response, **_: responses.enter_context(response)},
            )
            return Path(
                pooch.retrieve(url, f"sha256:{sha256}", name, folder, downloader=downloader)
            )
    except RequestException as error:
        raise DownloadError(
            f"{name} could not be downloaded from {url}: {_reason(error)}. "
            "Check the network connection and try again."
        ) from error
    except OSError as error:
        raise DownloadError(
            f"{name} could not be stored in {folder} ({error.strerror or error}): set "
            f"{ENVIRONMENT_VARIABLE} to a folder that can be written."
        ) from error
    except ValueError as error:
        raise DownloadError(
            f"{name} from {url} is not the expected file, since its SHA-256 is not {sha256}: it was "
            "deleted; try again, and report it if it happens twice."
        ) from error


class _ProgressBar:
    """A callback behind the part of tqdm's interface that pooch uses."""

    def __init__(self, report: Callable[[int, int], None]) -> None:
        self.report = report
        self.total = 0
        self.done = 0

    def update(self, count: int) -> None:
        self.done += count
        if self.total:
            # pooch counts whole chunks, and the whole file once more at the end
            self.done = min(self.done, self.total)
        self.report(self.done, self.total)

    def reset(self) -> None:
        """Keep the count: it never runs backwards."""

    def close(self) -> None:
        """Nothing to close."""


def _reason(error: Exception) -> str:
    from requests.exceptions import ConnectionError, HTTPError, Timeout

    if isinstance(error, HTTPError) and error.response is not None:
        return f"the server answered {error.response.status_code} {error.response.reason}"
    if isinstance(error, Timeout):
        return "the server did not answer in time"
    if isinstance(error, ConnectionError):
        return "the server cannot be reached"
    return f"the transfer failed ({type(error).__name__})"
