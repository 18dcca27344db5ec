"""Who works on a run: of all processes and machines that share a pool, one at a time.

Files ``claim-<n>.json`` in the run's folder, n rising; the highest is valid. Its process created it, exclusively, and
overwrites it as its heartbeat. A claim whose process is dead is taken over by creating the next one, which only
one can; whoever held the one before finds that when it looks next, and writes nothing more.
"""

import contextlib
import math
import os
import re
import socket
import threading
import time
import uuid
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from emotune.core.errors import InputError
from emotune.core.process_tree import process
from emotune.core.storage import Folder, to_json_bytes
from emotune.runs.progress import RunProgress

__all__ = [
    "BusyRunError",
    "Lease",
    "LeaseOwner",
    "LostRunError",
    "acquire",
    "lease_files",
    "read_owner",
    "release_leases",
]

HEARTBEAT_EVERY_S = 10.0
STALE_S = 60.0
WATCH_S = 25.0
"""More than two beats: another machine's clock may be wrong, so its claim is watched before it is taken over."""
LEASE_FILE = re.compile(r"claim-(\d+)\.json")


class BusyRunError(RuntimeError):
    """The run is in the hands of another process."""


class LostRunError(RuntimeError):
    """Another process has taken the run over."""


@dataclass(frozen=True)
class LeaseOwner:
    """The process that a claim is of, and when and what it has said last.

    Attributes:
        token: Tells this claim from all others.
        owner: Of several processes that work for one command, or nothing.
        host: The machine's name, for people.
        pid: The process, by its number in its namespace.
        machine: Boot and pid namespace, in which the number means something; None where that is not known.
        start_time: When the process began, in the kernel's ticks: tells it from a later one with the same number.
        time: Of the last beat, in seconds since 1970, by its machine's clock.
        progress: How far the run was then.
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
        return LeaseOwner(token, owner, socket.gethostname(), pid, _machine(), _begun(pid), time.time(), progress)

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"

    @property
    def is_self(self) -> bool:
        """Whether it is this process."""
        return (self.machine, self.pid, self.start_time) == (_machine(), os.getpid(), _begun(os.getpid()))

    @property
    def is_local(self) -> bool:
        """Whether this machine can be asked for the process."""
        return self.machine is not None and self.machine == _machine()

    @property
    def is_alive(self) -> bool:
        """Whether the process still works: by asking where that can be done, else by the age of its last beat."""
        fresh = abs(time.time() - self.time) < STALE_S  # a clock that is ahead does not make it live for ever
        if not self.is_local or _hidden(self.pid):
            return fresh
        if self.start_time is None or self.start_time != _begun(self.pid):
            return False
        return fresh or self.pid != os.getpid()  # this very process may have left the run behind

    def to_json(self) -> dict[str, Any]:
        """The claim's file."""
        numbers = {} if self.progress is None else asdict(self.progress)
        said = {k: v for k, v in numbers.items() if not (isinstance(v, float) and math.isnan(v))}
        return asdict(self) | {"progress": said or None}

    @staticmethod
    def from_json(value: Any) -> "LeaseOwner":
        """The holder of `to_json`; later versions may have said more.

        Raises:
            KeyError, TypeError: it is not one.
        """
        known = {field.name: value[field.name] for field in fields(LeaseOwner)}
        if not (isinstance(known["pid"], int) and isinstance(known["time"], int | float)):
            raise TypeError("pid and time must be numbers")
        said = known["progress"]
        names = {field.name for field in fields(RunProgress)}
        known["progress"] = None if said is None else RunProgress(**{k: v for k, v in said.items() if k in names})
        return LeaseOwner(**known)


class Lease:
    """A run in the hands of this process, until it is lost or released. For the trainer and the thread that beats."""

    def __init__(self, folder: Folder, number: int, holder: LeaseOwner) -> None:
        self._folder, self._number, self._holder = folder, number, holder
        self._lock, self._lost = threading.Lock(), False
        self._progress: RunProgress | None = None

    @property
    def lost(self) -> bool:
        """Whether another is known to have taken the run over."""
        return self._lost

    def report(self, progress: RunProgress) -> None:
        """Keeps how far the run is for the next beat."""
        self._progress = progress

    def is_valid(self) -> bool:
        """Looks whether the run is still this process's: to be asked before anything is written.

        Raises:
            OSError, InputError: that cannot be seen.
        """
        with self._lock:
            return self._is_valid()

    def renew(self) -> None:
        """Says that this process works on the run and how far it is, if the run still is its own."""
        with self._lock:
            if self._is_valid():
                holder = LeaseOwner.here(self._holder.token, self._holder.owner, self._progress)
                self._folder.write_json(_name(self._number), holder.to_json())

    def release(self) -> None:
        """Says that this process does not work on the run any more."""
        with self._lock:
            if self._is_own(self._number):
                self._folder.delete(_name(self._number))

    @contextmanager
    def heartbeat(self) -> Iterator["Lease"]:
        """Repeats the beat from a thread, so that it does not stop while images are decoded; releases in the end."""
        left = threading.Event()

        def beat() -> None:
            while not left.wait(HEARTBEAT_EVERY_S) and not self._lost:
                with contextlib.suppress(Exception):  # a full disk or a lost connection: the next may get through
                    self.renew()

        thread = threading.Thread(target=beat, daemon=True, name="heartbeat")
        thread.start()
        try:
            yield self
        finally:
            left.set()
            thread.join()
            with contextlib.suppress(Exception):  # the pool cannot be reached; the claim dies with this process
                self.release()

    def _is_valid(self) -> bool:
        if not self._lost:
            self._lost = _numbers(self._folder.names())[-1:] != [self._number] or not self._is_own(self._number)
        return not self._lost

    def _is_own(self, number: int) -> bool:
        found = read_owner(self._folder, _name(number))
        return found is not None and found.token == self._holder.token


