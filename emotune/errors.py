"""What goes wrong in a way that the user can mend."""

__all__ = ["InputError"]


class InputError(ValueError):
    """What the user gave cannot be used; the message says what, where, and what to do. Ends a command with code 2."""
