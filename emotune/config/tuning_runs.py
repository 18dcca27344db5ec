"""The runs that tune a study's variants, and the study's runs with the settings that were chosen."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

from emotune.config.network import NetworkConfig
from emotune.config.run import RunConfig
from emotune.config.rungs import Rung, rungs_of
from emotune.config.study import Study
from emotune.config.tuned_options import is_tuned, tried, with_setting
from emotune.config.tuning import Setting

__all__ = ["Place", "TuningRun", "study_rungs", "tuning_runs", "with_choices"]

Place = tuple[str, str, int | None]
"""The purpose of a setting: a variant on a data set, and a seed if tuning is nested; else None, for all seeds."""


@dataclass(frozen=True)
class TuningRun:
    """A run that tries a setting.

    Attributes:
        run: The run.
        setting: The setting.
        place: What the setting is tried for.
        repeat: The number of the run among those of this setting, from 0.
        rung: The number of its rung, from 0.
    """

    run: RunConfig
    setting: Setting
    place: Place
    repeat: int
    rung: int = 0


def study_rungs(study: Study) -> tuple[Rung, ...]:
    """The rungs of a study's tuning, one without halving; none if it tunes nothing."""
    tune = study.tune
    if tune is None:
        return ()
    tuned = [pair for variant, pair in study.variants.items() if is_tuned(tune, variant)]
    epochs = [train.epochs for model, train in tuned if isinstance(model, NetworkConfig)]
    return rungs_of(tune, epochs[0] if epochs else 1)


def tuning_runs(
    study: Study,
    declared: Sequence[RunConfig],
    number: int = 0,
    kept: Mapping[Place, Collection[Setting]] | None = None,
) -> tuple[TuningRun, ...]:
    """The runs of a rung of a study's tuning, ordered by repeat and setting, so that variants are balanced when
    interrupted.

    Args:
        study: The study; nothing is tuned without its ``tune``.
        declared: The study's runs with the options that it declares.
        number: The number of the rung, from 0.
        kept: The settings that are trained in it, by place; None: all.
    """
    tune = study.tune
    if tune is None:
        return ()
    epochs = study_rungs(study)[number].epochs if tune.halving else tune.epochs
    seeds = sorted({run.seed for run in declared}) if tune.nested else [None]
    base = {(run.variant, run.dataset.name): run for run in declared if is_tuned(tune, run.variant)}
    base = {place: run for place, run in base.items() if place[0] in study.variants}  # A/A runs are the baseline's
    applied = cache(lambda variant, setting: tried(*study.variants[variant], setting, epochs))
    found = []
    for seed in seeds:
        for repeat in range(tune.seeds):
            for setting in tune.settings:
                for (variant, dataset), run in base.items():
                    place = (variant, dataset, seed)
                    if kept is not None and setting not in kept[place]:
                        continue
                    model, train = applied(variant, setting)
                    one = replace(
                        run, model=model, train=train, seed=(seed or 0) * tune.seeds + repeat, tuning=True,
                        test_curve=False, replicate=0,
                    )  # fmt: skip
                    found.append(TuningRun(one, setting, place, repeat, number))
    return tuple(found)


def with_choices(study: Study, declared: Iterable[RunConfig], chosen: Mapping[Place, Setting]) -> tuple[RunConfig, ...]:
    """The study's runs with the chosen settings, which are the runs of a study in which these are written by hand.

    Args:
        study: The study. Its A/A runs have the baseline's settings.
        declared: Its runs with the options that it declares.
        chosen: The chosen settings.
    """
    applied = cache(lambda variant, setting: with_setting(*study.variants[variant], setting))
    runs = []
    for run in declared:
        variant = study.baseline if run.variant == study.aa else run.variant
        place = (variant, run.dataset.name)
        setting = chosen.get((*place, run.seed), chosen.get((*place, None)))
        if setting is None:
            runs.append(run)
            continue
        model, train = applied(variant, setting)
        runs.append(replace(run, model=model, train=train))
    return tuple(runs)
