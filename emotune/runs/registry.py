"""Which studies a pool has: the only place that knows the folder ``studies/`` beside the runs.

Every version of a study has an entry of its own, ``studies/<name>-<8 hex>/``. The eight digits hash what the study is
(its text, its runs) and where it is from (path, user, host), so studies of the same name never share an entry, whoever
ran them. An entry stays as it is until somebody forgets it (`emotune.ablate prune`). In it:

``runs.json``            what the study is, where it is from, when it was registered, and the runs that it refers to
``networks.json``        how its networks differ, see `emotune.execution.checks.architecture`
``command-<8 hex>.json`` while a command works on the study: which process

Versions of emotune before this one had ``studies/<name>/runs.json``, without origin: these are read, and count.
"""

import contextlib
import getpass
import hashlib
import json
import os
import re
import socket
import time
import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from emotune.config.run import RUN_ID, RunConfig
from emotune.config.study import Study
from emotune.core.errors import InputError
from emotune.core.storage import Folder
from emotune.runs.lease import LeaseOwner
from emotune.runs.store import RunStore

__all__ = ["Origin", "RegisteredStudy", "Registry", "initial_weights_from"]

STUDIES, RUNS, NETWORKS = "studies", "runs.json", "networks.json"
COMMAND = re.compile(r"command-[0-9a-f]{8}\.json")


@dataclass(frozen=True)
class Origin:
    """Where a study is from: the absolute path of its file, the user who ran it, and the machine."""

    path: str
    user: str
    host: str

    @staticmethod
    def here(path: str) -> "Origin":
        """A file of this machine, run by whoever runs this process."""
        try:
            user = getpass.getuser()
        except (OSError, KeyError, ImportError):  # a container's user without a name
            user = str(os.getuid())
        return Origin(path, user, socket.gethostname())

    def __str__(self) -> str:
        return f"{self.user}@{self.host}:{self.path}"


@dataclass(frozen=True)
class RegisteredStudy:
    """A study that the pool remembers.

    Attributes:
        entry: The name of its folder, by which people name it.
        name: The study's.
        origin: Where it is from; None: a version of emotune registered it that did not say.
        time: When it was registered, in seconds since 1970; 0: not known.
        when: The same, for people.
        source: The text of the study's file.
        runs: Per run ``id``, ``variant``, ``dataset`` and ``seed``. Two variants may share a run.
        initial_weights_from: Ids of runs whose weights its runs begin with.
    """

    entry: str
    name: str
    origin: Origin | None
    time: float
    when: str
    source: str
    runs: tuple[dict[str, Any], ...]
    initial_weights_from: tuple[str, ...]

    @property
    def refers_to(self) -> frozenset[str]:
        """Ids of all runs that must stay for its sake."""
        return frozenset(run["id"] for run in self.runs) | frozenset(self.initial_weights_from)

    def __str__(self) -> str:
        count = len({run["id"] for run in self.runs})
        origin = self.origin or "registered by an earlier version of emotune, which did not say where it is from"
        return f"{self.entry}  {origin}  {self.when}  {count} {'run' if count == 1 else 'runs'}"


