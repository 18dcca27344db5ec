"""Workers and supervisors that are killed, hang, fail, or run out of memory, and a loss that is NaN, cost no other run.

All these faults strike variants of one study, which the same command then completes.
"""

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from disturbed import EPOCHS, HOLD, KILL, LONGER, RAISE, STEPS, STOP, Disturbed, Ended, Fault, alike, alive
from same_result import require_same

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

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

FAULTS = (
    Fault(HOLD, "supervisor-killed", rank=0),
    Fault(KILL, "first-killed", rank=0),
    Fault(KILL, "second-killed", rank=1),
    Fault(KILL, "killed-at-predictions", rank=0, at="write_predictions"),
    Fault(KILL, "killed-at-weights", rank=0, at="save_weights"),
    Fault(STOP, "first-hangs", rank=0),
    Fault(STOP, "second-hangs", rank=1),
    Fault(KILL, "comes-no-further", step=1, always=True),
    Fault(RAISE, "raises", rank=1, always=True),
    Fault(NO_MEMORY, "allocates", rank=0, always=True),
    # One epoch further each time, of which the driver hears within two seconds.
    Fault(f"time.sleep(2); {KILL}", "comes-further", step=STEPS + 1, always=True),
)
VARIANTS = alike(*(fault.variant for fault in FAULTS[:-1])) | {
    "comes-further": f"train.epochs: {LONGER}",
    "wild": "train.lr: 1.0e+30",
}


@dataclass(frozen=True)
class After:
    """What a command has left."""

    ended: Ended
    done: set[str]
    failures: dict[str, Any]
    steps: Counter[tuple[str, int]]
    page: str


@dataclass(frozen=True)
class Outcome:
    """The study after the command in which the faults struck, and after the same command without faults."""

    study: Disturbed
    orphans: list[int]
    struck: After
    completed: After


def after(study: Disturbed, ended: Ended) -> After:
    failed = [name for name in study.run_ids if study.file(name, "failure.json").exists()]
    failures = {name: json.loads(study.file(name, "failure.json").read_text()) for name in failed}
    return After(ended, {name for name in study.run_ids if study.is_done(name)}, failures, study.steps(), study.page())


def ends(pids: list[int], within_s: float = 60.0) -> list[int]:
    """Waits for the end of processes; returns those that still live."""
    deadline = time.monotonic() + within_s
    while (left := [pid for pid in pids if alive(pid)]) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory, small_shards: Path) -> Iterator[Outcome]:
    with closing(Disturbed(tmp_path_factory.mktemp("faults") / "study", small_shards, VARIANTS)) as study:
        study.strike(*FAULTS)
        command = study.start("--stall-minutes", "1")  # as long as a busy machine may take to start a worker
        study.struck("supervisor-killed")
        workers = list(study.pids("supervisor-killed").values())
        assert len(workers) == 2
        os.kill(command.pid_of("ray::RunTrial", "ray::ResourceTrainable"), signal.SIGKILL)
        orphans = ends(workers)
        study.go()
        struck = after(study, command.end(1500))
        study.strike()
        yield Outcome(study, orphans, struck, after(study, study.ablate()))


@pytest.fixture
def require_done(outcome: Outcome, undisturbed: Disturbed):
    """Asserts that variants were done by the command in which they were struck, once interrupted and with all steps."""

    def require(*variants: str) -> None:
        assert set(variants) <= outcome.struck.done, outcome.struck.ended
        interruptions = outcome.study.interruptions()
        assert {name: interruptions[name] for name in variants} == dict.fromkeys(variants, 1)
        require_same(outcome.study, undisturbed, *variants)

    return require


def test_a_killed_worker_of_either_rank_costs_the_steps_since_the_checkpoint(outcome: Outcome, require_done):
    require_done("first-killed", "second-killed")
    for variant in ("first-killed", "second-killed"):
        assert all(EPOCHS * STEPS <= outcome.struck.steps[variant, rank] < (EPOCHS + 1) * STEPS for rank in (0, 1))


def test_a_killed_supervisor_costs_the_steps_since_the_checkpoint_and_leaves_no_worker(outcome: Outcome, require_done):
    assert not outcome.orphans
    require_done("supervisor-killed")
    assert outcome.struck.steps["supervisor-killed", 0] < (EPOCHS + 1) * STEPS


