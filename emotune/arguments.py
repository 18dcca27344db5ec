"""Command lines: options are written out, a mistyped one is told the nearest, and ``~`` is the home folder."""

import argparse
import re
from pathlib import Path
from typing import Any, NoReturn

from emotune.errors import near

__all__ = ["CommandLine", "local_path", "place"]

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
        close = near(option[0], _options(self))
        return f"{option[0]} (did you mean {close}?)" if close else option[0]


def place(text: str) -> str:
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
        return Path(text).expanduser()
    except RuntimeError:
        raise argparse.ArgumentTypeError(f'"{text}": there is no such user, whose home folder this would be') from None


def _options(parser: argparse.ArgumentParser) -> list[str]:
    """Those of the parser, and of all its subcommands."""
    found = []
    for action in parser._actions:  # argparse has no public list of them
        found += [option for option in action.option_strings if option.startswith("--")]
        if isinstance(action, argparse._SubParsersAction):
            found += [option for inner in action.choices.values() for option in _options(inner)]
    return list(dict.fromkeys(found))
