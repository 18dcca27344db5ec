"""Words in sentences."""

from collections.abc import Iterable

__all__ = ["listed"]


def listed(words: Iterable[str], conjunction: str = "and") -> str:
    """Words as in a sentence, of which there is at least one.

    >>> listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"], "or")
    ('a', 'a and b', 'a, b or c')
    """
    *most, last = words
    return f"{', '.join(most)} {conjunction} {last}" if most else last
