"""Tells what a command waits for, on a terminal and in a log file."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console

__all__ = ["waiting_for"]


@contextmanager
def waiting_for(console: Console, what: str) -> Iterator[Callable[[str], None]]:
    """A block that a user waits for: a terminal shows it until its end, a log file gets a line at its beginning.

    Yields a function that replaces the text on a terminal by one that says how far the block is.

    Args:
        console: Where it is shown.
        what: The work that is done in the block, such as ``checking networks and images``.
    """
    if not console.is_interactive:
        console.print(f"{what[0].upper()}{what[1:]}.", highlight=False, markup=False)
        yield lambda text: None
        return
    with console.status(what) as status:
        yield status.update
