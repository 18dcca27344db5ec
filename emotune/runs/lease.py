"""Leases: files that make sure that only one process trains a run, on all machines that share the runs.

A lease is a file ``claim-<n>.json`` in the run's directory, with rising n; the highest number is the valid one. The
process that created it, exclusively, overwrites it as its heartbeat. The lease of a dead process is taken over by
creating the next number, which only one process can; the former owner finds that at its next check and writes no more.
"""

import contextlib
import re
import threading
import time
import uuid
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from emotune.core.errors import InputError
from emotune.core.storage import Folder, to_json_bytes
from emotune.runs.lease_owner import LeaseOwner
from emotune.runs.progress import RunProgress

__all__ = [
    "LEASE_PREFIX",
    "BusyRunError",
    "Lease",
    "LostRunError",
    "acquire",
    "lease_files",
    "read_owner",
    "release_leases",
]

HEARTBEAT_EVERY_S = 10.0
WATCH_S = 25.0
"""Seconds, more than two heartbeats, for which a lease of another machine is watched before it is taken over: the other
machine's clock may be wrong."""
LEASE_PREFIX = "claim-"
LEASE_FILE = re.compile(LEASE_PREFIX + r"(\d+)\.json")


class BusyRunError(RuntimeError):
    """Another process trains the run."""


class LostRunError(RuntimeError):
    """Another process has taken the run over."""


class Lease:
    """A lease of this process on a run, until it is lost or released; used by the trainer and the heartbeat thread."""

    def __init__(self, folder: Folder, number: int, owner: LeaseOwner) -> None:
        self._folder, self._number, self._owner = folder, number, owner
        self._lock, self._lost = threading.Lock(), False
        self._progress: RunProgress | None = None

    @property
    def lost(self) -> bool:
        """Whether the last check found that another process has taken the run over."""
        return self._lost

    def report(self, progress: RunProgress) -> None:
        """Keeps the run's progress for the next heartbeat."""
        self._progress = progress

    def is_valid(self) -> bool:
        """Checks whether this process still holds the run; to be called before anything is written.

        Raises:
            OSError, InputError: the lease's file cannot be read.
        """
        with self._lock:
            return self._is_valid()

    def renew(self) -> None:
        """Writes a heartbeat with the latest progress, if the lease is still valid."""
        with self._lock:
            if self._is_valid():
                owner = LeaseOwner.here(self._owner.token, self._owner.owner, self._progress)
                self._folder.write_json(_file_name(self._number), owner.to_json())

    def release(self) -> None:
        """Removes the lease's file, if it is still this lease's."""
        with self._lock:
            if self._has_file():
                self._folder.delete(_file_name(self._number))

    @contextmanager
    def heartbeat(self) -> Iterator["Lease"]:
        """Renews the lease from a thread while the context lasts, then releases it.

        The thread goes on while the main thread decodes images or computes a long step.
        """
        left = threading.Event()

        def renew_until_left() -> None:
            while not left.wait(HEARTBEAT_EVERY_S) and not self._lost:
                with contextlib.suppress(Exception):  # a full disk or a lost connection: the next may get through
                    self.renew()

        thread = threading.Thread(target=renew_until_left, daemon=True, name="heartbeat")
        thread.start()
        try:
            yield self
        finally:
            left.set()
            thread.join()
            with contextlib.suppress(Exception):  # the store cannot be reached; the lease ends with this process
                self.release()

    def _is_valid(self) -> bool:
        if not self._lost:
            self._lost = _numbers(self._folder.names())[-1:] != [self._number] or not self._has_file()
        return not self._lost

    def _has_file(self) -> bool:
        owner = read_owner(self._folder, _file_name(self._number))
        return owner is not None and owner.token == self._owner.token


def acquire(folder: Folder, owner: str = "") -> Lease:
    """Acquires the lease of the run in ``folder`` for this process.

    A lease is taken over at once if it belongs to the same ``owner``, or if its process is dead. A process of another
    machine that seems to be dead is watched for a while first.

    Args:
        folder: The run's directory.
        owner: The id of the command that this process works for, or an empty string.

    Raises:
        BusyRunError: another process trains the run.
        InputError: a lease's file is damaged, or the folder cannot be reached.
    """
    while True:
        numbers = _numbers(folder.names())
        owners = [read_owner(folder, _file_name(number)) for number in numbers]
        if not owners or (owners[-1] and _is_free(folder, numbers[-1], owners[-1], owner)):
            break  # else the valid lease was released since the files were listed
    number, this = max(numbers, default=0) + 1, LeaseOwner.here(uuid.uuid4().hex, owner)
    if not folder.create(_file_name(number), to_json_bytes(this.to_json())):
        raise _busy(read_owner(folder, _file_name(number)))
    lease = Lease(folder, number, this)
    _withdraw_if_busy(folder, lease, number, {former.token for former in owners if former})
    for lower in numbers:
        folder.delete(_file_name(lower))
    return lease


def lease_files(names: Collection[str]) -> list[str]:
    """The names that are leases, in rising order: the last one is the valid one."""
    return [_file_name(number) for number in _numbers(names)]


def read_owner(folder: Folder, name: str) -> LeaseOwner | None:
    """The owner of a lease; None if the file does not exist.

    Raises:
        InputError: the file is damaged.
    """
    value = folder.read_json(name)
    try:
        return None if value is None else LeaseOwner.from_json(value)
    except (KeyError, TypeError) as error:
        raise InputError(f"{folder / name}: not a lease ({error}); delete it to start again") from None


def release_leases(folder: Folder) -> None:
    """Removes the leases of this process and of dead ones."""
    for name in lease_files(folder.names()):
        owner = read_owner(folder, name)
        if owner and (owner.is_self or not owner.is_alive):
            folder.delete(name)


def _is_free(folder: Folder, number: int, holder: LeaseOwner, owner: str) -> bool:
    """Whether a lease may be taken over; False if it was released meanwhile.

    Raises:
        BusyRunError: its process is alive and works for another command.
    """
    if owner and holder.owner == owner:
        return True
    until = time.monotonic() + (0 if holder.is_local else WATCH_S)
    current: LeaseOwner | None = holder
    while current and not holder.is_alive and (current.token, current.time) == (holder.token, holder.time):
        if time.monotonic() >= until:
            return True
        time.sleep(min(WATCH_S / 10, 1.0))
        current = read_owner(folder, _file_name(number))
    if current:
        raise _busy(current)
    return False


def _withdraw_if_busy(folder: Folder, lease: Lease, number: int, former: Collection[str]) -> None:
    """Gives a new lease up if a living process holds another one that was not there before.

    While this process read the former leases (``former`` are their tokens), they may have been released and the run
    begun anew, with lower numbers.
    """
    for other in _numbers(folder.names()):
        owner = read_owner(folder, _file_name(other)) if other != number else None
        if owner and owner.token not in former and owner.is_alive:
            lease.release()
            raise _busy(owner)


def _busy(owner: LeaseOwner | None) -> BusyRunError:
    return BusyRunError(f"already being trained by {owner or 'another process'}")


def _numbers(names: Collection[str]) -> list[int]:
    return sorted(int(match[1]) for name in names if (match := LEASE_FILE.fullmatch(name)))


def _file_name(number: int) -> str:
    return f"{LEASE_PREFIX}{number}.json"
