import pytest
from study_files import DATA

from emotune.config.run import RunConfig
from emotune.core.errors import InputError
from emotune.execution import maintenance
from emotune.execution.plan.plan import make_plan
from emotune.runs.directory import RunDirectory, State
from emotune.runs.store import RunStore


def begin(pool: str, *runs: RunConfig) -> None:
    for run in runs:
        directory = RunDirectory(pool, run)
        lease = directory.begin()
        directory.folder.write("checkpoint/last.pt", b"x" * 1000)
        lease.release()


def test_a_rerun_selects_what_is_asked_for_and_only_ended_runs_begin_again(study, pool):
    failed, diverged, done, missing, *_ = runs = study.runs([DATA])
    begin(pool, failed, diverged, done)
    RunDirectory(pool, failed).fail("a bug")
    RunDirectory(pool, diverged).fail("the loss is nan", diverged=True)
    RunDirectory(pool, done).finish({"run": done.id})
    plan = make_plan(runs, RunStore(pool))
    assert maintenance.select_reruns(plan, failed=True, diverged=False, names=[]) == (failed,)
    chosen = maintenance.select_reruns(plan, failed=False, diverged=True, names=[done.id, missing.id])
    assert chosen == (diverged, done, missing)
    assert maintenance.needs_restart(plan, chosen) == [diverged.id, done.id]
    maintenance.remove_runs(RunStore(pool), [diverged.id, done.id])
    after = make_plan(runs, RunStore(pool))
    assert {after.statuses[run.id].state for run in (diverged, done)} == {State.MISSING}


def test_a_rerun_of_nothing_of_an_unknown_run_or_of_one_being_trained_is_refused(study, pool):
    runs = study.runs([DATA])
    with RunDirectory(pool, runs[0]).leased():
        plan = make_plan(runs, RunStore(pool))
        for names, match in (([], "^rerun: "), (["x-s0"], "^x-s0: "), ([runs[0].id], f"^{runs[0].id}: ")):
            with pytest.raises(InputError, match=match):
                maintenance.select_reruns(plan, failed=False, diverged=False, names=names)


def test_without_a_terminal_only_the_option_confirms():
    assert maintenance.confirm("Remove?", yes=True)
    with pytest.raises(InputError, match="--yes"):
        maintenance.confirm("Remove?", yes=False)  # pytest's stdin is no terminal
