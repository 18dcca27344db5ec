"""Progress of runs on the screen: a live table in a terminal, a plain line now and then in a log."""

import math
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Self

from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from emotune.config.run import RunConfig
from emotune.config.shown_options import shown_options
from emotune.config.types import as_in_study
from emotune.core.sample_noun import speed_unit
from emotune.execution.monitor.tracker import RunTracker, TrackedRun
from emotune.runs.directory import State, Status
from emotune.runs.progress import RunProgress

__all__ = ["ProgressDisplay"]

PLAIN_EVERY_S, PLAIN_SHARE_S = 20.0, 5.0
"""Minimum seconds between two plain lines of one run, in all and for each run that is trained beside it."""
PLAIN_LINES = 400
"""Approximate number of plain lines for a whole study, without those on how runs begin and end."""
TOTALS_EVERY_S = 60.0

MARGIN, GAP, LONGEST_BAR = 2, 2, 28
COLUMNS = {
    "run": 3,
    "seed": 4,
    "bar": 8,
    "epoch": len("validating 1,000"),
    "loss": 5,
    "val %": 5,
    "speed": 6,
    "left": 5,
}
"""Columns of the live table, and how wide each is at least, so that it keeps its place while runs go on.

A terminal that is too narrow for it does without the bar; a narrower one has two lines for each run, without columns.
"""
LEAST_NAME = 4
BETWEEN = " · "


