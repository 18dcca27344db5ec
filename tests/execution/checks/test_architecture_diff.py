"""What networks.json says of variants, against differences that are known."""

import json
from dataclasses import replace
from typing import Any

import pytest

from emotune.analysis.architecture import summary
from emotune.config.metric import Metric
from emotune.config.model import AlexNetConfig, AttentionConfig, DualBranchConfig, MldrConfig, MldrV2Config, ModelConfig
from emotune.config.resources import Resources
from emotune.config.study import Study
from emotune.config.train import TrainConfig
from emotune.core.errors import InputError
from emotune.execution.checks.architecture import describe, file_key
from emotune.models.cost import cost

NARROW = AlexNetConfig(width=0.0625)
TRAIN = TrainConfig(epochs=2)


def study_of(**variants: ModelConfig | tuple[ModelConfig, TrainConfig]) -> Study:
    pairs = {name: v if isinstance(v, tuple) else (v, TRAIN) for name, v in {"plain": NARROW, **variants}.items()}
    return Study("study", "?", (), "plain", pairs, 1, (), Metric(), Resources())


def variant(config: ModelConfig | tuple[ModelConfig, TrainConfig]) -> tuple[dict[str, Any], str]:
    """Its entry, and the line on it."""
    value = describe(study_of(other=config), {"scenes": 8})
    assert json.loads(json.dumps(value)) == value
    return value["networks"][0]["variants"]["other"], summary(value)[1]


def names(modules: list[dict[str, Any]]) -> list[str]:
    return [module["name"] for module in modules]


def test_attention_is_one_module_more_with_its_parameters():
    entry, line = variant(AttentionConfig(width=0.0625))
    (change,) = entry["changed"]
    assert (change["was"]["kind"], change["is"]["kind"]) == ("Identity", "SpatialAttention")
    assert change["is"]["name"] == "trunk.attention"
    assert change["is"]["parameters"] == {"score.weight": [1, 16], "score.bias": [1]}
    assert entry["added"] == entry["removed"] == []
    assert entry["settings"]["model.name"] == ["alexnet", "attention"]
    assert entry["settings"]["model.scale"] == [None, "positions"]
    assert line.startswith("other: +1 SpatialAttention; ")
    assert "parameters (+17), " in line


def test_a_second_branch_is_one_module_whatever_the_first_is_called():
    entry, line = variant(DualBranchConfig(width=0.0625, attention="none"))
    assert names(entry["added"]) == ["second"]
    assert entry["added"][0]["parameters"]["fc.4.weight"] == [256, 256]
    assert [(c["was"]["parameters"]["weight"], c["is"]["parameters"]["weight"]) for c in entry["changed"]] == [
        ([8, 256], [8, 512])
    ]
    assert "+1 branch, 1 module changed; " in line
    shared, _ = variant(DualBranchConfig(width=0.0625, attention="none", convolutions="shared"))
    assert {name.partition(".")[0] for name in shared["added"][0]["parameters"]} == {"fc"}, "the others are the first's"


def test_parameters_that_were_added_less_those_removed_are_the_difference_of_the_counts():
    for config in (
        DualBranchConfig(width=0.0625), DualBranchConfig(width=0.0625, convolutions="shared"),
        MldrConfig(width=0.0625), MldrV2Config(width=0.0625), replace(NARROW, width=0.125),
        AlexNetConfig(width=0.0625, backbone="alexnet_owt"), AttentionConfig(width=0.0625, output="sum"),
    ):  # fmt: skip
        entry, _ = variant(config)
        more = sum(map(count, entry["added"])) - sum(map(count, entry["removed"]))
        more += sum(count(change["is"]) - count(change["was"]) for change in entry["changed"])
        assert more == cost(config, 8).parameters - cost(NARROW, 8).parameters, config
        assert entry["forward_flops"] == cost(config, 8).forward_flops


def count(module: dict[str, Any]) -> int:
    total = 0
    for shape in module["parameters"].values():
        product = 1
        for size in shape:
            product *= size
        total += product
    return total


def test_a_plain_number_of_a_module_is_a_change():
    entry, line = variant(replace(NARROW, dropout=0.25))
    assert [(c["was"]["attributes"], c["is"]["attributes"]) for c in entry["changed"]] == [
        ({"p": 0.5}, {"p": 0.25})
    ] * 2
    assert line.startswith("other: 2 modules changed; ")


def test_settings_that_change_no_module_are_said_to_act_otherwise():
    entry, line = variant((replace(NARROW, weight_init="he"), replace(TRAIN, lr=0.5)))
    assert entry["added"] == entry["removed"] == entry["changed"] == []
    says = "other: the baseline's modules and shapes; model.weight_init ksh12 → he, train.lr 0.01 → 0.5"
    assert line == says


def test_every_variant_that_cannot_be_built_is_named():
    vast = AlexNetConfig(width=1e6)
    with pytest.raises(InputError) as caught:
        describe(study_of(good=replace(NARROW, dropout=0), vast=vast, also=(vast, TrainConfig())), {"scenes": 8})
    first, second = str(caught.value).splitlines()
    assert first.startswith("variants.vast: its network cannot be built (RuntimeError: ")
    assert second.startswith("variants.also: ")


def test_data_sets_of_different_classes_have_networks_of_their_own_and_the_key_is_that_of_what_decides():
    study, classes = study_of(), {"a": 8, "b": 2, "c": 8}
    value = describe(study, classes)
    assert [(entry["classes"], entry["datasets"]) for entry in value["networks"]] == [(8, ["a", "c"]), (2, ["b"])]
    assert value["key"] == file_key(study, classes)
    assert value["key"] == file_key(replace(study, seeds=9, resources=Resources(workers=2)), classes)
    assert value["key"] != file_key(study, {"a": 8})
    assert value["key"] != file_key(study_of(other=replace(NARROW, lrn="none")), classes)
