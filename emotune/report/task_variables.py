"""The variables of templates that only distributions or dimensions have."""

from collections.abc import Sequence
from typing import Any

from emotune.report.dataset_info import DatasetInfo
from emotune.report.distribution_report import measure_sentences
from emotune.report.rater_noise import noise_sentences
from emotune.report.results import StudyResults
from emotune.report.worst_images import WorstImages, worst_variables

__all__ = ["task_variables"]


def task_variables(
    results: StudyResults, datasets: Sequence[DatasetInfo], worst: Sequence[WorstImages]
) -> dict[str, Any]:
    """The measures of distributions, the bound that the raters' noise sets, and the images predicted worst.

    Args:
        results: The study's results.
        datasets: The descriptions of its data sets.
        worst: The images that are predicted worst.
    """
    noise = noise_sentences(results, datasets) if results.records.task == "dimensions" else []
    return {"measured": measure_sentences(datasets), "rater_noise": noise, **worst_variables(results, worst)}
