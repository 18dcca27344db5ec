"""The report's plots. Each takes tidy tables and gives a figure; none knows about files."""

from collections.abc import Mapping, Sequence

import matplotlib
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from emotune.analysis.metrics import confusion
from emotune.analysis.statistics import Comparison, Summary, Verdict
from emotune.metric_config import Metric

__all__ = ["confusion_matrices", "contrast_intervals", "learning_curves", "metric_by_variant", "variant_colours"]

STYLE = {
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.fonttype": "path",  # the same letters everywhere
    "figure.dpi": 100,
}
INK, GRID = "#222222", "#dddddd"
VERDICT_COLOURS = {
    Verdict.BETTER: "#2a7f3f",
    Verdict.WORSE: "#b3261e",
    Verdict.EQUIVALENT: "#1f5fa8",
    Verdict.UNRESOLVED: "#777777",
}


def variant_colours(variants: Sequence[str]) -> dict[str, str]:
    """A colour per variant, the same in all figures."""
    return dict(zip(variants, sns.color_palette("colorblind", len(variants)).as_hex(), strict=True))


def metric_by_variant(
    title: str,
    runs: pd.DataFrame,
    metric: Metric,
    summaries: Mapping[str, Summary],
    constant: float,
    colours: Mapping[str, str],
) -> Figure:
    """Every seed's value of the study's metric, and per variant the mean with its 95 % t interval.

    Args:
        title: Of the figure: the data set.
        runs: Finished runs of one data set.
        metric: The study's.
        summaries: Per variant.
        constant: What a predictor gets that gives every picture the classes' frequencies.
        colours: Per variant.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 0.55 * len(summaries) + 1.1), layout="constrained")
        axes = figure.subplots()
        order = list(summaries)
        sns.stripplot(
            runs, x=metric.name, y="variant", order=order, hue="variant", hue_order=order, palette=dict(colours),
            jitter=False, alpha=0.65, size=6, legend=False, ax=axes,
        )  # fmt: skip
        for row, (variant, summary) in enumerate(summaries.items()):
            _interval(axes, row + 0.28, summary, colours[variant])
        axes.axvline(constant, color=INK, linestyle=":", linewidth=1)
        axes.annotate("constant\npredictor", (constant, -0.45), xytext=(4, 0), textcoords="offset points", fontsize=7,
                      va="top", color=INK)  # fmt: skip
        axes.set(title=title, xlabel=f"test {metric.scale.label} (dots: seeds; bar: mean and 95 % interval)", ylabel="",
                 ylim=(len(order) - 0.45, -0.5))  # fmt: skip
        axes.grid(axis="x", color=GRID, linewidth=0.6)
        axes.set_axisbelow(True)
    return figure


def contrast_intervals(comparisons: Sequence[Comparison], metric: Metric) -> Figure:
    """The differences of the declared contrasts with 95 % t intervals, and the band that would not matter."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 0.5 * len(comparisons) + 1.1), layout="constrained")
        axes = figure.subplots()
        axes.axvspan(-metric.min_effect, metric.min_effect, color=GRID, alpha=0.7, linewidth=0)
        axes.axvline(0, color=INK, linewidth=0.8)
        for row, comparison in enumerate(comparisons):
            colour = VERDICT_COLOURS[comparison.verdict or Verdict.UNRESOLVED]
            values = list(comparison.differences.values())
            axes.plot(values, [row] * len(values), "o", color=colour, alpha=0.5, markersize=5)
            _interval(axes, row + 0.22, comparison.summary, colour)
        several = len({c.dataset for c in comparisons}) > 1
        labels = [f"{c.contrast}\n{c.dataset}" if several else str(c.contrast) for c in comparisons]
        axes.set_yticks(range(len(comparisons)), labels)
        what = ", ".join(filter(None, [metric.scale.title, metric.scale.steps]))
        better = "" if metric.scale.higher_is_better else "; lower is better"
        axes.set(xlabel=f"difference in {what} (grey: ±{metric.min_effect:g}, would not matter{better})",
                 ylim=(len(comparisons) - 0.4, -0.6))  # fmt: skip
        axes.grid(axis="x", color=GRID, linewidth=0.6)
        axes.set_axisbelow(True)
    return figure


def learning_curves(title: str, curves: pd.DataFrame, colours: Mapping[str, str]) -> Figure:
    """Training and validation accuracy by epoch: the mean over seeds, and every seed faintly."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 3.1), layout="constrained")
        figure.suptitle(title, fontsize=9)
        epochs = curves["epoch"].max()
        for axes, (column, pictures) in zip(
            figure.subplots(1, 2, sharey=True),
            [("train_accuracy", "training pictures (augmented, dropout on)"), ("val_accuracy", "validation pictures")],
            strict=True,
        ):
            common = {"x": "epoch", "y": column, "hue": "variant", "hue_order": list(colours), "palette": dict(colours)}
            sns.lineplot(
                curves,
                **common,
                units="run",
                estimator=None,
                alpha=0.25,
                linewidth=0.8,
                marker=".",
                legend=False,
                ax=axes,
            )
            legend = "auto" if column == "val_accuracy" else False
            sns.lineplot(
                curves, **common, errorbar=None, linewidth=1.8, marker="o", markersize=4, legend=legend, ax=axes
            )
            axes.set(title=pictures, ylabel="accuracy, %", xlim=(0.5, epochs + 0.5))
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
            axes.grid(color=GRID, linewidth=0.6)
        axes.legend(title="", fontsize=8, frameon=False)
    return figure


def confusion_matrices(title: str, predictions: Mapping[str, Sequence[pd.DataFrame]]) -> Figure:
    """Per variant: how often, in per cent, a class's test pictures were given each class, over all seeds."""
    with matplotlib.rc_context(STYLE):
        columns = min(3, len(predictions))
        rows = -(-len(predictions) // columns)
        figure = Figure(figsize=(2.3 * columns + 0.5, 2.6 * rows + 0.5), layout="constrained")
        figure.suptitle(title, fontsize=9)
        grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
        for axes, (variant, runs) in zip(grid, predictions.items(), strict=False):
            counts = sum(confusion(run) for run in runs)
            share = 100 * counts.div(counts.sum(axis=1).clip(lower=1), axis=0)
            sns.heatmap(share, vmin=0, vmax=100, cmap="Blues", annot=True, fmt=".0f", annot_kws={"size": 5.5},
                        square=True, cbar=False, linewidths=0.3, ax=axes)  # fmt: skip
            axes.set(title=f"{variant} ({len(runs)} seed{'s' * (len(runs) != 1)})", xlabel="", ylabel="")
            axes.tick_params(axis="both", labelsize=6.5, length=0)
            axes.tick_params(axis="x", rotation=90)
        for axes in grid[len(predictions) :]:
            axes.set_visible(False)
        figure.supxlabel("predicted", fontsize=8)
        figure.supylabel("label", fontsize=8)
    return figure


def _interval(axes: Axes, row: float, summary: Summary, colour: str) -> None:
    if summary.n:
        axes.plot([summary.mean], [row], "|", color=colour, markersize=10, markeredgewidth=2.2)
    if summary.low is not None:
        axes.plot([summary.low, summary.high], [row, row], color=colour, linewidth=2.2, solid_capstyle="butt")
