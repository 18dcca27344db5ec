"""How many runs are trained at a time, and whether a cluster trains them."""

import os

from emotune.config.resources import Resources
from emotune.core.host import available_cpus

__all__ = ["concurrent_runs", "uses_cluster"]


def uses_cluster(executor: str) -> bool:
    """Whether the runs are trained on the cluster that RAY_ADDRESS names, not on this machine.

    Args:
        executor: ``ray`` or ``local``.
    """
    return executor == "ray" and bool(os.environ.get("RAY_ADDRESS"))


def concurrent_runs(resources: Resources, executor: str, gpus: int | None = None) -> int | None:
    """The number of runs that are trained at a time; None where it is not known.

    It is not known on a cluster, nor for runs on GPUs as long as these have not been counted.

    Args:
        resources: What each run gets.
        executor: ``ray`` or ``local``.
        gpus: The number of GPUs of this machine; None where they have not been counted.
    """
    if executor == "local":
        return 1
    if uses_cluster(executor) or (resources.gpus_per_worker and gpus is None):
        return None
    return resources.runs_on(available_cpus(), gpus or 0)
