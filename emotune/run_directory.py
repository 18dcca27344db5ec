"""The files of one run, and the state that follows from them.

A run's folder is the only database: every file appears whole or not at all, `record.json` comes last and means *done*,
so that a crash at any instant leaves it valid. Format in README, "What a run leaves behind".
"""

import contextlib
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from emotune.errors import InputError
from emotune.run import FORMAT_VERSION, RunConfig
from emotune.storage import Folder

__all__ = ["CHECKPOINT", "CONFIG", "METRICS", "PREDICTIONS", "RECORD", "WEIGHTS", "RunDirectory", "State", "Status"]

CONFIG = "config.json"
METRICS = "metrics.jsonl"
CHECKPOINT = "checkpoint/last.pt"
PREDICTIONS = "predictions.parquet"
WEIGHTS = "weights.safetensors"
RECORD = "record.json"
HEARTBEAT = "heartbeat.json"
FAILURE = "failure.json"

HEARTBEAT_EVERY_S = 10.0
HEARTBEAT_STALE_S = 60.0


class State(StrEnum):
    """What a run's files say of it."""

    MISSING = "missing"
    RUNNING = "running"
    INTERRUPTED = "interrupted"
    FAILED = "failed"
    DIVERGED = "diverged"
    DONE = "done"


@dataclass(frozen=True)
class Status:
    """A run's state, and why where there is a why: the end of a traceback, the host it runs on."""

    state: State
    detail: str = ""


class RunDirectory:
    """One run's folder in the pool ``runs`` (a path or any fsspec URL)."""

    def __init__(self, runs: str, run: RunConfig) -> None:
        self.run = run
        self.folder = Folder(runs) / run.id

    def status(self) -> Status:
        """The run's state, derived from its files.

        Raises:
            InputError: a file is damaged, or the pool cannot be reached.
        """
        if self.folder.read(RECORD) is not None:
            return Status(State.DONE)
        beat = self.folder.read_json(HEARTBEAT)
        if beat is not None and _alive(beat):
            return Status(State.RUNNING, f"process {beat['pid']} on {beat['host']}")
        failure = self.folder.read_json(FAILURE)
        if failure is not None:
            return Status(State.DIVERGED if failure["diverged"] else State.FAILED, failure["message"])
        begun = self.folder.read(CONFIG) is not None
        return Status(State.INTERRUPTED if begun else State.MISSING)

    def record(self) -> dict[str, Any] | None:
        """The record of a finished run; None if it is not finished.

        Raises:
            InputError: the file is damaged.
        """
        record = self.folder.read_json(RECORD)
        if record is not None and not (isinstance(record, dict) and record.get("run") == self.run.id):
            raise InputError(f"{self.folder / RECORD}: not this run's record; delete {self.folder} to train it again")
        return record

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Marks the run as begun by this process, and as in its hands until it leaves.

        An earlier failure is forgotten, its checkpoint is not. A thread repeats the heartbeat, so that it does not stop
        while pictures are decoded or evaluated.
        """
        self.begin()
        left = threading.Event()

        def beat() -> None:
            while not left.wait(HEARTBEAT_EVERY_S):
                with contextlib.suppress(OSError):  # a full disk or a lost connection: the next beat may get through
                    self.beat()

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            left.set()
            thread.join()
            self.release()

    def begin(self) -> None:
        """Writes down what is trained, and that this process does it."""
        self.folder.write_json(
            CONFIG, {"id": self.run.id, "format": FORMAT_VERSION, "time": time.time(), **self.run.to_json()}
        )
        self.folder.delete(FAILURE)
        self.beat()

    def beat(self) -> None:
        """Says that this process works on the run."""
        pid = os.getpid()
        beat = {"host": socket.gethostname(), "pid": pid, "begun": _begun(pid), "time": time.time()}
        self.folder.write_json(HEARTBEAT, beat)

    def release(self) -> None:
        """Says that no process works on the run any more."""
        self.folder.delete(HEARTBEAT)

    def fail(self, message: str, *, diverged: bool = False) -> None:
        """Writes down that the run ended without a result, and why."""
        self.folder.write_json(FAILURE, {"diverged": diverged, "message": message, "time": time.time()})
        self.release()

    def finish(self, record: dict[str, Any]) -> None:
        """Writes the record, which makes the run *done*, and drops what only an unfinished run needs."""
        self.folder.write_json(RECORD, record)
        self.release()
        self.folder.delete(CHECKPOINT)


def _alive(beat: dict[str, Any]) -> bool:
    """Whether the process behind a heartbeat still works: by asking, on its own machine; else by the beat's age."""
    fresh = time.time() - beat["time"] < HEARTBEAT_STALE_S
    if beat["host"] != socket.gethostname() or not Path("/proc/self/stat").exists():
        return fresh
    begun = _begun(beat["pid"])
    if begun is None or begun != beat.get("begun"):
        return False
    return fresh or beat["pid"] != os.getpid()  # this very process may have left the run behind


def _begun(pid: int) -> str | None:
    """When a process of this machine began, in the kernel's ticks: tells it from a later one with the same number."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return None
