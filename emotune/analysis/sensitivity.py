"""Other analyses of the declared contrasts, which show whether a verdict hangs on the choice of the analysis."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from emotune.analysis.joint_interval import contrast_by_seed
from emotune.analysis.max_t import max_t
from emotune.analysis.metric_table import metric_table
from emotune.analysis.paired_tests import PairedPValues, holm, paired_tests
from emotune.analysis.residuals import fit_variant_and_seed, is_constant, without_constant
from emotune.analysis.seeds import Comparison
from emotune.analysis.verdict import ALPHA, Verdict, judge, not_zero
from emotune.config.contrast import Contrast
from emotune.config.metric import Metric
from emotune.config.scale import ROUNDING

__all__ = ["OtherAnalyses", "other_analyses", "pooled_intervals"]


@dataclass(frozen=True)
class OtherAnalyses:
    """A declared contrast as two other analyses see it. None of this decides anything.

    The p values are None for fewer than two pairs and for pairs with equal differences. Adjusted ones are corrected by
    Holm's method over all declared contrasts and data sets.

    Attributes:
        comparison: The contrast as it is judged.
        p: The p value of the two-sided paired t-test.
        p_sign_flip: The p value of the exact two-sided sign-flip test, which does not assume a normal distribution.
        p_equivalence: The p value of the two one-sided t-tests (TOST) at ± ``min_effect``.
        p_holm: ``p``, adjusted.
        p_sign_flip_holm: ``p_sign_flip``, adjusted; None where so few seeds cannot bring it below 0.05.
        p_equivalence_holm: ``p_equivalence``, adjusted.
        paired_verdict: The verdict of these tests.
        pooled: The joint interval if the spread of all variants is taken to be the same; None without one.
        pooled_verdict: The verdict of that interval.
    """

    comparison: Comparison
    p: float | None
    p_sign_flip: float | None
    p_equivalence: float | None
    p_holm: float | None
    p_sign_flip_holm: float | None
    p_equivalence_holm: float | None
    paired_verdict: Verdict
    pooled: tuple[float, float] | None
    pooled_verdict: Verdict


def other_analyses(
    comparisons: Sequence[Comparison], rows: Iterable[Mapping[str, Any]], metric: Metric
) -> list[OtherAnalyses]:
    """The other analyses of each comparison.

    Where divisions of a data set repeat, t-tests and pooled intervals account for overlapping training images, too;
    sign flips assume independent differences and are left out.

    Args:
        comparisons: The declared contrasts on all data sets.
        rows: All runs of the study, see `emotune.analysis.seeds.estimate_differences`.
        metric: The study's metric.
    """
    rows = list(rows)
    tests = [_tests(c, metric) for c in comparisons]
    p, flips, equivalence = (
        [getattr(t, name) if t else None for t in tests] for name in ("difference", "sign_flip", "equivalence")
    )
    p_holm, flips_holm, equivalence_holm = map(holm, (p, flips, equivalence))
    pooled = _pooled(comparisons, rows, metric)
    found = []
    for i, c in enumerate(comparisons):
        flips_can_tell = len(comparisons) * 2.0 ** (1 - c.summary.n) < ALPHA
        ends = None if c.is_identical else pooled[i]
        one = OtherAnalyses(
            comparison=c, p=p[i], p_sign_flip=flips[i], p_equivalence=equivalence[i], p_holm=p_holm[i],
            p_sign_flip_holm=flips_holm[i] if flips_can_tell else None, p_equivalence_holm=equivalence_holm[i],
            paired_verdict=_paired_verdict(c, p_holm[i], equivalence_holm[i], metric.min_effect), pooled=ends,
            pooled_verdict=_settled(c) or judge(
                ends, metric.min_effect, higher_is_better=c.higher_is_better, compares_means=c.contrast.compares_means
            ),
        )  # fmt: skip
        found.append(one)
    return found


def pooled_intervals(
    values: np.ndarray, weights: np.ndarray, alpha: float, overlap: float = 0.0,
    differences: Sequence[np.ndarray] | None = None,
) -> list[tuple[float, float] | None]:  # fmt: skip
    """The joint intervals at one standard deviation for all variants, the residual of *variant + seed*.

    If one variant varies three times as much as the others, or the baseline does, they are false in 10 to 15 % of
    studies with three seeds.

    Args:
        values: The metric by variant and seed (k, n); NaN where no run has finished.
        weights: The weights of each contrast over the variants (m, k).
        alpha: The probability of any error.
        overlap: The number of test images per training image, if divisions repeat in place of seeds.
        differences: Each contrast by seed, if it is not that of ``values``, as where variants lack other runs.
    """
    constant = is_constant(values)
    pool = fit_variant_and_seed(without_constant(values))
    if not len(weights) or not pool.df or pool.squares < ROUNDING**2:
        return [None] * len(weights)
    quantile = max_t(weights).quantile(alpha, pool.df)
    found: list[tuple[float, float] | None] = []
    for index, row in enumerate(weights):
        own = contrast_by_seed(values, row) if differences is None else differences[index]
        if not len(own) or constant[row != 0].any() or not np.isfinite(own).all():
            found.append(None)
            continue
        half = quantile * math.sqrt(row @ row * pool.squares / pool.df * (1 / len(own) + overlap))
        found.append((float(own.mean()) - half, float(own.mean()) + half))
    return found


def _pooled(
    comparisons: Sequence[Comparison], rows: Sequence[Mapping[str, Any]], metric: Metric
) -> list[tuple[float, float] | None]:
    """The fully pooled interval of each comparison."""
    datasets = list(dict.fromkeys(c.dataset for c in comparisons))
    found: dict[tuple[str, Contrast], tuple[float, float] | None] = {}
    for dataset in datasets:
        here = [c for c in comparisons if c.dataset == dataset]
        contrasts, repeats = [c.contrast for c in here], max(len(c.differences) + len(c.missing) for c in here)
        table = metric_table(rows, dataset, repeats, metric.column, contrasts)
        weights = table.weights(contrasts)
        differences = [
            np.array([*c.differences.values()]) if c.counted else contrast_by_seed(table.values, row)
            for c, row in zip(here, weights, strict=True)
        ]
        ends = pooled_intervals(table.values, weights, ALPHA / len(datasets), here[0].overlap, differences)
        found |= {(dataset, contrast): end for contrast, end in zip(contrasts, ends, strict=True)}
    return [found[c.dataset, c.contrast] for c in comparisons]


def _tests(c: Comparison, metric: Metric) -> PairedPValues | None:
    """The tests of a contrast, whose spread over divisions is enlarged as that of its interval is."""
    if not c.paired.sd:
        return None
    differences = np.array([*c.differences.values()])
    larger = math.sqrt(1 + len(differences) * c.overlap)
    enlarged = differences if larger == 1 else c.paired.mean + larger * (differences - c.paired.mean)
    return paired_tests(enlarged, metric.min_effect, independent=not c.overlap)


def _paired_verdict(c: Comparison, p: float | None, p_equivalence: float | None, min_effect: float) -> Verdict:
    """The verdict of Holm-adjusted tests; for equivalence the 95 % interval lies within ± ``min_effect``, too."""
    if verdict := _settled(c):
        return verdict
    interval = c.paired.interval
    if p is None or p_equivalence is None or interval is None:
        return Verdict.UNRESOLVED
    if p_equivalence < ALPHA and -min_effect < interval[0] and interval[1] < min_effect:
        return Verdict.EQUIVALENT
    if p < ALPHA:
        return not_zero(
            positive=c.paired.mean > 0, higher_is_better=c.higher_is_better, compares_means=c.contrast.compares_means
        )
    return Verdict.UNRESOLVED


def _settled(c: Comparison) -> Verdict | None:
    """A verdict that no analysis of the spread can change; else None."""
    settled = (Verdict.IDENTICAL, Verdict.DETERMINISTIC, Verdict.NOT_ASSESSED)
    return c.verdict if c.verdict in settled else None
