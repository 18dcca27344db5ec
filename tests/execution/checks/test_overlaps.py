"""Targets that votes do not change, and images that two data sets share, are found before anything is trained."""

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from emotune.config.division import Division
from emotune.config.model import AlexNetConfig
from emotune.config.run import DatasetRef, RunConfig, Selection
from emotune.config.train import TrainConfig
from emotune.core.errors import InputError
from emotune.core.storage import Folder
from emotune.data.build.shards import write_shards
from emotune.data.datasets.resolve import resolve_datasets
from emotune.data.sources.scenes import Scenes
from emotune.execution.checks.overlaps import check_divisions, require_votes, shared_images, targets_without_effect

SHARES = (0.5, 0.25, 0.25)


def fold(number: int) -> Division:
    return Division(folds=2, fold=number)


def run_on(dataset: DatasetRef, targets: str) -> RunConfig:
    return RunConfig(
        variant=targets, dataset=dataset, seed=0, model=AlexNetConfig(), train=TrainConfig(targets=targets)
    )


def shards(out: Path, name: str, votes: dict[str, float] | None, number: int | None = None) -> DatasetRef:
    """Scenes with ``votes``, but every third image with some for its label alone; ``number``: so many of a class."""
    listing = Scenes(160, seed=1).listing()
    counts: Counter[str] = Counter()
    entries = []
    for entry in listing.entries:
        counts[entry.label] += 1
        sample_votes = votes is not None and (votes if counts[entry.label] % 3 else {entry.label: 3.0})
        if number is None or counts[entry.label] <= number:
            entries.append(replace(entry, votes={} if votes is None else sample_votes))
    write_shards(replace(listing, name=name, entries=entries, content_hash=None), Folder(str(out)), shares=SHARES)
    (ref,) = resolve_datasets([Selection(data=str(out))])
    return ref


@pytest.fixture(scope="module")
def without(tmp_path_factory) -> DatasetRef:
    return shards(tmp_path_factory.mktemp("without"), "without", None)


@pytest.fixture(scope="module")
def divided(tmp_path_factory) -> DatasetRef:
    return shards(tmp_path_factory.mktemp("divided"), "divided", {"awe": 1.0, "fear": 2.0, "anger": 1.0}, 19)


@pytest.mark.parametrize("targets", ["soft", "weighted"])
def test_targets_from_votes_are_refused_where_there_are_no_votes(without, divided, targets):
    targets_without_effect([run_on(without, "hard"), run_on(divided, targets)])
    with pytest.raises(InputError) as caught:
        targets_without_effect([run_on(divided, targets), run_on(without, targets)])
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f'variants.{targets}: train.targets: "{targets}" ')
    assert "without" in line and "divided" not in line


def test_distributions_need_votes_that_differ(without, divided, tmp_path_factory):
    agreed = shards(tmp_path_factory.mktemp("agreed"), "agreed", {}, 9)
    voted, empty, sure = (replace(one, task="distributions") for one in (divided, without, agreed))
    require_votes([voted, without, agreed])
    with pytest.raises(InputError) as caught:
        require_votes([voted, empty, sure])
    lines = str(caught.value).splitlines()
    assert ["without" in lines[0], "agreed" in lines[1], len(lines)] == [True, True, 2]


def test_data_sets_that_share_images_are_named_with_their_number(without, divided):
    (line,) = shared_images([without, divided])
    assert re.search(r"\bdivided\b.*\bwithout\b.* \d+ ", line)
    assert shared_images([without]) == shared_images([]) == []


def test_divisions_of_a_data_set_are_not_named_and_each_must_have_every_class_in_every_split(without):
    folds = [replace(without, name=f"{without.name}-{d.name}", division=d) for d in map(fold, (1, 2))]
    assert shared_images(folds) == []
    check_divisions([without, *folds])
    with pytest.raises(InputError, match=without.name):
        check_divisions([replace(without, division=Division(folds=40, fold=1))])
