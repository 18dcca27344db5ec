"""All runs of a pool at once: one listing says which files must be read; those behind a URL are read side by side."""

import contextlib
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from emotune.config.run import RUN_ID, RunConfig
from emotune.core.errors import InputError
from emotune.core.storage import Folder
from emotune.runs.directory import RECORD, RunDirectory, Status, missing_or_torn, read_record

__all__ = ["RunStore"]

READERS = 32

In = TypeVar("In")
Out = TypeVar("Out")


class RunStore:
    """The folder ``url`` (a path or any fsspec URL) in which runs have their directories."""

    def __init__(self, url: str) -> None:
        self.url, self.folder = url, Folder(url)

    def run_ids(self) -> list[str]:
        """The ids of all runs that have a directory here, of whatever study, sorted.

        Raises:
            OSError: the pool is no folder.
            InputError: it cannot be reached.
        """
        local = self.folder.local
        names = self.folder.names()
        return [name for name in names if RUN_ID.fullmatch(name) and (local is None or (local / name).is_dir())]

    def statuses(self, runs: Sequence[RunConfig]) -> dict[str, Status]:
        """The state of each run, by its id, in the order of ``runs``.

        Raises:
            InputError: a file is damaged, or the pool cannot be reached.
        """
        directories = {run.id: RunDirectory(self.url, run) for run in runs}
        files = self._files(directories)
        found = self.map(lambda run_id: directories[run_id].status(files.get(run_id, ())), directories)
        return dict(zip(directories, found, strict=True))

    def records(self, ids: Iterable[str]) -> dict[str, dict[str, Any]]:
        """The record of each of these runs that is finished, by its id, in the order of ``ids``.

        Raises:
            InputError: one is damaged, or the pool cannot be reached.
        """
        ids = list(ids)
        found = self.map(lambda run_id: read_record(self.folder / run_id, run_id), ids)
        return {run_id: record for run_id, record in zip(ids, found, strict=True) if record is not None}

    def check_records(self, ids: Iterable[str]) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
        """Of runs that have a record: the records of those whose files are whole, and what is wrong with the others.

        Both by id, in the order of ``ids``. What is in the files is not looked at, their bytes are counted.

        Raises:
            InputError: the pool cannot be reached.
        """
        ids = list(ids)
        sizes = self._sizes(ids)

        def look(run_id: str) -> tuple[dict[str, Any] | None, str]:
            try:
                record = read_record(self.folder / run_id, run_id)
                return record, missing_or_torn(record, sizes.get(run_id, {})) if record else f"{RECORD} is missing"
            except (InputError, AttributeError, TypeError) as error:
                return None, str(error)

        found = dict(zip(ids, self.map(look, ids), strict=True))
        whole = {run_id: record for run_id, (record, problem) in found.items() if not problem}
        return whole, {run_id: problem for run_id, (_, problem) in found.items() if problem}

    def _sizes(self, ids: Iterable[str]) -> dict[str, dict[str, int]]:
        """Bytes of what is in each run's directory, by name."""
        sizes: dict[str, dict[str, int]] = {run_id: {} for run_id in ids}
        if self.folder.local is None:
            for path, (size, _) in self.folder.files().items():
                run_id, _, name = path.partition("/")
                sizes.setdefault(run_id, {})[name] = size
            return sizes
        for run_id, own in sizes.items():
            with (
                contextlib.suppress(NotADirectoryError, FileNotFoundError),  # it, or a file of it, is gone by now
                os.scandir(self.folder.local / run_id) as entries,
            ):
                own.update({entry.name: entry.stat().st_size for entry in entries})
        return sizes

    def _files(self, ids: Iterable[str]) -> dict[str, set[str]]:
        """The names of what is in each run's directory, where there is one."""
        files: dict[str, set[str]] = {}
        if self.folder.local is None:
            for path in self.folder.files():
                run_id, _, name = path.partition("/")
                files.setdefault(run_id, set()).add(name)
            return files
        for run_id in set(ids) & set(self.folder.names()):
            try:
                with os.scandir(self.folder.local / run_id) as entries:
                    files[run_id] = {entry.name for entry in entries}
            except (NotADirectoryError, FileNotFoundError):
                continue
        return files

    def map(self, function: Callable[[In], Out], values: Iterable[In]) -> list[Out]:
        """What ``function``, which reads from this pool, gives for each value; behind a URL many are read at a time."""
        if self.folder.local is not None:
            return [function(value) for value in values]
        with ThreadPoolExecutor(READERS) as readers:
            return list(readers.map(function, values))
