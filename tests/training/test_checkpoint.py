"""A run continues from the last intact checkpoint, on disk and behind a URL; failures name the folder."""

import os
import subprocess
import sys
import threading
import uuid
from pathlib import Path

import pandas as pd
import pytest
import torch
from running import ALONE, trained, without_times

from emotune.config.run import RunConfig
from emotune.core.errors import InputError
from emotune.core.storage import Folder
from emotune.runs.directory import CHECKPOINTS, PREDICTIONS, RunDirectory, State
from emotune.training import checkpoint, loop
from emotune.training.checkpoint import Checkpoints, read_checkpoint
from emotune.training.loop import InterruptedRunError, train
from emotune.training.progress import Progress

CPU = torch.device("cpu")


class Part:
    """An object with a state."""

    def __init__(self, value: float, size: int = 1) -> None:
        self.value, self.size = value, size

    def state_dict(self) -> dict:
        return {"value": torch.full((self.size,), self.value)}

    def load_state_dict(self, state_dict: dict) -> None:
        self.value = state_dict["value"][0].item()


def save(checkpoints: Checkpoints, step: int) -> None:
    checkpoints.save({"network": Part(float(step))}, Progress(epoch=0, step=step))


def last(folder: Folder) -> tuple[float | None, list[str]]:
    state, notes = read_checkpoint(folder, CPU)
    return (None if state is None else state["network"]["value"].item()), notes


