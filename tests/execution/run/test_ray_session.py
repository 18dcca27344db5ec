"""Connecting to Ray, the errors where that fails, and the exit code of a process whose head is gone."""

import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import ray

from emotune.config.resources import Resources
from emotune.core.errors import TRY_AGAIN, InputError
from emotune.execution.run import ray_session
from emotune.execution.run.lost_cluster import LostClusterError, is_reachable

LATE = "The current node timed out during startup. This could happen because some of the raylet failed to startup"
SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]


@pytest.fixture
def begun(monkeypatch) -> list[subprocess.Popen]:
    """The processes that attempts to start Ray leave behind; each attempt fails, as on a busy machine."""
    begun: list[subprocess.Popen] = []

    def late(**_: object) -> None:
        begun.append(subprocess.Popen(SLEEP))
        raise Exception(f"{LATE}\nand more\nlines")

    monkeypatch.setattr(ray, "init", late)
    return begun


def test_ray_that_times_out_is_started_once_more_and_then_reported_in_one_line(begun):
    other = subprocess.Popen(SLEEP)  # like the process that prepares the images
    try:
        with pytest.raises(LostClusterError) as caught:
            ray_session._connect(False, Resources(), None)
        assert len(str(caught.value).splitlines()) == 1
        assert LATE in str(caught.value)
        assert len(begun) == 2
        assert all(process.wait(10) < 0 for process in begun)
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


@pytest.mark.parametrize("cluster", [True, False])
def test_other_errors_are_not_tried_again(monkeypatch, cluster):
    attempts = []

    def refused(**_: object) -> None:
        attempts.append(1)
        raise ConnectionError("refused\n" * 30)

    monkeypatch.setattr(ray, "init", refused)
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    with pytest.raises(InputError) as caught:
        ray_session._connect(cluster, Resources(), None)
    assert len(attempts) == len(str(caught.value).splitlines()) == 1
    assert ("RAY_ADDRESS=10.0.0.1:6379" in str(caught.value)) == cluster


def test_ray_gets_a_short_private_folder_if_the_usual_one_has_a_long_name(monkeypatch, tmp_path):
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", "/" + "t" * (ray_session.SOCKET_FOLDER_BYTES - 1))
    with ray_session._short_folder(False) as folder:
        assert folder is None
    monkeypatch.setattr(tempfile, "tempdir", "/" + "é" * (ray_session.SOCKET_FOLDER_BYTES // 2))
    with ray_session._short_folder(True) as folder:
        assert folder is None, "a cluster has its own"
    with ray_session._short_folder(False) as folder:
        assert len(os.fsencode(folder)) <= ray_session.SOCKET_FOLDER_BYTES
        assert Path(folder).stat().st_mode & 0o777 == 0o700
        (Path(folder) / "ray").mkdir()
    assert not Path(folder).exists()
    monkeypatch.setattr(ray_session, "SHORT_FOLDERS", (str(tmp_path / "none"),))
    with pytest.raises(InputError, match=r"^TMPDIR="), ray_session._short_folder(False):
        pass


def test_a_head_that_is_gone_ends_the_process_with_exit_code_75_and_one_line():
    listener = socket.create_server(("127.0.0.1", 0))
    address = f"127.0.0.1:{listener.getsockname()[1]}"
    assert is_reachable(address)
    watch = (
        "import sys, time\nfrom emotune.execution.run.lost_cluster import watch_head\n"
        "with watch_head(sys.argv[1], local=True, command='ablate'):\n"
        "    print('there', flush=True)\n    time.sleep(600)\n"
    )
    environment = os.environ | {"RAY_gcs_rpc_server_reconnect_timeout_s": "1"}
    with subprocess.Popen(
        [sys.executable, "-c", watch, address], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=environment,
    ) as process:  # fmt: skip
        assert process.stdout.readline() == "there\n"
        listener.close()
        assert process.wait(60) == TRY_AGAIN
        (line,) = process.stderr.read().splitlines()
    assert not is_reachable(address)
    assert address in line
