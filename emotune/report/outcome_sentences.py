"""Sentences on a study's runs: which diverged, learned nothing, or are far from the others."""

from emotune.analysis.outcomes import FarRun, Outcomes
from emotune.config.metric import Metric
from emotune.report.phrasing import seed_list

__all__ = ["outcome_sentences"]


def outcome_sentences(outcomes: Outcomes, metric: Metric, seeds: int) -> list[str]:
    """The sentences on one data set's runs.

    Args:
        outcomes: The runs that diverged, learned nothing, or are far from the others.
        metric: The study's metric.
        seeds: The study's number of seeds.
    """
    sentences = [
        f"{variant} diverged in {len(which)} of {seeds} seeds ({seed_list(which)})."
        for variant, which in outcomes.diverged.items()
    ]
    finished = sum(outcomes.finished.values())
    if finished and outcomes.most_frequent == outcomes.most_frequent:
        sentences.append(_learning(outcomes, finished))
    return sentences + [_far(run, metric) for run in outcomes.far]


def _far(run: FarRun, metric: Metric) -> str:
    scale = metric.scale
    value = scale.format(run.value) + (" %" if scale.unit == "%" else "")
    distance = f"{metric.format_signed(run.distance)} {scale.difference_units}".rstrip()
    return (
        f"{run.variant}, seed {run.seed}, is far from the other runs: {value}, {distance} from what the others of its "
        f"variant and its seed let expect, {run.in_sd:.0f} times their pooled standard deviation. It counts."
    )


def _learning(outcomes: Outcomes, finished: int) -> str:
    """How many of the finished runs are better than always answering the most frequent class."""
    trivial = f"always answering the most frequent class ({outcomes.most_frequent:.1f} % right)"
    failures = sum(map(len, outcomes.not_learned.values()))
    if not failures:
        runs = "The finished run is" if finished == 1 else f"All {finished} finished runs are"
        return f"{runs} better than {trivial}."
    named = "; ".join(
        f"{variant} in {len(which)} of {outcomes.finished[variant]} ({seed_list(which)})"
        for variant, which in outcomes.not_learned.items()
    )
    return f"{failures} of {finished} finished runs are not shown to be better than {trivial}: {named}."
