"""`cluster/onprem.yaml` on three pretend machines: up, a study over two of them, the loss of one, down."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import yaml
from machines import CHECKOUT, Machine, Network, missing, running, until

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(missing()), reason=missing())]

STUDY = """
question: Does attention help on very few images?
datasets: [{data}]
model: {{name: alexnet, width: 0.0625, weight_init: he, dropout: 0.0}}
train: {{epochs: 60, batch_size: 16, lr: 0.005}}
baseline: alexnet
variants:
  alexnet: {{}}
  attention: {{model.name: attention}}
seeds: 1
contrasts: [attention - alexnet]
resources: {{workers: 2}}
"""
HEAD, ONE, TWO, LAPTOP = (f"10.77.0.{number}" for number in (1, 2, 3, 100))
TO_HEAD = ("--address", "http://localhost:8265")
SMALL = """echo "export RAY_OVERRIDE_RESOURCES='{\\"CPU\\": 1, \\"object_store_memory\\": 100000000}'" >> ~/.bashrc"""


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    with Network(tmp_path / "network", {"RAY_AUTH_MODE": "token", "RAY_USAGE_STATS_ENABLED": "0"}) as network:
        yield network


def cluster_file(network: Network) -> str:
    """The shipped file with these machines, one CPU each, and this environment instead of pip's."""
    config = yaml.safe_load((CHECKOUT / "cluster" / "onprem.yaml").read_text())
    config["provider"] |= {"head_ip": HEAD, "worker_ips": [ONE, TWO]}
    config["auth"] = {"ssh_user": "root", "ssh_private_key": str(network.key)}
    kept = [command for command in config["setup_commands"] if "pip install" not in command]
    assert len(kept) == len(config["setup_commands"]) - 1
    config["setup_commands"] = [f"ln -sfn {sys.prefix} ~/emotune-venv", *kept, SMALL]
    path = network.folder / "onprem.yaml"
    path.write_text(yaml.safe_dump(config, width=1000))
    return str(path)


def alive(head: Machine) -> int:
    """The number of nodes that the head of the cluster counts."""
    script = "import ray; ray.init('auto'); print('alive:', sum(node['Alive'] for node in ray.nodes()))"
    return int(head.run("python", "-c", script).partition("alive: ")[2].split()[0])


def trains(machine: Machine) -> bool:
    return any("ray::Worker" in line for line in machine.processes().values())


def ours(machine: Machine) -> list[str]:
    """The machine's processes, except those of SSH."""
    return sorted(line for line in machine.processes().values() if line and not line.startswith(("sshd:", "bash -c ")))


def test_a_study_over_two_machines_survives_the_loss_of_one_and_nothing_is_left_after_ray_down(
    network: Network, small_shards: Path, tmp_path: Path
):
    laptop = network.add("laptop", LAPTOP)
    head, *workers = (network.add(name, ip) for name, ip in (("head", HEAD), ("one", ONE), ("two", TWO)))
    before = {machine.name: ours(machine) for machine in network.machines}
    data = shutil.copytree(small_shards, network.folder / "data")
    runs, report, project = (network.folder / name for name in ("runs", "report", "project"))
    shutil.copytree(CHECKOUT / "emotune", project / "emotune", ignore=shutil.ignore_patterns("__pycache__"))
    (project / "few.yaml").write_text(STUDY.format(data=data))
    config = cluster_file(network)

    laptop.run("ray", "get-auth-token", "--generate")
    laptop.run("env", "-C", str(CHECKOUT), "ray", "up", "-y", "--no-config-cache", config)
    until("a cluster of three", lambda: alive(head) == 3, 100, every_s=4)
    with running(laptop, "ray", "dashboard", config, log=tmp_path / "tunnel"):
        until("the dashboard", lambda: reachable(laptop), 60, (tmp_path / "tunnel").read_text)
        job = ("--no-wait", "--submission-id=study", f"--working-dir={project}", "--")
        ablate = f"python -m emotune.ablate few.yaml --runs {runs} --report {report}"
        laptop.run("ray", "job", "submit", *TO_HEAD, *job, *ablate.split())

        def says() -> str:
            return laptop.run("ray", "job", "logs", *TO_HEAD, "study")

        until("a checkpoint", lambda: list(runs.glob("*/checkpoint/index.json")), 100, says)
        victim = next(machine for machine in workers if trains(machine))
        victim.kill()
        page = report / "index.html"  # to ask Ray starts a program: not before there is a page
        until("the end of the study", lambda: page.exists() and ended(laptop), 120, says, every_s=5)
        said = says()
    records = {path.parent.name: json.loads(path.read_text()) for path in runs.glob("*/record.json")}
    assert [(record["workers"], record["reading"]) for record in records.values()] == [(2, "decoded")] * 2, said
    assert sorted(record["interruptions"] for record in records.values()) == [0, 1]
    assert "Does attention help" in page.read_text()

    laptop.run("ray", "down", "-y", config)
    before[victim.name] = []

    def left() -> list[str]:
        return [line for machine in network.machines for line in ours(machine) if line not in before[machine.name]]

    undisturbed = Path(shutil.copytree(project, tmp_path / "local"))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    command = [sys.executable, "-c", "from emotune import run_study; run_study('few.yaml', report=None)"]
    found = subprocess.run(command, cwd=undisturbed, env=environment, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    for run in records:
        here, there = (pd.read_parquet(folder / run / "predictions.parquet") for folder in (undisturbed / "runs", runs))
        pd.testing.assert_frame_equal(here, there, check_exact=True)

    until("the end of Ray on all machines", lambda: not left(), 90, lambda: "\n".join(left()))


def reachable(laptop: Machine) -> bool:
    return laptop.start("bash", "-c", "exec 3<> /dev/tcp/localhost/8265", stderr=subprocess.DEVNULL).wait() == 0


def ended(laptop: Machine) -> bool:
    status = laptop.run("ray", "job", "status", *TO_HEAD, "study")
    assert "failed" not in status, laptop.run("ray", "job", "logs", *TO_HEAD, "study")
    return "succeeded" in status
