"""EC2, IAM and S3 of moto in an isolated network; the instances of EC2 are pretend machines."""

import json
import subprocess
import threading
from pathlib import Path
from typing import Any, Self

from machines import Machine, Network, running, until

CLOUD, LAPTOP = "10.77.0.250", "10.77.0.253"
ENDPOINT = f"http://{CLOUD}:5000"
REGION, ZONE = "us-east-1", "us-east-1a"
ENVIRONMENT = {
    "AWS_ENDPOINT_URL": ENDPOINT,
    "AWS_DEFAULT_REGION": REGION,
    "AWS_ACCESS_KEY_ID": "pretended",
    "AWS_SECRET_ACCESS_KEY": "pretended",
}
ACCOUNT = """
import boto3, json, sys
ec2, iam, s3 = (boto3.client(service) for service in ("ec2", "iam", "s3"))
vpc = ec2.create_vpc(CidrBlock="10.77.0.0/24")["Vpc"]["VpcId"]
subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.77.0.0/25", AvailabilityZone=sys.argv[1])["Subnet"]["SubnetId"]
group = ec2.create_security_group(GroupName="emotune", Description="SSH", VpcId=vpc)["GroupId"]
ec2.import_key_pair(KeyName="emotune", PublicKeyMaterial=open(sys.argv[2]).read().encode())
for role in ("emotune-head", "emotune-worker"):
    iam.create_role(RoleName=role, AssumeRolePolicyDocument=open(sys.argv[3]).read())
    iam.create_instance_profile(InstanceProfileName=role)
    iam.add_role_to_instance_profile(InstanceProfileName=role, RoleName=role)
s3.create_bucket(Bucket="bucket")
print("made:", json.dumps({"subnet": subnet, "group": group, "image": ec2.describe_images()["Images"][0]["ImageId"]}))
"""
INSTANCES = """
import boto3, json, time
ec2 = boto3.client("ec2")
while True:
    found = [i for r in ec2.describe_instances()["Reservations"] for i in r["Instances"]]
    print("found:", json.dumps(found, default=str), flush=True)
    time.sleep(1)
"""


class Cloud:
    """A cloud; a context manager that ends it and all machines in it.

    Attributes:
        laptop: The machine from which the cloud is used.
        made: The ids of ``subnet``, ``group`` and ``image``.
        seen: All instances so far by their ids, as EC2 described them last.
    """

    def __init__(self, folder: Path, environment: dict[str, str], trust: Path) -> None:
        self.network, self._trust = Network(folder, ENVIRONMENT | environment), trust
        self.seen: dict[str, dict[str, Any]] = {}
        self._machines: dict[str, Machine] = {}
        self._ended = threading.Event()
        self.trouble: list[BaseException] = []

    def __enter__(self) -> Self:
        self.network.__enter__()
        try:
            cloud, self.laptop = self.network.add("cloud", CLOUD), self.network.add("laptop", LAPTOP)
            self._server = running(cloud, "moto_server", "-H", CLOUD, "-p", "5000", log=self.network.folder / "moto")
            self._server.__enter__()
            reach = ("bash", "-c", f"exec 3<> /dev/tcp/{CLOUD}/5000")
            until("the cloud", lambda: self.laptop.start(*reach).wait() == 0, 60)
            said = self.laptop.run("python", "-c", ACCOUNT, ZONE, f"{self.network.key}.pub", str(self._trust))
            self.made = json.loads(said.partition("made: ")[2])
            self._watcher = self.laptop.start("python", "-c", INSTANCES, stdout=subprocess.PIPE)
            self._thread = threading.Thread(target=self._follow)
            self._thread.start()
        except BaseException:
            self.network.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._watcher.kill()
        self._watcher.wait()
        self._thread.join(60)
        self._server.__exit__(None, None, None)
        self.network.__exit__(*error)

    def running(self) -> list[dict[str, Any]]:
        """The instances that are not terminated."""
        assert not self.trouble, self.trouble
        return [instance for instance in self.seen.values() if _runs(instance)]

    def machine(self, instance: dict[str, Any]) -> Machine:
        """The pretend machine of an instance."""
        return self._machines[instance["InstanceId"]]

    def _follow(self) -> None:
        """Starts a machine for every instance that runs, and kills those of terminated instances."""
        try:
            assert self._watcher.stdout
            with self._watcher.stdout as lines:
                for line in lines:
                    if not self._ended.is_set():
                        self._update(json.loads(line.partition("found: ")[2]))
            assert self._ended.is_set(), "the process that watches the instances has ended"
        except BaseException as error:
            self.trouble.append(error)

    def _update(self, instances: list[dict[str, Any]]) -> None:
        for instance in instances:
            name = instance["InstanceId"]
            if _runs(instance) and name not in self._machines:
                self._machines[name] = self.network.add(name, instance["PrivateIpAddress"])
            elif not _runs(instance) and name in self._machines:
                self._machines[name].kill()
            self.seen[name] = instance


def _runs(instance: dict[str, Any]) -> bool:
    return instance["State"]["Name"] in ("pending", "running")
