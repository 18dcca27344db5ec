"""The first stage of a study that tunes: its tuning runs, by the same executors as its other runs."""

from collections.abc import Collection
from typing import TYPE_CHECKING

from rich.console import Console

from emotune.api.train_and_test import check_before_training
from emotune.core.errors import InputError

if TYPE_CHECKING:
    from emotune.execution.plan.resolved_study import ResolvedStudy
    from emotune.execution.run.session import ExecutionOptions
    from emotune.execution.run.signals import Interruption

__all__ = ["require_choices", "tuned"]


def tuned(
    resolved: "ResolvedStudy",
    options: "ExecutionOptions",
    console: Console,
    stopping: "Interruption",
    ids: Collection[str] | None = None,
) -> "ResolvedStudy":
    """Trains the tuning runs that a study awaits, rung by rung, and gives the study with its runs, if all have ended.

    Args:
        resolved: The study.
        options: How to train.
        console: Where progress is shown.
        stopping: Whether Ctrl-C was pressed.
        ids: The ids of the tuning runs that may be trained. Default: all, and those of later rungs.

    Raises:
        InputError: something that training needs is missing or cannot be used; nothing was spent.
        KeyboardInterrupt: Ctrl-C was pressed; the same call continues the study.
    """
    from emotune.execution.plan.auto_precision import require_one_decision
    from emotune.execution.plan.resolved_study import resolve_study
    from emotune.execution.plan.tuning_summary import stage_line
    from emotune.execution.run.session import Session
    from emotune.runs.registry import Registry

    stage, before = resolved.first_stage, None
    with Session(stage, options, console, stopping) as session:
        while resolved.awaits_tuning and resolved.tuning and resolved.tuning.rung != before:
            before, plan = resolved.tuning.rung, stage.plan()
            allowed = [run.id for run in stage.runs] if ids is None else ids
            if any(run.id in allowed for run in plan.to_do):
                with Registry(stage.store).in_use(stage.study, stage.runs):
                    require_one_decision(stage.study, stage.store)
                    if not session.is_prepared:  # later rungs have the networks of the first one
                        check_before_training(stage, plan, options, None, console)
                        session.prepare(plan.may_train)
                    with stopping.patient():
                        session.run_until_done(plan, allowed)
            resolved = resolve_study(resolved.study, resolved.store.url)
            stage = resolved.first_stage
            session.continue_with(stage)
            for line in stage_line(resolved):
                console.print(line, highlight=False, markup=False, soft_wrap=True)
    return resolved


def require_choices(resolved: "ResolvedStudy") -> None:
    """Raises an `InputError` if a study's settings are not chosen yet, so that it has no results."""
    stage = resolved.tuning
    if stage is not None and not stage.is_over:
        raise InputError(
            f"tune: {stage.ended} of {stage.planned} tuning runs have ended, so no setting is chosen and "
            "no run of the study is known; run the study first"
        )
