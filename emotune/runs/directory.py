"""A run's directory: its files, and the run's state, which follows from them.

The directory is the only database. Every file appears complete or not at all, and ``record.json`` comes last and means
*done*, so a crash at any moment leaves the directory valid. ``docs/reference/run_directory.md`` describes the files.
"""

import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import TypedDict, cast

from emotune.config.run import FORMAT_VERSION, RunConfig
from emotune.core.storage import TEMPORARY, Folder, to_json_bytes
from emotune.runs.lease import (
    LEASE_PREFIX,
    Lease,
    LostRunError,
    acquire,
    lease_files,
    read_owner,
    release_leases,
)
from emotune.runs.lease_owner import LeaseOwner
from emotune.runs.record import ATTENTION, METRICS, PREDICTIONS, RECORD, RESULTS, RunRecord, read_record

__all__ = ["ATTENTION", "CHECKPOINTS", "CODE", "CONFIG", "DIFF", "FITTED", "METRICS", "PREDICTIONS", "RECORD",
           "RESULTS", "WEIGHTS", "RunDirectory", "State", "Status", "code_file", "read_status"]  # fmt: skip

CODE = "code.py"
"""The text of the user's own network; that of an own loss is in ``loss_code.py``, and so on."""
CONFIG = "config.json"
CHECKPOINTS = "checkpoint"
DIFF = "origin-{}.diff"
WEIGHTS = "weights.safetensors"
FITTED = "fitted.safetensors"
FAILURE = "failure.json"


class State(StrEnum):
    """The state of a run."""

    MISSING = "missing"
    RUNNING = "running"
    INTERRUPTED = "interrupted"
    FAILED = "failed"
    DIVERGED = "diverged"
    DAMAGED = "damaged"
    DONE = "done"


@dataclass(frozen=True)
class Status:
    """A run's state, and the reason for it.

    Attributes:
        state: The state.
        detail: The reason, where there is one: the end of a traceback, or the process that trains the run.
        owner: The process that trains a running run, with its latest progress.
    """

    state: State
    detail: str = ""
    owner: LeaseOwner | None = None

    @property
    def reason(self) -> str:
        """The most telling line of ``detail``: the first one; of a bare traceback, the line of the exception."""
        lines = [line for line in self.detail.splitlines() if line.strip()]
        telling = [line for line in lines if not line.startswith((" ", "Traceback (most recent"))]
        return telling[0].strip() if telling else ""


class Failure(TypedDict):
    """`failure.json`: whether the run diverged (else it failed), the message, and the time in seconds since 1970."""

    diverged: bool
    message: str
    time: float


def read_status(folder: Folder, names: Collection[str] | None = None) -> Status:
    """The state of the run in a folder, derived from its files.

    Args:
        folder: The run's directory.
        names: The names of the files in it, if they have been listed already.

    Raises:
        InputError: a file is damaged, or the folder cannot be reached.
    """
    names = _names(folder) if names is None else names
    if RECORD in names:
        return Status(State.DONE)
    if leases := lease_files(names):
        owner = read_owner(folder, leases[-1])
        if owner is None:
            return read_status(folder)  # released, or taken over, since it was listed
        if owner.is_alive:
            return Status(State.RUNNING, str(owner), owner)
    if FAILURE in names:
        failure = cast(Failure | None, folder.read_json(FAILURE))  # as `RunDirectory.fail` wrote it
        if failure is None:
            return read_status(folder)  # begun again since
        return Status(State.DIVERGED if failure["diverged"] else State.FAILED, failure["message"])
    return Status(State.INTERRUPTED if CONFIG in names else State.MISSING)


def code_file(name: str) -> str:
    """The name of the file in a run's directory with the text of the user's code.

    Args:
        name: The use of the code, see `emotune.config.run.RunConfig.user_code`.
    """
    return CODE if name == "model" else f"{name}_{CODE}"


class RunDirectory:
    """The directory of one run, in the folder of all runs (a path or any fsspec URL)."""

    def __init__(self, runs: str, run: RunConfig) -> None:
        self.run = run
        self.folder = Folder(runs) / run.id

    def status(self) -> Status:
        """The run's state; see `read_status`."""
        return read_status(self.folder)

    def record(self) -> RunRecord | None:
        """The record of a finished run; None if the run is not finished.

        Raises:
            InputError: the file is damaged.
        """
        return read_record(self.folder, self.run.id)

    @contextmanager
    def leased(self, owner: str = "") -> Iterator[Lease]:
        """Holds the run's lease while the context lasts; a thread renews it. See `begin`."""
        with self.begin(owner).heartbeat() as lease:
            yield lease

    def begin(self, owner: str = "") -> Lease:
        """Acquires the run's lease, writes ``config.json``, and removes the half-written files of killed processes.

        An earlier failure is forgotten; checkpoints are kept. Nothing changes in the directory of a finished run.

        Args:
            owner: The id of a command. Its own leases are taken over even from processes that are alive.

        Raises:
            BusyRunError: another process trains the run.
        """
        lease = acquire(self.folder, owner)
        try:
            if self.folder.read(RECORD) is None:
                identity = {"id": self.run.id, "format": FORMAT_VERSION, "time": time.time()}
                config = {key: value for key, value in self.run.to_json().items() if key != "variant"}
                self.folder.write_json(CONFIG, identity | config)
                for name, code in self.run.user_code.items():
                    self.folder.write(code_file(name), code.source.encode())
                self.folder.delete(FAILURE)
                self._remove_temporary_files()
        except BaseException:
            lease.release()
            raise
        return lease

    def fail(self, message: str, *, diverged: bool = False) -> Status:
        """Writes that the run ended without a result, and why.

        Returns:
            The status to show. If it cannot be written, its detail has both errors.
        """
        state = State.DIVERGED if diverged else State.FAILED
        try:
            failure: Failure = {"diverged": diverged, "message": message, "time": time.time()}
            self.folder.write_json(FAILURE, failure)
            release_leases(self.folder)
        except Exception as error:  # every kind of storage has its own
            reason = Status(state, message).reason
            both = f"{reason} (this could not be written to {self.folder}: {error})"
            return Status(state, message.replace(reason, both, 1) if reason else both)
        return Status(state, message)

    def finish(self, record: RunRecord) -> RunRecord:
        """Writes the record, which makes the run *done*, and removes its leases and checkpoints.

        Returns:
            The record as it was written, with the size of each file of results: see `missing_or_torn`.

        Raises:
            LostRunError: another process has written a record, which is kept.
        """
        sizes = {name: size for name, (size, _) in self.folder.files().items() if name in RESULTS}
        complete: RunRecord = {**record, "files": sizes}
        if not self.folder.create(RECORD, to_json_bytes(complete)):
            raise LostRunError(f"{self.run.id}: finished by another process")
        release_leases(self.folder)
        checkpoints = self.folder / CHECKPOINTS
        for name in checkpoints.names():
            checkpoints.delete(name)
        if checkpoints.local and checkpoints.local.exists():
            checkpoints.local.rmdir()
        return complete

    def _remove_temporary_files(self) -> None:
        for folder in (self.folder, self.folder / CHECKPOINTS):
            for name in folder.names():
                # another process may be writing a lease at this moment
                if TEMPORARY.fullmatch(name) and not name.startswith(f".{LEASE_PREFIX}"):
                    folder.delete(name)


def _names(folder: Folder) -> list[str]:
    try:
        return folder.names()
    except NotADirectoryError:
        return []
