"""cluster/skypilot.yaml is valid for SkyPilot and continues after a preemption."""

import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from emotune.cli.ablate_options import parse
from emotune.config.load import load_study

CHECKOUT = Path(__file__).parents[2]
TASK = CHECKOUT / "cluster" / "skypilot.yaml"


@pytest.fixture
def task() -> dict[str, Any]:
    return yaml.safe_load(TASK.read_text())


def test_skypilot_accepts_the_task_and_rejects_a_mistake(task: dict[str, Any]):
    schemas = pytest.importorskip("sky.utils.schemas", reason="SkyPilot has a hundred packages: pip install skypilot")
    from jsonschema import Draft202012Validator

    whole, resources = (Draft202012Validator(get()) for get in (schemas.get_task_schema, schemas.get_resources_schema))
    whole.validate(task)
    resources.validate(task["resources"])
    assert whole.is_valid(task | {"envs": {"1": "x"}}) is False
    assert resources.is_valid(task["resources"] | {"use_spots": True}) is False


def test_the_task_installs_the_tested_versions_and_runs_a_study_of_the_checkout(task: dict[str, Any]):
    assert task["workdir"] == "."
    assert "--constraint constraints.txt '.[cluster]'" in task["setup"]
    command = re.sub(r'"\$(\w+)"', lambda name: task["envs"][name[1]], task["run"]).split()
    assert command[:4] == ["exec", "~/emotune-venv/bin/python", "-m", "emotune.ablate"]
    options = parse(command[4:])
    assert load_study(CHECKOUT / options.study).runs
    assert options.runs.startswith("s3://")
    assert options.gpus_per_worker == 1


def test_a_machine_that_is_taken_back_is_replaced(task: dict[str, Any]):
    resources = task["resources"]
    assert resources["use_spot"] is True
    assert resources["job_recovery"] == {"max_restarts_on_errors": 1, "recover_on_exit_codes": [os.EX_TEMPFAIL]}
    assert "ports" not in resources
