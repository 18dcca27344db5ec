"""Progress as people see it: a live line per run in a terminal, a plain line now and then in a log."""

import math
import time
from types import TracebackType

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from emotune.run import RunProgress
from emotune.run_directory import State, Status

__all__ = ["RunLines"]

PLAIN_EVERY_S = 20.0
"""Between two plain lines of one run."""


class RunLines:
    """Shows runs as they go on; a context manager.

    Args:
        console: Where to; not a terminal: plain lines.
        runs: How many runs there are to do, for the overall line.
    """

    def __init__(self, console: Console, runs: int) -> None:
        self._console, self._runs, self._finished = console, runs, 0
        self._tasks: dict[str, TaskID] = {}
        self._printed: dict[str, float] = {}
        self._live = Progress(
            TextColumn("{task.description}"), BarColumn(bar_width=24), TextColumn("{task.fields[text]}"),
            TimeElapsedColumn(), TimeRemainingColumn(),
            console=console, disable=not console.is_terminal,
        )  # fmt: skip
        self._overall = self._live.add_task("all runs", total=runs, text="")

    def __enter__(self) -> "RunLines":
        self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._live.stop()

    def update(self, progress: RunProgress) -> None:
        """Shows how far a run is."""
        text = f"epoch {progress.epoch}/{progress.epochs}"
        if not math.isnan(progress.loss):
            text += f"  loss {progress.loss:.2f}"
        if not math.isnan(progress.val_accuracy):
            text += f"  val {progress.val_accuracy:.1f} %"
        if progress.run_id not in self._tasks:
            self._tasks[progress.run_id] = self._live.add_task(progress.run_id, total=1.0, text=text)
        self._live.update(self._tasks[progress.run_id], completed=progress.fraction, text=text)
        now = time.monotonic()
        if not self._console.is_terminal and now - self._printed.get(progress.run_id, -math.inf) > PLAIN_EVERY_S:
            self._printed[progress.run_id] = now
            self._console.print(f"  {progress.run_id}: {progress.fraction:4.0%}  {text}", highlight=False)

    def finish(self, run_id: str, status: Status) -> None:
        """Replaces the run's line by how it ended."""
        if run_id in self._tasks:
            self._live.remove_task(self._tasks.pop(run_id))
        self._finished += 1
        self._live.update(self._overall, completed=self._finished, text=f"{self._finished} of {self._runs}")
        mark = "[green]✓[/]" if status.state is State.DONE else "[red]✗[/]"
        why = status.detail.strip().splitlines()[:1] if status.state is not State.DONE else []
        line = f"{mark} {escape(run_id)}: {' — '.join([status.state.value, *map(escape, why)])}"
        self._console.print(f"  {self._finished}/{self._runs} {line}", highlight=False)
