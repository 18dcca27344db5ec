"""Adaptive seeds: a study is judged at planned numbers of seeds, and what is resolved gets no more of them.

Look l, at n_l of at most n_max seeds, has the share (n_l - n_(l-1)) / n_max of the 5 %. Intervals with these shares
cover at all looks together, whatever was decided at earlier ones: repeated confidence intervals (Jennison and Turnbull
1989). What a study has reached is a function of its runs alone, so that every command and machine sees the same looks.

A look asks first what was learned, at the same share: a contrast is not resolved before one of its variants is shown to
have learned. One without a single run that is better than the class prior gets no more seeds for its own sake, because
more of them rarely change that. The intervals allow any rule of stopping, and this one ends in no verdict.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from emotune.analysis.learning import Learning, VariantLearning, variant_learning, with_learning
from emotune.analysis.metric_table import metric_table
from emotune.analysis.seeds import Comparison, judge_contrasts
from emotune.analysis.verdict import ALPHA, Verdict
from emotune.config.contrast import Contrast
from emotune.config.metric import Metric
from emotune.config.seeds import look_shares
from emotune.runs.directory import State

__all__ = ["DatasetLooks", "Look", "looks_on", "reached_looks"]

NOT_ASKED: Mapping[str, Learning] = MappingProxyType({})
ENDED = (State.DONE, State.DIVERGED)
"""The states of a run that more training does not change: divergence is an outcome. Others hold their look open."""


@dataclass(frozen=True)
class Look:
    """A look at a data set's runs, all of which have ended.

    Attributes:
        seeds: The number of seeds.
        alpha: The probability of any false verdict at this look: its share of the 5 %.
        comparisons: The contrasts that were open before it, as they are judged at it.
    """

    seeds: int
    alpha: float
    comparisons: tuple[Comparison, ...]

    @property
    def resolved(self) -> tuple[Contrast, ...]:
        """The contrasts that this look resolves."""
        return tuple(c.contrast for c in self.comparisons if _is_resolved(c))


@dataclass(frozen=True)
class DatasetLooks:
    """The looks that a study with adaptive seeds has reached on one data set.

    Attributes:
        dataset: The data set's name.
        planned: The numbers of seeds at which the study is judged; the last one is the maximum.
        alphas: The probability of any false verdict at each of them.
        reached: The looks whose runs have ended, the earliest first.
        seeds: The number of seeds that each variant gets, up to the look that is reached next; by variant.
        ended: The number of these runs that have ended.
        comparisons: All contrasts in the study's order, each as the look that resolved it judges it, another one as the
            latest look does. Before the first look they are estimates without intervals.
        set_aside: The contrasts that are not assessed and ask for no more seeds: none of their runs up to the latest
            look is better than the class prior. If one at a later look is, they go on.
        learning: The variants that can learn, by name, as the latest look judges them; what an earlier one has shown to
            have learned stays so. Before the first look as its share would judge the runs so far. Empty if it is not
            asked.
    """

    dataset: str
    planned: tuple[int, ...]
    alphas: tuple[float, ...]
    reached: tuple[Look, ...]
    seeds: Mapping[str, int]
    ended: int
    comparisons: tuple[Comparison, ...]
    set_aside: tuple[Contrast, ...] = ()
    learning: Mapping[str, VariantLearning] = field(default_factory=dict)

    @property
    def open(self) -> tuple[Contrast, ...]:
        """The contrasts that no look has resolved or set aside."""
        return tuple(c.contrast for c in self.comparisons if not _is_resolved(c) and c.contrast not in self.set_aside)

    @property
    def is_over(self) -> bool:
        """Whether no further look follows: no contrast is open, or the last look is reached."""
        return bool(self.reached) and (not self.open or len(self.reached) == len(self.planned))

    @property
    def following(self) -> int | None:
        """The number of seeds of the look that is reached next; None if none follows."""
        return None if self.is_over else self.planned[len(self.reached)]

    def resolved_at(self, contrast: Contrast) -> int | None:
        """The number of seeds at which a contrast was resolved; None while it is open."""
        return next((look.seeds for look in self.reached if contrast in look.resolved), None)

    def most_seeds(self) -> dict[str, int]:
        """The number of seeds that each variant gets if no open contrast is resolved before the last look."""
        if self.is_over:
            return dict(self.seeds)
        return dict(self.seeds) | {v: self.planned[-1] for c in (*self.open, *self.set_aside) for v in c.weights}


def reached_looks(
    rows: Iterable[Mapping[str, Any]],
    contrasts: Sequence[Contrast],
    datasets: Sequence[str],
    planned: Sequence[int],
    metric: Metric,
    learning: Mapping[str, Learning] = NOT_ASKED,
) -> tuple[DatasetLooks, ...]:
    """The looks that a study has reached on each of its data sets, which have shares of the 5 % and looks of their own.

    Args:
        rows: The study's runs with ``variant``, ``dataset``, ``seed`` and ``state``, the A/A runs included; finished
            ones also have the metric and ``predicted_classes_digest``.
        contrasts: The declared contrasts.
        datasets: The names of the data sets.
        planned: The numbers of seeds at which the study is judged, in ascending order.
        metric: The study's metric.
        learning: The finished runs compared with the class prior, by data set; of one that is missing it is not asked.
    """
    rows, share = list(rows), 1 / len(datasets)
    return tuple(looks_on(rows, contrasts, one, planned, metric, share, learning.get(one)) for one in datasets)


def looks_on(
    rows: Iterable[Mapping[str, Any]],
    contrasts: Sequence[Contrast],
    dataset: str,
    planned: Sequence[int],
    metric: Metric,
    share: float = 1.0,
    learning: Learning | None = None,
) -> DatasetLooks:
    """The looks that a study has reached on one data set.

    All variants have the seeds of the first look; later ones are for the variants of open contrasts. A look takes
    exactly the runs that it needs, whatever others there are, and only once all of them have ended: finished with a
    value of the metric, or diverged.

    Args:
        rows: The study's runs, see `reached_looks`; with ``learning`` finished ones also have its yardsticks.
        contrasts: The declared contrasts.
        dataset: The data set's name.
        planned: The numbers of seeds at which the study is judged, in ascending order.
        metric: The study's metric.
        share: The data set's share of the 5 %.
        learning: The finished runs compared with the class prior; None: what was learned is not asked.
    """
    here = [row for row in rows if row["dataset"] == dataset]
    ended = {(row["variant"], row["seed"]) for row in here if _has_ended(row, metric)}
    variants = metric_table(here, dataset, 0, metric.column, contrasts).variants
    seeds, reached, latest = dict.fromkeys(variants, planned[0]), list[Look](), dict[Contrast, Comparison]()
    set_aside, learned = set[Contrast](), dict[str, VariantLearning]()
    shares = [share * part for part in look_shares(planned)]
    for now, part in zip(planned, shares, strict=True):
        unresolved = [c for c in contrasts if c not in latest or not _is_resolved(latest[c])]
        if reached and set_aside.issuperset(unresolved):
            break
        seeds |= {variant: now for c in unresolved if c not in set_aside for variant in c.weights}
        if any((variant, seed) not in ended for variant, count in seeds.items() for seed in range(count)):
            break
        judged = judge_contrasts(_up_to(here, seeds), contrasts, dataset, now, metric, part)
        judged = [_of_seeds(c, min(seeds[variant] for variant in c.contrast.weights)) for c in judged]
        if learning:
            found = _learning_at(learning, _up_to(here, seeds), seeds, part)
            learned |= {v: _with_earlier(one, learned.get(v), seeds[v]) for v, one in found.items()}
            judged = with_learning(judged, {dataset: [v for v, one in learned.items() if one.learned]})
        reached.append(Look(now, part * ALPHA, tuple(c for c in judged if c.contrast in unresolved)))
        latest |= {c.contrast: c for c in reached[-1].comparisons}
        set_aside = _without_prospect(latest.values(), seeds, learning)
    if not reached:
        estimates = judge_contrasts(_up_to(here, seeds), contrasts, dataset, planned[0], metric, share)
        latest = {c.contrast: _without_interval(c) for c in estimates}
        learned = _learning_at(learning, _up_to(here, seeds), seeds, shares[0]) if learning else {}
    needed = {(variant, seed) for variant, count in seeds.items() for seed in range(count)}
    return DatasetLooks(
        dataset, tuple(planned), tuple(ALPHA * part for part in shares), tuple(reached), seeds, len(needed & ended),
        tuple(latest[c] for c in contrasts), tuple(c for c in contrasts if c in set_aside), learned,
    )  # fmt: skip


def _learning_at(
    learning: Learning, rows: Sequence[Mapping[str, Any]], seeds: Mapping[str, int], share: float
) -> dict[str, VariantLearning]:
    """The variants by name, each with what it has learned by the runs of a look, at the look's share of the 5 %."""
    able = learning.variants.keys() | {run.variant for run in learning.runs}  # A/A runs add to the spread
    runs = [run for run in learning.runs if run.seed < seeds[run.variant]]
    return variant_learning(
        [row for row in rows if row["variant"] in able], learning.dataset, max(seeds.values()), learning.prior.metrics,
        learning.yardsticks, learning.variants, runs, share * ALPHA,
    )  # fmt: skip


