"""Adaptive seeds in a report: the planned looks, which one is reached, why a study ended, and each contrast."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from emotune.analysis.looks import DatasetLooks
from emotune.analysis.seeds import Comparison
from emotune.config.contrast import Contrast
from emotune.config.metric import Metric
from emotune.core.text import listed
from emotune.report import phrasing
from emotune.report.columns import Column, Table, dataset_column

__all__ = ["LookRow", "look_sentences", "look_table", "resolution_sentence"]


@dataclass(frozen=True)
class LookRow:
    """A contrast over the looks at one data set.

    Attributes:
        contrast: The contrast.
        dataset: The data set's name.
        resolved_at: The number of seeds at which it was resolved; None while it is open.
        looks: The contrast at each look that was reached before it was resolved, by the look's number of seeds.
    """

    contrast: Contrast
    dataset: str
    resolved_at: int | None
    looks: Mapping[int, Comparison]


def look_table(every: Sequence[DatasetLooks], metric: Metric) -> Table:
    """The interval of each contrast at each look, a row for each contrast and data set.

    Args:
        every: The looks that the study has reached on each data set; none for a fixed number of seeds.
        metric: The study's metric.
    """

    def at(seeds: int) -> Callable[[LookRow], str]:
        return lambda row: (
            metric.format_interval(row.looks[seeds].summary.interval) if seeds in row.looks else phrasing.DASH
        )

    columns = [
        Column("contrast", lambda row: str(row.contrast), "name"),
        dataset_column(len(every) > 1),
        Column("resolved at", lambda row: f"{row.resolved_at} seeds" if row.resolved_at else phrasing.DASH),
        *(Column(f"{seeds} seeds", at(seeds)) for seeds in (every[0].planned if every else ())),
    ]
    rows = [
        LookRow(
            c.contrast, c.dataset, looks.resolved_at(c.contrast),
            {look.seeds: one for look in looks.reached for one in look.comparisons if one.contrast == c.contrast},
        )
        for looks in every for c in looks.comparisons
    ]  # fmt: skip
    return Table(columns, rows)


def look_sentences(looks: DatasetLooks) -> list[str]:
    """The sentences on the looks at one data set."""
    counts, alphas = list(map(str, looks.planned)), [f"{_percent(alpha)} %" for alpha in looks.alphas]
    sentences = [
        f"Looks are planned at {listed(counts)} seeds, with a probability of a false verdict of {listed(alphas)}, "
        f"{_percent(sum(looks.alphas))} % together."
    ]
    if len(set(looks.alphas)) > 1:
        sentences.append("A look with a smaller share has wider intervals for the same seeds.")
    number, of = len(looks.reached), len(looks.planned)
    if not number:
        sentences.append(f"The first one is not reached yet: {_ended(looks)}. There is no verdict before it.")
        return sentences
    latest = looks.reached[-1]
    reached = f"look {number} of {of}, at {latest.seeds} seeds and {_percent(latest.alpha)} %"
    if not looks.is_over:
        sentences.append(f"Reached: {reached}. The study goes on to {looks.following} seeds: {_ended(looks)}.")
    elif looks.open:
        sentences.append(f"The study ended at {reached}, because it was the last one; {_are(looks.open)} not resolved.")
    else:
        why = "no contrast is open" if looks.set_aside else "all contrasts are resolved"
        sentences.append(f"The study ended at {reached}, because {why}.")
    if looks.set_aside:
        sentences.append(
            f"{_are(looks.set_aside)} not assessed, and ask{'s' * (len(looks.set_aside) == 1)} for no more seeds: no "
            "run is better than the class prior, which more seeds rarely change."
        )
    if any(look.resolved for look in looks.reached if look.seeds < looks.planned[-1]):
        sentences.append(
            "Estimates of contrasts that are resolved at an early look are somewhat too large, since large ones end "
            "earlier."
        )
    return sentences


def resolution_sentence(looks: DatasetLooks, contrast: Contrast) -> str:
    """At which look a contrast was resolved, or that it is open."""
    number, of = len(looks.reached), len(looks.planned)
    if not number:
        return f"No verdict before the first look, at {looks.planned[0]} seeds."
    at = looks.resolved_at(contrast)
    if contrast in looks.set_aside:
        seeds = min(looks.seeds[variant] for variant in contrast.weights)
        return (
            f"Set aside at {seeds} of at most {looks.planned[-1]} seeds: none of its runs is better than the class "
            "prior, which more seeds rarely change."
        )
    if at is None:
        return (
            f"Not resolved at look {number} of {of} ({looks.reached[-1].seeds} of at most {looks.planned[-1]} seeds)."
        )
    return f"Resolved at look {looks.planned.index(at) + 1} of {of} ({at} of at most {looks.planned[-1]} seeds)."


def _ended(looks: DatasetLooks) -> str:
    return f"{looks.ended} of the {sum(looks.seeds.values())} runs that it needs have ended"


def _are(contrasts: Sequence[Contrast]) -> str:
    return f"{len(contrasts)} contrast{'s are' if len(contrasts) > 1 else ' is'}"


def _percent(share: float) -> str:
    return f"{100 * share:.3g}"
