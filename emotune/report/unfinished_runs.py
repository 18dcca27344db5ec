"""The runs of a study without a result, and why they have none."""

from dataclasses import dataclass

import pandas as pd

from emotune.config.ablate_command import AblateCommand
from emotune.runs.directory import State, Status

__all__ = ["UnfinishedRun", "unfinished_runs"]

LOG_LINES = 20
"""The last lines of a failed run's message that the report quotes."""


@dataclass(frozen=True)
class UnfinishedRun:
    """A run without a result.

    Attributes:
        run: The run's id.
        variant: Its variant.
        seed: Its seed.
        state: Its state.
        reason: Why it has no result, in one line; empty if there is nothing to say.
        log: The end of its error message, if it failed.
        rerun: The command that trains it again, if it failed.
    """

    run: str
    variant: str
    seed: int
    state: str
    reason: str
    log: str
    rerun: str


def unfinished_runs(rows: pd.DataFrame, command: AblateCommand) -> list[UnfinishedRun]:
    """The study's runs without a result.

    Args:
        rows: All runs with ``run, variant, seed, state, detail``.
        command: The study's command.
    """
    ended = (State.FAILED, State.DIVERGED, State.DAMAGED)
    return [
        UnfinishedRun(
            run=row["run"],
            variant=row["variant"],
            seed=row["seed"],
            state=row["state"],
            reason=Status(row["state"], row["detail"]).reason,
            log="\n".join(row["detail"].splitlines()[-LOG_LINES:]) if row["state"] in ended else "",
            rerun=command.rerun(row["run"]) if row["state"] in ended else "",
        )
        for row in rows[rows["state"] != State.DONE].to_dict("records")
    ]
