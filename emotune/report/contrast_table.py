"""The declared contrasts as a table of plain numbers: for `load_results`, and as ``contrasts.csv`` beside the page."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from emotune.config.metric import Metric

if TYPE_CHECKING:
    import pandas as pd

    from emotune.analysis.sensitivity import OtherAnalyses

__all__ = ["CONTRASTS_FILE", "closing_lines", "contrast_table"]

CONTRASTS_FILE = "contrasts.csv"


def contrast_table(others: "Sequence[OtherAnalyses]") -> "pd.DataFrame":
    """A row for each declared contrast and data set.

    ``low`` and ``high`` are the ends of the joint 95 % interval, from which ``verdict`` is read, and ``p`` is adjusted
    for all contrasts and data sets; ``sd`` and ``df`` are what the interval is made of. ``paired_low``, ``paired_high``
    and ``p_holm`` are those of paired t-tests, which decide nothing. ``variant`` and ``reference`` are empty for a
    contrast that is not a difference of two variants; ``weights`` is the formula of any. ``late`` says what was
    declared when results were there.

    Args:
        others: The contrasts with their other analyses.
    """
    import pandas as pd

    columns = [
        "dataset", "contrast", "variant", "reference", "weights", "seeds", "mean", "low", "high", "p", "sd", "df",
        "verdict", "paired_low", "paired_high", "p_holm", "late",
    ]  # fmt: skip
    rows = []
    for other in others:
        c = other.comparison
        rows.append([
            c.dataset, str(c.contrast), *(c.contrast.pair or ("", "")), c.contrast.formula, c.summary.n,
            c.summary.mean, c.summary.low, c.summary.high, c.p, c.joint.sd, c.joint.df, str(c.verdict), c.paired.low,
            c.paired.high, other.p_holm, "; ".join(map(str, c.late)),
        ])  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def closing_lines(folder: Path, metric: Metric) -> list[str]:
    """The verdicts of the report in a folder, a line for each contrast; none if its table is not there.

    Args:
        folder: The report's folder.
        metric: The study's metric.
    """
    try:
        with (folder / CONTRASTS_FILE).open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except OSError:
        return []
    several = len({row["dataset"] for row in rows}) > 1
    return [_line(row, metric, several) for row in rows]


def _line(row: dict[str, str], metric: Metric, several: bool) -> str:
    where = f" on {row['dataset']}" if several else ""
    line = f"{row['verdict']}: {row['contrast']}{where}"
    if not row["mean"]:
        return f"{line}, no pair of runs has finished"
    units = metric.scale.difference_units
    line += f", {metric.format_signed(float(row['mean']))} {units}".rstrip()
    late = f"; not confirmatory: {row['late']}" if row.get("late") else ""
    if not row["low"]:
        return line + late
    ends = metric.format_interval((float(row["low"]), float(row["high"])))
    return f"{line} (joint 95 % interval {ends}){late}"
