"""Targets from annotators' votes, and training on a part of a data set."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from running import trained

from emotune.config.model import AlexNetConfig
from emotune.config.run import RunConfig, Selection
from emotune.config.train import TrainConfig
from emotune.core.storage import Folder
from emotune.data.annotations import agreement_of
from emotune.data.augment import crop_and_normalise, evaluation_crops
from emotune.data.build.shards import write_shards
from emotune.data.datasets.location import manifest_of
from emotune.data.datasets.resolve import resolve_datasets
from emotune.data.read.batches import open_split
from emotune.data.sources.class_folders import ClassFolders
from emotune.data.sources.scenes import Scenes
from emotune.models.build import build


@pytest.fixture(scope="module")
def voted(tmp_path_factory) -> str:
    """Shards of 240 scenes of two classes, half of them with most votes against their label."""
    listing = Scenes(240, seed=1).listing()
    entries = []
    for index, entry in enumerate(listing.entries):
        label, other = ("bad", "good") if index % 2 else ("good", "bad")
        votes = {label: 4, other: 1} if index % 4 < 2 else {label: 2, other: 3}
        entries.append(replace(entry, label=label, votes=votes))
    out = str(tmp_path_factory.mktemp("voted") / "shards")
    listing = replace(listing, entries=entries, classes=("bad", "good"), content_hash=None)
    write_shards(listing, Folder(out), shares=(0.5, 0.25, 0.25), samples_per_shard=40, workers=2)
    return out


def run_on(data: str, part: str = "all", **settings) -> RunConfig:
    (dataset,) = resolve_datasets([Selection(data=data, part=part)])
    model = AlexNetConfig(width=0.0625, weight_init="he", dropout=0.0)
    chosen = TrainConfig(epochs=1, batch_size=16, lr=0.01, **settings)
    return RunConfig(variant="alexnet", dataset=dataset, seed=0, model=model, train=chosen)


def logits(predictions: pd.DataFrame) -> np.ndarray:
    return predictions.filter(like="logit_").to_numpy()


def test_where_all_votes_agree_soft_and_weighted_targets_are_the_labels(image_folder, tmp_path):
    write_shards(ClassFolders(image_folder).listing(), Folder(str(tmp_path / "data")))
    results = [trained(run_on(str(tmp_path / "data"), targets=kind), tmp_path) for kind in ("hard", "soft", "weighted")]
    for record, predictions in results[1:]:
        np.testing.assert_allclose(logits(predictions), logits(results[0][1]), rtol=1e-4, atol=1e-5)
        assert record["last_epoch"]["train_loss"] == pytest.approx(results[0][0]["last_epoch"]["train_loss"], rel=1e-5)


@pytest.mark.parametrize("kind", ["hard", "soft", "weighted"])
def test_the_loss_is_the_cross_entropy_with_the_annotators_votes(voted, tmp_path, kind):
    run = run_on(voted, targets=kind, crop="center", flip=False)
    run = replace(run, train=replace(run.train, batch_size=1000))  # one step: its loss is the untrained network's
    record, _ = trained(run, tmp_path)
    split = open_split(run.dataset, "train")
    everything = np.arange(len(split))
    network = build(run.model, 2, run.stream("init"))
    images = [torch.from_numpy(image) for image in split.images.take(everything)]
    with torch.no_grad():
        surprise = (
            -network(crop_and_normalise(images, evaluation_crops(len(split))[0], everything)).log_softmax(1).numpy()
        )
    target_surprise = surprise[everything, split.targets]
    support = np.array([v[split.classes[t]] / 5 for v, t in zip(split.votes, split.targets, strict=True)])
    expected = {
        "hard": target_surprise.mean(),
        "soft": (support * target_surprise + (1 - support) * surprise[everything, 1 - split.targets]).mean(),
        "weighted": (target_surprise * support / support.mean()).mean(),
    }
    assert record["last_epoch"]["train_loss"] == pytest.approx(expected[kind], rel=1e-4)
    assert len({round(float(value), 6) for value in expected.values()}) == 3


@pytest.mark.parametrize("part", ["well", "noisy"])
def test_a_run_on_a_part_sees_its_images_and_no_others(voted, tmp_path, part):
    run = run_on(voted, part)
    record, predictions = trained(run, tmp_path)
    manifest, whole = manifest_of(run.dataset), run_on(voted).dataset
    assert record["train_by_class"] == {label: manifest.count("train", label, part) for label in manifest.classes}
    assert record["train_images"] == sum(record["train_by_class"].values())
    test = open_split(whole, "test")
    chosen = [agreement_of(test.classes[t], votes) == part for t, votes in zip(test.targets, test.votes, strict=True)]
    assert predictions["sample_id"].tolist() == [
        key for key, is_in_part in zip(test.keys, chosen, strict=True) if is_in_part
    ]
    assert 0 < len(predictions) < len(test)


@pytest.mark.parametrize("decoded", [None, ()], ids=["decoded", "indexed"])
def test_the_images_of_a_part_are_those_of_the_whole_with_the_same_keys(voted, decoded):
    whole, part = open_split(run_on(voted).dataset, "train"), open_split(run_on(voted, "noisy").dataset, "train")
    opened = open_split(run_on(voted, "noisy").dataset, "train", decoded=decoded)
    assert opened.keys == part.keys
    place = {key: index for index, key in enumerate(whole.keys)}
    indices = []
    for rank in range(2):
        for batch in opened.evaluation_batches(7, rank=rank, world_size=2):
            same = np.array([place[opened.keys[index]] for index in batch.indices])
            assert np.array_equal(torch.stack(batch.images), whole.images.take(same))
            indices += batch.indices.tolist()
    assert sorted(indices) == list(range(len(opened)))
    trained_on = [i for batch in opened.training_batches(7, 0, 0) for i in batch.indices.tolist()]
    assert sorted(trained_on) == list(range(len(opened)))
