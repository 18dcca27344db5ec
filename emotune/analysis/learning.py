"""Whether anything was learned: variants over seeds, and runs over test images, against the class prior.

Nothing can be said about the difference of two variants that both answer without looking at the image.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, cast

from emotune.analysis.joint_interval import JointInterval, mean_intervals
from emotune.analysis.load import Records
from emotune.analysis.metric_table import metric_table
from emotune.analysis.prediction_arrays import shares_of
from emotune.analysis.prior import PriorPredictor, mean_distribution_predictor, mean_predictor, prior_predictor
from emotune.analysis.run_learning import RunLearning, run_learning
from emotune.analysis.seeds import Comparison
from emotune.analysis.verdict import ALPHA, Verdict
from emotune.config.distribution_scales import DISTRIBUTION_SCALES
from emotune.config.metric import Metric, MetricName
from emotune.config.metric_scales import ALL_SCALES
from emotune.config.model import ConstantConfig
from emotune.config.study import Study
from emotune.runs.directory import State

__all__ = [
    "Learning",
    "RunLearning",
    "VariantLearning",
    "learning",
    "mostly_collapsed",
    "run_learning",
    "unable_to_learn",
    "variant_learning",
    "with_learning",
    "yardsticks",
]

YARDSTICKS: Mapping[str, tuple[MetricName, ...]] = MappingProxyType(
    {
        "balanced_accuracy": ("balanced_accuracy",),
        "macro_f1": ("balanced_accuracy",),
        "top2_accuracy": ("top2_accuracy",),
        "nll": ("nll", "accuracy"),
        "brier": ("brier", "accuracy"),
        "rmse": ("rmse", "ccc"),
        "ccc_valence": ("ccc_valence",),
        "ccc_arousal": ("ccc_arousal",),
        "ccc_dominance": ("ccc_dominance",),
        **{name: (name, "accuracy") for name in DISTRIBUTION_SCALES},
    }
)
"""The metrics by which a variant can be better than the class prior, where these are not the accuracy alone, or of
predicted dimensions the mean CCC.

Random answers have a higher macro-F1 than the prior, and often a higher polarity accuracy; its calibration error is
hardly ever surpassed. A network can be worse by a loss, being too sure, and still tell classes apart. What a metric of
the user's own says of the prior is unknown.
"""


@dataclass(frozen=True)
class VariantLearning:
    """A variant's mean over seeds, compared with the class prior.

    Attributes:
        variant: The variant's name.
        n: The number of its finished runs.
        gains: The amount by which it is better than the prior, by yardstick and in its unit, with joint 95 % intervals
            for all variants of all data sets; there is none if the runs do not differ.
        learned: Whether an interval is above zero and more than half of the runs tell classes apart. If the runs do not
            differ, or there is one only: whether each run has learned.
        shown_at: With adaptive seeds, the number of its seeds at the look that first showed this; else None.
    """

    variant: str
    n: int
    gains: Mapping[MetricName, JointInterval]
    learned: bool
    shown_at: int | None = None


@dataclass(frozen=True)
class Learning:
    """The variants and runs that have learned something on one data set.

    Attributes:
        dataset: The data set's name.
        prior: The class prior.
        yardsticks: The metrics that are compared with those of the prior; being better by one of them is enough.
        variants: The variants that can learn, by name, A/A included.
        runs: Their finished runs.
    """

    dataset: str
    prior: PriorPredictor
    yardsticks: tuple[MetricName, ...]
    variants: Mapping[str, VariantLearning]
    runs: Sequence[RunLearning]

    @property
    def learned(self) -> frozenset[str]:
        """The names of the variants that have learned something."""
        return frozenset(name for name, one in self.variants.items() if one.learned)


def with_learning(comparisons: Sequence[Comparison], learned: Mapping[str, Collection[str]]) -> list[Comparison]:
    """The comparisons, not assessed where none of a contrast's variants has learned anything.

    Args:
        comparisons: The declared contrasts with their verdicts.
        learned: The variants that have learned something, by data set. A data set that is missing has no finished run
            that could have.
    """
    return [
        c if not c.summary.n or c.contrast.weights.keys() & set(learned.get(c.dataset, ()))
        else replace(c, verdict=Verdict.NOT_ASSESSED)
        for c in comparisons
    ]  # fmt: skip


def yardsticks(metric: Metric) -> tuple[MetricName, ...]:
    """The metrics of which one must be better than the class prior's."""
    return YARDSTICKS.get(metric.column, ("ccc",) if metric.task == "dimensions" else ("accuracy",))


