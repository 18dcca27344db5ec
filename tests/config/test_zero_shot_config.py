"""Prompts in a study: what is read, what is told apart, and which mistakes are found."""

import json
from pathlib import Path
from typing import Any

import pytest
from study_files import DATA, HEAD, Write, is_about, mistakes

from emotune.config.head_training import head_training_problems
from emotune.config.load import load_study
from emotune.config.model import AlexNetConfig, ZeroShotConfig
from emotune.config.run import RunConfig, WeightsRef
from emotune.config.shown_options import shown_options
from emotune.config.study import Study
from emotune.config.train import TrainConfig

ARCHITECTURE = {"embed_dim": 16, "vision_cfg": {"image_size": 32}, "text_cfg": {}}
WEIGHTS = WeightsRef(location="x", digest="ab" * 8)


def variant(write: Write, options: str, shared: str = "{}") -> tuple[Any, TrainConfig]:
    text = f"{HEAD}model: {shared}\ntrain: {{epochs: 3}}\nvariants:\n  plain: {{}}\n  one: {{{options}}}\n"
    return load_study(write(text)).variants["one"]


def run_of(model: Any) -> RunConfig:
    return RunConfig(dataset=DATA, seed=0, model=model, train=TrainConfig(init="w.pt"), weights=WEIGHTS)


GOOD = "model.name: zero_shot, model.architecture: ViT-B-32, train.init: w.pt"


def test_options_are_read_and_shared_ones_of_networks_do_not_apply(write: Write):
    model, train = variant(
        write, f'{GOOD}, model.prompts: "a {{}} photo", model.names.awe: wonder',
        "{backbone: torchvision:resnet18, tune: head, input: {side: 160}}",
    )  # fmt: skip
    assert model == ZeroShotConfig(architecture="ViT-B-32", prompts=("a {} photo",), names={"awe": "wonder"})
    assert train == TrainConfig(init="w.pt")
    assert [model.texts(label) for label in ("awe", "fear")] == [["a wonder photo"], ["a fear photo"]]


def test_the_content_of_an_architectures_file_travels_with_the_run_and_identifies_it(write: Write, tmp_path: Path):
    (tmp_path / "clip.json").write_text(json.dumps(ARCHITECTURE))
    options = GOOD.replace("ViT-B-32", "clip.json")
    model, _ = variant(write, options)
    (tmp_path / "clip.json").write_text(json.dumps(dict(reversed(ARCHITECTURE.items())), indent=1))
    assert run_of(variant(write, options)[0]).id == run_of(model).id
    (tmp_path / "clip.json").rename(tmp_path / "other.json")
    renamed = variant(write, options.replace("clip.json", "other.json"))[0]
    assert run_of(renamed).id == run_of(model).id
    (tmp_path / "other.json").write_text(json.dumps(ARCHITECTURE | {"embed_dim": 8}))
    assert run_of(variant(write, options.replace("clip.json", "other.json"))[0]).id != run_of(model).id
    (tmp_path / "other.json").unlink()
    run = run_of(model)
    assert RunConfig.from_json(json.loads(json.dumps(run.to_json()))) == run
    assert str(shown_options(model)["architecture"]).startswith("clip.json")
    study = Study("one", "?", "scenes", "a", {"a": AlexNetConfig(), "one": (model, TrainConfig(init="w.pt"))})
    write(study.source, "again.yaml")
    assert load_study(tmp_path / "again.yaml").variants == study.variants


@pytest.mark.parametrize(
    ("options", "key", "parts"),
    [
        (GOOD.replace(", train.init: w.pt", ""), "train.init", ["scratch"]),
        (f"{GOOD}, train.lr: 1", "train.lr", ["zero_shot"]),
        (f'{GOOD}, model.prompts: ["a photo"]', "model.prompts", ["a photo"]),
        (f'{GOOD}, model.prompts: ["{{}} and {{}}"]', "model.prompts", []),
        (f'{GOOD}, model.prompts: ["{{0}}"]', "model.prompts", []),
        (f'{GOOD}, model.prompts: ["{{}}", "{{}}"]', "model.prompts", ["twice"]),
        (f"{GOOD}, model.prompts: []", "model.prompts", []),
        (f'{GOOD}, model.names: {{awe: ""}}', "model.names", ["awe"]),
        (f"{GOOD}, model.prompt: 3", "model.prompt", ["prompts"]),
        (GOOD.replace("ViT-B-32", "none.json"), "model.architecture", ["none.json"]),
        (GOOD.replace("ViT-B-32", "study.json"), "model.architecture", ["embed_dim"]),
        (GOOD.replace("ViT-B-32", '"hf-hub:a/b"'), "model.architecture", ["hf-hub:a/b"]),
    ],
)
def test_a_mistake_is_reported_with_its_key(write: Write, options: str, key: str, parts: list[str]):
    write("[]", "study.json")
    lines = mistakes(write(f"{HEAD}variants:\n  plain: {{}}\n  one: {{{options}}}\n"))
    assert [is_about(line, f"variants.one: {key}", *parts) for line in lines] == [True], lines


def test_a_study_made_in_python_needs_weights_too():
    (line,) = head_training_problems(ZeroShotConfig(architecture="ViT-B-32"), TrainConfig())
    assert is_about(line, "train.init")
