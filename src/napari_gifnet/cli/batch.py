"""Many cases in one run: each made once, whatever befalls the others, and a table at the end."""

from __future__ import annotations

import dataclasses
import json
import secrets
import time
import warnings
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

import typer

from napari_gifnet import __version__
from napari_gifnet.baselines import BASELINES
from napari_gifnet.errors import GIFNetError
from napari_gifnet.files.destinations import (
    NoRoomError,
    check_destination,
    complete_file,
)
from napari_gifnet.files.formats import FileError, check_replaceable
from napari_gifnet.files.results_folder import ResultsFolder, identity
from napari_gifnet.models import digest_weights
from napari_gifnet.progress import share_of

from .case import Case, Settings
from .console import (
    INTERRUPTED,
    ProgressBar,
    in_words_of_the_shell,
    note,
    print_table,
    progress_bar,
)
from .making import LateFuser, make

SOME_FAILED = 1


class Status(StrEnum):
    """How a case ended."""

    done = "done"
    finished = "finished before"
    elsewhere = "done by another run"
    claimed = "at work in another run"
    failed = "failed"
    stopped = "stopped"
    planned = "to be done"
    refused = "would fail"
    waiting = "not begun"


@dataclass
class Outcome:
    """What became of a case."""

    case: Case
    status: Status = Status.waiting
    seconds: float | None = None
    made_how: str | None = None
    error: str | None = None
    notes: list[str] = field(default_factory=list)
    no_room: bool = False

    @property
    def plain(self) -> dict[str, Any]:
        """The same as plain values."""
        return {
            "name": self.case.name,
            "inputs": [str(path) for path in self.case.inputs],
            "output": str(self.case.output),
            "status": self.status.value,
            "seconds": self.seconds,
            "made_how": self.made_how,
            "error": self.error,
            "notes": self.notes,
        }


@dataclass(frozen=True)
class Ways:
    """How many cases are gone through.

    Attributes
    ----------
    overwrite, resume, dry_run : bool
        As the options of these names.
    report : Path or None
        The file that tells what became of each case.
    """

    overwrite: bool = False
    resume: bool = False
    dry_run: bool = False
    report: Path | None = None