def acquire(folder: Folder, owner: str = "") -> Lease:
    """Claims the run in ``folder`` for this process.

    A claim of the same ``owner`` is taken over at once, whoever works on it; another's if its process is dead. One of
    another machine that seems to be dead is watched for a while.

    Raises:
        BusyRunError: it is in other hands.
        InputError: a claim there is damaged, or the pool cannot be reached.
    """
    while True:
        numbers = _numbers(folder.names())
        found = [read_owner(folder, _name(number)) for number in numbers]
        if not found or (found[-1] and _is_free(folder, numbers[-1], found[-1], owner)):
            break  # else the valid one was released since it was listed
    number, holder = max(numbers, default=0) + 1, LeaseOwner.here(uuid.uuid4().hex, owner)
    if not folder.create(_name(number), to_json_bytes(holder.to_json())):
        raise BusyRunError(f"in the hands of {read_owner(folder, _name(number)) or 'another process'}")
    claim = Lease(folder, number, holder)
    _withdraw_from_others(folder, claim, number, {before.token for before in found if before})
    for lower in numbers:
        folder.delete(_name(lower))
    return claim


def lease_files(names: Collection[str]) -> list[str]:
    """Those of the names that are claims, the valid one last."""
    return [_name(number) for number in _numbers(names)]


def read_owner(folder: Folder, name: str) -> LeaseOwner | None:
    """Whose claim the file is; None if it is not there.

    Raises:
        InputError: the file is damaged.
    """
    value = folder.read_json(name)
    try:
        return None if value is None else LeaseOwner.from_json(value)
    except (KeyError, TypeError) as error:
        raise InputError(f"{folder / name}: not a claim ({error}); delete it to start again") from None


def release_leases(folder: Folder) -> None:
    """Removes the claims of this process, and of dead ones."""
    for name in lease_files(folder.names()):
        holder = read_owner(folder, name)
        if holder and (holder.is_self or not holder.is_alive):
            folder.delete(name)


def _is_free(folder: Folder, number: int, holder: LeaseOwner, owner: str) -> bool:
    """Whether a claim is the same owner's, or its process is dead; False if the claim was released meanwhile.

    Raises:
        BusyRunError: it is neither.
    """
    if owner and holder.owner == owner:
        return True
    until = time.monotonic() + (0 if holder.is_local else WATCH_S)
    now: LeaseOwner | None = holder
    while now and not holder.is_alive and (now.token, now.time) == (holder.token, holder.time):
        if time.monotonic() >= until:
            return True
        time.sleep(min(WATCH_S / 10, 1.0))
        now = read_owner(folder, _name(number))
    if now:
        raise BusyRunError(f"in the hands of {now}")
    return False


def _withdraw_from_others(folder: Folder, claim: Lease, number: int, known: Collection[str]) -> None:
    """Gives a new claim up where a living process has another, unknown one.

    While this process looked at former claims, they may have been released and the run begun anew, with lower numbers.
    """
    for other in _numbers(folder.names()):
        holder = read_owner(folder, _name(other)) if other != number else None
        if holder and holder.token not in known and holder.is_alive:
            claim.release()
            raise BusyRunError(f"in the hands of {holder}")


def _numbers(names: Collection[str]) -> list[int]:
    return sorted(int(found[1]) for name in names if (found := LEASE_FILE.fullmatch(name)))


def _name(number: int) -> str:
    return f"claim-{number}.json"


def _machine() -> str | None:
    """What makes a process's number unique; None without /proc."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return None


def _begun(pid: int) -> str | None:
    """When a process of this machine began, in the kernel's ticks; None if it has ended."""
    found = process(pid)
    return found.start_time if found else None


def _hidden(pid: int) -> bool:
    """Whether a process is there, but another user's who may not be looked at (``hidepid``)."""
    try:
        os.kill(pid, 0)
    except PermissionError:
        return not Path(f"/proc/{pid}/stat").exists()
    except OSError:
        return False
    return False
