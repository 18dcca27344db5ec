"""The choice of each variant's options by validation: a function of the records of tuning runs alone.

Selection by validation spends no test image, so a verdict of a study whose options were chosen so errs no more often
than one of a study in which they were written by hand; `tests/analysis/test_tuning_error_rates.py` simulates that.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

from emotune.analysis.search_edges import edges_of, is_number
from emotune.analysis.seeds import Comparison
from emotune.analysis.verdict import RESOLVED, Verdict
from emotune.config.run import RunConfig
from emotune.config.rungs import Rung
from emotune.config.scale import ROUNDING
from emotune.config.study import Study
from emotune.config.tuning import Range, Setting, Tuning
from emotune.config.tuning_runs import Place, TuningRun, study_rungs, tuning_runs
from emotune.runs.directory import State
from emotune.runs.store import RunStates, RunStore

__all__ = ["ENDED", "Choice", "Trial", "TuningStage", "better_half", "edges_on", "make_stage", "with_edges"]

ENDED = (State.DONE, State.DIVERGED)
"""The states of a run that more training does not change; divergence is an outcome."""


@dataclass(frozen=True)
class Trial:
    """A setting that was tried.

    Attributes:
        setting: The setting.
        values: The value by which settings are compared, of each of its runs of the last rung that it reached; None:
            the run diverged.
        rung: The number of that rung, from 0.
    """

    setting: Setting
    values: tuple[float | None, ...]
    rung: int = 0

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
        chosen: The setting with the best mean, among those of the last rung.
        edges: The options whose chosen value is the lowest or highest that was tried, though the option could be lower
            or higher: a better value may lie beyond.
    """

    place: Place
    trials: tuple[Trial, ...]
    chosen: Setting
    edges: tuple[str, ...] = ()

    @property
    def finalists(self) -> tuple[Trial, ...]:
        """The settings that were compared last: all, unless half of them are left out after few epochs."""
        last = max(trial.rung for trial in self.trials)
        return tuple(trial for trial in self.trials if trial.rung == last)


@dataclass(frozen=True)
class TuningStage:
    """The tuning of a study as of one moment.

    Attributes:
        tune: The options that are tuned, and the search.
        runs: The tuning runs that are known: those of a rung are once all of the one before have ended.
        states: Their states and records.
        choices: The chosen settings, by place; empty until all runs have ended.
        declared: The study's runs with the options that it declares, which nobody needs to train.
        rungs: The rungs; one without ``tune.halving``.
    """

    tune: Tuning
    runs: tuple[TuningRun, ...]
    states: RunStates
    choices: Mapping[Place, Choice]
    declared: tuple[RunConfig, ...]
    rungs: tuple[Rung, ...]

    @property
    def is_over(self) -> bool:
        """Whether all runs have ended, and so the study's runs are known."""
        return bool(self.choices)

    @property
    def ended(self) -> int:
        """The number of runs that have ended."""
        return sum(status.state in ENDED for status in self.states.statuses.values())

    @property
    def rung(self) -> int:
        """The number of the last rung whose runs are known, from 0."""
        return max((one.rung for one in self.runs), default=0)

    @property
    def planned(self) -> int:
        """The number of all runs, with those that later rungs will have."""
        places = len({one.place for one in self.runs})
        later = sum(rung.settings for rung in self.rungs[self.rung + 1 :])
        return len(self.states.statuses) + places * self.tune.seeds * later

    def of_rung(self, number: int) -> tuple[RunConfig, ...]:
        """The runs of a rung."""
        return tuple(one.run for one in self.runs if one.rung == number)

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


def make_stage(study: Study, declared: Sequence[RunConfig], store: RunStore) -> TuningStage:
    """The tuning of a study as its runs' records have it; with the choices if all have ended.

    Args:
        study: The study, with its ``tune``.
        declared: The study's runs with the options that it declares.
        store: The folder of all run directories.

    Raises:
        InputError: the store cannot be reached.
    """
    tune, rungs = study.tune, study_rungs(study)
    if tune is None:
        raise ValueError("the study tunes nothing")
    runs = tuning_runs(study, declared)
    while True:
        states = store.states(one.run for one in runs)
        stage = TuningStage(tune, runs, states, {}, tuple(declared), rungs)
        if stage.ended < len(states.statuses):
            return stage
        tried = _trials(tune, runs, states)
        if stage.rung == len(rungs) - 1:
            return replace(stage, choices=_choices(study, tried))
        kept = {
            place: better_half(tune, [trial for trial in trials if trial.rung == stage.rung])
            for place, trials in tried.items()
        }
        runs += tuning_runs(study, declared, stage.rung + 1, kept)


def better_half(tune: Tuning, trials: Sequence[Trial]) -> list[Setting]:
    """The better half of settings, rounded up; of equal ones those with the smaller values.

    Args:
        tune: The tuning.
        trials: The settings that were tried for equally many epochs.
    """
    left, kept = list(trials), list[Setting]()
    while 2 * len(kept) < len(trials):
        kept.append(_best(tune, left))
        left = [trial for trial in left if trial.setting != kept[-1]]
    return kept


def _trials(tune: Tuning, runs: Iterable[TuningRun], states: RunStates) -> dict[Place, tuple[Trial, ...]]:
    """The settings that were tried at each place, in the order of the search, with the last rung that each reached."""
    values: dict[Place, dict[Setting, dict[int, list[float | None]]]] = {}
    for one in runs:
        record = states.records.get(one.run.id)
        validation: Mapping[str, Any] = record.get("validation", {}) if record else {}
        of_setting = values.setdefault(one.place, {}).setdefault(one.setting, {})
        of_setting.setdefault(one.rung, []).append(validation.get(tune.by))
    return {
        place: tuple(Trial(setting, tuple(found[max(found)]), max(found)) for setting, found in of_place.items())
        for place, of_place in values.items()
    }


def _choices(study: Study, tried: Mapping[Place, tuple[Trial, ...]]) -> dict[Place, Choice]:
    """The choices at all places; a function of the records and of which runs diverged."""
    choices = {}
    for place, trials in tried.items():
        choice = Choice(place, trials, trials[0].setting)
        chosen = _best(study.tune, choice.finalists) if study.tune else choice.chosen
        choices[place] = replace(
            choice, chosen=chosen, edges=edges_of(study, place[0], [trial.setting for trial in trials], chosen)
        )
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
    return float(value) if isinstance(values, Range) or all(map(is_number, values)) else float(values.index(value))
