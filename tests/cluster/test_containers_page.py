"""The commands of docs/tutorials/containers.md fit the Dockerfile, the cluster files and emotune's own options."""

import re
import shlex
from pathlib import Path

import pytest
import yaml

from emotune.cli.ablate_options import parse

CHECKOUT = Path(__file__).parents[2]
PAGE = (CHECKOUT / "docs" / "tutorials" / "containers.md").read_text()
COMMANDS = [
    shlex.split(line)
    for block in re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    for line in block.replace("\\\n", " ").splitlines()
]


def values(command: list[str], option: str) -> list[str]:
    """What follows an option, as ``--option VALUE`` or ``--option=VALUE``."""
    after = [command[place + 1] for place, word in enumerate(command) if word == option]
    return after + [word.partition("=")[2] for word in command if word.startswith(f"{option}=")]


@pytest.mark.parametrize("command", [c for c in COMMANDS if "emotune.ablate" in c], ids=" ".join)
def test_options_of_emotune_are_known(command: list[str]):
    assert parse(command[command.index("emotune.ablate") + 1 :]).command == "run"


def test_build_arguments_are_those_of_the_dockerfile_and_all_are_described():
    declared = set(re.findall(r"^ARG (\w+)", (CHECKOUT / "Dockerfile").read_text(), re.MULTILINE))
    used = {value.partition("=")[0] for command in COMMANDS for value in values(command, "--build-arg")}
    assert used == {"ACCELERATOR"}
    assert declared == set(re.findall(r"^\| `([A-Z_]+)` \|", PAGE, re.MULTILINE))


def test_kubernetes_objects_are_those_of_the_cluster_file():
    text = (CHECKOUT / "cluster" / "kuberay.yaml").read_text()
    job, _ = yaml.safe_load_all(text)
    kubectl = [command[1:] for command in COMMANDS if command[0] == "kubectl"]
    for command in kubectl:
        assert all((CHECKOUT / path).is_file() for path in values(command, "-f") if path != "-l")
        if command[:2] == ["get", "rayjob"]:
            assert command[2] == job["metadata"]["name"]
        if command[0] == "create":
            assert f"name: {command[2]}}}" in text
    assert {command[0] for command in kubectl} == {"create", "apply", "get", "logs", "port-forward"}


def test_the_task_that_is_launched_has_the_variables_that_are_set():
    (launch,) = [command for command in COMMANDS if command[:3] == ["sky", "jobs", "launch"]]
    task = yaml.safe_load((CHECKOUT / launch[3]).read_text())
    assert {value.partition("=")[0] for value in values(launch, "--env")} == set(task["envs"])
    queued = [command for command in COMMANDS if command[:3] == ["sky", "jobs", "logs"]]
    assert all(values(command, "--name") == [task["name"]] for command in queued)
