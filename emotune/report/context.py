"""The variables of the report's templates, which only lay them out and compute nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pandas as pd

from emotune.analysis.architecture import NetworksFile, architecture_differences
from emotune.analysis.feature_importance import feature_importance
from emotune.analysis.metric_table import contrast_weights
from emotune.analysis.power import seeds_of_interactions
from emotune.analysis.sensitivity import OtherAnalyses
from emotune.analysis.verdict import RESOLVED, Verdict
from emotune.config.ablate_command import AblateCommand
from emotune.config.early_stopping import patience_of
from emotune.config.metric import SCALES
from emotune.config.study import Study
from emotune.config.target import Target
from emotune.core.sample_noun import worded
from emotune.report import phrasing
from emotune.report.across_sentences import across_sentences
from emotune.report.answer import answer
from emotune.report.caveats import (
    OWN_VALUES,
    aa_changes,
    aa_paragraphs,
    aa_sentence,
    dropped_sentences,
    noise_floor_sentences,
    paired_sentence,
    rounding_sentences,
    shared_variance_sentences,
)
from emotune.report.comparison_data import comparison_data
from emotune.report.dataset_info import DatasetInfo, synthetic_sentences
from emotune.report.division_sentences import assessment_sentences, division_sentences, unit_names
from emotune.report.example_images import Disagreement
from emotune.report.findable_effects import findable_effects_sentences
from emotune.report.importance import importance_sentences, importance_tables
from emotune.report.looks import look_sentences, look_table, resolution_sentence
from emotune.report.outcome_sentences import outcome_sentences
from emotune.report.provenance import declared_text, provenance
from emotune.report.questions import length_sentence, split_sentences, tuning_sentences
from emotune.report.results import StudyResults
from emotune.report.tables import disagreement_counts, excluded_images, report_tables
from emotune.report.task_variables import task_variables
from emotune.report.task_words import words_for
from emotune.report.transfer_report import transfer_context, transfer_tables
from emotune.report.tuning import compared_options, tuned_sentences
from emotune.report.unfinished_runs import unfinished_runs
from emotune.report.worst_images import WorstImages

__all__ = ["VERDICT_MARKS", "VerdictEntry", "page_context", "sections"]

VERDICT_MARKS = {
    Verdict.BETTER: "✓",
    Verdict.WORSE: "✗",
    Verdict.POSITIVE: "+",
    Verdict.NEGATIVE: "−",
    Verdict.EQUIVALENT: "=",
    Verdict.UNRESOLVED: "?",
    Verdict.IDENTICAL: "≡",
    Verdict.DETERMINISTIC: "·",
    Verdict.NOT_ASSESSED: "○",
}
"""The mark beside the verdict's word, so that nobody needs colours to tell verdicts apart."""
MOST_UNFOLDED_RUNS = 60
"""A table of more runs is folded."""


@dataclass(frozen=True)
class VerdictEntry:
    """The verdict of a contrast on one data set.

    Attributes:
        verdict: The verdict in one word.
        mark: Its mark.
        contrast: The contrast, as the study writes it.
        text: The verdict in sentences.
    """

    verdict: str
    mark: str
    contrast: str
    text: str


def page_context(
    results: StudyResults,
    datasets: Sequence[DatasetInfo],
    networks: NetworksFile | None,
    disagreements: Sequence[Disagreement],
    worst: Sequence[WorstImages],
    command: AblateCommand,
) -> dict[str, Any]:
    """The variables of the templates of page, Markdown and LaTeX, by name.

    Args:
        results: The study's results.
        datasets: The descriptions of its data sets.
        networks: The differences of its networks; None if they are unknown.
        disagreements: The images that only one side of a contrast classifies correctly.
        worst: The images whose distributions or ratings are predicted worst.
        command: The command that reproduces the study.
    """
    records = results.records
    architectures = architecture_differences(networks) if networks else []
    features = feature_importance(records, list(results.study.variants), results.datasets)
    tables = (
        report_tables(results, architectures)
        | importance_tables(features, several=len(datasets) > 1)
        | {
            "disagreements": disagreement_counts(disagreements, several=len(datasets) > 1),
            "looks": look_table(results.looks, results.study.metric),
            **{f"excluded-{data.name}": excluded_images(data) for data in datasets},
            **transfer_tables(results),
        }
    )
    return _of_study(results.study, results.records.task) | _of_verdicts(results) | {
        "contrast_options": compared_options(results),
        "datasets": datasets,
        "synthetic": synthetic_sentences(datasets),
        "created": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "missing_values": phrasing.missing_values_sentence(
            results.study.metric, results.without_metric, len(records.done()), str(command)
        ),
        "done": len(records.done()),
        "planned": len(records.runs),
        "declared": results.declared_first,
        "declared_when": declared_text(results.declared_first),
        "outcomes": _outcomes(results),
        "tuning": [
            *filter(None, [*tuning_sentences(results.study), *tuned_sentences(results), _length(results)])
        ],
        "tables": tables,
        "disagreements": disagreements,
        **task_variables(results, datasets, worst),
        "networks": architectures,
        "importance": importance_sentences(features),
        "unfinished": unfinished_runs(results.records.runs, command),
        "runs_are_folded": len(records.runs) > MOST_UNFOLDED_RUNS,
        "provenance": provenance(records),
        "command": str(command),
        "comparison_data": comparison_data(results),
        "transfer": transfer_context(results),
    }  # fmt: skip