class Batch:
    """Many cases with one model, one bar, one table.

    Parameters
    ----------
    cases : list of Case
        Their outputs inside `folder`.
    folder : Path
    settings : Settings
    fuser : LateFuser
    ways : Ways
    """

    def __init__(
        self, cases: list[Case], folder: Path, settings: Settings, fuser: LateFuser, ways: Ways
    ) -> None:
        self.outcomes = [Outcome(case) for case in cases]
        self._settings, self._fuser, self._ways = settings, fuser, ways
        self._results = ResultsFolder(folder)
        weights = None if settings.model in BASELINES else digest_weights(settings.model)
        about = dataclasses.asdict(settings) | {"weights": weights}
        self._made_with = json.loads(json.dumps(about, default=str))
        self._run = secrets.token_hex(8)
        self._runs_before = {
            case.output: self._results.record(case.output).get("run") for case in cases
        }
        self._read = {path.resolve() for case in cases for path in case.inputs}

    def go(self) -> None:
        """Make what is to be made, tell what became of each case, and exit with the code of it."""
        sources = [path for outcome in self.outcomes for path in outcome.case.inputs]
        if self._ways.dry_run:
            for outcome in self.outcomes:
                self._foresee(outcome)
            self._tell(0.0)
            return
        self._results.begin()
        if self._ways.report is not None:
            replaces = self._ways.overwrite or self._ways.resume
            check_destination(self._ways.report, replaces, sources)
        start = time.perf_counter()
        interrupted = False
        try:
            self._make_all()
        except KeyboardInterrupt:
            interrupted = True
            self._results.sweep()  # it may have come while something was taken away
        finally:
            seconds = time.perf_counter() - start
            reported = self._write_report(seconds)
            if any(outcome.status is not Status.waiting for outcome in self.outcomes):
                self._tell(seconds)
        if interrupted:
            note("stopped: the same command with --resume goes on.")
            raise typer.Exit(INTERRUPTED)
        if not reported or any(each.status is Status.failed for each in self.outcomes):
            raise typer.Exit(SOME_FAILED)

    def _make_all(self) -> None:
        waiting = deque(self.outcomes)
        count, done = len(waiting), 0
        with progress_bar("Fusing") as bar:
            while waiting:
                outcome = waiting.popleft()
                first_try = outcome.status is Status.waiting
                bar.set_title(f"{done + 1} of {count}: {outcome.case.name}")
                part = share_of(bar, done / count, 1 / count)
                part(0, 1)
                self._attend_to(outcome, ProgressBar(part))
                if outcome.status is Status.claimed and first_try:
                    waiting.append(outcome)  # its run may have ended when we are through
                    continue
                done += 1
                if outcome.error:
                    note(f"{outcome.case.name}: {outcome.error}")
                if outcome.no_room:
                    note(
                        "there is no room for more results: free some space, and go on with --resume."
                    )
                    return

    def _attend_to(self, outcome: Outcome, bar: ProgressBar) -> None:
        """Make one case, unless somebody else does or did."""
        case = outcome.case
        try:
            if case.trouble is not None:
                raise FileError(case.trouble)
            if case.output.resolve() in self._read:
                raise FileError(
                    f"{case.output} is one of the images that are read: choose another place."
                )
            with self._results.claim(case.output) as ours:
                if not ours:
                    outcome.status = Status.claimed
                elif (ended := self._why_finished(case)) is not None:
                    outcome.status = ended
                    outcome.made_how = self._results.record(case.output).get("made_how")
                else:
                    self._make(outcome, bar)
        except GIFNetError as error:
            if error is self._fuser.trouble:
                raise
            outcome.status, outcome.error = Status.failed, in_words_of_the_shell(str(error))
            outcome.no_room = isinstance(error, NoRoomError)
        except KeyboardInterrupt:
            outcome.status = Status.done if self._is_ours(case) else Status.stopped
            raise
        except Exception as error:
            words = " ".join(str(error).split()) or "no reason is given"
            outcome.status = Status.failed
            outcome.error = f"It failed unexpectedly ({type(error).__name__}: {words})."

    def _is_ours(self, case: Case) -> bool:
        """Whether a result is there and made by this run: it may be stopped just behind that."""
        ours = self._results.record(case.output).get("run") == self._run
        return ours and not self._results.find_difference(case.output, case.inputs, self._made_with)

    def _why_finished(self, case: Case) -> Status | None:
        """Return in which way a case is finished already; None if it is to be made."""
        if not case.output.exists():
            return None
        difference = self._results.find_difference(case.output, case.inputs, self._made_with)
        if difference is None:
            record = self._results.record(case.output)
            if record.get("run") != self._runs_before[case.output]:
                return Status.elsewhere
            if self._ways.resume:
                return Status.finished
        if self._ways.overwrite:
            return None
        raise FileError(self._refusal(case, difference))

    def _refusal(self, case: Case, difference: str | None) -> str:
        if difference is None:
            return f"{case.output} exists already: go on with --resume, or replace it with --overwrite."
        told = f", but {difference}" if self._ways.resume else ""
        return f"{case.output} exists already{told}: choose another place, or add --overwrite."

    def _make(self, outcome: Outcome, bar: ProgressBar) -> None:
        case, results = outcome.case, self._results
        start = time.perf_counter()
        check_replaceable(case.output, self._ways.overwrite, case.inputs)
        identities = [identity(path) for path in case.inputs]
        with results.workshop(case.output) as workshop:
            unfinished = workshop / case.output.name
            names = str(unfinished), str(case.output)
            try:
                with _noting(outcome.notes, names):
                    made, _ = make(
                        dataclasses.replace(case, output=unfinished),
                        self._settings,
                        self._fuser,
                        bar,
                    )
                record = {
                    "name": case.name,
                    "run": self._run,
                    "version": __version__,
                    "settings": self._made_with,
                    "inputs": [str(path) for path in case.inputs],
                    "identities": identities,
                    "made_how": made.how,
                    "seconds": round(time.perf_counter() - start, 3),
                    "notes": outcome.notes,
                }
                results.publish(unfinished, case.output, record, self._ways.overwrite)
            except FileError as error:
                raise type(error)(str(error).replace(*names)) from error
        outcome.status, outcome.made_how = Status.done, made.how
        outcome.seconds = round(time.perf_counter() - start, 3)

    def _foresee(self, outcome: Outcome) -> None:
        """Tell what would become of a case; nothing is touched for it."""
        case = outcome.case
        try:
            if case.trouble is not None:
                raise FileError(case.trouble)
            outcome.status = self._why_finished(case) or Status.planned
        except FileError as error:
            outcome.status, outcome.error = Status.refused, str(error)

    def _tell(self, seconds: float) -> None:
        """Print the table and how many cases ended in which way."""
        rows = []
        for outcome in self.outcomes:
            took = "" if outcome.seconds is None else f"{outcome.seconds:.1f} s"
            told = outcome.error or "; ".join([str(outcome.case.output), *outcome.notes])
            if outcome.status is Status.planned:
                told += f", of {_enumerate(outcome.case.inputs)}"
            rows.append([outcome.case.name, outcome.status.value, took, told])
        print_table(["case", "status", "time", "result, or why there is none"], rows)
        counts = [f"{count} {status}" for status, count in self._counts().items()]
        ending = "nothing was touched" if self._ways.dry_run else f"{seconds:.1f} s"
        cases = "1 case" if len(rows) == 1 else f"{len(rows)} cases"
        typer.echo(f"{cases}: {', '.join(counts)}; {ending}.")

    def _counts(self) -> dict[str, int]:
        statuses = [outcome.status for outcome in self.outcomes]
        return {each.value: statuses.count(each) for each in Status if each in statuses}

    def _write_report(self, seconds: float) -> bool:
        """Write the report, if one is wanted; return whether it went well."""
        path = self._ways.report
        if path is None:
            return True
        content = {
            "napari_gifnet": __version__,
            "written": datetime.now().astimezone().isoformat(timespec="seconds"),
            "seconds": round(seconds, 3),
            "settings": self._made_with,
            "counts": self._counts(),
            "cases": [outcome.plain for outcome in self.outcomes],
        }
        text = json.dumps(content, indent=1)  # in ASCII, which holds names that are not UTF-8 too
        try:
            with complete_file(path) as temporary:
                temporary.write_text(f"{text}\n", encoding="utf-8")
        except FileError as error:
            note(str(error))
            return False
        return True


@contextmanager
def _noting(notes: list[str], names: tuple[str, str]) -> Iterator[None]:
    """Collect warnings as sentences, a name in them replaced."""
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_, **__: notes.append(
            in_words_of_the_shell(str(message).replace(*names))
        )
        yield


def _enumerate(paths: Sequence[Path]) -> str:
    names = [str(path) for path in paths]
    if len(names) > 4:
        return f"{len(names)} planes, {names[0]} to {names[-1]}"
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
