"""`ablate new`: a study for one's own shards, whatever they are labelled with, that runs as it is."""

import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from program import console_script
from terminals import in_terminal

from emotune.ablate import main
from emotune.cli.new_study import STEPS, study_text
from emotune.config.load import load_study
from emotune.config.target import Dimension
from emotune.core.storage import Folder
from emotune.data.manifest import Manifest, read_manifest, write_manifest

SCALES = (Dimension("valence", 1, 7), Dimension("arousal", 1, 7))
KINDS = {
    "classes": ({}, "alexnet", "accuracy"),
    "distributions": ({"target": "distributions"}, "kl", "kl"),
    "dimensions": ({"target": "dimensions", "dimensions": SCALES}, "mse", "ccc"),
    "clips": ({"frames": 8}, "mean", "accuracy"),
    "rated clips": ({"frames": 8, "target": "dimensions", "dimensions": SCALES}, "mean", "ccc"),
}


@pytest.fixture
def manifest(small_shards: Path) -> Manifest:
    return read_manifest(Folder(str(small_shards)))


def described(folder: Path, manifest: Manifest, **changes) -> str:
    """A folder with the description of shards, all that the command reads."""
    folder.mkdir()
    write_manifest(Folder(str(folder)), replace(manifest, **changes))
    return str(folder)


def sized(manifest: Manifest, **images: int) -> dict:
    """The numbers of images in each class of a split."""
    return {"counts": {s: dict.fromkeys(manifest.classes, images.get(s, 20)) for s in manifest.counts},
            "noisy": {s: dict.fromkeys(manifest.classes, 0) for s in manifest.counts}}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_a_study_suits_what_the_data_are_labelled_with_and_its_plan_is_printed(
    kind: str, manifest: Manifest, tmp_path: Path, monkeypatch, capsys
):
    changes, baseline, metric = KINDS[kind]
    monkeypatch.chdir(tmp_path)
    described(tmp_path / "two words", manifest, name="photos.of-ours", **{**sized(manifest), **changes})
    assert main(["new", "--data", "two words"]) == 0
    study = load_study(tmp_path / "photos-of-ours.yaml")
    assert (study.baseline, study.metric.name, study.seeds) == (baseline, metric, 5)
    assert study.task == changes.get("target", "classes")
    assert study.contrasts and "constant" in {model.name for model, _ in study.variants.values()}
    said = capsys.readouterr().out.splitlines()
    assert any(f"{5 * len(study.variants)} to do" in line for line in said)
    assert said[-1] == "Next: python -m emotune.ablate photos-of-ours.yaml"
    assert [path.name for path in tmp_path.iterdir() if path.name != "two words"] == ["photos-of-ours.yaml"]


@pytest.mark.parametrize(("train", "epochs", "batch"), [(5, 60, 16), (250, 35, 32), (690, 20, 50), (20_000, 10, 50)])
def test_epochs_are_many_for_few_images_and_few_for_many(train: int, epochs: int, batch: int, manifest: Manifest):
    many = replace(manifest, **sized(manifest, train=train, test=1000))
    images = train * len(manifest.classes)
    training = yaml.safe_load(study_text(many, "data", "run", "new"))["train"]
    assert (training["epochs"], training["batch_size"]) == (epochs, batch)
    if 10 < epochs < 60:
        assert epochs * images / batch == pytest.approx(STEPS, rel=0.05)


def test_the_smallest_effect_is_one_that_the_test_images_can_show(manifest: Manifest):
    found = {}
    for test in (2, 20, 200, 20_000):
        text = study_text(replace(manifest, **sized(manifest, test=test)), "data", "run", "new")
        found[test * len(manifest.classes)] = yaml.safe_load(text)["metric"]["min_effect"]
        assert ("folds: 5" in text) == (test < 25)
    assert list(found.values()) == sorted(found.values(), reverse=True)
    assert all(effect >= 100 / images for images, effect in found.items())
    assert found[160_000] == 1


def test_classes_of_unequal_size_are_weighted_and_judged_by_their_mean(manifest: Manifest):
    sizes = sized(manifest, train=30)
    sizes["counts"]["train"][manifest.classes[0]] = 300
    study = yaml.safe_load(study_text(replace(manifest, **sizes), "data", "run", "new"))
    assert study["metric"]["name"] == "balanced_accuracy"
    assert study["train"]["class_weights"] == "balanced"


def test_what_cannot_be_a_study_is_refused_before_anything_is_written(
    manifest: Manifest, tmp_path: Path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    data = described(tmp_path / "data", manifest)
    (tmp_path / "folder.yaml").mkdir()
    for words, named in (
        (["my.txt", "--data", data], ".yaml"),
        (["My Study.yaml", "--data", data], "lower-case"),
        (["none/my.yaml", "--data", data], "none"),
        (["folder.yaml", "--data", data], "folder"),
        (["my.yaml", "--data", "scenes"], "quickstart"),
        (["my.yaml", "--data", str(tmp_path)], "shard folder IMAGES"),
        (["my.yaml", "--data", "nowhere"], "nowhere"),
    ):
        assert main(["new", *words]) == 2
        said = capsys.readouterr()
        assert (said.out, named in said.err) == ("", True), said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "folder.yaml"]


def test_a_file_is_replaced_only_if_the_user_says_yes(manifest: Manifest, tmp_path: Path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    described(tmp_path / "data", manifest)
    file = tmp_path / "my.yaml"
    file.write_text("mine")
    new = ["ablate", "new", "my", "--data", "data"]
    assert main(new[1:]) == 2
    assert "--yes" in capsys.readouterr().err
    start = [str(console_script(tmp_path)), *new]
    code, shown = in_terminal(start, tmp_path, 60, typed=["n"])
    assert (code, file.read_text()) == (0, "mine"), shown
    code, shown = in_terminal(start, tmp_path, 60, typed=["y"])
    assert code == 0 and shown.splitlines()[-1] == "Next: emotune ablate my.yaml"
    assert load_study(file).baseline == "alexnet"
    written = file.read_text()
    code, shown = in_terminal(start, tmp_path, 60)
    assert (code, file.read_text()) == (0, written), "the same text needs no question"
    file.write_text("mine again")
    assert main([*new[1:], "--yes"]) == 0
    assert "emotune.ablate my.yaml" in file.read_text()


@pytest.mark.slow
def test_a_new_study_trains_as_it_is_and_ends_with_the_address_of_its_report(
    small_shards: Path, tmp_path: Path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(small_shards, tmp_path / "data")
    assert main(["new", "my.yaml", "--data", "data"]) == 0
    text = (tmp_path / "my.yaml").read_text()
    text = text.replace("width: 0.25", "width: 0.0625").replace("epochs: 60", "epochs: 1")
    (tmp_path / "my.yaml").write_text(text.replace("seeds: 5", "seeds: 1"))
    start = [sys.executable, "-m", "emotune", "ablate", "my.yaml", "--executor", "local"]
    code, shown = in_terminal(start, tmp_path, 60, timeout_s=600)
    assert code == 0, shown
    link = "".join(shown[shown.rindex("Report: ") :].split())
    assert link == f"Report:{(tmp_path / 'reports' / 'my' / 'index.html').as_uri()}"
