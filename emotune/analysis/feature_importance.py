"""The hand-made features that fitted models need, as the records of finished runs tell it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from emotune.analysis.load import Records

__all__ = ["FeatureImportance", "FeatureLoss", "feature_importance"]


@dataclass(frozen=True)
class FeatureLoss:
    """The loss of a model without a group of features, or without one of them.

    Attributes:
        name: The name, ``set/group`` or ``set/group/number``.
        columns: The number of columns.
        loss: The loss on validation images if these columns are shuffled, mean over the repeats: of the accuracy in
            percentage points, or of the mean CCC.
        sd: The standard deviation over the repeats.
    """

    name: str
    columns: int
    loss: float
    sd: float


@dataclass(frozen=True)
class FeatureImportance:
    """The features that the model of a variant needs on a data set: `emotune.models.baselines.importance`.

    Attributes:
        variant: The variant.
        dataset: The data set.
        runs: The number of finished runs, over which losses are averaged.
        varies: Whether they differ: as a rule they do not, because neither the model nor the shuffles depend on a seed.
        images: The number of validation images on which it was measured.
        validation_images: The number of all validation images.
        repeats: The number of times that each group was shuffled.
        score: The name of the measure, *accuracy* or *ccc*.
        whole: Its value on these images with nothing shuffled; the accuracy in per cent.
        groups: The groups, from the largest loss down.
        single: The single columns of small groups, likewise.
    """

    variant: str
    dataset: str
    runs: int
    varies: bool
    images: int
    validation_images: int
    repeats: int
    score: str
    whole: float
    groups: tuple[FeatureLoss, ...]
    single: tuple[FeatureLoss, ...]


def feature_importance(records: Records, variants: Sequence[str], datasets: Sequence[str]) -> list[FeatureImportance]:
    """The importance of features for each variant on hand-made features, by data set; old records have none.

    Args:
        records: The study's runs.
        variants: The names of the variants.
        datasets: The names of the data sets.
    """
    done, found = records.done(), []
    for dataset in datasets:
        for variant in variants:
            runs = done.loc[(done["variant"] == variant) & (done["dataset"] == dataset), "run"]
            measured = [one for run in runs if (one := records.records[run].get("fitted", {}).get("importance"))]
            if measured:
                found.append(_mean(variant, dataset, measured))
    return found


def _mean(variant: str, dataset: str, measured: Sequence[Mapping[str, Any]]) -> FeatureImportance:
    first = measured[0]
    score = "ccc" if "ccc" in first else "accuracy"
    return FeatureImportance(
        variant, dataset, len(measured), any(one != first for one in measured),
        first["images"], first["validation_images"], first["repeats"], score,
        fmean(one[score] for one in measured), _losses([one["groups"] for one in measured]),
        _losses([one["columns"] for one in measured]),
    )  # fmt: skip


def _losses(measured: Sequence[Mapping[str, Mapping[str, float]]]) -> tuple[FeatureLoss, ...]:
    losses = [
        FeatureLoss(
            name, int(one.get("columns", 1)), fmean(other[name]["loss"] for other in measured),
            fmean(other[name]["sd"] for other in measured),
        )
        for name, one in measured[0].items()
    ]  # fmt: skip
    return tuple(sorted(losses, key=lambda one: -one.loss))
