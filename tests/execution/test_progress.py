import io
import time

from rich.console import Console

from emotune.execution.progress import RunLines
from emotune.run import RunProgress
from emotune.run_directory import State, Status


def shown(terminal: bool) -> str:
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=120)
    with RunLines(console, runs=2) as lines:
        lines.update(RunProgress("a-scenes-s0-01234567", 1, 4, 0.25, 1.5, 31.2))
        lines.update(RunProgress("a-scenes-s0-01234567", 2, 4, 0.5, 1.2, 35.0))
        time.sleep(0.3 if terminal else 0.0)  # a terminal is drawn ten times a second
        lines.finish("a-scenes-s0-01234567", Status(State.DONE))
        lines.finish("b-scenes-s0-01234567", Status(State.FAILED, "RuntimeError: [/] no\nTraceback [bold]"))
    return out.getvalue()


def test_a_log_gets_plain_lines_not_too_often_and_how_every_run_ended():
    text = shown(terminal=False)
    assert text.count("25%") == 1
    assert "50%" not in text, "the next plain line comes later"
    assert "epoch 1/4  loss 1.50  val 31.2 %" in text
    assert "1/2 ✓ a-scenes-s0-01234567: done" in text
    assert "2/2 ✗ b-scenes-s0-01234567: failed — RuntimeError: [/] no" in text


def test_a_terminal_gets_a_live_line_per_run():
    text = shown(terminal=True)
    assert "epoch 2/4" in text
    assert "all runs" in text
