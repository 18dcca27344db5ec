"""Intervals and verdicts over seeds. The seed is the unit of repetition: repeating the study would change the seeds.

All intervals are Student's t intervals: over 3 to 10 seeds they have their nominal coverage, the bootstrap does not.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import stats

from emotune.analysis.paired_tests import holm, paired_tests
from emotune.analysis.power import ALPHA
from emotune.analysis.verdict import Verdict
from emotune.config.metric import Metric
from emotune.config.scale import ROUNDING
from emotune.config.study import Contrast
from emotune.runs.directory import State

__all__ = [
    "AcrossDatasets",
    "Comparison",
    "Summary",
    "across_datasets",
    "compare_contrasts",
    "estimate_differences",
    "summarise",
]

UNBOUNDED = (-math.inf, math.inf)


@dataclass(frozen=True)
class Summary:
    """Mean, standard deviation (ddof 1) and 95 % t interval, truncated to the possible values.

    One value, or equal values, have no interval; no values have no mean. An infinite value makes the mean infinite, or
    NaN if there is one of each sign; then there is neither a standard deviation nor an interval.

    Attributes:
        n: The number of values.
        mean: Their mean; NaN without values.
        sd: Their standard deviation.
        low: The lower end of the interval.
        high: The upper end of the interval.
    """

    n: int
    mean: float
    sd: float | None
    low: float | None
    high: float | None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Both ends of the interval; None if there is none."""
        return None if self.low is None or self.high is None else (self.low, self.high)


@dataclass(frozen=True)
class Comparison:
    """A contrast on one data set: its differences in the unit of the study's metric, tests and verdict.

    The p values are None for fewer than two pairs and for pairs with equal differences. Adjusted p values (Holm, over
    all declared contrasts and data sets of the study) and the verdict are None for undeclared contrasts.

    Attributes:
        contrast: The contrast, variant minus reference.
        dataset: The data set's name.
        differences: The differences of the complete pairs by seed; infinite where one of the two values is infinite.
        missing: The reason why a seed has no complete pair, by seed: ``alexnet missing, attention diverged``.
        summary: Mean and interval of the differences.
        same_predictions: Whether the two runs of every pair predict the same class for every image.
        seed_independent: Whether each of the two sides has equal results in all of two or more seeds.
        p: The p value of the two-sided paired t-test.
        p_sign_flip: The p value of the exact two-sided sign-flip test, which does not assume a normal distribution.
        p_equivalence: The p value of the two one-sided t-tests (TOST) at ± ``min_effect``.
        p_holm: ``p``, adjusted.
        p_sign_flip_holm: ``p_sign_flip``, adjusted; None where so few seeds cannot bring it below 0.05.
        p_equivalence_holm: ``p_equivalence``, adjusted.
        verdict: The verdict.
        higher_is_better: Whether a positive difference favours the variant.
    """

    contrast: Contrast
    dataset: str
    differences: Mapping[int, float]
    missing: Mapping[int, str]
    summary: Summary
    same_predictions: bool = False
    seed_independent: bool = False
    p: float | None = None
    p_sign_flip: float | None = None
    p_equivalence: float | None = None
    p_holm: float | None = None
    p_sign_flip_holm: float | None = None
    p_equivalence_holm: float | None = None
    verdict: Verdict | None = None
    higher_is_better: bool = True


@dataclass(frozen=True)
class AcrossDatasets:
    """A description of a contrast over data sets, without a test, because the data sets are not a random sample.

    Attributes:
        contrast: The contrast, variant minus reference.
        mean: The mean of the data sets' mean differences.
        lowest: The lowest of the mean differences.
        highest: The highest of the mean differences.
        favourable: The number of data sets whose mean difference favours the variant.
        datasets: The number of data sets with a complete pair.
        one_seed: The names of data sets with a single complete pair, whose difference has no known uncertainty.
    """

    contrast: Contrast
    mean: float
    lowest: float
    highest: float
    favourable: int
    datasets: int
    one_seed: tuple[str, ...] = ()


def summarise(values: Sequence[float], bounds: tuple[float, float] = UNBOUNDED) -> Summary:
    """Mean, standard deviation and 95 % t interval of one number per seed.

    Args:
        values: The numbers, one per seed.
        bounds: The lowest and the highest possible value, to which the interval is truncated.

    >>> s = summarise([1.0, 2.0, 3.0])
    >>> round(s.low, 3), s.mean, round(s.high, 3)
    (-0.484, 2.0, 4.484)
    """
    n = len(values)
    if n == 0:
        return Summary(0, math.nan, None, None, None)
    mean = sum(map(float, values)) / n
    if n == 1 or not math.isfinite(mean):
        return Summary(n, mean, None, None, None)
    mean, sd = float(np.mean(values)), float(np.std(values, ddof=1))
    if sd < ROUNDING:  # equal differences of metrics differ in their last bits
        return Summary(n, mean, 0.0, None, None)
    half = float(stats.t.ppf(1 - ALPHA / 2, n - 1)) * sd / math.sqrt(n)
    return Summary(n, mean, sd, max(mean - half, bounds[0]), min(mean + half, bounds[1]))


def estimate_differences(
    rows: Iterable[Mapping[str, Any]],
    contrasts: Sequence[Contrast],
    datasets: Sequence[str],
    seeds: int,
    metric: Metric,
) -> list[Comparison]:
    """Differences with p values but without verdicts, for undeclared contrasts and A/A.

    Args:
        rows: All runs of the study with ``variant``, ``dataset``, ``seed`` and ``state``. Only finished ones count;
            these also have the metric, and ``predicted_classes_digest``, which is equal for equal predictions.
        contrasts: The contrasts.
        datasets: The names of the data sets.
        seeds: The study's number of seeds; the result lists those without a complete pair.
        metric: The study's metric.
    """
    runs = {(row["variant"], row["dataset"], row["seed"]): row for row in rows}
    return [_compare(runs, contrast, dataset, seeds, metric) for dataset in datasets for contrast in contrasts]


