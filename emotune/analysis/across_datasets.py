"""A contrast over the data sets of a study: their mean, how they differ, and nothing about other data sets.

The data sets are those that the study names, not a random sample of any. What repeats are seeds, so the intervals say
what other seeds would give on the same data sets. Seeds are not counted as data sets: an interval that does so excludes
the mean over other data sets in up to 45 % of studies.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from emotune.analysis.max_t import t_quantile
from emotune.analysis.seeds import Comparison
from emotune.analysis.verdict import ALPHA, Verdict
from emotune.config.contrast import Contrast

__all__ = ["AcrossDatasets", "BetweenDatasets", "across_datasets"]


@dataclass(frozen=True)
class BetweenDatasets:
    """The difference of a contrast between two data sets: the interaction of contrast and data set.

    Attributes:
        larger: The data set on which the contrast is larger.
        smaller: The other data set.
        difference: The contrast on the one less that on the other, in the unit of the metric.
        low: The lower end of its interval, 95 % for all pairs of data sets of the contrast together.
        high: The upper end.
    """

    larger: str
    smaller: str
    difference: float
    low: float
    high: float

    def is_within(self, margin: float) -> bool:
        """Whether the whole interval is within ± ``margin``."""
        return -margin < self.low and self.high < margin


@dataclass(frozen=True)
class AcrossDatasets:
    """A contrast over data sets, in the unit of the metric.

    Attributes:
        contrast: The contrast.
        datasets: The names of the data sets on which it has a value.
        mean: The mean of its means on these data sets.
        low: The lower end of the 95 % interval of this mean for other seeds on these data sets; None if it is not
            known, as with a single seed on one of them.
        high: The upper end.
        lowest: The lowest of its means.
        highest: The highest of its means.
        sd: The standard deviation of its means over data sets (ddof 1), which the seeds are a part of.
        seed_sd: The standard deviation over data sets that seeds alone would make; None if it is not known.
        favourable: The number of data sets whose mean favours the first side; is positive, if there are not two sides.
        between: The differences between every two data sets, first those that are largest for the width of their
            interval; empty if that is not known, or if nothing varies over seeds.
        one_seed: The names of data sets with a single complete seed, whose value has no known uncertainty.
        not_assessed: The names of data sets on which none of its variants is shown to have learned.
    """

    contrast: Contrast
    datasets: tuple[str, ...]
    mean: float
    low: float | None
    high: float | None
    lowest: float
    highest: float
    sd: float
    seed_sd: float | None
    favourable: int
    between: tuple[BetweenDatasets, ...] = ()
    one_seed: tuple[str, ...] = ()
    not_assessed: tuple[str, ...] = ()

    @property
    def interval(self) -> tuple[float, float] | None:
        """The ends of the mean's interval; None if there is none."""
        return None if self.low is None or self.high is None else (self.low, self.high)


def across_datasets(comparisons: Sequence[Comparison]) -> list[AcrossDatasets]:
    """Each contrast that has complete seeds on two or more data sets, over these.

    The mean has the standard error √(Σ e²) / D of D data sets with standard errors e, those of the joint intervals;
    degrees of freedom are Satterthwaite's. Intervals are for each contrast alone.

    Args:
        comparisons: The contrasts on all data sets.
    """
    results = []
    for contrast in dict.fromkeys(c.contrast for c in comparisons):
        found = [c for c in comparisons if c.contrast == contrast and not math.isnan(c.summary.mean)]
        if len(found) > 1:
            results.append(_across(contrast, found))
    return results


def _across(contrast: Contrast, found: Sequence[Comparison]) -> AcrossDatasets:
    means, number = [c.summary.mean for c in found], len(found)
    up = not contrast.compares_means or found[0].higher_is_better
    favourable = sum(mean > 0 if up else mean < 0 for mean in means)
    mean, low, high = sum(means) / number, None, None
    errors = [c.joint.error for c in found if c.joint.error is not None]
    known = len(errors) == number  # which finite differences alone have
    if known:
        half = _half_width(found, ALPHA) / number
        low, high = (mean - half, mean + half) if half else (None, None)
    return AcrossDatasets(
        contrast, tuple(c.dataset for c in found), mean, low, high, min(means), max(means),
        sd=float(np.std(means, ddof=1)) if math.isfinite(mean) else math.nan,
        seed_sd=math.sqrt(sum(error**2 for error in errors) / number) if known else None, favourable=favourable,
        between=_between(found) if known else (),
        one_seed=tuple(c.dataset for c in found if c.summary.n == 1),
        not_assessed=tuple(c.dataset for c in found if c.verdict is Verdict.NOT_ASSESSED),
    )  # fmt: skip


def _between(found: Sequence[Comparison]) -> tuple[BetweenDatasets, ...]:
    pairs = list(combinations(sorted(found, key=lambda c: c.summary.mean), 2))
    rated: list[tuple[float, BetweenDatasets]] = []
    for small, large in pairs:
        if half := _half_width((small, large), ALPHA / len(pairs)):
            difference = large.summary.mean - small.summary.mean
            one = BetweenDatasets(large.dataset, small.dataset, difference, difference - half, difference + half)
            rated.append((difference / half, one))
    return tuple(one for _, one in sorted(rated, key=lambda entry: -entry[0]))


def _half_width(found: Sequence[Comparison], alpha: float) -> float:
    """Half the width of the interval of a sum or difference of contrasts on several data sets, which are independent.

    It is 0 if nothing varies over seeds on any of them.
    """
    squares = [(c.joint.error**2, c.joint.df) for c in found if c.joint.error and c.joint.df]
    if not squares:
        return 0.0
    variance = sum(square for square, _ in squares)
    df = variance**2 / sum(square**2 / df for square, df in squares)
    return t_quantile(alpha, df) * math.sqrt(variance)
