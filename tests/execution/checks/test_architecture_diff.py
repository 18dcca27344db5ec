"""What networks.json has of each variant: changed options, parameters and FLOPs."""

import json
from dataclasses import replace

import pytest

from emotune.analysis.architecture import VariantEntry, architecture_differences, architecture_summary
from emotune.config.metric import Metric
from emotune.config.model import AlexNetConfig, AttentionConfig, DualBranchConfig, MldrConfig, ModelConfig
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
    return Study("study", "?", "scenes", "plain", pairs, 1, (), Metric(), Resources())


def variant(config: ModelConfig | tuple[ModelConfig, TrainConfig]) -> tuple[VariantEntry, str]:
    """The entry of a variant beside the narrow AlexNet, and its line in the summary."""
    value = describe(study_of(other=config), {"scenes": 8})
    assert json.loads(json.dumps(value)) == value
    return value["networks"][0]["variants"]["other"], architecture_summary(value)[1]


def test_attention_is_told_by_its_options_parameters_and_flops():
    entry, line = variant(AttentionConfig(width=0.0625))
    assert entry["settings"]["model.name"] == ["alexnet", "attention"]
    assert entry["settings"]["model.scale"] == [None, "positions"]
    assert line.startswith("other: model.name alexnet → attention, ")
    assert "model.scale positions" in line
    assert "parameters (+17), " in line


def test_options_that_only_the_baselines_network_has_are_not_changes():
    value = describe(replace(study_of(other=AttentionConfig(width=0.0625)), baseline="other"), {"scenes": 8})
    (plain, _) = architecture_differences(value)
    assert plain.settings == ("model.name attention → alexnet",)
    assert plain.more_parameters == "−17"


@pytest.mark.parametrize(
    "config", [DualBranchConfig(width=0.0625), MldrConfig(width=0.0625), replace(NARROW, width=0.125)]
)
def test_costs_are_those_of_the_network_that_is_trained(config: ModelConfig):
    entry, _ = variant(config)
    assert (entry["parameters"], entry["forward_flops"]) == (cost(config, 8).parameters, cost(config, 8).forward_flops)


def test_options_of_an_optimizer_are_told_as_a_study_has_them():
    train = replace(TRAIN, optimizer="adamw", optimizer_options={"betas": [0.9, 0.95]})
    _, line = variant((NARROW, train))
    assert "train.optimizer sgd → adamw, train.optimizer_options {} → {betas: [0.9, 0.95]};" in line


def test_settings_that_change_no_module_are_told_with_a_difference_of_zero():
    entry, line = variant((replace(NARROW, weight_init="he"), replace(TRAIN, lr=0.5)))
    assert entry["settings"] == {"model.weight_init": ["ksh12", "he"], "train.lr": [0.01, 0.5]}
    assert line.startswith("other: model.weight_init ksh12 → he, train.lr 0.01 → 0.5; ")
    assert line.count("(+0)") == 2


def test_every_variant_that_cannot_be_built_is_named():
    vast = AlexNetConfig(width=1e6)
    with pytest.raises(InputError) as caught:
        describe(study_of(good=replace(NARROW, dropout=0), vast=vast, also=(vast, TrainConfig())), {"scenes": 8})
    first, second = str(caught.value).splitlines()
    assert first.startswith("variants.vast: ")
    assert "RuntimeError" in first
    assert second.startswith("variants.also: ")


def test_data_sets_of_different_classes_have_networks_of_their_own_and_the_key_follows_from_what_decides():
    study, classes = study_of(), {"a": 8, "b": 2, "c": 8}
    value = describe(study, classes)
    assert [(entry["classes"], entry["datasets"]) for entry in value["networks"]] == [(8, ["a", "c"]), (2, ["b"])]
    assert value["key"] == file_key(study, classes)
    assert value["key"] == file_key(replace(study, seeds=9, resources=Resources(workers=2)), classes)
    assert value["key"] != file_key(study, {"a": 8})
    assert value["key"] != file_key(study_of(other=replace(NARROW, lrn="none")), classes)
