"""The studies that refer to the runs of a store: only this module knows the folder ``studies/`` beside the runs.

Each version of a study has an entry of its own, ``studies/<name>-<8 hex>/``. The eight digits are a hash of the study
(its text and its runs) and its origin (path, user, host), so two people's studies of one name never share an entry. An
entry does not change until somebody forgets it (`emotune.ablate prune`). Its files:

``runs.json``            the study, its origin, the time of its registration, and the runs that it refers to
``networks.json``        how its networks differ, see `emotune.execution.checks.architecture`
``command-<8 hex>.json`` the process of a command that works on the study, while it does
"""

import contextlib
import hashlib
import json
import re
import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from emotune.config.run import RunConfig
from emotune.config.study import Study
from emotune.core.errors import InputError
from emotune.core.new_folders import absent_folders, remove_empty
from emotune.core.storage import Folder
from emotune.runs.lease_owner import LeaseOwner
from emotune.runs.registered_study import Origin, RegisteredStudy, study_file
from emotune.runs.store import RunStore

__all__ = ["Registry"]

STUDIES, RUNS, NETWORKS = "studies", "runs.json", "networks.json"
COMMAND = re.compile(r"command-[0-9a-f]{8}\.json")


class Registry:
    """The studies of a store of runs, given as a path, a URL or a `RunStore`."""

    def __init__(self, store: RunStore | Path | str) -> None:
        self._store = RunStore(store)
        self._folder = self._store.folder / STUDIES

    def entry(self, study: Study, runs: Iterable[RunConfig]) -> str:
        """The name of the entry of a study that refers to these runs, whether it exists or not."""
        origin = Origin.here(study.file)
        identity = [study.source, sorted({run.id for run in runs}), origin.path, origin.user, origin.host]
        return f"{study.name}-{hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:8]}"

    def names(self) -> list[str]:
        """The names of all entries."""
        try:
            return self._folder.names()
        except NotADirectoryError:
            return []

    def studies(self, besides: Collection[str] = ()) -> list[RegisteredStudy]:
        """All studies, the latest first.

        Args:
            besides: The names of entries to leave out.

        Raises:
            InputError: an entry cannot be read, so it is unknown which runs it refers to.
        """
        return _latest_first(self._store.map(self._read, [name for name in self.names() if name not in besides]))

    def same_name_as(self, study: Study) -> list[RegisteredStudy]:
        """The readable studies of the same name.

        Versions of the same file come first, the latest one first; then those with the same text; then the others.
        """
        origin = Origin.here(study.file)
        return sorted(
            self._named(study.name),
            key=lambda other: 0 if other.origin == origin else 1 if other.source == study.source else 2,
        )

    def find(self, word: str) -> RegisteredStudy | None:
        """The study that the user names by an entry, a study's name, or a file; None if there is none.

        A file means the latest version of that very file, else a study with the same text, else one of the same name.

        Raises:
            InputError: several studies from different places have that name.
        """
        path = Path(word)
        studies = self._named(word) or self._named(path.stem)
        with contextlib.suppress(OSError, UnicodeError):
            text = path.read_text(encoding="utf-8")
            studies = [study for study in studies if study.source == text] or studies
        origin = Origin.here(str(path.resolve()))
        studies = [study for study in self._named(path.stem) if study.origin == origin] or studies
        if len({study.origin for study in studies}) > 1 and len({study.source for study in studies}) > 1:
            choices = "".join(f"\n  {study}" for study in studies)
            raise InputError(f"{word}: {self._folder} has several studies of that name; name one of these:{choices}")
        return studies[0] if studies else None

    def register(self, study: Study, runs: Sequence[RunConfig]) -> bool:
        """Makes the study the latest version of its file; nothing is written if it is that already.

        Returns:
            Whether the study was registered for the first time.
        """
        entry, origin = self.entry(study, runs), Origin.here(study.file)
        versions = [version for version in self.same_name_as(study) if version.origin == origin]
        if versions and versions[0].entry == entry:
            return False
        (self._folder / entry).write_json(RUNS, study_file(study, runs))
        return entry not in {version.entry for version in versions}

    @contextmanager
    def in_use(self, study: Study, runs: Sequence[RunConfig]) -> Iterator[None]:
        """Registers a study, and marks it as in use by a command while the context lasts.

        If the context ends with an `InputError` and none of the runs has begun, a new study is forgotten again, and a
        store that was not there before is not there.
        """
        entry, name = self.entry(study, runs), f"command-{uuid.uuid4().hex[:8]}.json"
        folder, absent = self._folder / entry, absent_folders(self._store.folder.local)
        for other in _commands(folder):
            if (owner := _read_process(folder, other)) and owner.is_local and not owner.is_alive:
                folder.delete(other)  # left by a process that was killed
        is_new = False
        try:
            folder.write_json(name, LeaseOwner.here(name, "").to_json())
            is_new = self.register(study, runs)
            yield
        except InputError:
            if is_new and not {run.id for run in runs} & set(self._store.run_ids()):
                self.forget(entry)
                remove_empty(absent)
            raise
        finally:
            with contextlib.suppress(Exception):  # the store may be full or gone; the process will be found dead
                folder.delete(name)

    def is_in_use(self, entry: str) -> bool:
        """Whether a command whose process is alive works on the study."""
        folder = self._folder / entry
        return any((owner := _read_process(folder, name)) and owner.is_alive for name in _commands(folder))

    def forget(self, entry: str) -> None:
        """Removes an entry, even one that cannot be read; its runs are kept."""
        (self._folder / entry).remove()
        if self._folder.local is not None:
            with contextlib.suppress(OSError):
                self._folder.local.rmdir()  # fails unless this was the last entry

    def networks(self, study: Study, runs: Iterable[RunConfig]) -> Iterator[dict[str, Any]]:
        """The saved descriptions of this study's networks, then of those of other studies, see `same_name_as`."""
        others = (other.entry for other in self.same_name_as(study))
        yield from filter(None, map(self._networks, dict.fromkeys([self.entry(study, runs), *others])))

    def write_networks(self, study: Study, runs: Iterable[RunConfig], value: Mapping[str, Any]) -> None:
        """Saves how a study's networks differ; nothing is written if that is saved already."""
        entry = self.entry(study, runs)
        if self._networks(entry) != value:
            (self._folder / entry).write_json(NETWORKS, value)

    def _networks(self, entry: str) -> dict[str, Any] | None:
        with contextlib.suppress(InputError):  # a damaged file is written anew
            if isinstance(value := (self._folder / entry).read_json(NETWORKS), dict):
                return value
        return None

    def _named(self, name: str) -> list[RegisteredStudy]:
        """The readable studies of this name, and the one whose entry has this name; the latest first."""
        pattern = re.compile(rf"{re.escape(name)}(-[0-9a-f]{{8}})?")
        studies = self._store.map(self._read_if_valid, [entry for entry in self.names() if pattern.fullmatch(entry)])
        return _latest_first(study for study in studies if study and name in (study.name, study.entry))

    def _read_if_valid(self, entry: str) -> RegisteredStudy | None:
        with contextlib.suppress(InputError):
            return self._read(entry)
        return None

    def _read(self, entry: str) -> RegisteredStudy | None:
        """The study of an entry; None where nothing is registered.

        Raises:
            InputError: its file is damaged.
        """
        folder = self._folder / entry
        try:
            value = folder.read_json(RUNS)
            return None if value is None else RegisteredStudy.from_json(entry, value)
        except (InputError, LookupError, TypeError, AttributeError, ValueError) as error:
            raise InputError(
                f"{folder / RUNS}: cannot be read ({error}), so it is unknown which runs this study needs; run the "
                f"study again, or forget it: prune --forget {entry}"
            ) from None


def _latest_first(studies: Iterable[RegisteredStudy | None]) -> list[RegisteredStudy]:
    return sorted(filter(None, studies), key=lambda study: (-study.time, study.entry))


def _commands(folder: Folder) -> list[str]:
    return [name for name in folder.names() if COMMAND.fullmatch(name)]


def _read_process(folder: Folder, name: str) -> LeaseOwner | None:
    """The process of a command; None if its file is gone or damaged."""
    with contextlib.suppress(InputError, LookupError, TypeError):
        return LeaseOwner.from_json(folder.read_json(name))
    return None
