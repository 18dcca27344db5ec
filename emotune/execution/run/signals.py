"""Ctrl-C and SIGTERM: the first one ends the command in good order, a second Ctrl-C ends it at once."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from emotune.core.process_tree import descendants, kill_and_wait

__all__ = ["INTERRUPTED", "Interruption", "StoppedNow", "interruption"]

INTERRUPTED = 130
"""Exit code of a command that was interrupted."""
CLEANUP_TIMEOUT_S = 3.0
"""Seconds that cleaning up may take after the second Ctrl-C."""


class StoppedNow(KeyboardInterrupt):
    """Ctrl-C was pressed twice."""


class Interruption:
    """Whether the user has asked to stop; the object is called to find out.

    The first signal raises KeyboardInterrupt, except in a `patient` block, which calls the object now and then and
    finishes its current step. The second Ctrl-C raises `StoppedNow` anywhere; a repeated SIGTERM changes nothing.
    """

    def __init__(self) -> None:
        self._asked = self._patient = False

    def __call__(self) -> bool:
        return self._asked

    @contextmanager
    def patient(self) -> Iterator["Interruption"]:
        """A block that is not interrupted, but asks now and then whether to stop.

        Raises:
            KeyboardInterrupt: At the end of the block, if the user has asked to stop.
        """
        self._patient = True
        try:
            yield self
        finally:
            self._patient = False
        if self._asked:
            raise KeyboardInterrupt

    def handle(self, number: int, frame: object) -> None:
        """Handles a signal."""
        if self._asked and number == signal.SIGTERM:
            return
        if self._asked:
            _kill_after_timeout()
            raise StoppedNow
        self._asked = True
        if not self._patient:
            raise KeyboardInterrupt


@contextmanager
def interruption() -> Iterator[Interruption]:
    """A block in which `Interruption` handles SIGINT and SIGTERM.

    The handlers from before are restored at the end. In any thread but the main one, which alone can have handlers,
    nothing is handled.
    """
    asked = Interruption()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    before = {number: signal.signal(number, asked.handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _kill_after_timeout() -> None:
    """Ends the process soon: native code may not notice an exception, and cleaning up may wait for a dead process."""
    started = descendants(os.getpid())  # now, because a process whose parent has ended is not found

    def end_now() -> None:
        kill_and_wait([*started, *descendants(os.getpid())])
        if sys.stdout.isatty():
            sys.stdout.write("\x1b[?25h")  # shows the cursor, which the live table hides
            sys.stdout.flush()
        os._exit(INTERRUPTED)

    timer = threading.Timer(CLEANUP_TIMEOUT_S, end_now)
    timer.daemon = True  # the command may end before
    timer.start()
