"""Faults that end the whole command: the same command continues, and no result is lost.

One study is ended again and again: by a killed driver, a killed raylet, Ctrl-C, Ctrl-C twice, a full disk, and a pool
that turns read-only. Each next command completes the run that was struck, before the next fault strikes.
"""

import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from disturbed import EPOCHS, HOLD, STEPS, UNTIL_STOPPED, Command, Disturbed, Ended, Fault, alike
from reading import incomplete
from same_result import require_same

from emotune.core.storage import Folder
from emotune.training import checkpoint

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

POOL_MB = 64

FILL = """
with (folder.parent / "runs" / "ballast").open("wb", buffering=0) as ballast:
    for size in (2**20, 2**10, 1):
        try:
            while ballast.write(bytes(size)): pass
        except OSError: pass
"""
"""Fills the disk to the last byte."""

VARIANTS = alike("driver-killed", "raylet-killed", "interrupted", "stopped", "disk-full", "read-only")
FAULTS = (
    Fault(HOLD, "driver-killed", rank=0),
    Fault(HOLD, "raylet-killed", rank=1),
    Fault(UNTIL_STOPPED, "interrupted", rank=1),
    Fault(HOLD, "stopped", rank=1),  # a step that does not end
    Fault(FILL, "disk-full", rank=0),
    Fault(HOLD, "read-only", rank=0),
)


def mount(*arguments: str) -> str:
    """Runs mount; returns its error message."""
    mounted = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    return mounted.stderr.strip()


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory, small_shards: Path) -> Iterator[Disturbed]:
    """The study; its pool is a small disk of its own, if root may mount one."""
    with closing(Disturbed(tmp_path_factory.mktemp("faults") / "study", small_shards, VARIANTS)) as study:
        study.strike(*FAULTS)
        study.pool.mkdir()
        if os.geteuid() == 0:
            mount("-t", "tmpfs", "-o", f"size={POOL_MB}m", "none", str(study.pool))
        yield study
        study.close()
        if study.pool.is_mount():
            subprocess.run(["umount", "-l", str(study.pool)], check=True)


def require_good_order(ended: Ended, why: str) -> None:
    """Asserts that a command has ended with a message about the cause, not with a traceback."""
    assert ended.code in (1, 2, 130), ended
    assert why in ended.out + ended.err
    assert "Traceback" not in ended.err, ended.err


@pytest.fixture(scope="module")
def driver_killed(study: Disturbed) -> Command:
    command = study.start()
    study.struck("driver-killed")
    command.process.kill()
    return command


def test_a_killed_driver_leaves_no_process(driver_killed: Command):
    driver_killed.require_end_of_all(but="Agent")


@pytest.fixture(scope="module")
def raylet_killed(study: Disturbed, driver_killed: Command) -> tuple[Command, Ended]:
    command = study.start()
    study.struck("raylet-killed")
    os.kill(command.pid_of("raylet/raylet"), signal.SIGKILL)
    return command, command.end(150)


def test_a_killed_raylet_of_the_only_machine_ends_the_command(raylet_killed: tuple[Command, Ended]):
    command, ended = raylet_killed
    assert ended.code != 0
    assert "Traceback" not in ended.err, ended.err
    command.require_end_of_all(but="Agent")


@dataclass(frozen=True)
class Interrupted:
    """A command that was interrupted, what it wrote, and the steps before it was interrupted."""

    command: Command
    ended: Ended
    page: str
    steps: Counter[tuple[str, int]]


@pytest.fixture(scope="module")
def interrupted(study: Disturbed, raylet_killed: object) -> Interrupted:
    command = study.start()
    study.struck("interrupted")
    steps = study.steps()
    os.killpg(command.process.pid, signal.SIGINT)  # as a terminal does, to all that run in the foreground
    return Interrupted(command, command.end(), study.page(), steps)


def test_ctrl_c_finishes_the_step_writes_a_checkpoint_begins_no_other_run_and_reports_what_is_there(
    study: Disturbed, interrupted: Interrupted
):
    ended = interrupted.ended
    assert ended.code == 130, ended
    assert "Interrupted" in ended.err
    assert "Traceback" not in ended.err
    assert incomplete(interrupted.page) == (4, len(study.run_ids))
    assert not study.file("stopped", "config.json").exists()
    interrupted.command.require_end_of_all()
    folder = Folder(str(study.file("interrupted", ".")))
    saved, notes = checkpoint.read_checkpoint(folder, torch.device("cpu"))
    assert not notes
    done = saved["progress"]["epoch"] * STEPS + saved["progress"]["step"]
    taken = study.steps()["interrupted", 1]
    assert done == taken > interrupted.steps["interrupted", 1], "a step that was taken is lost, or one was not finished"


