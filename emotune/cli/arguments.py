"""Command lines: options are written out, a mistyped one is told the nearest, and ``~`` is the home folder."""

import argparse
import contextlib
import functools
import io
import os
import re
import select
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from emotune.core.errors import closest

__all__ = ["UNREAD", "CommandLine", "exits_on_broken_pipe", "local_path", "path_or_url", "reraise_broken_pipe"]

UNREAD = 141
"""Exit code of a command whose output nobody reads any more, as shells have it for the signal that says so."""

UNKNOWN = "unrecognized arguments: "


class CommandLine(argparse.ArgumentParser):
    """A parser that takes no abbreviation: ``--seed 42`` is not ``--seeds 42``."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options | {"allow_abbrev": False})

    def error(self, message: str) -> NoReturn:
        """Ends the process with code 2, saying what is wrong."""
        if message.startswith(UNKNOWN):
            message = re.sub(r"(?<=\s)--?[^\s=]+", self._with_nearest, message)
        super().error(message)

    def _with_nearest(self, option: re.Match[str]) -> str:
        close = closest(option[0], _options(self))
        return f"{option[0]} (did you mean {close}?)" if close else option[0]


def path_or_url(text: str) -> str:
    """A folder or file that an option names: a URL, or a path in which ``~`` is the home folder, as in a shell.

    Raises:
        ArgumentTypeError: it can be the name of nothing.
    """
    return text if "://" in text else str(local_path(text))


def local_path(text: str) -> Path:
    """A path in which ``~`` is the home folder.

    Raises:
        ArgumentTypeError: it can be the name of nothing.
    """
    if not text or "\0" in text:
        raise argparse.ArgumentTypeError("a path is needed, it is empty" if not text else "a path has no NUL in it")
    try:
        path = Path(text).expanduser()
    except RuntimeError:
        raise argparse.ArgumentTypeError(f'"{text}": there is no such user, whose home folder this would be') from None
    try:
        path.resolve()
    except RuntimeError:
        raise argparse.ArgumentTypeError(f'"{text}": its symbolic links lead in a circle') from None
    return path


Main = Callable[..., int]


def exits_on_broken_pipe(main: Main) -> Main:
    """A command that says nothing more once nobody reads it, as in ``… | head``, and ends with code 141."""

    @functools.wraps(main)
    def quiet(arguments: Sequence[str] | None = None) -> int:
        for stream in (sys.stdout, sys.stderr):  # names of files need not be what the terminal's encoding has
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        try:
            try:
                code = main(arguments)
            except SystemExit as ended:
                if ended.code == 1:  # that of rich, which has found the same, and of nobody else
                    return UNREAD
                sys.stdout.flush()  # after --help
                raise
            sys.stdout.flush()
            return code
        except BrokenPipeError:
            if not (unread := _unread()):
                raise
            for stream in unread:  # what is left in its buffer goes nowhere
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
            return UNREAD

    return quiet


def reraise_broken_pipe(error: OSError) -> None:
    """Raises the error again if it says that nobody reads the command's output any more."""
    if isinstance(error, BrokenPipeError) and _unread():
        raise error


def _unread() -> list[Any]:
    return [stream for stream in (sys.stdout, sys.stderr) if _is_unread(stream)]


def _is_unread(stream: Any) -> bool:
    with contextlib.suppress(OSError, ValueError, AttributeError):
        poll = select.poll()
        poll.register(stream.fileno(), 0)
        return any(events & (select.POLLERR | select.POLLHUP) for _, events in poll.poll(0))
    return False


def _options(parser: argparse.ArgumentParser) -> list[str]:
    """Those of the parser, and of all its subcommands."""
    found = []
    for action in parser._actions:  # argparse has no public list of them
        found += [option for option in action.option_strings if option.startswith("--")]
        if isinstance(action, argparse._SubParsersAction):
            found += [option for inner in action.choices.values() for option in _options(inner)]
    return list(dict.fromkeys(found))
