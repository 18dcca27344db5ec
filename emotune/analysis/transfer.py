"""How the runs of a study do on other data sets: means over seeds with intervals, and whether contrasts hold there.

The unit of repetition is that of the study's own tests: seeds, or divisions of the training data. A number on another
data set is in the classes that both have in common, so it is compared with the same runs' own test images in these
classes, and with always answering the most frequent of these classes.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from emotune.analysis.divisions import Repeats, division_rows, judge_on_all
from emotune.analysis.joint_interval import mean_intervals
from emotune.analysis.load import Records
from emotune.analysis.metric_table import metric_table
from emotune.analysis.metrics import predicted_classes_digest, scalar_metrics
from emotune.analysis.prediction_arrays import classes_of, logits_of
from emotune.analysis.prior import PriorPredictor, prior_predictor
from emotune.analysis.seeds import Comparison, Summary, summarise
from emotune.analysis.verdict import ALPHA, Verdict
from emotune.config.label_map import LabelMap
from emotune.config.metric import SCALES, Metric
from emotune.config.other_data import TransferTest, made_with
from emotune.config.study import Study
from emotune.runs.directory import State
from emotune.runs.predictions import LOGIT_PREFIX, common_log_probabilities
from emotune.runs.store import RunStates
from emotune.runs.tested import TransferOutcome, can_be_tested, cannot_be_tested, read_tested

__all__ = ["RUN_COLUMNS", "Transfer", "TransferCell", "TransferContrast", "TransferOn", "compute_transfer"]

Row = dict[str, Any]
NOT_TESTED = "not tested"
"""The state of a finished run that has no result on another data set."""
RUN_COLUMNS = ["run", "variant", "dataset", "seed", "tested_on", "split", "state", "classes", "images", "near_training",
           "other_classes", *SCALES]  # fmt: skip


@dataclass(frozen=True)
class TransferCell:
    """A variant on another data set.

    Attributes:
        variant: The variant's name.
        by_seed: The metric by seed, or by division of the training data; None where there is no result.
        summary: Their mean and 95 % t interval.
        own: The same of the runs' own test images, in the same classes; only runs that were tested there count.
        learned: Whether the variant is shown to be better there than always answering the most frequent class.
    """

    variant: str
    by_seed: Mapping[int, float | None]
    summary: Summary
    own: Summary
    learned: bool


@dataclass(frozen=True)
class TransferContrast:
    """A declared contrast on another data set.

    Attributes:
        there: The contrast there; its interval is one of all contrasts and other data sets together. Its verdict says
            what the interval says, and was not declared.
        own: The contrast on the runs' own test images in the same classes.
    """

    there: Comparison
    own: Comparison


@dataclass(frozen=True)
class TransferOn:
    """The runs that were trained on one data set, on another one.

    Attributes:
        test: The test.
        images: The number of images that were tested; 0 while no run has been.
        near_training: The number of images that were left out because runs have seen them, or nearly the same.
        other_classes: The number of images that were left out because nothing corresponds to their class.
        prior: Always answering the frequencies of the tested images' classes; None while no run has been tested.
        own_prior: The same for the runs' own test images in the same classes.
        cells: The variants whose runs can be tested, in the study's order.
        contrasts: The declared contrasts of these variants.
        untested: The ids of the finished runs that could be tested and have no result.
    """

    test: TransferTest
    images: int
    near_training: int
    other_classes: int
    prior: PriorPredictor | None
    own_prior: PriorPredictor | None
    cells: tuple[TransferCell, ...]
    contrasts: tuple[TransferContrast, ...]
    untested: tuple[str, ...]


@dataclass(frozen=True)
class Transfer:
    """The runs of a study on other data sets.

    Attributes:
        metric: The metric: the study's, or accuracy if that is the user's own, which is not executed for this.
        on: Each pair of a training data set and another one.
        runs: A row for each run and test: ``run, variant, dataset, seed, tested_on, split, state, classes, images,
            near_training, other_classes`` and the metrics; NaN where a run has no result.
        impossible: The variants with runs that keep nothing to test, see `emotune.runs.tested.cannot_be_tested`.
    """

    metric: Metric
    on: tuple[TransferOn, ...]
    runs: pd.DataFrame
    impossible: Mapping[str, str]


def compute_transfer(
    study: Study, states: RunStates, tests: Sequence[TransferTest], records: Records, repeats: Sequence[Repeats],
    declared: Sequence[Comparison],
) -> Transfer | None:  # fmt: skip
    """The results on other data sets of a study's finished runs; None if the study asks for none.

    Args:
        study: The study.
        states: Its runs, and what their store has of them.
        tests: Its tests on other data sets.
        records: The tables of its runs.
        repeats: The unit that repeats on each of its own data sets.
        declared: Its declared contrasts there.

    Raises:
        InputError: the store cannot be reached.
    """
    if not tests:
        return None
    metric = Metric() if study.metric.code else study.metric
    found, tables = [], []
    for test in tests:
        one, rows = _on(study, states, test, records, repeats, declared, metric, 1 / len(tests))
        found.append(one)
        tables += rows
    return Transfer(metric, tuple(found), pd.DataFrame(tables, columns=RUN_COLUMNS), cannot_be_tested(states))


def _on(
    study: Study, states: RunStates, test: TransferTest, records: Records, repeats: Sequence[Repeats],
    declared: Sequence[Comparison], metric: Metric, share: float,
) -> tuple[TransferOn, list[Row]]:  # fmt: skip
    """The results of one test, and the rows of its runs."""
    runs = [
        run for run in states.runs if made_with(run, [test]) and can_be_tested(run.model, states.records.get(run.id))
    ]
    finished = [run for run in runs if run.id in records.records]
    read = states.store.map(
        lambda run: read_tested(states.store.folder / run.id, test, states.records[run.id]), finished
    )
    outcomes = {run.id: outcome for run, outcome in zip(finished, read, strict=True) if outcome is not None}
    base: dict[str, Any] = {row["run"]: row for row in records.runs.to_dict("records")}
    rows = [_row(base[run.id], test, outcomes.get(run.id)) for run in runs]
    own = [_own_row(base[run.id], row, records, test.labels) for run, row in zip(runs, rows, strict=True)]
    first = next(iter(outcomes.values()), None)
    (one,) = [one for one in repeats if one.dataset == test.trained_on]
    possible = {run.variant for run in runs}
    asked = [c for c in study.contrasts if set(c.weights) <= possible]
    prior = own_prior = None
    if first is not None:
        prior = prior_predictor(first.predictions, None)
        own_prior = prior_predictor(
            _in_classes(next(iter(records.predictions[run] for run in outcomes)), test.labels), None
        )
    cells = _cells(study, rows, own, one, metric, prior, share)
    return TransferOn(
        test, len(first.predictions) if first else 0, first.near_training if first else 0,
        first.other_classes if first else 0, prior, own_prior, cells,
        _contrasts(rows, own, asked, one, metric, share, cells, declared, test.labels),
        tuple(run.id for run in finished if run.id not in outcomes),
    ), rows  # fmt: skip


def _row(base: Mapping[str, Any], test: TransferTest, outcome: TransferOutcome | None) -> Row:
    """A run's row in the place of that of its own test."""
    row: Row = {name: base[name] for name in ("run", "variant", "dataset", "seed", "state")}
    row |= {"tested_on": test.name, "split": test.split, "classes": " ".join(test.labels.classes)}
    if outcome is None:
        return row | {"state": NOT_TESTED if row["state"] == State.DONE else row["state"]}
    return row | scalar_metrics(outcome.predictions) | {
        "predicted_classes_digest": predicted_classes_digest(outcome.predictions),
        "images": len(outcome.predictions), "near_training": outcome.near_training,
        "other_classes": outcome.other_classes,
    }  # fmt: skip


