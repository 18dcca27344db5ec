"""The choice of each variant's options by validation: a function of the records of tuning runs alone.

Selection by validation spends no test image, so a verdict of a study whose options were chosen so errs no more often
than one of a study in which they were written by hand; `tests/analysis/test_tuning_error_rates.py` simulates that.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

from emotune.analysis.seeds import Comparison
from emotune.analysis.verdict import RESOLVED, Verdict
from emotune.config.run import RunConfig
from emotune.config.scale import ROUNDING
from emotune.config.study import Study
from emotune.config.tuned_options import tried
from emotune.config.tuning import Range, Setting, Tuning
from emotune.config.tuning_runs import Place, TuningRun
from emotune.runs.directory import State
from emotune.runs.store import RunStates

__all__ = ["Choice", "Trial", "TuningStage", "choose", "edges_on", "make_stage", "with_edges"]

ENDED = (State.DONE, State.DIVERGED)
"""The states of a run that more training does not change; divergence is an outcome."""


@dataclass(frozen=True)
class Trial:
    """A setting that was tried.

    Attributes:
        setting: The setting.
        values: The value by which settings are compared, of each of its runs; None: the run diverged.
    """

    setting: Setting
    values: tuple[float | None, ...]

    @property
    def mean(self) -> float | None:
        """The mean of the values; None if a run diverged."""
        finite = [value for value in self.values if value is not None and math.isfinite(value)]
        return fmean(finite) if len(finite) == len(self.values) else None


@dataclass(frozen=True)
class Choice:
    """The setting that was chosen for a place.

    Attributes:
        place: The variant, the data set, and the seed if tuning is nested.
        trials: The settings that were tried, in the order of the search.
        chosen: The setting with the best mean.
        edges: The options whose chosen value is the lowest or highest that was tried, though the option could be lower
            or higher: a better value may lie beyond.
    """

    place: Place
    trials: tuple[Trial, ...]
    chosen: Setting
    edges: tuple[str, ...] = ()

    @property
    def diverged(self) -> int:
        """The number of tuning runs that diverged."""
        return sum(value is None for trial in self.trials for value in trial.values)


@dataclass(frozen=True)
class TuningStage:
    """The tuning of a study as of one moment.

    Attributes:
        tune: The options that are tuned, and the search.
        runs: The tuning runs.
        states: Their states and records.
        choices: The chosen settings, by place; empty until all runs have ended.
        declared: The study's runs with the options that it declares, which nobody needs to train.
    """

    tune: Tuning
    runs: tuple[TuningRun, ...]
    states: RunStates
    choices: Mapping[Place, Choice]
    declared: tuple[RunConfig, ...] = ()

    @property
    def is_over(self) -> bool:
        """Whether all runs have ended, and so the study's runs are known."""
        return bool(self.choices)

    @property
    def ended(self) -> int:
        """The number of runs that have ended."""
        return sum(status.state in ENDED for status in self.states.statuses.values())

    def declared_states(self) -> RunStates | None:
        """The states of the runs with the declared options, which another study may have trained; None unless all of
        them have ended, or those of the chosen options are the same.

        Raises:
            InputError: the store cannot be reached.
        """
        states = self.states.store.states(self.declared)
        return states if all(status.state in ENDED for status in states.statuses.values()) else None

    @property
    def chosen(self) -> dict[Place, Setting]:
        """The chosen settings by place."""
        return {place: choice.chosen for place, choice in self.choices.items()}


def make_stage(
    study: Study, runs: Sequence[TuningRun], states: RunStates, declared: Sequence[RunConfig] = ()
) -> TuningStage:
    """The tuning of a study, with the choices if all of its runs have ended.

    Args:
        study: The study, with its ``tune``.
        runs: The tuning runs.
        states: Their states and records.
        declared: The study's runs with the options that it declares.
    """
    if study.tune is None:
        raise ValueError("the study tunes nothing")
    stage = TuningStage(study.tune, tuple(runs), states, {}, tuple(declared))
    return stage if stage.ended < len(states.statuses) else replace(stage, choices=choose(study, runs, states))


def choose(study: Study, runs: Iterable[TuningRun], states: RunStates) -> dict[Place, Choice]:
    """The choices at all places; a function of the records and of which runs diverged.

    Args:
        study: The study, with its ``tune``.
        runs: The tuning runs, all of which have ended.
        states: Their states and records.
    """
    tune = study.tune
    if tune is None:
        return {}
    values: dict[Place, dict[Setting, list[float | None]]] = {}
    for one in runs:
        record = states.records.get(one.run.id)
        validation: Mapping[str, Any] = record.get("validation", {}) if record else {}
        values.setdefault(one.place, {}).setdefault(one.setting, []).append(validation.get(tune.by))
    choices = {}
    for place, of_place in values.items():
        trials = tuple(Trial(setting, tuple(found)) for setting, found in of_place.items())
        chosen = _best(tune, trials)
        choices[place] = Choice(place, trials, chosen, _edges(study, place[0], trials, chosen))
    return choices


