"""What this machine gives to a process: CPUs, instructions, and memory that is freed and taken again."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from emotune.core.host import MALLOC_SETTINGS, available_cpus, cpu_quota, has_native_bfloat16

SCRIPT = """
    import resource, sys, threading, torch
    from emotune.core.host import tune_malloc
    if sys.argv[1] == "call":
        tune_malloc()

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
def test_freed_memory_is_reused_without_the_kernel():
    assert page_faults("main", {}) > 10_000
    assert page_faults("call", {}) < 1_000
    assert page_faults("thread", MALLOC_SETTINGS) < 1_000


V2 = "30 24 0:27 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw"
V1 = "32 31 0:29 {root} /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct"


@pytest.mark.parametrize(
    ("groups", "mounts", "files", "quota"),
    [
        ("0::/", V2, {}, None),
        ("0::/", V2, {"cpu.max": "max 100000"}, None),
        ("0::/", V2, {"cpu.max": "150000 100000"}, 1.5),  # as a container sees itself
        ("0::/a/b", V2, {"a/cpu.max": "100000 100000", "a/b/cpu.max": "400000 100000"}, 1.0),
        ("0::/a/b", V2, {"a/cpu.max": "max 100000", "a/b/cpu.max": "50000 100000"}, 0.5),
        ("0::/a/b", V2, {"other/cpu.max": "100000 100000"}, None),
        ("0::/../x", V2, {"cpu.max": "200000 100000"}, 2.0),
        ("0::/a", V2, {"a/cpu.max": "nonsense"}, None),
        ("3:cpu,cpuacct:/", V1.format(root="/"), {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "1"}, None),
        ("3:cpu,cpuacct:/a/b\n0::/", f"{V1.format(root='/')}\n{V2}",
         {"cpu/a/cpu.cfs_quota_us": "300000", "cpu/a/cpu.cfs_period_us": "100000"}, 3.0),
        ("3:cpu:/docker/1", V1.format(root="/docker/1"),
         {"cpu/cpu.cfs_quota_us": "300000", "cpu/cpu.cfs_period_us": "100000"}, 3.0),
        ("nonsense", f"nonsense\n{V2}", {"cpu.max": "max 1"}, None),
        ("3:cpuset:/a", V1.format(root="/"), {"cpu/a/cpu.cfs_quota_us": "1", "cpu/a/cpu.cfs_period_us": "1"}, None),
    ],
)  # fmt: skip
def test_the_smallest_quota_of_a_control_group_and_its_parents_counts(groups, mounts, files, quota, tmp_path: Path):
    written = {f"sys/fs/cgroup/{name}": text for name, text in files.items()}
    for name, text in ({"proc/self/cgroup": groups, "proc/self/mountinfo": mounts} | written).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"{text}\n")
    assert cpu_quota(tmp_path) == quota
    assert cpu_quota(tmp_path / "nothing") is None


@pytest.fixture
def many_cpus(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A machine of 64 CPUs without limits, outside of Slurm."""
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(64)))
    monkeypatch.setattr("emotune.core.host.cpu_quota", lambda: None)
    for name in ("SLURM_CPUS_PER_TASK", "SLURM_CPUS_ON_NODE"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@pytest.mark.parametrize(
    ("slurm", "quota", "cpus"),
    [
        ({}, None, 64),
        ({}, 0.5, 1),
        ({}, 2.9, 2),
        ({"SLURM_CPUS_PER_TASK": "1", "SLURM_CPUS_ON_NODE": "2"}, None, 1),
        ({"SLURM_CPUS_ON_NODE": "6"}, 7.0, 6),
        ({"SLURM_CPUS_PER_TASK": "0", "SLURM_CPUS_ON_NODE": "many"}, 8.0, 8),
        ({"SLURM_CPUS_PER_TASK": "999"}, None, 64),
    ],
)
def test_available_cpus_are_the_smallest_of_affinity_slurm_and_quota(many_cpus, slurm, quota, cpus):
    many_cpus.setattr("emotune.core.host.cpu_quota", lambda: quota)
    for name, value in slurm.items():
        many_cpus.setenv(name, value)
    assert available_cpus() == cpus


@pytest.mark.parametrize(
    ("text", "has"),
    [
        ("flags\t\t: fpu avx2 avx512f avx512_bf16\n", True),
        ("flags\t\t: fpu amx_bf16 amx_tile\n", True),
        ("Features\t: fp asimd bf16\n", True),
        ("flags\t\t: fpu avx2 fma\nbugs\t: bf16\n", False),
        ("Features\t: fp asimd\n", False),
        ("model name\t: bf16\n", None),
        (None, None),
    ],
)
def test_bfloat16_support_is_read_from_the_cpu_flags(text: str | None, has: bool | None, tmp_path: Path):
    if text is not None:
        (tmp_path / "cpuinfo").write_text(text)
    assert has_native_bfloat16(tmp_path / "cpuinfo") is has
