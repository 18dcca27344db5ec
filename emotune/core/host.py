"""CPUs, bfloat16 support and memory allocation of this machine."""

import ctypes
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

__all__ = [
    "MALLOC_SETTINGS",
    "available_cpus",
    "cpu_quota",
    "has_native_bfloat16",
    "tune_malloc",
    "worker_environment",
]

MALLOC_SETTINGS = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**31 - 1)}
"""Environment variables of a training process, for glibc's malloc: see `tune_malloc`."""
SLURM_CPUS = ("SLURM_CPUS_PER_TASK", "SLURM_CPUS_ON_NODE")
"""Variables with the CPUs that Slurm gave to the task, if the job asked for that, and to the job on this node."""
BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}
"""Linux' names of the CPU features that mean bfloat16 instructions; the last one is for Arm."""


def available_cpus() -> int:
    """The number of CPUs that this process may use, according to affinity, Slurm and control groups; at least 1.

    It decides how fast a study is and how many runs are trained at the same time, but does not change any result.
    """
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cpu_quota()
    limits = [affinity, *_slurm_cpus(os.environ), *([] if quota is None else [int(quota)])]
    return max(1, min(limits))


def _slurm_cpus(environment: Mapping[str, str]) -> list[int]:
    """The first of Slurm's variables that is a positive number; empty if there is none."""
    values = [environment.get(name, "") for name in SLURM_CPUS]
    return [int(value) for value in values if value.isdecimal() and int(value)][:1]


def cpu_quota(root: Path = Path("/")) -> float | None:
    """The CPUs that the process's control groups (version 1 or 2) and their parents allow; None if they set no limit.

    Args:
        root: The folder that contains ``proc``.
    """
    quotas: list[float] = []
    try:
        groups = (root / "proc/self/cgroup").read_text().splitlines()
        mounts = (root / "proc/self/mountinfo").read_text().splitlines()
    except OSError:  # not Linux
        return None
    for line in groups:
        controllers, _, path = line.partition(":")[2].partition(":")
        if not controllers:
            quotas += _limits(root, mounts, "cgroup2", "", path)
        elif "cpu" in controllers.split(","):
            quotas += _limits(root, mounts, "cgroup", "cpu", path)
    return min(quotas, default=None)


def _limits(root: Path, mounts: list[str], kind: str, controller: str, path: str) -> Iterator[float]:
    """The limits of a control group and of its parents, as far as they are mounted."""
    for mount in mounts:
        fields, source = mount.split(" "), mount.partition(" - ")[2].split(" ")
        if source[0] != kind or (controller and controller not in source[-1].split(",")):
            continue
        top, group = root / fields[4].lstrip("/"), PurePosixPath(path)
        inner = group.relative_to(fields[3]) if group.is_relative_to(fields[3]) else PurePosixPath()
        if ".." in inner.parts:  # the group belongs to another namespace
            inner = PurePosixPath()
        for place in (top / inner, *(top / parent for parent in inner.parents)):
            limit = _limit(place)
            if limit is not None:
                yield limit


def _limit(group: Path) -> float | None:
    """The CPUs that one control group allows: CPU time per time."""
    try:
        if (group / "cpu.max").exists():
            quota, period = (group / "cpu.max").read_text().split()
        else:
            quota, period = ((group / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        return int(quota) / int(period) if quota != "max" and int(quota) > 0 else None
    except (OSError, ValueError, ZeroDivisionError):
        return None


def has_native_bfloat16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool | None:
    """Whether the CPUs have instructions for products in bfloat16; None if that is unknown.

    Without them torch emulates these products, which takes many times as long as float32.
    """
    try:
        lines = re.findall(r"^(?:flags|Features)\s*:(.*)$", cpuinfo.read_text(), re.MULTILINE)
    except OSError:
        return None
    return bool(BFLOAT16_FLAGS & set(lines[0].split())) if lines else None


def worker_environment(threads: int) -> dict[str, str]:
    """The environment variables that a process with this number of training threads needs when it starts."""
    return MALLOC_SETTINGS | {"OMP_NUM_THREADS": str(threads)}


def tune_malloc() -> None:
    """Configures glibc's malloc to keep freed memory for the next allocation; does nothing without glibc.

    By default glibc returns large blocks to the kernel as soon as they are freed. A training step allocates the same
    blocks again, and the kernel must fill them with zeros page by page: ``benchmarks/train.py --give-back`` measures
    the cost. This function affects the main thread. The other threads have memory pools of their own, which only the
    environment at the start of the process can configure: `MALLOC_SETTINGS`.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    for parameter, value in ((-4, 0), (-1, 2**31 - 1)):  # M_MMAP_MAX, M_TRIM_THRESHOLD
        mallopt(parameter, value)
