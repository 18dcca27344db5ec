"""Baselines beside networks in a study: which shared options they have, and which are mistakes."""

import pytest
from study_files import HEAD, Write, is_about, mistakes

from emotune.config.head_training import feature_network, head_training_problems
from emotune.config.heads import MaxHeadConfig
from emotune.config.input_spec import InputOptions
from emotune.config.load import load_study
from emotune.config.model import AlexNetConfig, BackboneConfig, LogisticConfig, SvmConfig
from emotune.config.run import DatasetRef, RunConfig
from emotune.config.study import Study
from emotune.config.train import TrainConfig

SHARED = "{backbone: torchvision:resnet18, head: max, tune: head, input: {side: 160}}"
TRAIN = "{optimizer: adamw, lr: 0.001, epochs: 8, precision: bf16}"


def study(write: Write, changes: str, shared: str = SHARED, train: str = TRAIN) -> Study:
    text = f"{HEAD}model: {shared}\ntrain: {train}\nvariants:\n  plain: {{}}\n  one: {{{changes}}}\n"
    return load_study(write(text))


def test_regression_has_the_backbone_and_input_of_the_heads_and_what_decides_about_features(write: Write):
    model, train = study(write, "model.name: logistic, model.pooling: max").variants["one"]
    side = InputOptions(side=160)
    assert model == LogisticConfig(backbone="torchvision:resnet18", pooling="max", input=side)
    assert train == TrainConfig(precision="bf16")
    assert feature_network(model) == BackboneConfig(
        backbone="torchvision:resnet18", head=MaxHeadConfig(), tune="head", input=side
    )


def test_views_are_shared_and_options_of_views_that_are_not_drawn_are_not(write: Write):
    drawn = "{views: 3, flip: false, epochs: 8}"
    assert study(write, "model.name: logistic", train=drawn).variants["one"][1] == TrainConfig(views=3, flip=False)
    model = "{backbone: torchvision:resnet18}"
    assert study(write, "model.name: logistic", model, "{flip: false}").variants["one"][1] == TrainConfig()


@pytest.mark.parametrize(
    ("changes", "key", "parts"),
    [
        ("model.name: logistic, train.epochs: 3", "train.epochs", ["logistic"]),
        ("model.name: logistic, train.flip: false", "train.flip", ["views"]),
        ("model.name: logistic, model.head: mean", "model.head", []),
        ("model.name: logistic, model.poling: max", "model.poling", ["pooling"]),
        ("model.name: logistic, model.c_grid: []", "model.c_grid", []),
        ("model.name: logistic, model.c_grid: [0]", "model.c_grid", []),
        ("model.name: logistic, model.backbone: resnet18", "model.backbone", ["torchvision"]),
        ("model.name: logistc", "model.name", ["logistic"]),
    ],
)
def test_a_mistake_is_reported_with_its_key(write: Write, changes: str, key: str, parts: list[str]):
    text = f"{HEAD}model: {SHARED}\nvariants:\n  plain: {{}}\n  one: {{{changes}}}\n"
    lines = [line for line in mistakes(write(text)) if is_about(line, f"variants.one: {key}", *parts)]
    assert len(lines) == 1, mistakes(write(text))


def test_shared_options_of_a_baseline_are_for_it_alone(write: Write):
    text = f"{HEAD}model: {{name: svm, c_grid: [3]}}\nvariants:\n  plain: {{model.name: alexnet}}\n  one: {{}}\n"
    loaded = load_study(write(text))
    assert [model for model, _ in loaded.variants.values()] == [AlexNetConfig(), SvmConfig(c_grid=(3.0,))]
    text = f"{HEAD}model: {{c_grid: [3]}}\nvariants:\n  plain: {{}}\n  one: {{model.width: 0.5}}\n"
    (line,) = mistakes(write(text))
    assert is_about(line, "model.c_grid")


def test_a_study_made_in_python_is_checked_alike():
    model = LogisticConfig(backbone="torchvision:resnet18")
    keys = [line.partition(":")[0] for line in head_training_problems(model, TrainConfig(epochs=3, crop="center"))]
    assert keys == ["train.epochs", "train.crop"]


def test_a_run_is_told_by_all_that_changes_its_result_and_comes_back_from_json():
    data = DatasetRef(name="photos", location="x", content_hash="0")
    plain = LogisticConfig(backbone="torchvision:resnet18")
    models = [plain, LogisticConfig(backbone="torchvision:resnet18", pooling="max", c_grid=(1.0,))]
    runs = [RunConfig(dataset=data, seed=0, model=model, train=TrainConfig()) for model in models]
    assert len({run.id for run in runs}) == 2
    assert runs[0].id.startswith("resnet18-logistic-photos-s0-")
    assert [RunConfig.from_json(run.to_json()) for run in runs] == runs