def edges_on(choices: Iterable[Choice], datasets: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """The options of each variant that lie on an edge of the search on these data sets, if any do.

    Args:
        choices: The choices.
        datasets: The names of the data sets, or of the divisions of one. Where there are several choices, for these or
            for seeds, an option counts if at least half of them lie on an edge.
    """
    names, found = set(datasets), dict[str, list[Choice]]()
    for choice in choices:
        if choice.place[1] in names:
            found.setdefault(choice.place[0], []).append(choice)
    edges = {
        variant: tuple(
            key for key, _ in of_variant[0].chosen if 2 * sum(key in one.edges for one in of_variant) >= len(of_variant)
        )
        for variant, of_variant in found.items()
    }
    return {variant: keys for variant, keys in edges.items() if keys}


def with_edges(
    comparisons: Iterable[Comparison], stage: TuningStage | None, names: Mapping[str, Sequence[str]]
) -> list[Comparison]:
    """The comparisons, unresolved where the choice for one of a contrast's variants lies on an edge of the search.

    Args:
        comparisons: The declared contrasts with their verdicts.
        stage: The tuning; None: nothing is tuned.
        names: The names of the divisions of each data set, by the name of a comparison's data set.
    """
    if stage is None:
        return list(comparisons)
    edges = {dataset: edges_on(stage.choices.values(), of) for dataset, of in names.items()}
    judged = []
    for c in comparisons:
        at_edge = {variant: keys for variant, keys in edges[c.dataset].items() if variant in c.contrast.weights}
        verdict = Verdict.UNRESOLVED if at_edge and c.verdict in (*RESOLVED, Verdict.EQUIVALENT) else c.verdict
        judged.append(replace(c, verdict=verdict, at_edge=at_edge))
    return judged


def _best(tune: Tuning, trials: Sequence[Trial]) -> Setting:
    """The setting with the best mean; of equal ones that with the smaller value."""
    sign = 1 if tune.higher_is_better else -1
    means = [-math.inf if trial.mean is None else sign * trial.mean for trial in trials]
    best = max(means)
    equal = [trial.setting for trial, mean in zip(trials, means, strict=True) if mean >= best - ROUNDING]
    return min(equal, key=lambda setting: [_rank(tune, key, value) for key, value in setting])


def _rank(tune: Tuning, key: str, value: Any) -> float:
    """The order of an option's values: that of numbers, or if some are none that of the study's list."""
    values = tune.over[key]
    return float(value) if isinstance(values, Range) or all(map(_is_number, values)) else float(values.index(value))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _edges(study: Study, variant: str, trials: Sequence[Trial], chosen: Setting) -> tuple[str, ...]:
    """The options whose chosen value is an end of those that were tried, and not of those that are possible."""
    edges = []
    for key, value in chosen:
        values = [dict(trial.setting)[key] for trial in trials]
        if not all(map(_is_number, values)):
            continue
        beyond = [-1] * (value == min(values)) + [1] * (value == max(values))
        if any(_is_possible(study, variant, chosen, key, value, direction) for direction in beyond):
            edges.append(key)
    return tuple(edges)


def _is_possible(study: Study, variant: str, chosen: Setting, key: str, value: Any, direction: int) -> bool:
    """Whether an option could have a value a little lower (-1) or higher (1)."""
    whole = isinstance(value, int) and not _takes_fractions(study, variant, chosen, key)
    step = 1 if whole else abs(value) * 1e-3 or 1e-9
    return _fits(study, variant, chosen, key, value + direction * step)


def _takes_fractions(study: Study, variant: str, chosen: Setting, key: str) -> bool:
    value = dict(chosen)[key]
    return any(_fits(study, variant, chosen, key, value + step) for step in (-0.5, 0.5))


def _fits(study: Study, variant: str, chosen: Setting, key: str, value: Any) -> bool:
    """Whether a tuning run could have this value of an option, the others being the chosen ones."""
    if study.tune is None:
        return False
    try:
        tried(*study.variants[variant], tuple((one, value if one == key else own) for one, own in chosen), study.tune)
    except ValueError:  # pydantic's error is one
        return False
    return True
