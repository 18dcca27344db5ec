"""Ctrl-C and SIGTERM: asked once, all ends in good order; asked twice, it ends now."""

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
END_S = 3.0
"""Seconds that clearing up may take once it should end now."""


class StoppedNow(KeyboardInterrupt):
    """Ctrl-C was pressed twice."""


class Interruption:
    """What has been asked for so far; called, it says whether to stop.

    The first press raises KeyboardInterrupt, but in a `patient` block, where it is for the block to ask and to finish
    what it is at. The second Ctrl-C raises `StoppedNow` anywhere; SIGTERM repeated says nothing new.
    """

    def __init__(self) -> None:
        self._asked = self._patient = False

    def __call__(self) -> bool:
        return self._asked

    @contextmanager
    def patient(self) -> Iterator["Interruption"]:
        """A block that asks now and then whether to stop.

        Raises:
            KeyboardInterrupt: at the end of the block, if it should have stopped.
        """
        self._patient = True
        try:
            yield self
        finally:
            self._patient = False
        if self._asked:
            raise KeyboardInterrupt

    def handle(self, number: int, frame: object) -> None:
        """The signals' handler."""
        if self._asked and number == signal.SIGTERM:
            return
        if self._asked:
            _end_soon()
            raise StoppedNow
        self._asked = True
        if not self._patient:
            raise KeyboardInterrupt


@contextmanager
def interruption() -> Iterator[Interruption]:
    """Takes SIGINT and SIGTERM over, and gives them back at the end; in other threads than the main one, neither."""
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


def _end_soon() -> None:
    """Native code may not notice an exception, and what clears up may wait for what does not answer."""
    started = descendants(os.getpid())  # while their parents, by which they are found, are there

    def end_now() -> None:
        kill_and_wait([*started, *descendants(os.getpid())])
        if sys.stdout.isatty():
            sys.stdout.write("\x1b[?25h")  # the cursor, which a live line hides
            sys.stdout.flush()
        os._exit(INTERRUPTED)

    timer = threading.Timer(END_S, end_now)
    timer.daemon = True  # the command may end before
    timer.start()
