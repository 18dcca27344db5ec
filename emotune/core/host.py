"""What this machine has to offer to this process, and how its memory is used."""

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
"""Environment of a process that trains, for glibc: see `tune_malloc`."""
SLURM_CPUS = ("SLURM_CPUS_PER_TASK", "SLURM_CPUS_ON_NODE")
"""What Slurm gave to a task if the job asked for it, and to the job on this node."""
BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}
"""Of CPUs with instructions for bfloat16, as Linux names them; the last one is Arm's."""


def available_cpus() -> int:
    """CPUs that this process may use: by affinity, Slurm's allocation and the quotas of its control groups; at least 1.

    A machine's number decides how fast a study is, and how many of its runs are trained at a time, but no result.
    """
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cpu_quota()
    limits = [affinity, *_slurm_cpus(os.environ), *([] if quota is None else [int(quota)])]
    return max(1, min(limits))


def _slurm_cpus(environment: Mapping[str, str]) -> list[int]:
    """The first of what Slurm says that is a number."""
    said = [environment.get(name, "") for name in SLURM_CPUS]
    return [int(value) for value in said if value.isdecimal() and int(value)][:1]


def cpu_quota(root: Path = Path("/")) -> float | None:
    """CPUs' time that the process's control groups, version 1 or 2, and those around them allow; None: all there are.

    Args:
        root: Where ``proc`` is.
    """
    quotas = []
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
    """Of a group and of those around it, as far as they are mounted."""
    for mount in mounts:
        fields, source = mount.split(" "), mount.partition(" - ")[2].split(" ")
        if source[0] != kind or (controller and controller not in source[-1].split(",")):
            continue
        top, group = root / fields[4].lstrip("/"), PurePosixPath(path)
        inner = group.relative_to(fields[3]) if group.is_relative_to(fields[3]) else PurePosixPath()
        if ".." in inner.parts:  # of another namespace
            inner = PurePosixPath()
        for place in (top / inner, *(top / parent for parent in inner.parents)):
            limit = _limit(place)
            if limit is not None:
                yield limit


def _limit(group: Path) -> float | None:
    """CPUs' time per time of one group."""
    try:
        if (group / "cpu.max").exists():
            quota, period = (group / "cpu.max").read_text().split()
        else:
            quota, period = ((group / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        return int(quota) / int(period) if quota != "max" and int(quota) > 0 else None
    except (OSError, ValueError, ZeroDivisionError):
        return None


def has_native_bfloat16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool | None:
    """Whether this machine's CPUs have instructions for products in bfloat16; None where nothing says so.

    Without, torch calculates them in another way, which takes many times as long as float32.
    """
    try:
        lines = re.findall(r"^(?:flags|Features)\s*:(.*)$", cpuinfo.read_text(), re.MULTILINE)
    except OSError:
        return None
    return bool(BFLOAT16_FLAGS & set(lines[0].split())) if lines else None


def worker_environment(threads: int) -> dict[str, str]:
    """What must be in the environment of a process that trains on so many threads, from its start."""
    return MALLOC_SETTINGS | {"OMP_NUM_THREADS": str(threads)}


def tune_malloc() -> None:
    """Has the main thread keep freed memory for its next allocation; without glibc, nothing is done.

    glibc returns large blocks to the kernel as soon as they are freed, and a training step allocates the same blocks
    again, which the kernel must fill with zeros page by page: ``benchmarks/train.py --give-back`` shows what it costs.
    For other threads, whose memory is apart, only the environment helps, from the process's start: `MALLOC_SETTINGS`.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    for parameter, value in ((-4, 0), (-1, 2**31 - 1)):  # M_MMAP_MAX, M_TRIM_THRESHOLD
        mallopt(parameter, value)
