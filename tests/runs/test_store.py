"""A pool is listed once, and says of every run what its directory says."""

from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from emotune.config.model import AlexNetConfig
from emotune.config.run import DatasetRef, RunConfig
from emotune.config.train import TrainConfig
from emotune.core.errors import InputError
from emotune.core.storage import Folder
from emotune.runs.directory import CONFIG, RECORD, RunDirectory, State
from emotune.runs.store import RunStore

RUN = RunConfig(
    variant="plain", seed=0, model=AlexNetConfig(), train=TrainConfig(),
    dataset=DatasetRef(name="photos", location="/data", content_hash="0123"),
)  # fmt: skip
RUNS = [replace(RUN, seed=seed) for seed in range(6)]

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")  # of the S3 server


@pytest.fixture(params=["disk", "memory", "s3"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    name = uuid4().hex
    if request.param == "s3":
        return f"{request.getfixturevalue('s3')}/{name}"
    return str(tmp_path / "runs") if request.param == "disk" else f"memory://{name}"


def test_a_store_that_does_not_exist_has_no_runs(url: str):
    assert RunStore(url).run_ids() == []
    assert {status.state for status in RunStore(url).statuses(run.id for run in RUNS).values()} == {State.MISSING}
    assert RunStore(url).check_records([RUN.id]) == ({}, {RUN.id: f"{RECORD} is missing"})


def test_a_store_gives_the_states_of_its_directories_and_skips_what_is_not_a_run(url: str):
    done, failed, diverged, interrupted, running, missing = (RunDirectory(url, run) for run in RUNS)
    done.finish({"run": done.run.id, "accuracy": 50.0})
    failed.fail("a bug")
    diverged.fail("nan", diverged=True)
    interrupted.begin().release()
    running.begin()
    for name in ("studies/few/runs.json", "photos/image.jpg", "notes.txt", f"photos/{missing.run.id}/{RECORD}"):
        Folder(url).write(name, b"{}")
    statuses = RunStore(url).statuses(run.id for run in RUNS)
    assert list(statuses) == [run.id for run in RUNS]
    assert [status.state for status in statuses.values()] == [
        State.DONE, State.FAILED, State.DIVERGED, State.INTERRUPTED, State.RUNNING, State.MISSING,
    ]  # fmt: skip
    assert statuses == {run.id: RunDirectory(url, run).status() for run in RUNS}
    assert RunStore(url).run_ids() == sorted(run.id for run in RUNS[:5])
    records, problems = RunStore(url).check_records([missing.run.id, done.run.id])
    assert records == {done.run.id: {"run": done.run.id, "accuracy": 50.0, "files": {}}}
    assert problems.keys() == {missing.run.id}


def test_a_store_is_made_from_a_path_a_url_or_a_store_and_gives_run_directories(tmp_path: Path):
    for location in (tmp_path, str(tmp_path), RunStore(tmp_path)):
        store = RunStore(location)
        assert str(store) == str(tmp_path)
        assert store.directory(RUN).folder == Folder(str(tmp_path)) / RUN.id
        assert store.status(RUN.id).state is State.MISSING


def test_a_damaged_file_is_named(url: str):
    folder = Folder(url) / RUN.id
    folder.write("failure.json", b"{")
    with pytest.raises(InputError, match=rf"{RUN.id}/failure\.json"):
        RunStore(url).statuses([RUN.id])
    folder.write(RECORD, b"[]")
    records, problems = RunStore(url).check_records([RUN.id])
    assert not records and f"{RUN.id}/{RECORD}" in problems[RUN.id]


def test_a_file_in_the_place_of_a_directory_is_not_a_run(tmp_path: Path):
    (tmp_path / RUN.id).write_bytes(b"")
    assert RunStore(str(tmp_path)).run_ids() == []
    assert RunStore(str(tmp_path)).statuses([RUN.id])[RUN.id].state is State.MISSING


def test_states_are_told_from_names_without_reading_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    RunDirectory(str(tmp_path), RUNS[0]).finish({"run": RUNS[0].id})
    (Folder(str(tmp_path)) / RUNS[1].id).write(CONFIG, b"{}")

    def refuse(self: Folder, name: str) -> bytes:
        raise AssertionError(f"{self / name} was read")

    monkeypatch.setattr(Folder, "read", refuse)
    states = [status.state for status in RunStore(str(tmp_path)).statuses(run.id for run in RUNS[:3]).values()]
    assert states == [State.DONE, State.INTERRUPTED, State.MISSING]