@pytest.fixture(scope="module")
def stopped(study: Disturbed, interrupted: object) -> tuple[Command, bool, Ended]:
    """The command, whether it still lived a second after the first Ctrl-C, and how it ended."""
    command = study.start()
    study.struck("stopped")
    os.killpg(command.process.pid, signal.SIGINT)
    time.sleep(1)
    lives = command.process.poll() is None
    os.killpg(command.process.pid, signal.SIGINT)
    return command, lives, command.end(30)


def test_a_second_ctrl_c_stops_at_once_and_leaves_nothing_running(stopped: tuple[Command, bool, Ended]):
    command, lives, ended = stopped
    assert lives, "the first one lets the step end"
    assert ended.code == 130, ended
    assert "Traceback" not in ended.err
    command.require_end_of_all()


@pytest.fixture(scope="module")
def disk_full(study: Disturbed, stopped: object) -> Ended:
    if not study.pool.is_mount():
        pytest.skip("a small disk can only be mounted by root, where mounts are allowed")
    ended = study.ablate()
    (study.pool / "ballast").unlink()
    return ended


def test_a_disk_that_is_full_when_a_checkpoint_is_written_ends_the_command_in_good_order(
    study: Disturbed, disk_full: Ended
):
    require_good_order(disk_full, "No space left on device")
    assert not study.is_done("disk-full")


@pytest.fixture(scope="module")
def read_only(study: Disturbed, disk_full: object) -> tuple[Ended, bool, Ended]:
    """The command whose pool turned read-only, whether that run was done then, and the next command on it."""
    pool = str(study.pool)
    command = study.start()
    study.struck("read-only")
    study.until(lambda: not mount("-o", "remount,ro", pool), "a moment in which no file was being written")
    study.go()
    ended, done = command.end(), study.is_done("read-only")
    refused = study.ablate()
    assert mount("-o", "remount,rw", pool) == ""
    return ended, done, refused


def test_a_pool_that_turns_read_only_ends_the_command_in_good_order_and_the_next_one_is_refused(
    read_only: tuple[Ended, bool, Ended],
):
    ended, done, refused = read_only
    require_good_order(ended, "Read-only file system")
    assert not done
    require_good_order(refused, "Read-only file system")


@pytest.fixture(scope="module")
def completed(request: pytest.FixtureRequest, study: Disturbed, stopped: object) -> Ended:
    """The last command, after all faults that are possible here."""
    if study.pool.is_mount():
        request.getfixturevalue("read_only")
    study.strike()
    return study.ablate()


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_next_command_continues_the_run_to_the_same_result(
    study: Disturbed, completed: Ended, undisturbed: Disturbed, variant: str
):
    if variant in ("disk-full", "read-only") and not study.pool.is_mount():
        pytest.skip("this fault could not strike")
    assert completed.code == 0, completed
    assert study.interruptions()[variant] == 1
    if variant not in ("disk-full", "read-only"):  # these go on until a checkpoint cannot be written
        assert EPOCHS * STEPS <= study.steps()[variant, 0] < (EPOCHS + 1) * STEPS
    require_same(study, undisturbed, variant)


def test_no_step_was_taken_twice_after_ctrl_c(study: Disturbed, completed: Ended):
    assert study.steps()["interrupted", 0] == study.steps()["interrupted", 1] == EPOCHS * STEPS


def test_runs_that_no_fault_struck_were_done_once(study: Disturbed, completed: Ended, undisturbed: Disturbed):
    for variant in ("alexnet", "attention"):
        assert study.interruptions()[variant] == 0
        assert study.steps()[variant, 0] == EPOCHS * STEPS
    require_same(study, undisturbed, "alexnet", "attention")


def test_nothing_half_written_and_no_process_is_left(study: Disturbed, completed: Ended, driver_killed: Command):
    assert not [path for path in study.pool.rglob(".*") if path.is_file()]
    driver_killed.require_end_of_all(90)  # Ray's two agents wait a minute for their head
