"""A study that was run in a store: its origin, its text and the runs that it refers to."""

import getpass
import os
import socket
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, TypedDict

from emotune.config.run import RUN_ID, RunConfig
from emotune.config.study import Study
from emotune.config.train import DecidedPrecision

__all__ = ["NamedRun", "Origin", "RegisteredStudy", "initial_weights_from", "study_file"]


@dataclass(frozen=True)
class Origin:
    """The origin of a study: the absolute path of its file, the user who ran it, and the machine."""

    path: str
    user: str
    host: str

    @staticmethod
    def here(path: str) -> "Origin":
        """The origin of a file on this machine that is run by the user of this process."""
        try:
            user = getpass.getuser()
        except (OSError, KeyError, ImportError):  # a container's user without a name
            user = str(os.getuid())
        return Origin(path, user, socket.gethostname())

    def __str__(self) -> str:
        return f"{self.user}@{self.host}:{self.path}"


@dataclass(frozen=True)
class NamedRun:
    """A run that a study refers to: its id, and the study's names of what it trains. Two variants may share a run."""

    id: str
    variant: str
    dataset: str
    seed: int

    @staticmethod
    def of(run: RunConfig) -> "NamedRun":
        """The names of a run whose configuration is known."""
        return NamedRun(run.id, run.variant, run.dataset.name, run.seed)


class StudyFile(TypedDict):
    """The content of an entry's ``runs.json``."""

    study: str
    when: str
    time: float
    path: str
    user: str
    host: str
    seeds: int
    aa: bool
    source: str
    runs: list[dict[str, Any]]
    initial_weights_from: list[str]
    looks: list[int]
    auto_precision: DecidedPrecision | None


@dataclass(frozen=True)
class RegisteredStudy:
    """A study that was run in a store.

    Attributes:
        entry: The name of its folder, by which it can be forgotten.
        name: The study's name.
        origin: The origin of its file.
        time: The time of its registration, in seconds since 1970.
        when: The same time as text.
        source: The text of the study's file.
        runs: Its runs.
        initial_weights_from: The ids of the runs whose weights its runs begin with.
        looks: The numbers of seeds at which it is judged; none for a fixed number of seeds.
        auto_precision: The meaning of ``train.precision: auto`` in its runs; None if no variant has that.
    """

    entry: str
    name: str
    origin: Origin
    time: float
    when: str
    source: str
    runs: tuple[NamedRun, ...]
    initial_weights_from: tuple[str, ...]
    looks: tuple[int, ...] = ()
    auto_precision: DecidedPrecision | None = None

    @property
    def refers_to(self) -> frozenset[str]:
        """The ids of all runs that this study needs."""
        return frozenset(run.id for run in self.runs) | frozenset(self.initial_weights_from)

    def __str__(self) -> str:
        count = len({run.id for run in self.runs})
        return f"{self.entry}  {self.origin}  {self.when}  {count} {'run' if count == 1 else 'runs'}"

    @staticmethod
    def from_json(entry: str, value: dict[str, Any]) -> "RegisteredStudy":
        """The study of an entry, see `StudyFile`.

        Raises:
            LookupError, TypeError, AttributeError, ValueError: the value is not the content of such a file.
        """
        runs = tuple(NamedRun(run["id"], run["variant"], run["dataset"], run["seed"]) for run in value["runs"])
        origin = Origin(value["path"], value["user"], value["host"])
        return RegisteredStudy(
            entry, str(value["study"]), origin, float(value["time"]), str(value["when"]), str(value["source"]), runs,
            tuple(map(str, value["initial_weights_from"])), tuple(value.get("looks", ())),
            value.get("auto_precision"),
        )  # fmt: skip


def study_file(study: Study, runs: Sequence[RunConfig]) -> StudyFile:
    """The content of the entry of a study that this process registers now."""
    now, origin = time.time(), Origin.here(study.file)
    return {
        "study": study.name,
        "when": f"{datetime.fromtimestamp(now, UTC):%Y-%m-%d %H:%M} UTC",
        "time": now,
        "path": origin.path,
        "user": origin.user,
        "host": origin.host,
        "seeds": study.seeds,
        "aa": study.aa is not None,
        "source": study.source,
        "runs": [asdict(NamedRun.of(run)) for run in runs],
        "initial_weights_from": sorted(initial_weights_from(runs)),
        "looks": list(study.looks),
        "auto_precision": study.auto_precision,
    }


def initial_weights_from(runs: Iterable[RunConfig]) -> frozenset[str]:
    """The ids of the runs whose weights these runs begin with, by whatever path they name them."""
    locations = {run.weights.location for run in runs if run.weights}
    return frozenset(part for location in locations for part in location.split("/") if RUN_ID.fullmatch(part))