class Registry:
    """The studies of the pool at a path or URL."""

    def __init__(self, pool: str) -> None:
        self._pool = RunStore(pool)
        self._folder = Folder(pool) / STUDIES

    def entry(self, study: Study, runs: Iterable[RunConfig]) -> str:
        """The name of the entry of a study that refers to these runs; it need not be there."""
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
        """All studies, but for entries of these names; the latest first.

        Raises:
            InputError: an entry cannot be read, so nobody knows which runs it refers to.
        """
        return _sorted(self._pool.map(self._read, [name for name in self.names() if name not in besides]))

    def same_name_as(self, study: Study) -> list[RegisteredStudy]:
        """Studies of the same name, without those that cannot be read: first earlier versions of the same file, the
        latest first, then those with the same text, then others.
        """
        found, origin = self._named(study.name), Origin.here(study.file)
        ranked = {one.entry: 0 if one.origin == origin else 1 + (one.source != study.source) for one in found}
        return sorted(found, key=lambda one: ranked[one.entry])

    def find(self, word: str) -> RegisteredStudy | None:
        """The study that somebody means who names an entry, a study, or a file; None if there is none.

        Of a file, the latest version of the very same file, else one with the same text, else of the same name.

        Raises:
            InputError: several studies from different places have that name.
        """
        path = Path(word)
        found = self._named(word) or self._named(path.stem)
        with contextlib.suppress(OSError, UnicodeError):
            text = path.read_text(encoding="utf-8")
            found = [one for one in found if one.source == text] or found
        origin = Origin.here(str(path.resolve()))
        found = [one for one in self._named(path.stem) if one.origin == origin] or found
        if len({one.origin for one in found}) > 1 and len({one.source for one in found}) > 1:
            known = "".join(f"\n  {one}" for one in found)
            raise InputError(f"{word}: {self._folder} has several studies of that name; name one of these:{known}")
        return found[0] if found else None

    def register(self, study: Study, runs: Sequence[RunConfig]) -> bool:
        """Makes the study the latest of its origin; whether it was not known before. Writes only what is not there."""
        entry, origin = self.entry(study, runs), Origin.here(study.file)
        known = [one for one in self.same_name_as(study) if one.origin == origin]
        if known and known[0].entry == entry:
            return False
        now = time.time()
        value = {
            "study": study.name,
            "when": f"{datetime.fromtimestamp(now, UTC):%Y-%m-%d %H:%M} UTC",
            "time": now,
            "path": origin.path,
            "user": origin.user,
            "host": origin.host,
            "seeds": study.seeds,
            "aa": study.aa is not None,
            "source": study.source,
            "runs": [{"id": r.id, "variant": r.variant, "dataset": r.dataset.name, "seed": r.seed} for r in runs],
            "initial_weights_from": sorted(initial_weights_from(runs)),
        }
        (self._folder / entry).write_json(RUNS, value)
        return entry not in {one.entry for one in known}

    @contextmanager
    def in_use(self, study: Study, runs: Sequence[RunConfig]) -> Iterator[None]:
        """Registers a study, and says while this lasts that a command works on it.

        If it ends with an `InputError`, and the pool has none of the runs, the study is not remembered.
        """
        entry, name = self.entry(study, runs), f"command-{uuid.uuid4().hex[:8]}.json"
        folder = self._folder / entry
        for left in _commands(folder):  # by processes that were killed
            if (holder := _holder(folder, left)) and holder.is_local and not holder.is_alive:
                folder.delete(left)
        is_new = False
        try:
            folder.write_json(name, LeaseOwner.here(name, "").to_json())
            is_new = self.register(study, runs)
            yield
        except InputError:
            if is_new and not {run.id for run in runs} & set(self._pool.run_ids()):
                self.forget(entry)
            raise
        finally:
            with contextlib.suppress(Exception):  # the pool may be full, or gone; whoever asks finds the process dead
                folder.delete(name)

    def is_in_use(self, entry: str) -> bool:
        """Whether a command works on the study: whether its process lives."""
        folder = self._folder / entry
        return any((holder := _holder(folder, name)) and holder.is_alive for name in _commands(folder))

    def forget(self, entry: str) -> None:
        """Removes an entry, whatever is in it; runs are left alone."""
        (self._folder / entry).remove()
        if self._folder.local is not None:
            with contextlib.suppress(OSError):
                self._folder.local.rmdir()  # the last one's

    def networks(self, study: Study, runs: Iterable[RunConfig]) -> Iterator[dict[str, Any]]:
        """What is written down of the networks of this study, then of others of its name: see `same_name_as`."""
        entries = dict.fromkeys([self.entry(study, runs), *(one.entry for one in self.same_name_as(study)), study.name])
        yield from filter(None, map(self._networks, entries))

    def write_networks(self, study: Study, runs: Iterable[RunConfig], value: Mapping[str, Any]) -> None:
        """Writes down how a study's networks differ, if that is not what stands there."""
        entry = self.entry(study, runs)
        if self._networks(entry) != value:
            (self._folder / entry).write_json(NETWORKS, value)

    def _networks(self, entry: str) -> dict[str, Any] | None:
        with contextlib.suppress(InputError):  # a damaged file is made anew
            if isinstance(value := (self._folder / entry).read_json(NETWORKS), dict):
                return value
        return None

    def _named(self, name: str) -> list[RegisteredStudy]:
        """Studies of this name, and the entry of this name, as far as they can be read; the latest first."""
        entries = re.compile(rf"{re.escape(name)}(-[0-9a-f]{{8}})?")
        found = self._pool.map(self._readable, [entry for entry in self.names() if entries.fullmatch(entry)])
        return _sorted(one for one in found if one and name in (one.name, one.entry))

    def _readable(self, entry: str) -> RegisteredStudy | None:
        with contextlib.suppress(InputError):
            return self._read(entry)
        return None

    def _read(self, entry: str) -> RegisteredStudy | None:
        """What an entry says; None where nothing is registered."""
        folder = self._folder / entry
        try:
            value = folder.read_json(RUNS)
            return None if value is None else _registered(entry, value)
        except (InputError, LookupError, TypeError, AttributeError, ValueError) as error:
            raise InputError(
                f"{folder / RUNS}: cannot be read ({error}), so it is not known which runs this study refers to; run "
                f"the study again, or forget it: prune --forget {entry}"
            ) from None


def _registered(entry: str, value: dict[str, Any]) -> RegisteredStudy:
    origin = Origin(value["path"], value["user"], value["host"]) if "path" in value else None
    runs = tuple({key: run[key] for key in ("id", "variant", "dataset", "seed")} for run in value["runs"])
    return RegisteredStudy(
        entry, str(value.get("study", entry)), origin, float(value.get("time", 0.0)), str(value.get("when", "")),
        str(value.get("source", "")), runs, tuple(map(str, value["initial_weights_from"])),
    )  # fmt: skip


def _sorted(found: Iterable[RegisteredStudy | None]) -> list[RegisteredStudy]:
    return sorted(filter(None, found), key=lambda one: (-one.time, one.entry))


def _commands(folder: Folder) -> list[str]:
    return [name for name in folder.names() if COMMAND.fullmatch(name)]


def _holder(folder: Folder, name: str) -> LeaseOwner | None:
    with contextlib.suppress(InputError, LookupError, TypeError):
        return LeaseOwner.from_json(folder.read_json(name))
    return None


def initial_weights_from(runs: Iterable[RunConfig]) -> frozenset[str]:
    """Ids of runs whose weights others begin with, by whatever path they name them."""
    places = {run.weights.location for run in runs if run.weights}
    return frozenset(part for place in places for part in place.split("/") if RUN_ID.fullmatch(part))
