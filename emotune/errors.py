"""What goes wrong in a way that the user can mend."""

import sys

__all__ = ["InputError", "print_error"]


class InputError(ValueError):
    """What the user gave cannot be used; the message says what, where, and what to do. Ends a command with code 2."""


def print_error(command: str, error: Exception) -> None:
    """Prints every line of the error's message to stderr, headed by the command's name."""
    for line in str(error).splitlines():
        print(f"{command}: {line}", file=sys.stderr)
