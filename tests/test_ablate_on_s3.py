"""Everything on S3, as on a cluster in the cloud: data, checkpoints, results; and what must not get there."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pandas as pd
import pytest
from reading import incomplete

from emotune.core.storage import Folder

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

SECRETS = {
    "AWS_ACCESS_KEY_ID": "AKIAQQEMOTUNE7WATCHED",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI0K7MDENGbPxRfiCYwatched",
    "AWS_SESSION_TOKEN": "FwoGZXIvYXdzEBYaDHwatchedsessiontoken",
    "RAY_AUTH_TOKEN": "5f0dd28c1c1b4b73a1d1f2bb9f1c9a7e0d8a53f4cafe4242watched",
}
STUDY = """
question: Does attention help on very few images?
datasets: [{data}]
model: {{name: alexnet, width: 0.0625, weight_init: he, dropout: 0.0}}
train: {{epochs: 40, batch_size: 16, lr: 0.005}}
baseline: alexnet
variants:
  alexnet: {{}}
  wild: {{train.lr: 1.0e+30}}
seeds: 1
contrasts: [wild - alexnet]
resources: {{workers: 2}}
"""


class Command:
    """Runs the command with secrets in its environment, and keeps what it says."""

    def __init__(self, folder: Path, temporary: Path) -> None:
        self.folder, self.temporary, self.said = folder, temporary, ""

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        environment = os.environ | SECRETS | {"RAY_AUTH_MODE": "token", "RAY_TMPDIR": str(self.temporary)}
        return subprocess.Popen(
            [sys.executable, "-m", "emotune.ablate", "cloud.yaml", *arguments],
            cwd=self.folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment,
        )  # fmt: skip

    def end(self, process: subprocess.Popen[str]) -> int:
        said, _ = process.communicate(timeout=600)
        self.said += said
        return process.returncode


@pytest.fixture
def command(tmp_path: Path) -> Iterator[Command]:
    with tempfile.TemporaryDirectory(dir="/tmp", ignore_cleanup_errors=True) as temporary:  # Ray's sockets: short names
        yield Command(tmp_path, Path(temporary))


def files_of(pool: str) -> dict[str, bytes]:
    folder = Folder(pool)
    return {name: folder.read(name) for name in folder.files()}


def test_a_study_on_s3_goes_on_from_its_checkpoint_there_and_is_reported_elsewhere_and_no_credentials_are_left(
    s3: str, small_shards: Path, command: Command, tmp_path: Path
):
    pool, data = f"{s3}/study", f"{s3}/photographs"
    fsspec.filesystem("s3").put(str(small_shards), data, recursive=True)
    (tmp_path / "cloud.yaml").write_text(STUDY.format(data=data))
    process = command.start("--runs", pool)
    deadline = time.monotonic() + 400
    while not any("checkpoint/" in name for name in Folder(pool).files()):
        assert process.poll() is None and time.monotonic() < deadline, command.end(process)
        time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    assert command.end(process) == 130, command.said
    assert not any(name.endswith("record.json") for name in Folder(pool).files())

    assert command.end(command.start("--runs", pool)) == 1, command.said  # "wild" diverges
    files = files_of(pool)
    (name,) = [name for name in files if name.endswith("record.json")]
    record, run = json.loads(files[name]), name.rpartition("/")[0]
    assert (record["workers"], record["interruptions"]) == (2, 1)
    assert record["reading"] == "decoded"

    (tmp_path / "cloud.yaml").write_text(STUDY.format(data=small_shards))
    assert command.end(command.start("--runs", "undisturbed")) == 1, command.said
    ours, theirs = (pd.read_parquet(f"{place}/{run}/predictions.parquet") for place in (pool, tmp_path / "undisturbed"))
    pd.testing.assert_frame_equal(ours, theirs, check_exact=True)

    shutil.rmtree(tmp_path / "reports")
    (tmp_path / "cloud.yaml").write_text(STUDY.format(data=data))
    assert command.end(command.start("--report-only", "--runs", pool)) == 0, command.said
    assert incomplete((tmp_path / "reports" / "cloud" / "index.html").read_text()) == (1, 2)

    left = files | {str(path): path.read_bytes() for path in _files(tmp_path)}
    left |= {str(path): path.read_bytes() for path in _files(command.temporary)} | {"said": command.said.encode()}
    assert any("session_" in name for name in left), "the logs of Ray are looked at, too"
    assert any(b"diverged" in data for data in left.values())
    for name, secret in SECRETS.items():
        assert [place for place, data in left.items() if secret.encode() in data] == [], name


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]
