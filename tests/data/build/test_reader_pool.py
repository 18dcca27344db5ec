"""A killed command leaves no process behind and goes on when it is run again; a finished one changes nothing."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock

from emotune.core.errors import InputError
from emotune.core.storage import Folder
from emotune.data.build.output_folder import SPOOL
from emotune.data.build.shards import write_shards
from emotune.data.build.verify import verify
from emotune.data.manifest import HEALTH, MANIFEST, ExcludedImage, Problem, read_manifest
from emotune.data.shard_reader import Sample, read_samples
from emotune.data.sources.class_folders import ClassFolders
from emotune.data.sources.scenes import Scenes

SHARES = (0.5, 0.25, 0.25)
SCRIPT = """
import sys
from emotune.data.build import ingest
from emotune.data.build.shards import write_shards
from emotune.data.sources.scenes import Scenes
from emotune.core.storage import Folder
ingest.CHUNK = 10
write_shards(Scenes(160, seed=1).listing(), Folder(sys.argv[1]), shares=(0.5, 0.25, 0.25), samples_per_shard=30,
             workers=2)
"""


INTERRUPTED = """
import os
from emotune.data.build.reader_pool import reader_pool

def interrupted(number):
    raise KeyboardInterrupt

if __name__ == "__main__":
    with reader_pool(1) as pool:
        pool._work_ids.put = interrupted  # the worst moment for Ctrl-C: the job is recorded, but no process will see it
        pool.submit(os.getpid)
