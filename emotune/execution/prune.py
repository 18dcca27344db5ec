"""What a pool may lose: runs that no study refers to, and studies that a later version of the same file replaces."""

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from emotune.config.run import RunConfig
from emotune.config.study import Study
from emotune.core.errors import InputError, raise_if_any
from emotune.core.storage import Folder
from emotune.execution.maintenance import remove_runs
from emotune.runs.directory import CONFIG, State, Status
from emotune.runs.registry import Origin, RegisteredStudy, Registry, initial_weights_from
from emotune.runs.store import RunStore

__all__ = ["OrphanRun", "Prunable", "find_prunable", "prune", "summary"]

JUST_BEGUN_S = 3600.0
"""For so long, the folder of a run in which there is no config yet is taken for one that is about to be trained."""


@dataclass(frozen=True)
class OrphanRun:
    """A run directory that no study refers to: its bytes, and when it last changed (seconds since 1970; 0: unknown)."""

    id: str
    size: int
    changed: float


@dataclass(frozen=True)
class Prunable:
    """What may go.

    Attributes:
        runs: That no study refers to and nobody works on, the largest first.
        superseded: By the name of their entry, studies that a named version of the same file replaces, and that file.
        forget: Names of entries that are to be forgotten.
        kept: The other studies that the pool remembers.
    """

    runs: tuple[OrphanRun, ...]
    superseded: dict[str, tuple[RegisteredStudy, str]]
    forget: tuple[str, ...]
    kept: tuple[RegisteredStudy, ...]

    @property
    def question(self) -> str:
        """What to ask before `prune`; empty if there is nothing to do."""
        entries = len(self.superseded) + len(self.forget)
        parts = [f"remove these {_counted(len(self.runs), 'run')}"] if self.runs else []
        parts += [f"forget {_counted(entries, 'study', 'studies')}"] if entries else []
        return " and ".join(parts).capitalize()


def find_prunable(
    pool: str, studies: Sequence[tuple[Study, Sequence[RunConfig]]] = (), forget: Collection[str] = ()
) -> Prunable:
    """What may go from a pool; changes nothing.

    A study that the pool remembers keeps its runs, whoever registered it. It no longer counts if it is to be forgotten,
    or if one of ``studies`` is another version of the same file, of the same user on the same machine, and no command
    works on it.

    Args:
        pool: Where run directories are.
        studies: That count as they are now, with their runs.
        forget: Names of entries.

    Raises:
        InputError: the pool remembers no study, and none is given; or an entry cannot be read or forgotten.
    """
    registry = Registry(pool)
    known = registry.names()
    raise_if_any([f"--forget {name}: no study of this pool (studies: {', '.join(known)})" for name in forget
            if name not in known])  # fmt: skip
    remembered = registry.studies(besides=forget)
    if not remembered and not studies and not forget:
        raise InputError(f"{pool}: remembers no study, so any run may be of use; name the study files that count")
    _refuse_at_work(registry, pool, forget)
    superseded = {}
    for study, runs in studies:
        own, origin = registry.entry(study, runs), Origin.here(study.file)
        for one in remembered:
            if one.origin == origin and one.entry != own and not _at_work(registry, pool, one):
                superseded[one.entry] = (one, study.file)
    for study, runs in studies:  # two versions that are both named both count
        superseded.pop(registry.entry(study, runs), None)
    kept = tuple(one for one in remembered if one.entry not in superseded)
    needed = {run_id for one in kept for run_id in one.refers_to}
    for _, runs in studies:
        needed |= {run.id for run in runs} | initial_weights_from(runs)
    return Prunable(tuple(_leftovers(pool, needed)), superseded, tuple(forget), kept)


def prune(
    pool: str, found: Prunable, studies: Sequence[tuple[Study, Sequence[RunConfig]]] = ()
) -> tuple[list[str], list[str]]:
    """Removes what was found, as far as it still may go: others may have registered studies meanwhile.

    Returns:
        Ids of the runs that were removed, and names of the entries.
    """
    registry = Registry(pool)
    seen: set[str] | None = None
    still: set[str] = set()

    def may_go(run_id: str) -> bool:
        nonlocal seen, still
        if (now := set(registry.names())) != seen:
            seen, still = now, {one.id for one in find_prunable(pool, studies, found.forget).runs}
        return run_id in still

    removed = remove_runs(pool, [one.id for one in found.runs], may_go)
    superseded = find_prunable(pool, studies, found.forget).superseded
    entries = [*(name for name in found.superseded if name in superseded), *found.forget]
    for name in entries:
        registry.forget(name)
    return removed, entries


def summary(found: Prunable, now: float | None = None) -> list[str]:
    """A line per study that the pool remembers, a line per run that would be removed, and a line on these."""
    now = time.time() if now is None else now
    lines = [f"  {one}" for one in found.kept]
    lines += [f"  {one}: superseded by {file} as it is now" for one, file in found.superseded.values()]
    lines += [f"  {name}: to be forgotten" for name in found.forget]
    lines = ["Studies that this pool remembers:", *lines] if lines else []
    for one in found.runs:
        age = f"  {(now - one.changed) / 86400:.0f} days old" if one.changed else ""
        lines.append(f"  {one.id}  {_bytes(one.size)}{age}")
    total = _bytes(sum(one.size for one in found.runs))
    return [*lines, f"{_counted(len(found.runs), 'run')} that no study refers to: {total}."]


def _leftovers(pool: str, needed: Collection[str]) -> list[OrphanRun]:
    """Runs that are not needed, and that nobody works on or is about to."""
    others = [run_id for run_id in RunStore(pool).run_ids() if run_id not in needed]
    statuses = RunStore(pool).statuses(others)
    idle = [run_id for run_id in others if statuses[run_id].state is not State.RUNNING]
    found = RunStore(pool).map(lambda run_id: _leftover(pool, run_id, statuses[run_id]), idle)
    return sorted(filter(None, found), key=lambda one: (-one.size, one.id))


def _leftover(pool: str, run_id: str, status: Status) -> OrphanRun | None:
    folder = Folder(pool) / run_id
    files = folder.files()
    changed = max((when for _, when in files.values()), default=0.0)
    if status.state is State.MISSING and CONFIG not in files:
        if not files and folder.local is not None:
            changed = folder.local.stat().st_mtime
        if time.time() - changed < JUST_BEGUN_S:
            return None
    return OrphanRun(run_id, sum(size for size, _ in files.values()), changed)


def _at_work(registry: Registry, pool: str, study: RegisteredStudy) -> bool:
    """Whether a command works on a study, or any process on one of its runs."""
    if registry.is_in_use(study.entry):
        return True
    statuses = RunStore(pool).statuses(sorted({run["id"] for run in study.runs}))
    return any(status.state is State.RUNNING for status in statuses.values())


def _refuse_at_work(registry: Registry, pool: str, forget: Collection[str]) -> None:
    raise_if_any([f"--forget {name}: a command works on this study; stop that first" for name in forget
            if registry.is_in_use(name)])  # fmt: skip


def _counted(number: int, one: str, more: str | None = None) -> str:
    return f"{number} {one if number == 1 else more or one + 's'}"


def _bytes(size: int) -> str:
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"
