"""What this machine has to offer."""

import os

__all__ = ["available_cpus"]


def available_cpus() -> int:
    """CPUs that this process may use; fewer than the machine's in a container or under taskset."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
