"""cluster/kuberay.yaml is valid for KubeRay and Kubernetes, gives no rights, and runs the image of the Dockerfile."""

import copy
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from emotune.cli.ablate_options import parse

CHECKOUT = Path(__file__).parents[2]
ENTRY = re.compile(r"[\w\s./:=-]+")
"""What no shell reads in another way."""


@pytest.fixture
def documents() -> list[dict[str, Any]]:
    text = (CHECKOUT / "cluster" / "kuberay.yaml").read_text()
    return copy.deepcopy([*yaml.safe_load_all(text)])  # what anchors share is apart, so that one can be changed


@pytest.fixture
def job(documents: list[dict[str, Any]]) -> dict[str, Any]:
    return documents[0]


def pods(job: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The templates of the pods, by what they are for."""
    cluster = job["spec"]["rayClusterSpec"]
    return {
        "submitter": job["spec"]["submitterPodTemplate"],
        "head": cluster["headGroupSpec"]["template"],
        **{group["groupName"]: group["template"] for group in cluster["workerGroupSpecs"]},
    }


def containers(job: dict[str, Any]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    for pod in pods(job).values():
        for container in pod["spec"]["containers"]:
            yield pod["spec"], container


def check_kubernetes(resource: dict[str, Any]) -> None:
    """Checks a resource with Kubernetes' schema, in which unknown fields are mistakes."""
    validate = pytest.importorskip("kubernetes_validate")
    validate.validate(resource, validate.latest_version(), strict=True)


def check_job(job: dict[str, Any]) -> None:
    from jsonschema import Draft202012Validator

    schema = yaml.safe_load((Path(__file__).parent / "rayjob.yaml").read_text())
    Draft202012Validator(schema).validate(job)
    for name, pod in pods(job).items():
        check_kubernetes({"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": name}, "template": pod})


def mistaken(job: dict[str, Any], place: str, value: Any) -> dict[str, Any]:
    """The job with another value at a place, of which the parts are separated by slashes."""
    changed = copy.deepcopy(job)
    *folders, last = place.split("/")
    inner: Any = changed
    for part in folders:
        inner = inner[int(part) if part.isdigit() else part]
    inner[last] = value
    return changed


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("spec/backOffLimit", 3),
        ("spec/backoffLimit", "3"),
        ("spec/rayClusterSpec/authOptions/mode", "password"),
        ("spec/rayClusterSpec/headGroupSpec/rayStartParams/num-cpus", 0),
        ("spec/rayClusterSpec/workerGroupSpecs/0/template/spec/toleration", []),
        ("spec/rayClusterSpec/workerGroupSpecs/0/template/spec/containers/0/resources/limits", "none"),
    ],
)
def test_the_job_is_valid_and_mistakes_are_found(job: dict[str, Any], place: str, value: Any):
    from jsonschema import ValidationError

    check_job(job)
    with pytest.raises(ValidationError):
        check_job(mistaken(job, place, value))


def test_no_port_is_public_and_only_pods_of_the_cluster_and_the_operator_reach_it(documents: list[dict[str, Any]]):
    job, policy = documents
    check_kubernetes(policy)
    cluster = job["spec"]["rayClusterSpec"]
    assert cluster["authOptions"] == {"mode": "token"}
    assert cluster["headGroupSpec"]["serviceType"] == "ClusterIP"
    assert cluster["headGroupSpec"]["enableIngress"] is False
    for spec, container in containers(job):
        assert "hostNetwork" not in spec
        assert not [port for port in container.get("ports", []) if "hostPort" in port]
    chosen = policy["spec"]["podSelector"]["matchLabels"]
    for name, pod in pods(job).items():
        assert chosen.items() <= pod["metadata"]["labels"].items(), name
    own, operator = policy["spec"]["ingress"]
    assert own == {"from": [{"podSelector": {"matchLabels": chosen}}]}
    assert operator["ports"] == [{"protocol": "TCP", "port": 8265}]


def test_pods_keep_the_restricted_security_standard(job: dict[str, Any]):
    """Kubernetes' "Pod Security Standards", restricted, with a read-only root file system besides."""
    user = re.search(r"^USER (\d+):(\d+)$", (CHECKOUT / "Dockerfile").read_text(), re.MULTILINE)
    assert user
    allowed = {"configMap", "emptyDir", "persistentVolumeClaim", "secret"}
    for spec, container in containers(job):
        rights = spec["securityContext"]
        assert rights["runAsNonRoot"] is True
        assert (rights["runAsUser"], rights["runAsGroup"]) == tuple(map(int, user.groups()))
        assert rights["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}
        }  # fmt: skip
        assert all(set(volume) - {"name"} <= allowed for volume in spec["volumes"])
        mounted = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
        assert set(mounted) <= {volume["name"] for volume in spec["volumes"]}
        assert mounted["scratch"] == "/tmp"
        assert {"name": "HOME", "value": "/tmp"} in container["env"]
        assert container["resources"]["limits"]["memory"]


def test_the_command_is_one_of_emotune_and_its_folders_are_volumes(job: dict[str, Any]):
    entry = job["spec"]["entrypoint"]
    assert ENTRY.fullmatch(entry)
    python, *arguments = entry.split()
    assert (python, arguments[:2]) == ("python", ["-m", "emotune.ablate"])
    options = parse(arguments[2:])
    (head,) = pods(job)["head"]["spec"]["containers"]
    mounted = [mount["mountPath"] for mount in head["volumeMounts"]]
    for path in (options.study, options.runs, options.report):
        assert any(path.startswith(f"{folder}/") for folder in mounted), path
    assert options.gpus_per_worker == 1


def test_spot_machines_are_for_workers_which_checkpoint_before_they_end(job: dict[str, Any]):
    cluster, templates = job["spec"]["rayClusterSpec"], pods(job)
    assert "tolerations" not in templates["head"]["spec"]
    assert cluster["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    for group in cluster["workerGroupSpecs"]:
        spec = group["template"]["spec"]
        (worker,) = spec["containers"]
        shell, flag, command = worker["lifecycle"]["preStop"]["exec"]["command"]
        assert (shell, flag) == ("/bin/bash", "-c")
        deadline = re.search(r"--reason DRAIN_NODE_REASON_PREEMPTION --deadline-remaining-seconds (\d+)", command)
        assert deadline
        assert int(deadline[1]) < spec["terminationGracePeriodSeconds"]
        assert worker["resources"]["limits"]["nvidia.com/gpu"] == "1"
        assert {toleration["key"] for toleration in spec["tolerations"]} >= {"cloud.google.com/gke-spot"}
        assert group["minReplicas"] == 0 < group["maxReplicas"]


def test_a_lost_head_is_replaced_and_the_cluster_ends_with_the_study(job: dict[str, Any]):
    spec = job["spec"]
    assert spec["backoffLimit"] > 0
    assert spec["shutdownAfterJobFinishes"] is True
    pinned = (CHECKOUT / "constraints.txt").read_text().splitlines()
    assert f"ray=={spec['rayClusterSpec']['rayVersion']}" in pinned
    assert len({container["image"] for _, container in containers(job)}) == 1
