"""Detects that Ray's head is gone, and ends the command with one line and exit code 75.

Ray's libraries look for the head (the GCS, "global control store") for a minute, and then end the process that they are
in with code 1, whatever Python does meanwhile. So a thread connects to the head's address now and then, and ends the
command earlier.
"""

import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from emotune.core.errors import TRY_AGAIN, InputError, print_error
from emotune.core.process_tree import descendants, kill_and_wait
from emotune.core.typed_command import error_prefix

__all__ = ["LostClusterError", "is_reachable", "watch_head"]

LOOK_EVERY_S = 1.0
CONNECT_TIMEOUT_S = 5.0
TIMEOUT_SHARE = 0.5
"""The command ends after this share of Ray's own timeout; a head that is restarted earlier is found again."""
RAY_TIMEOUT = ("RAY_gcs_rpc_server_reconnect_timeout_s", 60.0)
"""The variable that sets Ray's own timeout, and its default in seconds."""


class LostClusterError(KeyboardInterrupt):
    """Ray, or its last machine, is gone. It is no Exception, so that Tune does not take it for a callback's mistake."""

    def __init__(self, message: str) -> None:
        super().__init__(f"{message}. What is saved is kept: the same command continues from there once Ray is back.")


def is_reachable(address: str) -> bool:
    """Whether a process listens at ``host:port``."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_TIMEOUT_S):
            return True
    except OSError:
        return False


@contextmanager
def watch_head(
    address: str, *, local: bool, command: str, on_exit: Callable[[], None] = lambda: None
) -> Iterator[None]:
    """A block during which the process ends with code 75 if Ray's head does not answer for half a minute.

    Args:
        address: The head's address, ``host:port``.
        local: Whether Ray's processes are children of this process, and are killed with it.
        command: The name of the command, for the message: ``ablate``.
        on_exit: A function that is called last, to clean up.

    Raises:
        InputError: The environment sets Ray's timeout to something that is not a number.
    """
    left = threading.Event()
    variable, default_s = RAY_TIMEOUT
    try:
        limit_s = TIMEOUT_SHARE * float(os.environ.get(variable, default_s))
    except ValueError:
        raise InputError(f"{variable}={os.environ[variable]}: is not a number of seconds") from None

    def watch() -> None:
        answered_at = time.monotonic()
        while not left.wait(LOOK_EVERY_S):
            if is_reachable(address):
                answered_at = time.monotonic()
            elif time.monotonic() - answered_at > limit_s and not left.is_set():
                message = f"Ray's head at {address} has not answered for {limit_s:.0f} s"
                print_error(error_prefix(command), LostClusterError(message))
                sys.stderr.flush()
                kill_and_wait(descendants(os.getpid()) if local else [])
                on_exit()
                os._exit(TRY_AGAIN)

    thread = threading.Thread(target=watch, name="lost-cluster", daemon=True)
    thread.start()
    try:
        yield
    finally:
        left.set()
