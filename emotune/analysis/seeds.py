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

from emotune.analysis.paired_tests import holm, paired_tests
from emotune.analysis.power import ALPHA
from emotune.config.metric import ROUNDING, Metric
from emotune.config.study import Contrast
from emotune.runs.directory import State

__all__ = [
    "AcrossDatasets",
    "Comparison",
    "Summary",
    "Verdict",
    "across_datasets",
    "compare_contrasts",
    "estimate_differences",
    "summarise",
]

UNBOUNDED = (-math.inf, math.inf)


class Verdict(StrEnum):
    """What a declared contrast's data say; of a metric whose low values are good, ``BETTER`` means lower.

    ``IDENTICAL``: the two gave the same answer to every image in every seed. ``DETERMINISTIC``: neither depends on
    the seed, so that the difference is the same in all, and seeds say nothing about its uncertainty.
    """

    BETTER = "better"
    WORSE = "worse"
    EQUIVALENT = "equivalent"
    UNRESOLVED = "unresolved"
    IDENTICAL = "identical"
    DETERMINISTIC = "deterministic"


@dataclass(frozen=True)
class Summary:
    """Mean, standard deviation (ddof 1) and 95 % t interval, cut where it would leave what is possible.

    Of one value, and of values that are all equal, there is no interval; of none, no mean. An infinite value makes the
    mean infinite (NaN where there is one of each sign), and there is neither standard deviation nor interval.
    """

    n: int
    mean: float
    sd: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Comparison:
    """A contrast on one data set: differences by seed, in the unit of the study's metric, and what follows.

    Tests are None where there are fewer than two pairs, or the pairs do not differ among themselves. What is adjusted
    (by Holm, over all declared contrasts and data sets of the study) and ``verdict`` are None for contrasts that were
    not declared.

    Attributes:
        contrast: Variant minus reference.
        dataset: On which data.
        differences: By seed, of the complete pairs; infinite where one of the two runs has an infinite value.
        missing: Why a seed is no complete pair: ``alexnet missing, attention diverged``.
        summary: Of the differences.
        same_predictions: Whether the two runs of every pair gave the same class to every image.
        seed_independent: Whether each of the two sides says the same in all of two seeds or more.
        p: Of the two-sided paired t-test.
        p_sign_flip: Of the exact two-sided sign-flip test, which assumes no normal distribution.
        p_equivalence: Of the two one-sided t-tests (TOST) at ± ``min_effect``.
        p_holm: ``p``, adjusted.
        p_sign_flip_holm: ``p_sign_flip``, adjusted; None where so few seeds cannot bring it under 0.05.
        p_equivalence_holm: ``p_equivalence``, adjusted.
        verdict: What the data say.
        higher_is_better: Whether a positive difference is in favour of the variant.
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
    """A contrast over data sets, as description only: data sets are no sample of anything, so there is no test.

    Attributes:
        contrast: Variant minus reference.
        mean: Of the data sets' mean differences.
        lowest: Of these.
        highest: Of these.
        favourable: On how many data sets the mean difference is in favour of the variant.
        datasets: With a complete pair.
        one_seed: Names of those with just one: nothing says how far another seed would move their difference.
    """

    contrast: Contrast
    mean: float
    lowest: float
    highest: float
    favourable: int
    datasets: int
    one_seed: tuple[str, ...] = ()


def summarise(values: Sequence[float], bounds: tuple[float, float] = UNBOUNDED) -> Summary:
    """The summary of one number per seed.

    Args:
        values: By seed.
        bounds: The lowest and the highest value that there is.

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
    """Differences without verdict: for contrasts that were not declared before the runs, and for A/A.

    Args:
        rows: All runs of the study with ``variant``, ``dataset``, ``seed`` and ``state``; finished ones, which alone
            count, with the metric, and ``predicted_classes_digest``, which is equal for equal predictions.
        contrasts: Which differences.
        datasets: Names.
        seeds: How many the study has; those without a complete pair are named in the result.
        metric: What is compared, which way is better, and the smallest difference that would matter.
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
    """The declared contrasts of a study, with verdicts and Holm's correction over all; else as `estimate_differences`.

    Of all contrasts and data sets together, the chance of any false *better* or *worse* is at most 5 %, and so is that
    of any false *equivalent*.
    """
    found = estimate_differences(rows, contrasts, datasets, seeds, metric)
    t, flips, equivalence = (holm([getattr(c, p) for c in found]) for p in ("p", "p_sign_flip", "p_equivalence"))
    judged = []
    for c, p, p_flip, p_equivalence in zip(found, t, flips, equivalence, strict=True):
        flips_can_tell = len(found) * 2.0 ** (1 - c.summary.n) < ALPHA
        adjusted = replace(
            c, p_holm=p, p_sign_flip_holm=p_flip if flips_can_tell else None, p_equivalence_holm=p_equivalence
        )
        judged.append(replace(adjusted, verdict=_verdict(adjusted, metric.min_effect)))
    return judged


def across_datasets(comparisons: Sequence[Comparison]) -> list[AcrossDatasets]:
    """Per contrast with a complete pair on two data sets or more, how its mean differences lie."""
    found = []
    for contrast in dict.fromkeys(c.contrast for c in comparisons):
        mine = [c for c in comparisons if c.contrast == contrast and not math.isnan(c.summary.mean)]
        means, one_seed = [c.summary.mean for c in mine], tuple(c.dataset for c in mine if c.summary.n == 1)
        up = next(c.higher_is_better for c in comparisons if c.contrast == contrast)
        if len(means) > 1:
            favourable = sum(mean > 0 if up else mean < 0 for mean in means)
            mean = sum(means) / len(means)
            found.append(AcrossDatasets(contrast, mean, min(means), max(means), favourable, len(means), one_seed))
    return found


def _compare(
    runs: Mapping[tuple[str, str, int], Mapping[str, Any]],
    contrast: Contrast,
    dataset: str,
    seeds: int,
    metric: Metric,
) -> Comparison:
    pairs, missing, differences = [], {}, {}
    for seed in range(seeds):
        sides = {name: runs.get((name, dataset, seed)) for name in (contrast.variant, contrast.reference)}
        lacking = {name: why for name, row in sides.items() if (why := _why_not_counted(row, metric.name))}
        if lacking:
            missing[seed] = ", ".join(f"{name} {lacking[name]}" for name in sorted(lacking))
        elif all(row[metric.name] == math.inf for row in sides.values()):
            missing[seed] = f"{metric.name} infinite in both"
        else:
            pairs.append(tuple(sides.values()))
            differences[seed] = pairs[-1][0][metric.name] - pairs[-1][1][metric.name]
    summary = summarise(list(differences.values()), metric.scale.difference_bounds)
    digests = [tuple(row.get("predicted_classes_digest") for row in pair) for pair in pairs]
    sides = list(zip(*pairs, strict=True))
    found = Comparison(
        contrast, dataset, differences, missing, summary, higher_is_better=metric.scale.higher_is_better,
        same_predictions=bool(digests) and all(a == b is not None for a, b in digests),
        seed_independent=len(pairs) > 1 and all(_is_seed_independent(side, metric.name) for side in sides),
    )  # fmt: skip
    return replace(found, **paired_tests(np.array([*differences.values()]), metric.min_effect)) if summary.sd else found


def _why_not_counted(row: Mapping[str, Any] | None, metric: str) -> str:
    """Why a run does not count; empty if it does. An infinite value counts: it is the worst that there is."""
    if row is None or row["state"] != State.DONE:
        return str(row["state"] if row else State.MISSING)
    return f"has no {metric}" if math.isnan(row[metric]) else ""


def _is_seed_independent(rows: Sequence[Mapping[str, Any]], metric: str) -> bool:
    """Whether the runs of one variant say the same in all seeds."""
    values = [row[metric] for row in rows]
    return max(values) - min(values) < ROUNDING and len({row.get("predicted_classes_digest") for row in rows}) == 1


def _verdict(c: Comparison, min_effect: float) -> Verdict:
    if c.same_predictions and c.summary.sd in (None, 0.0) and abs(c.summary.mean) < ROUNDING:
        return Verdict.IDENTICAL
    if c.seed_independent:
        return Verdict.DETERMINISTIC
    if c.p_holm is None:
        return Verdict.UNRESOLVED
    # TOST is about the 90 % interval; the 95 % one is printed, and must not contradict the verdict beside it.
    if c.p_equivalence_holm < ALPHA and -min_effect < c.summary.low and c.summary.high < min_effect:
        return Verdict.EQUIVALENT
    if c.p_holm < ALPHA:
        return Verdict.BETTER if (c.summary.mean > 0) == c.higher_is_better else Verdict.WORSE
    return Verdict.UNRESOLVED
