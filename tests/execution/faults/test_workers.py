"""What befalls a worker costs no result: it is lost, it hangs, it has an error, it has no memory, its numbers are none."""

import pytest
from disturbed import KILL, RAISE, STEPS, STOP, Disturbed, Fault, alive, require_same

BOTH = ("alexnet", "attention")


def test_a_killed_worker_of_either_rank_costs_the_steps_since_the_checkpoint(study: Disturbed, undisturbed: Disturbed):
    study.strike(Fault(KILL, "alexnet", rank=0), Fault(KILL, "attention", rank=1))
    ended = study.ablate()
    assert ended.code == 0, ended
    assert study.interruptions() == {"alexnet": 1, "attention": 1}
    lost = {key: count - undisturbed.steps()[key] for key, count in study.steps().items()}
    assert all(0 <= steps < STEPS for steps in lost.values()), lost
    require_same(study, undisturbed)
