"""How this process comes to Ray, and what is said where it does not; a head that is gone ends it with a code of its
own.
"""

import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import ray

from emotune.config.resources import Resources
from emotune.core.errors import InputError
from emotune.execution.run import ray_session
from emotune.execution.run.lost_cluster import LOST, LostClusterError, answers

LATE = "The current node timed out during startup. This could happen because some of the raylet failed to startup"
SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]


@pytest.fixture
def begun(monkeypatch) -> list[subprocess.Popen]:
    """Processes that attempts to start Ray begin; each attempt fails, as on a busy machine."""
    begun: list[subprocess.Popen] = []

    def late(**_: object) -> None:
        begun.append(subprocess.Popen(SLEEP))
        raise Exception(f"{LATE}\nand more\nlines")

    monkeypatch.setattr(ray, "init", late)
    return begun


def test_ray_that_is_late_is_started_once_more_and_then_told_in_a_line(begun):
    other = subprocess.Popen(SLEEP)  # as the process that makes images ready
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
def test_what_else_goes_wrong_is_not_tried_again(monkeypatch, cluster):
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


def test_ray_gets_a_short_private_folder_where_that_for_temporary_files_is_deep(monkeypatch, tmp_path):
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", "/" + "t" * (ray_session.MOST_BYTES - 1))
    with ray_session._short_folder(False) as folder:
        assert folder is None
    monkeypatch.setattr(tempfile, "tempdir", "/" + "é" * (ray_session.MOST_BYTES // 2))
    with ray_session._short_folder(True) as folder:
        assert folder is None, "a cluster has its own"
    with ray_session._short_folder(False) as folder:
        assert len(os.fsencode(folder)) <= ray_session.MOST_BYTES
        assert Path(folder).stat().st_mode & 0o777 == 0o700
        (Path(folder) / "ray").mkdir()
    assert not Path(folder).exists()
    monkeypatch.setattr(ray_session, "SHORT", (str(tmp_path / "none"),))
    with pytest.raises(InputError, match=r"TMPDIR=.*too long a name"), ray_session._short_folder(False):
        pass


def test_a_head_that_is_gone_ends_the_process_with_its_code_and_a_line():
    listener = socket.create_server(("127.0.0.1", 0))
    address = f"127.0.0.1:{listener.getsockname()[1]}"
    assert answers(address)
    watch = (
        "import sys, time\nfrom emotune.execution.run.lost_cluster import watching\n"
        "with watching(sys.argv[1], local=True):\n    print('there', flush=True)\n    time.sleep(600)\n"
    )
    environment = os.environ | {"RAY_gcs_rpc_server_reconnect_timeout_s": "1"}
    with subprocess.Popen(
        [sys.executable, "-c", watch, address], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=environment,
    ) as process:  # fmt: skip
        assert process.stdout.readline() == "there\n"
        listener.close()
        assert process.wait(60) == LOST
        (line,) = process.stderr.read().splitlines()
    assert not answers(address)
    assert f"Ray's head at {address}" in line
    assert "the same command goes on" in line
