"""The live lines and those that stay, on terminals of any width: they are legible, and lose no number."""

import os
import re
import sys
from pathlib import Path

import pytest
from progress_screen import Screen, at, run
from terminals import in_terminal

from emotune.runs.directory import State, Status

LONG = "dual-plain-with-a-very-long-name-of-its-own"


@pytest.mark.parametrize("width", [40, 60, 80, 140])
def test_a_terminal_of_any_width_shows_all_numbers_of_each_run_and_the_time_left(width: int):
    runs = [run("alexnet"), run(LONG, 12)]
    screen = Screen(*runs, terminal=True, width=width)
    screen.pass_time(60, 0.5, 4, *runs)
    shown = screen.live()
    assert all(len(line) <= width for line in shown)
    for number in ("3/4", "1.500", "31.2", "1,234"):
        assert sum(number in line for line in shown) == 2, number
    assert re.findall(r"about (\S+) left", " ".join(shown)) == ["0:40"]
    (long,) = (line for line in shown if " s12 " in line)
    assert (LONG in long) == (width >= 60), "a name that is cut keeps its seed"
    assert ("━" in shown[2]) == (shown[1].split()[0] == "run") == (width == 140)
    assert len(shown) == {40: 7, 60: 6, 80: 6, 140: 5}[width]


@pytest.mark.parametrize("width", [40, 60])
def test_a_line_on_a_run_that_has_ended_is_wrapped_and_loses_nothing(width: int):
    one = run(LONG, 12)
    screen = Screen(one, terminal=True, width=width)
    screen.lines.on_progress(at(one, 150))
    screen.lines.on_end(one.id, Status(State.DONE))
    lines = screen.text.splitlines()
    assert all(len(line.rstrip()) <= width for line in lines) and all(line.startswith("    ") for line in lines[1:])
    assert f"✓1/1{LONG}s12:donein0:00val31.2%" == "".join(screen.text.split())


PROGRAM = """
from emotune.core.terminal import make_console
from emotune.execution.monitor.display import ProgressDisplay
from emotune.runs.directory import State, Status
from progress_screen import at, run

runs = [run("alexnet"), run("attention", 3)]
with ProgressDisplay(make_console(), runs) as lines:
    lines.on_progress(at(runs[0], 150))
    lines.on_progress(at(runs[1], 300, phase="validating", evaluated=59_000, to_read=118_000))
    lines._live.refresh()
    lines.on_end(runs[0].id, Status(State.DONE))
"""


@pytest.mark.parametrize("columns", [40, 60])
def test_a_real_narrow_terminal_shows_two_lines_for_each_run(columns: int, tmp_path: Path):
    (tmp_path / "program.py").write_text(PROGRAM)
    path = {"PYTHONPATH": os.pathsep.join(sys.path)}
    code, shown = in_terminal([sys.executable, "program.py"], tmp_path, columns, variables=path)
    shown = re.sub(r"\x1b\[[\d;]*m", "", shown)
    lines = [line.rstrip() for line in re.sub(r"\x1b\[[\d;?]*[A-Za-z]|\r", "\n", shown).split("\n")]
    assert code == 0 and all(len(line) <= columns for line in lines), shown
    below = "    loss 1.500  val 31.2 %  1,234 img/s"
    for name, far in (("alexnet s0", "2/4"), ("attention s3", "validating 50%")):
        place = next(k for k, line in enumerate(lines) if line.startswith(f"  {name} ") and far in line)
        assert next(line for line in lines[place + 1 :] if line) == below
    assert any(line.startswith("  ✓ 1/2 alexnet s0: done in ") for line in lines)


@pytest.mark.parametrize("width", [40, 120])
def test_as_many_runs_are_shown_as_a_terminal_has_lines_for(width: int):
    runs = [run("alexnet", seed) for seed in range(30)]
    screen = Screen(*runs, terminal=True, width=width)
    for one in runs:
        screen.lines.on_progress(at(one, 5))
    shown = screen.live()
    assert len(shown) < 20
    left_out = next(int(line.split()[1]) for line in shown if line.endswith(" more runs"))
    assert left_out == 30 - sum("1/4" in line for line in shown) == {40: 23, 120: 15}[width]
    assert "30 running" in " ".join(shown)
