"""Comparisons over seeds and their verdicts. The seed is the unit of repetition: another study would have other seeds.

A contrast is judged by its joint interval (`emotune.analysis.joint_interval`); the interval of its own seeds alone is
kept beside it. All intervals are Student's: over 3 to 10 seeds the bootstrap does not have its nominal coverage.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from scipy import stats

from emotune.analysis.joint_interval import JointInterval, joint_intervals
from emotune.analysis.metric_table import metric_table
from emotune.analysis.seed_values import RunRows, seed_values
from emotune.analysis.verdict import ALPHA, Verdict, judge
from emotune.config.contrast import Contrast
from emotune.config.metric import Metric
from emotune.config.scale import ROUNDING
from emotune.runs.declarations import LateDeclaration

__all__ = [
    "Comparison",
    "Summary",
    "Unit",
    "estimate_differences",
    "judge_contrasts",
    "summarise",
]

UNBOUNDED = (-math.inf, math.inf)
Unit = Literal["seed", "fold", "split"]


@dataclass(frozen=True)
class Summary:
    """Mean, standard deviation (ddof 1) and an interval of the mean, truncated to the possible values.

    One value has no interval, and equal values have none of their own; no values have no mean. An infinite value makes
    the mean infinite, or NaN if there is one of each sign; then there is neither a standard deviation nor an interval.

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
    """A contrast on one data set, in the unit of the study's metric.

    Attributes:
        contrast: The contrast.
        dataset: The data set's name.
        differences: The contrast in each complete seed, in which all of its variants have a value; infinite where the
            value of one side is infinite.
        missing: The reason why a seed is not complete, by seed: ``alexnet missing, attention diverged``.
        summary: Mean, standard deviation and interval of the differences. Of a declared contrast it is the joint
            interval, from which the verdict is read: 95 % for all declared contrasts and data sets together. Of another
            one it is an interval for this contrast alone. None of two that predict the same.
        paired: The same with the 95 % t interval of this contrast's seeds alone.
        joint: How the interval was made.
        same_predictions: Whether the two sides predict the same class for every image in every complete seed.
        seed_independent: Whether each variant has equal results in all of two or more complete seeds.
        diverged_alone: The seeds in which the variant diverged and the other side has a value, by variant.
        valueless_alone: The seeds in which the variant has finished without a value of the metric, which counts like
            divergence, and the other side has one, by variant.
        p: The p value that belongs to the interval, adjusted for whatever the interval is; None without one.
        verdict: The verdict; None for undeclared contrasts.
        higher_is_better: Whether a positive difference favours the first side.
        late: The parts of its judgement that were declared when results were there, and make it not confirmatory.
        unit: The kind of repeat: seeds, or folds or random splits of a data set (`emotune.analysis.divisions`), whose
            numbers are in the place of seeds in all of the above.
        overlap: The number of test images per training image of a fold or split; 0 where seeds repeat.
        counted: The seeds that count in a division in which the contrast's variants have not finished all of them, by
            its number; empty where seeds repeat.
        at_edge: The tuned options whose chosen value lies on an edge of the search, by variant
            (`emotune.analysis.tuning`); the contrast is then not resolved.
    """

    contrast: Contrast
    dataset: str
    differences: Mapping[int, float]
    missing: Mapping[int, str]
    summary: Summary
    paired: Summary
    joint: JointInterval
    same_predictions: bool = False
    seed_independent: bool = False
    diverged_alone: Mapping[str, Sequence[int]] = field(default_factory=dict)
    valueless_alone: Mapping[str, Sequence[int]] = field(default_factory=dict)
    p: float | None = None
    verdict: Verdict | None = None
    higher_is_better: bool = True
    late: tuple[LateDeclaration, ...] = ()
    unit: Unit = "seed"
    overlap: float = 0.0
    counted: Mapping[int, Sequence[int]] = field(default_factory=dict)
    at_edge: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def is_identical(self) -> bool:
        """Whether both sides predict the same in every seed, with the same metric."""
        return self.same_predictions and all(abs(value) < ROUNDING for value in self.differences.values())

    @property
    def is_not_zero(self) -> bool:
        """Whether the interval excludes zero, which an equivalent contrast's may."""
        ends = self.summary.interval
        return ends is not None and not ends[0] <= 0 <= ends[1]


