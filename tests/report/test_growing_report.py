"""The report that grows while a study is trained, made by real processes."""

import io
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from reading import incomplete
from rich.console import Console

from emotune.api.growing_report import GrowingReport
from emotune.api.run_study import ReportOptions, write_report
from emotune.config.ablate_command import AblateCommand
from emotune.data.datasets.resolve import resolve_datasets
from emotune.execution.plan.resolved_study import ResolvedStudy
from emotune.runs.directory import State, Status
from emotune.runs.store import RunStore

DEADLINE_S = 300.0
"""For anything that must happen: many times as long as on a quiet machine."""
RELOADS = '<meta http-equiv="refresh"'


@pytest.fixture
def growing(finished) -> ResolvedStudy:
    """The finished study with one more seed, which has not been trained."""
    study, _, pool = finished
    longer = replace(study, seeds=study.seeds + 1)
    datasets = resolve_datasets(longer.datasets)
    return ResolvedStudy(longer, datasets, longer.runs(datasets), RunStore(pool))


def follow(growing: ResolvedStudy, out: Path, said: io.StringIO, pause_s: float = 0.0) -> GrowingReport:
    return GrowingReport(growing, growing.plan(), out, AblateCommand(), Console(file=said, width=1000), pause_s)


def end_a_run(report: GrowingReport, growing: ResolvedStudy) -> None:
    report.on_end(growing.runs[0].id, Status(State.DONE))


def until_said(said: io.StringIO) -> str:
    deadline = time.monotonic() + DEADLINE_S
    while not said.getvalue():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return said.getvalue()


@pytest.mark.slow
def test_a_page_of_the_finished_runs_reloads_itself_until_the_final_one_is_written(growing, tmp_path: Path):
    said = io.StringIO()
    with follow(growing, tmp_path, said) as report:
        end_a_run(report, growing)
        line = until_said(said)
    assert str(tmp_path / "index.html") in line and line.count("\n") == 1
    page = (tmp_path / "index.html").read_text()
    assert RELOADS in page and incomplete(page) == (6, 9)
    options = ReportOptions(tmp_path, AblateCommand())
    write_report(growing, growing.plan(), options, Console(quiet=True))
    final = (tmp_path / "index.html").read_bytes()
    assert RELOADS.encode() not in final, "the final page replaces it, although no run has changed"


def test_a_report_that_is_being_made_ends_with_training_and_leaves_nothing_half_written(growing, tmp_path: Path):
    said = io.StringIO()
    with follow(growing, tmp_path, said) as report:
        end_a_run(report, growing)
        time.sleep(1.0)
    assert {path.name for path in tmp_path.glob(".*")} <= {".fingerprint.json"} and not said.getvalue()
    end_a_run(report, growing)
    assert not (tmp_path / "index.html").exists(), "it begins no other one"


def test_a_report_that_fails_is_one_line_and_is_not_tried_again(growing, tmp_path: Path):
    said, out = io.StringIO(), tmp_path / "file"
    out.write_text("no folder")
    with follow(growing, out, said) as report:
        end_a_run(report, growing)
        line = until_said(said)
        end_a_run(report, growing)
    assert said.getvalue() == line and str(out) in line


def test_short_studies_have_no_report_in_between(growing, tmp_path: Path):
    said = io.StringIO()
    with follow(growing, tmp_path, said, pause_s=60) as report:
        end_a_run(report, growing)
    assert not list(tmp_path.iterdir())


DROPPED = """
import os, signal, time, weakref
from emotune.api.growing_report import end_at_sigterm

end_at_sigterm()
class Thing: pass
thing = Thing()
watcher = weakref.ref(thing, lambda _: os.kill(os.getpid(), signal.SIGTERM))
try:
    del thing  # the signal comes in the callback, where Python drops exceptions
    time.sleep(600)
finally:
    print("tidied up", flush=True)
"""


def test_a_process_that_is_asked_to_end_while_it_finalises_an_object_ends_and_tidies_up():
    done = subprocess.run(
        [sys.executable, "-c", DROPPED], capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )
    assert (done.returncode, done.stdout.strip(), done.stderr) == (1, "tidied up", "")
