"""Runs on videos: a clip is one sample, whose frames are read, cropped and changed together."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from running import AUGMENTED, changed, start, trained
from videos import write_class_folders

from emotune.analysis.load import load_records
from emotune.config.input_spec import InputSpec
from emotune.config.model import AlexNetConfig, AttentionConfig
from emotune.config.run import RunConfig, Selection
from emotune.config.train import TrainConfig
from emotune.core.storage import Folder
from emotune.data.augment import crop_and_normalise, draw_crops, evaluation_crops
from emotune.data.build.shards import write_shards
from emotune.data.datasets.resolve import resolve_datasets
from emotune.data.image_io import decode_rgb
from emotune.data.read.batches import open_split
from emotune.data.shard_reader import read_samples
from emotune.data.sources.video import Video
from emotune.inference.predictor import FRAMES as OVER_FRAMES_MAP
from emotune.inference.predictor import load_predictor
from emotune.models.networks.attention import record_attention
from emotune.runs.directory import ATTENTION, RunDirectory
from emotune.runs.record import OVER_FRAMES
from emotune.runs.store import open_store
from emotune.training.loop import InterruptedRunError
from emotune.training.step import network_inputs

FRAMES = 3


@pytest.fixture(scope="session")
def clip_shards(tmp_path_factory):
    """60 clips of 3 frames, of which the warm ones are tense."""
    folder = tmp_path_factory.mktemp("clips")
    listing = Video(write_class_folders(folder / "in", 30), frames=FRAMES, labels="any").listing()
    write_shards(listing, Folder(str(folder / "out")))
    return folder / "out"


@pytest.fixture
def run(clip_shards):
    (dataset,) = resolve_datasets([Selection(data=str(clip_shards))])
    model = AlexNetConfig(width=0.0625, weight_init="he", dropout=0.0)
    settings = TrainConfig(epochs=3, batch_size=8, lr=0.01)
    return RunConfig(variant="alexnet", dataset=dataset, seed=0, model=model, train=settings, input=InputSpec(frames=3))


@pytest.mark.parametrize("decoded", [None, ()])
def test_a_clip_is_read_as_its_frames(run, clip_shards, decoded):
    split = open_split(run.dataset, "test", run.input, decoded=decoded)
    assert split.images.decoded == (decoded is None)
    by_key = {s.key: s for path in clip_shards.glob("*.tar") for s in read_samples(path.read_bytes(), path.name)}
    (image,) = split.images.take(np.array([1]))
    assert image.shape == (FRAMES, 256, 256, 3)
    strip = decode_rgb(by_key[split.keys[1]].jpg)
    for number in range(FRAMES):
        frame = strip.crop((0, 96 * number, 96, 96 * number + 96)).resize((256, 256), 3)
        np.testing.assert_array_equal(image[number], np.asarray(frame))


def test_all_frames_of_a_clip_are_cropped_alike_and_as_an_image_would_be():
    clips = torch.randint(0, 256, (4, FRAMES, 256, 256, 3), dtype=torch.uint8)
    indices = np.array([5, 0, 3, 9])
    for crops in (draw_crops(10, 3, 1, crop="resized"), draw_crops(10, 3, 1), *evaluation_crops(10, 10)):
        found = crop_and_normalise(list(clips), crops, indices)
        assert found.shape == (4, FRAMES, 3, 227, 227)
        for number in range(FRAMES):
            assert torch.equal(found[:, number], crop_and_normalise(list(clips[:, number]), crops, indices))


def test_all_frames_of_a_clip_are_changed_alike(run):
    run = changed(run, **{name: value for name, value in AUGMENTED.items() if name not in ("mixup", "cutmix")})
    beginning = start(run)
    still = [
        torch.from_numpy(np.broadcast_to(one[:1], one.shape).copy())
        for one in beginning.images.images.take(np.arange(6))
    ]
    changed_clips = network_inputs(beginning.state, still, np.arange(6), beginning.randomness)
    assert torch.equal(changed_clips[:, 0], changed_clips[:, 2])
    assert (changed_clips == 0).any()  # something is erased
    plain = network_inputs(replace(beginning.state, augmentation=None, random_erasing=0.0), still, np.arange(6),
                           beginning.randomness)  # fmt: skip
    assert not torch.equal(plain, changed_clips)


@pytest.mark.parametrize("model", [
    AlexNetConfig(width=0.0625, weight_init="he"), AttentionConfig(width=0.0625, weight_init="he", frames="attention"),
])  # fmt: skip
def test_a_run_predicts_each_test_clip_once_and_learns(run, tmp_path, model):
    run = replace(changed(run, epochs=6, lr=0.02, mixup=0.1, cutmix=0.1), model=model)
    record, predictions = trained(run, tmp_path)
    test = open_split(run.dataset, "test", run.input)
    assert predictions["sample_id"].tolist() == list(test.keys)
    assert record["accuracy"] > 85


def test_an_interrupted_run_gives_the_bits_of_an_undisturbed_one(run, tmp_path):
    run = replace(run, model=replace(run.model, frames="attention", dropout=0.3))
    _, expected = trained(run, tmp_path / "whole")
    steps = iter([False] * 5 + [True] * 99)
    with pytest.raises(InterruptedRunError):
        trained(run, tmp_path / "cut", stop=lambda: next(steps))
    assert not RunDirectory(str(tmp_path / "cut"), run).record()
    _, found = trained(run, tmp_path / "cut")
    np.testing.assert_array_equal(found.filter(like="logit_"), expected.filter(like="logit_"))


def test_attention_over_frames_is_written_beside_that_over_positions(run, tmp_path):
    run = replace(changed(run, epochs=1, test_crops=5), model=AttentionConfig(width=0.0625, frames="attention"))
    _, predictions = trained(run, tmp_path)
    table = pd.read_parquet(tmp_path / run.id / ATTENTION)
    ids = predictions["sample_id"].tolist()
    assert table["sample_id"].tolist() == 2 * ids
    assert table["layer"].tolist() == ["trunk.attention"] * len(ids) + [OVER_FRAMES] * len(ids)
    assert {len(weights) for weights in table["weights"][len(ids) :]} == {FRAMES}
    predictor = load_predictor(str(tmp_path / run.id), "cpu")
    split = open_split(run.dataset, "test", run.input)
    with record_attention(predictor.network) as weights:
        predictor.network(crop_and_normalise(
            [torch.from_numpy(one) for one in split.images.take(np.arange(3))], evaluation_crops(3)[0], np.arange(3),
            predictor.normalisation,
        ))  # fmt: skip
    np.testing.assert_allclose(weights[OVER_FRAMES_MAP], np.stack(table["weights"][len(ids) :][:3].tolist()), atol=1e-5)
    states = open_store(str(tmp_path)).states([run])
    records = load_records(states)
    assert set(records.attention[run.id]["layer"]) == {"trunk.attention"}
    assert set(records.over_frames[run.id]["layer"]) == {OVER_FRAMES}


def test_the_identity_has_the_frames_and_what_becomes_of_them(run):
    ids = {run.id, replace(run, model=replace(run.model, frames="max")).id, replace(run, input=InputSpec()).id}
    assert len(ids) == 3
