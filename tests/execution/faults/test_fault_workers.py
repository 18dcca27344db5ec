"""A worker that is killed, hangs, fails, runs out of memory or has a NaN loss costs no other result."""

import json
from pathlib import Path

import pytest
from disturbed import KILL, RAISE, STEPS, STOP, Disturbed, Fault, alive
from same_result import require_same

NO_MEMORY = """
import resource, torch
pages = int(Path("/proc/self/statm").read_text().split()[0])
resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + 2**26, -1))
torch.ones(2**30)
"""
"""Allocates 4 GiB in a process that may have only 64 MiB more than it has."""

HOARD = """
hoard = []
while len(hoard) < 80:
    hoard.append(bytearray(os.urandom(2**20)) * 100)
    time.sleep(0.05)
"""
"""Allocates 100 MiB again and again, until the process is killed (at most 8 GB)."""
HOARDED_BYTES = 5 * 2**30
"""Memory that Ray allows this process, and other tests at the same time, to allocate."""


@pytest.mark.slow
def test_a_killed_worker_of_either_rank_costs_the_steps_since_the_checkpoint(study: Disturbed, undisturbed: Disturbed):
    study.strike(Fault(KILL, "alexnet", rank=0), Fault(KILL, "attention", rank=1))
    ended = study.ablate()
    assert ended.code == 0, ended
    assert study.interruptions() == {"alexnet": 1, "attention": 1}
    lost = {key: count - undisturbed.steps()[key] for key, count in study.steps().items()}
    assert all(0 <= steps < STEPS for steps in lost.values()), lost
    require_same(study, undisturbed)


@pytest.mark.slow
def test_a_worker_killed_while_the_results_are_written_costs_none(study: Disturbed, undisturbed: Disturbed):
    study.strike(
        Fault(KILL, "alexnet", rank=0, at="write_predictions"), Fault(KILL, "attention", rank=0, at="save_weights")
    )
    ended = study.ablate()
    assert ended.code == 0, ended
    assert study.interruptions() == {"alexnet": 1, "attention": 1}
    assert study.steps() == undisturbed.steps(), "a checkpoint at the end of the last epoch was not used"
    require_same(study, undisturbed)


@pytest.mark.slow
def test_a_worker_of_either_rank_that_hangs_is_killed_after_stall_minutes_and_the_run_goes_on(
    study: Disturbed, undisturbed: Disturbed
):
    study.strike(Fault(STOP, "alexnet", rank=1), Fault(STOP, "attention", rank=0))
    command = study.start("--stall-minutes", "0.7")  # as long as a busy machine may take to start a worker
    hanging = [study.struck(number) for number in (0, 1)]
    ended = command.end()
    assert ended.code == 0, ended
    assert study.interruptions() == {"alexnet": 1, "attention": 1}
    assert not any(map(alive, hanging))
    require_same(study, undisturbed)


@pytest.mark.slow
def test_an_exception_in_one_variant_fails_it_with_its_log_and_the_others_finish(
    study: Disturbed, undisturbed: Disturbed
):
    study.strike(Fault(RAISE, rank=1, always=True))
    ended = study.ablate()
    assert ended.code == 1, ended
    assert "RuntimeError: this layer is cursed" in ended.out
    failure = study.file("attention", "failure.json").read_text()
    assert "sitecustomize.py" in failure, "the log says where it was raised"
    assert study.steps()["attention", 0] < 2 * STEPS, "a failed run is not tried again by the same command"
    assert "this layer is cursed" in study.page()
    require_same(study, undisturbed, "alexnet")
    study.strike()
    again = study.ablate()
    assert again.code == 0, again
    assert study.steps()["alexnet", 0] == undisturbed.steps()["alexnet", 0], "what is done is not done again"
    require_same(study, undisturbed)


@pytest.mark.slow
def test_an_allocation_that_fails_fails_the_run_and_the_others_finish(study: Disturbed, undisturbed: Disturbed):
    study.strike(Fault(NO_MEMORY, rank=0, always=True))
    ended = study.ablate()
    assert ended.code == 1, ended
    assert "memory" in study.file("attention", "failure.json").read_text()
    assert study.steps()["attention", 1] < 2 * STEPS, "it would not fit the next time either"
    require_same(study, undisturbed, "alexnet")


@pytest.mark.slow
def test_a_worker_that_ray_kills_for_its_memory_fails_the_run_and_the_same_command_completes_it(
    study: Disturbed, undisturbed: Disturbed
):
    memory = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    total, free = (int(memory[name].split()[0]) * 1024 for name in ("MemTotal", "MemAvailable"))
    if free < 2 * HOARDED_BYTES:
        pytest.skip("this machine has too little free memory to be filled without harm to others")
    threshold = 1 - (free - HOARDED_BYTES) / total
    study.strike(Fault(HOARD, rank=1, always=True))
    settings = {"RAY_memory_usage_threshold": f"{threshold:.3f}", "RAY_memory_monitor_refresh_ms": "100"}
    ended = study.ablate(**settings)
    assert ended.code == 1, ended
    assert "memory" in study.file("attention", "failure.json").read_text()
    assert study.steps()["attention", 0] < 2 * STEPS, "it would not fit the next time either"
    require_same(study, undisturbed, "alexnet")
    study.strike()
    again = study.ablate()
    assert again.code == 0, again
    require_same(study, undisturbed)


@pytest.mark.slow
def test_a_loss_that_is_no_number_is_a_result_and_the_others_finish(study: Disturbed, undisturbed: Disturbed):
    study.write(", train.lr: 1.0e+30")
    ended = study.ablate()
    assert ended.code == 1, ended
    assert "diverged" in ended.out
    assert json.loads(study.file("attention", "failure.json").read_text())["message"] in study.page()
    require_same(study, undisturbed, "alexnet")
    steps = study.steps()
    assert study.ablate().code == 1
    assert study.steps() == steps, "it would diverge again"
