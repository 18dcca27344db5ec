"""Adaptive seeds in a plan: the runs that a study needs as of now, those that it may need later, and what is open."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypedDict, cast

from emotune.config.study import Study
from emotune.execution.plan.plan import Plan

if TYPE_CHECKING:
    from emotune.analysis.looks import DatasetLooks

__all__ = ["LooksEntry", "first_names", "look_lines", "looks_entries", "restrict_to_looks", "unjudged_looks"]

MOST_NAMED = 4
"""The number of contrasts that a line names."""


class LooksEntry(TypedDict):
    """The looks that a study with adaptive seeds has reached on a data set, as values that JSON can hold.

    Attributes:
        dataset: The data set's name.
        planned: The numbers of seeds at which the study is judged.
        reached: Those of the looks that are reached.
        next: The number of seeds of the look that is reached next; None: no further one follows.
        ended: The number of runs up to that look that have ended.
        runs: The number of all of these runs.
        resolved: The number of seeds at which a contrast was resolved, by contrast.
        open: The contrasts that are not resolved, and not set aside.
        set_aside: The contrasts that are not assessed and get no more seeds for their own sake, because none of their
            runs is better than the class prior.
    """

    dataset: str
    planned: list[int]
    reached: list[int]
    next: int | None
    ended: int
    runs: int
    resolved: dict[str, int]
    open: list[str]
    set_aside: list[str]


def restrict_to_looks(plan: Plan, study: Study) -> Plan:
    """The plan of the runs that the study needs as of now: those of the looks that are reached, and of the next one.

    Args:
        plan: The plan of all runs that the study may need.
        study: The study, whose seeds are adaptive.

    Raises:
        InputError: the folder of runs cannot be reached.
    """
    from emotune.analysis.learning import learning
    from emotune.analysis.load import load_records  # late, with pandas and scipy: fixed designs do without
    from emotune.analysis.looks import reached_looks

    found = load_records(plan, study.metric)
    rows = cast("list[Mapping[str, Any]]", found.runs.to_dict("records"))
    datasets = tuple(dict.fromkeys(run.dataset.name for run in plan.runs))
    learned = {d: one for d in datasets if (one := learning(found, study, d, len(datasets)))}
    looks = reached_looks(rows, study.contrasts, datasets, study.looks, study.metric, learned)
    now = {one.dataset: one.seeds for one in looks}
    most = {one.dataset: one.most_seeds() for one in looks}
    runs = tuple(run for run in plan.runs if run.seed < now[run.dataset.name][run.variant])
    later = tuple(
        run for run in plan.runs if now[run.dataset.name][run.variant] <= run.seed < most[run.dataset.name][run.variant]
    )
    statuses = {run.id: plan.statuses[run.id] for run in runs}
    records = {run.id: plan.records[run.id] for run in runs if run.id in plan.records}
    return Plan(plan.store, runs, statuses, records, looks, later)


def looks_entries(plan: Plan) -> list[LooksEntry]:
    """The looks that the study has reached on each data set; empty for a fixed number of seeds."""
    return [
        {
            "dataset": one.dataset,
            "planned": list(one.planned),
            "reached": [look.seeds for look in one.reached],
            "next": one.following,
            "ended": one.ended,
            "runs": sum(one.seeds.values()),
            "resolved": {str(contrast): look.seeds for look in one.reached for contrast in look.resolved},
            "open": list(map(str, one.open)),
            "set_aside": list(map(str, one.set_aside)),
        }
        for one in plan.looks
    ]


def look_lines(plan: Plan) -> list[str]:
    """A line for each data set on the look that it waits for, or why it ended, and what is open; none without looks."""
    several = len(plan.looks) > 1
    return [f"{f'{one.dataset}: ' if several else ''}{_line(one)}" for one in plan.looks]


def unjudged_looks(looks: Sequence[int]) -> list[str]:
    """The line on a study whose looks cannot be judged here, because its file or data are elsewhere; none if fixed."""
    if not looks:
        return []
    counts = ", ".join(map(str, looks))
    return [f"Looks at {counts} seeds: not all of these runs may be needed; its study file is needed to judge them."]


def _line(looks: "DatasetLooks") -> str:
    resolved = "".join(
        f" Resolved at {look.seeds} seeds: {first_names(look.resolved)}."
        for look in looks.reached if look.resolved
    )  # fmt: skip
    not_resolved = f" Open: {first_names(looks.open)}." if looks.open else ""
    if looks.set_aside:
        not_resolved += f" Not assessed, no run is better than the class prior: {first_names(looks.set_aside)}."
    number, of = len(looks.reached), len(looks.planned)
    if looks.is_over:
        resolved_all = "no contrast is open" if looks.set_aside else "all contrasts are resolved"
        why = "it was the last one" if looks.open else resolved_all
        state = f"Ended at look {number} of {of} ({looks.reached[-1].seeds} seeds): {why}."
    else:
        runs = f"{looks.ended} of its {sum(looks.seeds.values())} runs have ended"
        state = f"Look {number + 1} of {of}, at {looks.following} seeds: {runs}."
    return state + resolved + not_resolved


def first_names(contrasts: Sequence[object]) -> str:
    """The names of the first contrasts, and how many more there are: ``a - c, b - c and 3 more``."""
    more = len(contrasts) - MOST_NAMED
    return ", ".join(map(str, contrasts[:MOST_NAMED])) + (f" and {more} more" if more > 0 else "")
