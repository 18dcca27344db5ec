"""`cluster/config.yaml` against moto: up, a spot instance that comes and goes with a study, results on S3, down."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from cloud import ENVIRONMENT, REGION, ZONE, Cloud
from machines import CHECKOUT, Machine, missing, running, until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(bool(missing()), reason=missing()),
]

STUDY = """
question: Does attention help on very few images?
datasets: [{data}]
model: {{name: alexnet, width: 0.0625, weight_init: he, dropout: 0.0}}
train: {{epochs: 2, batch_size: 16, lr: 0.005}}
baseline: alexnet
variants:
  alexnet: {{}}
  attention: {{model.name: attention}}
seeds: 1
contrasts: [attention - alexnet]
"""
TO_HEAD = ("--address", "http://localhost:8265")
POOL = "s3://bucket/runs"


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    environment = {"RAY_AUTH_MODE": "token", "RAY_USAGE_STATS_ENABLED": "0"}
    with Cloud(tmp_path / "network", environment, CHECKOUT / "cluster" / "iam" / "trust.json") as cloud:
        yield cloud


def cluster_file(cloud: Cloud) -> str:
    """The shipped file with this cloud's ids, machines of two CPUs, and this environment instead of pip's."""
    config = yaml.safe_load((CHECKOUT / "cluster" / "config.yaml").read_text())
    config["provider"] |= {"region": REGION, "availability_zone": ZONE, "use_internal_ips": True}
    config["auth"] = {"ssh_user": "root", "ssh_private_key": str(cloud.network.key)}
    config["idle_timeout_minutes"] = 0.5
    for name, kind in config["available_node_types"].items():
        network = {"SubnetIds": [cloud.made["subnet"]], "SecurityGroupIds": [cloud.made["group"]]}
        kind["node_config"] |= network | {"ImageId": cloud.made["image"]}
        kind["resources"] = {"CPU": 0 if name == "head" else 2}
    kept = [command for command in config["setup_commands"] if "pip install" not in command]
    assert len(kept) == len(config["setup_commands"]) - 1
    reach = " ".join(f"{name}={value}" for name, value in ENVIRONMENT.items())
    config["setup_commands"] = [
        f"ln -sfn {sys.prefix} ~/emotune-venv", *kept, f"echo export {reach} OMP_NUM_THREADS=1 >> ~/.bashrc"
    ]  # fmt: skip
    path = cloud.network.folder / "config.yaml"
    path.write_text(yaml.safe_dump(config, width=1000))
    return str(path)


def test_a_spot_instance_comes_and_goes_with_a_study_whose_results_are_on_s3(
    cloud: Cloud, small_shards: Path, tmp_path: Path
):
    laptop, folder = cloud.laptop, cloud.network.folder
    data, project = shutil.copytree(small_shards, folder / "data"), folder / "project"
    shutil.copytree(CHECKOUT / "emotune", project / "emotune", ignore=shutil.ignore_patterns("__pycache__"))
    (project / "few.yaml").write_text(STUDY.format(data=data))
    config = cluster_file(cloud)
    laptop.run("ray", "get-auth-token", "--generate")
    laptop.run("env", "-C", str(CHECKOUT), "ray", "up", "-y", "--no-config-cache", config, timeout=240)
    (head,) = cloud.running()
    assert head["IamInstanceProfile"]["Arn"].endswith("/emotune-head")
    assert "InstanceLifecycle" not in head

    def monitor() -> str:
        return cloud.machine(head).run("bash", "-c", "tail -n 60 /tmp/ray/session_latest/logs/monitor.*")

    with running(laptop, "ray", "dashboard", config, log=tmp_path / "tunnel"):
        until("the dashboard", lambda: reachable(laptop), 60, (tmp_path / "tunnel").read_text)
        job = ("--no-wait", "--submission-id=study", f"--working-dir={project}", "--")
        ablate = f"python -m emotune.ablate few.yaml --runs {POOL} --wait 5"
        laptop.run("ray", "job", "submit", *TO_HEAD, *job, *ablate.split())
        until("a machine for the study", lambda: len(cloud.running()) > 1, 120, monitor)
        until("the end of the study", lambda: ended(laptop), 240, lambda: log(laptop) + monitor(), every_s=5)
        said = log(laptop)
    workers = [instance for name, instance in cloud.seen.items() if name != head["InstanceId"]]
    assert [worker.get("InstanceLifecycle") for worker in workers] == ["spot"], said
    assert workers[0]["IamInstanceProfile"]["Arn"].endswith("/emotune-worker")
    for machine in (head, *workers):
        assert [group["GroupId"] for group in machine["SecurityGroups"]] == [cloud.made["group"]]
    until("the end of the idle machine", lambda: len(cloud.running()) == 1, 200, monitor)

    report = ("python", "-m", "emotune.ablate", "few.yaml", "--report-only", "--runs", POOL)
    laptop.run("env", "-C", str(project), *report)
    assert "Does attention help" in (project / "reports" / "few" / "index.html").read_text()
    laptop.run("ray", "down", "-y", config, timeout=180)
    until("the end of all machines", lambda: not cloud.running(), 60)


def reachable(laptop: Machine) -> bool:
    return laptop.start("bash", "-c", "exec 3<> /dev/tcp/localhost/8265", stderr=subprocess.DEVNULL).wait() == 0


def log(laptop: Machine) -> str:
    return laptop.run("ray", "job", "logs", *TO_HEAD, "study")


def ended(laptop: Machine) -> bool:
    status = laptop.run("ray", "job", "status", *TO_HEAD, "study")
    assert "failed" not in status, log(laptop)
    return "succeeded" in status
