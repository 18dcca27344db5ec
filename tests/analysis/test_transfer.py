"""Means and intervals on other data sets are those of the numbers that one can compute by hand from the predictions."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from study_files import DATA
from written_runs import write_run

from emotune.analysis.divisions import repeats_of
from emotune.analysis.joint_interval import joint_intervals
from emotune.analysis.load import load_records
from emotune.analysis.seeds import summarise
from emotune.analysis.transfer import Transfer, compute_transfer
from emotune.analysis.verdict import Verdict
from emotune.config.label_map import map_labels
from emotune.config.labels import MIKELS, POLARITY, POSITIVE
from emotune.config.model import AlexNetConfig, ConstantConfig, SvmConfig
from emotune.config.other_data import TransferTest
from emotune.config.run import RunConfig
from emotune.config.study import Study
from emotune.runs.store import RunStore
from emotune.runs.tested import write_tested

IMAGES = 100
POLAR = TransferTest("scenes", "polar", replace(DATA, name="polar", content_hash="cd" * 32), "test",
                     map_labels(MIKELS, POLARITY), IMAGES)  # fmt: skip
SAME = replace(POLAR, name="same", labels=map_labels(MIKELS, MIKELS))
STUDY = Study(
    "s", "q?", "scenes", "plain",
    {"plain": AlexNetConfig(), "wide": AlexNetConfig(width=2), "prior": ConstantConfig(), "svm": SvmConfig()},
    seeds=3, contrasts=["wide - plain", "svm - plain"],
)  # fmt: skip
RIGHT = {"plain": (70, 72, 71), "wide": (80, 81, 85), "prior": (60, 60, 60)}
"""The number of images whose polarity each seed says rightly, of 60 positive and 40 negative ones."""


def runs() -> list[RunConfig]:
    return list(STUDY.runs([DATA]))


def finish(store: RunStore, run: RunConfig, right: int | None, test: TransferTest = POLAR) -> None:
    """Writes a run, and its answers in a test."""
    write_run(store, run, 40.0 + run.seed)
    record = store.directory(run).record()
    assert record is not None
    if right is None:
        return
    targets = [POLARITY.index("positive")] * 60 + [POLARITY.index("negative")] * 40
    order = [test.labels.classes.index(POLARITY[target]) for target in targets]
    said = [one if number < right else 1 - one for number, one in enumerate(order)]
    logits = np.log(np.where(np.eye(2)[said] > 0, 0.9, 0.1)).astype(np.float32)
    ids = [f"{number:03d}" for number in range(IMAGES)]
    columns = {"sample_id": ids, "target": [test.labels.classes[one] for one in order], "group": ids}
    write_tested(store.folder / run.id, test, record, columns, logits, {"near_training": 4, "other_classes": 0}, 1.0)


def computed(store: RunStore, *tests: TransferTest) -> Transfer:
    states, repeats = store.states(runs()), repeats_of([DATA], STUDY.seeds, {})
    found = compute_transfer(STUDY, states, tests, load_records(states, STUDY.metric), repeats, [])
    assert found is not None
    return found


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    store = RunStore(tmp_path)
    for run in runs():
        by_seed = RIGHT.get(run.variant)
        finish(store, run, by_seed[run.seed] if by_seed else None)
    return store


def test_cells_have_the_means_and_intervals_of_the_seeds(store: RunStore):
    (on,) = computed(store, POLAR).on
    assert [cell.variant for cell in on.cells] == ["plain", "wide", "prior"], "a support vector machine keeps nothing"
    for cell in on.cells:
        assert list(cell.by_seed.values()) == list(map(float, RIGHT[cell.variant]))
        assert cell.summary == summarise(list(map(float, RIGHT[cell.variant])), (0, 100))
    assert (on.images, on.near_training, on.untested) == (IMAGES, 4, ())
    assert on.prior is not None and on.prior.best_answer == ("positive", 60.0)
    assert {cell.variant for cell in on.cells if cell.learned} == {"plain", "wide"}


def test_the_own_test_is_in_the_same_classes(store: RunStore):
    (on,) = computed(store, POLAR).on
    own = {cell.variant: cell.own for cell in on.cells}
    records = load_records(store.states(runs()), STUDY.metric)
    for variant in RIGHT:
        shares = []
        for predictions in records.predictions_of(variant, "scenes").values():
            logits = predictions[[f"logit_{label}" for label in MIKELS]].to_numpy(float)
            chances = np.exp(logits - np.logaddexp.reduce(logits, axis=1, keepdims=True))
            positive = chances[:, [label in POSITIVE for label in MIKELS]].sum(1) > 0.5
            shares.append(100 * float((positive == predictions["target"].isin(list(POSITIVE))).mean()))
        assert own[variant].mean == pytest.approx(np.mean(shares))
    assert own["plain"].mean > 45.0, "polarity is easier than eight classes"


def test_contrasts_have_the_joint_intervals_of_all_contrasts_and_data_sets(store: RunStore):
    (on,) = computed(store, POLAR).on
    (contrast,) = on.contrasts
    values = np.array([RIGHT[name] for name in ("plain", "wide", "prior")], float)
    (expected,) = joint_intervals(values, np.array([[-1.0, 1.0, 0.0]]), 0.05)
    assert contrast.there.summary.interval == pytest.approx(expected.ends)
    assert contrast.there.verdict is Verdict.BETTER
    for run in runs():
        if run.variant in RIGHT:
            finish_again(store, run)
    _, both = computed(store, POLAR, SAME).on[0], computed(store, POLAR, SAME).on[0].contrasts[0].there
    (half,) = joint_intervals(values, np.array([[-1.0, 1.0, 0.0]]), 0.025)
    assert both.summary.interval == pytest.approx(half.ends), "two data sets share the 5 %"


def finish_again(store: RunStore, run: RunConfig) -> None:
    """Writes the answers in the test of the same classes: all of them awe."""
    record = store.directory(run).record()
    assert record is not None
    logits = np.tile(np.log(np.where(np.eye(8)[MIKELS.index("awe")] > 0, 0.3, 0.1)).astype(np.float32), (IMAGES, 1))
    ids = [f"{number:03d}" for number in range(IMAGES)]
    targets = [MIKELS[number % 8] for number in range(IMAGES)]
    columns = {"sample_id": ids, "target": targets, "group": ids}
    write_tested(store.folder / run.id, SAME, record, columns, logits, {"near_training": 0, "other_classes": 0}, 1.0)


def test_nothing_that_ignores_the_images_is_assessed(store: RunStore):
    for run in runs():
        if run.variant in RIGHT:
            finish_again(store, run)
    (on,) = computed(store, SAME).on
    assert on.contrasts[0].there.verdict is Verdict.NOT_ASSESSED and not any(cell.learned for cell in on.cells)


def test_finished_runs_without_a_result_are_named_and_count_as_nothing(store: RunStore):
    gone = next(run for run in runs() if (run.variant, run.seed) == ("wide", 1))
    (store.folder / gone.id).delete(POLAR.file)
    transfer = computed(store, POLAR)
    (on,) = transfer.on
    assert on.untested == (gone.id,)
    assert on.contrasts[0].there.missing == {1: "wide not tested"} and on.contrasts[0].there.summary.n == 2
    row = transfer.runs.set_index("run").loc[gone.id]
    assert row["state"] == "not tested" and np.isnan(row["accuracy"])
    assert len(transfer.runs) == 9 and set(transfer.runs["tested_on"]) == {"polar"}
    assert dict(transfer.impossible) == {"svm": "svm"}, "it was fitted before runs kept what was fitted"


def test_a_variant_with_runs_that_can_be_tested_is_not_said_to_be_untested(store: RunStore):
    again = next(run for run in runs() if (run.variant, run.seed) == ("svm", 1))
    shutil.rmtree(Path(store.url) / again.id)
    assert dict(computed(store, POLAR).impossible) == {"svm": "svm, 2 of 3 runs"}


def test_before_the_first_test_there_is_nothing_to_show(tmp_path: Path):
    store = RunStore(tmp_path)
    finish(store, runs()[0], None)
    (on,) = computed(store, POLAR).on
    assert on.images == 0 and on.prior is None and not on.contrasts
