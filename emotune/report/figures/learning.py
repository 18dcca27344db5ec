"""The figure of what was learned: each run beside the class prior."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from emotune.analysis.divided_learning import run_number
from emotune.analysis.divisions import Repeats
from emotune.analysis.learning import Learning, RunLearning, VariantLearning
from emotune.analysis.seeds import Summary
from emotune.config.metric_scales import ALL_SCALES
from emotune.core.sample_noun import worded
from emotune.report.figures.entry import FigureEntry, for_both_widths
from emotune.report.figures.layout import axis_limits, draw_title, seed_count_text, wrap_name
from emotune.report.figures.style import INK, SOFT, STYLE, variant_colours
from emotune.report.figures.table_plot import TableRow, annotate_above, draw_interval, draw_line, table_plot
from emotune.report.results import StudyResults
from emotune.report.task_words import words_of

__all__ = ["learned_by_seed", "learning_figures"]


def learning_figures(results: StudyResults, titles: Mapping[str, str]) -> Iterator[FigureEntry]:
    """A figure for each data set on which contrasts are judged; of a divided one over its divisions.

    Args:
        results: The study's results.
        titles: The titles of the data sets and of their divisions, by name.
    """
    colours = {str(results.study.aa): SOFT} | variant_colours(list(results.study.variants))
    for one in results.repeats:
        found = results.learned_on.get(one.dataset)
        if not found or not any(variant.n for variant in found.variants.values()):
            continue
        learned = ", ".join(v for v, variant in found.variants.items() if variant.learned) or "none"
        title = titles[one.names[0]].replace(one.names[0], one.dataset)
        over = f"over {one.unit}s " if one.is_divided else ""
        yield for_both_widths(
            f"learning-{one.dataset}",
            partial(learned_by_seed, title, found, _runs(results, one), colours),
            f"{one.dataset}, {seed_count_text((v.n for v in found.variants.values()), one.unit)}. Dots: "
            f"{'runs' if one.is_divided else 'seeds'}; filled: better than the {words_of(found.prior).prior} over the "
            f"test {worded('images')} (one-sided, 5 %), hollow: not shown to be; crosses: one answer for nearly all "
            f"{worded('images')}, which is nothing learned. Bars: means {over}with joint 95 % intervals of their "
            f"distance from the {words_of(found.prior).short_prior}"
            f"{f', which is the mean of those of all {one.unit}s' if one.is_divided else ''}.",
            f"Which runs and variants learned something on {one.dataset}; shown to have learned: {learned}",
        )


def _runs(results: StudyResults, repeats: Repeats) -> pd.DataFrame:
    """The finished runs of a data set, with the seeds of `emotune.analysis.divided_learning.run_number` if divided."""
    done, seeds = results.records.done(), results.study.seeds
    done = done[done["seed"] < seeds]
    parts: list[pd.DataFrame] = []
    for number, name in enumerate(repeats.names):
        part = done[done["dataset"] == name]
        parts.append(part.assign(seed=part["seed"] + run_number(number, 0, seeds)))
    return pd.concat(parts)


@rc_context(STYLE)
def learned_by_seed(
    title: str, learning: Learning, runs: pd.DataFrame, colours: Mapping[str, str], *, narrow: bool = False
) -> Figure:
    """Each run by the first yardstick, and each variant's mean with the joint interval of its gain over the prior.

    A filled dot is better than the class prior over the test images, a hollow one is not shown to be; a cross gives one
    answer to nearly all images.

    Args:
        title: The data set's title.
        learning: The variants and runs that have learned something.
        runs: The finished runs on this data set: ``variant``, ``seed`` and the yardstick.
        colours: The colours of all variants.
        narrow: Whether the figure is for a narrow screen.
    """
    name = learning.yardsticks[0]
    scale, prior = ALL_SCALES[name], learning.prior.metrics[name]
    shown = [variant for variant in learning.variants if learning.variants[variant].n]
    values = {(row["variant"], row["seed"]): float(row[name]) for row in runs.to_dict("records")}
    by_variant = {v: [run for run in learning.runs if run.variant == v and (v, run.seed) in values] for v in shown}
    summaries = {v: _summary(learning, v, prior) for v in shown}
    rows = [
        TableRow(
            wrap_name(v), f"{sum(run.learned for run in by_variant[v])} of {len(by_variant[v])} runs",
            _shown(learning.variants[v]),
            INK if learning.variants[v].learned else SOFT,
        )
        for v in shown
    ]  # fmt: skip
    ends = [end for summary in summaries.values() for end in summary.interval or ()]
    finite = [value for v in shown for run in by_variant[v] if np.isfinite(value := values[v, run.seed])]
    limits = axis_limits([*finite, prior], ends, 4.0 if scale.unit == "%" else 0.05, scale.bounds)
    figure, axes, edges = table_plot(rows, limits, f"test {scale.label}", top=0.5, narrow=narrow)
    draw_title(figure, title)
    draw_line(axes, edges, prior, SOFT, 0.9, linestyle=(0, (1.5, 1.5)))
    annotate_above(axes, prior, f"{words_of(learning.prior).prior} {scale.format(prior)}")
    for v, (begin, end) in zip(shown, edges, strict=True):
        draw_interval(axes, begin + 0.35 * (end - begin), summaries[v], colours[v])
        _draw_runs(axes, begin + 0.7 * (end - begin), by_variant[v], values, colours[v])
    return figure


def _shown(variant: VariantLearning) -> str:
    """Whether a variant has learned, with the number of seeds if an earlier look has shown it."""
    if not variant.learned:
        return "not shown to have learned"
    return f"learned (at {variant.shown_at} seeds)" if (variant.shown_at or variant.n) < variant.n else "learned"


def _summary(learning: Learning, variant: str, prior: float) -> Summary:
    """The mean of the yardstick, and the prior plus the interval of the gain, as far as such values are possible."""
    name = learning.yardsticks[0]
    gain, scale = learning.variants[variant].gains[name], ALL_SCALES[name]
    sign = 1 if scale.higher_is_better else -1
    if gain.low is None or gain.high is None:
        return Summary(gain.n, prior + sign * gain.mean, None, None, None)
    low, high = np.clip(sorted(prior + sign * end for end in (gain.low, gain.high)), *scale.bounds).tolist()
    return Summary(gain.n, prior + sign * gain.mean, None, low, high)


def _draw_runs(
    axes: Axes, y: float, runs: Sequence[RunLearning], values: Mapping[tuple[str, int], float], colour: str
) -> None:
    """Draws the runs as dots and crosses, those that look alike as one artist."""
    alike: dict[tuple[str, str], list[float]] = {}
    for run in runs:
        value = values[run.variant, run.seed]
        if np.isfinite(value):
            look = "x" if run.answer else "o", colour if run.learned else "none"
            alike.setdefault(look, []).append(value)
    for (marker, face), found in alike.items():
        axes.plot(found, [y] * len(found), marker, color=colour, markerfacecolor=face, markersize=4, clip_on=False,
                  gid="seeds")  # fmt: skip
