from dataclasses import replace
from pathlib import Path

import pytest

from emotune.data.datasets import resolve
from emotune.execution.ledger import estimate, make_plan
from emotune.model_config import AlexNetConfig
from emotune.run import RunConfig, Selection
from emotune.run_directory import RunDirectory, State
from emotune.train_config import TrainConfig


@pytest.fixture
def runs(small_shards: Path) -> list[RunConfig]:
    (dataset,) = resolve([Selection(data=str(small_shards))])
    first = RunConfig(variant="a", dataset=dataset, seed=0, model=AlexNetConfig(), train=TrainConfig())
    second = replace(first, variant="b", model=AlexNetConfig(width=0.5))
    return [replace(run, seed=seed) for seed in (0, 1) for run in (first, second)]


def finish(pool: Path, run: RunConfig, seconds: float) -> None:
    durations_s = {"train": seconds - 1, "test": 1.0}
    RunDirectory(str(pool), run).finish({"run": run.id, "variant": run.variant, "durations_s": durations_s})


def test_what_is_to_do_is_missing_interrupted_or_failed_but_not_diverged(runs: list[RunConfig], tmp_path: Path):
    done, failed, diverged, missing = runs
    finish(tmp_path, done, 10)
    RunDirectory(str(tmp_path), failed).fail("a bug")
    RunDirectory(str(tmp_path), diverged).fail("the loss is nan", diverged=True)
    plan = make_plan(runs, str(tmp_path))
    assert plan.to_do == (failed, missing)
    assert [plan.statuses[run.id].state for run in runs] == [State.DONE, State.FAILED, State.DIVERGED, State.MISSING]


def test_a_run_in_the_hands_of_a_living_process_is_not_to_do(runs: list[RunConfig], tmp_path: Path):
    with RunDirectory(str(tmp_path), runs[0]).at_work():
        assert runs[0] not in make_plan(runs, str(tmp_path)).to_do
    assert make_plan(runs, str(tmp_path)).statuses[runs[0].id].state is State.INTERRUPTED


def test_the_time_is_known_once_a_run_has_been_timed_and_a_new_variant_is_taken_for_the_slowest(runs, tmp_path: Path):
    assert estimate(make_plan(runs, str(tmp_path))) is None
    finish(tmp_path, runs[0], 30)
    first = estimate(make_plan(runs, str(tmp_path)))
    assert (first.hours, first.assumed) == (pytest.approx(3 * 30 / 3600), ("b",))
    finish(tmp_path, runs[1], 50)
    second = estimate(make_plan(runs, str(tmp_path)))
    assert (second.hours, second.assumed) == (pytest.approx((30 + 50) / 3600), ())


def test_a_few_steps_count_until_a_run_has_been_timed(runs: list[RunConfig], tmp_path: Path):
    data = runs[0].dataset.name
    finish(tmp_path, runs[0], 30)
    guess = estimate(make_plan(runs, str(tmp_path)), {("a", data): 1.0, ("b", data): 7.0})
    assert guess.seconds == {runs[1].id: 7, runs[2].id: 30, runs[3].id: 7}


def test_the_baseline_against_itself_takes_as_long_as_the_baseline(runs: list[RunConfig], tmp_path: Path):
    first, second, *_ = runs
    itself = replace(first, variant="a-aa")
    finish(tmp_path, first, 30)
    finish(tmp_path, second, 50)
    guess = estimate(make_plan([first, second, itself], str(tmp_path)))
    assert (guess.seconds, guess.assumed) == ({itself.id: 30}, ())
