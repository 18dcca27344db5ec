import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from emotune.config.model import AlexNetConfig
from emotune.config.run import RunConfig, Selection
from emotune.config.train import TrainConfig
from emotune.data.datasets.resolve import resolve_datasets
from emotune.execution.plan.plan import estimate, make_plan, reopen_damaged
from emotune.runs.directory import METRICS, PREDICTIONS, RECORD, RunDirectory, State
from emotune.runs.store import RunStore


@pytest.fixture
def runs(small_shards: Path) -> list[RunConfig]:
    (dataset,) = resolve_datasets([Selection(data=str(small_shards))])
    first = RunConfig(variant="a", dataset=dataset, seed=0, model=AlexNetConfig(), train=TrainConfig())
    second = replace(first, variant="b", model=AlexNetConfig(width=0.5))
    return [replace(run, seed=seed) for seed in (0, 1) for run in (first, second)]


def finish(pool: Path, run: RunConfig, seconds: float) -> None:
    durations_s = {"train": seconds - 1, "test": 1.0}
    RunDirectory(str(pool), run).finish({"run": run.id, "variant": run.variant, "durations_s": durations_s})


def test_missing_interrupted_and_failed_runs_are_to_do_but_not_diverged_ones(runs: list[RunConfig], tmp_path: Path):
    done, failed, diverged, missing = runs
    finish(tmp_path, done, 10)
    RunDirectory(str(tmp_path), failed).fail("a bug")
    RunDirectory(str(tmp_path), diverged).fail("the loss is nan", diverged=True)
    plan = make_plan(runs, RunStore(tmp_path))
    assert plan.to_do == (failed, missing)
    assert [plan.statuses[run.id].state for run in runs] == [State.DONE, State.FAILED, State.DIVERGED, State.MISSING]


def train(pool: Path, run: RunConfig) -> Path:
    """Writes the files that a report reads of a trained run; returns its folder."""
    folder = RunDirectory(str(pool), run).folder
    for name in (METRICS, PREDICTIONS):
        folder.write(name, b"whole\n")
    finish(pool, run, 10)
    return folder.local


@pytest.mark.parametrize("name", [METRICS, PREDICTIONS])
@pytest.mark.parametrize("listed", [True, False], ids=["listed", "from before records listed files"])
def test_a_run_with_incomplete_files_is_not_done(runs: list[RunConfig], tmp_path: Path, name: str, listed: bool):
    whole, lost, *_ = (train(tmp_path, run) for run in runs)
    if not listed:
        for folder in (whole, lost):
            record = json.loads((folder / RECORD).read_text())
            del record["files"]
            (folder / RECORD).write_text(json.dumps(record))
    (lost / name).unlink()
    plan = make_plan(runs, RunStore(tmp_path))
    assert (plan.count(State.DONE), plan.to_do) == (3, (runs[1],))
    status = plan.statuses[runs[1].id]
    assert status.state is State.DAMAGED and status.detail.startswith(f"{name} ")
    reopen_damaged(plan, runs)
    assert [status.state for status in make_plan(runs, RunStore(tmp_path)).statuses.values()].count(State.DONE) == 3
    assert not (lost / RECORD).exists() and (whole / RECORD).exists()


def test_an_incomplete_file_and_an_invalid_record_are_damage_and_a_run_completed_meanwhile_is_kept(
    runs, tmp_path: Path
):
    torn, garbled, *_ = (train(tmp_path, run) for run in runs)
    (torn / PREDICTIONS).write_bytes(b"who")
    (garbled / RECORD).write_text("[]")
    plan = make_plan(runs, RunStore(tmp_path))
    assert re.fullmatch(rf"{re.escape(PREDICTIONS)} \D*3\D*6\D*", plan.statuses[runs[0].id].detail)
    assert "delete" in plan.statuses[runs[1].id].detail
    assert plan.to_do == (runs[0], runs[1])
    (torn / PREDICTIONS).write_bytes(b"whole\n")  # another process has made it whole
    reopen_damaged(plan, runs)
    assert (torn / RECORD).exists() and not (garbled / RECORD).exists()


def test_a_run_that_a_living_process_trains_is_not_to_do(runs: list[RunConfig], tmp_path: Path):
    with RunDirectory(str(tmp_path), runs[0]).leased():
        assert runs[0] not in make_plan(runs, RunStore(tmp_path)).to_do
    assert make_plan(runs, RunStore(tmp_path)).statuses[runs[0].id].state is State.INTERRUPTED


def test_the_time_is_known_once_a_run_has_been_timed_and_a_new_variant_is_assumed_to_be_the_slowest(
    runs, tmp_path: Path
):
    assert estimate(make_plan(runs, RunStore(tmp_path))) is None
    finish(tmp_path, runs[0], 30)
    first = estimate(make_plan(runs, RunStore(tmp_path)))
    assert (first.hours, first.assumed) == (pytest.approx(3 * 30 / 3600), ("b",))
    finish(tmp_path, runs[1], 50)
    second = estimate(make_plan(runs, RunStore(tmp_path)))
    assert (second.hours, second.assumed) == (pytest.approx((30 + 50) / 3600), ())


def test_times_from_a_few_steps_count_until_a_run_has_been_timed(runs: list[RunConfig], tmp_path: Path):
    data = runs[0].dataset.name
    finish(tmp_path, runs[0], 30)
    estimated = estimate(make_plan(runs, RunStore(tmp_path)), {("a", data): 1.0, ("b", data): 7.0})
    assert estimated.seconds == {runs[1].id: 7, runs[2].id: 30, runs[3].id: 7}


def test_the_a_a_variant_takes_as_long_as_the_baseline(runs: list[RunConfig], tmp_path: Path):
    first, second, *_ = runs
    itself = replace(first, variant="a-aa", replicate=1)
    finish(tmp_path, first, 30)
    finish(tmp_path, second, 50)
    estimated = estimate(make_plan([first, second, itself], RunStore(tmp_path)))
    assert (estimated.seconds, estimated.assumed) == ({itself.id: 30}, ())
