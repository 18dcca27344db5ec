"""The processes of this machine, and a way to kill them reliably. Without /proc no process is found."""

import contextlib
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Process", "descendants", "kill_and_wait", "process"]

KILL_TIMEOUT_S = 10.0
"""Seconds that the kernel gets to remove a killed process."""


@dataclass(frozen=True)
class Process:
    """A process. ``start_time``, in the kernel's ticks, distinguishes it from a later one with the same id."""

    pid: int
    start_time: str


def process(pid: int) -> Process | None:
    """The running process with this id; None if there is none."""
    fields = _stat(pid)
    return Process(pid, fields[19]) if fields else None


def descendants(pid: int) -> list[Process]:
    """The processes that a process started, directly or indirectly, parents first.

    Processes whose parent has ended are not found.
    """
    entries = Path("/proc").iterdir() if Path("/proc/self/stat").exists() else []
    stats = {int(path.name): _stat(int(path.name)) for path in entries if path.name.isdigit()}
    running = {number: fields for number, fields in stats.items() if fields}
    family = [pid]
    for parent in family:  # the list grows during the loop
        family += [number for number, fields in running.items() if int(fields[1]) == parent]
    return [Process(number, running[number][19]) for number in family[1:]]


def kill_and_wait(processes: Sequence[Process], wait_s: float = 0.0) -> None:
    """Kills processes, even suspended ones, and returns when they are gone.

    Args:
        processes: The processes; those that have ended already are ignored.
        wait_s: Seconds in which they may end by themselves.

    Raises:
        TimeoutError: a process does not end, for example because its disk does not respond.
    """
    start = time.monotonic()
    while time.monotonic() - start < wait_s and any(process(one.pid) == one for one in processes):
        time.sleep(0.01)
    for one in processes:
        if process(one.pid) == one:
            with contextlib.suppress(ProcessLookupError):
                os.kill(one.pid, signal.SIGKILL)
    deadline = time.monotonic() + KILL_TIMEOUT_S
    while left := [one.pid for one in processes if process(one.pid) == one]:
        if time.monotonic() > deadline:
            raise TimeoutError(f"processes {left} do not end")
        time.sleep(0.01)


def _stat(pid: int) -> list[str] | None:
    """The fields of ``/proc/<pid>/stat`` from the state on; None if the process does not exist or is a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields
