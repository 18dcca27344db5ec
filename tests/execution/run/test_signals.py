"""Signals as a terminal sends them, to real processes."""

import signal
import subprocess
import sys
from collections.abc import Callable

import pytest

SCRIPT = """
import subprocess, sys, time
from emotune.execution.run.signals import StoppedNow, interruption

try:
    with interruption() as stopping:
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        {what}
except StoppedNow:
    print("now", flush=True)
    {after}
except KeyboardInterrupt:
    print("in order", flush=True)
finally:
    child.kill()
sys.exit(130)
"""
BEGUN = "print(child.pid, flush=True)"
PATIENT = f"""
        with stopping.patient():
            {BEGUN}
            while {{waits}}: time.sleep(0.01)
            print("step finished", flush=True)
"""


@pytest.fixture
def begin() -> Callable[..., subprocess.Popen[str]]:
    def begin(what: str, after: str = "pass") -> subprocess.Popen[str]:
        script = SCRIPT.format(what=what.strip(), after=after)
        process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
        started.append(process)
        return process

    started: list[subprocess.Popen[str]] = []
    yield begin
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_once_ends_what_can_be_broken_off(begin, number: int):
    process = begin(f"{BEGUN}; time.sleep(600)")
    process.stdout.readline()
    process.send_signal(number)
    assert process.stdout.read() == "in order\n"
    assert process.wait() == 130


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_once_lets_a_patient_block_finish_its_step(begin, number: int):
    process = begin(PATIENT.format(waits="not stopping()"))
    process.stdout.readline()
    process.send_signal(number)
    assert process.stdout.read() == "step finished\nin order\n"
    assert process.wait() == 130


def test_twice_ends_a_patient_block_but_sigterm_repeated_does_not(begin):
    process = begin(PATIENT.format(waits="not (stopping() and print('asked', flush=True))"))
    process.stdout.readline()
    for _ in range(2):
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline() == "asked\n"
    process.send_signal(signal.SIGINT)
    assert process.stdout.read().endswith("now\n")
    assert process.wait() == 130


def test_what_does_not_end_after_two_presses_is_ended_with_all_it_has_started(begin):
    process = begin(PATIENT.format(waits="True"), after="time.sleep(600)")
    child = int(process.stdout.readline())
    process.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.3)
    process.send_signal(signal.SIGINT)
    assert process.stdout.read() == "now\n"
    assert process.wait() == 130
    from emotune.core.process_tree import process as alive

    assert alive(child) is None
