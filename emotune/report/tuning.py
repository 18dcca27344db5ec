"""The tuning of a study in its report: the budget, what was chosen, and what verdicts would be without it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from emotune.analysis.architecture import contrast_options
from emotune.analysis.seeds import Comparison
from emotune.analysis.tuning import Choice, TuningStage, edges_on
from emotune.config.metric import Metric
from emotune.config.network import NetworkConfig
from emotune.config.rungs import Rung
from emotune.config.scale import VALIDATION_SCALES, Scale
from emotune.config.study import Study
from emotune.config.tuned_options import declared_setting, is_tuned
from emotune.config.tuning import RandomSearch, Tuning, setting_text
from emotune.config.tuning_runs import study_rungs
from emotune.core.sample_noun import worded
from emotune.core.text import listed
from emotune.report import phrasing
from emotune.report.columns import Column, Table, dataset_column, heading
from emotune.report.results import StudyResults
from emotune.runs.directory import State

__all__ = [
    "TuningRow",
    "VerdictChange",
    "chosen_text",
    "tuned_sentences",
    "tuning_table",
    "untuned_table",
    "validation_scale",
]


@dataclass(frozen=True)
class TuningRow:
    """The tuning of a variant on a data set.

    Attributes:
        variant: The variant's name.
        dataset: The data set's name.
        runs: The number of its tuning runs.
        diverged: The number of those that diverged.
        hours: The hours of training of those that did not diverge; of the others they are not recorded.
        chosen: The chosen setting; several with their numbers, if seeds or divisions differ.
        value: The mean of what settings are compared by, at the chosen one; None if all diverged.
        declared: The same at the setting that the study declares; None if that was not tried, or for fewer epochs only.
        edges: The options whose chosen value lies on an edge of the search.
    """

    variant: str
    dataset: str
    runs: int
    diverged: int
    hours: float
    chosen: str
    value: float | None
    declared: float | None
    edges: tuple[str, ...]

    @property
    def gain(self) -> float | None:
        """How the chosen setting's value differs from that of the declared one; None if one of them is not known."""
        return None if self.value is None or self.declared is None else self.value - self.declared


@dataclass(frozen=True)
class VerdictChange:
    """A declared contrast with the declared and with the chosen options."""

    untuned: Comparison
    tuned: Comparison


def validation_scale(tune: Tuning) -> Scale:
    """The scale of what settings are compared by."""
    return VALIDATION_SCALES[tune.by]


def tuning_rows(results: StudyResults) -> list[TuningRow]:
    """A row for each tuned variant on each data set; none if the study tunes nothing."""
    stage = results.tuning
    if stage is None:
        return []
    rows = []
    for repeats in results.repeats:
        edges = edges_on(stage.choices.values(), repeats.names)
        for variant in results.study.variants:
            choices = [c for (v, dataset, _), c in stage.choices.items() if v == variant and dataset in repeats.names]
            if choices:
                rows.append(_row(results.study, stage, repeats.dataset, variant, choices, edges.get(variant, ())))
    return rows


def _row(
    study: Study, stage: TuningStage, dataset: str, variant: str, choices: Sequence[Choice], edges: tuple[str, ...]
) -> TuningRow:
    places = {choice.place for choice in choices}
    ids = [one.run.id for one in stage.runs if one.place in places]
    records = [stage.states.records[run_id] for run_id in ids if run_id in stage.states.records]
    declared = declared_setting(stage.tune, study.variants[variant])
    counts = Counter(setting_text(choice.chosen) for choice in choices)
    several = len(choices) > 1
    return TuningRow(
        variant, dataset, len(ids), sum(stage.states.statuses[one].state is State.DIVERGED for one in ids),
        sum(record["durations_s"]["train"] for record in records) / 3600,
        "; ".join(f"{text} ({count} of {len(choices)})" if several else text for text, count in counts.items()),
        _mean([_value_at(choice, choice.chosen) for choice in choices]),
        _mean([_value_at(choice, declared) for choice in choices]), edges,
    )  # fmt: skip


def _value_at(choice: Choice, setting: object) -> float | None:
    return next((trial.mean for trial in choice.finalists if trial.setting == setting), None)


