"""What a command waits for is said in a log file, too."""

import io

import pytest
from rich.console import Console

from emotune.execution.monitor.waiting import waiting_for


@pytest.mark.parametrize(("terminal", "lines"), [(True, 0), (False, 1)])
def test_a_log_file_has_a_line_before_the_block_begins_and_a_terminal_none_that_stays(terminal: bool, lines: int):
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=80)
    with waiting_for(console, "checking networks") as show:
        assert (out.getvalue().count("\n") == 1) == (not terminal)
        show("half of them")
    assert out.getvalue().count("Checking networks.") == lines
