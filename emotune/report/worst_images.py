"""The test images whose distributions or ratings are predicted worst, for the report."""

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from emotune.analysis.distribution_diagnostics import worst_images
from emotune.analysis.rating_diagnostics import worst_rated
from emotune.config.distribution_scales import DISTRIBUTION_SCALES, DistributionMetric, as_distribution_metric
from emotune.config.metric import Metric
from emotune.config.run import DatasetRef
from emotune.data.read.thumbnails import thumbnails
from emotune.report.distribution_report import has_distributions
from emotune.report.results import StudyResults

__all__ = ["WorstImage", "WorstImages", "worst_of_variants", "worst_variables"]

MOST_IMAGES = 8
"""Images shown of each variant."""


@dataclass(frozen=True)
class WorstImage:
    """A test image, with what people said and what was predicted.

    Attributes:
        sample_id: The image's id.
        value: The measure, as text.
        true: The largest shares of the votes, or the mean ratings.
        predicted: The largest predicted shares, or the predicted ratings.
        jpeg: The image in base64; empty if it may not be shown.
    """

    sample_id: str
    value: str
    true: str
    predicted: str
    jpeg: str


@dataclass(frozen=True)
class WorstImages:
    """The images that a variant predicts worst.

    Attributes:
        dataset: The data set's name.
        variant: The variant's name.
        images: The images, the worst first.
    """

    dataset: str
    variant: str
    images: Sequence[WorstImage]


def worst_of_variants(results: StudyResults, refs: Mapping[str, DatasetRef]) -> list[WorstImages]:
    """The images that each variant predicts worst; none if classes are predicted.

    Distributions are judged by the study's metric, or by KL if that is no measure of distributions; ratings by the root
    mean square of their errors over the dimensions.

    Args:
        results: The study's results.
        refs: The data sets by name.
    """
    found = []
    for dataset in results.predictions:
        tables = _tables(results, dataset)
        ids = sorted({sample for table in tables.values() for sample in table["sample_id"]})
        jpegs = thumbnails(refs[dataset], ids) if ids else {}
        for variant, table in tables.items():
            columns = zip(table["sample_id"], table["value"], table["true"], table["predicted"], strict=True)
            images = [
                WorstImage(sample, value, true, predicted, base64.b64encode(jpegs.get(sample, b"")).decode())
                for sample, value, true, predicted in columns
            ]
            found.append(WorstImages(dataset, variant, images))
    return found


def worst_variables(results: StudyResults, worst: Sequence[WorstImages]) -> dict[str, Any]:
    """The variables of templates: the images, and the measure by which they are the worst, in words."""
    measure = DISTRIBUTION_SCALES[_measure(results.study.metric)].title
    if results.records.task == "dimensions":
        measure = "the root mean square of the errors over the dimensions, on scales from −1 to 1"
    return {"worst_images": worst, "worst_measure": measure}


def _tables(results: StudyResults, dataset: str) -> dict[str, pd.DataFrame]:
    """The images of each variant, the worst first: ``sample_id, value, true, predicted``, all as text."""
    by_variant = results.predictions[dataset]
    if dimensions := results.records.dimensions.get(dataset):
        tables = {variant: worst_rated(frames, dimensions, MOST_IMAGES) for variant, frames in by_variant.items()}
        return {variant: table.assign(value=table["value"].map("{:.2f}".format)) for variant, table in tables.items()}
    if not has_distributions(results, dataset):
        return {}
    name, tables = _measure(results.study.metric), {}
    for variant, frames in by_variant.items():
        table = worst_images(frames, name, MOST_IMAGES)
        table = table[[math.isfinite(value) for value in table["value"]]]
        tables[variant] = table.assign(value=[DISTRIBUTION_SCALES[name].format(value) for value in table["value"]])
    return tables


def _measure(metric: Metric) -> DistributionMetric:
    """The measure by which distributions are the worst."""
    return as_distribution_metric(metric.column) or "kl"
