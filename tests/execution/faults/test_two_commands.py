"""Two commands that use the same pool at the same time share the runs."""

import pytest
from disturbed import EPOCHS, STEPS, Disturbed
from same_result import require_same

pytestmark = pytest.mark.slow


def test_two_commands_that_start_together_train_every_run_once(study: Disturbed, undisturbed: Disturbed):
    commands = [study.start(), study.start("--report", "reports/second")]
    for ended in [command.end() for command in commands]:
        assert ended.code in (0, 1), ended
        assert "Traceback" not in ended.err
        assert "failed" not in ended.out
    assert set(study.steps().values()) == {EPOCHS * STEPS}, "every step once"
    assert study.interruptions() == {"alexnet": 0, "attention": 0}
    require_same(study, undisturbed)
    after = study.ablate()
    assert after.code == 0
    assert "2 done" in after.out
    assert not list(study.pool.glob("*/checkpoint/*"))