def _own_row(base: Mapping[str, Any], row: Row, records: Records, labels: LabelMap) -> Row:
    """The row of a run's own test in the same classes, of runs that have a result on the other data set."""
    if row["state"] != State.DONE or labels.is_identity:
        return {**base, "state": row["state"]}
    predictions = _in_classes(records.predictions[row["run"]], labels)
    same = {name: base[name] for name in ("run", "variant", "dataset", "seed", "state")}
    return same | scalar_metrics(predictions) | {"predicted_classes_digest": predicted_classes_digest(predictions)}


def _in_classes(predictions: pd.DataFrame, labels: LabelMap) -> pd.DataFrame:
    """A run's own predictions in the classes that its data set has in common with another one."""
    if labels.is_identity:
        return predictions
    logits = common_log_probabilities(logits_of(predictions), classes_of(predictions), labels)
    table = predictions[["sample_id", "target", "group"]].assign(
        **{f"{LOGIT_PREFIX}{label}": logits[:, index] for index, label in enumerate(labels.classes)}
    )
    table["target"] = table["target"].map(dict(labels.answers))
    return table.dropna(subset="target").reset_index(drop=True)


def _cells(
    study: Study, rows: Sequence[Row], own: Sequence[Row], repeats: Repeats, metric: Metric,
    prior: PriorPredictor | None, share: float,
) -> tuple[TransferCell, ...]:  # fmt: skip
    by_repeat, own_by_repeat = (_by_repeat(table, repeats, metric.column) for table in (rows, own))
    table = metric_table(by_repeat, repeats.dataset, repeats.number, metric.column)
    intervals = mean_intervals(table.values, ALPHA * share, overlap=repeats.overlap)
    cells = []
    for variant, values, interval in zip(table.variants, table.values, intervals, strict=True):
        ends = interval.ends
        constant = math.nan if prior is None else prior.metrics[metric.column]
        learned = ends is not None and (ends[0] > constant if metric.scale.higher_is_better else ends[1] < constant)
        cells.append(TransferCell(
            variant, {number: None if math.isnan(value) else float(value) for number, value in enumerate(values)},
            _summary(values, metric, repeats),
            _summary(metric_table(own_by_repeat, repeats.dataset, repeats.number, metric.column).values[
                table.variants.index(variant)], metric, repeats),
            learned,
        ))  # fmt: skip
    return tuple(cell for name in study.variants for cell in cells if cell.variant == name)


