"""The job that Ray hands to the supervisor and the workers of one run."""

import json
from collections.abc import Sequence
from typing import Any, TypedDict

from pydantic import TypeAdapter

from emotune.config.other_data import TransferTest
from emotune.config.run import RunConfig

__all__ = ["RunJob", "as_text", "asked_tests", "run_of"]

_TESTS: TypeAdapter[tuple[TransferTest, ...]] = TypeAdapter(tuple[TransferTest, ...])


class RunJob(TypedDict):
    """One run to train, as plain values.

    Attributes:
        id: The run's id.
        run: The run as JSON, see `run_of`. As a mapping, it would be searched by Tune for values to try: an option of
            the user's own that is called ``grid_search`` would become other runs.
        store: The path or URL of the folder of all run directories.
        resources: The fields of `emotune.config.resources.Resources`.
        stall_s: The seconds without progress after which the run's workers are killed.
        owner: The token of the command: attempts of the same command take over each other's leases.
        steps: The number of steps after which the run is abandoned, to time it; None: it is completed.
        tests: The tests on other data sets that are made with the finished run, see `as_text`; None: it is trained.
    """

    id: str
    run: str
    store: str
    resources: dict[str, Any]
    stall_s: float
    owner: str
    steps: int | None
    tests: str | None


def run_of(job: RunJob) -> RunConfig:
    """The run of a job."""
    return RunConfig.from_json(json.loads(job["run"]))


def as_text(tests: Sequence[TransferTest]) -> str:
    """Tests as JSON, for a job; `asked_tests` reads them back."""
    return _TESTS.dump_json(tuple(tests)).decode()


def asked_tests(job: RunJob) -> tuple[TransferTest, ...] | None:
    """The tests that a job makes; None: it trains its run."""
    return None if job["tests"] is None else _TESTS.validate_json(job["tests"])
