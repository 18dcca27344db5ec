"""On an EC2 spot machine: has Ray drain this node when EC2 says that it takes the machine back in two minutes.

    python spot_notice.py [--metadata URL] [--node-id ID]

Runs that are trained here then write a checkpoint after their step and go on elsewhere
(emotune.execution.run.node_drain). Needs nothing but Python and the command `ray`, on the PATH; started by
cluster/config.yaml. On other machines EC2 never says so, and it only waits. Source: "Spot Instance interruption
notices", EC2 user guide; instance metadata version 2.
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
EVERY_S = 5.0
"""As EC2's guide recommends."""
ANSWER_S = 2.0
GIVE_UP_S = 10
"""Of the two minutes, that the machine needs to shut down."""


def notice(metadata: str) -> datetime | None:
    """When EC2 takes this machine back; None while it does not say so.

    Raises:
        OSError: the metadata service does not answer.
        ValueError: it says what is no notice.
    """
    lifetime = {"X-aws-ec2-metadata-token-ttl-seconds": "60"}
    token = _ask(urllib.request.Request(f"{metadata}/latest/api/token", method="PUT", headers=lifetime))
    wanted = f"{metadata}/latest/meta-data/spot/instance-action"
    try:
        said = _ask(urllib.request.Request(wanted, headers={"X-aws-ec2-metadata-token": token}))
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return None
        raise
    try:
        return datetime.fromisoformat(json.loads(said)["time"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"{said!r} is no notice: {error}") from None


def _ask(request: urllib.request.Request) -> str:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy is no part of this machine
    with direct.open(request, timeout=ANSWER_S) as answer:
        return answer.read().decode()


def drain(node_id: str | None, left_s: int) -> bool:
    """Has Ray drain this node; whether Ray will."""
    command = ["ray", "drain-node", "--reason", "DRAIN_NODE_REASON_PREEMPTION", "--reason-message",
               "EC2 takes this spot machine back", "--deadline-remaining-seconds", str(left_s)]  # fmt: skip
    command += ["--node-id", node_id] if node_id else []
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    if found.returncode:
        _say(f"not drained: {(found.stdout + found.stderr).strip()[-500:]}")
    return found.returncode == 0


def _say(what: str) -> None:
    print(f"{datetime.now().astimezone():%Y-%m-%d %H:%M:%S%z} {what}", flush=True)


def main() -> int:
    """Waits for the notice; ends when Ray drains the node."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0], allow_abbrev=False)
    parser.add_argument("--metadata", default=METADATA, metavar="URL", help="EC2's metadata service")
    parser.add_argument("--node-id", metavar="ID", help="Ray's name of the node (default: of the one on this machine)")
    options = parser.parse_args()
    _say("watching for EC2's notice")
    trouble = ""
    while True:
        try:
            when = notice(options.metadata)
            trouble = ""
        except (OSError, ValueError) as error:  # it comes back; said once
            if str(error) != trouble:
                _say(f"{options.metadata}: {error}; asking again")
            when, trouble = None, str(error)
        if when:
            left_s = max(1, int(when.timestamp() - time.time()) - GIVE_UP_S)
            _say(f"EC2 takes this machine back at {when:%H:%M:%S %Z}; draining, {left_s} s are left")
            if drain(options.node_id, left_s):
                return 0
        time.sleep(1.0 if when else EVERY_S)


if __name__ == "__main__":
    sys.exit(main())
