"""A drained node costs no step: its run stops with a checkpoint in time, and continues elsewhere."""

import json
import os
import re
import secrets
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from disturbed import EPOCHS, HOLD, STEPS, Disturbed, Fault
from same_result import require_same

pytestmark = pytest.mark.slow

NODES = """
import json, time
from ray.cluster_utils import Cluster

small = {"object_store_memory": 100 * 2**20}
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False, **small})
nodes = [cluster.add_node(num_cpus=2, **small) for _ in range(2)]
print(json.dumps({"address": cluster.address, "nodes": [node.node_id for node in nodes]}), flush=True)
time.sleep(600)
"""
SETTINGS = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "token"}
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


def test_the_notice_that_a_spot_instance_is_reclaimed_costs_its_run_no_step(study: Disturbed, undisturbed: Disturbed):
    settings = SETTINGS | {"RAY_AUTH_TOKEN": secrets.token_hex(32)}
    cluster = study.begin([sys.executable, "-c", NODES], **settings)
    there = json.loads(study.until(lambda: re.search(r"^\{.*\}$", cluster.said, re.M), "a cluster").group())
    study.strike(Fault(HOLD, "alexnet", rank=0), Fault(HOLD, "attention", rank=0))
    command = study.start(RAY_ADDRESS=there["address"], **settings)
    for number in (0, 1):
        study.struck(number)  # a run on each node
    with ThreadingHTTPServer(("127.0.0.1", 0), _Metadata) as metadata:
        Thread(target=metadata.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{metadata.server_port}"
        drained = subprocess.run(
            [sys.executable, str(WATCHER), "--metadata", url, "--node-id", there["nodes"][0]],
            env=os.environ | settings | {"RAY_ADDRESS": there["address"],
                                         "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
            capture_output=True, text=True, timeout=180, check=False,
        )  # fmt: skip
        metadata.shutdown()
    assert drained.returncode == 0, drained.stdout + drained.stderr
    time.sleep(NOTICED_S)
    study.go()
    ended = command.end()
    assert ended.code == 0, ended
    assert sorted(study.interruptions().values()) == [0, 1]
    assert set(study.steps().values()) == {EPOCHS * STEPS}, "none was taken twice"
    require_same(study, undisturbed)
