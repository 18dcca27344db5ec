"""One process at a time trains a run, and all ranks know whether it is theirs."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pandas as pd
import pytest
import torch
from ranks import start_ranks
from running import ALONE, trained

from emotune.config.run import RunConfig
from emotune.runs import lease
from emotune.runs.directory import RunDirectory, State
from emotune.runs.lease import BusyRunError, LostRunError
from emotune.training.distributed import connect, open_rendezvous
from emotune.training.loop import train

STOPPED = """
    import itertools, json, os, signal, sys, torch
    import emotune.training.loop as loop
    from emotune.runs.lease import LostRunError
    from emotune.config.run import RunConfig
    from emotune.runs.directory import RunDirectory
    loop.CHECKPOINT_EVERY_S = 0.0
    torch.set_num_threads(1)
    run, count = RunConfig.from_json(json.loads(sys.argv[1])), itertools.count(1)

    def on_progress(progress):
        if progress.phase == "training" and next(count) == 3:
            os.kill(os.getpid(), signal.SIGSTOP)

    try:
        world = loop.World(0, 1, torch.device("cpu"))
        loop.train(run, RunDirectory(sys.argv[2], run), world, on_progress=on_progress, owner="command")
    except LostRunError as error:
        print(error)
        sys.exit(77)
"""


def files(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("finished", [False, True])
def test_a_stopped_process_that_wakes_up_after_its_run_was_taken_over_writes_nothing(
    run: RunConfig, tmp_path: Path, finished: bool
):
    _, expected = trained(run, tmp_path / "undisturbed")
    command = [sys.executable, "-c", textwrap.dedent(STOPPED), json.dumps(run.to_json()), str(tmp_path)]
    directory = RunDirectory(str(tmp_path), run)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
            with pytest.raises(BusyRunError, match=rf"{run.id}: .*process {process.pid}"):
                trained(run, tmp_path)
            if finished:
                record, predictions = trained(run, tmp_path, owner="command")
                assert record["interruptions"] == 1
                pd.testing.assert_frame_equal(predictions, expected, check_exact=True)
            else:
                directory.begin("command")
            before = files(tmp_path / run.id)
            process.send_signal(signal.SIGCONT)
            output, _ = process.communicate(timeout=100)
            assert (process.returncode, run.id in output) == (77, True)
            assert files(tmp_path / run.id) == before
        finally:
            process.kill()


def test_a_run_that_another_finished_meanwhile_is_left_as_it_is(run: RunConfig, tmp_path: Path):
    record, _ = trained(run, tmp_path)
    before = files(tmp_path)
    again, _ = trained(run, tmp_path)
    assert again == json.loads(json.dumps(record))
    assert files(tmp_path) == before


def _rank(rank: int, ports: list[int], run_json: dict, pool: str) -> None:
    torch.set_num_threads(1)
    run = RunConfig.from_json(run_json)
    outcomes: dict[str, object] = {}

    def attempt(name: str, port: int, folder: str, **options) -> None:
        with connect(rank, 2, gpu=False, store=open_rendezvous("127.0.0.1", port)) as world:
            try:
                record = train(run, RunDirectory(f"{pool}/{folder}", run), world, **options)
                outcomes[name] = "record" if record else "none"
            except (BusyRunError, LostRunError) as error:
                outcomes[name] = type(error).__name__

    def take_over(progress) -> None:
        if rank == 1 and not outcomes.get("taken"):
            RunDirectory(f"{pool}/lost", run).begin("command")
            outcomes["taken"] = True

    attempt("busy", ports[0], "busy")
    attempt("done", ports[1], "done")
    lease.HEARTBEAT_EVERY_S = 0.01
    attempt("lost", ports[2], "lost", owner="command", on_progress=take_over)
    Path(pool, f"{rank}.json").write_text(json.dumps(outcomes))


def test_all_ranks_know_of_a_run_that_is_busy_or_done_or_lost(run: RunConfig, tmp_path: Path):
    stores = [open_rendezvous("127.0.0.1") for _ in range(3)]
    trained(run, tmp_path / "done")
    with RunDirectory(str(tmp_path / "busy"), run).leased():
        start_ranks(_rank, ([store.port for store in stores], run.to_json(), str(tmp_path)), 2)
    outcomes = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2)]
    assert [(each["busy"], each["done"], each["lost"]) for each in outcomes] == [
        ("BusyRunError", "record", "LostRunError"), ("BusyRunError", "none", "LostRunError"),
    ]  # fmt: skip
    assert not list((tmp_path / "lost" / run.id).glob("record.json"))


def test_a_folder_that_cannot_be_written_to_ends_the_run_with_its_name(run: RunConfig, tmp_path: Path):
    (tmp_path / "pool").write_bytes(b"a file, no folder")
    directory = RunDirectory(str(tmp_path / "pool"), run)
    with pytest.raises(OSError, match=str(tmp_path / "pool")):
        train(run, directory, ALONE)
    assert directory.status().state is State.MISSING


def test_a_lease_has_the_progress_of_the_run(run: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(lease, "HEARTBEAT_EVERY_S", 0.001)
    reported = []

    def on_progress(progress) -> None:
        until = time.monotonic() + 30
        while progress.fraction > 0.3 and not reported and time.monotonic() < until:
            progress_of_lease = RunDirectory(str(tmp_path), run).status().owner.progress
            reported.extend([progress_of_lease] if progress_of_lease else [])

    trained(run, tmp_path, on_progress=on_progress)
    assert (reported[0].run_id, reported[0].epochs) == (run.id, 2)
    assert reported[0].loss > 0
