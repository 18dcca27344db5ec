"""The reference of the commands: what ``--help`` of each prints, and the exit codes of each."""

import contextlib
import inspect
import io
import os
import re
from collections.abc import Callable, Sequence
from unittest import mock

from docstrings import markdown

from emotune import __main__ as program
from emotune import ablate, export, predict, shard
from emotune.config.ablate_command import SUBCOMMANDS

__all__ = ["PARTS"]

WIDTH = "100"
"""Columns of the help, as of a terminal."""


def _help(main: Callable[[Sequence[str]], int], *arguments: str) -> str:
    printed = io.StringIO()
    with (
        contextlib.redirect_stdout(printed),
        mock.patch.dict(os.environ, {"COLUMNS": WIDTH, "NO_COLOR": "1"}),
        contextlib.suppress(SystemExit),
    ):
        main([*arguments, "--help"])
    return f"```text\n{printed.getvalue().rstrip()}\n```"


def _codes(main: Callable[..., int]) -> str:
    """The exit codes of a command, ``0: …; 1: …`` in its docstring, as a table."""
    text = " ".join((inspect.getdoc(main) or "").partition("Returns:")[2].split())
    codes = re.findall(r"(\d+): (.*?)(?=; \d+: |\.?$)", text)
    return "\n".join(["| exit code | |", "| -: | - |", *(f"| {code} | {markdown(words)} |" for code, words in codes)])


DESCRIBED = ("status", "rerun", "prune")
"""The subcommands that the page has a heading for, to which other pages link; the others get one."""

PARTS: dict[str, Callable[[], str]] = {
    "help-emotune": lambda: _help(program.main),
    "help-ablate": lambda: _help(ablate.main),
    **{f"help-{verb}": lambda verb=verb: _help(ablate.main, verb) for verb in SUBCOMMANDS},
    "help-others": lambda: "\n\n".join(
        f"### `{verb}`\n\n{_help(ablate.main, verb)}" for verb in SUBCOMMANDS if verb not in DESCRIBED
    ),
    "help-shard": lambda: _help(shard.main),
    "help-shard-folder": lambda: _help(shard.main, "folder"),
    "help-predict": lambda: _help(predict.main),
    "help-export": lambda: _help(export.main),
    "codes-ablate": lambda: _codes(ablate.main),
    "codes-shard": lambda: _codes(shard.main),
    "codes-predict": lambda: _codes(predict.main),
    "codes-export": lambda: _codes(export.main),
}
