"""What the samples' labels, votes and keys say against a study: targets that change nothing, images counted twice."""

from collections.abc import Sequence

import numpy as np

from emotune.config.run import DatasetRef, RunConfig
from emotune.core.errors import raise_if_any
from emotune.data.annotations import agreement_of, target_weights
from emotune.data.datasets.location import manifest_of
from emotune.data.manifest import SPLITS
from emotune.data.read.cache import SampleInfo
from emotune.data.read.open_dataset import open_shards

__all__ = ["shared_images", "targets_without_effect"]


def targets_without_effect(runs: Sequence[RunConfig]) -> None:
    """Looks whether the votes make soft or weighted targets other than the labels.

    Raises:
        InputError: a line for each variant and data set where they do not.
    """
    asked = {(run.train.targets, run.dataset): run for run in runs if run.train.targets != "hard"}
    problems = []
    for (targets, dataset), run in asked.items():
        classes, samples = manifest_of(dataset).classes, _samples(dataset, ("train",))
        labels, votes = [known.label for known in samples], [known.votes for known in samples]
        alike = any(votes) and np.array_equal(
            *(target_weights(labels, votes, classes, kind) for kind in (targets, "hard"))
        )
        if alike or not any(votes):
            why = "all votes are alike" if alike else "no training image has votes"
            problems.append(
                f'variants.{run.variant}: train.targets: "{targets}" would change nothing on {dataset.name}, where '
                f"{why}; say hard, or make the shards from a source with votes"
            )
    raise_if_any(problems)


def shared_images(datasets: Sequence[DatasetRef]) -> list[str]:
    """A line for each two data sets that have images in common: results on them are not independent."""
    keys = [{known.key for known in _samples(dataset, SPLITS)} for dataset in datasets] if len(datasets) > 1 else []
    return [
        f"{one.name} and {other.name} have {len(keys[i] & keys[j]):,} images in common: what is found on both is not "
        "found twice."
        for i, one in enumerate(datasets) for j, other in enumerate(datasets[:i]) if keys[i] & keys[j]
    ]  # fmt: skip


def _samples(dataset: DatasetRef, splits: Sequence[str]) -> list[SampleInfo]:
    """What is known of the samples of the data set's part."""
    found = [known for shard in open_shards(dataset, splits, decoded=(), order="shards") for known in shard.samples]
    return [known for known in found if dataset.part in ("all", agreement_of(known.label, known.votes))]
