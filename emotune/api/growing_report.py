"""A report that grows while its study is trained: made anew after each round of seeds, in a process of its own."""

import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from rich.console import Console
from rich.text import Text

from emotune.config.ablate_command import AblateCommand
from emotune.core.child_process import ChildProcess, serve
from emotune.core.errors import InputError
from emotune.core.terminal import file_link
from emotune.execution.own_metric import compute_metric
from emotune.execution.plan.plan import Plan
from emotune.execution.plan.resolved_study import ResolvedStudy
from emotune.runs.directory import State, Status
from emotune.runs.progress import RunProgress

if TYPE_CHECKING:
    from emotune.api.run_study import ReportOptions

__all__ = ["GrowingReport", "growing_reports", "main", "work"]

PAUSE_S = 20.0
"""Minimum seconds from the beginning of training to the first report, and from the end of one to the next."""
SHARE = 10
"""A report is made again after at least so many times the seconds that the last one took."""
NICENESS = 5
AGAIN_S = 0.02
"""Seconds from an exception that was dropped to the next one."""


@dataclass(frozen=True)
class ReportJob:
    """A job of the process that makes a report.

    Attributes:
        resolved: The study.
        folder: The report's folder.
        command: The command that reproduces the study.
    """

    resolved: ResolvedStudy
    folder: Path
    command: AblateCommand


class GrowingReport:
    """Makes a study's report while its runs are trained; an observer of the runs, and a context manager.

    The first report is made when every variant has an ended run on every data set, each further one when as many runs
    have ended again. One is made at a time, by a process of low priority, which ends with the context. If it fails, a
    line says so, and no other is tried: runs and final report do not depend on it.

    Args:
        resolved: The study.
        plan: The state of its runs when training begins.
        folder: The report's folder, which is the study's.
        command: The command that reproduces the study.
        console: The console for a line that says where the page is, once it is there.
        pause_s: The seconds before the first report and between two; short studies are over before.
    """

    def __init__(
        self,
        resolved: ResolvedStudy,
        plan: Plan,
        folder: Path,
        command: AblateCommand,
        console: Console,
        pause_s: float = PAUSE_S,
    ) -> None:
        self._job, self._console, self._pause_s = ReportJob(resolved, folder, command), console, pause_s
        self._parts = {run.id: (run.variant, run.dataset.name) for run in resolved.runs}
        self._round = len(set(self._parts.values()))
        done = {self._parts[run_id] for run_id, status in plan.statuses.items() if status.state is State.DONE}
        self._awaited = set(self._parts.values()) - done
        self._ended, self._is_announced, self._is_closed = 0, False, False
        self._not_before = time.monotonic() + pause_s
        self._lock = threading.Lock()
        self._maker: threading.Thread | None = None
        self._child: ChildProcess | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._is_closed = True
            if self._child:
                self._child.end()
        if self._maker:
            self._maker.join()

    def on_progress(self, progress: RunProgress) -> None:
        """A run that goes on changes no report."""

    def on_end(self, run_id: str, status: Status) -> None:
        """Begins a report if a round of seeds is complete, unless the last one has just been made or is being made."""
        self._awaited.discard(self._parts.get(run_id, ("", "")))
        self._ended += 1
        is_due = not self._awaited and (not self._is_announced or self._ended >= self._round)
        if (
            self._is_closed
            or not is_due
            or time.monotonic() < self._not_before
            or (self._maker and self._maker.is_alive())
        ):
            return
        self._ended = 0
        self._maker = threading.Thread(target=self._make, name="growing report")
        self._maker.start()

    def _make(self) -> None:
        began = time.monotonic()
        with self._lock:
            if self._is_closed:
                return
            self._child = ChildProcess(__name__, self._job, "writes the report")
        try:
            with self._child as child:
                page, done = child.result()
        except (InputError, RuntimeError) as error:
            with self._lock:
                if not self._is_closed:
                    self._is_closed = True
                    self._print(f"No report while the study runs: {error}. It will be written at the end.")
            return
        if page and not self._is_announced:
            self._is_announced = True
            self._print(f"Report of the first {done} runs, renewed after each round of seeds:", page)
        self._not_before = time.monotonic() + max(self._pause_s, SHARE * (time.monotonic() - began))

    def _print(self, line: str, page: Path | None = None) -> None:
        link = (" ", file_link(self._console, page)) if page else ()
        self._console.print(Text.assemble(line, *link), highlight=False, soft_wrap=True)


def growing_reports(
    resolved: ResolvedStudy, plan: Plan, reporting: "ReportOptions | None", console: Console
) -> list[GrowingReport]:
    """The observers of a study's runs that let its report grow with them; none if there is nothing to write.

    Args:
        resolved: The study.
        plan: The state of its runs.
        reporting: Where the report goes; None writes none.
        console: Where progress is shown; a quiet one is another rank's, which leaves the report alone.
    """
    if reporting is None or console.quiet:
        return []
    return [GrowingReport(resolved, plan, reporting.folder, reporting.command, console)]


def main(descriptor: int) -> None:
    """Does a `ReportJob` in the child process, see `emotune.core.child_process.serve`."""
    end_at_sigterm()
    serve(descriptor, work)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # the result has been sent: whoever ends this process now is right


def end_at_sigterm() -> None:
    """Lets SIGTERM end this process by an exception, so that files that are being written are removed.

    Python drops an exception that comes while it finalises an object; then it is raised again a little later.
    """

    def end(*_: object) -> None:
        sys.exit(1)

    def handle_dropped(dropped: "sys.UnraisableHookArgs") -> None:
        if issubclass(dropped.exc_type, SystemExit):
            signal.setitimer(signal.ITIMER_REAL, AGAIN_S)
        else:
            sys.__unraisablehook__(dropped)

    for number in (signal.SIGTERM, signal.SIGALRM):
        signal.signal(number, end)
    sys.unraisablehook = handle_dropped


def work(job: ReportJob, send: Callable[[Any], None]) -> None:
    """Sends the path of the page and the number of finished runs in it, no path without any, or the error."""
    from emotune.report.build import build_report

    os.nice(NICENESS)  # training comes first
    warnings.simplefilter("ignore")  # they would end up in the progress display; the final report shows them
    study = job.resolved.study
    try:
        plan, page = job.resolved.plan(), None
        if plan.records:
            compute_metric(study.metric, plan, Console(quiet=True))
            tests, tuning = job.resolved.tests, job.resolved.tuning
            page = build_report(study, plan, job.folder, job.command, tests, is_growing=True, tuning=tuning)
        send((page, len(plan.records)))
    except Exception as error:  # whatever it is, the study goes on
        send(InputError(" ".join(str(error).split()) or type(error).__name__))
