"""Has Ray drain this node when EC2 gives notice that it takes the spot machine back in two minutes.

    python spot_notice.py [--metadata URL] [--node-id ID]

Runs on this node then finish their step, write a checkpoint and resume elsewhere (emotune.execution.run.node_drain).
It needs only Python and the command `ray` on the PATH, and is started by cluster/config.yaml. On machines that are not
spot machines it waits forever. Source: "Spot Instance interruption notices", EC2 user guide; instance metadata
version 2.
"""

import argparse
import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from datetime import datetime

METADATA = "http://169.254.169.254"
POLL_EVERY_S = 5.0
"""Seconds between two requests, as EC2's guide recommends."""
TIMEOUT_S = 2.0
SHUTDOWN_S = 10
"""Seconds of the two minutes that the machine needs to shut down."""


def notice(metadata: str) -> datetime | None:
    """The time at which EC2 takes this machine back; None without a notice.

    Raises:
        OSError: the metadata service does not answer.
        ValueError: the answer is not a notice.
    """
    lifetime = {"X-aws-ec2-metadata-token-ttl-seconds": "60"}
    token = _ask(urllib.request.Request(f"{metadata}/latest/api/token", method="PUT", headers=lifetime))
    url = f"{metadata}/latest/meta-data/spot/instance-action"
    try:
        text = _ask(urllib.request.Request(url, headers={"X-aws-ec2-metadata-token": token}))
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return None
        raise
    try:
        return datetime.fromisoformat(json.loads(text)["time"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"{text!r} is no notice: {error}") from None


def _ask(request: urllib.request.Request) -> str:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # never through a proxy
    with direct.open(request, timeout=TIMEOUT_S) as response:
        return response.read().decode()


def drain(node_id: str | None, left_s: int) -> bool:
    """Asks Ray to drain this node; returns whether Ray accepts."""
    command = ["ray", "drain-node", "--reason", "DRAIN_NODE_REASON_PREEMPTION", "--reason-message",
               "EC2 takes this spot machine back", "--deadline-remaining-seconds", str(left_s)]  # fmt: skip
    command += ["--node-id", node_id] if node_id else []
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        _log(f"not drained: {(result.stdout + result.stderr).strip()[-500:]}")
    return result.returncode == 0


def _log(message: str) -> None:
    print(f"{datetime.now().astimezone():%Y-%m-%d %H:%M:%S%z} {message}", flush=True)


def main() -> int:
    """Waits for the notice; ends once Ray drains the node."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0], allow_abbrev=False)
    parser.add_argument("--metadata", default=METADATA, metavar="URL", help="EC2's metadata service")
    parser.add_argument("--node-id", metavar="ID", help="Ray's id of the node (default: the node on this machine)")
    options = parser.parse_args()
    _log("watching for EC2's notice")
    last_error = ""
    while True:
        try:
            when = notice(options.metadata)
            last_error = ""
        except (OSError, ValueError) as error:  # temporary; logged once
            if str(error) != last_error:
                _log(f"{options.metadata}: {error}; trying again")
            when, last_error = None, str(error)
        if when:
            left_s = max(1, int(when.timestamp() - time.time()) - SHUTDOWN_S)
            _log(f"EC2 takes this machine back at {when:%H:%M:%S %Z}; draining, {left_s} s are left")
            if drain(options.node_id, left_s):
                return 0
        time.sleep(1.0 if when else POLL_EVERY_S)


if __name__ == "__main__":
    sys.exit(main())
