"""Figures of the accuracy, or the CCC, that a model loses without each group of its hand-made features."""

from collections.abc import Iterator
from functools import partial

from matplotlib import rc_context
from matplotlib.figure import Figure

from emotune.analysis.feature_importance import FeatureImportance, feature_importance
from emotune.analysis.seeds import Summary
from emotune.config.scale import with_minus
from emotune.core.sample_noun import worded
from emotune.report.figures.entry import FigureEntry, for_both_widths
from emotune.report.figures.layout import axis_limits, draw_title, wrap_name
from emotune.report.figures.style import INK, SOFT, STYLE, variant_colours
from emotune.report.figures.table_plot import TableRow, draw_interval, draw_line, table_plot
from emotune.report.importance import WORDS
from emotune.report.results import StudyResults

__all__ = ["importance_figures", "losses_of_groups"]

SHOWN = 15
"""The most groups that a figure shows."""


def importance_figures(results: StudyResults, dataset: str, title: str) -> Iterator[FigureEntry]:
    """A figure for each variant on hand-made features of several groups.

    Args:
        results: The study's results.
        dataset: The data set.
        title: Its title.
    """
    variants = list(results.study.variants)
    colours = variant_colours(variants)
    for one in feature_importance(results.records, variants, [dataset]):
        if len(one.groups) == 1:  # without it the model knows nothing of the image
            continue
        words = WORDS[one.score]
        listed = "; ".join(f"{loss.name} {words.number(loss.loss)}" for loss in one.groups[:SHOWN])
        unshuffled = (
            f"{one.whole:.1f} % of these {worded('images')} are classified correctly."
            if one.score == "accuracy"
            else f"the mean CCC of these {worded('images')} is {with_minus(f'{one.whole:.3f}')}."
        )
        rest = len(one.groups) - SHOWN
        yield for_both_widths(
            f"importance-{dataset}-{one.variant}",
            partial(losses_of_groups, f"{one.variant}, {title}", one, colours[one.variant]),
            f"{dataset}, {one.variant}: {words.lost.replace(', ', ', in ')}, when the columns of a group are shuffled "
            f"over {_images(one)} validation {worded('images')}, {one.repeats} times. Dots: means. Bars: ± one "
            f"standard deviation of the repeats. With nothing shuffled, {unshuffled}"
            f"{f' The other {rest} groups are in importance.csv.' if rest > 0 else ''}",
            f"{words.name[0].upper()}{words.name[1:]} that {one.variant} loses on {dataset} without each group of "
            f"features: {listed}",
        )


def _images(one: FeatureImportance) -> str:
    if one.images == one.validation_images:
        return f"{one.images:,}"
    return f"{one.images:,} of {one.validation_images:,}"


@rc_context(STYLE)
def losses_of_groups(title: str, importance: FeatureImportance, colour: str, *, narrow: bool = False) -> Figure:
    """The loss of each group, from the largest down, with the standard deviation of its repeats.

    Args:
        title: The title.
        importance: The losses.
        colour: The colour of the variant.
        narrow: Whether the figure is for a narrow screen.
    """
    shown, words = importance.groups[:SHOWN], WORDS[importance.score]
    rows = [
        TableRow(
            wrap_name(one.name, 40), words.number(one.loss),
            f"{one.columns} column{'s' * (one.columns > 1)}", SOFT,
        )
        for one in shown
    ]  # fmt: skip
    ends = [end for one in shown for end in (one.loss - one.sd, one.loss + one.sd)]
    limits = axis_limits([0.0, *(one.loss for one in shown)], ends, words.span)
    figure, axes, edges = table_plot(rows, limits, words.lost, narrow=narrow)
    draw_title(figure, title)
    draw_line(axes, edges, 0.0, INK, 0.7)
    for one, (begin, end) in zip(shown, edges, strict=True):
        spread = Summary(importance.repeats, one.loss, one.sd, one.loss - one.sd, one.loss + one.sd)
        draw_interval(axes, (begin + end) / 2, spread, colour)
    return figure
