"""Intervals and verdicts over seeds. A seed is the unit: it is what a repetition of the study would change.

Student's t throughout: over 3 to 10 seeds it covers what it says, which the bootstrap does not.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np
from scipy import stats

from emotune.analysis.power import ALPHA, paired_differences, seeds_for
from emotune.metric_config import Metric
from emotune.study import Contrast

__all__ = ["Comparison", "Summary", "Verdict", "compare", "explore", "holm", "summarise"]


ROUNDING = 1e-9
"""In the unit of any metric; smaller spreads are rounding errors."""


class Verdict(StrEnum):
    """What a declared contrast's data say; of a metric whose low values are good, ``BETTER`` means lower."""

    BETTER = "better"
    WORSE = "worse"
    EQUIVALENT = "equivalent"
    UNRESOLVED = "unresolved"


@dataclass(frozen=True)
class Summary:
    """Mean, standard deviation (ddof 1) and 95 % t interval; with one value there is no interval, with none no mean."""

    n: int
    mean: float
    sd: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Comparison:
    """A contrast on one data set: differences by seed, in the unit of the study's metric, and what follows.

    ``p`` is of the two-sided paired t-test, ``p_holm`` adjusted for all declared contrasts of the study; None where
    there are fewer than two pairs or the pairs do not differ among themselves. ``verdict`` and ``p_holm`` are None for
    contrasts that were not declared. ``seeds_needed`` would find an effect of ``min_effect`` with 80 % power,
    correction included; None where no number up to a thousand would, or the seeds show no spread.
    """

    contrast: Contrast
    dataset: str
    differences: Mapping[int, float]
    missing: tuple[int, ...]
    summary: Summary
    p: float | None
    p_holm: float | None = None
    verdict: Verdict | None = None
    seeds_needed: int | None = None


def summarise(values: Sequence[float]) -> Summary:
    """The summary of one number per seed.

    >>> s = summarise([1.0, 2.0, 3.0])
    >>> round(s.low, 3), s.mean, round(s.high, 3)
    (-0.484, 2.0, 4.484)
    """
    n = len(values)
    if n == 0:
        return Summary(0, math.nan, None, None, None)
    mean = float(np.mean(values))
    if n == 1:
        return Summary(1, mean, None, None, None)
    sd = float(np.std(values, ddof=1))
    sd = 0.0 if sd < ROUNDING else sd  # equal differences of metrics differ in their last bits
    half = float(stats.t.ppf(1 - ALPHA / 2, n - 1)) * sd / math.sqrt(n)
    return Summary(n, mean, sd, mean - half, mean + half)


def explore(
    rows: Iterable[Mapping[str, Any]],
    contrasts: Sequence[Contrast],
    datasets: Sequence[str],
    seeds: int,
    metric: Metric,
) -> list[Comparison]:
    """Differences without verdict: for contrasts that were not declared before the runs."""
    rows = list(rows)
    return [_differences(rows, contrast, dataset, seeds, metric.name) for dataset in datasets for contrast in contrasts]


def compare(
    rows: Iterable[Mapping[str, Any]],
    contrasts: Sequence[Contrast],
    datasets: Sequence[str],
    seeds: int,
    metric: Metric,
) -> list[Comparison]:
    """The declared contrasts of a study, with Holm's correction over all of them, and verdicts.

    Args:
        rows: Finished runs, see `emotune.analysis.power.paired_differences`.
        contrasts: Declared before the runs.
        datasets: Names.
        seeds: How many the study has; seeds without a complete pair are named in the result.
        metric: What is compared, which way is better, and the smallest difference that would matter.
    """
    found = explore(rows, contrasts, datasets, seeds, metric)
    if not found:
        return []
    # A contrast whose runs are not finished keeps its place: finishing it can only make the others' p smaller.
    adjusted = holm([1.0 if c.p is None else c.p for c in found])
    level = ALPHA / len(found)
    return [_judge(c, None if c.p is None else float(p), metric, level) for c, p in zip(found, adjusted, strict=True)]


def holm(p_values: Sequence[float]) -> np.ndarray:
    """Holm's (1979) adjusted p values: the chance of one false alarm among all tests stays below the level.

    >>> holm([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values)
    order = np.argsort(p)
    steps = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    return np.minimum(steps, 1.0)[np.argsort(order)]


def _differences(
    rows: list[Mapping[str, Any]], contrast: Contrast, dataset: str, seeds: int, metric: str
) -> Comparison:
    differences = paired_differences(rows, contrast, dataset, metric)
    missing = tuple(seed for seed in range(seeds) if seed not in differences)
    summary = summarise(list(differences.values()))
    p = float(stats.ttest_1samp(list(differences.values()), 0).pvalue) if summary.sd else None
    return Comparison(contrast, dataset, differences, missing, summary, p)


def _judge(c: Comparison, p_holm: float | None, metric: Metric, level: float) -> Comparison:
    summary, min_effect = c.summary, metric.min_effect
    seeds_needed = seeds_for(min_effect / summary.sd, level) if summary.sd else None
    if p_holm is None:
        verdict = Verdict.UNRESOLVED
    elif -min_effect < summary.low and summary.high < min_effect:  # the 95 % interval: stricter than TOST at 5 %
        verdict = Verdict.EQUIVALENT
    elif p_holm < ALPHA:
        verdict = Verdict.BETTER if (summary.mean > 0) == metric.scale.higher_is_better else Verdict.WORSE
    else:
        verdict = Verdict.UNRESOLVED
    return replace(c, p_holm=p_holm, verdict=verdict, seeds_needed=seeds_needed)
