import json
from dataclasses import replace
from pathlib import Path

import pytest
from study_files import GOOD

from emotune.errors import InputError
from emotune.execution import upkeep
from emotune.execution.ledger import make_plan
from emotune.model_config import AlexNetConfig
from emotune.run import DatasetRef, RunConfig, WeightsRef
from emotune.run_directory import RunDirectory, State
from emotune.study import Study, load_study
from emotune.train_config import TrainConfig

DATA = DatasetRef(name="scenes", location="scenes", content_hash="ab" * 32)


@pytest.fixture
def study(write) -> Study:
    return load_study(write(GOOD, "own.yaml"))


@pytest.fixture
def pool(tmp_path: Path) -> str:
    return str(tmp_path / "runs")


def begin(pool: str, *runs: RunConfig) -> None:
    for run in runs:
        directory = RunDirectory(pool, run)
        claim = directory.begin()
        directory.folder.write("checkpoint/last.pt", b"x" * 1000)
        claim.release()


def test_runs_that_a_remembered_study_refers_to_stay_and_the_others_are_listed_with_size_and_age(study, pool):
    runs = study.runs([DATA])
    begin(pool, *runs, other := replace(runs[0], seed=99))
    (Path(pool) / "notes").mkdir()
    upkeep.remember(study, runs, pool)
    (leftover,) = upkeep.leftovers(pool, [])
    assert (leftover.id, leftover.size > 1000) == (other.id, True)
    lines = upkeep.summary([leftover], now=leftover.changed + 3 * 86400)
    assert "3 days old" in lines[0]
    assert lines[-1].startswith("1 run that no study refers to")
    assert upkeep.remove(pool, [leftover.id]) == [other.id]
    assert sorted(path.name for path in Path(pool).iterdir()) == sorted([*(r.id for r in runs), "notes", "studies"])


def test_a_study_counts_as_its_file_has_it_now(study, pool):
    runs = study.runs([DATA])
    begin(pool, *runs)
    upkeep.remember(study, runs, pool)
    assert {one.id for one in upkeep.leftovers(pool, [(study, runs[:2])])} == {run.id for run in runs[2:]}


def test_runs_whose_weights_others_begin_with_stay(study, pool):
    first = study.runs([DATA])[0]
    begin(pool, first)
    weights = WeightsRef(location=f"{pool}/{first.id}/weights.safetensors", digest="0" * 8)
    train = TrainConfig(init=f"{pool}/{first.id}")
    tuned = RunConfig(variant="x", dataset=DATA, seed=0, model=AlexNetConfig(), train=train, weights=weights)
    upkeep.remember(study, [tuned], pool)
    assert upkeep.leftovers(pool, []) == []


def test_nothing_is_guessed_where_nothing_is_remembered(study, pool):
    begin(pool, study.runs([DATA])[0])
    with pytest.raises(InputError, match="remembers no study"):
        upkeep.leftovers(pool, [])


def test_a_run_at_work_is_neither_listed_nor_removed(study, pool):
    run = study.runs([DATA])[0]
    upkeep.remember(study, [], pool)
    with RunDirectory(pool, run).at_work():
        assert upkeep.leftovers(pool, []) == []
        assert upkeep.remove(pool, [run.id]) == []
    assert [one.id for one in upkeep.leftovers(pool, [])] == [run.id]


def test_what_is_remembered_is_written_only_if_it_changed(study, pool):
    runs = study.runs([DATA])
    upkeep.remember(study, runs, pool)
    file = Path(pool) / "studies" / "own" / "runs.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"when": "long ago"}))
    upkeep.remember(study, runs, pool)
    assert upkeep.remembered(pool, "own")["when"] == "long ago"
    upkeep.remember(study, runs[1:], pool)
    assert upkeep.remembered(pool, "own")["when"] != "long ago"


def test_a_rerun_takes_up_what_is_asked_for_and_only_what_came_to_an_end_begins_anew(study, pool):
    failed, diverged, done, missing, *_ = runs = study.runs([DATA])
    begin(pool, failed, diverged, done)
    RunDirectory(pool, failed).fail("a bug")
    RunDirectory(pool, diverged).fail("the loss is nan", diverged=True)
    RunDirectory(pool, done).finish({"run": done.id})
    plan = make_plan(runs, pool)
    assert upkeep.again(plan, failed=True, diverged=False, names=[]) == (failed,)
    chosen = upkeep.again(plan, failed=False, diverged=True, names=[done.id, missing.id])
    assert chosen == (diverged, done, missing)
    assert upkeep.anew(plan, chosen) == [diverged.id, done.id]
    upkeep.remove(pool, [diverged.id, done.id])
    after = make_plan(runs, pool)
    assert {after.statuses[run.id].state for run in (diverged, done)} == {State.MISSING}


def test_a_rerun_of_nothing_of_an_unknown_run_or_of_one_at_work_is_refused(study, pool):
    runs = study.runs([DATA])
    with RunDirectory(pool, runs[0]).at_work():
        plan = make_plan(runs, pool)
        for names, says in (([], "say which"), (["x-s0"], "x-s0: no run"), ([runs[0].id], "is being trained")):
            with pytest.raises(InputError, match=says):
                upkeep.again(plan, failed=False, diverged=False, names=names)


def test_where_nobody_can_be_asked_only_yes_is_a_yes():
    assert upkeep.confirmed("Remove?", yes=True)
    with pytest.raises(InputError, match="--yes"):
        upkeep.confirmed("Remove?", yes=False)  # pytest's stdin is no terminal


def test_pools_behind_a_url_are_pruned_too(study):
    runs = study.runs([DATA])
    pool = "memory://pool-of-test-upkeep"
    begin(pool, runs[0], runs[1])
    upkeep.remember(study, [runs[0]], pool)
    (leftover,) = upkeep.leftovers(pool, [])
    assert (leftover.id, leftover.size > 1000, leftover.changed > 0) == (runs[1].id, True, True)
    upkeep.remove(pool, [leftover.id])
    assert upkeep.leftovers(pool, []) == []
