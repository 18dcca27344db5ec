"""The optimizers that a study can name are torch's, with torch's options and defaults."""

import inspect
import json
from dataclasses import replace

import pytest
import torch
import yaml
from pydantic import ValidationError
from study_files import GOOD, mistakes

from emotune.config.load import load_study
from emotune.config.model import AlexNetConfig
from emotune.config.optimizers import OPTIMIZERS, UNSUITABLE, checked_options, kept_values
from emotune.config.run import DatasetRef, RunConfig, difference_to_defaults
from emotune.config.study import Study
from emotune.config.train import TrainConfig
from emotune.training.optim import make_optimizer

OF_TRAIN = {"lr", "weight_decay", "momentum"}
OF_OTHERS = {"self", "params", "maximize", "foreach", "fused", "capturable", "differentiable"}
"""Arguments that a study cannot set: training minimises, and emotune chooses how it is computed."""
BETAS = {"betas": [0.9, 0.95]}


def run_with(**settings: object) -> RunConfig:
    dataset = DatasetRef(name="photos", location="/data/photos", content_hash="0123")
    return RunConfig(variant="plain", dataset=dataset, seed=0, model=AlexNetConfig(), train=TrainConfig(**settings))


def test_the_table_has_every_optimizer_of_torch_or_why_it_is_refused():
    optimizers = {name for name in torch.optim.__all__ if isinstance(getattr(torch.optim, name), type)} - {"Optimizer"}
    assert {kind.torch_name for kind in OPTIMIZERS.values()} | set(UNSUITABLE) == optimizers
    assert all(name in ("sgd", "adamw", kind.torch_name) for name, kind in OPTIMIZERS.items())


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_options_are_those_of_the_installed_torch_with_its_defaults(name: str):
    kind = OPTIMIZERS[name]
    arguments = inspect.signature(getattr(torch.optim, kind.torch_name).__init__).parameters
    options = {key: argument.default for key, argument in arguments.items() if key not in OF_TRAIN | OF_OTHERS}
    assert kind.options == options
    assert {key for key, default in kind.options.items() if isinstance(default, bool)} == {
        key for key, default in options.items() if isinstance(default, bool)
    }
    assert kind.momentum == ("momentum" in arguments)
    assert {"lr", "weight_decay"} <= arguments.keys()
    assert ("fused" if kind.fused else "foreach") in arguments


@pytest.mark.parametrize(
    ("name", "flag"),
    [(name, None) for name in OPTIMIZERS]
    + [(name, flag) for name, kind in OPTIMIZERS.items() for flag, value in kind.options.items() if value is False],
)
def test_an_optimizer_keeps_as_many_values_for_each_weight_as_the_check_of_the_disk_expects(
    name: str, flag: str | None
):
    options = {flag: True} if flag else {}
    train = TrainConfig(optimizer=name, optimizer_options=options)
    layer = torch.nn.Linear(7, 5, bias=False)
    optimizer = make_optimizer(layer, train)
    layer(torch.ones(2, 7)).sum().backward()
    optimizer.step()
    state = optimizer.state_dict()["state"][0].values()
    kept = sum(value.shape == layer.weight.shape for value in state if isinstance(value, torch.Tensor))
    assert kept_values(name, options, train.momentum) == kept


@pytest.mark.parametrize(
    ("name", "offered"), [("AdamW", "adamw"), ("SGD", "sgd"), ("adam", "Adam"), ("rmsprob", "RMSprop")]
)
def test_a_wrong_name_is_answered_with_the_nearest(name: str, offered: str):
    with pytest.raises(ValidationError, match=f'did you mean "{offered}"'):
        TrainConfig(optimizer=name)


@pytest.mark.parametrize("name", UNSUITABLE)
def test_an_optimizer_that_cannot_work_is_refused_with_the_reason(name: str):
    with pytest.raises(ValidationError) as caught:
        TrainConfig(optimizer=name)
    assert UNSUITABLE[name] in str(caught.value)


