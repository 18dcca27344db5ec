"""A study on videos, from the commands to the report, and what is refused there."""

import json
import re

import pytest
from videos import write_class_folders

from emotune.ablate import main
from emotune.shard import main as shard

STUDY = """
question: Which frames of a clip matter?
datasets: [{data}]
model: {{name: alexnet, width: 0.0625, weight_init: he, dropout: 0.0}}
train: {{epochs: 5, batch_size: 8, lr: 0.02}}
baseline: mean
variants:
  mean: {{}}
  attention: {{model.frames: attention}}
  spatial: {{model.name: attention, model.frames: max}}
  constant: {{model: {{name: constant}}}}
seeds: 2
contrasts: [attention - mean]
"""
SMALL = """
question: What fits?
datasets: [{data}]
model: {model}
train: {{epochs: 1, batch_size: 8, lr: 0.02}}
baseline: a
variants:
  a: {{}}
  b: {{train.lr: 0.01}}
seeds: 1
contrasts: [b - a]
"""


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    videos = str(write_class_folders(folder / "in", 30))
    assert shard(["video", videos, "--labels", "any", "--frames", "3", "--out", str(folder / "clips"), "--workers", "1",
                  "--allow-thumbnails"]) == 0  # fmt: skip
    return folder / "clips"


def test_a_study_of_videos_is_planned_trained_and_reported(clips, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "videos.yaml").write_text(STUDY.format(data=clips))
    command = [str(tmp_path / "videos.yaml"), "--runs", str(tmp_path / "runs"), "--executor", "local"]
    assert main([*command, "--plan"]) == 0
    assert main(command) == 0
    records = [json.loads(path.read_text()) for path in (tmp_path / "runs").glob("*/record.json")]
    assert len(records) == 8
    assert all(record["accuracy"] > 80 for record in records if "attention_entropy" in record["last_epoch"])
    pages = tmp_path / "reports" / "videos"
    drawn_or_code = r"<svg.*?</svg>|<(style|script).*?</\1>|<[^>]*>"
    text = re.sub(drawn_or_code, " ", (pages / "index.html").read_text(), flags=re.DOTALL)
    assert re.findall(r".{0,40}(?<!-)\bimages?\b.{0,40}", text, re.IGNORECASE) == []
    assert (pages / "index.html").exists()
    assert {path.name for path in pages.glob("overlays-*.png")} == {
        "overlays-in-spatial.png", "overlays-frames-in.png",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("model", "key"),
    [("{name: blocks}", "model blocks"), ("{name: zero_shot, architecture: ViT-B-32}", "model zero_shot")],
)
def test_models_of_single_images_are_refused(clips, tmp_path, capsys, model, key):
    text = SMALL.format(data=clips, model="{name: alexnet}").replace("{train.lr: 0.01}", f"{{model: {model}}}")
    (tmp_path / "small.yaml").write_text(text.replace("ViT-B-32}", "ViT-B-32}, train.init: weights.pt"))
    assert main([str(tmp_path / "small.yaml"), "--plan", "--runs", str(tmp_path / "runs")]) == 2
    error = capsys.readouterr().err
    assert "variants.b" in error
    assert key in error


def test_frames_have_no_meaning_without_videos(small_shards, tmp_path, capsys):
    (tmp_path / "small.yaml").write_text(SMALL.format(data=small_shards, model="{name: alexnet, frames: max}"))
    assert main([str(tmp_path / "small.yaml"), "--plan", "--runs", str(tmp_path / "runs")]) == 2
    assert "model.frames" in capsys.readouterr().err


def test_runs_on_images_are_not_tested_on_videos(clips, small_shards, tmp_path, capsys):
    text = SMALL.format(data=clips, model="{name: alexnet}") + f"test_on: [{small_shards}]\n"
    (tmp_path / "small.yaml").write_text(text)
    assert main([str(tmp_path / "small.yaml"), "--plan", "--runs", str(tmp_path / "runs")]) == 2
    assert "networks see clips" in capsys.readouterr().err
