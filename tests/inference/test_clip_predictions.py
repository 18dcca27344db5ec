"""A run on videos predicts clips from their files as it was tested on them, and shows when it looked."""

import csv
import io
from pathlib import Path

import numpy as np
import onnx
import pandas as pd
import pytest
import torch
from PIL import Image
from scipy.special import softmax
from videos import write_class_folders, write_clip

from emotune.config.input_spec import InputSpec
from emotune.config.model import AlexNetConfig, AttentionConfig
from emotune.config.run import RunConfig, Selection
from emotune.config.train import TrainConfig
from emotune.core.storage import Folder
from emotune.data.build.shards import write_shards
from emotune.data.datasets.resolve import resolve_datasets
from emotune.data.shard_reader import read_samples
from emotune.data.sources.video import Video
from emotune.inference.onnx import export
from emotune.inference.predictor import FRAMES, load_predictor
from emotune.predict import TABLE, main
from emotune.report.figures.predictions import clip_figure
from emotune.runs.directory import PREDICTIONS, RunDirectory
from emotune.training.distributed import World
from emotune.training.loop import train

NARROW = {"width": 0.0625, "weight_init": "he"}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Clips, and their shards with 3 frames of each."""
    folder = tmp_path_factory.mktemp("clips")
    listing = Video(write_class_folders(folder / "in", 20), frames=3, labels="any").listing()
    write_shards(listing, Folder(str(folder / "out")))
    return folder


def finished(place: Path, model) -> Path:
    (dataset,) = resolve_datasets([Selection(data=str(place / "out"))])
    settings = TrainConfig(epochs=2, batch_size=8, lr=0.02)
    run = RunConfig(variant="v", dataset=dataset, seed=0, model=model, train=settings, input=InputSpec(frames=3))
    train(run, RunDirectory(str(place / "runs"), run), World(0, 1, torch.device("cpu")))
    return place / "runs" / run.id


@pytest.fixture(scope="module")
def attending(place):
    return finished(place, AttentionConfig(**NARROW, frames="attention"))


@pytest.fixture(scope="module")
def tested(place, attending):
    """The file of each test clip, and its probabilities in the run's own test."""
    table = pd.read_parquet(attending / PREDICTIONS).set_index("sample_id")
    samples = [s for path in (place / "out").glob("*.tar") for s in read_samples(path.read_bytes(), path.name)]
    probabilities = softmax(table.filter(like="logit_").to_numpy(), axis=1)
    rows = {key: probabilities[number] for number, key in enumerate(table.index)}
    return {place / "in" / s.source: rows[s.key] for s in samples if s.key in rows}


def test_a_file_gives_the_prediction_of_the_run_s_own_test(attending, tested):
    predictions = load_predictor(str(attending), "cpu").predict(list(tested))
    np.testing.assert_allclose(predictions.probabilities, list(tested.values()), atol=1e-5)
    assert predictions.attention[FRAMES].shape == (len(tested), 3)
    assert {values.shape for values in predictions.attention.values()} == {(len(tested), 3), (len(tested), 36)}
    for values in predictions.attention.values():
        np.testing.assert_allclose(values.sum(1), 1, atol=1e-5)


def test_the_command_predicts_a_folder_of_clips_with_a_strip_of_frames_for_each(attending, place, tmp_path, capsys):
    calm = place / "in" / "calm"
    (tmp_path / "in").mkdir()
    clips = sorted(calm.iterdir())[:3]
    for clip in clips:
        (tmp_path / "in" / clip.name).write_bytes(clip.read_bytes())
    write_clip(tmp_path / "in" / "sound.mp4", [], sound=True)
    (tmp_path / "in" / "notes.jpg").write_bytes(b"no clip")
    out = tmp_path / "out"
    assert main([str(attending), str(tmp_path / "in"), "--out", str(out), "--csv", "--device", "cpu"]) == 1
    printed = capsys.readouterr()
    rows = list(csv.DictReader(io.StringIO(printed.out)))
    assert [Path(row["image"]).name for row in rows] == [clip.name for clip in clips]
    assert "sound.mp4: no video stream" in printed.err
    assert {path.name for path in out.iterdir()} == {TABLE, *(f"{clip.stem}.png" for clip in clips)}
    with Image.open(out / f"{clips[0].stem}.png") as figure:
        assert figure.width > 2 * figure.height


def test_the_table_is_of_clips(place, attending, capsys):
    clip = next((place / "in").rglob("*.mp4"))
    assert main([str(attending), str(clip), "--device", "cpu"]) == 0
    head, row = capsys.readouterr().out.splitlines()
    assert head.split() == ["clip", "label", "calm", "tense"]
    assert clip.name in row


def test_a_folder_without_videos_is_named(attending, tmp_path, capsys):
    (tmp_path / "one.jpg").write_bytes(b"an image")
    assert main([str(attending), str(tmp_path), "--device", "cpu"]) == 2
    assert "no videos" in capsys.readouterr().err


def test_the_strip_shows_a_bar_for_each_frame_as_high_as_its_weight():
    frames = np.zeros((4, 8, 8, 3), np.uint8)
    figure = clip_figure("clip", frames, np.array([0.5, 0.5, 1.0, 2.0]), {"calm": 0.4, "tense": 0.6})
    _, _, _, _, strip, values = figure.axes
    assert [bar.get_height() for bar in strip.patches] == [0.5, 0.5, 1.0, 2.0]
    assert [bar.get_width() for bar in values.patches] == [0.4, 0.6]
    assert len(clip_figure("clip", frames, None, {"calm": 0.4, "tense": 0.6}).axes) == 5


def test_an_exported_file_takes_clips(place, attending, tmp_path):
    path = finished(place, AlexNetConfig(**NARROW, frames="max"))
    for number, folder in enumerate((path, attending)):
        assert export(load_predictor(str(folder), "cpu"), tmp_path / f"{number}.onnx") < 1e-4
        shape = onnx.load(tmp_path / f"{number}.onnx").graph.input[0].type.tensor_type.shape
        assert [one.dim_value for one in shape.dim][1:] == [3, 3, 227, 227]
    outputs = onnx.load(tmp_path / "1.onnx").graph.output
    assert [one.type.tensor_type.shape.dim[1].dim_value for one in outputs] == [2, 36, 3]
