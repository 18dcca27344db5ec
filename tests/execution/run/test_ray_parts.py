"""The parts of Ray that emotune uses although they are not public: these tests fail if a new version changes them."""

import inspect
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from study_files import DATA

from emotune.config.model import CodeConfig
from emotune.config.resources import Resources
from emotune.config.run import RunConfig
from emotune.config.train import TrainConfig
from emotune.runs.store import RunStore

ROOT = Path(__file__).parents[3]
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # of Ray's own imports


def test_only_the_minor_version_of_ray_that_was_tested_is_allowed():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = [*project["dependencies"], *(line for extra in project["optional-dependencies"].values() for line in extra)]
    (installed,) = {version("ray")}
    major, minor, _ = installed.split(".")
    for ray in [requirement for requirement in map(Requirement, named) if requirement.name == "ray"]:
        assert installed in ray.specifier, "the tests run with another Ray than the project asks for"
        assert f"{major}.{int(minor) + 1}.0" not in ray.specifier


def test_a_trial_of_tune_has_the_attributes_that_the_callback_reads_and_sets():
    from ray.tune.experiment.trial import Trial

    trial = Trial("any", stub=True)
    assert (trial.status, trial.config, trial.run_metadata.num_failures) == ("PENDING", {}, 0)
    assert trial.temporary_state.ray_actor is None
    trial.max_failures = 3
    assert isinstance(inspect.getattr_static(Trial, "error_file"), property)
    assert isinstance(inspect.getattr_static(Trial, "pickled_error_file"), property)


def test_tune_reads_at_each_call_which_variables_it_passes_on_so_that_credentials_can_be_kept_back(monkeypatch):
    from ray.tune.execution import class_cache

    from emotune.execution.run.ray_executor import _aws_variables_kept_back

    passed_on: list[dict[str, str]] = []

    def remote(runtime_env: dict[str, dict[str, str]]):
        passed_on.append(runtime_env["env_vars"])
        return lambda cls: cls

    monkeypatch.setattr(class_cache.ray, "remote", remote)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    class_cache._ActorClassCache().get(int)
    with _aws_variables_kept_back():
        class_cache._ActorClassCache().get(int)
    assert ["AWS_SECRET_ACCESS_KEY" in variables for variables in passed_on] == [True, False]


def test_tune_takes_no_option_of_a_run_for_values_to_try(tmp_path: Path):
    from ray import tune
    from ray.tune.search.variant_generator import generate_variants

    from emotune.execution.run.job import run_of
    from emotune.execution.run.ray_executor import _jobs

    own = CodeConfig(
        code="nets.py:make",
        options={"grid_search": [1, 2], "depth": {"grid_search": [1, 2]}, "width": {"eval": "1 + 1"}},
        source="def make(classes, **options):\n    pass\n",
    )
    runs = [RunConfig(dataset=DATA, seed=seed, model=own, train=TrainConfig()) for seed in range(2)]
    jobs = _jobs(runs, RunStore(str(tmp_path)), Resources(), 900.0, None, None)
    expanded = [spec["job"] for _, spec in generate_variants({"job": tune.grid_search(jobs)})]
    assert [run_of(job) for job in expanded] == runs


def test_ray_has_the_settings_that_keep_it_from_starting_processes_that_nothing_uses():
    from ray._private.services import RAYLET_EXECUTABLE

    from emotune.execution.run.ray_session import ENVIRONMENT

    settings = [name.removeprefix("RAY_") for name, value in ENVIRONMENT.items() if "prestart" in name and value == "0"]
    assert len(settings) == 2
    raylet = Path(RAYLET_EXECUTABLE).read_bytes()
    assert all(setting.encode() in raylet for setting in settings)


def test_ray_tells_which_nodes_are_being_drained():
    from ray._private.state import state

    assert not inspect.signature(state.get_draining_nodes).parameters
    # That a drained node is among them is shown in tests/execution/faults/test_fault_drained_node.py.