"""


def samples_of(out: Path) -> list[Sample]:
    shards = read_manifest(Folder(str(out))).shards
    return [sample for shard in shards for sample in read_samples((out / shard.file).read_bytes(), shard.file)]


def started(out: Path) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", SCRIPT, str(out)], start_new_session=True, stderr=subprocess.DEVNULL)


def wait_until(holds: Callable[[], bool], seconds: float) -> bool:
    until = time.monotonic() + seconds
    while not holds() and time.monotonic() < until:
        time.sleep(0.005)
    return holds()


def kill_group(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return


def states(paths: list[Path]) -> dict[str, tuple[int, int]]:
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in paths}


def test_a_killed_command_repeated_goes_on_with_the_images_that_are_missing(small_shards, tmp_path, monkeypatch):
    out = tmp_path / "out"
    with started(out) as process:
        try:
            assert wait_until(lambda: len(list(out.glob(f"{SPOOL}/*.json"))) >= 3, 60)
        finally:
            kill_group(process.pid)
            process.wait(60)
    assert not (out / MANIFEST).exists(), "it was not interrupted in time"
    whole = [path for path in (out / SPOOL).iterdir() if path.with_suffix(".json").exists() and path.name[0] != "."]
    read = states(whole)
    assert 6 <= len(read) < 32

    monkeypatch.setattr("emotune.data.build.ingest.CHUNK", 10)
    seen: dict[str, tuple[int, int]] = {}
    manifest = write_shards(
        Scenes(160, seed=1).listing(), Folder(str(out)), shares=SHARES, samples_per_shard=30, workers=2,
        advance=lambda images: seen.update(states([path for path in whole if path.exists()])),
    )  # fmt: skip
    assert seen == read, "something was read again"
    names = {path.name for path in out.iterdir() if path.name != ".lock"}
    assert names == {s.file for s in manifest.shards} | {MANIFEST, HEALTH}
    assert manifest == read_manifest(Folder(str(small_shards)))
    assert samples_of(out) == samples_of(small_shards)


def test_a_killed_command_leaves_no_processes_behind(tmp_path):
    out = tmp_path / "out"
    with started(out) as process:
        try:
            assert wait_until(lambda: bool(list(out.glob(f"{SPOOL}/*.json"))), 60)
            process.kill()
            process.wait(20)
            assert wait_until(lambda: not group_lives(process.pid), 3), "its workers go on without it"
        finally:
            kill_group(process.pid)


def group_lives(group: int) -> bool:
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, its_group = stat.read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if int(its_group) == group and state not in "ZX":
            return True
    return False


def test_images_that_were_read_before_a_rejection_are_not_read_again(image_folder, tmp_path):
    listing = ClassFolders(image_folder).listing()
    in_train = [replace(entry, split="train") if entry.label == "awe" else entry for entry in listing.entries]
    too_few = replace(listing, entries=in_train)  # the same files, but one class lacks val and test
    out, spool = Folder(str(tmp_path / "out")), tmp_path / "out" / SPOOL
    with pytest.raises(InputError, match='"awe"'):
        write_shards(too_few, out)
    read = states(list(spool.iterdir()))
    assert len(read) == 2
    with pytest.raises(InputError, match='"awe"'):
        write_shards(too_few, out)
    assert states(list(spool.iterdir())) == read
    write_shards(listing, out)
    assert not spool.exists()


def test_a_folder_in_which_another_command_writes_is_rejected(image_folder, tmp_path):
    (tmp_path / "out").mkdir()
    with FileLock(tmp_path / "out" / ".lock"), pytest.raises(InputError, match="/out: "):
        write_shards(ClassFolders(image_folder).listing(), Folder(str(tmp_path / "out")))
    assert not list((tmp_path / "out").glob("[!.]*"))


def test_a_finished_command_repeated_reads_and_writes_nothing(image_folder, tmp_path):
    (image_folder / "awe" / "broken.jpg").write_bytes(b"no image")
    out = tmp_path / "out"
    first = write_shards(ClassFolders(image_folder).listing(), Folder(str(out)), samples_per_shard=10)
    before = states(list(out.glob("[!.]*")))
    passed: list[int] = []
    listing = ClassFolders(image_folder).listing()
    second = write_shards(listing, Folder(str(out)), samples_per_shard=10, workers=2, advance=passed.append)
    assert second == first
    assert second.left_out == {"undecodable": 1}
    assert states(list(out.glob("[!.]*"))) == before
    assert passed == [65]


def test_a_repeated_command_tidies_up_after_one_that_was_killed_before_it_could(small_shards, tmp_path):
    out = Folder(str(tmp_path))
    for path in small_shards.glob("[!.]*"):
        out.write(path.name, path.read_bytes())
    out.write("train-000000-01234567.tar", b"of an earlier command")
    out.write(".val-000000-01234567.tar.x1y2", b"half of one")
    out.write(f"{SPOOL}/0123", b"images")
    write_shards(Scenes(160, seed=1).listing(), out, shares=SHARES, samples_per_shard=30)
    assert verify(out)[1] == []
    assert {path.name for path in tmp_path.glob(".*")} <= {".lock"}


def test_a_repeated_command_mends_what_was_damaged_since(image_folder, tmp_path):
    listing, out = ClassFolders(image_folder).listing(), Folder(str(tmp_path / "out"))
    manifest = write_shards(listing, out)
    out.delete(manifest.shards[0].file)
    out.write(HEALTH, b"changed")
    assert len(verify(out)[1]) == 2
    assert write_shards(listing, out) == manifest
    assert verify(out)[1] == []


def test_a_command_with_another_result_is_not_the_finished_one(image_folder, tmp_path):
    listing, out = ClassFolders(image_folder).listing(), Folder(str(tmp_path / "out"))
    recipes = {write_shards(listing, out).recipe}
    missing = ExcludedImage("awe/lost.jpg", "awe", Problem.LOST, "404")
    for other in (replace(listing, left_out=[missing]), replace(listing, licence="CC0")):
        recipes.add((manifest := write_shards(other, out)).recipe)
        assert manifest.licence == other.licence
        assert manifest.left_out == {row.problem: 1 for row in other.left_out}
    assert len(recipes) == 3


def test_ctrl_c_in_the_middle_of_a_submission_ends_the_command(tmp_path):
    script = tmp_path / "interrupted.py"
    script.write_text(INTERRUPTED)
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=60, check=False)
    assert "KeyboardInterrupt" in done.stderr


PLAIN_SCRIPT = """
import sys
from emotune.core.storage import Folder
from emotune.data.build.shards import write_shards
from emotune.data.sources.scenes import Scenes
write_shards(Scenes(160, seed=1).listing(), Folder(sys.argv[1]), shares=(0.5, 0.25, 0.25), samples_per_shard=30)
print("written once")
"""


def test_shards_are_written_by_a_script_without_a_main_guard(small_shards, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(PLAIN_SCRIPT)
    command = [sys.executable, str(script), str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "written once\n"), done.stderr
    assert samples_of(tmp_path / "out") == samples_of(small_shards)
