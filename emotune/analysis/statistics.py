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

from emotune.analysis.power import ALPHA, seeds_for
from emotune.metric_config import Metric
from emotune.run_directory import State
from emotune.study import Contrast

__all__ = ["Across", "Comparison", "Summary", "Verdict", "across_datasets", "compare", "explore", "summarise"]

ROUNDING = 1e-9
"""In the unit of any metric; smaller spreads are rounding errors."""
MOST_ENUMERATED, DRAWS = 32, 2**16
"""Up to so many seeds all ways to flip signs are counted; above, so many random ones (fixed seed)."""
FEWEST_TO_CORRELATE = 3


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

    Tests are None where there are fewer than two pairs, or the pairs do not differ among themselves. What is adjusted
    (by Holm, over all declared contrasts and data sets of the study), ``verdict`` and ``seeds_needed`` are None for
    contrasts that were not declared.

    Attributes:
        contrast: Variant minus reference.
        dataset: On which data.
        differences: By seed, of the complete pairs.
        missing: Why a seed is no complete pair: ``alexnet missing, attention diverged``.
        summary: Of the differences.
        effect_size: Hedges' g of paired differences: mean over sd, without its bias in few seeds; from three pairs on.
        p: Of the two-sided paired t-test.
        p_sign_flip: Of the exact two-sided sign-flip test, which assumes no normal distribution.
        p_equivalence: Of the two one-sided t-tests (TOST) at ± ``min_effect``.
        correlation: Of the two variants' values over seeds, from three pairs on.
        pairing_gain: The share of seeds that pairing saved, from three pairs on: 1 - var(difference) / (var(variant) +
            var(reference)); negative where the two move against each other.
        p_holm: ``p``, adjusted.
        p_sign_flip_holm: ``p_sign_flip``, adjusted.
        p_equivalence_holm: ``p_equivalence``, adjusted.
        verdict: What the data say.
        seeds_needed: In all, to find an effect of ``min_effect`` with 80 % power, correction included, at the spread
            seen; None where no number up to a thousand would, or the seeds show no spread.
        higher_is_better: Whether a positive difference is in favour of the variant.
    """

    contrast: Contrast
    dataset: str
    differences: Mapping[int, float]
    missing: Mapping[int, str]
    summary: Summary
    effect_size: float | None = None
    p: float | None = None
    p_sign_flip: float | None = None
    p_equivalence: float | None = None
    correlation: float | None = None
    pairing_gain: float | None = None
    p_holm: float | None = None
    p_sign_flip_holm: float | None = None
    p_equivalence_holm: float | None = None
    verdict: Verdict | None = None
    seeds_needed: int | None = None
    higher_is_better: bool = True


@dataclass(frozen=True)
class Across:
    """A contrast over data sets, as description only: data sets are no sample of anything, so there is no test.

    Attributes:
        contrast: Variant minus reference.
        mean: Of the data sets' mean differences.
        lowest: Of these.
        highest: Of these.
        favourable: On how many data sets the mean difference is in favour of the variant.
        datasets: With a complete pair.
    """

    contrast: Contrast
    mean: float
    lowest: float
    highest: float
    favourable: int
    datasets: int


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
    """Differences without verdict: for contrasts that were not declared before the runs, and for A/A.

    Args:
        rows: All runs of the study with ``variant``, ``dataset``, ``seed`` and ``state``; finished ones, which alone
            count, with the metric.
        contrasts: Which differences.
        datasets: Names.
        seeds: How many the study has; those without a complete pair are named in the result.
        metric: What is compared, which way is better, and the smallest difference that would matter.
    """
    runs = {(row["variant"], row["dataset"], row["seed"]): row for row in rows}
    return [_compared(runs, contrast, dataset, seeds, metric) for dataset in datasets for contrast in contrasts]


def compare(
    rows: Iterable[Mapping[str, Any]],
    contrasts: Sequence[Contrast],
    datasets: Sequence[str],
    seeds: int,
    metric: Metric,
) -> list[Comparison]:
    """The declared contrasts of a study, with Holm's correction over all of them, and verdicts; else as `explore`.

    Of all contrasts and data sets together, the chance of any false *better* or *worse* is at most 5 %, and so is that
    of any false *equivalent*.
    """
    found = explore(rows, contrasts, datasets, seeds, metric)
    t, flips, equivalence = (_holm([getattr(c, p) for c in found]) for p in ("p", "p_sign_flip", "p_equivalence"))
    judged = []
    for c, p, p_flip, p_equivalence in zip(found, t, flips, equivalence, strict=True):
        adjusted = replace(c, p_holm=p, p_sign_flip_holm=p_flip, p_equivalence_holm=p_equivalence)
        needed = seeds_for(metric.min_effect / c.summary.sd, ALPHA / len(found)) if c.summary.sd else None
        judged.append(replace(adjusted, verdict=_verdict(adjusted, metric.min_effect), seeds_needed=needed))
    return judged


def across_datasets(comparisons: Sequence[Comparison]) -> list[Across]:
    """Per contrast with a complete pair on two data sets or more, how its mean differences lie."""
    found = []
    for contrast in dict.fromkeys(c.contrast for c in comparisons):
        means = {c.dataset: c.summary.mean for c in comparisons if c.contrast == contrast and c.summary.n}
        up = next(c.higher_is_better for c in comparisons if c.contrast == contrast)
        if len(means) > 1:
            favourable = sum(mean > 0 if up else mean < 0 for mean in means.values())
            lowest, highest = min(means.values()), max(means.values())
            found.append(Across(contrast, float(np.mean([*means.values()])), lowest, highest, favourable, len(means)))
    return found


def _compared(
    runs: Mapping[tuple[str, str, int], Mapping[str, Any]],
    contrast: Contrast,
    dataset: str,
    seeds: int,
    metric: Metric,
) -> Comparison:
    pairs, missing = [], {}
    differences = {}
    for seed in range(seeds):
        sides = {name: runs.get((name, dataset, seed)) for name in (contrast.variant, contrast.reference)}
        lacking = {name: why for name, row in sides.items() if (why := _lacks(row, metric.name))}
        if lacking:
            missing[seed] = ", ".join(f"{name} {lacking[name]}" for name in sorted(lacking))
        else:
            pairs.append([row[metric.name] for row in sides.values()])
            differences[seed] = pairs[-1][0] - pairs[-1][1]
    values, summary = np.array(pairs, float).reshape(-1, 2).T, summarise(list(differences.values()))
    up = metric.scale.higher_is_better
    found = Comparison(contrast, dataset, differences, missing, summary, higher_is_better=up)
    if summary.sd:
        found = replace(found, **_tests(values[0] - values[1], metric.min_effect))
    return replace(found, **_pairing(*values)) if summary.n >= FEWEST_TO_CORRELATE else found


def _lacks(row: Mapping[str, Any] | None, metric: str) -> str:
    """Why a run does not count; empty if it does."""
    if row is None or row["state"] != State.DONE:
        return str(row["state"] if row else State.MISSING)
    return "" if math.isfinite(row[metric]) else f"has no {metric}"


def _tests(differences: np.ndarray, min_effect: float) -> dict[str, float | None]:
    above = stats.ttest_1samp(differences, -min_effect, alternative="greater").pvalue
    below = stats.ttest_1samp(differences, min_effect, alternative="less").pvalue
    return {
        "effect_size": _hedges_g(differences),
        "p": float(stats.ttest_1samp(differences, 0).pvalue),
        "p_sign_flip": _sign_flips(differences),
        "p_equivalence": float(max(above, below)),
    }


def _sign_flips(differences: np.ndarray) -> float:
    """The share of all ways to flip signs whose sum is as far from zero as the one seen, or farther.

    Differences of shares, as 100 k / N, tie but for their last bits, so sums count as equal within `ROUNDING` a seed.
    Each way is a way to flip the first half and one to flip the second: these are counted against each other.
    """
    n, least = len(differences), abs(differences.sum()) - ROUNDING * len(differences)
    if least <= 0:
        return 1.0
    if n > MOST_ENUMERATED:
        signs = np.random.default_rng(0).integers(0, 2, (DRAWS, n), dtype=np.int8) * 2 - 1
        return float((1 + (np.abs(signs @ differences) >= least).sum()) / (1 + DRAWS))
    first, second = _signed_sums(differences[: n // 2]), np.sort(_signed_sums(differences[n // 2 :]))
    above = (len(second) - np.searchsorted(second, least - first)).sum()
    return float(2 * above / 2**n)


def _signed_sums(numbers: np.ndarray) -> np.ndarray:
    """Of all ways to flip signs (2 ** n,)."""
    sums = np.zeros(1)
    for number in numbers:
        sums = np.concatenate([sums + number, sums - number])
    return sums


def _hedges_g(differences: np.ndarray) -> float | None:
    """Mean over sd times Hedges' (1981) exact J, which is 0 of two pairs: these do not say how large an effect is."""
    df = len(differences) - 1
    if df < 2:
        return None
    j = math.exp(math.lgamma(df / 2) - math.lgamma((df - 1) / 2)) / math.sqrt(df / 2)
    return float(j * differences.mean() / differences.std(ddof=1))


