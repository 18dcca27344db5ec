"""One process at a time works on a run, whatever the others try."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from emotune.core.errors import InputError
from emotune.core.storage import Folder
from emotune.runs import lease, lease_owner
from emotune.runs.lease import BusyRunError, acquire
from emotune.runs.lease_owner import LeaseOwner

CONTENDER = """
import sys
from emotune.runs.lease import BusyRunError, acquire
from emotune.core.storage import Folder
folder = Folder(sys.argv[1])
folder.names()
print("ready", flush=True)
sys.stdin.readline()
try:
    held = acquire(folder, *sys.argv[2:])
except BusyRunError:
    print("busy", flush=True)
else:
    print("mine", flush=True)
    sys.stdin.readline()
    print("still" if held.is_valid() else "lost", flush=True)
"""


class Contender:
    """A process that tries to acquire the lease when it is told to."""

    def __init__(self, url: str, *owner: str) -> None:
        command = [sys.executable, "-c", CONTENDER, url, *owner]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def hear(self) -> str:
        return self.process.stdout.readline().strip()

    def tell(self) -> None:
        self.process.stdin.write("\n")
        self.process.stdin.flush()


@contextmanager
def contenders(url: str, count: int, *owner: str) -> Iterator[list[Contender]]:
    started = [Contender(url, *owner) for _ in range(count)]
    try:
        assert [one.hear() for one in started] == ["ready"] * count
        yield started
    finally:
        for one in started:
            one.process.kill()
            one.process.communicate()


def leave_dead_lease(url: str) -> None:
    with contenders(url, 1) as (one,):
        one.tell()
        assert one.hear() == "mine"
    assert Folder(url).names() == ["claim-1.json"]


def changed(folder: Folder, name: str = "claim-1.json", **values: object) -> None:
    folder.write_json(name, folder.read_json(name) | values)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(str(tmp_path / "run"))


@pytest.mark.parametrize("dead", [False, True])
def test_of_eight_processes_at_the_same_instant_one_acquires_the_lease(folder: Folder, dead: bool):
    if dead:
        leave_dead_lease(folder.url)
    with contenders(folder.url, 8) as started:
        for one in started:
            one.tell()
        assert sorted(one.hear() for one in started) == ["busy"] * 7 + ["mine"]
        assert folder.names() == ["claim-2.json" if dead else "claim-1.json"]


@pytest.mark.parametrize("dead", [False, True])
def test_of_processes_at_the_same_instant_one_acquires_the_lease_on_s3(s3: str, dead: bool):
    url = f"{s3}/run-{dead}"
    if dead:
        leave_dead_lease(url)
    with contenders(url, 4) as started:
        for one in started:
            one.tell()
        mine = [one for one in started if one.hear() == "mine"]  # the test's server is not quite exclusive
        for one in mine:
            one.tell()
        assert [one.hear() for one in mine].count("still") == 1
    with contenders(url, 1) as (last,):
        last.tell()
        assert last.hear() == "mine", "all others were killed"


def test_a_killed_owners_run_is_taken_over_at_once_even_before_its_parent_has_noticed(folder: Folder):
    with contenders(folder.url, 1) as (one,):
        one.tell()
        assert one.hear() == "mine"
        with pytest.raises(BusyRunError, match=str(one.process.pid)):
            acquire(folder)
        one.process.send_signal(signal.SIGKILL)
        while Path(f"/proc/{one.process.pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
            time.sleep(0.01)
        assert acquire(folder).is_valid()


def test_a_suspended_process_keeps_its_lease_except_against_its_own_command(folder: Folder):
    with contenders(folder.url, 1, "command 1") as (one,):
        one.tell()
        assert one.hear() == "mine"
        one.process.send_signal(signal.SIGSTOP)
        for owner in ("", "command 2"):
            with pytest.raises(BusyRunError):
                acquire(folder, owner)
        taken = acquire(folder, "command 1")
        one.process.send_signal(signal.SIGCONT)
        one.tell()
        assert one.hear() == "lost"
        taken.renew()
        assert taken.is_valid()
        assert folder.names() == ["claim-2.json"]


@pytest.fixture
def watched(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> Folder:
    """A lease of another machine whose last beat is old."""
    monkeypatch.setattr(lease, "WATCH_S", 0.2)
    acquire(folder)
    changed(folder, machine="another boot", time=time.time() - 200)
    return folder


def test_a_stale_lease_of_another_machine_is_taken_over_if_it_does_not_change(watched: Folder):
    assert acquire(watched).is_valid()
    assert watched.names() == ["claim-2.json"]


@pytest.mark.parametrize("offset_s", [-200, 200])
def test_another_machine_with_a_wrong_clock_keeps_its_lease_while_it_renews_it(
    watched: Folder, offset_s: int, monkeypatch: pytest.MonkeyPatch
):
    changed(watched, time=time.time() + offset_s)
    monkeypatch.setattr(lease.time, "sleep", lambda s: changed(watched, time=time.time() + offset_s + 10))  # it beats
    with pytest.raises(BusyRunError):
        acquire(watched)
    assert watched.names() == ["claim-1.json"]


def test_a_lost_lease_stays_lost_and_changes_no_files(folder: Folder):
    first = acquire(folder, "command")
    second = acquire(folder, "command")
    before = folder.read("claim-2.json")
    first.renew()
    first.release()
    assert first.lost
    assert (folder.names(), folder.read("claim-2.json")) == (["claim-2.json"], before)
    second.release()
    assert not first.is_valid()
    assert folder.names() == []


def test_a_deleted_lease_is_lost(folder: Folder):
    held = acquire(folder)
    folder.delete("claim-1.json")
    held.renew()
    assert held.lost
    assert folder.names() == []


def test_a_slow_takeover_of_a_dead_lease_gives_way_to_a_run_that_began_anew(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
):
    leave_dead_lease(folder.url)
    with contenders(folder.url, 1) as (one,):

        def is_free(
            *arguments: object,
        ) -> bool:  # while it looked, another released it and a third began
            folder.delete("claim-1.json")
            one.tell()
            assert one.hear() == "mine"
            return True

        monkeypatch.setattr(lease, "_is_free", is_free)
        with pytest.raises(BusyRunError, match=str(one.process.pid)):
            acquire(folder)
        assert folder.names() == ["claim-1.json"]
        one.tell()
        assert one.hear() == "still"


def test_a_storage_that_fails_for_a_while_does_not_end_the_heartbeat(folder: Folder, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(lease, "HEARTBEAT_EVERY_S", 0.01)
    failures, names = iter([RuntimeError("no credentials"), OSError("disk full")]), Folder.names

    def failing(self: Folder) -> list[str]:
        if error := next(failures, None):
            raise error
        return names(self)

    with acquire(folder).heartbeat() as held:
        first = folder.read_json("claim-1.json")["time"]
        monkeypatch.setattr(Folder, "names", failing)
        until = time.monotonic() + 30
        while folder.read_json("claim-1.json")["time"] == first and time.monotonic() < until:
            time.sleep(0.01)
        assert folder.read_json("claim-1.json")["time"] > first
        assert not held.lost
    assert folder.names() == []


@pytest.mark.parametrize("data", ["{}", "[]", "3", json.dumps({"pid": "x"}), "{"])
def test_a_damaged_lease_is_an_input_error_that_names_the_file(folder: Folder, data: str):
    folder.write("claim-1.json", data.encode())
    with pytest.raises(InputError, match=r"claim-1\.json"):
        acquire(folder)


def test_without_proc_the_age_of_the_heartbeat_decides(folder: Folder, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(lease_owner, "_machine", lambda: None)
    monkeypatch.setattr(lease_owner, "_start_time", lambda pid: None)
    monkeypatch.setattr(lease, "WATCH_S", 0.0)
    acquire(folder)
    assert LeaseOwner.from_json(folder.read_json("claim-1.json")).is_alive
    with pytest.raises(BusyRunError):
        acquire(folder)
    changed(folder, time=time.time() - 200)
    assert acquire(folder).is_valid()
