"""Progress as people see it: a live line per run in a terminal, a plain line now and then in a log."""

import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from emotune.config.run import RunConfig
from emotune.execution.monitor.tracker import RunTracker, TrackedRun
from emotune.runs.directory import State, Status
from emotune.runs.progress import RunProgress

__all__ = ["ProgressDisplay"]

PLAIN_EVERY_S, PLAIN_SHARE_S = 20.0, 5.0
"""Between two plain lines of one run at least, and for each run that goes on beside it."""
PLAIN_LINES = 400
"""About how many plain lines the runs of a study may take, beginnings and ends apart."""
TOTALS_EVERY_S = 60.0

MARGIN, BAR, GAP = 2, (8, 28), 2
"""Of all lines, the bar's narrowest and widest, and the columns' distance."""
COLUMNS = ("run", "bar", "epoch", "loss", "val %", "img/s", "left")
DROPPED = ("bar", "img/s", "loss", "val %")
"""What a narrow terminal does without, in this order, before names are shortened."""


class ProgressDisplay:
    """Shows runs as they go on; a context manager.

    Args:
        console: Where to; not a terminal: plain lines.
        runs: To do.
        clock: Gives seconds.
    """

    def __init__(
        self, console: Console, runs: Sequence[RunConfig], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._console, self._names, self._courses = console, _names(runs), RunTracker(runs, clock)
        self._printed: dict[str, float] = {}
        self._totals_printed = self._courses.now
        self._plain = not console.is_interactive
        self._live = Live(console=console, get_renderable=self.view, transient=True)

    def __enter__(self) -> Self:
        if not self._plain:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()
        self._print(self._totals())

    def on_progress(self, progress: RunProgress) -> None:
        """Shows how far a run is."""
        remark = self._courses.update(progress)
        if remark:
            self._print(f"{self._name(progress.run_id)}: {remark}", ("↻", "yellow"))
        if self._plain and progress.run_id in self._courses.active:
            self._print_now_and_then(self._courses.active[progress.run_id])

    def on_end(self, run_id: str, status: Status) -> None:
        """Says how the run ended."""
        course = self._courses.active.get(run_id)
        took_s = self._courses.finish(run_id, status)
        mark, said = {
            State.DONE: (("✓", "green"), "done"),
            State.RUNNING: (("·", "dim"), "in other hands"),
            State.INTERRUPTED: (("‖", "yellow"), "interrupted"),
        }.get(status.state, (("✗", "red"), status.state.value))
        if status.state is State.DONE:
            said += f" in {duration(took_s)}" if took_s is not None else ""
            said += f"  val {course.latest.val_accuracy:.1f} %" if course and _known(course.latest.val_accuracy) else ""
        elif why := status.reason:
            said += f" — {why}"
        count = f"{self._courses.counts().total()}/{self._courses.total}"
        whole = status.state in (State.FAILED, State.DIVERGED)
        name = self._name(run_id)
        own = f" ({run_id})" if whole and name != run_id else ""
        self._print(f"{count} {name}{own}: {said}", mark, whole=whole)

    def view(self) -> RenderableType:
        """The live lines: a table of the runs that go on, and the totals."""
        courses = list(self._courses.active.values())
        most = max(1, self._console.height - 5)
        shown, hidden = courses[:most], len(courses) - most
        rows = [self._row(course) for course in shown]
        parts: list[RenderableType] = (
            [_table(rows, [c.latest for c in shown], self._console.width - MARGIN)] if rows else []
        )
        if hidden > 0:
            parts.append(_cut(Text(f"and {hidden} more runs", "dim")))
        return Padding(Group(*parts, _cut(Text(self._totals(), "bold"))), (1, 0, 0, MARGIN))

    def _row(self, course: TrackedRun) -> dict[str, str]:
        latest = course.latest
        left_s = course.left_s(self._courses.now) if latest.phase != "testing" else None
        training = f"{latest.epoch}/{latest.epochs}"
        return {
            "run": self._name(latest.run_id),
            "epoch": training if latest.phase == "training" else f"{latest.phase} {latest.evaluated:,}",
            "loss": f"{latest.loss:.3f}" if _known(latest.loss) else "",
            "val %": f"{latest.val_accuracy:.1f}" if _known(latest.val_accuracy) else "",
            "img/s": _rate(latest.images_per_s) if _known(latest.images_per_s) else "",
            "left": duration(left_s) if left_s is not None else "",
        }

    def _print_now_and_then(self, course: TrackedRun) -> None:
        now, latest = self._courses.now, course.latest
        active, runs = len(self._courses.active), max(1, self._courses.total)
        share_s = (course.whole_s(now) or 0.0) * runs / PLAIN_LINES
        if now - self._printed.get(latest.run_id, -math.inf) >= max(PLAIN_EVERY_S, PLAIN_SHARE_S * active, share_s):
            self._printed[latest.run_id] = now
            cells = self._row(course)
            said = [f"epoch {cells['epoch']}" if latest.phase == "training" else cells["epoch"]]
            units = {"loss": "loss {}", "val %": "val {} %", "img/s": "{} img/s", "left": "{} left"}
            said += [text.format(cells[name]) for name, text in units.items() if cells[name]]
            self._print(f"{cells['run']}: {latest.fraction:4.0%}  {'  '.join(said)}")
        if now - self._totals_printed >= max(TOTALS_EVERY_S, self._courses.elapsed_s / 20):
            self._totals_printed = now
            self._print(self._totals())

    def _totals(self) -> str:
        ended: Counter[State] = self._courses.counts()
        failed = {state.value: ended[state] for state in (State.FAILED, State.DIVERGED, State.INTERRUPTED)}
        said = failed | {
            "running": len(self._courses.active), "to do": self._courses.waiting,
            "in other hands": ended[State.RUNNING],
        }  # fmt: skip
        parts = [f"{ended[State.DONE]} of {self._courses.total} done"]
        parts += [f"{count} {what}" for what, count in said.items() if count]
        parts.append(f"{duration(self._courses.elapsed_s)} elapsed")
        left_s = self._courses.left_s()
        if left_s:
            parts.append(f"about {duration(left_s)} left")
        return " · ".join(parts)

    def _name(self, run_id: str) -> str:
        return self._names.get(run_id, run_id)

    def _print(self, text: str, mark: tuple[str, str] = (" ", ""), whole: bool = False) -> None:
        """Prints a line that stays; in a terminal it is cut, or continued below its beginning if it must be whole."""
        line = Text(text) if whole else _cut(Text(text))
        if self._plain:
            self._console.print(Text.assemble("  ", mark, " ", text), soft_wrap=True, highlight=False)
            return
        grid = Table.grid(padding=(0, 1, 0, 0))
        grid.add_row(Text.assemble("  ", mark), line)
        self._console.print(grid)


def duration(seconds: float) -> str:
    """Minutes and seconds, hours, or days.

    >>> [duration(s) for s in (42, 725, 3800, 200_000)]
    ['0:42', '12:05', '1:03:20', '2 d 7 h']
    """
    whole = round(seconds)
    minutes, hours = whole // 60, whole // 3600
    if hours >= 48:
        return f"{hours // 24} d {hours % 24} h"
    return f"{hours}:{minutes % 60:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


def _names(runs: Sequence[RunConfig]) -> dict[str, str]:
    """A short name for each run: variant and seed, and the data set where there are several."""
    several = len({run.dataset.identity for run in runs}) > 1
    names = {run.id: f"{run.variant} {run.dataset.name + ' ' if several else ''}s{run.seed}" for run in runs}
    twice = {name for name, count in Counter(names.values()).items() if count > 1}
    return {run_id: run_id if name in twice else name for run_id, name in names.items()}


def _table(rows: Sequence[dict[str, str]], latest: Sequence[RunProgress], width: int) -> Table:
    """The runs in as many columns as there is room for; the bar takes what is left of it."""
    widths = {name: max(len(name), *(len(row[name]) for row in rows)) for name in COLUMNS if name != "bar"}
    # Wide enough for all that will stand there, so that columns keep their places.
    least = {"epoch": len("validating 1,000"), "loss": 5, "val %": 5, "img/s": 6, "left": 5}
    widths = {name: max(wide, least.get(name, 0)) for name, wide in widths.items()} | {"bar": BAR[0]}
    kept = list(COLUMNS)
    for name in DROPPED:
        if sum(widths[column] + GAP for column in kept) - GAP > width:
            kept.remove(name)
    spare = width - sum(widths[column] + GAP for column in kept) + GAP
    widths["bar"] = min(BAR[1], BAR[0] + max(spare, 0))
    widths["run"] += min(spare, 0)
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="dim")
    for name in kept:
        numeric = name not in ("run", "epoch", "bar")
        table.add_column(
            "" if name == "bar" else name, justify="right" if numeric else "left",
            no_wrap=True, overflow="ellipsis", width=max(1, widths[name]),
        )  # fmt: skip
    for row, progress in zip(rows, latest, strict=True):
        cells = row | {"run": _shortened(row["run"], widths["run"])}
        bar = ProgressBar(1.0, progress.fraction, width=widths["bar"], complete_style="cyan", finished_style="cyan")
        table.add_row(*(bar if name == "bar" else Text(cells[name]) for name in kept))
    return table


def _shortened(name: str, width: int) -> str:
    """The name with its end, the seed, kept."""
    head, _, seed = name.rpartition(" ")
    room = width - len(seed) - 2
    return name if len(name) <= width or room < 1 else f"{head[:room]}… {seed}"


def _cut(text: Text) -> Text:
    text.no_wrap, text.overflow = True, "ellipsis"
    return text


def _rate(images_per_s: float) -> str:
    return f"{images_per_s:,.0f}" if images_per_s >= 10 else f"{images_per_s:.1f}"


def _known(value: float) -> bool:
    return not math.isnan(value)
