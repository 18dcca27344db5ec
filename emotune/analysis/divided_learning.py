"""Whether anything was learned on a data set that is divided several times: over its divisions, not in each."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from emotune.analysis.divisions import Repeats
from emotune.analysis.joint_interval import JointInterval, mean_intervals
from emotune.analysis.learning import Learning, RunLearning, VariantLearning, mostly_collapsed
from emotune.analysis.prior import PriorPredictor
from emotune.analysis.verdict import ALPHA
from emotune.config.metric_scales import ALL_SCALES, MetricName
from emotune.runs.directory import State

__all__ = ["learning_on_all", "learning_over_divisions", "run_number"]


def run_number(division: int, seed: int, seeds: int) -> int:
    """The number of a run among those of a variant in all divisions, which is its ``seed`` over these."""
    return division * seeds + seed


def learning_on_all(
    rows: Sequence[Mapping[str, Any]], repeats: Sequence[Repeats], learned: Mapping[str, Learning], seeds: int
) -> dict[str, Learning]:
    """The variants that have learned, by data set that contrasts are judged on; those without finished runs are absent.

    Args:
        rows: The runs of all variants, with the yardsticks if they have finished.
        repeats: The repeats on each data set.
        learned: The variants and runs that have learned something, by data set, divisions of one included.
        seeds: The study's number of seeds.
    """
    found = {
        one.dataset: learning_over_divisions(rows, one, learned, len(repeats), seeds)
        if one.is_divided else learned.get(one.dataset)
        for one in repeats
    }  # fmt: skip
    return {name: one for name, one in found.items() if one}


def learning_over_divisions(
    rows: Sequence[Mapping[str, Any]], repeats: Repeats, by_division: Mapping[str, Learning], datasets: int, seeds: int
) -> Learning | None:
    """The variants that are better than the class prior on a divided data set; None if no run on it has finished.

    In each division a variant's gain over the prior of that division is the mean over its seeds. The interval of the
    mean gain is that of `emotune.analysis.joint_interval.mean_intervals`, and ``n`` the number of divisions. A variant
    of which each run is better over its test images has learned, too: the images of several folds are not the same. A
    variant of which half of the runs or more give one answer to nearly all images has not. The metrics of the prior are
    the means over divisions, and seeds of runs are those of `run_number`.

    Args:
        rows: The runs of all variants, with the yardsticks if they have finished.
        repeats: The data set.
        by_division: The variants that have learned, by division; divisions without finished runs are absent.
        datasets: The number of the study's data sets, each of which has an equal share of the 5 %.
        seeds: The study's number of seeds.
    """
    known = {number: by_division[name] for number, name in enumerate(repeats.names) if name in by_division}
    if not known:
        return None
    first = next(iter(known.values()))
    runs = [replace(run, seed=run_number(number, run.seed, seeds)) for number, one in known.items() for run in one.runs]
    variants = list(dict.fromkeys([*first.variants, *(run.variant for run in runs)]))
    gains: dict[str, dict[MetricName, JointInterval]] = {variant: {} for variant in variants}
    for name in first.yardsticks:
        by_variant = _gains(rows, repeats, known, variants, name)
        intervals = mean_intervals(by_variant, ALPHA / datasets / len(first.yardsticks), overlap=repeats.overlap)
        for variant, interval in zip(variants, intervals, strict=True):
            gains[variant][name] = interval
    by_run = {v: [run for run in runs if run.variant == v] for v in variants}
    found = {
        v: VariantLearning(v, max(one.n for one in gains[v].values()), gains[v], _has_learned(gains[v], by_run[v]))
        for v in first.variants
    }
    return Learning(repeats.dataset, _mean_prior(list(known.values())), first.yardsticks, found, runs)


def _gains(
    rows: Sequence[Mapping[str, Any]], repeats: Repeats, known: Mapping[int, Learning], variants: Sequence[str],
    name: MetricName,
) -> np.ndarray:  # fmt: skip
    """The mean gain over the prior by variant and division (k, n); NaN where no run has finished."""
    finished: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        if row["state"] == State.DONE:
            finished.setdefault((row["dataset"], row["variant"]), []).append(row[name])
    gains, sign = np.full((len(variants), repeats.number), np.nan), 1 if ALL_SCALES[name].higher_is_better else -1
    for number, one in known.items():
        for index, variant in enumerate(variants):
            if here := finished.get((one.dataset, variant)):
                gains[index, number] = sign * (np.mean(here) - one.prior.metrics[name])
    return gains


def _has_learned(gains: Mapping[MetricName, JointInterval], runs: Sequence[RunLearning]) -> bool:
    if mostly_collapsed(runs):
        return False
    is_above = any(gain.low is not None and gain.low > 0 for gain in gains.values())
    return is_above or (bool(runs) and all(run.learned for run in runs))  # each over its test images


def _mean_prior(divisions: Sequence[Learning]) -> PriorPredictor:
    """The priors of several divisions as one, whose metrics are the means over divisions."""
    priors = [one.prior for one in divisions]
    return PriorPredictor(
        pd.concat([prior.predictions for prior in priors], ignore_index=True),
        " or ".join(dict.fromkeys(prior.answer for prior in priors)),
        {name: float(np.mean([prior.metrics[name] for prior in priors])) for name in priors[0].metrics},
        all(prior.from_training for prior in priors),
    )
