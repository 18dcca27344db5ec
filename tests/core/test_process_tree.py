import os
import signal
import subprocess
import sys

from emotune.core.process_tree import Process, descendants, kill_and_wait, process


def test_a_suspended_process_and_its_children_are_found_and_killed():
    code = "import subprocess, sys; p = subprocess.Popen(['sleep', '600']); print(p.pid, flush=True); p.wait()"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        child = int(parent.stdout.readline())
        os.kill(child, signal.SIGSTOP)
        found = descendants(os.getpid())
        assert [p.pid for p in found if p.pid in (parent.pid, child)] == [parent.pid, child]
        kill_and_wait([p for p in found if p.pid in (parent.pid, child)])
        assert process(child) is None
        assert process(parent.pid) is None, "a process of which only the exit code is left is none"


def test_a_later_process_with_the_same_id_is_left_alone():
    with subprocess.Popen(["sleep", "600"]) as other:
        kill_and_wait([Process(other.pid, "0")])
        assert process(other.pid)
        other.kill()