def unable_to_learn(study: Study) -> frozenset[str]:
    """The names of the variants that answer with class frequencies, whatever the image."""
    unable = {name for name, (model, _) in study.variants.items() if isinstance(model, ConstantConfig)}
    return frozenset(unable | {study.aa} if study.aa and study.baseline in unable else unable)


def learning(records: Records, study: Study, dataset: str, datasets: int) -> Learning | None:
    """The variants and runs that have learned something on a data set; None if no run on it has finished.

    Args:
        records: The study's runs.
        study: The study. Its variants that predict class frequencies cannot learn, and are left out.
        dataset: The data set's name.
        datasets: The number of the study's data sets.
    """
    unable, variants = unable_to_learn(study), [*study.variants, *([study.aa] if study.aa else [])]
    table = records.runs[records.runs["dataset"] == dataset]
    every = cast("list[dict[str, Any]]", table.to_dict("records"))  # column names are strings
    done = [row for row in every if row["state"] == State.DONE and row["seed"] < study.seeds]
    if not done:
        return None
    prior = _prior(records, dataset, [row["run"] for row in done], [r["run"] for r in done if r["variant"] in unable])
    rows, compared = [row for row in every if row["variant"] not in unable], yardsticks(study.metric)
    runs = run_learning([row for row in done if row["variant"] not in unable], dataset, records.predictions, prior,
                        compared)  # fmt: skip
    found = variant_learning(rows, dataset, study.seeds, prior.metrics, compared, variants, runs, ALPHA / datasets)
    return Learning(dataset, prior, compared, found, runs)


def _prior(records: Records, dataset: str, done: Sequence[str], trivial: Sequence[str]) -> PriorPredictor:
    """The trivial prediction for a data set.

    Args:
        records: The study's runs.
        dataset: The data set's name.
        done: The ids of the finished runs on it.
        trivial: Those of them that predict class frequencies.
    """
    test = records.predictions[done[0]]
    if dimensions := records.dimensions.get(dataset):
        means = next((found for run in done if (found := records.records[run].get("train_means"))), {})
        return mean_predictor(test, means, dimensions)
    of_trivial = next((records.predictions[run] for run in trivial), None)
    if shares_of(test) is not None:
        shares = (records.records[run].get("train_shares") for run in done)
        return mean_distribution_predictor(test, next(filter(None, shares), None), of_trivial)
    counts = (records.records[run].get("train_by_class") for run in done)
    return prior_predictor(test, next(filter(None, counts), None), of_trivial)


def variant_learning(
    rows: Iterable[Mapping[str, Any]],
    dataset: str,
    seeds: int,
    prior: Mapping[str, float],
    compared: Sequence[MetricName],
    variants: Collection[str],
    runs: Sequence[RunLearning],
    alpha: float = ALPHA,
) -> dict[str, VariantLearning]:
    """The variants by name, each with whether it has learned something.

    Args:
        rows: The runs of all variants that can learn, A/A included, with ``variant``, ``dataset``, ``seed``, ``state``
            and, if they have finished, the yardsticks.
        dataset: The data set's name.
        seeds: The study's number of seeds.
        prior: The class prior's value of each yardstick.
        compared: The yardsticks.
        variants: The variants that are asked about; others only add to the spread.
        runs: The finished runs, each compared with the prior.
        alpha: The probability that any variant is said to have learned that has not: 0.05, divided by the number of
            data sets.
    """
    rows = [row for row in rows if row["dataset"] == dataset]
    found: dict[str, dict[MetricName, JointInterval]] = {}
    for name in compared:
        table, sign = metric_table(rows, dataset, seeds, name), 1 if ALL_SCALES[name].higher_is_better else -1
        intervals = mean_intervals(sign * (table.values - prior[name]), alpha / len(compared))
        for variant, interval in zip(table.variants, intervals, strict=True):
            found.setdefault(variant, {})[name] = interval
    return {
        variant: VariantLearning(
            variant, max(one.n for one in gains.values()), gains,
            _has_learned(gains.values(), [run for run in runs if run.variant == variant]),
        )
        for variant, gains in found.items() if variant in variants
    }  # fmt: skip


def mostly_collapsed(runs: Sequence[RunLearning]) -> bool:
    """Whether half of a variant's runs or more give one answer to nearly all images; False without runs."""
    return bool(runs) and 2 * sum(run.answer is not None for run in runs) >= len(runs)


def _has_learned(gains: Iterable[JointInterval], runs: Sequence[RunLearning]) -> bool:
    if mostly_collapsed(runs):
        return False
    gains = list(gains)
    if any(gain.low is not None and gain.low > 0 for gain in gains):
        return True
    over_images = all(gain.n == 1 or gain.own_sd == 0 for gain in gains)
    return over_images and bool(runs) and all(run.learned for run in runs)
