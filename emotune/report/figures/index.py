"""Which figures a report has, with what is said below each and what it shows to those who do not see it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from emotune.analysis import diagnostics
from emotune.analysis.metrics import constant_predictions, scalar_metrics
from emotune.analysis.seeds import Summary
from emotune.report.figures import accuracy, attention, calibration, classes, contrasts, curves
from emotune.report.figures.style import seed_count_text, variant_colours
from emotune.report.results import StudyResults

__all__ = ["FigureEntry", "draw_figures"]


@dataclass(frozen=True)
class FigureEntry:
    """A figure, its file's name, its caption, and its text alternative."""

    name: str
    figure: Figure
    caption: str
    alt: str


def draw_figures(
    results: StudyResults, titles: Mapping[str, str], examples: Mapping[str, Mapping[str, bytes]]
) -> Iterator[FigureEntry]:
    """The report's figures, one at a time; none where no run is finished.

    Args:
        results: What is drawn.
        titles: Of data sets, by name.
        examples: Images that attention is laid over, by data set and sample id.
    """
    yield from _contrast_figures(results)
    for name, predictions in results.predictions.items():
        if predictions:
            part = _DatasetFigures(results, name, titles[name])
            yield from part.results()
            yield from part.curves()
            yield from part.classes()
            yield from part.attention(examples.get(name, {}))


def _contrast_figures(results: StudyResults) -> Iterator[FigureEntry]:
    metric, shown = results.study.metric, [c for c in results.comparisons if c.summary.n]
    if not shown:
        return
    pairs = seed_count_text(c.summary.n for c in shown).replace("seed", "paired seed")
    floor = " Hatched: the A/A interval, the baseline against itself, one draw of what no change gives."
    means = "; ".join(f"{c.contrast} on {c.dataset} {metric.format_signed(c.summary.mean)}, {c.verdict}" for c in shown)
    yield FigureEntry(
        "contrasts",
        contrasts.contrast_forest(results.comparisons, metric, results.noise_floor),
        f"Declared contrasts, {pairs}. Dots: seeds; bar: mean and 95 % t interval. Grey band: "
        f"±{metric.scale.format_amount(metric.min_effect)}, which would not matter."
        f"{floor if results.noise_floor else ''}",
        f"Forest plot of the declared contrasts, difference in {metric.scale.label}: {means}",
    )
    if results.image_bootstraps:
        yield FigureEntry(
            "uncertainty",
            contrasts.interval_comparison(results.comparisons, results.image_bootstraps, metric),
            f"Declared contrasts, {pairs}: three 95 % intervals of each, the answers to three questions.",
            "Intervals of each declared contrast over seeds, over images, and over both; numbers in the tables",
        )


