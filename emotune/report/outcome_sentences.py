"""Sentences on a study's runs: which diverged, learned nothing, still improved, or are far from the others."""

from collections.abc import Mapping, Sequence

from emotune.analysis.learning import Learning
from emotune.analysis.outcomes import FarRun, Outcomes
from emotune.config.metric import SCALES, Metric
from emotune.config.metric_scales import ALL_SCALES
from emotune.config.scale import ROUNDING
from emotune.core.sample_noun import worded
from emotune.core.text import listed
from emotune.report.phrasing import prior_origin, seed_list
from emotune.report.task_words import words_for

__all__ = ["outcome_sentences", "trivial_answer"]


def outcome_sentences(outcomes: Outcomes, metric: Metric, seeds: str) -> list[str]:
    """The sentences on one data set's runs.

    Args:
        outcomes: The outcomes of the runs.
        metric: The study's metric.
        seeds: The study's number of seeds, which is ``5 to 20`` with looks.
    """
    sentences = [
        f"{variant} diverged in {len(which)} of {seeds} seeds ({seed_list(which)})."
        for variant, which in outcomes.diverged.items()
    ]
    if outcomes.learning and outcomes.finished:
        sentences += _learning(outcomes, outcomes.learning)
    return sentences + _improving(outcomes, words_for(metric.task).score) + [_far(run, metric) for run in outcomes.far]


def trivial_answer(learning: Learning) -> str:
    """The trivial answer that a variant must surpass: ``always answering joy, … (accuracy 23.1 %)``.

    Where another class is more frequent among the test images than that of training, its share is named beside it.
    """
    values = " or ".join(
        f"{scale.title} {scale.format(learning.prior.metrics[name])} {scale.unit}".rstrip()
        for name in learning.yardsticks
        for scale in [ALL_SCALES[name]]
    )
    if learning.prior.dimensions:
        return f"always answering the mean rating of training, {learning.prior.answer} ({values})"
    origin, (best, accuracy) = prior_origin(learning.prior), learning.prior.best_answer
    if learning.prior.task == "distributions":
        return f"always predicting the mean distribution {origin} ({values})"
    if "accuracy" in learning.yardsticks and accuracy > learning.prior.metrics["accuracy"] + ROUNDING:
        share = SCALES["accuracy"].format(accuracy)
        values = f"{values}; always answering {best} would be {share} % on these test {worded('images')}"
    return f"always answering {learning.prior.answer}, the most frequent class {origin} ({values})"


def _learning(outcomes: Outcomes, learning: Learning) -> list[str]:
    """The sentences on runs that are better than the class prior, and on those that answer nearly always the same."""
    trivial, finished = trivial_answer(learning), sum(outcomes.finished.values())
    failures, collapsed = (sum(map(len, runs.values())) for runs in (outcomes.not_learned, outcomes.collapsed))
    give = "gives one answer" if collapsed == 1 else "give one answer"
    collapse = f"{collapsed} of {finished} finished runs {give} for nearly all {worded('images')}"
    if not failures:
        runs = "The finished run is" if finished == 1 else f"All {finished} finished runs are"
        sentences = [f"{runs} better than {trivial}."]
    elif collapsed == failures:  # such a run has not learned
        they_are = "it is" if collapsed == 1 else "they are"
        sentences = [f"{collapse}, so that {they_are} not shown to be better than {trivial}: {_answers(outcomes)}."]
    else:
        named = _named(outcomes.not_learned, outcomes.finished)
        also = worded(", or give one answer for nearly all images") if collapsed else ""
        sentences = [
            f"{failures} of {finished} finished runs are not shown to be better than {trivial}{also}: {named}."
        ]
        sentences += [f"{collapse}: {_answers(outcomes)}."] if collapsed else []
    if not learning.prior.from_training:
        sentences.append(worded("The records of these runs do not tell the classes of their training images."))
    return sentences


def _answers(outcomes: Outcomes) -> str:
    """The answers that runs give for nearly all images, with the seeds of each variant: ``joy (a, seed 1)``."""
    by_answer: dict[str, dict[str, Sequence[int]]] = {}
    for (variant, answer), seeds in outcomes.collapsed.items():
        by_answer.setdefault(answer, {})[variant] = seeds
    answers = []
    for answer, variants in by_answer.items():
        # What happens in the same seeds of all variants is said once.
        same = len({tuple(seeds) for seeds in variants.values()}) == 1 and len(variants) == len(outcomes.finished) > 1
        where = [("all variants", next(iter(variants.values())))] if same else variants.items()
        answers.append(f"{answer} ({'; '.join(f'{variant}, {seed_list(seeds)}' for variant, seeds in where)})")
    return listed(answers)


def _improving(outcomes: Outcomes, score: str) -> list[str]:
    """The sentence on runs that had not finished learning."""
    if not outcomes.improving:
        return []
    named = _named(outcomes.improving, outcomes.finished)
    return [
        f"Runs that still improved when training ended, by training loss and validation {score} over the last half of "
        f"the epochs: {named}. With more epochs the differences might not be the same."
    ]


def _named(runs: Mapping[str, Sequence[int]], finished: Mapping[str, int]) -> str:
    return "; ".join(
        f"{variant} in {len(which)} of {finished[variant]} ({seed_list(which)})" for variant, which in runs.items()
    )


def _far(run: FarRun, metric: Metric) -> str:
    scale = metric.scale
    value = scale.format(run.value) + (" %" if scale.unit == "%" else "")
    distance = f"{metric.format_signed(run.distance)} {scale.difference_units}".rstrip()
    return (
        f"{run.variant}, seed {run.seed}, is far from the other runs: {value}, {distance} from what the others of its "
        f"variant and its seed let expect, {run.in_sd:.0f} times their pooled standard deviation. It counts."
    )