def test_a_worker_killed_while_the_results_are_written_costs_none(outcome: Outcome, require_done):
    require_done("killed-at-predictions", "killed-at-weights")
    for variant in ("killed-at-predictions", "killed-at-weights"):
        found = [outcome.struck.steps[variant, rank] for rank in (0, 1)]
        assert found == [EPOCHS * STEPS] * 2, "a checkpoint at the end of the last epoch was not used"


def test_a_worker_of_either_rank_that_hangs_is_killed_after_stall_minutes_and_the_run_goes_on_in_fresh_ones(
    outcome: Outcome, require_done
):
    require_done("first-hangs", "second-hangs")
    for variant in ("first-hangs", "second-hangs"):
        assert not alive(outcome.study.struck(variant))
        begun = outcome.study.left_at_begin(variant)
        assert begun == [[]] * 4, "two workers, and two others once what hung was gone for sure"


def test_a_run_that_is_lost_again_and_again_but_comes_further_is_no_failure(outcome: Outcome, undisturbed: Disturbed):
    assert "comes-further" in outcome.struck.done, outcome.struck.ended
    assert outcome.study.interruptions()["comes-further"] == LONGER - 1 == 4, "once more than in a row without progress"
    require_same(outcome.study, undisturbed, "comes-further", epochs=LONGER)


def test_a_run_that_is_lost_four_times_without_coming_further_is_a_failure_that_names_the_cause(outcome: Outcome):
    assert "comes-no-further" not in outcome.struck.done
    failure = outcome.struck.failures["comes-no-further"]
    assert failure["message"].startswith("lost 4 times ")
    assert len(outcome.study.left_at_begin("comes-no-further")) == 2 * (4 + 1), "and once by the next command"


def test_an_exception_in_one_variant_fails_it_with_its_log_and_the_same_command_completes_it(
    outcome: Outcome, undisturbed: Disturbed
):
    assert outcome.struck.ended.code == 1
    assert "RuntimeError: this layer is cursed" in outcome.struck.ended.out
    assert "sitecustomize.py" in json.dumps(outcome.struck.failures["raises"]), "the log says where it was raised"
    assert outcome.struck.steps["raises", 0] < 2 * STEPS, "a failed run is not tried again by the same command"
    assert "this layer is cursed" in outcome.struck.page
    require_same(outcome.study, undisturbed, "raises")


def test_an_allocation_that_fails_fails_the_run(outcome: Outcome, undisturbed: Disturbed):
    assert "memory" in json.dumps(outcome.struck.failures["allocates"])
    assert outcome.struck.steps["allocates", 1] < 2 * STEPS, "it would not fit the next time either"
    require_same(outcome.study, undisturbed, "allocates")


def test_a_worker_that_ray_kills_for_its_memory_fails_the_run_and_the_same_command_completes_it(
    study: Disturbed, undisturbed: Disturbed
):
    """Alone, because Ray would kill other variants' workers when other processes need much memory meanwhile."""
    memory = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    total, free = (int(memory[name].split()[0]) * 1024 for name in ("MemTotal", "MemAvailable"))
    if free < 2 * HOARDED_BYTES:
        pytest.skip("this machine has too little free memory to be filled without harm to others")
    threshold = 1 - (free - HOARDED_BYTES) / total
    study.strike(Fault(HOARD, "attention", rank=1, always=True))
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


def test_a_loss_that_is_no_number_is_a_result(outcome: Outcome):
    assert "diverged" in outcome.struck.ended.out
    assert outcome.struck.failures["wild"]["diverged"]
    assert outcome.struck.failures["wild"]["message"] in outcome.struck.page
    assert outcome.completed.ended.code == 1
    assert outcome.completed.failures.keys() == {"wild"}
    assert outcome.completed.steps["wild", 0] == outcome.struck.steps["wild", 0], "it would diverge again"


def test_variants_that_no_fault_strikes_are_done_and_not_done_again(outcome: Outcome, undisturbed: Disturbed):
    assert {"alexnet", "attention"} <= outcome.struck.done
    require_same(outcome.study, undisturbed, "alexnet", "attention")
    assert outcome.completed.done == outcome.study.run_ids.keys() - {"wild"}
    for variant in outcome.struck.done:
        assert outcome.completed.steps[variant, 0] == outcome.struck.steps[variant, 0]
