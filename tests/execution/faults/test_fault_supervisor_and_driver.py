"""A lost supervisor, driver or raylet costs no result either, and no process is left behind."""

import os
import signal

import pytest
from disturbed import HOLD, STEPS, Disturbed, Fault, alive
from same_result import require_same

pytestmark = pytest.mark.slow


def test_a_killed_supervisor_costs_the_steps_since_the_checkpoint_and_leaves_no_worker(
    study: Disturbed, undisturbed: Disturbed
):
    study.strike(Fault(HOLD, "alexnet", rank=0))
    command = study.start()
    study.struck()
    workers = study.pids("alexnet").values()
    assert len(workers) == 2
    os.kill(command.pid_of("ray::RunTrial", "ray::ResourceTrainable"), signal.SIGKILL)
    study.until(lambda: not any(map(alive, workers)), "the end of the workers whose supervisor is dead")
    study.go()
    ended = command.end()
    assert ended.code == 0, ended
    assert study.interruptions() == {"alexnet": 1, "attention": 0}
    require_same(study, undisturbed)


def test_a_killed_driver_leaves_no_process_and_the_next_command_on_its_pool_continues(
    study: Disturbed, undisturbed: Disturbed
):
    study.strike(Fault(HOLD, "alexnet", rank=0))
    first = study.start()
    study.struck()
    first.process.kill()
    first.require_end_of_all(but="Agent")
    ended = study.ablate()
    assert ended.code == 0, ended
    assert study.interruptions() == {"alexnet": 1, "attention": 0}
    assert study.steps()["alexnet", 0] - undisturbed.steps()["alexnet", 0] < STEPS
    require_same(study, undisturbed)
    first.require_end_of_all(90)  # Ray's two agents wait a minute for their head


def test_a_killed_raylet_of_the_only_machine_ends_the_command_and_the_same_one_continues(
    study: Disturbed, undisturbed: Disturbed
):
    study.strike(Fault(HOLD, "alexnet", rank=1))
    first = study.start()
    study.struck()
    os.kill(first.pid_of("raylet/raylet"), signal.SIGKILL)
    ended = first.end(150)
    assert ended.code != 0
    assert "Traceback" not in ended.err, ended.err
    first.require_end_of_all(but="Agent")
    ended = study.ablate()
    assert ended.code == 0, ended
    assert study.interruptions() == {"alexnet": 1, "attention": 0}
    require_same(study, undisturbed)
