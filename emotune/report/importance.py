"""Tables and sentences on which hand-made features matter."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import pandas as pd

from emotune.analysis.feature_importance import FeatureImportance, FeatureLoss
from emotune.core.sample_noun import worded
from emotune.report.columns import Column, Table, dataset_column, number_text

__all__ = ["IMPORTANCE_FILE", "WORDS", "importance_file", "importance_sentences", "importance_tables"]

IMPORTANCE_FILE = "importance.csv"
LISTED = 10
"""The most groups, and the most single columns, that tables list of each variant; the file has all."""


@dataclass(frozen=True)
class ImportanceRow:
    """A group or a column of a variant's features on a data set."""

    dataset: str
    variant: str
    score: str
    loss: FeatureLoss


@dataclass(frozen=True)
class Words:
    """How a report tells losses of a measure.

    Attributes:
        lost: The title of losses.
        name: The name of the measure in sentences.
        decimals: The decimals of losses; standard deviations have one more.
        span: The smallest range of losses that a figure shows.
    """

    lost: str
    name: str
    decimals: int
    span: float

    def number(self, loss: float, more: int = 0) -> str:
        """A loss in its decimals, or in more."""
        return number_text(loss, f"{{:.{self.decimals + more}f}}")


WORDS: Mapping[str, Words] = MappingProxyType({
    "accuracy": Words("accuracy lost, points", "accuracy", 1, 1.0),
    "ccc": Words("CCC lost", "mean CCC", 3, 0.01),
})  # fmt: skip
"""The words by the name of the measure."""


def importance_tables(found: Sequence[FeatureImportance], *, several: bool) -> dict[str, Table]:
    """The tables of the groups and of the single columns whose loss is largest.

    Args:
        found: The importance of features, by variant and data set.
        several: Whether the study has several data sets.
    """
    score = found[0].score if found else "accuracy"
    columns = [
        Column("variant", lambda row: row.variant, "name"),
        dataset_column(several),
        Column("features", lambda row: row.loss.name, "text"),
        Column("columns", lambda row: str(row.loss.columns)),
        Column(WORDS[score].lost, lambda row: WORDS[row.score].number(row.loss.loss)),
        Column("sd of repeats", lambda row: WORDS[row.score].number(row.loss.sd, 1)),
    ]
    groups = [ImportanceRow(one.dataset, one.variant, one.score, loss) for one in found for loss in one.groups[:LISTED]]
    single = [ImportanceRow(one.dataset, one.variant, one.score, loss) for one in found for loss in one.single[:LISTED]]
    of_one = [column for column in columns if column.title != "columns"]
    return {"importance": Table(columns, groups), "importance_of_columns": Table(of_one, single)}


def importance_sentences(found: Sequence[FeatureImportance]) -> list[str]:
    """The meaning of the numbers, and their limits; empty if there are none."""
    if not found:
        return []
    varying = [one.variant for one in found if one.varies]
    repeat = (
        f"The runs of {', '.join(dict.fromkeys(varying))} differ; losses are means over them."
        if varying
        else "Neither the model nor the shuffles depend on a seed, so all runs of a variant give these numbers, and "
        "they have no interval over seeds."
    )
    return [
        "Permutation importance (Breiman 2001): the columns of a group are shuffled together over validation "
        f"{worded('images')}, and the {WORDS[found[0].score].name} that the fitted model loses is the group's "
        "importance. The standard deviation over the repeats tells how much the shuffles matter, not what other "
        f"{worded('images')} would give. {repeat}",
        "Features that tell the same share their importance: each makes up for the other, so that a group with little "
        "importance may still tell much about emotions, and losses do not add up. They were measured on the "
        f"{worded('images')} on which C was chosen, and are exploratory.",
    ]


def importance_file(found: Sequence[FeatureImportance]) -> pd.DataFrame:
    """All groups and single columns, as a table with a row for each."""
    decimals = {score: words.decimals + 2 for score, words in WORDS.items()}  # as many as records have
    rows = [
        {
            "dataset": one.dataset, "variant": one.variant, "kind": kind, "features": loss.name,
            "columns": loss.columns, "loss": round(loss.loss, decimals[one.score]),
            "sd": round(loss.sd, decimals[one.score]), "repeats": one.repeats, "images": one.images,
            "validation_images": one.validation_images, one.score: round(one.whole, decimals[one.score]),
        }
        for one in found
        for kind, losses in (("group", one.groups), ("column", one.single))
        for loss in losses
    ]  # fmt: skip
    return pd.DataFrame(rows)
