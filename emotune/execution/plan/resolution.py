"""The effects that a study's seeds can detect: differences, averages over several variants, and interactions."""

from collections.abc import Mapping, Sequence
from typing import Any

from emotune.analysis.metric_table import contrast_weights
from emotune.analysis.power import Design, alike, seeds_for, seeds_of_interactions, smallest_effect
from emotune.analysis.residuals import pooled_spread
from emotune.analysis.verdict import ALPHA
from emotune.config.seeds import look_shares
from emotune.config.study import Study
from emotune.execution.plan.adaptive import first_names

__all__ = ["resolution"]


def resolution(study: Study, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The effects that the study's seeds can detect, and whether ``min_effect`` is one of them.

    Contrasts whose seeds vary alike, as all differences of two variants do, are in one group.

    Args:
        study: The study, with its contrasts, seeds and metric.
        rows: The finished runs with ``variant``, ``dataset``, ``seed`` and the metric.
    """
    tests, metric = len(study.contrasts) * len(study.datasets), study.metric
    weights = contrast_weights(study.contrasts, list(study.variants))
    share = look_shares(study.looks)[-1] if study.looks else 1.0  # at the last look, others may have resolved more
    design = len(study.networks) + bool(study.aa), weights, share * ALPHA / len(study.datasets)
    if study.seeds < 2:
        return ["One seed gives no interval and no verdict: train two or more (--seeds)."]
    in_sd = smallest_effect(study.seeds, *design)
    if in_sd is None:
        return [_why_not_computed(study, design[0])] if tests else []
    groups = alike(map(str, study.contrasts), weights)
    corrected = f" and for all {tests} contrasts at once" if tests > 1 else ""
    amounts = [f"{in_sd * relative:.1f} ×{_for(names, groups)}" for relative, names in groups.items()]
    amounts[0] = amounts[0].replace("×", "× the sd of the seed differences", 1)
    seeds = f"{'At the last look, ' * bool(study.looks)}{study.seeds} seeds"
    interactions = [text] if (text := seeds_of_interactions(study.contrasts, weights)) else []
    head = f"{seeds} detect, with 80 % power{corrected}, effects of at least {', '.join(amounts)}"
    datasets = dict.fromkeys(row["dataset"] for row in rows)
    spreads = [spread for dataset in datasets if (spread := pooled_spread(rows, dataset, metric.column))]
    if not spreads:
        return [f"{head}; the sd is not known before runs are done.", *interactions]
    widest, scale = max(spreads, key=lambda spread: spread.sd), metric.scale

    def with_unit(number: float) -> str:
        return f"{scale.format(number)} {scale.difference_units}".rstrip()

    smallest = ", ".join(
        f"{with_unit(in_sd * relative * widest.sd)}{_for(names, groups)}" for relative, names in groups.items()
    )
    pooled = f"{with_unit(widest.sd)}, {widest.df} degrees of freedom"
    return [
        f"{head}: {smallest} at the pooled sd so far ({pooled}).",
        *interactions,
        *_reach(study, groups, in_sd * widest.sd, widest.sd, design),
    ]


def _why_not_computed(study: Study, varying: int) -> str:
    """Why no effects are given, of contrasts in which so many variants vary with the seed."""
    if study.seeds == 2 and varying <= 2:
        return "Two seeds of so few networks give no verdict: train three or more (--seeds)."
    return "Which effects the seeds detect is not computed for a study with one network."


def _reach(study: Study, groups: Mapping[float, list[str]], smallest: float, sd: float, design: Design) -> list[str]:
    """Whether ``min_effect`` can be detected, and how many seeds detect it where it cannot.

    Args:
        study: The study.
        groups: The contrasts by their standard deviation, in that of a difference.
        smallest: The smallest difference that is detected.
        sd: The standard deviation of a seed difference.
        design: The arguments of `emotune.analysis.power.power` after the seeds.
    """
    metric = study.metric
    min_effect = metric.scale.format_amount(metric.min_effect)
    lines = []
    for relative, names in groups.items():
        if metric.min_effect >= smallest * relative:
            continue
        seeds = seeds_for(metric.min_effect / (sd * relative), *design)
        option = "up_to" if study.looks else "--seeds"
        needed = f"about {seeds} seeds detect it" if seeds else "more than a thousand seeds are needed for it"
        lines.append(
            f"Warning: the min_effect of {min_effect} cannot be detected with {study.seeds} seeds"
            f"{_for(names, groups)}, so that most contrasts of this size stay unresolved: {needed} ({option}), or set "
            "a larger min_effect."
        )
    return lines or [f"The min_effect of {min_effect} can be detected with {study.seeds} seeds."]


def _for(names: Sequence[str], groups: Mapping[float, object]) -> str:
    """The contrasts of a group; empty if it is the only one."""
    return f" for {first_names(names)}" if len(groups) > 1 else ""
