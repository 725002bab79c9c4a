"""How a run reports its progress, and how it is stopped by what the report raises."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from types import TracebackType
from typing import Any

from .errors import OptionError

Progress = Callable[[int, int], None]
"""Called with the steps done and all steps."""


class _Raised(BaseException):
    """Carries what a progress callback raised past everything that catches exceptions."""

    def __init__(self, error: BaseException, owner: Reporting) -> None:
        super().__init__(error)
        self.error, self.owner = error, owner


class Reporting:
    """Give the report of a run; what the user's callback raises leaves the block as it is.

    On the way it meets code that takes RuntimeErrors for a device's and MemoryErrors for a lack of
    memory, and generators, which turn StopIteration into something else. So it travels in disguise.

    Parameters
    ----------
    progress : callable, bool or None
        ``progress(done, total)``; True draws a bar in a terminal or a notebook.

    Raises
    ------
    OptionError
        `progress` cannot be called.

    Examples
    --------
    >>> with Reporting(lambda done, total: print(done, "of", total)) as report:
    ...     report(1, 2)
    1 of 2
    """

    def __init__(self, progress: Progress | bool | None) -> None:
        if not (progress is None or isinstance(progress, bool) or callable(progress)):
            raise OptionError(
                f"progress={progress!r} cannot be called: expected a function of (done, total), "
                "True for a bar, or None."
            )
        self._progress = progress
        self._bar: Any = None

    def __enter__(self) -> Progress:
        if self._progress is True:
            self._bar = _open_bar()
        return self._report

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()
        if isinstance(error, _Raised) and error.owner is self:
            raise error.error from None

    def _report(self, done: int, total: int) -> None:
        try:
            if self._bar is not None:
                self._bar.total = total
                self._bar.n = done
                self._bar.refresh()
            elif callable(self._progress):
                self._progress(done, total)
        except _Raised:
            raise
        except BaseException as error:
            raise _Raised(error, self) from None


def _open_bar() -> Any:
    """Return a bar of tqdm's, in a notebook or on standard error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a notebook without ipywidgets gets the bar of a terminal
        from tqdm.auto import tqdm

        return tqdm(total=0, desc="GIFNet", unit="step", file=sys.stderr, leave=False)


def share_of(report: Progress, start: float, share: float) -> Progress:
    """Return a report of a part of a run, which begins at `start` and makes up `share` of it."""
    return lambda done, total: report(
        round(1e6 * (start + share * done / max(total, 1))), 1_000_000
    )