def test_mistakes_in_the_options_are_found_when_the_study_is_read(write):
    lines = mistakes(
        write(
            GOOD
            + """
  typo: {train.optimizer: adamw, train.optimizer_options: {beta: [0.9, 0.95], eps: small}}
  rate: {train.optimizer: adamw, train.optimizer_options: {lr: 0.1, amsgrad: 1}}
  none: {train.optimizer: Adadelta, train.optimizer_options: [0.9]}
  part: {train.optimizer: Adam, train.optimizer_options: {betas: [0.9]}}
  nan:  {train.optimizer: Adam, train.optimizer_options: {eps: .nan}}
  more: {train.optimizer: adamw, train.momentum: 0.5}
"""
        )
    )
    starts = [f"variants.{name}: train.optimizer_options: " for name in ("typo", "rate", "none", "part", "nan")]
    assert [line.startswith(start) for line, start in zip(lines, [*starts, "variants.more: train: "], strict=True)]
    assert 'did you mean "betas"' in lines[0]
    assert "eps: " in lines[0]
    assert "train.lr" in lines[1]
    assert "amsgrad: " in lines[1]


@pytest.mark.parametrize(
    "settings",
    [
        {"optimizer": "adamw", "momentum": 0.5},
        {"momentum": 0, "optimizer_options": {"dampening": 0.5}},
        {"optimizer": "NAdam", "weight_decay": 0, "optimizer_options": {"decoupled_weight_decay": True}},
    ],
)
def test_a_setting_that_the_optimizer_does_not_use_is_refused(settings: dict[str, object]):
    with pytest.raises(ValidationError, match="it would change nothing"):
        TrainConfig(**settings)
    assert TrainConfig(optimizer="RMSprop", momentum=0.5).momentum == 0.5


def test_options_are_a_part_of_the_identity_and_those_at_their_defaults_are_not():
    plain, other = run_with(optimizer="adamw"), run_with(optimizer="adamw", optimizer_options=BETAS)
    spoken = run_with(optimizer="adamw", optimizer_options={"betas": [0.9, 0.999], "eps": "1e-8"})
    assert len({run_with().id, plain.id, other.id}) == 3
    assert (spoken, spoken.id) == (plain, plain.id)
    assert difference_to_defaults(TrainConfig(optimizer="sgd", optimizer_options={"nesterov": False})) == {}
    order = [run_with(optimizer="Adam", optimizer_options=dict(pairs)) for pairs in (
        (("eps", 1), ("amsgrad", True)), (("amsgrad", True), ("eps", 1.0)),
    )]  # fmt: skip
    assert (order[0].id, hash(order[0])) == (order[1].id, hash(order[1]))


def test_options_are_read_back_from_json_and_cannot_be_changed():
    run = run_with(optimizer="Adafactor", optimizer_options={"eps": [None, 0.01], "d": 2})
    again = RunConfig.from_json(json.loads(json.dumps(run.to_json())))
    assert (again, again.id, hash(again)) == (run, run.id, hash(run))
    assert again.train.optimizer_options == {"d": 2.0, "eps": (None, 0.01)}
    with pytest.raises(TypeError):
        again.train.optimizer_options["d"] = 3.0
    assert replace(run.train, lr=0.1).optimizer_options == run.train.optimizer_options


def test_a_study_in_python_with_options_is_written_as_a_file_that_reads_the_same(tmp_path):
    train = TrainConfig(optimizer="adamw", optimizer_options=BETAS)
    study = Study("study", "?", "scenes", "plain", {"plain": AlexNetConfig(), "adamw": (AlexNetConfig(), train)})
    assert yaml.safe_load(study.source)["variants"]["adamw"]["train.optimizer_options"] == BETAS
    (tmp_path / "study.yaml").write_text(study.source)
    assert load_study(tmp_path / "study.yaml").variants == study.variants


def test_checked_options_are_in_the_order_of_their_names():
    assert list(checked_options("Adam", {"eps": 1, "amsgrad": True, "betas": (0, 0)})) == ["amsgrad", "betas", "eps"]