class _DatasetFigures:
    """The figures of one data set."""

    def __init__(self, results: StudyResults, dataset: str, title: str) -> None:
        self._results, self._dataset, self._title = results, dataset, title
        self._study, self._metric = results.study, results.study.metric
        self._predictions, self._done = results.predictions[dataset], results.done(dataset)
        self._summaries = {v: s for v, s in results.summaries(dataset).items() if s.n}
        colours = variant_colours(list(self._study.variants))
        self._colours = {variant: colours[variant] for variant in self._summaries}
        self._of = f"{dataset}, {seed_count_text(s.n for s in self._summaries.values())}"

    def results(self) -> Iterator[FigureEntry]:
        first = next(iter(next(iter(self._predictions.values())).values()))
        constant = scalar_metrics(constant_predictions(first))[self._metric.name]
        scale = self._metric.scale
        means = "; ".join(f"{variant} {scale.format(s.mean)}" for variant, s in self._summaries.items())
        yield FigureEntry(
            f"{self._metric.name}-{self._dataset}",
            accuracy.metric_by_variant(self._title, self._done, self._metric, self._summaries, constant, self._colours),
            f"{self._of}, {len(first):,} test images. Dots: seeds; bar: mean and 95 % t interval, for itself. "
            "The constant predictor gives every image the classes' frequencies among these images.",
            f"Test {scale.label} of every seed by variant on {self._dataset}; means: {means}",
        )
        yield FigureEntry(
            f"cost-{self._dataset}",
            accuracy.metric_against_cost(self._title, _costs(self._done, self._summaries), self._metric),
            f"{self._of}: mean and 95 % t interval. FLOPs: of one image's forward pass. Time: of training, on the "
            "hardware named below.",
            f"Test {scale.label} on {self._dataset} against parameters, FLOPs and training time; numbers in the "
            "table of variants",
        )

    def curves(self) -> Iterator[FigureEntry]:
        noted = self._results.records.curves
        noted = noted[noted["run"].isin(self._done["run"]) & noted["variant"].isin(list(self._study.networks))]
        if noted.empty:
            return
        yield FigureEntry(
            f"curves-{self._dataset}",
            curves.learning_curves(self._title, noted, self._colours),
            f"{self._of}: mean and 95 % t interval over seeds; faint: every seed. Training images are augmented.",
            f"Accuracy on training and validation images of {self._dataset} by epoch, for each variant",
        )
        attending = noted.dropna(subset="attention_entropy")
        if len(attending):
            own = {v: colour for v, colour in self._colours.items() if v in set(attending["variant"])}
            yield FigureEntry(
                f"entropy-{self._dataset}",
                curves.attention_entropy(self._title, attending, own),
                f"{self._dataset}, {seed_count_text(self._summaries[v].n for v in own)}: entropy of the 36 attention "
                "weights, mean over validation images and layers. The line: log 36 = 3.58 nats, uniform weights.",
                f"Entropy of the attention weights on {self._dataset} by epoch: {', '.join(own)}",
            )

    def classes(self) -> Iterator[FigureEntry]:
        baseline, shares = self._study.baseline, {}
        shares = {variant: diagnostics.confusion_shares(frames) for variant, frames in self._predictions.items()}
        if baseline in shares:
            recalls = diagnostics.recalls(self._predictions)
            differences = diagnostics.recall_differences(recalls, baseline)
            yield FigureEntry(
                f"recall-{self._dataset}",
                classes.recall(self._title, recalls, differences, baseline, self._colours),
                f"{self._of}. Left: recall by class, every seed and the mean. Right: its difference to {baseline}, "
                "paired by seed, with 95 % t intervals, not corrected for the number of classes: exploratory.",
                f"Recall of each class by variant on {self._dataset}, and its difference to {baseline}",
            )
        yield FigureEntry(
            f"confusion-{self._dataset}",
            classes.confusion_matrices(
                self._title, shares, {v: len(frames) for v, frames in self._predictions.items()}
            ),
            f"{self._of}. Per cent of each label's test images (rows add up to 100), over seeds.",
            f"Confusion matrices on {self._dataset}: {', '.join(shares)}",
        )
        if baseline in shares and len(shares) > 1:
            yield FigureEntry(
                f"confusion-difference-{self._dataset}",
                classes.confusion_differences(self._title, shares, baseline),
                f"{self._of}. Each variant's confusions less those of {baseline}, in points; written where 1 or more.",
                f"Differences of the confusion matrices to {baseline}'s on {self._dataset}",
            )
        errors = {v: float(mean) for v, mean in self._done.groupby("variant")["ece"].mean()[list(shares)].items()}
        tables = {variant: diagnostics.calibration(frames) for variant, frames in self._predictions.items()}
        said = "; ".join(f"{variant} {error:.1f} points" for variant, error in errors.items())
        yield FigureEntry(
            f"calibration-{self._dataset}",
            calibration.reliability(self._title, tables, self._colours, errors),
            f"{self._of}. Accuracy of answers that were given with like confidence; on the diagonal confidence is "
            "right. Below: share of the images. ECE: expected calibration error in points, 15 bins, mean over seeds.",
            f"Reliability diagrams on {self._dataset}; expected calibration error: {said}",
        )

    def attention(self, examples: Mapping[str, bytes]) -> Iterator[FigureEntry]:
        known, maps = self._results.records.attention, {}
        runs = {v: self._done.loc[self._done["variant"] == v, "run"] for v in self._summaries}
        frames = {v: of for v, ids in runs.items() if (of := [known[run] for run in ids if run in known])}
        if not frames:
            return
        for variant, of in frames.items():
            layers: dict[str, np.ndarray] = diagnostics.mean_attention(of)
            maps |= {variant if len(layers) == 1 else f"{variant} {layer}": m * m.size for layer, m in layers.items()}
        yield FigureEntry(
            f"attention-{self._dataset}",
            attention.mean_attention_maps(self._title, maps),
            f"{self._dataset}, {seed_count_text(map(len, frames.values()))}: attention over the 6 × 6 positions, mean "
            "over all test images, times 36: 1 is uniform.",
            f"Mean attention maps over the test images of {self._dataset}: {', '.join(maps)}",
        )
        for variant, of in frames.items() if examples else ():
            first = next(iter(self._predictions[variant].values())).set_index("sample_id")["target"]
            labels = {sample: first[sample] for sample in examples}
            laid = diagnostics.image_attention(of, list(examples))
            yield FigureEntry(
                f"overlays-{self._dataset}-{variant}",
                attention.attention_overlays(f"{self._title}: {variant}", examples, laid, labels),
                f"{self._dataset}, {variant}, {seed_count_text([len(of)])}: example test images, and where attention "
                "lies on them, mean over seeds and layers. Chosen by their sample ids, not by their looks.",
                f"Example images of {self._dataset} with the attention of {variant} laid over them",
            )


def _costs(done: pd.DataFrame, summaries: Mapping[str, Summary]) -> pd.DataFrame:
    """A row per variant: what it costs, and the mean of the metric with its interval."""
    rows = [{"variant": v, "mean": s.mean, "low": s.low, "high": s.high} for v, s in summaries.items()]
    costs = done.groupby("variant")[["parameters", "forward_flops", "train_s"]].mean()
    return pd.DataFrame(rows).join(costs, on="variant")
