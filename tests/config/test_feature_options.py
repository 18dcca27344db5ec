"""Sets of hand-made features as options: one, several or all; and what that means for the identity of runs."""

import pytest
from study_files import HEAD, Write, is_about, mistakes

from emotune.config import feature_sets
from emotune.config.baselines import handmade_sets
from emotune.config.feature_sets import FEATURE_SETS
from emotune.config.head_training import feature_network, gets_features
from emotune.config.load import load_study
from emotune.config.model import AlexNetConfig, LogisticConfig, ModelConfig, SvmConfig
from emotune.config.run import DatasetRef, RunConfig
from emotune.config.shown_options import shown_options
from emotune.config.study import Study
from emotune.config.train import TrainConfig

DATA = DatasetRef(name="photos", location="x", content_hash="0")
BACKBONE = "{backbone: torchvision:resnet18, tune: head, input: {side: 160}}"


def study(write: Write, changes: str, shared: str = "{}") -> Study:
    plain = "{model: {name: backbone, backbone: torchvision:resnet18, tune: head}}"
    text = f"{HEAD}model: {shared}\ntrain: {{views: 2, epochs: 3}}\nvariants:\n  plain: {plain}\n  one: {{{changes}}}\n"
    return load_study(write(text))


def id_of(model: ModelConfig) -> str:
    return RunConfig(dataset=DATA, seed=0, model=model, train=TrainConfig()).id


def test_a_list_of_names_is_several_sets_and_all_is_the_list_of_all():
    assert SvmConfig(features=["textures", "colours"]) == SvmConfig(features=["colours", "textures"])
    assert handmade_sets(SvmConfig(features=["textures", "colours"])) == ("colours", "textures")
    assert SvmConfig(features=["textures"]) == SvmConfig(features="textures")
    assert handmade_sets(SvmConfig(features="all")) == tuple(sorted(FEATURE_SETS))
    assert handmade_sets(LogisticConfig(features="textures")) == ("textures",)
    assert handmade_sets(LogisticConfig(backbone="torchvision:resnet18")) == ()
    assert handmade_sets(AlexNetConfig()) == ()


def test_ids_of_runs_that_were_there_before_there_were_several_sets():
    assert id_of(SvmConfig()) == "svm-photos-s0-6b0e1ba1"
    assert id_of(SvmConfig(features="textures")) == "svm-photos-s0-feda5462"
    assert id_of(LogisticConfig(backbone="torchvision:resnet18")) == "resnet18-logistic-photos-s0-40a56439"


def test_a_set_that_is_added_later_moves_no_run_of_all(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(feature_sets, "FEATURE_SETS", ("colours", "textures"))
    run = RunConfig(dataset=DATA, seed=0, model=SvmConfig(features="all"), train=TrainConfig())
    stored = run.to_json()
    assert stored["model"]["features"] == ("colours", "textures")
    monkeypatch.setattr(feature_sets, "FEATURE_SETS", ("added", "colours", "textures"))
    assert RunConfig.from_json(stored).id == run.id
    assert id_of(SvmConfig(features="all")) != run.id


def test_regression_on_hand_made_features_has_no_network():
    model = LogisticConfig(features=("colours", "textures"))
    assert feature_network(model) is None
    assert gets_features(model)
    assert id_of(model).startswith("logistic-photos-s0-")
    run = RunConfig(dataset=DATA, seed=0, model=model, train=TrainConfig())
    assert RunConfig.from_json(run.to_json()) == run


def test_features_take_the_place_of_a_shared_backbone_and_the_other_way_round(write: Write):
    by_hand = study(write, "model.name: logistic, model.features: textures", BACKBONE).variants["one"]
    assert by_hand == (LogisticConfig(features="textures"), TrainConfig())
    shared = "{name: logistic, features: textures}"
    of_backbone = study(write, "model.backbone: torchvision:resnet18", shared).variants["one"]
    assert of_backbone == (LogisticConfig(backbone="torchvision:resnet18"), TrainConfig(views=2))


@pytest.mark.parametrize(
    ("changes", "key", "parts"),
    [
        ("model.name: svm, model.features: colors", "model.features", ["colours"]),
        ("model.name: svm, model.features: []", "model.features", ["colours", "all"]),
        ("model.name: svm, model.features: 3", "model.features", ["colours", "all"]),
        ("model.name: svm, model.features: [colours, colours]", "model.features", ["colours", "twice"]),
        ("model.name: svm, model.features: [colours, all]", "model.features", ["all"]),
        ("model.name: svm, model.features: [[colours, shapes]]", "model.features", ["[colours, shapes]"]),
        ("model.name: logistic, model.features: nothing", "model.features", ["colours"]),
        ("model.name: logistic", "model", ["backbone", "features"]),
        ("model: {name: logistic, features: colours, backbone: torchvision:resnet18}", "model", ["only"]),
        ("model: {name: logistic, features: colours, pooling: max}", "model", ["pooling"]),
        ("model: {name: logistic, features: colours, input: {side: 160}}", "model", ["input"]),
        ("model: {name: logistic, features: colours}, train.views: 2", "train.views", ["logistic"]),
        ("model: {name: logistic, features: colours}, train.precision: bf16", "train.precision", ["logistic"]),
    ],
)
def test_a_mistake_is_reported_with_its_key(write: Write, changes: str, key: str, parts: list[str]):
    text = f"{HEAD}variants:\n  plain: {{}}\n  one: {{{changes}}}\n"
    lines = mistakes(write(text))
    assert len([line for line in lines if is_about(line, f"variants.one: {key}", *parts)]) == 1, lines
    assert len(lines) == 1, lines


def test_what_a_backbone_would_be_asked_for_is_not_shown():
    assert "pooling" not in shown_options(LogisticConfig(features="colours"))
    assert shown_options(LogisticConfig(backbone="torchvision:resnet18"))["pooling"] == "mean"
