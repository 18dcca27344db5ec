"""Options that have options of their own: heads, inputs, the user's own losses; shared, and changed by dotted keys."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError
from study_files import DATA, HEAD, Write, is_about, mistakes

from emotune.config.backbone import BackboneCode, BackboneConfig, LastStages
from emotune.config.heads import HEAD_CLASSES, AttentionHeadConfig, DualHeadConfig, HeadConfig, MaxHeadConfig
from emotune.config.input_spec import InputOptions
from emotune.config.load import load_study
from emotune.config.model import AlexNetConfig, CodeConfig, ModelConfig
from emotune.config.run import RunConfig
from emotune.config.shown_options import shown_options
from emotune.config.study import Study
from emotune.config.train import LossCode, TrainConfig

SHARED = "{backbone: torchvision:resnet18, head: {name: attention, score: tanh, dropout: 0.5}}"


@pytest.fixture(autouse=True)
def code(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(
        "def focal(logits, target_probs, weights, gamma=2.0):\n    return logits.sum(1)\n\n"
        "class Trunk:\n    def __init__(self, width=4):\n        pass\n"
    )


def variant(write: Write, changes: str, shared: str = SHARED, train: str = "{}") -> tuple[ModelConfig, TrainConfig]:
    text = f"{HEAD}model: {shared}\ntrain: {train}\nvariants:\n  plain: {{}}\n  one: {{{changes}}}\n"
    return load_study(write(text)).variants["one"]


def head(write: Write, changes: str, shared: str = SHARED) -> HeadConfig:
    model, _ = variant(write, changes, shared)
    assert isinstance(model, BackboneConfig)
    return model.head


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ("model.head.heads: 2", AttentionHeadConfig(score="tanh", dropout=0.5, heads=2)),
        ("model.head.score: linear, model.head.reach: full", AttentionHeadConfig(reach="full", dropout=0.5)),
        ("model.head: max", MaxHeadConfig()),
        ("model.head: {name: attention, heads: 4}", AttentionHeadConfig(heads=4)),
        ("model.head.scale: positions, model.head: attention", AttentionHeadConfig(scale="positions")),
        ("model.head.name: max", MaxHeadConfig(dropout=0.5)),
        ("model.head.fusion: sum, model.head.name: dual", DualHeadConfig(score="tanh", dropout=0.5, fusion="sum")),
    ],
)
def test_a_variant_changes_a_head_or_options_of_it(write: Write, changes: str, expected: HeadConfig):
    assert head(write, changes) == expected


def test_a_variant_may_have_its_options_as_mappings(write: Write):
    nested = variant(write, "model: {head: {name: max, dropout: 0.1}, tune: head}, train: {lr: 0.3}")
    assert nested == variant(write, "model.head: {name: max, dropout: 0.1}, model.tune: head, train.lr: 0.3")
    text = f"{HEAD}model: {SHARED}\nvariants:\n  plain: {{}}\n  one: {{model.tune: head, model: {{tune: all}}}}\n"
    (mistake,) = mistakes(write(text))
    assert is_about(mistake, "variants.one") and "model.tune" in mistake


def test_a_network_of_ones_own_has_no_head_but_is_told_how_to_get_one(write: Write):
    write("").with_name("net.py").write_text("def net(classes):\n    pass\n")
    text = f"{HEAD}model: {{code: net.py:net}}\nvariants:\n  plain: {{}}\n  one: {{model.head: max}}\n"
    (mistake,) = mistakes(write(text))
    assert is_about(mistake, "variants.one: model.head") and "model.backbone" in mistake


def test_a_name_and_options_of_it_are_merged(write: Write):
    shared = "{backbone: torchvision:resnet18, head: attention}"
    assert head(write, "model.head.score: tanh", shared) == AttentionHeadConfig(score="tanh")


def test_options_of_other_parts_are_set_by_themselves(write: Write):
    model, train = variant(
        write, "model.input.side: 160, model.tune.last: 2, train.loss.options.gamma: 1.5", train="{loss: own.py:focal}"
    )
    assert isinstance(model, BackboneConfig) and isinstance(train.loss, LossCode)
    assert (model.input.side, model.tune, train.loss.options) == (160, LastStages(last=2), {"gamma": 1.5})
    model, _ = variant(write, "model.backbone: own.py:Trunk, model.backbone.options.width: 8")
    assert isinstance(model, BackboneConfig) and isinstance(model.backbone, BackboneCode)
    assert model.backbone.options == {"width": 8}


def test_the_kind_of_network_follows_from_its_backbone_and_shared_options_of_other_kinds_do_not_apply(write: Write):
    assert variant(write, "model.name: alexnet")[0] == AlexNetConfig()
    assert variant(write, "model.backbone: alexnet_owt")[0] == AlexNetConfig(backbone="alexnet_owt")
    narrow = "{width: 0.5}"
    model, _ = variant(write, "model.backbone: timm:resnet18, model.head: max", narrow)
    assert model == BackboneConfig(backbone="timm:resnet18", head=MaxHeadConfig())
    assert variant(write, "model.backbone: alexnet_owt", narrow)[0] == AlexNetConfig(width=0.5, backbone="alexnet_owt")


@pytest.mark.parametrize(
    ("changes", "key", "parts"),
    [
        ("model.head.scroe: tanh", "model.head.scroe", ["score"]),
        ("model.head.score: tan", "model.head.score", ["tan"]),
        ("model.haed.score: tanh", '"model.haed.score"', ["model.head.score"]),
        ("model.width.score: tanh", '"model.width.score"', []),
        ("score: tanh", "", ["model.head.score"]),
        ("model.head: attentoin", "model.head", ["attention"]),
        ("model.head: 3", "model.head", []),
        ("model.head: {score: tanh}", "model.head", ["name"]),
        ("model.head: {name: attention, fusion: sum}", "model.head.fusion", ["reach"]),
        ("model.tune: heads", "model.tune", ["heads"]),
        ("model.tune.last: 0", "model.tune", ["0"]),
        ("model.input.sid: 3", "model.input.sid", ["side"]),
        ("model.backbone: resnet18", "model.backbone", ["resnet18", "torchvision"]),
        ("model.backbone: 3", "model.backbone", []),
        ("model.backbone.options.width: 3", '"model.backbone.options.width"', ["torchvision:resnet18"]),
        ("train.loss: own.py:focal, train.loss.options.gama: 2", "train.loss", ["gamma"]),
        ("train.loss: cross_entropy, train.loss.options.gamma: 2", '"train.loss.options.gamma"', ["cross_entropy"]),
        ("train.loss.options.gamma: 2", "train.loss", ["code"]),
    ],
)
def test_a_mistake_is_reported_with_its_key_once(write: Write, changes: str, key: str, parts: list[str]):
    text = f"{HEAD}model: {SHARED}\nvariants:\n  plain: {{}}\n  one: {{{changes}}}\n"
    (line,) = mistakes(write(text))
    assert is_about(line, ": ".join(filter(None, ["variants.one", key])), *parts), line


@pytest.mark.parametrize(
    ("shared", "changes", "key"),
    [
        ("{backbone: torchvision:resnet18, head: {name: attention, scroe: tanh}}", "train.lr: 0.1", "model.head.scroe"),
        ("{backbone: torchvision:resnet18, head: {name: max, score: tanh}}", "model.head: mean", "model.head.score"),
        ("{backbone: torchvision:resnet18, width: 0.5}", "model.head: max", "model.width"),
        ("{width: 0.5, tune: head}", "model.width: 0.3", "model.tune"),
        ("{name: alexnet, backbone: torchvision:resnet18}", "model.width: 0.3", "model.backbone"),
    ],
)
def test_a_mistake_in_shared_options_is_reported_once(write: Write, shared: str, changes: str, key: str):
    text = f"{HEAD}model: {shared}\nvariants:\n  plain: {{}}\n  one: {{{changes}}}\n  two: {{train.lr: 0.5}}\n"
    lines = [line for line in mistakes(write(text)) if is_about(line, key)]
    assert len(lines) == 1


def test_shared_options_of_a_head_that_all_variants_replace_are_a_mistake(write: Write):
    variants = "variants: {plain: {model.head: mean}, one: {model.head: max}}\n"
    (line,) = mistakes(write(f"{HEAD}model: {SHARED}\n{variants}"))
    assert is_about(line, "model.head.score")


@pytest.mark.parametrize(
    "options",
    [
        {"name": "dual", "attention": "none", "temperature": 2.0},
        {"name": "dual", "attention": "none", "score": "tanh"},
        {"name": "dual", "heads": 2, "fusion": "sum"}, {"name": "patches", "levels": [1], "aggregation": "max"},
        {"name": "patches", "levels": [1], "patches": "resized"}, {"name": "patches", "levels": [2], "fusion": "max"},
        {"name": "patches", "levels": [2, 2]}, {"name": "han", "levels": [1]}, {"name": "multi_level", "levels": 1},
        {"name": "han", "levels": [1], "attention": "positions", "patches": "resized"},
        {"name": "han", "attention": "none", "temperature": 2.0},
    ],
    ids=str,
)  # fmt: skip
def test_options_of_a_head_without_effect_are_refused(options: dict[str, Any]):
    with pytest.raises(ValidationError):
        TypeAdapter(HeadConfig).validate_python(options)


def test_a_run_with_nested_options_survives_json_and_only_what_is_no_default_is_in_its_identity(write: Write):
    text = f"{HEAD}model: {{backbone: timm:resnet18}}\nvariants: {{plain: {{}}}}\n"
    plain, one = (
        load_study(write(one)).runs([DATA])[0] for one in (text, text.replace("18}", "18, head: {name: mean}}"))
    )
    assert plain.id == one.id and plain.id.startswith("resnet18-mean-scenes-s0-")
    model, train = variant(write, "model.backbone: own.py:Trunk, model.tune.last: 1, model.input.side: 64")
    run = RunConfig(dataset=DATA, seed=0, model=model, train=train)
    again = RunConfig.from_json(json.loads(json.dumps(run.to_json())))
    assert again == run and again.id == run.id and hash(again.model) == hash(run.model)


def test_each_head_is_named_in_the_union():
    assert {kind.name for kind in HEAD_CLASSES} == {
        "mean", "max", "attention", "dual", "multi_level", "patches", "han", "wscnet",
    }  # fmt: skip


def test_tables_have_each_nested_option_by_its_key():
    head = AttentionHeadConfig(score="tanh")
    shown = shown_options(BackboneConfig(backbone="timm:x", head=head, tune=LastStages(last=2)))
    assert (shown["head"], shown["head.score"], shown["tune"]) == ("attention", "tanh", "{last: 2}")
    assert "input.side" not in shown
    assert shown_options(BackboneConfig(backbone="timm:x", input=InputOptions(side=160)))["input.side"] == 160
    assert json.dumps(shown_options(CodeConfig(code="a.py:A", source="class A:\n    pass\n")))


def test_a_study_made_in_python_is_written_as_a_file_that_reads_the_same(write: Write):
    head, own = DualHeadConfig(fusion="sum"), BackboneCode(code="own.py:Trunk", source="class Trunk:\n    pass\n")
    one = BackboneConfig(backbone=own, head=head, tune=LastStages(last=2), input=InputOptions(side=160))
    study = Study("study", "Why?", "scenes", "plain", {"plain": BackboneConfig(backbone="timm:x"), "one": one})
    again = load_study(write(study.source))
    assert again.variants == study.variants