class ProgressDisplay:
    """Shows how far runs are and how they end; a context manager.

    Args:
        console: The console to print to; if it is not a terminal, plain lines are printed.
        runs: The runs that are going to be trained.
        clock: A function that returns seconds.
    """

    def __init__(
        self, console: Console, runs: Sequence[RunConfig], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._console, self._names, self._tracker = console, _names(runs), RunTracker(runs, clock)
        self._printed_at: dict[str, float] = {}
        self._totals_printed_at = self._tracker.now
        self._plain = not console.is_interactive
        self._speed_unit = speed_unit()  # here, because the live table is drawn in a thread of its own
        self._live = Live(console=console, get_renderable=self.view, transient=True)

    def __enter__(self) -> Self:
        if not self._plain:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()
        self._print(BETWEEN.join(self._totals()))

    def on_progress(self, progress: RunProgress) -> None:
        """Shows how far a run is."""
        remark = self._tracker.update(progress)
        if remark:
            self._print(f"{self._name(progress.run_id)}: {remark}", ("↻", "yellow"))
        if self._plain and progress.run_id in self._tracker.active:
            self._print_now_and_then(self._tracker.active[progress.run_id])

    def on_end(self, run_id: str, status: Status) -> None:
        """Prints how a run ended."""
        tracked = self._tracker.active.get(run_id)
        took_s = self._tracker.finish(run_id, status)
        mark, outcome = {
            State.DONE: (("✓", "green"), "done"),
            State.RUNNING: (("·", "dim"), "trained by another process"),
            State.INTERRUPTED: (("‖", "yellow"), "interrupted"),
        }.get(status.state, (("✗", "red"), status.state.value))
        if status.state is State.DONE:
            outcome += f" in {duration(took_s)}" if took_s is not None else ""
            if tracked and not math.isnan(tracked.latest.val_accuracy):
                outcome += f"  val {tracked.latest.val_accuracy:.1f} %"
            elif tracked and not math.isnan(tracked.latest.val_ccc):
                outcome += f"  val CCC {tracked.latest.val_ccc:.3f}"
        elif status.reason:
            outcome += f" — {status.reason}"
        count = f"{self._tracker.counts().total()}/{self._tracker.total}"
        needs_attention = status.state in (State.FAILED, State.DIVERGED)
        name = self._name(run_id)
        run = f"{name} ({run_id})" if needs_attention and name != run_id else name
        self._print(f"{count} {run}: {outcome}", mark)

    def view(self) -> RenderableType:
        """The live lines: the runs that are being trained, as a table if there is room for it, and the totals."""
        active, columns = list(self._tracker.active.values()), self._columns()
        room = self._console.height - 5
        shown = active[: max(1, room if columns else room // 2)]
        parts: list[RenderableType] = []
        if shown:
            parts.append(self._table(shown, columns) if columns else Group(*map(self._two_lines, shown)))
        if len(active) > len(shown):
            parts.append(_cut(Text(f"and {len(active) - len(shown)} more runs", "dim")))
        totals = (_cut(Text(line, "bold")) for line in _filled(self._totals(), BETWEEN, self._width))
        return Padding(Group(*parts, *totals), (1, 0, 0, MARGIN))

    @property
    def _width(self) -> int:
        return self._console.width - MARGIN

    def _columns(self) -> Mapping[str, int]:
        """The columns for which there is room beside the longest name of the study; none if there are too many."""
        names = (name.rpartition(" ")[0] or name for name in self._names.values())
        columns = COLUMNS | {
            "run": max((len(name) for name in names), default=0),
            "speed": max(COLUMNS["speed"], len(self._speed_unit)),
        }
        for lacking in ("bar", None):
            if sum(columns.values()) + GAP * (len(columns) - 1) <= self._width:
                return columns
            columns = {name: width for name, width in columns.items() if name != lacking}
        return {}

    def _table(self, shown: Sequence[TrackedRun], columns: Mapping[str, int]) -> Table:
        """The runs, one in each row."""
        flexible = "bar" if "bar" in columns else "run"
        table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="dim")
        for name in columns:
            table.add_column(
                {"bar": "", "seed": "", "speed": self._speed_unit}.get(name, name),
                justify="left" if name in ("run", "seed", "epoch", "bar") else "right",
                min_width=COLUMNS[name],
                max_width=LONGEST_BAR if name == "bar" else None,
                no_wrap=name != flexible,
            )
        for tracked in shown:
            row = self._cells(tracked)
            bar = ProgressBar(1.0, tracked.latest.fraction, complete_style="cyan", finished_style="cyan")
            table.add_row(*(bar if name == "bar" else _cut(Text(row[name])) for name in columns))
        return table

    def _two_lines(self, tracked: TrackedRun) -> RenderableType:
        """A run by its name and how far it is, and below them as many of its numbers as there is room for."""
        latest, cells = tracked.latest, self._cells(tracked)
        far = cells["epoch"]
        if latest.phase != "training" and latest.to_read:  # two numbers of six digits leave no room for a name
            far = f"{latest.phase} {latest.evaluated / latest.to_read:.0%}"
        seed, far = f" {cells['seed']}".rstrip(), "  ".join(filter(None, [far, cells["left"]]))
        name = Text(cells["run"])
        name.truncate(max(LEAST_NAME, self._width - cell_len(seed + far) - GAP), overflow="ellipsis")
        space = " " * max(GAP, self._width - name.cell_len - cell_len(seed + far))
        numbers = _filled(self._numbers(tracked, cells, "loss", "val %", "speed"), " " * GAP, self._width - GAP)
        below = Text(" " * GAP + "".join(numbers[:1]), "dim")
        return Group(_cut(Text.assemble(name, seed, space, far)), _cut(below))

    def _numbers(self, tracked: TrackedRun, cells: Mapping[str, str], *names: str) -> Sequence[str]:
        """Those numbers of a run that are known, each with its name or unit, for where no header says what they are."""
        units = {
            "loss": "loss {}",
            "val %": "val {} %" if math.isnan(tracked.latest.val_ccc) else "val {}",
            "speed": f"{{}} {self._speed_unit}",
            "left": "{} left",
        }
        return [units[name].format(cells[name]) for name in names if cells[name]]

    def _cells(self, tracked: TrackedRun) -> Mapping[str, str]:
        """The texts of a run by column; empty where a number is not known."""
        latest, name = tracked.latest, self._name(tracked.latest.run_id)
        variant, _, seed = name.rpartition(" ")
        ccc = latest.val_ccc
        left_s = tracked.left_s(self._tracker.now) if latest.phase != "testing" else None
        training, of = f"{latest.epoch}/{latest.epochs}", f"/{latest.to_read:,}" if latest.to_read else ""
        return {
            "run": variant or name,
            "seed": seed if variant else "",
            "epoch": training if latest.phase == "training" else f"{latest.phase} {latest.evaluated:,}{of}",
            "loss": _number(latest.loss, ".3f"),
            "val %": f"CCC {ccc:.3f}" if not math.isnan(ccc) else _number(latest.val_accuracy, ".1f"),
            "speed": _number(latest.images_per_s, ",.0f" if latest.images_per_s >= 10 else ".1f"),
            "left": "" if left_s is None else duration(left_s),
        }

    def _print_now_and_then(self, tracked: TrackedRun) -> None:
        now, latest = self._tracker.now, tracked.latest
        active, runs = len(self._tracker.active), max(1, self._tracker.total)
        share_s = (tracked.whole_s(now) or 0.0) * runs / PLAIN_LINES
        interval_s = max(PLAIN_EVERY_S, PLAIN_SHARE_S * active, share_s)
        if now - self._printed_at.get(latest.run_id, -math.inf) >= interval_s:
            self._printed_at[latest.run_id] = now
            cells = self._cells(tracked)
            parts = [f"epoch {cells['epoch']}" if latest.phase == "training" else cells["epoch"]]
            parts += self._numbers(tracked, cells, "loss", "val %", "speed", "left")
            self._print(f"{self._name(latest.run_id)}: {latest.fraction:4.0%}  {'  '.join(parts)}")
        if now - self._totals_printed_at >= max(TOTALS_EVERY_S, self._tracker.elapsed_s / 20):
            self._totals_printed_at = now
            self._print(BETWEEN.join(self._totals()))

    def _totals(self) -> Sequence[str]:
        ended: Counter[State] = self._tracker.counts()
        counts = {state.value: ended[state] for state in (State.FAILED, State.DIVERGED, State.INTERRUPTED)} | {
            "running": len(self._tracker.active),
            "to do": self._tracker.waiting,
            "trained by other processes": ended[State.RUNNING],
        }
        parts = [f"{ended[State.DONE]} of {self._tracker.total} done"]
        parts += [f"{count} {name}" for name, count in counts.items() if count]
        parts.append(f"{duration(self._tracker.elapsed_s)} elapsed")
        left_s = self._tracker.left_s()
        if left_s:
            parts.append(f"about {duration(left_s)} left")
        return parts

    def _name(self, run_id: str) -> str:
        return self._names.get(run_id, run_id)

    def _print(self, text: str, mark: tuple[str, str] = (" ", "")) -> None:
        """Prints a line that stays; a terminal wraps it below its beginning."""
        if self._plain:
            self._console.print(Text.assemble("  ", mark, " ", text), soft_wrap=True, highlight=False)
            return
        grid = Table.grid(padding=(0, 1, 0, 0))
        grid.add_row(Text.assemble("  ", mark), Text(text, overflow="fold"))
        self._console.print(grid)


def duration(seconds: float) -> str:
    """Seconds as minutes and seconds, hours, or days.

    >>> [duration(s) for s in (42, 725, 3800, 200_000)]
    ['0:42', '12:05', '1:03:20', '2 d 7 h']
    """
    whole = round(seconds)
    minutes, hours = whole // 60, whole // 3600
    if hours >= 48:
        return f"{hours // 24} d {hours % 24} h"
    return f"{hours}:{minutes % 60:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


def _names(runs: Sequence[RunConfig]) -> dict[str, str]:
    """A short name for each run: variant and seed, and the data set where there are several, or what a setting sets."""
    several = len({run.dataset.identity for run in runs}) > 1
    parts = {run.id: [run.variant, *([run.dataset.name] if several else [])] for run in runs}
    groups: dict[str, list[RunConfig]] = {}
    for run in runs:
        groups.setdefault(" ".join([*parts[run.id], f"s{run.seed}"]), []).append(run)
    names = {}
    for name, alike in groups.items():
        options = [
            {f"{part}.{key}": value for part in ("model", "train")
             for key, value in shown_options(getattr(run, part)).items()} for run in alike if len(alike) > 1
        ]  # fmt: skip
        differing = (
            [key for key in dict(options[0]) if len({str(one.get(key)) for one in options}) > 1] if options else []
        )
        for run, own in zip(alike, options or [{}], strict=True):
            setting = [f"{key} {as_in_study(own.get(key))}" for key in differing]
            names[run.id] = " ".join([*parts[run.id], *setting, f"s{run.seed}"]) if setting else name
    ambiguous = {name for name, count in Counter(names.values()).items() if count > 1}
    return {run_id: run_id if name in ambiguous else name for run_id, name in names.items()}


def _filled(parts: Sequence[str], between: str, width: int) -> list[str]:
    """The parts in lines, each with as many as fit into the width, in their order."""
    lines: list[str] = []
    for part in parts:
        if lines and cell_len(lines[-1] + between + part) <= width:
            lines[-1] += between + part
        else:
            lines.append(part)
    return lines


def _cut(text: Text) -> Text:
    text.no_wrap, text.overflow = True, "ellipsis"
    return text


def _number(value: float, form: str) -> str:
    return "" if math.isnan(value) else f"{value:{form}}"
