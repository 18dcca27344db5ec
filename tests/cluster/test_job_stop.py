"""`ray job stop` on a cluster that the cluster files start: the job's runs stop with a checkpoint."""

import re
import shutil
from pathlib import Path

import pytest
import yaml
from machines import CHECKOUT, Network, missing, until

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(missing()), reason=missing())]

STUDY = """
question: Does a job that is stopped lose its work?
datasets: [{data}]
model: {{name: alexnet, width: 0.0625, weight_init: he, dropout: 0.0}}
train: {{epochs: 2000, batch_size: 16, lr: 0.005}}
baseline: alexnet
variants: {{alexnet: {{}}}}
seeds: 1
contrasts: []
"""
TO_HEAD = ("--address", "http://localhost:8265")


def settings_of(name: str) -> dict[str, str]:
    """The environment in which a cluster file starts its head."""
    config = yaml.safe_load((CHECKOUT / "cluster" / name).read_text())
    (starts,) = [command for command in config["head_start_ray_commands"] if "ray start" in command]
    return dict(pair.split("=") for pair in re.search(r"export ([^;]+);", starts)[1].split())


def test_a_job_that_is_stopped_ends_its_runs_with_a_checkpoint(small_shards: Path, tmp_path: Path):
    settings, other = settings_of("onprem.yaml"), settings_of("config.yaml")
    assert other == {name: settings[name] for name in other}, "this cluster stands for both"
    assert settings.keys() - other.keys() == {"RAY_enable_autoscaler_v2"}, "which has no part in jobs"
    with Network(tmp_path / "network", settings) as network:
        head = network.add("head", "10.77.0.1")
        project, runs = network.folder / "project", network.folder / "runs"
        shutil.copytree(CHECKOUT / "emotune", project / "emotune", ignore=shutil.ignore_patterns("__pycache__"))
        (project / "long.yaml").write_text(STUDY.format(data=shutil.copytree(small_shards, network.folder / "data")))
        head.run("ray", "get-auth-token", "--generate")
        head.run(
            "ray", "start", "--head", "--num-cpus=1", "--dashboard-host=127.0.0.1", "--object-store-memory=100000000"
        )
        job = ("--no-wait", "--submission-id=study", f"--working-dir={project}", "--")
        head.run("ray", "job", "submit", *TO_HEAD, *job, *f"python -m emotune.ablate long.yaml --runs {runs}".split())

        def says() -> str:
            return head.run("ray", "job", "logs", *TO_HEAD, "study")

        until("a checkpoint", lambda: list(runs.glob("*/checkpoint/index.json")), 100, says)
        head.run("ray", "job", "stop", *TO_HEAD, "study")
        said = says()
    assert re.search(r"was stopped in epoch \d+, after step \d", said), said
    assert "same command" in said
