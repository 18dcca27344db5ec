"""A lost machine of a cluster costs no result: its runs continue where there is room."""

import json
import os
import re
import secrets
import signal
import sys
from pathlib import Path

import pytest
from disturbed import HOLD, Disturbed, Fault, alive
from same_result import require_same

from emotune.execution.run.lost_cluster import LOST

pytestmark = pytest.mark.slow

NODES = """
import json, sys, time
from ray.cluster_utils import Cluster

head, *others = map(int, sys.argv[1:])
small = {"object_store_memory": 100 * 2**20}
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": head, "include_dashboard": False, **small})
nodes = [cluster.add_node(num_cpus=cpus, **small) for cpus in others]
raylets = [node.all_processes["raylet"][0].process.pid for node in nodes]
gcs = cluster.head_node.all_processes["gcs_server"][0].process.pid
print(json.dumps({"address": cluster.address, "raylets": raylets, "gcs": gcs}), flush=True)
time.sleep(600)
"""
"""Starts several raylets on this machine, with so many CPUs each."""

SETTINGS = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "token"}
"""Ray listens on 127.0.0.1 only, and asks for a token."""


def test_the_killed_raylet_of_one_of_two_nodes_costs_the_steps_since_the_checkpoint(
    study: Disturbed, undisturbed: Disturbed
):
    settings = SETTINGS | {"RAY_AUTH_TOKEN": secrets.token_hex(32)}
    cluster = study.begin([sys.executable, "-c", NODES, "2", "2"], **settings)
    nodes = json.loads(study.until(lambda: re.search(r"^\{.*\}$", cluster.said, re.M), "a cluster").group())
    study.strike(Fault(HOLD, "alexnet", rank=0), Fault(HOLD, "attention", rank=0))
    command = study.start(RAY_ADDRESS=nodes["address"], **settings)
    for number in (0, 1):
        study.struck(number)  # a run on each node
    workers = [pid for variant in ("alexnet", "attention") for pid in study.pids(variant).values()]
    assert len(workers) == 4
    os.kill(nodes["raylets"][0], signal.SIGKILL)
    study.until(lambda: sum(map(alive, workers)) == 2, "the end of the workers on the node that was lost")
    study.go()
    ended = command.end()
    assert ended.code == 0, ended
    assert sorted(study.interruptions().values()) == [0, 1]
    require_same(study, undisturbed)


def test_a_lost_cluster_ends_the_command_with_exit_code_75_and_the_same_command_continues(
    study: Disturbed, undisturbed: Disturbed
):
    settings = SETTINGS | {"RAY_AUTH_TOKEN": secrets.token_hex(32), "RAY_gcs_rpc_server_reconnect_timeout_s": "20"}
    cluster = study.begin([sys.executable, "-c", NODES, "2"], **settings)
    nodes = json.loads(study.until(lambda: re.search(r"^\{.*\}$", cluster.said, re.M), "a cluster").group())
    study.strike(Fault(HOLD, "alexnet", rank=0))
    command = study.start(RAY_ADDRESS=nodes["address"], **settings)
    study.struck()
    os.kill(nodes["gcs"], signal.SIGKILL)
    ended = command.end()
    assert ended.code == LOST == 75, ended
    assert "same command" in ended.err.splitlines()[-1], ended.err
    assert "Traceback" not in ended.err and len(ended.err.splitlines()) < 5, ended.err
    cluster.kill_all()
    study.go()
    deep = study.folder / ("deep" * 20)
    deep.mkdir()
    before = short_folders()
    ended = study.ablate(TMPDIR=str(deep))  # too deep for the sockets of a local Ray
    assert ended.code == 0, ended
    assert short_folders() <= before
    assert study.interruptions() == {"alexnet": 1, "attention": 0}
    require_same(study, undisturbed)


def short_folders() -> set[str]:
    """The folders that commands with too deep a TMPDIR made for Ray; others in /tmp have longer names."""
    return {path.name for path in Path("/tmp").iterdir() if re.fullmatch(r"emotune-\w{8}", path.name)}