def _of_study(study: Study, task: Target) -> dict[str, Any]:
    """The variables that follow from the study and its task alone."""
    return {
        "study": study,
        "metric": study.metric,
        "scale": study.metric.scale,
        "metrics": SCALES,
        "words": words_for(task),
        "own_metric": study.metric.user_code,
        "selection_rule": phrasing.selection_rule(study.metric, patience_of(study.variants)),
        "use_of_test_set": phrasing.use_of_test_set(study.metric),
        "formulas": [(c.name, c.formula) for c in study.contrasts if c.name != c.formula],
        "seeds_of_interactions": seeds_of_interactions(
            study.contrasts, contrast_weights(study.contrasts, list(study.variants))
        ),
        "has_signs": not all(c.compares_means for c in study.contrasts),
        "seeds": f"{study.seeds_text} seed{'s' if study.seeds > 1 else ''}",
        "aa_changes": aa_changes(study) if study.aa else "",
    }


def _of_verdicts(results: StudyResults) -> dict[str, Any]:
    """The variables that say how the contrasts are judged, and what that depends on."""
    study, comparisons, several = results.study, results.comparisons, len(results.judged_on) > 1
    complete = len(results.records.done()) == len(results.records.runs)
    sign_flips = [(other.p_sign_flip, other.p_sign_flip_holm) for other in results.other_analyses]
    return {
        "answer": [
            *answer(comparisons, study.metric, _test_images(results), complete=complete),
            *aa_paragraphs(comparisons, results.without_aa, study.metric),
        ],
        "verdicts": [_verdict(other, results) for other in results.other_analyses],
        "noise_floor": [
            noise_floor_sentences(c, results, with_note=i == len(results.noise_floor))
            for i, c in enumerate(results.noise_floor.values(), 1)
        ],
        "findable_effects": _by_dataset(findable_effects_sentences(results), results),
        "shared_variance": _by_dataset(shared_variance_sentences(results), results),
        "judged_on": results.judged_on,
        "assessment": assessment_sentences(results.repeats),
        "unit": unit_names(results.repeats),
        "units": unit_names(results.repeats, "s"),
        "rounding": rounding_sentences(
            min(one.number if one.is_divided else (study.looks or (study.seeds,))[0] for one in results.repeats),
            unit_names(results.repeats, "s"),
            any_resolved=any(c.verdict in RESOLVED for c in comparisons),
            any_assessed=any(c.verdict is not Verdict.NOT_ASSESSED for c in comparisons),
        ),
        "own_values": OWN_VALUES,
        "not_assessed": any(c.verdict is Verdict.NOT_ASSESSED for c in comparisons),
        "looks": _by_dataset({one.dataset: " ".join(look_sentences(one)) for one in results.looks}, results),
        "dropped": dropped_sentences([f"{c.name} on {c.dataset}" if several else c.name for c in results.dropped]),
        "other_splits": split_sentences(comparisons, results.image_bootstraps),
        "agreement": phrasing.agreement_sentence(results.other_analyses),
        "sign_flips_omitted": any(p is not None and adjusted is None for p, adjusted in sign_flips),
        "divisions": [
            text
            for one, selection in zip(results.repeats, study.datasets, strict=True)
            if (text := division_sentences(one, selection, study.seeds, complete=complete))
        ],
        "across_datasets": [
            (str(across.contrast), " ".join(across_sentences(across, study.metric)))
            for across in results.across_datasets
        ],
    }