def _mean(values: Sequence[float | None]) -> float | None:
    finite = [value for value in values if value is not None]
    return fmean(finite) if len(finite) == len(values) else None


def chosen_text(results: StudyResults, variant: str) -> str:
    """The setting that was chosen for a variant, by data set if there are several; empty if it was not tuned."""
    rows = [row for row in tuning_rows(results) if row.variant == variant]
    several = len(results.judged_on) > 1
    return "; ".join(f"{f'on {row.dataset}: ' * several}{row.chosen}" for row in rows)


def compared_options(results: StudyResults) -> dict[str, list[str]]:
    """The options in which the variants of each contrast differ, and what was chosen for them by validation."""
    study = results.study
    chosen = {variant: text for variant in study.variants if (text := chosen_text(results, variant))}
    weights = {str(contrast): contrast.weights for contrast in study.contrasts}
    return {
        name: [*options, *(f"tuned, {variant}: {chosen[variant]}" for variant in weights[name] if variant in chosen)]
        for name, options in contrast_options(study).items()
    }


def tuning_table(results: StudyResults) -> Table:
    """The budget of each variant, what was chosen and what that gains in validation."""
    rows = tuning_rows(results)
    scale = validation_scale(results.study.tune) if results.study.tune else Scale("", "")
    points = f", {scale.difference_units}" if scale.difference_units else ""
    columns = [
        Column("variant", lambda row: row.variant, "name"),
        dataset_column(len(results.judged_on) > 1),
        Column("runs", lambda row: f"{row.runs}"),
        Column("diverged", lambda row: f"{row.diverged}" if row.diverged else phrasing.DASH),
        Column("hours", lambda row: f"{row.hours:.2f}" if row.hours >= 0.1 else f"{row.hours:.2g}"),
        Column("chosen", lambda row: row.chosen, "text"),
        Column(heading(scale), lambda row: phrasing.DASH if row.value is None else scale.format(row.value)),
        Column(
            f"than declared{points}",
            lambda row: phrasing.DASH if row.gain is None else scale.format_signed(row.gain),
        ),
        Column("edge of the search", lambda row: listed(row.edges) if row.edges else phrasing.DASH, "text"),
    ]
    return Table(columns, rows)


def untuned_table(results: StudyResults) -> Table:
    """Each declared contrast with the options that the study declares, beside the one with the chosen options."""
    metric, tuned = results.study.metric, {(c.contrast, c.dataset): c for c in results.comparisons}
    rows = [VerdictChange(c, tuned[c.contrast, c.dataset]) for c in results.untuned]
    columns = [
        Column("contrast", lambda row: str(row.tuned.contrast), "name"),
        dataset_column(len(results.judged_on) > 1, lambda row: row.tuned.dataset),
        Column("declared options", lambda row: _difference(row.untuned, metric)),
        Column("verdict", lambda row: phrasing.verdict_in_words(row.untuned), "text"),
        Column("tuned", lambda row: _difference(row.tuned, metric)),
        Column("verdict, tuned", lambda row: phrasing.verdict_in_words(row.tuned), "text"),
    ]
    return Table(columns, rows)


def _difference(comparison: Comparison, metric: Metric) -> str:
    summary = comparison.summary
    if not summary.n:
        return phrasing.DASH
    mean = metric.format_signed(summary.mean)
    return f"{mean} ({metric.format_interval(summary.interval)})" if summary.interval else mean


def tuned_sentences(results: StudyResults) -> list[str]:
    """The sentences on how variants were tuned, and what that means for verdicts; none if the study tunes nothing."""
    study, stage, rows = results.study, results.tuning, tuning_rows(results)
    if stage is None or not rows:
        return []
    tune = stage.tune
    return [
        *_budget_sentences(study, tune, rows),
        worded("Tuning runs read no test image and share no random number with the study's runs."),
        _scope_sentence(tune),
        *_gain_sentences(study, tune, rows),
        *_edge_sentences(rows, several=len(results.judged_on) > 1),
        *_change_sentences(results),
    ]


