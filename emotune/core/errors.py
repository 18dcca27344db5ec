"""Errors that the user can correct, and how they are printed."""

import difflib
import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any

__all__ = [
    "TRY_AGAIN",
    "InputError",
    "UnavailableError",
    "UnwritableError",
    "closest",
    "describe_os_error",
    "first_of",
    "print_error",
    "raise_if_any",
    "suggest",
]

TRY_AGAIN = 75
"""Exit code of a command that the same command continues later: sysexits' EX_TEMPFAIL."""
MAX_PROBLEMS = 20
"""Problems that one message lists."""
MIN_SIMILARITY = 0.65
"""Similarity, from 0 to 1, above which a word is suggested for another: "lrn" for "lnr", but not "alexnet" for
"resnet".
"""


class InputError(ValueError):
    """Invalid input. The message says what is wrong, where, and what to do; a command ends with code 2."""


class UnavailableError(RuntimeError):
    """Another program's service cannot be reached, or is in use: the same command may succeed later, and goes on then.

    The message says which, and why; a command ends with `TRY_AGAIN`.
    """


class UnwritableError(OSError):
    """The output of a command cannot be written. The message says where, why, and what to do."""


def raise_if_any(problems: Sequence[str]) -> None:
    """Raises an InputError with a line for each of the first problems; does nothing if there are none."""
    if problems:
        raise InputError("\n".join(first_of(problems)))


def first_of(problems: Sequence[str]) -> list[str]:
    """The first of many problems, and a line on how many more there are."""
    more = [f"… and {len(problems) - MAX_PROBLEMS} more like these"] if len(problems) > MAX_PROBLEMS else []
    return [*problems[:MAX_PROBLEMS], *more]


def print_error(command: str, error: BaseException) -> None:
    """Prints the error's message to stderr, each line prefixed with the command's name."""
    for line in str(error).splitlines():
        print(f"{command}: {line}", file=sys.stderr)


def closest(word: str, valid: Iterable[str]) -> str | None:
    """The valid word that was probably meant: it is spelled similarly, or it is the only one that begins alike.

    >>> closest("atention", ["alexnet", "attention"]), closest("resnet18", ["alexnet", "attention"])
    ('attention', None)
    """
    by_lower = {candidate.lower(): candidate for candidate in valid}
    similar = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=MIN_SIMILARITY)
    completions = [lower for lower in by_lower if len(word) > 2 and lower.startswith(word.lower())]
    matches = similar or (completions if len(completions) == 1 else [])
    return by_lower[matches[0]] if matches else None


def suggest(word: Any, valid: Iterable[Any]) -> str:
    """The end of a message about a wrong word: the valid word that was probably meant, or all valid words."""
    words = list(map(str, valid))
    close = closest(str(word), words)
    return f'; did you mean "{close}"?' if close else f"; valid: {', '.join(words)}"


def describe_os_error(error: OSError) -> str:
    """The file and the reason of an operating system's error, in one line.

    >>> describe_os_error(FileNotFoundError(2, "No such file or directory", "runs/a"))
    'runs/a: No such file or directory'
    """
    reason = error.strerror or str(error) or type(error).__name__
    file = "" if error.filename is None else f"{os.fsdecode(error.filename)}: "
    return " ".join(f"{file}{reason}".split())
