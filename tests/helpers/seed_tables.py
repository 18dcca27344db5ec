"""Tables of finished runs, and the comparison of two variants `a` and `b` that they give."""

import math

from emotune.analysis.seeds import Comparison, judge_contrasts
from emotune.analysis.sensitivity import OtherAnalyses, other_analyses
from emotune.config.contrast import Contrast
from emotune.config.metric import Metric
from emotune.runs.directory import State

AB = Contrast.difference("a", "b")


def rows(dataset: str = "d", **accuracies: list[float | State | None]) -> list[dict]:
    """Rows of finished runs with their accuracy and of runs in another state; None gives no row."""
    return [
        {"variant": variant, "dataset": dataset, "seed": seed}
        | ({"state": value, "accuracy": math.nan} if isinstance(value, State) else {"state": "done", "accuracy": value})
        for variant, values in accuracies.items()
        for seed, value in enumerate(values)
        if value is not None
    ]


def compare_contrasts(
    table: list[dict], contrasts: list[Contrast], datasets: list[str], seeds: int, metric: Metric
) -> list[Comparison]:
    """The contrasts on all data sets, each of which has its share of the 5 %."""
    share = 1 / max(1, len(datasets))
    return [c for name in datasets for c in judge_contrasts(table, contrasts, name, seeds, metric, share)]


def compare(a: list, b: list, min_effect: float = 1.0) -> Comparison:
    """The comparison of two variants' accuracies by seed."""
    (comparison,) = compare_contrasts(rows(a=a, b=b), [AB], ["d"], len(a), Metric(min_effect=min_effect))
    return comparison


def analyse(
    table: list[dict], contrasts: list[Contrast], datasets: list[str], seeds: int, metric: Metric
) -> list[OtherAnalyses]:
    """The other analyses of contrasts."""
    return other_analyses(compare_contrasts(table, contrasts, datasets, seeds, metric), table, metric)


def analyse_pair(a: list, b: list, min_effect: float = 1.0) -> OtherAnalyses:
    """The other analyses of two variants' accuracies by seed."""
    (other,) = analyse(rows(a=a, b=b), [AB], ["d"], len(a), Metric(min_effect=min_effect))
    return other


def compare_nll(a: list[float], b: list[float]) -> Comparison:
    """The comparison of two variants' losses by seed."""
    table = [row | {"nll": row["accuracy"]} for row in rows(a=a, b=b)]
    return compare_contrasts(table, [AB], ["d"], len(a), Metric(name="nll", min_effect=0.1))[0]


def with_digests(digests: dict[str, str], table: list[dict]) -> list[dict]:
    """The rows with digests of their predictions, given as one letter per variant and seed."""
    return [row | {"predicted_classes_digest": digests[row["variant"]][row["seed"]]} for row in table]
