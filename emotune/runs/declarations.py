"""The declarations of studies, and how many results there were by then: only this module knows ``declared/``.

Before its first run begins, a study writes what it is going to judge into ``declared/<study>/<16 hex>.json`` beside the
runs: its contrasts, each by the runs that it compares, metric, smallest effect of interest, seeds and looks, with the
date and the number of its runs that had ended. The digits are a hash of what is declared: the same again changes
nothing, and what is changed later gets a file, a date and a number of its own. Nobody removes these files.
"""

import hashlib
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from emotune.config.run import RunConfig
from emotune.config.study import Study
from emotune.core.errors import InputError
from emotune.core.storage import to_json_bytes
from emotune.runs.directory import State
from emotune.runs.store import RunStates, RunStore

__all__ = ["Declaration", "DeclaredContrast", "LateDeclaration", "current_declaration", "declare", "dropped_contrasts",
           "has_declared", "late_declarations", "read_declarations"]  # fmt: skip

FOLDER = "declared"
ENDED = (State.DONE, State.DIVERGED)
"""The states in which a run's result can be known."""


@dataclass(frozen=True)
class DeclaredContrast:
    """A contrast on one data set.

    Attributes:
        name: Its name, which may change: two are the same if their weights are.
        dataset: The data set's name.
        weights: The weights of the variants, each by the id of the variant's first run.
    """

    name: str
    dataset: str
    weights: Mapping[str, float]

    def is_same(self, other: "DeclaredContrast") -> bool:
        """Whether both compare the same runs with the same weights."""
        return dict(self.weights) == dict(other.weights)