def sections(context: Mapping[str, Any], figures: Mapping[str, Any]) -> list[dict[str, str]]:
    """The page's sections that have content, in order: ``id``, which is also the template's name, and ``title``."""

    def has_figure(kind: str) -> bool:
        return any(name.startswith(f"{kind}-") for name in figures)

    title, tables = context["scale"].title, context["tables"]
    title = f"{title[0].upper()}{title[1:]}"
    has_images = bool(tables["image_intervals"].rows or context["own_metric"])
    every = {
        "verdicts": ("Verdicts", True),
        "questions": ("Did it learn, was it tuned, is it the split?", True),
        "interactions": ("Interactions", has_figure("interaction")),
        "images": (worded("Uncertainty over seeds and test images"), has_images),
        "looks": ("Adaptive looks", bool(context["looks"])),
        "across": ("Several data sets", bool(context["across_datasets"])),
        "transfer": ("On other data sets", context["transfer"] is not None),
        "variants": (f"{title} by variant", True),
        "exploratory": ("Exploratory differences", bool(tables["exploratory"].rows)),
        "compare": ("Compare two variants", context["done"] > 1),
        "curves": ("Learning curves", has_figure("curves")),
        "classes": ("Classes and confusions", has_figure("confusion")),
        "distributions": ("Predicted distributions", bool(tables["measures"].rows)),
        "ratings": ("Predicted ratings", has_figure("scatter")),
        "calibration": ("Calibration", has_figure("calibration")),
        "features": ("Which hand-made features matter", bool(context["importance"])),
        "cost": (f"{title} against cost", has_figure("cost")),
        "attention": ("Attention", has_figure("attention") or has_figure("frames")),
        "disagreements": (worded("Images classified differently"), bool(context["disagreements"])),
        "selection": ("Model selection", True),
        "networks": ("Networks", bool(context["networks"])),
        "data": ("Data", True),
        "sensitivity": ("Appendix: other analyses of the contrasts", bool(tables["other_analyses"].rows)),
        "failures": ("Runs without a result", bool(context["unfinished"])),
        "reproduce": ("How to reproduce this report", True),
        "runs": ("All runs", True),
    }
    return [{"id": name, "title": title} for name, (title, has_content) in every.items() if has_content]


def _verdict(other: OtherAnalyses, results: StudyResults) -> VerdictEntry:
    c = other.comparison
    verdict, looks = c.verdict or Verdict.UNRESOLVED, {one.dataset: one for one in results.looks}.get(c.dataset)
    # The answer says it of all contrasts once.
    all_late = len({tuple(map(str, one.late)) for one in results.comparisons}) == 1 < len(results.comparisons)
    sentences = [
        phrasing.verdict_sentences(
            c, results.study.metric, results.judged_on, results.comparisons, with_lateness=not all_late
        ),
        resolution_sentence(looks, c.contrast) if looks else "",
        paired_sentence(other),
        aa_sentence(c, results.without_aa, results.study.metric),
    ]
    return VerdictEntry(str(verdict), VERDICT_MARKS[verdict], str(c.contrast), " ".join(filter(None, sentences)))


def _test_images(results: StudyResults) -> dict[str, list[int]]:
    """The number of different images of each data set that finished runs test, and of a divided one those of each
    division.
    """
    tested = {name: set(one.prior.predictions["sample_id"]) for name, one in results.learning.items()}
    found = {}
    for one in results.repeats:
        if parts := [tested[name] for name in one.names if name in tested]:
            found[one.dataset] = [len(set.union(*parts)), *(map(len, parts) if one.is_divided else ())]
    return found


def _length(results: StudyResults) -> str:
    return length_sentence(_curves_of_networks(results), words_for(results.study.metric.task).score)


def _curves_of_networks(results: StudyResults) -> pd.DataFrame:
    """The epochs of the finished runs of networks."""
    epochs, networks = results.records.curves, [*results.study.networks, results.study.aa]
    return epochs[epochs["variant"].isin(networks) & epochs["run"].isin(results.records.done()["run"])]


def _outcomes(results: StudyResults) -> list[str]:
    """A paragraph on the outcomes of the runs, for each data set about whose runs there is something to say."""
    study = results.study
    return _by_dataset(
        {o.dataset: " ".join(outcome_sentences(o, study.metric, study.seeds_text)) for o in results.outcomes}, results
    )


def _by_dataset(texts: Mapping[str, str], results: StudyResults) -> list[str]:
    several = len(results.datasets) > 1
    return [f"{dataset}: {text}" if several else text for dataset, text in texts.items() if text]
