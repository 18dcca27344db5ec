"""Memory that is freed and taken again, in processes of their own."""

import os
import subprocess
import sys
import textwrap

import pytest

from emotune.machine import KEEP_FREED_MEMORY

SCRIPT = """
    import resource, sys, threading, torch
    from emotune.machine import keep_freed_memory
    if sys.argv[1] == "call":
        keep_freed_memory()

    def pages_filled():
        def take_and_free():
            for _ in range(12):  # it takes some until they fit
                torch.ones(12 * 2**20)  # 48 MiB, more than glibc ever keeps by itself
        take_and_free()
        before = resource.getrusage(resource.RUSAGE_SELF)
        take_and_free()
        faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before.ru_minflt
        print(faults)

    if sys.argv[1] == "thread":  # Ray trains in another thread than the main one
        thread = threading.Thread(target=pages_filled)
        thread.start()
        thread.join()
    else:
        pages_filled()
"""


def page_faults(how: str, environment: dict[str, str]) -> int:
    command = [sys.executable, "-c", textwrap.dedent(SCRIPT), how]
    return int(subprocess.run(command, env=os.environ | environment, capture_output=True, check=True).stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's settings")
def test_freed_memory_is_used_again_without_the_kernel():
    assert page_faults("main", {}) > 10_000
    assert page_faults("call", {}) < 1_000
    assert page_faults("thread", KEEP_FREED_MEMORY) < 1_000
