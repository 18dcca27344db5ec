"""A run's state follows from its files, whatever happened to the processes that wrote them."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from emotune.config.model import AlexNetConfig
from emotune.config.run import FORMAT_VERSION, DatasetRef, RunConfig
from emotune.config.train import TrainConfig
from emotune.runs import lease
from emotune.runs.directory import CHECKPOINTS, RECORD, RunDirectory, State, Status
from emotune.runs.lease import LostRunError
from emotune.runs.progress import RunProgress

RUN = RunConfig(
    variant="plain", seed=0, model=AlexNetConfig(), train=TrainConfig(),
    dataset=DatasetRef(name="photos", location="/data", content_hash="0123"),
)  # fmt: skip
WEEK_S = 7 * 24 * 3600
LEASE = "claim-1.json"
CHECKPOINT = f"{CHECKPOINTS}/0-1.pt"

WORKER = """
import json, sys, time
from emotune.config.run import RunConfig
from emotune.runs.directory import RunDirectory
RunDirectory(sys.argv[1], RunConfig.from_json(json.loads(sys.argv[2]))).begin()
print("begun", flush=True)
time.sleep(100)
"""


@pytest.fixture
def directory(tmp_path) -> RunDirectory:
    return RunDirectory(str(tmp_path), RUN)


@pytest.fixture
def worker(tmp_path) -> Iterator[subprocess.Popen[str]]:
    """A process that has begun the run and works on it."""
    command = [sys.executable, "-c", WORKER, str(tmp_path), json.dumps(RUN.to_json())]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "begun\n"
            yield process
        finally:
            process.kill()


def beat(directory: RunDirectory, **changes) -> None:
    directory.folder.write_json(LEASE, {**directory.folder.read_json(LEASE), **changes})


def test_a_run_without_a_directory_is_missing(directory):
    assert directory.status().state is State.MISSING


def test_a_run_is_running_while_its_process_lives(directory, worker):
    status = directory.status()
    assert status.state is State.RUNNING
    assert str(worker.pid) in status.detail


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_run_whose_process_was_killed_is_interrupted(directory, worker, number):
    worker.send_signal(number)
    worker.wait()
    assert directory.status().state is State.INTERRUPTED


def test_a_run_whose_process_ended_is_interrupted_however_fresh_its_heartbeat(directory):
    with subprocess.Popen([sys.executable, "-c", ""]) as finished:
        finished.wait()
    directory.begin()
    beat(directory, pid=finished.pid, time=time.time())
    assert directory.status().state is State.INTERRUPTED


def test_a_pid_that_another_program_got_since_does_not_keep_a_run_for_ever(directory, worker):
    with subprocess.Popen(["sleep", "100"]) as stranger:
        try:
            beat(directory, pid=stranger.pid, time=time.time() - WEEK_S)
            assert directory.status().state is State.INTERRUPTED
        finally:
            stranger.kill()


def test_a_pid_of_the_system_does_not_keep_a_run_for_ever(directory):
    directory.begin()
    beat(directory, pid=1, time=time.time() - WEEK_S)
    assert directory.status().state is State.INTERRUPTED


def test_an_old_heartbeat_with_this_process_own_pid_is_another_containers(directory):
    directory.begin()
    assert directory.status().state is State.RUNNING
    beat(directory, time=time.time() - WEEK_S)
    assert directory.status().state is State.INTERRUPTED


def test_on_another_host_a_fresh_heartbeat_is_alive_and_an_old_one_is_not(directory):
    directory.begin()
    beat(directory, host="elsewhere", machine="another boot", pid=os.getpid(), time=time.time() - 20)
    status = directory.status()
    assert status.state is State.RUNNING
    assert "elsewhere" in status.detail
    beat(directory, time=time.time() - 200)
    assert directory.status().state is State.INTERRUPTED
    beat(directory, time=time.time() + WEEK_S)
    assert directory.status().state is State.INTERRUPTED, "a clock that is ahead does not make it live for ever"


def test_a_released_run_is_interrupted(directory):
    directory.begin().release()
    assert directory.status().state is State.INTERRUPTED


@pytest.mark.parametrize(("diverged", "state"), [(False, State.FAILED), (True, State.DIVERGED)])
def test_a_failed_or_diverged_run_has_a_message(directory, diverged, state):
    directory.begin()
    directory.fail("RuntimeError: out of memory", diverged=diverged)
    status = directory.status()
    assert (status.state, status.detail) == (state, "RuntimeError: out of memory")


def test_beginning_again_forgets_the_failure_and_keeps_the_checkpoint(directory):
    directory.begin()
    directory.folder.write(CHECKPOINT, b"weights")
    directory.fail("RuntimeError")
    lease = directory.begin()
    assert directory.status().state is State.RUNNING
    lease.release()
    assert directory.status().state is State.INTERRUPTED
    assert directory.folder.read(CHECKPOINT) == b"weights"


def test_a_record_means_done_and_only_an_unfinished_run_keeps_a_checkpoint(directory):
    directory.begin()
    directory.folder.write(CHECKPOINT, b"weights")
    directory.finish({"accuracy": 50.0})
    assert directory.status().state is State.DONE
    assert directory.folder.read_json(RECORD) == {"accuracy": 50.0, "files": {}}
    assert directory.folder.names() == ["config.json", RECORD]


def test_a_record_counts_even_if_the_process_died_right_after_it(directory, worker):
    directory.folder.write_json(RECORD, {})
    worker.kill()
    worker.wait()
    assert directory.folder.read(LEASE) is not None
    assert directory.status().state is State.DONE


def test_config_json_contains_the_run(directory):
    directory.begin()
    config = json.loads((directory.folder.local / "config.json").read_text())
    assert config.pop("id") == RUN.id == directory.folder.local.name
    assert (config.pop("format"), config.pop("time") > 0) == (FORMAT_VERSION, True)
    assert RunConfig.from_json(config) == replace(RUN, variant=""), "studies call it what they like"


def test_states_are_the_same_behind_a_url():
    directory = RunDirectory("memory://pool-of-test-run-directory", RUN)
    states = [directory.status().state]
    lease = directory.begin()
    states.append(directory.status().state)
    for step in (lease.release, lambda: directory.fail("x"), lambda: directory.finish({})):
        step()
        states.append(directory.status().state)
    assert states == [State.MISSING, State.RUNNING, State.INTERRUPTED, State.FAILED, State.DONE]


def test_the_status_of_a_running_run_has_its_progress(directory, monkeypatch):
    monkeypatch.setattr(lease, "HEARTBEAT_EVERY_S", 0.01)
    given = RunProgress(RUN.id, 2, 8, 0.2, loss=1.5)  # no accuracy yet
    with directory.leased() as held:
        assert directory.status().owner.progress is None
        held.report(given)
        until = time.monotonic() + 30
        while not (progress := directory.status().owner.progress) and time.monotonic() < until:
            time.sleep(0.01)
    assert str(progress) == str(given)


def test_half_written_files_are_removed_when_the_run_begins_again(directory):
    directory.begin().release()
    for name in (".metrics.jsonl.abcd_123", f"{CHECKPOINTS}/.0-7.pt.abcd_123"):
        directory.folder.write(name, b"half")
    directory.folder.write("notes.txt", b"somebody's")
    directory.begin().release()
    assert directory.folder.names() == [CHECKPOINTS, "config.json", "notes.txt"]
    assert (directory.folder / CHECKPOINTS).names() == []


def test_a_failure_that_cannot_be_written_is_shown_with_the_reason(tmp_path):
    (tmp_path / "pool").write_bytes(b"a file, no folder")
    trace = "Traceback (most recent call last):\nValueError: the first error"
    status = RunDirectory(str(tmp_path / "pool"), RUN).fail(trace)
    assert status.state is State.FAILED
    assert status.reason.startswith("ValueError: the first error ")
    assert str(tmp_path / "pool") in status.reason


@pytest.mark.parametrize(
    ("detail", "message"),
    [
        ("Traceback (most recent call last):\n  File\nValueError: no", "ValueError: no"),
        ("  File in the middle\nValueError: no", "ValueError: no"),
        ("its workers were lost 4 times: it\nwas killed", "its workers were lost 4 times: it"),
        ("", ""),
    ],
)
def test_the_reason_is_the_most_telling_line(detail: str, message: str):
    assert Status(State.FAILED, detail).reason == message


def test_a_record_is_never_replaced(directory):
    directory.finish({"accuracy": 50.0})
    with pytest.raises(LostRunError, match=RUN.id):
        directory.finish({"accuracy": 60.0})
    assert directory.folder.read_json(RECORD)["accuracy"] == 50.0
