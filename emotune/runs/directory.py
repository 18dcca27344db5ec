"""The files of one run, and the state that follows from them.

A run's folder is the only database: every file appears whole or not at all, `record.json` comes last and means *done*,
so that a crash at any instant leaves it valid. Format in README, "What a run leaves behind".
"""

import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from emotune.config.run import FORMAT_VERSION, RunConfig
from emotune.core.errors import InputError
from emotune.core.storage import TEMPORARY, Folder, to_json_bytes
from emotune.runs.lease import Lease, LeaseOwner, LostRunError, acquire, lease_files, read_owner, release_leases

__all__ = ["ATTENTION", "CHECKPOINTS", "CONFIG", "DIFF", "METRICS", "PREDICTIONS", "RECORD", "WEIGHTS", "RunDirectory",
           "State", "Status", "missing_or_torn", "read_record"]  # fmt: skip

CONFIG = "config.json"
METRICS = "metrics.jsonl"
CHECKPOINTS = "checkpoint"
PREDICTIONS = "predictions.parquet"
ATTENTION = "attention.parquet"
DIFF = "origin-{}.diff"
WEIGHTS = "weights.safetensors"
RECORD = "record.json"
FAILURE = "failure.json"
RESULTS = (METRICS, PREDICTIONS, ATTENTION)
"""What a report reads of a finished run: the record says how many bytes each of them had."""


class State(StrEnum):
    """What a run's files say of it."""

    MISSING = "missing"
    RUNNING = "running"
    INTERRUPTED = "interrupted"
    FAILED = "failed"
    DIVERGED = "diverged"
    DAMAGED = "damaged"
    DONE = "done"


@dataclass(frozen=True)
class Status:
    """A run's state, and why where there is a why: the end of a traceback, the host it runs on.

    ``owner`` is the process that works on a running one, and what it has said last.
    """

    state: State
    detail: str = ""
    owner: LeaseOwner | None = None

    @property
    def reason(self) -> str:
        """The line of ``detail`` that says most: the first; of a bare traceback, the exception's own first."""
        lines = [line for line in self.detail.splitlines() if line.strip()]
        said = [line for line in lines if not line.startswith((" ", "Traceback (most recent"))]
        return said[0].strip() if said else ""


class RunDirectory:
    """One run's folder in the pool ``runs`` (a path or any fsspec URL)."""

    def __init__(self, runs: str, run: RunConfig) -> None:
        self.run = run
        self.folder = Folder(runs) / run.id

    def status(self, names: Collection[str] | None = None) -> Status:
        """The run's state, derived from its files.

        Args:
            names: Of the files in the folder, where they have been listed already.

        Raises:
            InputError: a file is damaged, or the pool cannot be reached.
        """
        names = self._names() if names is None else names
        if RECORD in names:
            return Status(State.DONE)
        if claims := lease_files(names):
            holder = read_owner(self.folder, claims[-1])
            if holder is None:
                return self.status()  # released, or taken over, since it was listed
            if holder.is_alive:
                return Status(State.RUNNING, str(holder), holder)
        if FAILURE in names:
            failure = self.folder.read_json(FAILURE)
            if failure is None:
                return self.status()  # begun again since
            return Status(State.DIVERGED if failure["diverged"] else State.FAILED, failure["message"])
        return Status(State.INTERRUPTED if CONFIG in names else State.MISSING)

    def record(self) -> dict[str, Any] | None:
        """The record of a finished run; None if it is not finished.

        Raises:
            InputError: the file is damaged.
        """
        return read_record(self.folder, self.run.id)

    @contextmanager
    def leased(self, owner: str = "") -> Iterator[Lease]:
        """Claims the run for this process until it leaves; a thread repeats the heartbeat.

        An earlier failure is forgotten, its checkpoint is not. Of a run that is done meanwhile nothing is changed.

        Args:
            owner: Whose claims are taken over even from processes that live: those of the same command.

        Raises:
            BusyRunError: the run is in other hands.
        """
        with self.begin(owner).heartbeat() as claim:
            yield claim

    def begin(self, owner: str = "") -> Lease:
        """Claims the run, writes down what is trained, and removes what killed processes left half written."""
        claim = acquire(self.folder, owner)
        try:
            if self.folder.read(RECORD) is None:
                identity = {"id": self.run.id, "format": FORMAT_VERSION, "time": time.time()}
                run = {key: value for key, value in self.run.to_json().items() if key != "variant"}
                self.folder.write_json(CONFIG, identity | run)
                self.folder.delete(FAILURE)
                for folder in (self.folder, self.folder / CHECKPOINTS):
                    for name in folder.names():
                        if TEMPORARY.fullmatch(name) and not name.startswith(".claim-"):  # another's, at this moment
                            folder.delete(name)
        except BaseException:
            claim.release()
            raise
        return claim

    def fail(self, message: str, *, diverged: bool = False) -> Status:
        """Writes down that the run ended without a result, and why.

        Returns:
            What to show. A pool that cannot be written to hides no error: it is a second one in the same text.
        """
        state = State.DIVERGED if diverged else State.FAILED
        try:
            self.folder.write_json(FAILURE, {"diverged": diverged, "message": message, "time": time.time()})
            release_leases(self.folder)
        except Exception as error:  # every kind of storage has its own
            reason = Status(state, message).reason
            both = f"{reason} (this could not be written to {self.folder}: {error})"
            return Status(state, message.replace(reason, both, 1) if reason else both)
        return Status(state, message)

    def finish(self, record: dict[str, Any]) -> dict[str, Any]:
        """Writes the record, which makes the run *done*, and drops what only an unfinished run needs.

        Returns:
            The record as it was written: it also lists the files of results and their bytes, see `missing_or_torn`.

        Raises:
            LostRunError: another process has written one; it stays.
        """
        sizes = {name: size for name, (size, _) in self.folder.files().items() if name in RESULTS}
        record = record | {"files": sizes}
        if not self.folder.create(RECORD, to_json_bytes(record)):
            raise LostRunError(f"{self.run.id}: finished by another process")
        release_leases(self.folder)
        checkpoints = self.folder / CHECKPOINTS
        for name in checkpoints.names():
            checkpoints.delete(name)
        if checkpoints.local and checkpoints.local.exists():
            checkpoints.local.rmdir()
        return record

    def _names(self) -> list[str]:
        try:
            return self.folder.names()
        except NotADirectoryError:
            return []


def missing_or_torn(record: Mapping[str, Any], sizes: Mapping[str, int]) -> str:
    """What a finished run's files lack: ``predictions.parquet is missing``; empty if they are whole.

    Args:
        record: The run's. One from before records listed the files must have curves and predictions beside it.
        sizes: Bytes of the files in the run's directory, by name.
    """
    for name, size in record.get("files", dict.fromkeys((METRICS, PREDICTIONS))).items():
        if name not in sizes:
            return f"{name} is missing"
        if size is not None and sizes[name] != size:
            return f"{name} has {sizes[name]:,} bytes instead of {size:,}"
    return ""


def read_record(folder: Folder, run_id: str) -> dict[str, Any] | None:
    """The record in a run's folder; None if the run is not finished.

    Raises:
        InputError: the file is damaged.
    """
    record = folder.read_json(RECORD)
    if record is not None and not (isinstance(record, dict) and record.get("run") == run_id):
        raise InputError(f"{folder / RECORD}: not this run's record; delete {folder} to train it again")
    return record
