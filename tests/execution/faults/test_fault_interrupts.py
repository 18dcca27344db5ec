"""Ctrl-C in a terminal: once ends the command in good order, twice ends it at once."""

import os
import signal
import time

import pytest
import torch
from disturbed import HOLD, STEPS, Disturbed, Fault
from reading import incomplete
from same_result import require_same

from emotune.core.storage import Folder
from emotune.training import checkpoint

pytestmark = pytest.mark.slow

SLOW = "time.sleep(1)"


def test_ctrl_c_finishes_the_step_writes_a_checkpoint_and_reports_what_is_there(
    study: Disturbed, undisturbed: Disturbed
):
    study.strike(Fault("time.sleep(3)", rank=1), Fault(SLOW, rank=1, step=9, always=True))
    command = study.start()
    study.struck()  # in the 8th step of the second run
    steps = study.steps()["attention", 1]
    os.killpg(command.process.pid, signal.SIGINT)  # as a terminal does, to all that run in the foreground
    ended = command.end()
    assert ended.code == 130, ended
    assert "Interrupted" in ended.err
    assert "Traceback" not in ended.err
    assert incomplete(study.page()) == (1, 2)
    command.require_end_of_all()
    saved, notes = checkpoint.read_checkpoint(Folder(str(study.file("attention", "."))), torch.device("cpu"))
    assert not notes
    done = saved["progress"]["epoch"] * STEPS + saved["progress"]["step"]
    assert done == study.steps()["attention", 1] > steps, "a step that was taken is lost, or one was not finished"
    study.strike()
    again = study.ablate()
    assert again.code == 0, again
    assert study.interruptions() == {"alexnet": 0, "attention": 1}
    assert study.steps() == undisturbed.steps(), "no step was taken twice"
    require_same(study, undisturbed)


def test_a_second_ctrl_c_stops_at_once_and_leaves_nothing_running(study: Disturbed, undisturbed: Disturbed):
    study.strike(Fault(HOLD, "alexnet", rank=1))  # a step that does not end
    command = study.start()
    study.struck()
    os.killpg(command.process.pid, signal.SIGINT)
    time.sleep(1)
    assert command.process.poll() is None, "the first one lets the step end"
    os.killpg(command.process.pid, signal.SIGINT)
    ended = command.end(30)
    assert ended.code == 130, ended
    assert "Traceback" not in ended.err
    command.require_end_of_all()
    again = study.ablate()
    assert again.code == 0, again
    assert study.interruptions() == {"alexnet": 1, "attention": 0}
    require_same(study, undisturbed)