def _budget_sentences(study: Study, tune: Tuning, rows: Sequence[TuningRow]) -> list[str]:
    tuned = [name for name in study.variants if is_tuned(tune, name)]
    networks = [name for name in tuned if isinstance(study.variants[name][0], NetworkConfig)]
    who = "Every variant" if len(tuned) == len(study.variants) else f"Every variant but {listed(tune.untuned)}"
    drawn = "drawn at random" if isinstance(tune.search, RandomSearch) else "all combinations"
    each = "in each seed of the study anew, " if tune.nested else ""
    rungs = study_rungs(study)
    long = f", {_epochs(rungs[0])} each" if networks else ""
    halved = [f"the better {rung.settings} for {_epochs(rung)}" for rung in rungs[1:]]
    best = f"{'highest' if tune.higher_is_better else 'lowest'} mean {validation_scale(tune).title}"
    total = sum(row.runs for row in rows)
    sentences = [
        f"{who} was tuned {each}with the same budget: {rungs[0].settings} settings of {listed(list(tune.over))} "
        f"({drawn}), {tune.seeds} run{'s' * (tune.seeds > 1)} of each{long}; {total} runs in all. "
        f"Chosen is the setting with the {best}; of equal ones that with the smaller value."
    ]
    if halved:
        sentences.append(
            f"Of each variant's settings {listed(halved)} were trained anew (successive halving): the numbers are the "
            "same for every variant, and no setting was left out for those of another variant."
        )
    sizes = {study.variants[name][1].batch_size for name in networks}
    if len(sizes) > 1 and "train.batch_size" not in tune.over:
        sentences.append("With batches of different sizes, the same epochs are different numbers of steps.")
    if diverged := sum(row.diverged for row in rows):
        sentences.append(f"{diverged} of these runs diverged, which counts as worst.")
    return sentences


def _epochs(rung: Rung) -> str:
    return f"{rung.epochs} epoch{'s' * (rung.epochs > 1)}"


def _scope_sentence(tune: Tuning) -> str:
    if tune.nested:
        return "Each seed has its own choice, so intervals over seeds include that another choice could have been made."
    return (
        "Verdicts and intervals are conditional on the chosen settings: no interval covers that other tuning runs "
        "could have chosen others (tune.nested would)."
    )


def _gain_sentences(study: Study, tune: Tuning, rows: Sequence[TuningRow]) -> list[str]:
    """The gain of the baseline by the same search."""
    scale, sentences = validation_scale(tune), []
    for row in rows:
        if row.variant == study.baseline and row.gain is not None and row.declared is not None:
            on = f" on {row.dataset}" if len({one.dataset for one in rows}) > 1 else ""
            gain = f"{scale.format_signed(row.gain)} {scale.difference_units}"
            sentences.append(
                f"By the same search the baseline's {scale.title} changed by {gain}{on}, from "
                f"{scale.format(row.declared)} with the declared options."
            )
    return sentences


def _edge_sentences(rows: Sequence[TuningRow], *, several: bool) -> list[str]:
    found = [
        f"{row.variant}{f' on {row.dataset}' * several} ({listed(row.edges)})" for row in rows if row.edges
    ]  # fmt: skip
    if not found:
        return []
    return [
        f"Warning: the chosen value lies on an edge of the search for {listed(found)}. A better value may lie beyond, "
        f"so {'its' if len(found) == 1 else 'their'} contrasts are unresolved; widen the search, which runs only what "
        "is new."
    ]


def _change_sentences(results: StudyResults) -> list[str]:
    """How many verdicts are other ones with the declared options."""
    rows: Sequence[VerdictChange] = untuned_table(results).rows
    if not rows:
        return []
    changed = [
        f"{row.tuned.contrast} ({row.untuned.verdict} → {row.tuned.verdict})"
        for row in rows if row.untuned.verdict is not row.tuned.verdict
    ]  # fmt: skip
    if not changed:
        return ["Runs with the declared options are there, too: without tuning no verdict would change."]
    of = f"of {len(rows)} verdict{'s' * (len(rows) > 1)}"
    return [f"Runs with the declared options are there, too: tuning changes {len(changed)} {of}: {listed(changed)}."]