def _summary(values: np.ndarray, metric: Metric, repeats: Repeats) -> Summary:
    return summarise(values[~np.isnan(values)].tolist(), metric.scale.bounds, repeats.overlap)


def _by_repeat(rows: Sequence[Row], repeats: Repeats, column: str) -> Sequence[Row]:
    return division_rows(rows, repeats, column) if repeats.is_divided else rows


def _contrasts(
    rows: Sequence[Row], own: Sequence[Row], asked: Sequence[Any], repeats: Repeats, metric: Metric, share: float,
    cells: Sequence[TransferCell], declared: Sequence[Comparison], labels: LabelMap,
) -> tuple[TransferContrast, ...]:  # fmt: skip
    """The declared contrasts there and on the runs' own test images."""
    learned = {cell.variant for cell in cells if cell.learned}
    there = [
        c if not c.summary.n or c.contrast.weights.keys() & learned else replace(c, verdict=Verdict.NOT_ASSESSED)
        for c in judge_on_all(rows, asked, [repeats], metric, share)
    ]  # fmt: skip
    here = judge_on_all(own, asked, [repeats], metric, share)
    if labels.is_identity:
        by_contrast = {c.contrast: c for c in declared if c.dataset == repeats.dataset}
        here = [by_contrast.get(c.contrast, c) for c in here]
    return tuple(TransferContrast(a, b) for a, b in zip(there, here, strict=True) if a.summary.n)
