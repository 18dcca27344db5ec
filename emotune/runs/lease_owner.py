"""The owner of a lease: a process on some machine, and whether it is still alive."""

import os
import socket
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from emotune.core.process_tree import process
from emotune.runs.progress import RunProgress

__all__ = ["LeaseOwner"]

STALE_S = 60.0
"""Seconds without a heartbeat after which a process of another machine may be dead."""


@dataclass(frozen=True)
class LeaseOwner:
    """The process that holds a lease, as of its last heartbeat.

    Attributes:
        token: A random id of the lease.
        owner: The id of the command that the process works for, or an empty string.
        host: The name of the machine, for messages.
        pid: The process id, in its namespace.
        machine: The boot and the pid namespace in which ``pid`` is valid; None where they are not known.
        start_time: The time when the process started, in the kernel's ticks: a later process may have the same pid.
        time: The time of the last heartbeat, in seconds since 1970 by the machine's own clock.
        progress: The progress of the run at the last heartbeat; None before its first step.
    """

    token: str
    owner: str
    host: str
    pid: int
    machine: str | None
    start_time: str | None
    time: float
    progress: RunProgress | None = None

    @staticmethod
    def here(token: str, owner: str, progress: RunProgress | None = None) -> "LeaseOwner":
        """This process, now."""
        pid = os.getpid()
        return LeaseOwner(token, owner, socket.gethostname(), pid, _machine(), _start_time(pid), time.time(), progress)

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"

    @property
    def is_self(self) -> bool:
        """Whether the owner is this process."""
        return (self.machine, self.pid, self.start_time) == (_machine(), os.getpid(), _start_time(os.getpid()))

    @property
    def is_local(self) -> bool:
        """Whether the process is, or was, on this machine, so that the kernel can be asked about it."""
        return self.machine is not None and self.machine == _machine()

    @property
    def is_alive(self) -> bool:
        """Whether the process still runs: according to the kernel if it is local, else to the age of its heartbeat."""
        fresh = abs(time.time() - self.time) < STALE_S  # a clock that is ahead must not keep the lease for ever
        if not self.is_local or _is_hidden(self.pid):
            return fresh
        if self.start_time is None or self.start_time != _start_time(self.pid):
            return False
        return fresh or self.pid != os.getpid()  # this very process may have left the run behind

    def to_json(self) -> dict[str, Any]:
        """The content of the lease's file."""
        return asdict(self) | {"progress": self.progress.to_json() if self.progress else None}

    @staticmethod
    def from_json(value: Any) -> "LeaseOwner":
        """The inverse of `to_json`; fields that later versions may have added are ignored.

        Raises:
            KeyError, TypeError: the value is not a lease.
        """
        given = {field.name: value[field.name] for field in fields(LeaseOwner)}
        if not (isinstance(given["pid"], int) and isinstance(given["time"], int | float)):
            raise TypeError("pid and time must be numbers")
        if given["progress"] is not None:
            given["progress"] = RunProgress.from_json(given["progress"])
        return LeaseOwner(**given)


def _machine() -> str | None:
    """The boot and the pid namespace, in which a process id is unique; None without /proc."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return None


def _start_time(pid: int) -> str | None:
    """The start time of a process of this machine, in the kernel's ticks; None if it has ended."""
    running = process(pid)
    return running.start_time if running else None


def _is_hidden(pid: int) -> bool:
    """Whether a process exists but belongs to another user, and /proc does not show it (``hidepid``)."""
    try:
        os.kill(pid, 0)
    except PermissionError:
        return not Path(f"/proc/{pid}/stat").exists()
    except OSError:
        return False
    return False