def _with_earlier(now: VariantLearning, earlier: VariantLearning | None, seeds: int) -> VariantLearning:
    """A variant at a look; what an earlier one has shown stays."""
    if earlier and earlier.learned:
        return replace(now, learned=True, shown_at=earlier.shown_at)
    return replace(now, shown_at=seeds if now.learned else None)


def _without_prospect(
    comparisons: Iterable[Comparison], seeds: Mapping[str, int], learning: Learning | None
) -> set[Contrast]:
    """The contrasts that are not assessed and of whose runs none is better than the class prior."""
    runs = learning.runs if learning else ()
    promising = {run.variant for run in runs if run.learned and run.seed < seeds[run.variant]}
    return {
        c.contrast for c in comparisons
        if c.verdict is Verdict.NOT_ASSESSED and promising.isdisjoint(c.contrast.weights)
    }  # fmt: skip


def _is_resolved(comparison: Comparison) -> bool:
    """Whether more seeds are not needed; that two variants predict the same is a result, too, if one has learned."""
    return comparison.verdict not in (Verdict.UNRESOLVED, Verdict.NOT_ASSESSED)


def _has_ended(row: Mapping[str, Any], metric: Metric) -> bool:
    """Whether a run's part in a look is known. A value of the user's own metric may still have to be computed."""
    if row["state"] == State.DONE and metric.code:
        return row[metric.column] == row[metric.column]  # not NaN
    return row["state"] in ENDED


def _up_to(rows: Sequence[Mapping[str, Any]], seeds: Mapping[str, int]) -> list[Mapping[str, Any]]:
    return [row for row in rows if row["seed"] < seeds[row["variant"]]]


def _of_seeds(comparison: Comparison, seeds: int) -> Comparison:
    """The comparison without the seeds for which nobody asked, in which a variant is not missing."""
    return replace(comparison, missing={seed: why for seed, why in comparison.missing.items() if seed < seeds})


def _without_interval(comparison: Comparison) -> Comparison:
    """The estimate alone: what is judged before the first look would be a look that nobody planned."""
    summary = replace(comparison.summary, low=None, high=None)
    return replace(comparison, summary=summary, p=None, verdict=Verdict.UNRESOLVED)
