"""The validation of tuning runs by the values of one tuned option."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from emotune.analysis.tuning import TuningStage
from emotune.config.tuning import Setting

__all__ = ["CurvePoint", "validation_curve"]


@dataclass(frozen=True)
class CurvePoint:
    """A variant at a value of an option.

    Attributes:
        variant: The variant's name.
        value: The value of the option. With several tuned options, the others are those of the best setting with it.
        values: The compared value of each tuning run of that setting; diverged ones are left out.
        diverged: The number of those that diverged.
        chosen: The share of the choices that have this value: 1 or 0, unless seeds or divisions differ.
        is_final: Whether the setting was compared in the last rung; one that was left out before has its values after
            fewer epochs.
    """

    variant: str
    value: Any
    values: tuple[float, ...]
    diverged: int
    chosen: float
    is_final: bool = True

    @property
    def mean(self) -> float:
        """The mean of the values; NaN if a run diverged."""
        return fmean(self.values) if self.values and not self.diverged else math.nan


def validation_curve(stage: TuningStage, datasets: Iterable[str], key: str) -> list[CurvePoint]:
    """The validation of each variant by the values of an option: numbers in ascending order, others as they are listed.

    Args:
        stage: The tuning, which has ended.
        datasets: The names of a data set, or of the divisions of one, whose runs are taken together.
        key: The option's dotted key.
    """
    names, sign, last = set(datasets), 1 if stage.tune.higher_is_better else -1, len(stage.rungs) - 1
    tried: dict[str, dict[Setting, dict[int, list[float | None]]]] = {}
    chosen: dict[str, list[Any]] = {}
    for (variant, dataset, _), choice in stage.choices.items():
        if dataset in names:
            chosen.setdefault(variant, []).append(dict(choice.chosen)[key])
            for trial in choice.trials:
                of_setting = tried.setdefault(variant, {}).setdefault(trial.setting, {})
                of_setting.setdefault(trial.rung, []).extend(trial.values)
    points = []
    for variant, settings in tried.items():
        found: dict[Any, list[CurvePoint]] = {}
        for setting, by_rung in settings.items():
            rung = max(by_rung)
            value, values = dict(setting)[key], by_rung[rung]
            finite = tuple(one for one in values if one is not None and math.isfinite(one))
            share = sum(one == value for one in chosen[variant]) / len(chosen[variant])
            point = CurvePoint(variant, value, finite, len(values) - len(finite), share, rung == last)
            found.setdefault(value, []).append(point)
        numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in found)
        for value in sorted(found) if numbers else found:
            points.append(max(found[value], key=lambda one: (one.is_final, _rank(one.mean, sign))))
    return points


def _rank(mean: float, sign: int) -> float:
    return -math.inf if math.isnan(mean) else sign * mean
