"""Output for people at a terminal of any width and for log files, which get whole lines without control characters."""

import os
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.padding import Padding
from rich.style import Style
from rich.table import Table
from rich.text import Text

__all__ = [
    "UNLIMITED",
    "can_link",
    "file_link",
    "make_console",
    "print_line",
    "print_next",
    "print_report",
    "print_table",
]

UNLIMITED = 100_000
"""The width of output that is not printed to a terminal: an event is one line, however long."""
GAP = 2
LINKING = {
    "TERM_PROGRAM": r"iTerm\.app|WezTerm|vscode|ghostty|Hyper|rio|tmux",
    "TERM": r"xterm-kitty|alacritty|foot.*",
    "VTE_VERSION": r"[5-9]\d{3}|\d{5,}",
    "WT_SESSION": r".+",
    "KONSOLE_VERSION": r"[2-9]\d{5}|\d{7,}",
}
"""Variables by which terminals that show links introduce themselves."""
FAR = ("SSH_CONNECTION", "SSH_TTY", "CI")
"""Variables that say that the terminal is not on the machine with the file."""


def make_console(*, stderr: bool = False, quiet: bool = False) -> Console:
    """A console for standard output, or for stderr.

    Only a real terminal is animated, even if ``FORCE_COLOR`` asks for colours in a file. Lines of a file are not
    wrapped, so that programs find what belongs together.

    Args:
        stderr: Whether it is for stderr.
        quiet: Whether nothing is printed.
    """
    is_terminal = (sys.stderr if stderr else sys.stdout).isatty()
    interactive = is_terminal and os.environ.get("TERM", "").lower() not in ("dumb", "unknown", "")
    width: int | None = None if is_terminal else UNLIMITED  # a terminal's size may change
    height: int | None = None
    if is_terminal and not interactive:  # rich takes the width of all of these for 80
        width, height = shutil.get_terminal_size()
    return Console(stderr=stderr, quiet=quiet, width=width, height=height, force_interactive=interactive)


def can_link(environment: Mapping[str, str]) -> bool:
    """Whether the terminal shows hyperlinks, and a file on this machine is one that it can open.

    >>> can_link({"TERM": "xterm-kitty"}), can_link({"TERM": "xterm-kitty", "SSH_TTY": "/dev/pts/0"})
    (True, False)

    Args:
        environment: The environment variables.
    """
    if any(environment.get(name) for name in FAR):
        return False
    return any(re.fullmatch(values, environment.get(name, "")) for name, values in LINKING.items())


def file_link(console: Console, path: Path) -> Text:
    """The address of a file, ``file:///…``, which is also a hyperlink on a terminal that shows them.

    Args:
        console: The console that it will be printed to.
        path: The file, absolute or relative to the working directory.
    """
    url = path.absolute().as_uri()
    links = console.is_interactive and can_link(os.environ)
    return Text(url, Style(link=url) if links else Style())


def print_line(console: Console, line: str, indent: int = 0) -> None:
    """Prints a line of prose, which a terminal wraps between words.

    Args:
        console: The console to print to.
        line: The line, taken literally.
        indent: The number of spaces before it, and before what is wrapped.
    """
    console.print(Padding(Text(line), (0, 0, 0, indent), expand=False), highlight=False)


def print_report(console: Console, page: Path, remark: str = "") -> None:
    """Prints the address of a report's page, as the last line.

    Args:
        console: The console to print to.
        page: The page.
        remark: A remark on it.
    """
    line = Text.assemble("Report: ", file_link(console, page), f" ({remark})" if remark else "")
    console.print(line, highlight=False, soft_wrap=True)


def print_next(console: Console, command: str) -> None:
    """Prints the command that a user is likely to want next, as the last line, in one piece for copying."""
    console.print(f"Next: {command}", highlight=False, markup=False, soft_wrap=True)


def print_table(console: Console, table: Table, wrapping: str = "") -> None:
    """Prints a table; if the console is too narrow for it, a block of lines for each row, which loses no column.

    Args:
        console: The console to print to.
        table: The table, whose headers and cells are texts.
        wrapping: The header of the column whose cells may be wrapped between words, if there is one.
    """
    room = console.width - console.measure(table, options=console.options.update(max_width=UNLIMITED)).maximum
    for column in table.columns:
        if room >= 0 or column.header != wrapping:
            continue
        cells = [Text.from_markup(str(cell)) for cell in column.cells]
        width = max(cell_len(cell.plain) for cell in cells) + room
        if width >= max(cell_len(word) for cell in cells for word in cell.plain.split()):
            column.width, room = width, 0
    if room >= 0:
        console.print(table)
        return
    if table.title:
        console.print(table.title, style="italic")
    headers = [str(column.header) for column in table.columns]
    rows = zip(*([*column.cells] for column in table.columns), strict=True)
    footer = [tuple(column.footer for column in table.columns)] if table.show_footer else []
    for row in [*rows, *footer]:
        _print_row(console, headers, row)


def _print_row(console: Console, headers: Sequence[str], row: Sequence[Any]) -> None:
    """Prints the first cell on a line, and the others below it, as many on a line as fit; each after its header."""
    first, *others = [Text.from_markup(str(cell)) for cell in row]
    first.stylize("bold")
    console.print(Text.assemble((f"{headers[0]} ", "dim"), first), highlight=False, soft_wrap=True)
    line = Text()
    pairs = [Text.assemble((f"{header} ", "dim"), cell) for header, cell in zip(headers[1:], others, strict=True)]
    for pair in pairs:
        if line and GAP + line.cell_len + GAP + pair.cell_len > console.width:
            console.print(Text.assemble(" " * GAP, line), highlight=False)
            line = Text()
        line = Text.assemble(line, " " * GAP, pair) if line else pair
    if line:
        console.print(Text.assemble(" " * GAP, line), highlight=False)
