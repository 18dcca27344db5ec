"""Checks of samples against a study: training targets without effect, and images that data sets share."""

from collections.abc import Sequence

import numpy as np

from emotune.config.run import DatasetRef, RunConfig
from emotune.core.errors import raise_if_any
from emotune.core.sample_noun import worded
from emotune.data.annotations import target_weights, vote_shares
from emotune.data.datasets.location import manifest_of
from emotune.data.manifest import SPLITS
from emotune.data.read.cache import SampleInfo
from emotune.data.read.open_dataset import open_shards
from emotune.data.read.split_rows import split_rows

__all__ = ["check_divisions", "require_votes", "shared_images", "targets_without_effect"]


def check_divisions(datasets: Sequence[DatasetRef]) -> None:
    """Checks that every division has every class in every split.

    Raises:
        InputError: One does not; groups of near-duplicates stay whole.
    """
    for dataset in datasets:
        if dataset.division:
            _samples(dataset, SPLITS)


def targets_without_effect(runs: Sequence[RunConfig]) -> None:
    """Checks whether soft or weighted targets differ from the labels.

    Args:
        runs: The runs that are going to be trained.

    Raises:
        InputError: They do not differ; with a line for each variant and data set.
    """
    by_targets = {
        (targets, run.dataset): run for run in runs
        if isinstance(targets := run.train.targets, str) and targets != "hard"
    }  # fmt: skip
    problems = []
    for (targets, dataset), run in by_targets.items():
        classes, samples = manifest_of(dataset).classes, _samples(dataset, ("train",))
        labels, votes = [sample.label for sample in samples], [sample.votes for sample in samples]
        same = any(votes) and np.array_equal(
            target_weights(labels, votes, classes, targets), target_weights(labels, votes, classes, "hard")
        )
        if same or not any(votes):
            reason = "all votes agree" if same else worded("no training image has votes")
            problems.append(
                f'variants.{run.variant}: train.targets: "{targets}" has no effect on {dataset.name}, where {reason}; '
                "set hard, or make the shards from a source with votes"
            )
    raise_if_any(problems)


def require_votes(datasets: Sequence[DatasetRef]) -> None:
    """Checks that people disagree about some test images of data sets whose distributions are to be predicted.

    Args:
        datasets: The data sets.

    Raises:
        InputError: There are no votes, or all votes on each image agree, so that every distribution is a class.
    """
    problems = []
    for dataset in (one for one in datasets if one.task == "distributions"):
        classes, samples = manifest_of(dataset).classes, _samples(dataset, ("test",))
        shares = vote_shares([one.label for one in samples], [one.votes for one in samples], classes)
        if (shares.max(axis=1) == 1).all():
            reason = "all votes agree" if any(one.votes for one in samples) else worded("no test image has votes")
            problems.append(
                f"task: distributions, but on {dataset.name} {reason}; leave out task, or make shards from a source "
                "with votes"
            )
    raise_if_any(problems)


def shared_images(datasets: Sequence[DatasetRef]) -> list[str]:
    """A line for each two data sets that have images in common, because results on them are not independent.

    Divisions of one data set, which have all images in common, count as one.
    """
    datasets = list(dict.fromkeys(dataset.undivided for dataset in datasets))
    keys = [{sample.key for sample in _samples(dataset, SPLITS)} for dataset in datasets] if len(datasets) > 1 else []
    return [
        f"{first.name} and {second.name} have {len(keys[i] & keys[j]):,} {worded('images')} in common: their results "
        "are not independent."
        for i, first in enumerate(datasets) for j, second in enumerate(datasets[:i]) if keys[i] & keys[j]
    ]  # fmt: skip


def _samples(dataset: DatasetRef, splits: Sequence[str]) -> list[SampleInfo]:
    """The samples of some splits, of the part of the data set that is read."""
    shards = open_shards(dataset, splits, decoded=(), order="shards")
    samples = [sample for shard in shards for sample in shard.samples]
    rows = split_rows(dataset, splits, [(shard.shard, shard.samples) for shard in shards])
    return samples if rows is None else [samples[row] for row in rows]
