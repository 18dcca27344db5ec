"""A Ray whose head is gone: noticed before Ray ends this process in words of its own, and said in a line.

Ray's libraries look for the head (the GCS, "global control store") for a minute, and then end the process that they are
in with code 1, whatever Python does meanwhile. So a thread asks the head's address, and ends the command earlier.
"""

import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from emotune.core.errors import InputError, print_error
from emotune.core.process_tree import descendants, kill_and_wait

__all__ = ["LOST", "LostClusterError", "answers", "watching"]

LOST = 75
"""Exit code of a command that lost its cluster: sysexits' EX_TEMPFAIL, "try again"."""
LOOK_EVERY_S = 1.0
ANSWERS_WITHIN_S = 5.0
PATIENCE = 0.5
"""Of the time after which Ray itself gives up; a head that is started again within it is found."""
RAYS_PATIENCE = ("RAY_gcs_rpc_server_reconnect_timeout_s", 60.0)
"""The variable that sets it, and Ray's default, in seconds."""


class LostClusterError(KeyboardInterrupt):
    """Ray, or its last machine, is gone. No Exception, so that Tune does not take it for a callback's mistake."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what}. Runs keep their checkpoints: the same command goes on once Ray is there again.")


def answers(address: str) -> bool:
    """Whether somebody listens at ``host:port``."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWERS_WITHIN_S):
            return True
    except OSError:
        return False


@contextmanager
def watching(address: str, *, local: bool, ended: Callable[[], None] = lambda: None) -> Iterator[None]:
    """A block during which the process ends with code 75 if Ray's head does not answer for half a minute.

    Args:
        address: Of the head, ``host:port``.
        local: Ray's processes are this one's own, and end with it.
        ended: Called last, to clear up.
    """
    left = threading.Event()
    variable, default_s = RAYS_PATIENCE
    try:
        limit_s = PATIENCE * float(os.environ.get(variable, default_s))
    except ValueError:
        raise InputError(f"{variable}={os.environ[variable]}: a number of seconds is needed") from None

    def watch() -> None:
        heard = time.monotonic()
        while not left.wait(LOOK_EVERY_S):
            if answers(address):
                heard = time.monotonic()
            elif time.monotonic() - heard > limit_s and not left.is_set():
                what = f"Ray's head at {address} has not answered for {limit_s:.0f} s"
                print_error("emotune.ablate", LostClusterError(what))
                sys.stderr.flush()
                kill_and_wait(descendants(os.getpid()) if local else [])
                ended()
                os._exit(LOST)

    thread = threading.Thread(target=watch, name="lost-cluster", daemon=True)
    thread.start()
    try:
        yield
    finally:
        left.set()
