"""EC2's notice that a spot instance is reclaimed, from a metadata service on loopback, drains the node in time."""

import importlib.util
import json
import os
import secrets
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "cluster" / "spot_notice.py"
spec = importlib.util.spec_from_file_location("spot_notice", SCRIPT)
spot_notice = importlib.util.module_from_spec(spec)
spec.loader.exec_module(spot_notice)


class Metadata(ThreadingHTTPServer):
    """Version 2 of EC2's metadata service, which answers only requests with a token."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.tokens: set[str] = set()
        self.notice: object = None
        self.broken = False
        self.url = f"http://127.0.0.1:{self.server_port}"

    def take_back(self, seconds: float) -> datetime:
        """Announces that the instance is reclaimed; returns the time."""
        when = (datetime.now(UTC) + timedelta(seconds=seconds)).replace(microsecond=0)
        self.notice = {"action": "terminate", "time": f"{when:%Y-%m-%dT%H:%M:%SZ}"}
        return when


class _Answers(BaseHTTPRequestHandler):
    def do_PUT(self) -> None:
        asked = self.path == "/latest/api/token" and self.headers["X-aws-ec2-metadata-token-ttl-seconds"]
        token = secrets.token_hex(8)
        self.server.tokens.add(token)
        self._answer(200 if asked else 400, token)

    def do_GET(self) -> None:
        if self.server.broken:
            self._answer(503, "")
        elif self.headers["X-aws-ec2-metadata-token"] not in self.server.tokens:
            self._answer(401, "")
        elif self.path != "/latest/meta-data/spot/instance-action" or self.server.notice is None:
            self._answer(404, "")
        else:
            self._answer(200, json.dumps(self.server.notice))

    def _answer(self, code: int, text: str) -> None:
        self.send_response(code)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def metadata() -> Iterator[Metadata]:
    with Metadata() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_notice_is_read_with_a_token_and_without_a_notice_there_is_none(metadata: Metadata):
    assert spot_notice.notice(metadata.url) is None
    when = metadata.take_back(120)
    assert spot_notice.notice(metadata.url) == when
    assert len(metadata.tokens) == 2


def test_an_invalid_notice_and_a_failed_request_are_errors(metadata: Metadata):
    metadata.notice = {"action": "terminate"}
    with pytest.raises(ValueError, match="terminate"):
        spot_notice.notice(metadata.url)
    metadata.broken = True
    with pytest.raises(OSError, match="503"):
        spot_notice.notice(metadata.url)


def test_the_watcher_survives_an_outage_and_asks_ray_again_until_the_node_is_drained(
    metadata: Metadata, tmp_path: Path
):
    command = tmp_path / "ray"  # fails the first time, as Ray does while it starts
    command.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\ntest $(wc -l < {tmp_path}/asked) -ge 2 || exit 1\n')
    command.chmod(0o755)
    metadata.broken = True
    metadata.take_back(120)
    watcher = subprocess.Popen(
        [sys.executable, str(SCRIPT), "--metadata", metadata.url, "--node-id", "abcd"], text=True,
        stdout=subprocess.PIPE, env=os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"},
    )  # fmt: skip
    threading.Timer(1, setattr, (metadata, "broken", False)).start()
    said, _ = watcher.communicate(timeout=60)
    assert watcher.returncode == 0
    assert said.count("503") == 1
    assert said.count("not drained") == 1
    first, second = (tmp_path / "asked").read_text().splitlines()
    assert first.startswith("drain-node --reason DRAIN_NODE_REASON_PREEMPTION")
    assert second.endswith("--node-id abcd")
    left_s = int(second.partition("--deadline-remaining-seconds ")[2].split()[0])
    assert 60 < left_s <= 120 - spot_notice.SHUTDOWN_S
