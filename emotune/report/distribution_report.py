"""The report's section on predicted distributions: a table of measures, and how they are computed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from emotune.analysis.distribution_metrics import distribution_metrics
from emotune.config.distribution_scales import DISTRIBUTION_SCALES
from emotune.config.labels import WHEELS, has_polarity, no_polarity
from emotune.config.scale import Scale
from emotune.core.sample_noun import worded
from emotune.core.text import listed
from emotune.report.columns import Column, Table, dataset_column, heading
from emotune.report.dataset_info import DatasetInfo
from emotune.report.results import StudyResults
from emotune.runs.distribution_measures import KL_FLOOR

__all__ = ["has_distributions", "measure_sentences", "measure_table"]

TRAINING_MEAN = "training mean"


@dataclass(frozen=True)
class MeasureRow:
    """The measures of a variant on a data set, or of the mean distribution of training.

    Attributes:
        dataset: The data set's name.
        who: The variant's name, or `TRAINING_MEAN`.
        means: The mean of each measure over its finished seeds; NaN where it makes no sense for the classes.
    """

    dataset: str
    who: str
    means: Mapping[str, float]


def has_distributions(results: StudyResults, dataset: str) -> bool:
    """Whether distributions are predicted on a data set, and runs on it have finished."""
    return results.records.task == "distributions" and any(results.predictions[dataset].values())


def measure_table(results: StudyResults, *, several: bool) -> Table:
    """The measures of every variant, below those of the mean distribution of training.

    Args:
        results: The study's results.
        several: Whether the table has a column for the data set.
    """
    rows = []
    for dataset in results.datasets:
        if not has_distributions(results, dataset):
            continue
        prior = distribution_metrics(results.learning[dataset].prior.predictions)
        rows.append(MeasureRow(dataset, TRAINING_MEAN, prior))
        for variant, by_seed in results.predictions[dataset].items():
            values = [distribution_metrics(frame) for frame in by_seed.values()]
            rows.append(MeasureRow(dataset, variant, {name: fmean(v[name] for v in values) for name in prior}))

    def cell(name: str, scale: Scale) -> Callable[[MeasureRow], str]:
        return lambda row: scale.format(row.means[name])

    def title(scale: Scale) -> str:
        return f"{heading(scale)} {'↑' if scale.higher_is_better else '↓'}"

    return Table(
        [
            Column("variant", lambda row: row.who, "name"),
            dataset_column(several),
            *(Column(title(scale), cell(name, scale)) for name, scale in DISTRIBUTION_SCALES.items()),
        ],
        rows,
    )


def measure_sentences(datasets: Sequence[DatasetInfo]) -> list[str]:
    """How the measures are computed, with the divergence's floor and the order of the wheel, and which are missing.

    Args:
        datasets: The descriptions of the data sets whose distributions are predicted.
    """
    datasets = [data for data in datasets if data.classes]  # which are unknown without a manifest
    wheels = [
        f"{' – '.join(wheel)} – (around), {source}"
        for wheel, source in WHEELS if any(set(wheel) == set(data.classes) for data in datasets)
    ]  # fmt: skip
    without = [data.name for data in datasets if not any(set(wheel) == set(data.classes) for wheel, _ in WHEELS)]
    texts = [
        f"Each value is a mean over the test {worded('images')} of how far the predicted distribution q is from the "
        f"shares p of the votes, or of how similar they are. KL: Σ p ln(p/q), where every q below {KL_FLOOR:g} is "
        "raised to it and q normalised again. χ²: Σ (p − q)² / (p + q). Chebyshev: the largest |p − q|. Clark: "
        "√Σ (p − q)² / (p + q)², and Canberra: Σ |p − q| / (p + q), neither divided by the number of classes. Where p "
        "and q are both 0, a fraction counts as 0; a class without votes that gets any share counts fully in Clark and "
        "Canberra. Intersection: Σ min(p, q), one minus the total variation. Bhattacharyya: the coefficient Σ √(p q). "
        "EMD: the earth mover's distance; polarity: between the positive and the negative classes, at distance 1.",
    ]
    if wheels:
        texts.append(f"EMD, wheel: neighbours are one step apart on the circle {'; '.join(wheels)}.")
    if without:
        texts.append(f"There is no EMD on a wheel for {listed(without)}, for whose classes we know of none.")
    if unclear := [f"{data.name} ({no_polarity(data.classes)})" for data in datasets if not has_polarity(data.classes)]:
        texts.append(f"There is no EMD between polarities for {listed(unclear)}.")
    return texts
