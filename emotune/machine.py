"""What this machine has to offer, and how its memory is used."""

import ctypes
import os

__all__ = ["KEEP_FREED_MEMORY", "available_cpus", "keep_freed_memory", "worker_environment"]

KEEP_FREED_MEMORY = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**31 - 1)}
"""Environment of a process that trains, for glibc: see `keep_freed_memory`."""


def available_cpus() -> int:
    """CPUs that this process may use; fewer than the machine's in a container or under taskset."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def worker_environment(threads: int) -> dict[str, str]:
    """What must be in the environment of a process that trains on so many threads, from its start."""
    return KEEP_FREED_MEMORY | {"OMP_NUM_THREADS": str(threads)}


def keep_freed_memory() -> None:
    """Has the main thread keep freed memory for its next allocation; without glibc, nothing is done.

    glibc returns large blocks to the kernel as soon as they are freed, and a training step allocates the same blocks
    again, which the kernel must fill with zeros page by page: ``benchmarks/train.py --give-back`` shows what it costs.
    For other threads, whose memory is apart, only the environment helps, from the process's start: `KEEP_FREED_MEMORY`.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    for parameter, value in ((-4, 0), (-1, 2**31 - 1)):  # M_MMAP_MAX, M_TRIM_THRESHOLD
        mallopt(parameter, value)
