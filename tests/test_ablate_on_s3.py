"""Everything on S3, as on a cluster in the cloud: data, checkpoints, results; and what must not get there."""

import json
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import fsspec
import pandas as pd
import pytest
from disturbed import STEPS, UNTIL_STOPPED, Disturbed, Fault
from reading import incomplete

from emotune.core.storage import Folder

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

SECRETS = {
    "AWS_ACCESS_KEY_ID": "AKIAQQEMOTUNE7WATCHED",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI0K7MDENGbPxRfiCYwatched",
    "AWS_SESSION_TOKEN": "FwoGZXIvYXdzEBYaDHwatchedsessiontoken",
    "RAY_AUTH_TOKEN": "5f0dd28c1c1b4b73a1d1f2bb9f1c9a7e0d8a53f4cafe4242watched",
}


@pytest.fixture
def temporary() -> Iterator[Path]:
    """A folder for Ray's files; the names of its sockets must be short."""
    with tempfile.TemporaryDirectory(dir="/tmp", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def files_of(pool: str) -> dict[str, bytes]:
    folder = Folder(pool)
    return {name: folder.read(name) for name in folder.files()}


def test_a_study_on_s3_goes_on_from_its_checkpoint_there_and_is_reported_elsewhere_and_no_credentials_are_left(
    s3: str, small_shards: Path, undisturbed: Disturbed, temporary: Path, tmp_path: Path
):
    pool, data = f"{s3}/study", f"{s3}/photographs"
    fsspec.filesystem("s3").put(str(small_shards), data, recursive=True)
    environment = SECRETS | {"RAY_AUTH_MODE": "token", "RAY_TMPDIR": str(temporary)}
    with closing(Disturbed(tmp_path / "cloud", data, {"wild": "train.lr: 1.0e+30"}, pool)) as study:
        study.strike(Fault(UNTIL_STOPPED, "alexnet", rank=0, step=STEPS + 2))
        command = study.start(**environment)
        study.struck("alexnet")
        command.process.send_signal(signal.SIGINT)
        interrupted = command.end()
        assert interrupted.code == 130, interrupted
        names = Folder(pool).files()
        assert any("checkpoint/" in name for name in names)
        assert not any(name.endswith("record.json") for name in names)

        completed = study.ablate(**environment)
        assert completed.code == 1, "wild diverges"
        files, run = files_of(pool), study.run_ids["alexnet"]
        record = json.loads(files[f"{run}/record.json"])
        assert (record["workers"], record["interruptions"]) == (2, 1)
        assert record["reading"] == "decoded"
        ours, theirs = (pd.read_parquet(f"{place}/{run}/predictions.parquet") for place in (pool, undisturbed.pool))
        pd.testing.assert_frame_equal(ours, theirs, check_exact=True)

        shutil.rmtree(study.folder / "reports")
        reported = study.ablate("--report-only", **environment)
        assert reported.code == 0, reported
        assert incomplete(study.page()) == (2, 3)

    left = files | {str(path): path.read_bytes() for path in (*_files(study.folder), *_files(temporary))}
    assert any("session_" in name for name in left), "the logs of Ray are looked at, too"
    assert any(b"diverged" in data for data in left.values())
    for name, secret in SECRETS.items():
        assert [place for place, data in left.items() if secret.encode() in data] == [], name


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]
