"""Runs on several divisions of one data set: the divisions are what repeats, and in each of them seeds are averaged.

Folds or random splits of one data set share training images, so that results on them are not independent: the interval
of their mean is that of Nadeau and Bengio (2003, "Inference for the generalization error", section 3), and in repeated
cross-validation that of Bouckaert and Frank (2004). In a division a variant's value is the mean over its seeds.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from emotune.analysis.seeds import Comparison, Unit, estimate_differences, judge_contrasts
from emotune.config.contrast import Contrast
from emotune.config.metric import Metric
from emotune.config.run import DatasetRef
from emotune.runs.directory import State

__all__ = ["Repeats", "division_rows", "estimate_on_all", "judge_on_all", "repeats_of"]

Row = Mapping[str, Any]
_Division = Mapping[str, Mapping[int, Row]]
"""The rows of a division by variant and seed."""


@dataclass(frozen=True)
class Repeats:
    """The repeats on a data set, seeds or divisions, which are the unit of its intervals.

    Attributes:
        dataset: The data set's name, without that of a division.
        unit: The kind of repeat: seeds, or the divisions of the data set.
        names: The names of its divisions, as runs have them, in order; the data set's own where seeds repeat.
        number: The number of repeats.
        overlap: The number of test images per training image of a division; 0 where seeds repeat.
    """

    dataset: str
    unit: Unit
    names: tuple[str, ...]
    number: int
    overlap: float = 0.0

    @property
    def is_divided(self) -> bool:
        """Whether divisions repeat."""
        return self.unit != "seed"


def repeats_of(refs: Iterable[DatasetRef], seeds: int, images: Mapping[str, tuple[int, int]]) -> list[Repeats]:
    """The repeats on each data set of a study.

    Args:
        refs: The data sets as runs have them, divisions of one after another.
        seeds: The study's number of seeds.
        images: The numbers of training and test images by name, of those with finished runs.
    """
    by_dataset: dict[str, list[DatasetRef]] = {}
    for ref in refs:
        by_dataset.setdefault(ref.whole, []).append(ref)
    found = []
    for dataset, group in by_dataset.items():
        names, division = tuple(ref.name for ref in group), group[0].division
        if division is None:
            found.append(Repeats(dataset, "seed", names, seeds))
            continue
        train, test = (sum(images[name][part] for name in names if name in images) for part in (0, 1))
        unit: Unit = division.unit
        found.append(Repeats(dataset, unit, names, len(names), test / train if train else 0.0))
    return found


def judge_on_all(
    rows: Sequence[Row], contrasts: Sequence[Contrast], repeats: Sequence[Repeats], metric: Metric,
    share: float | None = None,
) -> list[Comparison]:  # fmt: skip
    """The declared contrasts on all data sets with joint intervals and verdicts.

    Over all contrasts and data sets together, the probability of any false verdict is at most 5 % if the variants vary
    alike, each data set having its share of it. In each division those seeds of a contrast count that all of its
    variants have finished, whatever other variants have.

    Args:
        rows: The runs of the study, see `emotune.analysis.seeds.estimate_differences`.
        contrasts: The contrasts.
        repeats: The repeats on each data set.
        metric: The study's metric.
        share: The share of the 5 % that each data set has; None: they share it equally.
    """
    part = 1 / max(1, len(repeats)) if share is None else share

    def judge(table: Sequence[Row], asked: Sequence[Contrast], one: Repeats) -> list[Comparison]:
        judged = judge_contrasts(table, contrasts, one.dataset, one.number, metric, part, one.overlap)
        return [c for c in judged if c.contrast in asked]  # each interval depends on all contrasts

    return [c for one in repeats for c in _compare_on(rows, contrasts, one, metric.column, judge)]


def estimate_on_all(
    rows: Sequence[Row], contrasts: Sequence[Contrast], repeats: Sequence[Repeats], metric: Metric
) -> list[Comparison]:
    """Differences on all data sets with an interval for each alone; arguments as `judge_on_all`."""

    def estimate(table: Sequence[Row], asked: Sequence[Contrast], one: Repeats) -> list[Comparison]:
        return estimate_differences(table, asked, one.dataset, one.number, metric, one.overlap)

    return [c for one in repeats for c in _compare_on(rows, contrasts, one, metric.column, estimate)]


def division_rows(rows: Sequence[Row], repeats: Repeats, column: str) -> list[dict[str, Any]]:
    """A row for each variant and division, like that of a run, whose ``seed`` is the number of the division.

    A variant's value there is the mean over all seeds that it has finished. One of which a run diverged there has
    diverged in the division.

    Args:
        rows: The runs of the study, see `emotune.analysis.seeds.estimate_differences`.
        repeats: A data set whose divisions repeat.
        column: The column of the metric.
    """
    return _mean_rows(_by_division(rows, repeats), repeats, column)


def _compare_on(
    rows: Sequence[Row], contrasts: Sequence[Contrast], one: Repeats, column: str,
    compare: Callable[[Sequence[Row], Sequence[Contrast], Repeats], list[Comparison]],
) -> list[Comparison]:  # fmt: skip
    """The contrasts on a data set; on divisions each by the seeds that its variants have in common."""
    if not one.is_divided:
        return [replace(c, unit=one.unit) for c in compare(rows, contrasts, one)]
    divisions = _by_division(rows, one)
    compared = compare(_mean_rows(divisions, one, column), contrasts, one)
    for index, contrast in enumerate(contrasts):
        if counted := _incomplete(divisions, contrast.weights):
            (own,) = compare(_mean_rows(divisions, one, column, contrast.weights), [contrast], one)
            compared[index] = replace(own, counted=counted)
    return [replace(c, unit=one.unit) for c in compared]


def _mean_rows(
    divisions: Sequence[_Division], repeats: Repeats, column: str, compared: Collection[str] = ()
) -> list[dict[str, Any]]:
    """The rows of `division_rows`; of variants that are ``compared`` only those seeds count that all of them have."""
    made = []
    for number, by_variant in enumerate(divisions):
        common = _common_seeds(by_variant, compared)
        for variant, by_seed in by_variant.items():
            made.append(
                {"variant": variant, "dataset": repeats.dataset, "seed": number}
                | _mean(by_seed, common if variant in compared else sorted(by_seed), column, number)
            )
    return made


def _incomplete(divisions: Sequence[_Division], compared: Collection[str]) -> dict[int, list[int]]:
    """The seeds that variants have in common, by number of the division, where some but not all have finished."""
    found = {}
    for number, by_variant in enumerate(divisions):
        common = _common_seeds(by_variant, compared)
        if common and len(common) < len({seed for v in compared for seed in by_variant.get(v, ())}):
            found[number] = common
    return found


def _by_division(rows: Sequence[Row], repeats: Repeats) -> list[_Division]:
    """The rows of each division by variant and seed."""
    found: dict[str, dict[str, dict[int, Row]]] = {name: {} for name in repeats.names}
    for row in rows:
        if row["dataset"] in found:
            found[row["dataset"]].setdefault(row["variant"], {})[row["seed"]] = row
    return list(found.values())


def _common_seeds(by_variant: _Division, compared: Collection[str]) -> list[int]:
    finished = [
        {seed for seed, row in by_seed.items() if row["state"] == State.DONE}
        for variant, by_seed in by_variant.items() if variant in compared and not _diverged(by_seed)
    ]  # fmt: skip
    return sorted(set.intersection(*filter(None, finished))) if any(finished) else []


def _diverged(by_seed: Mapping[int, Row]) -> bool:
    return any(row["state"] == State.DIVERGED for row in by_seed.values())


def _mean(by_seed: Mapping[int, Row], seeds: Sequence[int], column: str, number: int) -> dict[str, Any]:
    """The state of a variant in a division, and its metric if it has finished."""
    counted = [by_seed[seed] for seed in seeds if seed in by_seed and by_seed[seed]["state"] == State.DONE]
    if _diverged(by_seed):
        return {"state": str(State.DIVERGED)}
    if not counted:
        return {"state": next((row["state"] for row in by_seed.values() if row["state"] != State.DONE), State.MISSING)}
    digests = [row.get("predicted_classes_digest") for row in counted]
    return {
        "state": str(State.DONE),
        column: sum(row[column] for row in counted) / len(counted),
        "predicted_classes_digest": None if None in digests else " ".join(map(str, [number, *digests])),
    }
