"""The table of who learned something: each variant beside the class prior."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from emotune.analysis.joint_interval import JointInterval
from emotune.analysis.learning import Learning, VariantLearning
from emotune.config.metric_scales import ALL_SCALES, MetricName
from emotune.report import phrasing
from emotune.report.columns import Column, Table, dataset_column
from emotune.report.task_words import words_for, words_of

__all__ = ["learning_table"]


@dataclass(frozen=True)
class LearningRow:
    """A variant on a data set.

    Attributes:
        dataset: The data set's name.
        learning: The variants and runs that have learned something there.
        variant: The variant.
    """

    dataset: str
    learning: Learning
    variant: VariantLearning


def learning_table(learning: Mapping[str, Learning], *, several: bool) -> Table:
    """The variants that can learn, with their gain over the class prior by each yardstick.

    Args:
        learning: The variants and runs that have learned something, by data set; of a divided one over its divisions.
        several: Whether the study has several data sets.
    """
    rows = [LearningRow(d, one, variant) for d, one in learning.items() for variant in one.variants.values()]
    yardsticks = next((one.yardsticks for one in learning.values()), ())
    words = words_of(next(one.prior for one in learning.values())) if learning else words_for("classes")
    columns = [
        Column("variant", lambda row: row.variant.variant, "name"),
        dataset_column(several),
        Column("n", lambda row: str(row.variant.n)),
        Column(f"runs above the {words.short_prior}", _runs),
    ]
    for name in yardsticks:
        scale = ALL_SCALES[name]
        columns.append(Column(f"{words.prior}, {scale.short}", _prior(name)))
        columns.append(Column(", ".join(filter(None, [f"gain in {scale.short}", scale.difference_units])), _gain(name)))
    return Table([*columns, Column("shown to have learned", _learned, "text")], rows)


def _runs(row: LearningRow) -> str:
    runs = [run for run in row.learning.runs if run.variant == row.variant.variant]
    return f"{sum(run.learned for run in runs)} of {len(runs)}"


def _learned(row: LearningRow) -> str:
    if not row.variant.learned:
        return "no"
    at = row.variant.shown_at
    return f"yes (at {at} seeds)" if at and at < row.variant.n else "yes"


def _prior(name: MetricName) -> Callable[[LearningRow], str]:
    return lambda row: ALL_SCALES[name].format(row.learning.prior.metrics[name])


def _gain(name: MetricName) -> Callable[[LearningRow], str]:
    def text(row: LearningRow) -> str:
        gain: JointInterval = row.variant.gains[name]
        written = ALL_SCALES[name].format_signed
        if not gain.n:
            return phrasing.DASH
        ends = "" if gain.low is None or gain.high is None else f" ({written(gain.low)} to {written(gain.high)})"
        return written(gain.mean) + ends

    return text
