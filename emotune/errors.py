"""What goes wrong in a way that the user can mend."""

import sys
from collections.abc import Sequence

__all__ = ["InputError", "print_error", "refuse"]

SHOWN = 20


class InputError(ValueError):
    """What the user gave cannot be used; the message says what, where, and what to do. Ends a command with code 2."""


def refuse(problems: Sequence[str]) -> None:
    """Raises an InputError with a line per problem, of many the first ones; does nothing if there is none."""
    if problems:
        more = [f"… and {len(problems) - SHOWN} more like these"] if len(problems) > SHOWN else []
        raise InputError("\n".join([*problems[:SHOWN], *more]))


def print_error(command: str, error: Exception) -> None:
    """Prints every line of the error's message to stderr, headed by the command's name."""
    for line in str(error).splitlines():
        print(f"{command}: {line}", file=sys.stderr)