def _pairing(variant: np.ndarray, reference: np.ndarray) -> dict[str, float | None]:
    sd_variant, sd_reference = variant.std(ddof=1), reference.std(ddof=1)
    alike = min(sd_variant, sd_reference) < ROUNDING
    apart = max(sd_variant, sd_reference) < ROUNDING
    gain = None if apart else 1 - (variant - reference).var(ddof=1) / (sd_variant**2 + sd_reference**2)
    correlation = None if alike else float(np.corrcoef(variant, reference)[0, 1])
    return {"correlation": correlation, "pairing_gain": None if gain is None else float(gain)}


def _holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's (1979) adjusted p; contrasts without one keep their place, as finishing them can only make others smaller.

    As statsmodels' ``multipletests``, which looks for garbage at each call: in a large process that takes seconds.
    """
    p = np.array([1.0 if value is None else value for value in p_values])
    order = np.argsort(p)
    steps = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1.0)
    adjusted = steps[np.argsort(order)].tolist()
    return [None if value is None else found for value, found in zip(p_values, adjusted, strict=True)]


def _verdict(c: Comparison, min_effect: float) -> Verdict:
    if c.p_holm is None:
        return Verdict.UNRESOLVED
    # TOST is about the 90 % interval; the 95 % one is printed, and must not contradict the verdict beside it.
    if c.p_equivalence_holm < ALPHA and -min_effect < c.summary.low and c.summary.high < min_effect:
        return Verdict.EQUIVALENT
    if c.p_holm < ALPHA:
        return Verdict.BETTER if (c.summary.mean > 0) == c.higher_is_better else Verdict.WORSE
    return Verdict.UNRESOLVED
