"""Which figures a report has, with what is said below each and what it shows to those who do not see it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from emotune.analysis import profiles
from emotune.analysis.metrics import constant_predictions, scalar_metrics
from emotune.report.figures import accuracy, attention, calibration, classes, contrasts, curves
from emotune.report.findings import Findings
from emotune.report.style import variant_colours

__all__ = ["Drawn", "Examples", "draw"]

Examples = Mapping[str, bytes]
"""JPEGs by sample id; empty where the data may not be shown."""


@dataclass(frozen=True)
class Drawn:
    """A figure, its file's name, its caption, and its text alternative."""

    name: str
    figure: Figure
    caption: str
    alt: str


def draw(findings: Findings, titles: Mapping[str, str], examples: Mapping[str, Examples]) -> Iterator[Drawn]:
    """The report's figures, one at a time; none where no run is finished.

    Args:
        findings: What is drawn.
        titles: Of data sets, by name.
        examples: Pictures that attention is shown on, by data set.
    """
    yield from _contrasts(findings)
    for dataset in findings.datasets:
        if findings.predictions[dataset]:
            yield from _results(findings, dataset, titles[dataset])
            yield from _answers(findings, dataset, titles[dataset])
            yield from _attention(findings, dataset, titles[dataset], examples.get(dataset, {}))


def _contrasts(findings: Findings) -> Iterator[Drawn]:
    study, shown = findings.study, [c for c in findings.comparisons if c.summary.n]
    metric = study.metric
    if not shown:
        return
    floor = " Hatched: the A/A interval, the baseline against itself under other initial weights and dropout masks." if findings.floors else ""
    yield Drawn(
        "contrasts", contrasts.forest(findings.comparisons, metric, findings.floors),
        f"Declared contrasts, {_pairs(c.summary.n for c in shown)}. Dots: seeds; bar: mean and 95 % t interval. "
        f"Grey band: ±{metric.scale.amount(metric.min_effect)}, which would not matter.{floor}",
        f"Forest plot of the declared contrasts in {metric.scale.label}: "
        + "; ".join(f"{c.contrast} on {c.dataset} {metric.scale.signed(c.summary.mean)}, {c.verdict}" for c in shown),
    )  # fmt: skip
    if findings.over_pictures:
        yield Drawn(
            "uncertainty", contrasts.uncertainties(findings.comparisons, findings.over_pictures, metric),
            f"Three 95 % intervals for each declared contrast, each the answer to another question "
            f"({_pairs(c.summary.n for c in shown)}; test pictures as in the table).",
            "Intervals of each declared contrast over seeds, over pictures, and over both",
        )  # fmt: skip


def _results(findings: Findings, dataset: str, title: str) -> Iterator[Drawn]:
    study, done = findings.study, findings.done(dataset)
    metric, colours = study.metric, variant_colours(list(study.variants))
    summaries = {v: s for v, s in findings.summaries(dataset).items() if s.n}
    first = next(iter(next(iter(findings.predictions[dataset].values())).values()))
    constant = scalar_metrics(constant_predictions(first))[metric.name]
    means = "; ".join(f"{v} {metric.scale.written(s.mean)}" for v, s in summaries.items())
    of = f"{dataset}, {_seeds(s.n for s in summaries.values())}, {len(first):,} test pictures"
    yield Drawn(
        f"{metric.name}-{dataset}", accuracy.by_seed(title, done, metric, summaries, constant, colours),
        f"{of}. Every seed is a dot; bar: mean and 95 % t interval. The constant predictor gives every picture the "
        "classes' frequencies.",
        f"Test {metric.scale.label} of every seed by variant on {dataset}; means: {means}",
    )  # fmt: skip
    if done["forward_flops"].notna().any():
        yield Drawn(
            f"cost-{dataset}", accuracy.against_cost(title, _costs(done, summaries), metric),
            f"{of}. Mean and 95 % t interval; all three costs on logarithmic axes. Time is that of the machines named below.",
            f"{metric.scale.title} on {dataset} against parameters, FLOPs and training time of each variant",
        )  # fmt: skip
    noted = findings.records.curves
    noted = noted[noted["run"].isin(done["run"])]
    shown = {v: colours[v] for v in summaries}
    yield Drawn(
        f"curves-{dataset}", curves.learning_curves(title, noted, shown),
        f"{of.partition(',')[0]}, {_seeds(s.n for s in summaries.values())}: mean and 95 % t interval over seeds; faint: every seed.",
        f"Accuracy on training and validation pictures of {dataset} by epoch, for each variant",
    )  # fmt: skip
    if noted["attention_entropy"].notna().any():
        attending = noted.dropna(subset="attention_entropy")
        own = {v: c for v, c in shown.items() if v in set(attending["variant"])}
        yield Drawn(
            f"entropy-{dataset}", curves.attention_entropy(title, attending, own),
            f"{dataset}, {_seeds(summaries[v].n for v in own)}: entropy of the attention weights over the 36 positions, mean of the "
            "validation pictures. The line is that of uniform weights, log 36 = 3.58 nats.",
            f"Entropy of the attention weights on {dataset} by epoch, for each variant that has attention",
        )  # fmt: skip


