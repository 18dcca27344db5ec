"""A pool that becomes full or read-only costs no result: the same command continues."""

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from disturbed import HOLD, Disturbed, Ended, Fault
from same_result import require_same

pytestmark = pytest.mark.slow

POOL_MB = 16

FILL = """
with (folder.parent / "runs" / "ballast").open("wb", buffering=0) as ballast:
    for size in (2**20, 2**10, 1):
        try:
            while ballast.write(bytes(size)): pass
        except OSError: pass
"""
"""Fills the disk to the last byte."""


def mount(*arguments: str) -> str:
    """Runs mount; returns its error message."""
    mounted = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    return mounted.stderr.strip()


@pytest.fixture
def small_pool(study: Disturbed) -> Iterator[Path]:
    """The study's pool on a small disk of its own."""
    study.pool.mkdir()
    if os.geteuid() != 0 or (error := mount("-t", "tmpfs", "-o", f"size={POOL_MB}m", "none", str(study.pool))):
        pytest.skip("a file system can only be mounted by root" if os.geteuid() else f"no mount here: {error}")
    yield study.pool
    study.close()
    subprocess.run(["umount", "-l", str(study.pool)], check=True)


def require_good_order(ended: Ended, why: str) -> None:
    """Asserts that a command has ended with a message about the cause, not with a traceback."""
    assert ended.code in (1, 2, 130), ended
    assert why in ended.out + ended.err
    assert "Traceback" not in ended.err, ended.err


def test_a_disk_that_is_full_when_a_checkpoint_is_written_costs_no_result(
    study: Disturbed, undisturbed: Disturbed, small_pool: Path
):
    study.strike(Fault(FILL, "alexnet", rank=0))
    require_good_order(study.ablate(), "No space left on device")
    assert not list(small_pool.glob("*/record.json"))
    (small_pool / "ballast").unlink()
    again = study.ablate()
    assert again.code == 0, again
    require_same(study, undisturbed)
    assert not [path for path in small_pool.rglob(".*") if path.is_file()], "half-written files are left"


def test_a_pool_that_turns_read_only_costs_no_result(study: Disturbed, undisturbed: Disturbed, small_pool: Path):
    study.strike(Fault(HOLD, "alexnet", rank=0))
    command = study.start()
    study.struck()
    study.until(lambda: not mount("-o", "remount,ro", str(small_pool)), "a moment in which no file was being written")
    study.go()
    require_good_order(command.end(), "Read-only file system")
    assert not list(small_pool.glob("*/record.json"))
    refused = time.monotonic()
    require_good_order(study.ablate(), "Read-only file system")
    assert time.monotonic() - refused < 150
    assert mount("-o", "remount,rw", str(small_pool)) == ""
    again = study.ablate()
    assert again.code == 0, again
    require_same(study, undisturbed)
