"""Drained and lost nodes of a cluster, and a lost cluster, cost no result: runs continue where there is room."""

import json
import os
import re
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from disturbed import EPOCHS, HOLD, STEPS, Command, Disturbed, Ended, Fault, alike, alive
from same_result import require_same

from emotune.core.errors import TRY_AGAIN

pytestmark = pytest.mark.slow

NODES = """
import json, time
from ray.cluster_utils import Cluster

small = {"object_store_memory": 100 * 2**20}
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False, **small})
nodes = [cluster.add_node(num_cpus=2, **small) for _ in range(3)]
ids = {node.all_processes["raylet"][0].process.pid: node.node_id for node in nodes}
gcs = cluster.head_node.all_processes["gcs_server"][0].process.pid
print(json.dumps({"address": cluster.address, "ids": ids, "gcs": gcs}), flush=True)
time.sleep(1200)
"""
"""Starts three nodes with two CPUs each on this machine."""

SETTINGS = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "token",
            "RAY_gcs_rpc_server_reconnect_timeout_s": "20"}  # fmt: skip
"""Ray listens on 127.0.0.1 only, asks for a token, and soon gives up a head that is gone."""
WATCHER = Path(__file__).parents[3] / "cluster" / "spot_notice.py"
NOTICED_S = 8.0
"""Seconds that are longer than two checks of a supervisor."""


class _Metadata(BaseHTTPRequestHandler):
    """EC2's metadata service on a spot instance that is reclaimed."""

    def do_PUT(self) -> None:
        self._answer("token")

    def do_GET(self) -> None:
        when = datetime.now(UTC) + timedelta(seconds=120)
        self._answer(json.dumps({"action": "terminate", "time": f"{when:%Y-%m-%dT%H:%M:%SZ}"}))

    def _answer(self, text: str) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        pass


@dataclass(frozen=True)
class Nodes:
    """A cluster of three nodes on this machine.

    Attributes:
        command: The process that has started them.
        settings: The environment of commands that use it.
        ids: The node's id by the pid of its raylet.
        gcs: The pid of its head's server.
    """

    command: Command
    settings: dict[str, str]
    ids: dict[int, str]
    gcs: int


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory, small_shards: Path) -> Iterator[Disturbed]:
    with closing(Disturbed(tmp_path_factory.mktemp("nodes") / "study", small_shards, alike("spared"))) as study:
        yield study


@pytest.fixture(scope="module")
def nodes(study: Disturbed) -> Nodes:
    settings = SETTINGS | {"RAY_AUTH_TOKEN": secrets.token_hex(32)}
    command = study.begin([sys.executable, "-c", NODES], **settings)
    said = json.loads(study.until(lambda: re.search(r"^\{.*\}$", command.said, re.M), "a cluster").group())
    ids = {int(pid): node for pid, node in said["ids"].items()}
    return Nodes(command, settings | {"RAY_ADDRESS": said["address"]}, ids, said["gcs"])


def raylet_of(study: Disturbed, variant: str) -> int:
    """The pid of the raylet that started the workers of a variant."""
    parents = {int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
               for pid in study.pids(variant).values()}  # fmt: skip
    assert len(parents) == 1
    return parents.pop()


def drain(node: str, settings: dict[str, str]) -> None:
    """Lets the watcher of spot machines drain a node."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Metadata) as metadata:
        Thread(target=metadata.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{metadata.server_port}"
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        drained = subprocess.run(
            [sys.executable, str(WATCHER), "--metadata", url, "--node-id", node],
            env=os.environ | settings | {"PATH": path}, capture_output=True, text=True, timeout=180, check=False,
        )  # fmt: skip
        metadata.shutdown()
    assert drained.returncode == 0, drained.stdout + drained.stderr


@pytest.fixture(scope="module")
def ended(study: Disturbed, nodes: Nodes) -> Ended:
    """The command that trained a run on each node, of which one was drained and another one's raylet killed."""
    variants = ("alexnet", "attention", "spared")
    study.strike(*(Fault(HOLD, variant, rank=0) for variant in variants))
    command = study.start(**nodes.settings)
    for variant in variants:
        study.struck(variant)
    raylets = {variant: raylet_of(study, variant) for variant in variants}
    assert set(raylets.values()) == nodes.ids.keys()
    drain(nodes.ids[raylets["alexnet"]], nodes.settings)
    time.sleep(NOTICED_S)
    workers = study.pids("attention").values()
    os.kill(raylets["attention"], signal.SIGKILL)
    study.until(lambda: not any(map(alive, workers)), "the end of the workers on the node that was lost")
    study.go()
    return command.end()


def test_the_notice_that_a_spot_instance_is_reclaimed_costs_its_run_no_step(
    study: Disturbed, ended: Ended, undisturbed: Disturbed
):
    assert ended.code == 0, ended
    assert study.interruptions()["alexnet"] == 1
    assert [study.steps()["alexnet", rank] for rank in (0, 1)] == [EPOCHS * STEPS] * 2, "none was taken twice"
    require_same(study, undisturbed, "alexnet")


def test_the_killed_raylet_of_one_of_three_nodes_costs_the_steps_since_the_checkpoint(
    study: Disturbed, ended: Ended, undisturbed: Disturbed
):
    assert ended.code == 0, ended
    assert study.interruptions()["attention"] == 1
    assert all(EPOCHS * STEPS < study.steps()["attention", rank] < (EPOCHS + 1) * STEPS for rank in (0, 1))
    require_same(study, undisturbed, "attention")


def test_the_run_on_the_node_that_stays_is_not_interrupted(study: Disturbed, ended: Ended, undisturbed: Disturbed):
    assert study.interruptions()["spared"] == 0
    require_same(study, undisturbed, "spared")


def test_a_lost_cluster_ends_the_command_with_exit_code_75_and_the_same_command_continues(
    study: Disturbed, nodes: Nodes, ended: Ended, undisturbed: Disturbed, small_shards: Path
):
    with closing(Disturbed(study.folder, small_shards, alike("spared", "last"))) as longer:
        longer.strike(Fault(HOLD, "last", rank=0))
        command = longer.start(**nodes.settings)
        longer.struck("last")
        os.kill(nodes.gcs, signal.SIGKILL)
        lost = command.end()
        assert lost.code == TRY_AGAIN == 75, lost
        assert "same command" in lost.err.splitlines()[-1], lost.err
        assert "Traceback" not in lost.err and len(lost.err.splitlines()) < 5, lost.err
        nodes.command.kill_all()
        longer.go()
        deep = longer.folder / ("deep" * 20)
        deep.mkdir()
        before = short_folders()
        again = longer.ablate(TMPDIR=str(deep))  # too deep for the sockets of a local Ray
        assert again.code == 0, again
        assert short_folders() <= before
        assert longer.interruptions()["last"] == 1
        require_same(longer, undisturbed)


def short_folders() -> set[str]:
    """The folders that commands with too deep a TMPDIR made for Ray; others in /tmp have longer names."""
    return {path.name for path in Path("/tmp").iterdir() if re.fullmatch(r"emotune-\w{8}", path.name)}
