"""All runs in one folder or behind one URL: their states and records, read in parallel where that pays."""

import contextlib
import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from emotune.config.run import RUN_ID, RunConfig
from emotune.core.errors import InputError
from emotune.core.storage import Folder
from emotune.runs.directory import RECORD, RunDirectory, State, Status, read_status
from emotune.runs.record import RunRecord, missing_or_torn, read_record

__all__ = ["RunStates", "RunStore", "open_store"]

READERS = 32
"""Threads that read from a URL at the same time."""

In = TypeVar("In")
Out = TypeVar("Out")


@dataclass(frozen=True)
class RunStates:
    """The states and records of some runs in a store, as of one moment.

    Attributes:
        store: The store.
        runs: The runs, in the order in which they are trained.
        statuses: The status of each run, by its id. A finished run whose files are not complete is *damaged*.
        records: The records of the finished runs, by id.
    """

    store: "RunStore"
    runs: tuple[RunConfig, ...]
    statuses: Mapping[str, Status]
    records: Mapping[str, RunRecord]


class RunStore:
    """The folder in which runs have their directories.

    Args:
        location: The folder's path or fsspec URL (``s3://bucket/runs``); ``str(store)`` gives it back.

    Raises:
        InputError: the URL contains credentials.
    """

    def __init__(self, location: "str | Path | RunStore") -> None:
        self.url = str(location)
        self.folder = Folder(self.url)

    def __str__(self) -> str:
        return self.url

    def __repr__(self) -> str:
        return f"RunStore({self.url!r})"

    def directory(self, run: RunConfig) -> RunDirectory:
        """The directory of a run, whether it exists or not."""
        return RunDirectory(self.url, run)

    def run_ids(self) -> list[str]:
        """The ids of all runs that have a directory here, sorted.

        Raises:
            OSError: the store is not a folder.
            InputError: the store cannot be reached.
        """
        local = self.folder.local
        names = self.folder.names()
        return [name for name in names if RUN_ID.fullmatch(name) and (local is None or (local / name).is_dir())]

    def status(self, run_id: str) -> Status:
        """The state of one run.

        Raises:
            InputError: a file is damaged, or the store cannot be reached.
        """
        return read_status(self.folder / run_id)

    def statuses(self, run_ids: Iterable[str]) -> dict[str, Status]:
        """The state of each run, by its id, in the order of ``run_ids``.

        Raises:
            InputError: a file is damaged, or the store cannot be reached.
        """
        ids = list(dict.fromkeys(run_ids))
        names = self._file_names(ids)
        statuses = self.map(lambda run_id: read_status(self.folder / run_id, names.get(run_id, ())), ids)
        return dict(zip(ids, statuses, strict=True))

    def states(self, runs: Iterable[RunConfig]) -> RunStates:
        """The status of each run, and the records of those that are finished.

        Raises:
            InputError: a file of an unfinished run is damaged, or the store cannot be reached.
        """
        runs = tuple(runs)
        statuses = self.statuses(run.id for run in runs)
        records, problems = self.check_records(id_ for id_, status in statuses.items() if status.state is State.DONE)
        damaged = {run_id: Status(State.DAMAGED, problem) for run_id, problem in problems.items()}
        return RunStates(self, runs, statuses | damaged, records)

    def check_records(self, run_ids: Iterable[str]) -> tuple[dict[str, RunRecord], dict[str, str]]:
        """Sorts finished runs by whether all files that their records list are complete.

        The sizes of the files are compared; their content is not read.

        Returns:
            The records of the complete runs, and a message for each of the other runs; both by id, in the order of
            ``run_ids``.

        Raises:
            InputError: the store cannot be reached.
        """
        ids = list(run_ids)
        sizes = self._file_sizes(ids)
        records: dict[str, RunRecord] = {}
        problems: dict[str, str] = {}
        for run_id, checked in zip(ids, self.map(lambda run_id: self._check(run_id, sizes[run_id]), ids), strict=True):
            if isinstance(checked, str):
                problems[run_id] = checked
            else:
                records[run_id] = checked
        return records, problems

    def _check(self, run_id: str, sizes: dict[str, int]) -> RunRecord | str:
        """The run's record, or what is wrong with its files."""
        try:
            record = read_record(self.folder / run_id, run_id)
            if record is None:
                return f"{RECORD} is missing"
            return missing_or_torn(record, sizes) or record
        except (InputError, AttributeError, TypeError, ValueError) as error:
            return str(error)

    def map(self, function: Callable[[In], Out], values: Iterable[In]) -> list[Out]:
        """The results of a function that reads from this store; behind a URL many calls run at the same time."""
        if self.folder.local is not None:
            return [function(value) for value in values]
        with ThreadPoolExecutor(READERS) as readers:
            return list(readers.map(function, values))

    def _file_sizes(self, ids: Iterable[str]) -> dict[str, dict[str, int]]:
        """The size of each file in each run's directory, by run and name."""
        sizes: dict[str, dict[str, int]] = {run_id: {} for run_id in ids}
        if self.folder.local is None:
            for path, (size, _) in self.folder.files().items():
                run_id, _, name = path.partition("/")
                sizes.setdefault(run_id, {})[name] = size
            return sizes
        for run_id, of_run in sizes.items():
            with (
                contextlib.suppress(NotADirectoryError, FileNotFoundError),  # it, or a file of it, was just removed
                os.scandir(self.folder.local / run_id) as entries,
            ):
                of_run.update({entry.name: entry.stat().st_size for entry in entries})
        return sizes

    def _file_names(self, ids: Iterable[str]) -> dict[str, set[str]]:
        """The names of the files in each run's directory; runs without a directory are left out."""
        names: dict[str, set[str]] = {}
        if self.folder.local is None:
            for path in self.folder.files():
                run_id, _, name = path.partition("/")
                names.setdefault(run_id, set()).add(name)
            return names
        for run_id in set(ids) & set(self.folder.names()):
            try:
                with os.scandir(self.folder.local / run_id) as entries:
                    names[run_id] = {entry.name for entry in entries}
            except (NotADirectoryError, FileNotFoundError):
                continue
        return names


def open_store(runs: str | Path) -> RunStore:
    """The store of runs that ``--runs`` names: behind a URL, or at an absolute path, which need not exist yet.

    Raises:
        InputError: it is a file, or not a path.
    """
    runs = str(runs)
    if "://" in runs:
        return RunStore(runs)
    try:
        path = Path(runs).resolve()
        is_file = path.exists() and not path.is_dir()
    except (OSError, RuntimeError) as error:  # too long a name; links in a circle
        raise InputError(f"--runs {runs}: cannot be used ({getattr(error, 'strerror', None) or error})") from None
    if is_file:
        raise InputError(f"--runs {runs}: is a file; name the folder in which runs are, or will be")
    return RunStore(path)