@dataclass(frozen=True)
class Declaration:
    """The declaration of a study at one time.

    Attributes:
        contrasts: Its contrasts on all data sets.
        metric: The identity of its metric.
        min_effect: The smallest effect of interest.
        seeds: The number of seeds, or the most of them.
        looks: The numbers of seeds at which the study is judged; none for a fixed number.
        when: The date; empty for a declaration that is not written.
        time: The same in seconds since 1970; infinite for a declaration that is not written.
        ended: The number of the study's runs that had ended; None if it is unknown, for studies that are older than
            declarations.
        runs: The number of all of its runs.
    """

    contrasts: tuple[DeclaredContrast, ...]
    metric: Mapping[str, Any]
    min_effect: float
    seeds: int
    looks: tuple[int, ...]
    when: str
    time: float
    ended: int | None
    runs: int

    @property
    def digest(self) -> str:
        """The hash of what is declared: 16 hexadecimal digits."""
        return hashlib.sha256(json.dumps(self.content, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def content(self) -> dict[str, Any]:
        """The declared values, as JSON can hold them."""
        return {
            "contrasts": [{"name": c.name, "dataset": c.dataset, "weights": dict(c.weights)} for c in self.contrasts],
            "metric": dict(self.metric), "min_effect": self.min_effect, "seeds": self.seeds, "looks": list(self.looks),
        }  # fmt: skip

    @property
    def seeds_text(self) -> str:
        """The seeds as a study file has them: ``5``, ``up to 20 (looks at 5, 10, 20)``."""
        return f"up to {self.seeds} (looks at {', '.join(map(str, self.looks))})" if self.looks else str(self.seeds)

    def has(self, contrast: DeclaredContrast) -> bool:
        """Whether the contrast is declared."""
        return any(contrast.is_same(own) for own in self.contrasts)


@dataclass(frozen=True)
class LateDeclaration:
    """A part of a contrast's judgement that was declared when results were there.

    Attributes:
        what: The part.
        before: The declaration before in its place; empty if there is none.
        now: The declaration now.
        ended: The number of the study's runs that had ended then.
        runs: The number of all of its runs then.
    """

    what: Literal["contrast", "metric", "min_effect", "seeds"]
    before: str
    now: str
    ended: int
    runs: int

    def __str__(self) -> str:
        """The lateness in a phrase: ``declared after 6 of 15 runs``."""
        late = f"declared after {self.ended} of {self.runs} runs"
        if self.what == "contrast":
            return late
        phrase = f"{self.what} {self.now} (before: {self.before}) {late}"
        if self.what != "seeds":
            return phrase
        first = f"the first {self.before} only" if self.before.isdigit() else "those declared first"
        return f"{phrase}, the joint 95 % holds for {first}"


def current_declaration(study: Study, states: RunStates, *, is_old: bool = False) -> Declaration:
    """The declaration of a study as of now, whether it is written or not.

    Args:
        study: The study.
        states: The states of its runs.
        is_old: Whether some of its runs ended before studies wrote declarations, so that nobody knows what was first.
    """
    first: dict[tuple[str, str], RunConfig] = {}
    for run in states.runs:
        first.setdefault((run.variant, run.dataset.whole), run)
    contrasts = tuple(
        DeclaredContrast(str(c), dataset, {first[v, dataset].id: weight for v, weight in c.weights.items()})
        for dataset in dict.fromkeys(run.dataset.whole for run in states.runs)
        for c in study.contrasts
    )
    code = study.metric.user_code
    metric = {"name": study.metric.name} if code is None else {"name": study.metric.column, **code.identity}
    ended = sum(status.state in ENDED for status in states.statuses.values())
    return Declaration(
        contrasts, metric, study.metric.min_effect, study.seeds, study.looks, "", float("inf"),
        None if is_old and ended else ended, len(states.runs),
    )  # fmt: skip


def declare(study: Study, states: RunStates, *, is_old: bool = False) -> None:
    """Writes what a study declares, unless that is written already; of several commands at once, one does.

    Args:
        study: The study.
        states: The states of its runs, none of which this command has begun.
        is_old: See `current_declaration`.
    """
    one, now = current_declaration(study, states, is_old=is_old), time.time()
    value = {
        "study": study.name,
        "when": f"{datetime.fromtimestamp(now, UTC):%Y-%m-%d %H:%M} UTC",
        "time": now,
        "ended": one.ended,
        "runs": one.runs,
        "declared": one.content,
    }
    folder = states.store.folder / FOLDER / study.name
    if folder.read(f"{one.digest}.json") is None:
        folder.create(f"{one.digest}.json", to_json_bytes(value))


def read_declarations(store: RunStore, name: str) -> tuple[Declaration, ...]:
    """The declarations of the studies of a name in a store, the earliest first.

    Raises:
        InputError: a file is damaged, or the store cannot be reached.
    """
    folder = store.folder / FOLDER / name
    files = [file for file in folder.names() if file.endswith(".json")]
    declarations = []
    for file, value in zip(files, store.map(folder.read_json, files), strict=True):
        try:
            declarations.append(_from_json(value))
        except (LookupError, TypeError, AttributeError, ValueError) as error:
            raise InputError(
                f"{folder / file}: cannot be read ({error}); restore it, or delete it: then it is not known any more "
                "when this was declared"
            ) from None
    return tuple(sorted(declarations, key=lambda one: one.time))


def has_declared(store: RunStore, name: str) -> bool:
    """Whether a study of this name has written what it declares; those of earlier versions of emotune have not.

    Raises:
        InputError: see `read_declarations`.
    """
    return bool(read_declarations(store, name))


def late_declarations(
    written: Sequence[Declaration], now: Declaration, contrast: DeclaredContrast, *, equivalent: bool
) -> tuple[LateDeclaration, ...]:
    """The parts of a contrast's judgement that were declared when results were there; empty if nothing is written.

    Args:
        written: The declarations of the studies of its name, the earliest first.
        now: The declaration of the study as of now.
        contrast: The contrast.
        equivalent: Whether the judgement depends on the smallest effect of interest.
    """
    if not written:
        return ()
    own = [one for one in (*written, now) if one.has(contrast)]
    if first := _late(own):
        return (LateDeclaration("contrast", "", contrast.name, *first),)
    judged = [one for one in own if one.metric == now.metric]
    if first := _late(judged):
        return (LateDeclaration("metric", str(own[0].metric["name"]), str(now.metric["name"]), *first),)
    late = []
    if equivalent and (first := _late([one for one in judged if one.min_effect == now.min_effect])):
        late.append(LateDeclaration("min_effect", f"{judged[0].min_effect:g}", f"{now.min_effect:g}", *first))
    if first := _late([one for one in judged if (one.seeds, one.looks) == (now.seeds, now.looks)]):
        late.append(LateDeclaration("seeds", judged[0].seeds_text, now.seeds_text, *first))
    return tuple(late)


def dropped_contrasts(written: Sequence[Declaration], now: Declaration) -> list[DeclaredContrast]:
    """The contrasts that were declared earlier and left out when results were there."""
    same = next((one for one in written if one.digest == now.digest), now)
    if not same.ended:
        return []
    earlier = [c for one in written if one.time < same.time for c in one.contrasts if not now.has(c)]
    return [c for i, c in enumerate(earlier) if not any(c.is_same(other) for other in earlier[:i])]


def _late(declarations: Iterable[Declaration]) -> tuple[int, int] | None:
    """The number of runs that had ended, and of all, at the earliest of these declarations; None if none had."""
    first = next(iter(declarations))
    return (first.ended, first.runs) if first.ended else None


def _from_json(value: Any) -> Declaration:
    content = value["declared"]
    contrasts = tuple(
        DeclaredContrast(str(c["name"]), str(c["dataset"]), {str(k): float(w) for k, w in c["weights"].items()})
        for c in content["contrasts"]
    )
    return Declaration(
        contrasts, content["metric"], float(content["min_effect"]), int(content["seeds"]), tuple(content["looks"]),
        str(value["when"]), float(value["time"]), value["ended"], int(value["runs"]),
    )  # fmt: skip
