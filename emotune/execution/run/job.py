"""The job that Ray hands to the supervisor and the workers of one run."""

from typing import Any, TypedDict

__all__ = ["RunJob"]


class RunJob(TypedDict):
    """One run to train, as plain values.

    Attributes:
        id: The run's id.
        run: The run as `emotune.config.run.RunConfig.to_json` gives it.
        store: The path or URL of the folder of all run directories.
        resources: The fields of `emotune.config.resources.Resources`.
        stall_s: The seconds without progress after which the run's workers are killed.
        owner: The token of the command: attempts of the same command take over each other's leases.
        steps: The number of steps after which the run is abandoned, to time it; None: it is completed.
    """

    id: str
    run: dict[str, Any]
    store: str
    resources: dict[str, Any]
    stall_s: float
    owner: str
    steps: int | None