@pytest.fixture(params=["disk", "memory"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Folder:
    return Folder(str(tmp_path / "run") if request.param == "disk" else f"memory://{uuid.uuid4().hex}/run")


def names(folder: Folder) -> list[str]:
    return (folder / CHECKPOINTS).names()


def test_the_last_two_checkpoints_are_kept_and_the_last_counts(folder: Folder):
    assert last(folder) == (None, [])
    with Checkpoints(folder) as checkpoints:
        for step in (1, 2, 3):
            save(checkpoints, step)
            checkpoints.wait_for_uploads()
            assert last(folder) == (step, [])
    assert names(folder) == ["0-2.pt", "0-3.pt", "index.json"]


@pytest.mark.parametrize("damage", ["flipped", "short", "gone"])
def test_a_damaged_checkpoint_costs_the_work_since_the_one_before_and_is_noted(folder: Folder, damage: str):
    with Checkpoints(folder) as checkpoints:
        for step in (1, 2):
            save(checkpoints, step)
            checkpoints.wait_for_uploads()
    files = folder / CHECKPOINTS
    for name, expected in (("0-2.pt", 1.0), ("0-1.pt", None)):
        data = bytearray(files.read(name))
        data[len(data) // 2] ^= 1
        files.write(name, bytes(data) if damage == "flipped" else bytes(data[:-20]))
        if damage == "gone":
            files.delete(name)
        value, notes = last(folder)
        assert value == expected
        assert notes[-1].startswith(f"checkpoint/{name} was {'missing' if damage == 'gone' else 'damaged'}")


def test_a_run_with_a_damaged_checkpoint_ends_with_the_same_bits_and_its_record_says_so(
    run: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    undisturbed, expected = trained(run, tmp_path / "a")
    monkeypatch.setattr(loop, "CHECKPOINT_EVERY_S", 0.0)
    asked = iter([False] * 3 + [True])
    with pytest.raises(InterruptedRunError):
        trained(run, tmp_path / "b", stop=lambda: next(asked))
    files = tmp_path / "b" / run.id / CHECKPOINTS
    (files / "0-4.pt").write_bytes(b"damaged")
    record, predictions = trained(run, tmp_path / "b")
    pd.testing.assert_frame_equal(predictions, expected, check_exact=True)
    (note,) = record.pop("notes")
    assert "0-4.pt was damaged" in note
    assert without_times(record) == without_times(undisturbed)
    assert (record["interruptions"], files.exists()) == (1, False)


def test_a_checkpoint_that_does_not_fit_the_disk_names_the_folder_and_leaves_the_former_one(tmp_path: Path):
    with Checkpoints(Folder(str(tmp_path))) as checkpoints:
        save(checkpoints, 1)
    program = (  # a limit on file sizes stands for a disk that is full
        "import resource, signal, sys; from test_checkpoint import *\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "with Checkpoints(Folder(sys.argv[1])) as checkpoints:\n"
        "    for size in (10, 100_000):\n"
        "        try: checkpoints.save({'network': Part(2.0, size)}, Progress(step=2))\n"
        "        except OSError as error: print(error)\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    command = [sys.executable, "-c", program, str(tmp_path)]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    errors = result.stdout.splitlines()
    assert len(errors) == 2
    assert all(str(tmp_path) in error for error in errors)
    assert last(Folder(str(tmp_path))) == (1.0, [])
    assert names(Folder(str(tmp_path))) == ["0-1.pt", "index.json"]


class Gate:
    """Delays uploads, or makes them fail."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, error: Exception | None = None) -> None:
        self.open, self.begun, self.sent, self.error = threading.Event(), threading.Event(), [], error
        upload = Folder.upload

        def held(folder: Folder, name: str, file) -> None:
            self.begun.set()
            self.open.wait(30)
            if self.error:
                raise self.error
            upload(folder, name, file)
            self.sent.append(name)

        monkeypatch.setattr(Folder, "upload", held)


@pytest.fixture
def far() -> Folder:
    return Folder(f"memory://{uuid.uuid4().hex}/run")


@pytest.mark.parametrize("name", ["../../outside.pt", "/outside.pt", "0-1.pt/../x", "", 7])
def test_an_index_names_no_file_but_checkpoints(folder: Folder, name):
    (folder / "checkpoint").write_json("index.json", [{"file": name, "sha256": "0" * 64}])
    with pytest.raises(InputError, match=r"checkpoint/index\.json"):
        last(folder)


def test_training_goes_on_while_a_checkpoint_is_uploaded_and_a_newer_one_replaces_one_that_waits(far, monkeypatch):
    gate = Gate(monkeypatch)
    with Checkpoints(far) as checkpoints:
        save(checkpoints, 1)
        assert gate.begun.wait(30)
        for step in (2, 3, 4):
            save(checkpoints, step)
        assert last(far) == (None, [])
        gate.open.set()
        checkpoints.wait_for_uploads()
        assert gate.sent == ["0-1.pt", "0-4.pt"]
        assert last(far) == (4.0, [])


def test_the_index_has_the_step_of_a_checkpoint_however_late_it_is_uploaded(far, monkeypatch):
    gate, progress = Gate(monkeypatch), Progress(epoch=1, step=2)
    with Checkpoints(far) as checkpoints:
        checkpoints.save({"network": Part(0.0)}, progress)
        assert gate.begun.wait(30)
        progress.epoch, progress.step = 3, 4  # training goes on
        gate.open.set()
        checkpoints.wait_for_uploads()
    (entry,) = (far / CHECKPOINTS).read_json("index.json")
    assert (entry["file"], entry["epoch"], entry["step"]) == ("1-2.pt", 1, 2)


def test_an_upload_that_fails_now_and_then_is_repeated(far, monkeypatch):
    gate = Gate(monkeypatch, ConnectionError("reset"))
    monkeypatch.setattr(checkpoint.tenacity, "wait_random_exponential", lambda *a, **k: checkpoint.tenacity.wait_none())
    gate.open.set()
    monkeypatch.setattr(checkpoint.tenacity, "sleep_using_event", lambda event: lambda s: setattr(gate, "error", None))
    with Checkpoints(far) as checkpoints:
        save(checkpoints, 1)
        checkpoints.wait_for_uploads()
    assert last(far) == (1.0, [])


def test_an_upload_that_fails_for_good_is_raised_with_its_url_by_the_next_save_and_at_the_end(far, monkeypatch):
    gate = Gate(monkeypatch)
    gate.open.set()
    with Checkpoints(far) as checkpoints:
        save(checkpoints, 1)
        checkpoints.wait_for_uploads()
        gate.error = PermissionError("no more room")
        save(checkpoints, 2)
        with pytest.raises(OSError, match=rf"{far.url}/checkpoint: .*no more room"):
            checkpoints.wait_for_uploads()
        with pytest.raises(OSError, match=rf"{far.url}/checkpoint: .*no more room"):
            save(checkpoints, 3)
    assert last(far) == (1.0, [])


def test_after_the_end_nothing_is_uploaded_and_a_begun_upload_is_waited_for(far, monkeypatch):
    gate = Gate(monkeypatch)
    with Checkpoints(far) as checkpoints:
        save(checkpoints, 1)
        assert gate.begun.wait(30)
        save(checkpoints, 2)
        threading.Timer(0.2, gate.open.set).start()
    assert gate.sent == ["0-1.pt"]
    assert names(far) == ["0-1.pt", "index.json"]


def test_a_checkpoint_of_a_run_that_was_lost_meanwhile_does_not_count(folder: Folder):
    with Checkpoints(folder, lambda: False) as checkpoints:
        save(checkpoints, 1)
    assert last(folder) == (None, [])


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")  # of the server
@pytest.mark.parametrize("place", ["memory", "s3"])
def test_a_run_behind_a_url_goes_on_to_the_same_bits_and_leaves_no_checkpoint(run: RunConfig, place, request, tmp_path):
    pool = request.getfixturevalue("s3") if place == "s3" else f"memory://{uuid.uuid4().hex}"
    undisturbed, _ = trained(run, tmp_path)
    directory, asked = RunDirectory(pool, run), iter([False] * 3 + [True])
    with pytest.raises(InterruptedRunError):
        train(run, directory, ALONE, stop=lambda: next(asked))
    assert names(directory.folder) == ["0-4.pt", "index.json"]
    record = train(run, directory, ALONE)
    assert directory.status().state is State.DONE
    assert without_times(record) == without_times(undisturbed)
    assert directory.folder.read(PREDICTIONS) == (tmp_path / run.id / PREDICTIONS).read_bytes()
    assert not [name for name in directory.folder.files() if "checkpoint" in name or "claim" in name]


def test_no_upload_ends_after_the_record(run: RunConfig, monkeypatch: pytest.MonkeyPatch):
    gate, pool = Gate(monkeypatch), f"memory://{uuid.uuid4().hex}"
    create = Folder.create

    def checked(folder: Folder, name: str, data: bytes) -> bool:
        if name == "record.json":
            assert gate.sent, "the upload is still going on"
        return create(folder, name, data)

    monkeypatch.setattr(Folder, "create", checked)
    threading.Timer(3, gate.open.set).start()
    train(run, RunDirectory(pool, run), ALONE)
    assert names(RunDirectory(pool, run).folder) == []