def compare_contrasts(
    rows: Iterable[Mapping[str, Any]],
    contrasts: Sequence[Contrast],
    datasets: Sequence[str],
    seeds: int,
    metric: Metric,
) -> list[Comparison]:
    """The declared contrasts of a study with Holm-adjusted p values and verdicts; arguments as `estimate_differences`.

    Over all contrasts and data sets together, the probability of any false *better* or *worse* is at most 5 %, and so
    is that of any false *equivalent*.
    """
    comparisons = estimate_differences(rows, contrasts, datasets, seeds, metric)
    t, sign_flip, equivalence = (
        holm([getattr(c, p) for c in comparisons]) for p in ("p", "p_sign_flip", "p_equivalence")
    )
    judged = []
    for c, p, p_flip, p_equivalence in zip(comparisons, t, sign_flip, equivalence, strict=True):
        smallest_p_flip = 2.0 ** (1 - c.summary.n)
        flips_can_tell = len(comparisons) * smallest_p_flip < ALPHA
        adjusted = replace(
            c, p_holm=p, p_sign_flip_holm=p_flip if flips_can_tell else None, p_equivalence_holm=p_equivalence
        )
        judged.append(replace(adjusted, verdict=_verdict(adjusted, metric.min_effect)))
    return judged


def across_datasets(comparisons: Sequence[Comparison]) -> list[AcrossDatasets]:
    """The mean, lowest and highest difference of each contrast with complete pairs on two or more data sets."""
    results = []
    for contrast in dict.fromkeys(c.contrast for c in comparisons):
        paired = [c for c in comparisons if c.contrast == contrast and not math.isnan(c.summary.mean)]
        means, one_seed = [c.summary.mean for c in paired], tuple(c.dataset for c in paired if c.summary.n == 1)
        up = next(c.higher_is_better for c in comparisons if c.contrast == contrast)
        if len(means) > 1:
            favourable = sum(mean > 0 if up else mean < 0 for mean in means)
            mean = sum(means) / len(means)
            results.append(AcrossDatasets(contrast, mean, min(means), max(means), favourable, len(means), one_seed))
    return results


def _compare(
    runs: Mapping[tuple[str, str, int], Mapping[str, Any]],
    contrast: Contrast,
    dataset: str,
    seeds: int,
    metric: Metric,
) -> Comparison:
    pairs: list[tuple[Mapping[str, Any], Mapping[str, Any]]] = []
    missing: dict[int, str] = {}
    differences: dict[int, float] = {}
    for seed in range(seeds):
        variant, reference = (runs.get((name, dataset, seed)) for name in (contrast.variant, contrast.reference))
        sides = {contrast.variant: variant, contrast.reference: reference}
        reasons = {name: reason for name, row in sides.items() if (reason := _why_not_counted(row, metric))}
        if variant is None or reference is None or reasons:
            missing[seed] = ", ".join(f"{name} {reasons[name]}" for name in sorted(reasons))
        elif variant[metric.column] == reference[metric.column] == math.inf:
            missing[seed] = f"{metric.column} infinite in both"
        else:
            pairs.append((variant, reference))
            differences[seed] = variant[metric.column] - reference[metric.column]
    summary = summarise(list(differences.values()), metric.scale.difference_bounds)
    digests = [tuple(row.get("predicted_classes_digest") for row in pair) for pair in pairs]
    columns = list(zip(*pairs, strict=True))
    comparison = Comparison(
        contrast, dataset, differences, missing, summary, higher_is_better=metric.scale.higher_is_better,
        same_predictions=bool(digests) and all(a == b is not None for a, b in digests),
        seed_independent=len(pairs) > 1 and all(_is_seed_independent(side, metric.column) for side in columns),
    )  # fmt: skip
    if not summary.sd:
        return comparison
    p = paired_tests(np.array([*differences.values()]), metric.min_effect)
    return replace(comparison, p=p.difference, p_sign_flip=p.sign_flip, p_equivalence=p.equivalence)


def _why_not_counted(row: Mapping[str, Any] | None, metric: Metric) -> str:
    """The reason why a run does not count; empty if it counts. An infinite value counts as the worst possible one."""
    if row is None or row["state"] != State.DONE:
        return str(row["state"] if row else State.MISSING)
    return f"has no {metric.name or metric.scale.title}" if math.isnan(row[metric.column]) else ""


def _is_seed_independent(rows: Sequence[Mapping[str, Any]], metric: str) -> bool:
    """Whether the runs of one variant have equal values and predictions in all seeds."""
    values = [row[metric] for row in rows]
    return max(values) - min(values) < ROUNDING and len({row.get("predicted_classes_digest") for row in rows}) == 1


def _verdict(c: Comparison, min_effect: float) -> Verdict:
    if c.same_predictions and c.summary.sd in (None, 0.0) and abs(c.summary.mean) < ROUNDING:
        return Verdict.IDENTICAL
    if c.seed_independent:
        return Verdict.DETERMINISTIC
    interval = c.summary.interval
    if c.p_holm is None or c.p_equivalence_holm is None or interval is None:
        return Verdict.UNRESOLVED
    # TOST corresponds to the 90 % interval; the printed 95 % interval must not contradict the verdict beside it.
    if c.p_equivalence_holm < ALPHA and -min_effect < interval[0] and interval[1] < min_effect:
        return Verdict.EQUIVALENT
    if c.p_holm < ALPHA:
        return Verdict.BETTER if (c.summary.mean > 0) == c.higher_is_better else Verdict.WORSE
    return Verdict.UNRESOLVED
