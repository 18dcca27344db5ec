"""Warnings before runs begin: bfloat16 on CPUs without it, and nodes that stay idle."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from emotune.config.backbone import BackboneConfig, LastStages
from emotune.config.model import AlexNetConfig
from emotune.config.resources import Resources
from emotune.config.run import RunConfig, Selection
from emotune.config.train import TrainConfig
from emotune.data.datasets.resolve import resolve_datasets
from emotune.execution.checks import advice
from emotune.execution.checks.advice import (
    bf16_factor,
    bf16_without_instructions,
    frozen_at_random,
    idle_nodes,
    rate_of_sgd,
    slow_bf16,
)

SLURM = ("SLURM_JOB_NUM_NODES", "SLURM_NNODES", "SLURM_STEP_NUM_NODES", "WORLD_SIZE", "RAY_ADDRESS")


@pytest.fixture
def runs(small_shards: Path) -> list[RunConfig]:
    (dataset,) = resolve_datasets([Selection(data=str(small_shards))])
    exact = RunConfig(variant="exact", dataset=dataset, seed=0, model=AlexNetConfig(), train=TrainConfig())
    rounded = replace(exact, variant="rounded", train=TrainConfig(precision="bf16"))
    return [exact, rounded, replace(rounded, seed=1)]


@pytest.mark.parametrize(("has", "lines"), [(False, 1), (True, 0), (None, 0)])
def test_a_plan_names_variants_in_bfloat16_where_the_cpus_flags_do_not_support_it(runs, monkeypatch, has, lines):
    monkeypatch.setattr(advice, "has_native_bfloat16", lambda: has)
    warnings = bf16_without_instructions(runs, Resources(), "local")
    assert len(warnings) == lines
    assert all(line.startswith("variant rounded: ") for line in warnings)
    assert bf16_without_instructions(runs[:1], Resources(), "local") == []


def test_there_is_no_warning_about_this_cpu_where_gpus_or_other_machines_train(runs, monkeypatch):
    monkeypatch.setattr(advice, "has_native_bfloat16", lambda: False)
    monkeypatch.setattr(advice, "bf16_factor", lambda threads: 20.0)
    for warn in (bf16_without_instructions, slow_bf16):
        assert len(warn(runs, Resources(), "ray")) == 1
        assert warn(runs, Resources(gpus_per_worker=0.5), "ray") == []
        with monkeypatch.context() as patch:
            patch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
            assert warn(runs, Resources(), "ray") == []
            assert len(warn(runs, Resources(), "local")) == 1


def test_the_default_learning_rate_is_warned_of_with_optimizers_of_adams_family_only(runs):
    exact = runs[0]
    settings = {"adamw": {}, "Adam": {}, "RMSprop": {}, "slow": {"lr": 0.001}}
    optimizers = {name: {"optimizer": "adamw" if name == "slow" else name} | more for name, more in settings.items()}
    others = [replace(exact, variant=name, train=replace(exact.train, **more)) for name, more in optimizers.items()]
    (warning,) = rate_of_sgd([exact, *others])
    assert warning.startswith("variants adamw, Adam: train.lr ")
    assert rate_of_sgd([exact, others[2], others[3]]) == []


def test_frozen_layers_with_random_weights_are_warned_of(runs):
    models = {
        "probe": (BackboneConfig(backbone="timm:resnet18", tune="head"), TrainConfig()),
        "last": (BackboneConfig(backbone="timm:resnet18", tune=LastStages(last=1)), TrainConfig()),
        "all": (BackboneConfig(backbone="timm:resnet18"), TrainConfig()),
    }
    made = [replace(runs[0], variant=name, model=model, train=train) for name, (model, train) in models.items()]
    (warning,) = frozen_at_random([*runs, *made])
    assert warning.startswith("variants probe, last: ")
    assert frozen_at_random(made[2:]) == []


def test_the_factor_is_measured_with_a_runs_threads_and_reported_only_where_bfloat16_is_slower(runs, monkeypatch):
    before = torch.get_num_threads()
    assert 0.05 < bf16_factor(1) < 1000
    assert torch.get_num_threads() == before
    for factor, lines in ((0.5, 0), (1.0, 0), (23.46, 1)):
        monkeypatch.setattr(advice, "bf16_factor", lambda threads, factor=factor: factor)
        warnings = slow_bf16(runs, Resources(), "local")
        assert [float(re.search(r"takes ([\d.]+) times", line)[1]) for line in warnings] == [23.5] * lines


@pytest.mark.parametrize(
    ("environment", "executor", "lines"),
    [
        ({}, "ray", 0),
        ({"SLURM_JOB_NUM_NODES": "1"}, "ray", 0),
        ({"SLURM_JOB_NUM_NODES": "2"}, "ray", 1),
        ({"SLURM_NNODES": "3"}, "local", 1),
        ({"SLURM_JOB_NUM_NODES": "2", "RAY_ADDRESS": "10.0.0.1:6379"}, "ray", 0),
        (
            {"SLURM_JOB_NUM_NODES": "2", "RAY_ADDRESS": "10.0.0.1:6379"},
            "local",
            1,
        ),  # the local executor does not use Ray
        ({"SLURM_JOB_NUM_NODES": "2", "WORLD_SIZE": "4"}, "local", 0),  # torchrun on every node
        ({"SLURM_JOB_NUM_NODES": "2", "SLURM_STEP_NUM_NODES": "2"}, "ray", 0),  # srun starts it on every node
        ({"SLURM_JOB_NUM_NODES": "2", "SLURM_STEP_NUM_NODES": "1"}, "ray", 1),
        ({"SLURM_JOB_NUM_NODES": "two"}, "ray", 0),
    ],
)
def test_a_slurm_job_of_several_nodes_gets_a_warning_if_only_one_trains(monkeypatch, environment, executor, lines):
    for name in SLURM:
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert len(idle_nodes(executor)) == lines
