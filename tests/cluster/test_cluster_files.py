"""The cluster files are valid for Ray and EC2, and give no access to others; checked without a network."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

CLUSTER = Path(__file__).parents[2] / "cluster"
FILES = ("config.yaml", "onprem.yaml")


@pytest.fixture(scope="module")
def requests() -> Any:
    """The model of EC2's requests in botocore."""
    return pytest.importorskip("botocore.session").get_session().get_service_model("ec2")


def read(name: str) -> dict[str, Any]:
    return yaml.safe_load((CLUSTER / name).read_text())


def started(config: dict[str, Any]) -> list[str]:
    commands = [*config["head_start_ray_commands"], *config["worker_start_ray_commands"]]
    return [command for command in commands if "ray start" in command]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_ray_accepts_the_file_and_rejects_a_mistake_in_it(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path):
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    from jsonschema import ValidationError
    from ray.autoscaler._private.util import prepare_config, validate_config

    validate_config(prepare_config(read(name)))
    with pytest.raises(ValidationError):
        validate_config(prepare_config(read(name) | {"idle_timeout_minutes": "ten"}))


def test_ec2_accepts_every_machine_and_rejects_a_mistake(requests: Any):
    from botocore.validate import ParamValidator

    shape = requests.operation_model("RunInstances").input_shape
    types = read("config.yaml")["available_node_types"]
    for kind in types.values():
        wanted = kind["node_config"] | {"MinCount": 1, "MaxCount": 1}
        assert not ParamValidator().validate(wanted, shape).has_errors()
        assert ParamValidator().validate(wanted | {"EbsSize": 100}, shape).has_errors()


def test_spot_instances_are_tried_first_and_on_demand_ones_are_the_fallback():
    config = read("config.yaml")
    head, spot, other = (config["available_node_types"][name] for name in ("head", "gpu-spot", "gpu-on-demand"))
    assert spot["priority"] > other["priority"]
    market = spot["node_config"].pop("InstanceMarketOptions")
    assert market["MarketType"] == "spot"
    assert spot["node_config"] == other["node_config"]
    assert spot["resources"] == other["resources"]
    assert spot["min_workers"] == other["min_workers"] == 0
    assert head["resources"]["CPU"] == 0
    assert config["provider"]["cache_stopped_nodes"] is False


@pytest.mark.parametrize("name", FILES)
def test_auth_token_and_loopback_dashboard(name: str):
    config = read(name)
    assert config["file_mounts"]["~/.ray/auth_token"] == "~/.ray/auth_token"
    assert "chmod 600 ~/.ray/auth_token" in config["setup_commands"]
    for command in started(config):
        assert "RAY_AUTH_MODE=token" in command
        assert "RAY_USAGE_STATS_ENABLED=0" in command
        assert ("--head" in command) == ("--dashboard-host=127.0.0.1" in command)
    assert len(started(config)) == 2
    assert "0.0.0.0" not in (CLUSTER / name).read_text()


@pytest.mark.parametrize("name", FILES)
def test_the_environment_is_the_tested_one_and_the_code_is_that_of_the_job(name: str):
    config = read(name)
    for source in config["file_mounts"].values():
        assert source.startswith("~") or (CLUSTER.parent / source).is_file()
    (install,) = [command for command in config["setup_commands"] if "pip install" in command]
    assert "--constraint constraints.txt" in install
    assert "emotune[" not in install


def test_no_role_has_more_permissions_than_it_needs():
    for path in sorted((CLUSTER / "iam").glob("*.json")):
        for statement in json.loads(path.read_text())["Statement"]:
            actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
            assert not [action for action in actions if "*" in action], path.name
            if statement.get("Resource") == "*":
                assert all(action.startswith("ec2:Describe") for action in actions), path.name
    (run,) = [s for s in json.loads((CLUSTER / "iam" / "head.json").read_text())["Statement"]
              if s["Sid"] == "StartMachinesOfThisCluster"]  # fmt: skip
    kinds = run["Condition"]["StringLike"]["ec2:InstanceType"]
    config = read("config.yaml")
    for name, kind in config["available_node_types"].items():
        allowed = any(re.fullmatch(k.replace("*", ".+"), kind["node_config"]["InstanceType"]) for k in kinds)
        assert allowed == (name != "head"), "the head starts workers, and no other head"
    assert run["Condition"]["StringEquals"]["aws:RequestTag/ray-cluster-name"] == config["cluster_name"]


def test_iam_accepts_the_policies_and_rejects_a_mistake(s3: str):
    import boto3
    from botocore.exceptions import ClientError

    iam = boto3.client("iam")  # served by the same server as s3
    trust = (CLUSTER / "iam" / "trust.json").read_text()
    iam.create_role(RoleName="role", AssumeRolePolicyDocument=trust)
    for name in ("bucket", "head"):
        policy = (CLUSTER / "iam" / f"{name}.json").read_text()
        policy = policy.replace("ACCOUNT", "123456789012").replace("BUCKET", "bucket")
        iam.put_role_policy(RoleName="role", PolicyName=name, PolicyDocument=policy)
        with pytest.raises(ClientError, match="MalformedPolicyDocument"):
            iam.put_role_policy(RoleName="role", PolicyName=name, PolicyDocument=policy.replace("Allow", "Permit"))
    assert iam.list_role_policies(RoleName="role")["PolicyNames"] == ["bucket", "head"]


def test_the_only_open_port_is_ssh_for_one_address():
    commands = (CLUSTER / "iam" / "make.sh").read_text().replace("\\\n", " ")
    opened = re.findall(r"authorize-security-group-ingress.*", commands)
    assert len(opened) == 2
    assert "--source-group" in opened[0], "the machines reach each other"
    assert re.search(r'--protocol tcp --port 22 --cidr "\$address/32"', opened[1])
