"""The common parts of all commands: a strict argument parser, paths with ``~``, and a quiet end on a broken pipe."""

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
"""The exit code of a command whose output pipe is closed: 128 + SIGPIPE, as in shells."""

UNKNOWN = "unrecognized arguments: "


class CommandLine(argparse.ArgumentParser):
    """A parser without abbreviated options that suggests the nearest option for an unknown one."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options | {"allow_abbrev": False})
        self._in_use = False

    def error(self, message: str) -> NoReturn:
        """Prints the message and ends the process with code 2."""
        if message.startswith(UNKNOWN):
            message = re.sub(r"(?<=\s)--?[^\s=]+", self._with_suggestion, message)
        super().error(message)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]  # it has overloads
        """As in argparse; the parser of a subcommand remembers that it is the one in use."""
        self._in_use = True
        return super().parse_known_args(args, namespace)

    def _with_suggestion(self, option: re.Match[str]) -> str:
        command = self._command()
        options = _options(command)
        if option[0] in options:  # it stands before the subcommand
            return f"{option[0]} (give it after {command.prog.split()[-1]})"
        close = closest(option[0], options)
        return f"{option[0]} ({f'did you mean {close}?' if close else f'{command.prog} has no such option'})"

    def _command(self) -> "CommandLine":
        """The parser of the subcommand in use; this one, if it has none."""
        inner = [one for action in self._actions if isinstance(action, argparse._SubParsersAction)
                 for one in action.choices.values() if one._in_use]  # fmt: skip
        return inner[0] if inner else self


def path_or_url(text: str) -> str:
    """The folder or file of an option: a URL, or a path in which ``~`` is the home folder.

    Raises:
        ArgumentTypeError: the path is invalid.
    """
    return text if "://" in text else str(local_path(text))


def local_path(text: str) -> Path:
    """A local path in which ``~`` is the home folder.

    Raises:
        ArgumentTypeError: the path is invalid.
    """
    if not text or "\0" in text:
        raise argparse.ArgumentTypeError("the path is empty" if not text else "the path contains a NUL character")
    try:
        path = Path(text).expanduser()
    except RuntimeError:
        raise argparse.ArgumentTypeError(f'"{text}": there is no such user') from None
    try:
        path.resolve()
    except RuntimeError:
        raise argparse.ArgumentTypeError(f'"{text}": its symbolic links lead in a circle') from None
    return path


Main = Callable[..., int]


def exits_on_broken_pipe(main: Main) -> Main:
    """Decorates a command: when its output pipe is closed, as in ``… | head``, it ends quietly with code 141."""

    @functools.wraps(main)
    def run(arguments: Sequence[str] | None = None) -> int:
        for stream in (sys.stdout, sys.stderr):  # file names may have characters that the terminal's encoding lacks
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        try:
            try:
                code = main(arguments)
            except SystemExit as ended:
                if ended.code == 1:  # only rich exits with 1, on a broken pipe
                    return UNREAD
                sys.stdout.flush()  # after --help
                raise
            sys.stdout.flush()
            return code
        except BrokenPipeError:
            if not (closed := _closed_outputs()):
                raise
            for stream in closed:  # discard what is left in the buffer
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
            return UNREAD

    return run


def reraise_broken_pipe(error: OSError) -> None:
    """Raises the error again if it means that the command's output pipe is closed."""
    if isinstance(error, BrokenPipeError) and _closed_outputs():
        raise error


def _closed_outputs() -> list[Any]:
    """The standard streams whose pipe is closed at the other end."""
    return [stream for stream in (sys.stdout, sys.stderr) if _is_closed(stream)]


def _is_closed(stream: Any) -> bool:
    with contextlib.suppress(OSError, ValueError, AttributeError):
        poll = select.poll()
        poll.register(stream.fileno(), 0)
        return any(events & (select.POLLERR | select.POLLHUP) for _, events in poll.poll(0))
    return False


def _options(parser: argparse.ArgumentParser) -> list[str]:
    """The long options of a parser and of all its subcommands."""
    options: list[str] = []
    for action in parser._actions:  # argparse has no public list of them
        options += [option for option in action.option_strings if option.startswith("--")]
        if isinstance(action, argparse._SubParsersAction):
            options += [option for inner in action.choices.values() for option in _options(inner)]
    return list(dict.fromkeys(options))
