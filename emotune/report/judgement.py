"""How the declared contrasts of a study are judged: what was learned first, then the verdicts, look by look."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from emotune.analysis.divided_learning import learning_on_all
from emotune.analysis.divisions import Repeats, judge_on_all, repeats_of
from emotune.analysis.learning import Learning, learning, with_learning
from emotune.analysis.load import Records, load_records
from emotune.analysis.looks import DatasetLooks, reached_looks
from emotune.analysis.seeds import Comparison
from emotune.analysis.tuning import TuningStage
from emotune.config.study import Study
from emotune.runs.store import RunStates

__all__ = ["judged_contrasts", "study_repeats", "untuned_contrasts"]


def judged_contrasts(
    study: Study, records: Records, rows: Sequence[Mapping[str, Any]], repeats: Sequence[Repeats]
) -> tuple[dict[str, Learning], Sequence[DatasetLooks], Mapping[str, Learning], list[Comparison]]:
    """The learning on each data set, the looks, the learning on all repeats, and the declared contrasts."""
    datasets = tuple(dict.fromkeys(records.runs["dataset"]))
    learned = {d: one for d in datasets if (one := learning(records, study, d, len(repeats)))}
    looks = reached_looks(rows, study.contrasts, datasets, study.looks, study.metric, learned) if study.looks else ()
    learned |= {one.dataset: replace(learned[one.dataset], variants=one.learning) for one in looks if one.learning}
    learned_on = learning_on_all(rows, repeats, learned, study.seeds)
    names = {name: one.learned for name, one in learned_on.items()}
    judged = [c for one in looks for c in one.comparisons]
    judged = judged or with_learning(judge_on_all(rows, study.contrasts, repeats, study.metric), names)
    return learned, looks, learned_on, judged


def untuned_contrasts(study: Study, tuning: TuningStage | None, chosen: RunStates) -> Sequence[Comparison]:
    """The declared contrasts with the options that the study declares; none unless all of these runs have ended.

    Args:
        study: The study.
        tuning: The tuning that chose the options of its runs; None if it tunes nothing.
        chosen: The runs with the chosen options; nothing is compared if these are the declared ones.
    """
    if tuning is None or chosen.statuses.keys() <= {run.id for run in tuning.declared}:
        return ()
    states = tuning.declared_states()
    if states is None:
        return ()
    records = load_records(states, study.metric)
    rows = cast("list[dict[str, Any]]", records.runs.to_dict("records"))
    return judged_contrasts(study, records, rows, study_repeats(study, states, records))[3]


def study_repeats(study: Study, states: RunStates, records: Records) -> list[Repeats]:
    """The repeats on each data set; how far training images of divisions overlap follows from the finished runs."""
    refs = {run.dataset.name: run.dataset for run in states.runs}
    images = {
        run.dataset.name: (record["train_images"], record.get("test_images", 0))
        for run in states.runs if run.dataset.division and (record := records.records.get(run.id))
    }  # fmt: skip
    return repeats_of(refs.values(), study.seeds, images)