def summarise(values: Sequence[float], bounds: tuple[float, float] = UNBOUNDED, overlap: float = 0.0) -> Summary:
    """Mean, standard deviation and 95 % t interval of one number per seed.

    Args:
        values: The numbers, one per seed.
        bounds: The lowest and the highest possible value, to which the interval is truncated.
        overlap: The number of test images per training image, if the numbers are of divisions of one data set in place
            of seeds, see `emotune.analysis.joint_interval.joint_intervals`.

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
    half = float(stats.t.ppf(1 - ALPHA / 2, n - 1)) * sd * math.sqrt(1 / n + overlap)
    return Summary(n, mean, sd, max(mean - half, bounds[0]), min(mean + half, bounds[1]))


def estimate_differences(
    rows: Sequence[Mapping[str, Any]], contrasts: Sequence[Contrast], dataset: str, seeds: int, metric: Metric,
    overlap: float = 0.0,
) -> list[Comparison]:  # fmt: skip
    """Differences on a data set with an interval for each alone and without verdicts, for undeclared contrasts and A/A.

    Args:
        rows: All runs of the study with ``variant``, ``dataset``, ``seed`` and ``state``. Only finished ones count;
            these also have the metric, and ``predicted_classes_digest``, which is equal for equal predictions.
        contrasts: The contrasts.
        dataset: The data set's name.
        seeds: The study's number of seeds; the result lists those that are not complete.
        metric: The study's metric.
        overlap: The number of test images per training image, if divisions repeat on the data set in place of seeds.
    """
    return _compare_on(rows, contrasts, dataset, seeds, metric, overlap=overlap)


def judge_contrasts(
    rows: Sequence[Mapping[str, Any]], contrasts: Sequence[Contrast], dataset: str, seeds: int, metric: Metric,
    share: float, overlap: float = 0.0,
) -> list[Comparison]:  # fmt: skip
    """The contrasts on one data set with joint intervals and verdicts, all at a ``share`` of the 5 %.

    All runs of the data set give the spread, the A/A runs, too. The other arguments are those of
    `estimate_differences`.
    """
    compared = _compare_on(rows, contrasts, dataset, seeds, metric, share, overlap)
    return [replace(c, verdict=_verdict(c, metric.min_effect)) for c in compared]


def _compare_on(
    rows: Sequence[Mapping[str, Any]],
    contrasts: Sequence[Contrast],
    dataset: str,
    seeds: int,
    metric: Metric,
    share: float | None = None,
    overlap: float = 0.0,
) -> list[Comparison]:
    """The contrasts on a data set with their intervals.

    These are joint ones for all contrasts together, at a share of the 5 %; None: each is for its contrast alone.
    """
    table, part = metric_table(rows, dataset, seeds, metric.column, contrasts), share or 1.0
    intervals = joint_intervals(
        table.values, table.weights(contrasts), ALPHA * part, each_alone=share is None, overlap=overlap
    )
    runs = {(row["variant"], row["dataset"], row["seed"]): row for row in rows}
    comparisons = []
    for contrast, joint in zip(contrasts, intervals, strict=True):
        c = _compare(runs, contrast, dataset, seeds, metric, joint, overlap)
        if joint.ends and joint.p is not None and not c.is_identical:
            least, most = contrast.bounds(metric.scale)
            ends = replace(c.summary, low=max(joint.ends[0], least), high=min(joint.ends[1], most))
            c = replace(c, summary=ends, p=min(1.0, joint.p / part))
        comparisons.append(c)
    return comparisons


def _compare(
    runs: RunRows, contrast: Contrast, dataset: str, seeds: int, metric: Metric, joint: JointInterval, overlap: float
) -> Comparison:
    by_seed = seed_values(runs, contrast, dataset, seeds, metric)
    paired = summarise(list(by_seed.values.values()), contrast.bounds(metric.scale), overlap)
    return Comparison(
        contrast, dataset, by_seed.values, by_seed.missing, replace(paired, low=None, high=None), paired, joint,
        same_predictions=by_seed.same_predictions, seed_independent=by_seed.seed_independent,
        diverged_alone=by_seed.diverged_alone, valueless_alone=by_seed.valueless_alone,
        higher_is_better=metric.scale.higher_is_better, overlap=overlap,
    )  # fmt: skip


def _verdict(c: Comparison, min_effect: float) -> Verdict:
    if c.is_identical:
        return Verdict.IDENTICAL
    if c.seed_independent:
        return Verdict.DETERMINISTIC
    alone = c.diverged_alone.keys() | c.valueless_alone.keys()
    return judge(
        c.summary.interval if c.joint.supports_verdict else None, min_effect, higher_is_better=c.higher_is_better,
        compares_means=c.contrast.compares_means,
        only_variant_diverged=not alone.isdisjoint(c.contrast.positive),
        only_reference_diverged=not alone.isdisjoint(c.contrast.negative),
    )  # fmt: skip
