"""Forest plots: the differences of the declared contrasts with their intervals and the region of equivalence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import ScaledTranslation

from emotune.analysis.looks import Look
from emotune.analysis.seeds import Comparison, Summary
from emotune.analysis.verdict import Verdict
from emotune.config.contrast import Contrast
from emotune.config.metric import Metric
from emotune.core.sample_noun import worded
from emotune.report.figures.layout import axis_limits, wrap_name
from emotune.report.figures.style import GRID, INK, SMALL, SOFT, STYLE, VERDICT_COLOURS, VERDICT_MARKERS
from emotune.report.figures.table_plot import (
    TableRow,
    annotate_above,
    draw_band,
    draw_interval,
    draw_line,
    draw_seeds,
    table_plot,
)

if TYPE_CHECKING:
    from emotune.analysis.images import ImageBootstrap

__all__ = ["contrast_forest", "interval_comparison", "intervals_over_looks", "transfer_forest"]

NOISE_FLOOR_LABEL = "noise floor\n(A/A)"


@dataclass(frozen=True)
class _Row:
    """A row of a forest plot.

    Attributes:
        texts: Its texts.
        summary: The mean and interval to draw; None for a heading.
        colour: Their colour.
        marker: The marker of the mean.
        width: The width of the interval's line, in points.
        values: The values of single seeds, drawn below the interval.
        sets_limits: Whether the axis has room for the interval; otherwise its ends may be arrows.
    """

    texts: TableRow
    summary: Summary | None = None
    colour: str = SOFT
    marker: str = "o"
    width: float = 2.0
    values: Sequence[float] = ()
    sets_limits: bool = True


@rc_context(STYLE)
def contrast_forest(
    comparisons: Sequence[Comparison], metric: Metric, aa: Mapping[str, Comparison], *, narrow: bool = False
) -> Figure:
    """The differences of the declared contrasts by data set: every seed, the mean and its joint 95 % interval.

    The grey band is the region of equivalence. A last row has the A/A difference, where the study has an A/A variant:
    one estimate of the difference that arises without any change, with an interval of its own.

    Args:
        comparisons: The declared contrasts.
        metric: The study's metric.
        aa: The comparison of the baseline with itself, by data set.
        narrow: Whether the figure is for a narrow screen.
    """
    rows: list[_Row] = []
    several = len({c.dataset for c in comparisons}) > 1
    for dataset, group in groupby(sorted(comparisons, key=_dataset_order(comparisons)), lambda c: c.dataset):
        if several:
            rows.append(_Row(TableRow(dataset, heading=True)))
        rows += [_contrast_row(c, metric) for c in group]
        if dataset in aa:
            summary = aa[dataset].summary
            texts = TableRow(NOISE_FLOOR_LABEL, _summary_text(summary, metric), f"own interval, n = {summary.n}")
            values = list(aa[dataset].differences.values())
            rows.append(_Row(texts, summary, SOFT, "D", values=values, sets_limits=False))
    return _forest(rows, comparisons, metric, narrow=narrow)


@rc_context(STYLE)
def interval_comparison(
    comparisons: Sequence[Comparison],
    image_bootstraps: Sequence["ImageBootstrap"],
    metric: Metric,
    *,
    narrow: bool = False,
) -> Figure:
    """The difference of each contrast with three 95 % intervals of its own: for other seeds, other images, and both.

    Args:
        comparisons: The contrasts with the intervals of their own seeds.
        image_bootstraps: The contrasts with their intervals over images; contrasts that are missing here get only the
            interval over seeds.
        metric: The study's metric.
        narrow: Whether the figure is for a narrow screen.
    """
    others = {(o.contrast, o.dataset): o for o in image_bootstraps}
    several = len({c.dataset for c in comparisons}) > 1
    rows: list[_Row] = []
    for c in sorted(comparisons, key=_dataset_order(comparisons)):
        rows.append(_heading(f"{c.contrast}" + f" on {c.dataset}" * several, narrow=narrow))
        intervals = [("other seeds", c.paired)]
        if (over := others.get((c.contrast, c.dataset))) is not None:
            n = len(over.seeds)
            intervals.append((worded("other images"), Summary(n, over.mean, None, over.low, over.high)))
            intervals.append(("both", Summary(n, over.mean, None, over.crossed_low, over.crossed_high)))
        for label, summary in intervals:
            look = (INK, "D", 2.4) if label == "both" else (SOFT, "o", 1.2)
            rows.append(_Row(TableRow(label, _summary_text(summary, metric), least=0.19), summary, *look))
    return _forest(rows, comparisons, metric, narrow=narrow)


@rc_context(STYLE)
def intervals_over_looks(looks: Sequence[Look], metric: Metric, *, narrow: bool = False) -> Figure:
    """The joint interval of each contrast at each look of adaptive seeds, until it is resolved.

    Args:
        looks: The looks at one data set that are reached, of which the first has all contrasts.
        metric: The study's metric.
        narrow: Whether the figure is for a narrow screen.
    """
    rows: list[_Row] = []
    for contrast in [c.contrast for c in looks[0].comparisons]:
        rows.append(_heading(str(contrast), narrow=narrow))
        for look in looks:
            for c in (c for c in look.comparisons if c.contrast == contrast):
                verdict = c.verdict or Verdict.UNRESOLVED
                texts = TableRow(
                    f"{look.seeds} seeds", _summary_text(c.summary, metric), str(verdict), VERDICT_COLOURS[verdict]
                )
                rows.append(_Row(texts, c.summary, texts.colour, VERDICT_MARKERS[verdict]))
    return _forest(rows, looks[0].comparisons, metric, narrow=narrow)


@rc_context(STYLE)
def transfer_forest(
    groups: Sequence[tuple[str, Sequence[tuple[Comparison, Comparison]]]], metric: Metric, *, narrow: bool = False
) -> Figure:
    """The declared contrasts on other data sets: every seed and the mean there, above the mean of the own test.

    Args:
        groups: The heading of each other data set, and each contrast there and on the own test images.
        metric: The metric.
        narrow: Whether the figure is for a narrow screen.
    """
    rows: list[_Row] = []
    for heading, contrasts in groups:
        rows.append(_heading(heading, narrow=narrow))
        for there, own in contrasts:
            texts = TableRow("own test", _summary_text(own.summary, metric), least=0.19)
            rows += [_contrast_row(there, metric), _Row(texts, own.summary, SOFT, "o", 1.2)]
    return _forest(rows, [there for _, contrasts in groups for there, _ in contrasts], metric, narrow=narrow)


def _forest(rows: Sequence[_Row], comparisons: Sequence[Comparison], metric: Metric, *, narrow: bool) -> Figure:
    """The forest plot of some rows, with zero and the region of equivalence."""
    shown = [row.summary for row in rows if row.summary and row.summary.n]
    values = [value for row in rows for value in row.values] + [s.mean for s in shown]
    ends = [end for row in rows if row.summary and row.sets_limits for end in row.summary.interval or ()]
    limits = axis_limits([*values, 0, -1.4 * metric.min_effect, 1.4 * metric.min_effect], ends, 4 * metric.min_effect)
    texts = [row.texts for row in rows]
    figure, axes, edges = table_plot(texts, limits, _axis_label(metric), bottom=0.56, narrow=narrow)
    _draw_equivalence_region(axes, edges, metric, sides=all(c.contrast.compares_means for c in comparisons))
    for row, (begin, end) in zip(rows, edges, strict=True):
        if row.summary and row.summary.n:
            y = begin + (0.42 if row.values else 0.5) * (end - begin)
            draw_interval(axes, y, row.summary, row.colour, row.marker, row.width)
            if row.values:
                draw_seeds(axes, begin + 0.72 * (end - begin), row.values, row.colour)
    return figure


def _contrast_row(c: Comparison, metric: Metric) -> _Row:
    verdict = c.verdict or Verdict.UNRESOLVED
    tag = f"{verdict}, n = {c.summary.n}{', declared late' if c.late else ''}" if c.summary.n else ""
    colour = VERDICT_COLOURS[verdict]
    texts = TableRow(_contrast_label(c.contrast), _summary_text(c.summary, metric), tag, colour)
    return _Row(texts, c.summary, colour, VERDICT_MARKERS[verdict], values=list(c.differences.values()))


def _heading(text: str, *, narrow: bool) -> _Row:
    return _Row(TableRow(wrap_name(_with_minus(text), 40 if narrow else 72), heading=True))


def _dataset_order(comparisons: Sequence[Comparison]):
    """The sort key that groups comparisons by data set, in the order of their first occurrence."""
    datasets = list(dict.fromkeys(c.dataset for c in comparisons))
    return lambda c: datasets.index(c.dataset)


def _contrast_label(contrast: Contrast) -> str:
    whole = _with_minus(str(contrast))
    if len(whole) <= 24 or contrast.pair is None or contrast.name != contrast.formula:
        return wrap_name(whole, 24)
    variant, reference = contrast.pair
    return f"{wrap_name(variant, 24)}\n− {wrap_name(reference, 22)}"


def _with_minus(text: str) -> str:
    return text.replace(" - ", " − ")


def _summary_text(summary: Summary, metric: Metric) -> str:
    if not summary.n:
        return "no finished pair"
    ends = metric.format_interval(summary.interval) if summary.interval else "no interval"
    return f"{metric.format_signed(summary.mean)} ({ends})"


def _axis_label(metric: Metric) -> str:
    return "difference in " + ", ".join(filter(None, [metric.scale.title, metric.scale.difference_units]))


def _draw_equivalence_region(axes: Axes, edges: Sequence[tuple[float, float]], metric: Metric, *, sides: bool) -> None:
    """Draws zero, the region of equivalence, and which side is better, if all contrasts have sides."""
    draw_band(axes, edges, -metric.min_effect, metric.min_effect, color=GRID, alpha=0.6)
    draw_line(axes, edges, 0, INK, 0.8)
    annotate_above(axes, 0, f"equivalence (±{metric.min_effect:g})")
    if not sides:
        return
    left, right = ("second is better", "first is better")[:: 1 if metric.scale.higher_is_better else -1]
    below = axes.get_xaxis_transform() + ScaledTranslation(0, -34 / 72, axes.figure.dpi_scale_trans)
    for x, text, ha in ((axes.get_xlim()[0], f"← {left}", "left"), (axes.get_xlim()[1], f"{right} →", "right")):
        axes.text(x, 0, text, transform=below, ha=ha, fontsize=SMALL, color=SOFT)
