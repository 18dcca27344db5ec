"""A study that tunes, its tuning runs ended with given validation accuracies, and what was chosen."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from written_runs import write_tuning_run

from emotune import Study
from emotune.config.model import AlexNetConfig, AttentionConfig, SvmConfig
from emotune.config.train import TrainConfig
from emotune.config.tuning import Tuning
from emotune.config.tuning_runs import TuningRun
from emotune.execution.plan.resolved_study import ResolvedStudy, resolve_study

TRAIN = TrainConfig(epochs=4, batch_size=24)
VARIANTS: dict[str, Any] = {
    "plain": (AlexNetConfig(width=0.0625, dropout=0.0), TRAIN),
    "other": (AttentionConfig(width=0.0625, dropout=0.0), TRAIN),
    "colours": SvmConfig(),
}
RATES = [0.003, 0.01, 0.03]
TUNE = Tuning(over={"train.lr": RATES}, seeds=2, epochs=2, untuned=("colours",))
BEST = {"plain": 0.01, "other": 0.03}

Value = Callable[[TuningRun], float | None]


def build(data: Path, **changes) -> Study:
    arguments = {"name": "tuned", "question": "Which?", "datasets": str(data), "baseline": "plain",
                 "variants": VARIANTS, "contrasts": ["other - plain"], "seeds": 3, "tune": TUNE}  # fmt: skip
    return Study(**arguments | changes)


def at_best(one: TuningRun) -> float:
    """The validation accuracy of a run whose rate is the best one for its variant, or another."""
    return 60.0 if dict(one.setting)["train.lr"] == BEST[one.place[0]] else 50.0


def finish(resolved: ResolvedStudy, value: Value = at_best) -> ResolvedStudy:
    """The study once its tuning runs have ended; without a value a run has diverged."""
    assert resolved.tuning
    for one in resolved.tuning.runs:
        found, directory = value(one), resolved.store.directory(one.run)
        if directory.record() is None and found is None:
            directory.begin().release()
            directory.fail("not finite", diverged=True)
        elif directory.record() is None and found is not None:
            write_tuning_run(resolved.store, one.run, found)
    return resolve_study(resolved.study, resolved.store.url)


def chosen(resolved: ResolvedStudy) -> dict[str, list[float]]:
    assert resolved.tuning
    values: dict[str, list[float]] = {}
    for (variant, _, _), choice in resolved.tuning.choices.items():
        values.setdefault(variant, []).append(dict(choice.chosen)["train.lr"])
    return values
