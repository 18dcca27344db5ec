"""The report on other data sets: the transfer matrix, what was tested, and whether contrasts hold there."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from emotune.analysis.seeds import Comparison, Summary
from emotune.analysis.transfer import RUN_COLUMNS, Transfer, TransferContrast, TransferOn
from emotune.analysis.verdict import RESOLVED, Verdict
from emotune.config.metric import Metric
from emotune.report import phrasing
from emotune.report.columns import Column, Table, heading
from emotune.report.results import StudyResults
from emotune.runs.tested import not_tested_sentence

__all__ = ["TRANSFER_CONTRASTS_FILE", "TRANSFER_FILE", "MatrixRow", "holds", "matrix_rows", "transfer_context",
           "transfer_contrast_table", "transfer_runs", "transfer_tables"]  # fmt: skip

TRANSFER_FILE, TRANSFER_CONTRASTS_FILE = "transfer.csv", "transfer_contrasts.csv"
MOST_FREQUENT = "most frequent class"


@dataclass(frozen=True)
class MatrixRow:
    """A row of the transfer matrix.

    Attributes:
        name: The variant's name, or `MOST_FREQUENT`.
        trained_on: The data set that its runs were trained on.
        cells: The metric's mean and interval by data set, that of its own test included.
        constants: The metric of always answering the most frequent class, by data set.
    """

    name: str
    trained_on: str
    cells: dict[str, Summary]
    constants: dict[str, float]


def matrix_rows(results: StudyResults) -> list[MatrixRow]:
    """The transfer matrix: a row for each training data set and variant, with its own test as the diagonal."""
    transfer, rows = results.transfer, []
    if transfer is None:
        return []
    column = transfer.metric.column
    for one in results.repeats:
        on = [other for other in transfer.on if other.test.trained_on == one.dataset]
        if not on:
            continue
        constants = {other.test.name: other.prior.metrics[column] for other in on if other.prior}
        priors = [results.learning[name].prior.metrics[column] for name in one.names if name in results.learning]
        if priors:
            constants[one.dataset] = sum(priors) / len(priors)
        own = (
            {row.variant: row.summary for row in results.repeated_summaries(one)}
            if not results.study.metric.code
            else {}
        )
        for variant in results.study.variants:
            cells = {other.test.name: cell.summary for other in on for cell in other.cells if cell.variant == variant}
            rows.append(
                MatrixRow(variant, one.dataset, {one.dataset: own[variant]} | cells if own else cells, constants)
            )
    return rows


def transfer_tables(results: StudyResults) -> dict[str, Table]:
    """The tables on other data sets by name; none if the study names none."""
    transfer = results.transfer
    if transfer is None:
        return {}
    metric, several = transfer.metric, len({one.test.trained_on for one in transfer.on}) > 1
    rows = matrix_rows(results)
    names = list(dict.fromkeys([*(row.trained_on for row in rows), *(one.test.name for one in transfer.on)]))
    by_training = {row.trained_on: row.constants for row in rows}
    constants = [MatrixRow(MOST_FREQUENT, trained_on, {}, values) for trained_on, values in by_training.items()]
    cells = [(one, cell) for one in transfer.on for cell in one.cells if cell.summary.n]
    compared = [(one, contrast) for one in transfer.on for contrast in one.contrasts]
    return {
        "transfer": Table(_matrix_columns(names, metric, several), [*rows, *constants]),
        "transfer_cells": Table(_cell_columns(metric, several), cells),
        "transfer_contrasts": Table(_contrast_columns(metric, several), compared),
    }


def transfer_context(results: StudyResults) -> dict[str, Any] | None:
    """The texts on other data sets for the templates; None if the study names none."""
    transfer = results.transfer
    if transfer is None:
        return None
    several = len({one.test.trained_on for one in transfer.on}) > 1
    metric, notes = transfer.metric, []
    if results.study.metric.code:
        notes.append(
            f"Shown is {metric.scale.title}: the study's own metric is not executed for predictions on other data sets."
        )
    if transfer.impossible:
        notes.append(not_tested_sentence(transfer.impossible))
    for one in transfer.on:
        if one.untested:
            several_runs = len(one.untested) > 1
            notes.append(
                f"{len(one.untested)} finished run{'s have' if several_runs else ' has'} not been tested on "
                f"{one.test.name}: {', '.join(one.untested[:5])}{' and others' if len(one.untested) > 5 else ''}. "
                f"The same command tests {'them' if several_runs else 'it'}; if it cannot, it says why."
            )
    return {
        "scale": metric.scale,
        "several": several,
        "tests": [(one.test.name, _test_sentences(one, several)) for one in transfer.on],
        "contrasts": [
            (str(c.there.contrast), _contrast_sentences(c, one, metric, several))
            for one in transfer.on for c in one.contrasts
        ],
        "notes": notes,
        "tested": any(one.images for one in transfer.on),
    }  # fmt: skip


def transfer_runs(transfer: Transfer | None) -> pd.DataFrame:
    """A row for each run and other data set, see `Transfer.runs`; none if the study names none."""
    return pd.DataFrame(columns=RUN_COLUMNS) if transfer is None else transfer.runs


def transfer_contrast_table(transfer: Transfer | None) -> pd.DataFrame:
    """A row for each declared contrast and other data set, as plain numbers: for `load_results`, and a CSV file.

    ``low`` and ``high`` are the ends of the interval of all contrasts and other data sets together; ``own_mean``,
    ``own_low`` and ``own_high`` are those of the runs' own test images in the same classes.
    """
    columns = ["dataset", "tested_on", "contrast", "seeds", "mean", "low", "high", "outcome", "own_mean", "own_low",
               "own_high", "own_outcome"]  # fmt: skip
    rows = [
        [
            one.test.trained_on, one.test.name, str(c.there.contrast), c.there.summary.n, c.there.summary.mean,
            c.there.summary.low, c.there.summary.high, str(c.there.verdict), c.own.summary.mean, c.own.summary.low,
            c.own.summary.high, str(c.own.verdict),
        ]
        for one in (transfer.on if transfer else ()) for c in one.contrasts
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def holds(contrast: TransferContrast, metric: Metric) -> str:
    """Whether the contrast holds on the other data set, as the beginning of a sentence without its full stop."""
    own, there = contrast.own.verdict, contrast.there.verdict or Verdict.UNRESOLVED
    within = f"the difference is within ±{metric.scale.format_amount(metric.min_effect)}"
    if there is Verdict.NOT_ASSESSED:
        return "No variant of it is shown to be better there than the most frequent class, so it is not assessed there"
    if own in RESOLVED:
        if there in RESOLVED:
            return "It holds there" if own is there else "It is the other way round there"
        return f"It does not hold there: {within}" if there is Verdict.EQUIVALENT else "Whether it holds there is open"
    if there in RESOLVED:
        return f"It is {there} there, which the own test images do not show"
    return f"There {within}" if there is Verdict.EQUIVALENT else f"It is {there} there"


def _test_sentences(one: TransferOn, several: bool) -> str:
    test = one.test
    trained = f" for the networks trained on {test.trained_on}" if several else ""
    if not one.images or one.prior is None:
        return f"No run has been tested yet{trained}."
    answer, share = one.prior.best_answer
    what = "of all splits" if test.split == "all" else "of its test split"
    sentences = [
        f"{one.images:,} images {what}{trained}, in {len(test.labels.classes)} classes; {share:.1f} % of them are "
        f"{answer}.",
        test.labels.sentence(),
    ]
    if one.near_training:
        sentences.append(
            f"{one.near_training:,} image{'s are' if one.near_training > 1 else ' is'} left out, the same or nearly "
            f"the same as one of {test.trained_on} that networks were trained or validated on."
        )
    else:
        sentences.append(
            f"None of them is nearly an image of {test.trained_on} that networks were trained or validated on."
        )
    if one.other_classes:
        have = "images have" if one.other_classes > 1 else "image has"
        sentences.append(f"{one.other_classes:,} {have} a class that is left out.")
    return " ".join(filter(None, sentences))


def _contrast_sentences(contrast: TransferContrast, one: TransferOn, metric: Metric, several: bool) -> str:
    trained = f", trained on {one.test.trained_on}" if several else ""
    same = "" if one.test.labels.is_identity else ", in the same classes"
    return (
        f"On {one.test.name}{trained}: {_numbers(contrast.there, metric)}. On the own test images{same}: "
        f"{_numbers(contrast.own, metric)}. {holds(contrast, metric)}."
    )


def _numbers(comparison: Comparison, metric: Metric) -> str:
    summary = comparison.summary
    mean = f"{metric.format_signed(summary.mean)} {metric.scale.difference_units}".rstrip()
    ends = f"joint 95 % interval {metric.format_interval(summary.interval)}" if summary.interval else "no interval"
    return f"{mean} ({ends}, {summary.n} {comparison.unit}{'s' if summary.n != 1 else ''})"


def _matrix_columns(names: Sequence[str], metric: Metric, several: bool) -> list[Column]:
    def cell(name: str):
        def text(row: MatrixRow) -> str:
            own = " (own test)" if several and name == row.trained_on else ""
            if row.name == MOST_FREQUENT:
                return f"{metric.scale.format(row.constants[name])}{own}" if name in row.constants else phrasing.DASH
            shown = phrasing.mean_and_interval(row.cells[name], metric.scale, briefly=True) if name in row.cells else ""
            return f"{shown}{own}" if shown and shown != phrasing.DASH else phrasing.DASH

        return text

    trained = [Column("trained on", lambda row: row.trained_on, "name")] if several else []
    own = "" if several else " (own test)"
    titles = [f"{name}{own}" if number == 0 else name for number, name in enumerate(names)]
    columns = [Column(title, cell(name)) for title, name in zip(titles, names, strict=True)]
    return [Column("variant", lambda row: row.name, "name"), *trained, *columns]


def _cell_columns(metric: Metric, several: bool) -> list[Column]:
    def summary(value: Summary) -> str:
        return phrasing.mean_and_interval(value, metric.scale, briefly=True)

    unit = heading(metric.scale)
    trained = [Column("trained on", lambda row: row[0].test.trained_on, "name")] if several else []
    return [
        Column("variant", lambda row: row[1].variant, "name"),
        *trained,
        Column("tested on", lambda row: row[0].test.name, "name"),
        Column(f"own test images, same classes: {unit}", lambda row: summary(row[1].own)),
        Column(f"there: {unit}", lambda row: summary(row[1].summary)),
        Column("most frequent class there", lambda row: metric.scale.format(row[0].prior.metrics[metric.column])),
        Column("shown to be better than that", lambda row: "yes" if row[1].learned else "no", "text"),
    ]


def _contrast_columns(metric: Metric, several: bool) -> list[Column]:
    def difference(comparison: Comparison) -> str:
        summary = comparison.summary
        ends = f" ({metric.format_interval(summary.interval)})" if summary.interval else ""
        return f"{metric.format_signed(summary.mean)}{ends}"

    trained = [Column("trained on", lambda row: row[0].test.trained_on, "name")] if several else []
    return [
        Column("contrast", lambda row: str(row[1].there.contrast), "name"),
        *trained,
        Column("tested on", lambda row: row[0].test.name, "name"),
        Column("n", lambda row: str(row[1].there.summary.n), tex_title="$n$"),
        Column("own test images, same classes", lambda row: difference(row[1].own)),
        Column("there (joint 95 % interval)", lambda row: difference(row[1].there)),
        Column("there", lambda row: str(row[1].there.verdict), "text"),
    ]
