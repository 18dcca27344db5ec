"""The texts of ``--help``, as wide as the terminal: paragraphs, and tables with an indented row on each line."""

import argparse
import shutil
import textwrap
from collections.abc import Mapping

__all__ = ["HelpFormatter", "examples", "table"]

INDENT, GAP = 2, 2
WIDEST = 112
"""Characters in a line on a wide terminal: longer ones are hard to read."""
NARROWEST_TEXT = 24
"""Characters that the second column of a table needs; with fewer, it is below the first."""


def line_width() -> int:
    """The number of characters in a line of help."""
    return max(20, min(WIDEST, shutil.get_terminal_size().columns - 2))


class HelpFormatter(argparse.HelpFormatter):
    """Fills paragraphs of description and epilog to the terminal's width, and leaves indented lines as they are."""

    def __init__(self, prog: str, *arguments: int, **more: int) -> None:
        super().__init__(prog, *arguments, **more | {"width": line_width()})

    def _split_lines(self, text: str, width: int) -> list[str]:
        return textwrap.wrap(" ".join(text.split()), width, break_long_words=False, break_on_hyphens=False)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        lines: list[str] = []
        paragraph: list[str] = []
        for line in [*text.splitlines(), ""]:
            if line and not line.startswith(" "):
                paragraph.append(line)
                continue
            lines += textwrap.wrap(" ".join(paragraph), width, break_long_words=False, break_on_hyphens=False)
            lines.append(line)
            paragraph = []
        return "\n".join(lines).rstrip()


def table(rows: Mapping[str, str], width: int | None = None) -> str:
    """Rows of two columns; on a narrow terminal the second is below the first.

    >>> print(table({"status": "shows how far runs are"}, width=60))
      status  shows how far runs are
    >>> print(table({"status": "shows how far runs are"}, width=30))
      status
          shows how far runs are

    Args:
        rows: The text of each row by its first cell.
        width: The number of characters in a line; None: that of the terminal.
    """
    width = width or line_width()
    first = max(map(len, rows))
    room = width - INDENT - first - GAP
    lines = []
    for name, text in rows.items():
        if room < NARROWEST_TEXT:
            below = textwrap.wrap(text, width - 3 * INDENT, break_long_words=False, break_on_hyphens=False)
            lines += [f"{'':{INDENT}}{name}", *(f"{'':{3 * INDENT}}{line}" for line in below)]
            continue
        for number, line in enumerate(textwrap.wrap(text, room, break_long_words=False, break_on_hyphens=False)):
            lines.append(f"{'':{INDENT}}{'' if number else name:{first}}{'':{GAP}}{line}")
    return "\n".join(lines)


def examples(commands: Mapping[str, str]) -> str:
    """The section of examples: what each command does."""
    return f"examples:\n{table(commands)}"
