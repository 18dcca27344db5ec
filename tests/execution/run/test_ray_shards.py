"""Shards made on the nodes of a cluster are those of one machine, byte for byte, also if a node is lost meanwhile."""

import json
import os
import re
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from emotune.config.labels import MIKELS
from emotune.core.process_tree import descendants, kill_and_wait
from emotune.core.storage import Folder
from emotune.data.build.output_folder import SPOOL

pytestmark = pytest.mark.slow

NODES = """
import json, time
from ray.cluster_utils import Cluster

small = {"object_store_memory": 100 * 2**20}
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False, **small})
nodes = [cluster.add_node(num_cpus=1, **small) for _ in range(2)]
pids = [node.all_processes["raylet"][0].process.pid for node in nodes]
print(json.dumps({"address": cluster.address, "pids": pids}), flush=True)
time.sleep(1200)
"""
SETTINGS = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "token",
            "RAY_raylet_start_wait_time_s": "60"}  # fmt: skip
IMAGES = 1200


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of noise in eight classes, large enough that its chunks take a while, with two damaged files."""
    folder = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(0)
    for number in range(IMAGES):
        path = folder / MIKELS[number % len(MIKELS)] / f"{number}.jpg"
        path.parent.mkdir(exist_ok=True)
        small = Image.fromarray(random.integers(0, 256, (12, 12, 3), np.uint8))
        small.resize((420, 400)).save(path)
    for number in (3, 1003):
        next(folder.glob(f"*/{number}.jpg")).write_bytes(b"no image")
    return folder


@pytest.fixture(scope="module")
def local(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files that the processes of one machine write."""
    out = tmp_path_factory.mktemp("local") / "shards"
    with shard(photos, out, "--executor", "local", "--workers", "2") as process:
        expect(process, 0)
    return files(out)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[tuple[dict[str, str], list[int]]]:
    """The environment of commands that use a cluster of two nodes on this machine, and the pids of their raylets."""
    settings = os.environ | SETTINGS | {"RAY_AUTH_TOKEN": secrets.token_hex(32)}
    settings.pop("RAY_ADDRESS", None)
    log = tmp_path / "cluster.log"
    with (
        log.open("w") as errors,
        subprocess.Popen([sys.executable, "-c", NODES], env=settings, stdout=subprocess.PIPE, stderr=errors, text=True)
        as process,
    ):  # fmt: skip
        assert process.stdout is not None
        try:
            said = next((json.loads(line) for line in process.stdout if line.startswith("{")), None)
            assert said, log.read_text()
            yield settings | {"RAY_ADDRESS": said["address"]}, said["pids"]
        finally:
            started = descendants(process.pid)
            process.kill()
            process.wait()
            kill_and_wait(started)


def shard(photos: Path, out: Path | str, *options: str, env: dict[str, str] | None = None) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "emotune.shard", "folder", str(photos), "--out", str(out), *options]
    command += ["--shard-images", "200"]
    return subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True)


def expect(process: subprocess.Popen[str], code: int, timeout: float = 240) -> str:
    """Waits for the end of a command, which must have this exit code; what it has said."""
    _, err = process.communicate(timeout=timeout)
    assert process.returncode == code, err
    return err


def files(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in out.iterdir() if path.name != ".lock"}


def chunks(out: Path) -> set[str]:
    return {path.name for path in out.glob(f"{SPOOL}/*.json")}


def until_some_chunks(out: Path, process: subprocess.Popen[str], number: int = 4) -> None:
    deadline = time.monotonic() + 120
    while len(chunks(out)) < number:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_node_that_is_killed_costs_only_its_chunks_and_the_shards_are_those_of_one_machine(
    photos: Path, local: dict[str, bytes], cluster: tuple[dict[str, str], list[int]], tmp_path: Path
):
    env, raylets = cluster
    with shard(photos, tmp_path / "out", "--executor", "ray", env=env) as process:
        until_some_chunks(tmp_path / "out", process)
        os.kill(raylets[0], signal.SIGKILL)
        assert len(chunks(tmp_path / "out")) < IMAGES / 64 - 4, "in the middle"
        expect(process, 0)
    assert files(tmp_path / "out") == local


def test_an_interrupted_command_is_continued_on_the_cluster_and_by_one_machine(
    photos: Path, local: dict[str, bytes], cluster: tuple[dict[str, str], list[int]], tmp_path: Path
):
    env, raylets = cluster
    out = tmp_path / "out"
    with shard(photos, out, "--executor", "ray", env=env) as process:
        until_some_chunks(out, process)
        process.send_signal(signal.SIGINT)
        expect(process, 130)
    kept = {name: (out / SPOOL / name).stat().st_mtime_ns for name in chunks(out)}
    assert 4 <= len(kept) < IMAGES / 64 - 4, "in the middle"
    with shard(photos, out, "--executor", "ray", env=env) as process:
        until_some_chunks(out, process, len(kept) + 2)
        assert {name: (out / SPOOL / name).stat().st_mtime_ns for name in kept} == kept, "not read again"
        for raylet in raylets:
            os.kill(raylet, signal.SIGKILL)
        assert "Traceback" not in expect(process, 75)
    with shard(photos, out, "--executor", "local", "--workers", "2") as process:
        expect(process, 0)
    assert files(out) == local


def test_shards_behind_a_url_are_made_from_images_that_wait_there_and_an_interrupted_command_is_continued(
    s3: str, photos: Path, local: dict[str, bytes], cluster: tuple[dict[str, str], list[int]]
):
    env, _ = cluster
    out = Folder(f"{s3}/shards")
    with shard(photos, out.url, "--executor", "ray", env=env) as process:
        deadline = time.monotonic() + 120
        while len(waiting := (out / SPOOL).files()) < 8 and time.monotonic() < deadline:
            assert process.poll() is None, process.communicate()
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        expect(process, 130)
    assert 8 <= len(waiting) < 2 * IMAGES / 64 - 8, "in the middle"
    with shard(photos, out.url, "--executor", "ray", env=env) as process:
        expect(process, 0)
    assert {name: out.read(name) for name in out.files()} == local


def test_a_node_that_does_not_see_the_folders_is_named_before_anything_is_read(
    photos: Path, cluster: tuple[dict[str, str], list[int]], tmp_path: Path
):
    env, _ = cluster
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "photos").symlink_to(photos)
    command = [sys.executable, "-m", "emotune.shard", "folder", "/proc/self/cwd/photos", "--executor", "ray"]
    ended = subprocess.run(
        [*command, "--out", "/proc/self/cwd/out"], env=env | {"PYTHONPATH": os.pathsep.join(sys.path)},
        cwd=tmp_path / "mine", capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert ended.returncode == 2, ended.stderr
    nodes = re.findall(r"node [\d.]+ \(.*\): (/proc/self/cwd/\S+):", ended.stderr)
    assert sorted(path.split("/")[4] for path in nodes) == ["out", "out", "out", "photos", "photos"], ended.stderr
    assert not files(tmp_path / "mine" / "out")
