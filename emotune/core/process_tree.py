"""Processes of this machine, and how they are ended for sure. Where there is no /proc, none is seen."""

import contextlib
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Process", "descendants", "kill_and_wait", "process"]

KILL_TIMEOUT_S = 10.0
"""Seconds that the kernel gets to take a killed process away."""


@dataclass(frozen=True)
class Process:
    """A process: ``start_time``, in the kernel's ticks, tells it from a later one with the same number."""

    pid: int
    start_time: str


def process(pid: int) -> Process | None:
    """The process with that number; None if it is no more."""
    fields = _stat(pid)
    return Process(pid, fields[19]) if fields else None


def descendants(pid: int) -> list[Process]:
    """Those that the process started, directly or not, parents first; not those whose parent is no more."""
    entries = Path("/proc").iterdir() if Path("/proc/self/stat").exists() else []
    found = {int(path.name): _stat(int(path.name)) for path in entries if path.name.isdigit()}
    there = {number: fields for number, fields in found.items() if fields}
    family = [pid]
    for parent in family:  # grows as it is gone through
        family += [number for number, fields in there.items() if int(fields[1]) == parent]
    return [Process(number, there[number][19]) for number in family[1:]]


def kill_and_wait(processes: Sequence[Process], wait_s: float = 0.0) -> None:
    """Kills them, also those that are stopped, and returns when they are gone.

    Args:
        processes: Those that are no more are passed over.
        wait_s: Seconds in which they may go by themselves.

    Raises:
        TimeoutError: one does not go, as if its disk did not answer.
    """
    asked = time.monotonic()
    while time.monotonic() - asked < wait_s and any(process(one.pid) == one for one in processes):
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
    """What the kernel says of a process, from its state on; None where there is none, or only its exit code."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields
