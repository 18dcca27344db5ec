"""The value of a contrast in each seed, or the reason why there is none, and whether the seed matters at all."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from emotune.config.contrast import Contrast
from emotune.config.metric import Metric
from emotune.config.scale import ROUNDING
from emotune.runs.directory import State

__all__ = ["RunRows", "SeedValues", "seed_values"]

Row = Mapping[str, Any]
RunRows = Mapping[tuple[str, str, int], Row]
"""The rows of runs by variant, data set and seed."""


@dataclass(frozen=True)
class SeedValues:
    """A contrast on one data set, seed by seed, in the unit of the metric.

    Attributes:
        values: The contrast in each complete seed, in which all of its variants have a value.
        missing: The reason why a seed is not complete, by seed: ``alexnet missing, attention diverged``.
        same_predictions: Whether the predicted classes of all images cancel in every complete seed: those of a
            difference are equal.
        seed_independent: Whether each of the variants has equal results in all of two or more complete seeds.
        diverged_alone: The seeds in which the variant diverged and the other side has a value, by variant.
        valueless_alone: The seeds in which the variant has finished without a value and the other side has one, by
            variant: a Pearson correlation of constant predictions is undefined.
    """

    values: Mapping[int, float]
    missing: Mapping[int, str]
    same_predictions: bool
    seed_independent: bool
    diverged_alone: Mapping[str, Sequence[int]]
    valueless_alone: Mapping[str, Sequence[int]]


def seed_values(runs: RunRows, contrast: Contrast, dataset: str, seeds: int, metric: Metric) -> SeedValues:
    """The values of a contrast on a data set, seed by seed.

    Args:
        runs: The runs of the study, see `emotune.analysis.seeds.estimate_differences`.
        contrast: The contrast.
        dataset: The data set's name.
        seeds: The study's number of seeds.
        metric: The study's metric.
    """
    complete: list[Mapping[str, Row]] = []
    missing: dict[int, str] = {}
    values: dict[int, float] = {}
    diverged: dict[str, list[int]] = {}
    valueless: dict[str, list[int]] = {}
    for seed in range(seeds):
        rows = {variant: row for variant in contrast.weights if (row := runs.get((variant, dataset, seed)))}
        reasons = {v: reason for v in contrast.weights if (reason := _why_not_counted(rows.get(v), metric))}
        value = math.nan if reasons else sum(w * rows[v][metric.column] for v, w in contrast.weights.items())
        if reasons:
            missing[seed] = ", ".join(f"{variant} {reasons[variant]}" for variant in sorted(reasons))
            states = {variant: rows[variant]["state"] if variant in rows else State.MISSING for variant in reasons}
            # What is missing by what a run does, rather than by chance, leaves the seeds in which it did better.
            if set(states.values()) <= {State.DIVERGED, State.DONE} and _is_one_side(contrast, reasons):
                for variant, state in states.items():
                    (diverged if state == State.DIVERGED else valueless).setdefault(variant, []).append(seed)
        elif math.isnan(value):
            missing[seed] = f"{metric.column} infinite in both"
        else:
            complete.append(rows)
            values[seed] = value
    return SeedValues(
        values, missing,
        same_predictions=bool(complete) and all(_predictions_cancel(contrast, rows) for rows in complete),
        seed_independent=len(complete) > 1 and all(
            _is_seed_independent([rows[variant] for rows in complete], metric.column) for variant in contrast.weights
        ),
        diverged_alone=diverged,
        valueless_alone=valueless,
    )  # fmt: skip


def _why_not_counted(row: Row | None, metric: Metric) -> str:
    """The reason why a run does not count; empty if it counts. An infinite value counts as the worst possible one."""
    if row is None or row["state"] != State.DONE:
        return str(row["state"] if row else State.MISSING)
    return f"has no {metric.name or metric.scale.title}" if math.isnan(row[metric.column]) else ""


def _is_one_side(contrast: Contrast, variants: Iterable[str]) -> bool:
    """Whether all of these variants are on the same side of the contrast."""
    return len({contrast.weights[variant] > 0 for variant in variants}) == 1


def _predictions_cancel(contrast: Contrast, rows: Mapping[str, Row]) -> bool:
    """Whether the weights of the variants that predict the same class for every image sum to zero."""
    totals: dict[Any, float] = {}
    for variant, weight in contrast.weights.items():
        digest = rows[variant].get("predicted_classes_digest")
        totals[digest] = totals.get(digest, 0.0) + weight
    return None not in totals and all(abs(total) < ROUNDING for total in totals.values())


def _is_seed_independent(rows: Sequence[Row], metric: str) -> bool:
    """Whether the runs of one variant have equal values and predictions in all seeds."""
    values = [row[metric] for row in rows]
    return max(values) - min(values) < ROUNDING and len({row.get("predicted_classes_digest") for row in rows}) == 1