def _costs(done: pd.DataFrame, summaries: Mapping) -> pd.DataFrame:
    means = done.groupby("variant")[["parameters", "forward_flops", "train_s"]].mean().reindex(list(summaries))
    spread = pd.DataFrame(
        [{"variant": v, "mean": s.mean, "low": s.low, "high": s.high} for v, s in summaries.items()]
    ).set_index("variant")
    return means.join(spread).reset_index(names="variant")


def _answers(findings: Findings, dataset: str, title: str) -> Iterator[Drawn]:
    study, predictions = findings.study, findings.predictions[dataset]
    colours = {v: c for v, c in variant_colours(list(study.variants)).items() if v in predictions}
    of = f"{dataset}, {_seeds(len(frames) for frames in predictions.values())}"
    recalls = profiles.recalls(predictions)
    differences = profiles.recall_differences(recalls, study.baseline) if study.baseline in predictions else None
    if differences is not None:
        yield Drawn(
            f"recall-{dataset}", classes.recall(title, recalls, differences, study.baseline, colours),
            f"{of}. Left: recall by class, every seed and the mean. Right: difference to {study.baseline}, paired by seed, "
            "with 95 % t intervals, not corrected for the number of classes: exploratory.",
            f"Recall of each class by variant on {dataset}, and its difference to {study.baseline}",
        )  # fmt: skip
    shares = {variant: profiles.confusion_shares(frames) for variant, frames in predictions.items()}
    yield Drawn(
        f"confusion-{dataset}", classes.confusions(title, shares, {v: len(f) for v, f in predictions.items()}),
        f"{of}. Per cent of each label's test pictures (rows add up to 100), over seeds.",
        f"Confusion matrices of each variant on {dataset}",
    )  # fmt: skip
    if study.baseline in shares and len(shares) > 1:
        yield Drawn(
            f"confusion-difference-{dataset}", classes.confusion_differences(title, shares, study.baseline),
            f"{of}. Each variant's confusions less those of {study.baseline}, in points; written where 1 or more.",
            f"Differences of the confusion matrices to {study.baseline} on {dataset}",
        )  # fmt: skip
    done = findings.done(dataset)
    ece = done.groupby("variant")["ece"].mean()
    tables = {variant: profiles.calibration(frames) for variant, frames in predictions.items()}
    yield Drawn(
        f"calibration-{dataset}", calibration.reliability(title, tables, colours, {v: float(ece[v]) for v in tables}),
        f"{of}. Accuracy of answers given with like confidence; on the diagonal confidence is right. Below: share of the pictures. "
        "ECE: mean over seeds, 15 bins.",
        f"Reliability diagrams on {dataset}; expected calibration error: "
        + "; ".join(f"{v} {ece[v]:.1f} points" for v in tables),
    )  # fmt: skip


def _attention(findings: Findings, dataset: str, title: str, examples: Examples) -> Iterator[Drawn]:
    records, done = findings.records, findings.done(dataset)
    frames = {
        variant: [records.attention[run] for run in mine["run"] if run in records.attention]
        for variant, mine in done.groupby("variant", sort=False)
    }
    frames = {variant: frames[variant] for variant in findings.study.variants if frames.get(variant)}
    if not frames:
        return
    maps: dict[str, np.ndarray] = {}
    for variant, of in frames.items():
        layers = profiles.mean_attention(of)
        maps |= {variant if len(layers) == 1 else f"{variant} {layer}": m for layer, m in layers.items()}
    seeds = _seeds(len(of) for of in frames.values())
    yield Drawn(
        f"attention-{dataset}", attention.mean_maps(title, maps),
        f"{dataset}, {seeds}: mean attention over all test pictures, times 36; 1 is uniform.",
        f"Mean attention maps over the test pictures of {dataset}: {', '.join(maps)}",
    )  # fmt: skip
    for variant, of in frames.items() if examples else ():
        captions = {row.sample_id: row.target for row in next(iter(findings.predictions[dataset][variant].values())).itertuples()}
        yield Drawn(
            f"overlays-{dataset}-{variant}",
            attention.overlays(f"{title}: {variant}", examples, profiles.picture_attention(of, list(examples)),
                               {sample: captions[sample] for sample in examples}),
            f"{dataset}, {variant}, {_seeds([len(of)])}: example pictures, and where attention lies on them (mean over seeds and "
            "layers). The first of each class by sample id, not chosen by how they look.",
            f"Example pictures of {dataset} with the attention of {variant} laid over them",
        )  # fmt: skip


def _seeds(counts: "Iterator[int] | list[int]") -> str:
    """``3 seeds``, or ``2 to 3 seeds`` where variants have different numbers."""
    found = sorted(set(counts))
    return f"{found[0]}{f' to {found[-1]}' if len(found) > 1 else ''} seed{'s' if found[-1] != 1 else ''}"


def _pairs(counts: Iterator[int]) -> str:
    return _seeds(counts).replace("seed", "paired seed")
