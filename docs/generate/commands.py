"""The reference of the commands: what ``--help`` of each prints, and the exit codes of each."""

import contextlib
import inspect
import io
import os
from collections.abc import Callable, Sequence
from unittest import mock

import griffe
from docstrings import markdown

from emotune import ablate, predict, shard
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
    """What the docstring of a command says about its exit codes."""
    sections = griffe.Docstring(inspect.getdoc(main) or "").parse("google", warnings=False)
    (returns,) = [one for one in sections if one.kind is griffe.DocstringSectionKind.returns]
    return markdown(" ".join(item.description for item in returns.value))


PARTS: dict[str, Callable[[], str]] = {
    "help-ablate": lambda: _help(ablate.main),
    **{f"help-{verb}": lambda verb=verb: _help(ablate.main, verb) for verb in SUBCOMMANDS},
    "help-shard": lambda: _help(shard.main),
    "help-shard-folder": lambda: _help(shard.main, "folder"),
    "help-predict": lambda: _help(predict.main),
    "codes-ablate": lambda: _codes(ablate.main),
    "codes-shard": lambda: _codes(shard.main),
    "codes-predict": lambda: _codes(predict.main),
}
