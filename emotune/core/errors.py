"""What goes wrong in a way that the user can mend."""

import difflib
import os
import sys
from collections.abc import Iterable, Sequence

__all__ = ["InputError", "UnwritableError", "closest", "describe_os_error", "print_error", "raise_if_any"]

MAX_PROBLEMS = 20
MIN_SIMILARITY = 0.65
"""How alike two words are, from 0 to 1, of which one may be a slip for the other: "lnr" and "lrn" are, "resnet" and
"alexnet" are not.
"""


class InputError(ValueError):
    """What the user gave cannot be used; the message says what, where, and what to do. Ends a command with code 2."""


class UnwritableError(OSError):
    """What a command makes cannot be written; the message says where, why, and what to do."""


def raise_if_any(problems: Sequence[str]) -> None:
    """Raises an InputError with a line per problem, of many the first ones; does nothing if there is none."""
    if problems:
        more = [f"… and {len(problems) - MAX_PROBLEMS} more like these"] if len(problems) > MAX_PROBLEMS else []
        raise InputError("\n".join([*problems[:MAX_PROBLEMS], *more]))


def print_error(command: str, error: BaseException) -> None:
    """Prints every line of the error's message to stderr, headed by the command's name."""
    for line in str(error).splitlines():
        print(f"{command}: {line}", file=sys.stderr)


def closest(word: str, valid: Iterable[str]) -> str | None:
    """The valid word that was probably meant: one that is spelled much alike, or begins with it; None if none is.

    >>> closest("atention", ["alexnet", "attention"]), closest("resnet18", ["alexnet", "attention"])
    ('attention', None)
    """
    by_lower = {each.lower(): each for each in valid}
    close = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=MIN_SIMILARITY)
    begun = [each for each in by_lower if len(word) > 2 and each.startswith(word.lower())]
    found = close or (begun if len(begun) == 1 else [])
    return by_lower[found[0]] if found else None


def describe_os_error(error: OSError) -> str:
    """An error of the system's in a line: which file, and what is wrong with it.

    >>> describe_os_error(FileNotFoundError(2, "No such file or directory", "runs/a"))
    'runs/a: No such file or directory'
    """
    said = error.strerror or str(error) or type(error).__name__
    where = "" if error.filename is None else f"{os.fsdecode(error.filename)}: "
    return " ".join(f"{where}{said}".split())
