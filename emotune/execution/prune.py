"""Pruning: removes runs that no study refers to, and forgets studies that a later version of the same file replaces."""

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from emotune.config.run import RunConfig
from emotune.config.study import Study
from emotune.core.errors import InputError, raise_if_any
from emotune.core.storage import Folder
from emotune.execution.maintenance import remove_runs
from emotune.runs.directory import CONFIG, State, Status
from emotune.runs.registered_study import Origin, RegisteredStudy, initial_weights_from
from emotune.runs.registry import Registry
from emotune.runs.store import RunStore

__all__ = ["OrphanRun", "Prunable", "find_prunable", "prune", "summary"]

JUST_BEGUN_S = 3600.0
"""Seconds during which a run's folder without a config counts as that of a run which is about to be trained."""


@dataclass(frozen=True)
class OrphanRun:
    """A run that no study refers to: its id, its size in bytes, and when it was last changed.

    The time is in seconds since 1970; 0 where it is not known.
    """

    id: str
    size: int
    changed: float


@dataclass(frozen=True)
class Prunable:
    """What can be removed from a folder of runs.

    Attributes:
        runs: The runs that no study refers to and no process trains, the largest first.
        superseded: The studies that a later version of the same file replaces, and that file, by the name of the
            study's entry in the registry.
        forget: The names of entries that the user wants to be forgotten.
        kept: The other studies in the registry.
    """

    runs: tuple[OrphanRun, ...]
    superseded: dict[str, tuple[RegisteredStudy, str]]
    forget: tuple[str, ...]
    kept: tuple[RegisteredStudy, ...]

    @property
    def question(self) -> str:
        """The question to ask before `prune`; empty if there is nothing to do."""
        entries = len(self.superseded) + len(self.forget)
        parts = [f"remove these {_count(len(self.runs), 'run')}"] if self.runs else []
        parts += [f"forget {_count(entries, 'study', 'studies')}"] if entries else []
        return " and ".join(parts).capitalize()


def find_prunable(
    store: RunStore, studies: Sequence[tuple[Study, Sequence[RunConfig]]] = (), forget: Collection[str] = ()
) -> Prunable:
    """What can be removed from a folder of runs; changes nothing.

    A registered study keeps its runs, whoever registered it, unless it is to be forgotten, or unless one of ``studies``
    is a later version of the same file, of the same user on the same machine, and no command works on the old version.

    Args:
        store: The folder of all run directories.
        studies: The studies as their files are now, with their runs.
        forget: The names of entries of the registry that no longer count.

    Raises:
        InputError: No study is registered and none is given, or an entry cannot be read or forgotten.
    """
    registry = Registry(store)
    names = registry.names()
    raise_if_any([
        f"--forget {name}: is not a registered study of {store} (studies: {', '.join(names)})"
        for name in forget if name not in names
    ])  # fmt: skip
    registered = registry.studies(besides=forget)
    if not registered and not studies and not forget:
        raise InputError(f"{store}: no study is registered, so any run may be needed; name the study files that count")
    raise_if_any([
        f"--forget {name}: a command works on this study; stop it first" for name in forget if registry.is_in_use(name)
    ])  # fmt: skip
    superseded = {}
    for study, runs in studies:
        entry, origin = registry.entry(study, runs), Origin.here(study.file)
        for old in registered:
            if old.origin == origin and old.entry != entry and not _is_in_use(registry, store, old):
                superseded[old.entry] = (old, study.file)
    for study, runs in studies:  # if two versions are named, both count
        superseded.pop(registry.entry(study, runs), None)
    kept = tuple(study for study in registered if study.entry not in superseded)
    needed = {run_id for study in kept for run_id in study.refers_to}
    for _, runs in studies:
        needed |= {run.id for run in runs} | initial_weights_from(runs)
    return Prunable(tuple(_find_orphans(store, needed)), superseded, tuple(forget), kept)


def prune(
    store: RunStore, prunable: Prunable, studies: Sequence[tuple[Study, Sequence[RunConfig]]] = ()
) -> tuple[list[str], list[str]]:
    """Removes what `find_prunable` has found, unless a study that was registered meanwhile needs it.

    Args:
        store: The folder of all run directories.
        prunable: What can be removed.
        studies: The studies that were given to `find_prunable`.

    Returns:
        The ids of the runs that were removed, and the names of the entries that were forgotten.
    """
    registry = Registry(store)
    last_names: set[str] | None = None
    orphans: set[str] = set()

    def is_removable(run_id: str) -> bool:
        nonlocal last_names, orphans
        if (names := set(registry.names())) != last_names:
            last_names, orphans = names, {run.id for run in find_prunable(store, studies, prunable.forget).runs}
        return run_id in orphans

    removed = remove_runs(store, [run.id for run in prunable.runs], is_removable)
    superseded = find_prunable(store, studies, prunable.forget).superseded
    entries = [*(name for name in prunable.superseded if name in superseded), *prunable.forget]
    for name in entries:
        registry.forget(name)
    return removed, entries


def summary(prunable: Prunable, now: float | None = None) -> list[str]:
    """A line for each registered study and for each run that would be removed, and the total.

    Args:
        prunable: What can be removed.
        now: The time from which ages are counted, in seconds since 1970; None: the current time.
    """
    now = time.time() if now is None else now
    lines = [f"  {study}" for study in prunable.kept]
    lines += [f"  {study}: superseded by the current {file}" for study, file in prunable.superseded.values()]
    lines += [f"  {name}: to be forgotten" for name in prunable.forget]
    lines = ["Registered studies:", *lines] if lines else []
    for run in prunable.runs:
        age = f"  {(now - run.changed) / 86400:.0f} days old" if run.changed else ""
        lines.append(f"  {run.id}  {_bytes(run.size)}{age}")
    total = _bytes(sum(run.size for run in prunable.runs))
    return [*lines, f"{_count(len(prunable.runs), 'run')} that no study refers to: {total}."]


def _find_orphans(store: RunStore, needed: Collection[str]) -> list[OrphanRun]:
    """The runs that are not needed, and that no process trains or is about to train; the largest first."""
    others = [run_id for run_id in store.run_ids() if run_id not in needed]
    statuses = store.statuses(others)
    idle = [run_id for run_id in others if statuses[run_id].state is not State.RUNNING]
    orphans = store.map(lambda run_id: _orphan(store.folder / run_id, run_id, statuses[run_id]), idle)
    return sorted(filter(None, orphans), key=lambda run: (-run.size, run.id))


def _orphan(folder: Folder, run_id: str, status: Status) -> OrphanRun | None:
    """A run that no process trains; None if it seems to have been begun just now."""
    files = folder.files()
    changed = max((when for _, when in files.values()), default=0.0)
    if status.state is State.MISSING and CONFIG not in files:
        if not files and folder.local is not None:
            changed = folder.local.stat().st_mtime
        if time.time() - changed < JUST_BEGUN_S:
            return None
    return OrphanRun(run_id, sum(size for size, _ in files.values()), changed)


def _is_in_use(registry: Registry, store: RunStore, study: RegisteredStudy) -> bool:
    """Whether a command works on a study, or any process trains one of its runs."""
    if registry.is_in_use(study.entry):
        return True
    statuses = store.statuses(sorted({run.id for run in study.runs}))
    return any(status.state is State.RUNNING for status in statuses.values())


def _count(number: int, one: str, more: str | None = None) -> str:
    return f"{number} {one if number == 1 else more or one + 's'}"


def _bytes(size: int) -> str:
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"
